"""What stands beside a figure tells apart what must not be compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from twinset import __version__
from twinset.embedding.foreign_embedder import ForeignEmbedder
from twinset.embedding.pretrained import IMAGENET
from twinset.embedding.protocol import estimator_of, pictures_protocol, protocol_of, spec_for, stamped
from twinset.embedding.random_convolution import RandomConvolution
from twinset.images import ImageSpec
from twinset.scores import Score

SPEC = ImageSpec(30, 40, 1, "pad")
FOREIGN = ForeignEmbedder(nn.Identity(), "net-0123", 224, *IMAGENET, sha256="ab" * 32)


def score(name: str = "kid", **settings: str | int | float) -> Score:
    return Score(name, 0.5, False, {}, extractor=FOREIGN.name, settings=settings)


def test_an_extractor_of_others_gets_its_own_size_and_ours_that_of_the_run() -> None:
    assert spec_for(FOREIGN, SPEC) == ImageSpec(224, 224, 3)
    assert spec_for(RandomConvolution(), SPEC) == SPEC
    assert protocol_of(RandomConvolution(), SPEC) == {
        "extractor": RandomConvolution().name,
        "weights_sha256": "fixed by the extractor's name",
        "input": "40 x 30 x 1",
        "fit": "pad",
        "resize": "bicubic, antialiased",
        "dtype": "float32",
    }
    found = protocol_of(FOREIGN, SPEC)
    assert (found["weights_sha256"], found["input"], found["fit"]) == ("ab" * 32, "224 x 224 x 3", "stretch")


def test_precision_stands_in_the_protocol() -> None:
    assert protocol_of(replace(FOREIGN, precision="bfloat16"), SPEC)["dtype"] == "bfloat16"


def test_every_score_is_stamped_by_its_own_extractor() -> None:
    other = replace(score(), extractor="someone else's")
    mine, theirs, bare = stamped(
        [score(estimator="unbiased"), other, Score("psnr", 1.0, True, {}, protocol=pictures_protocol(SPEC))],
        {FOREIGN.name: protocol_of(FOREIGN, SPEC)},
        seed=7,
        pictures="32 × 32 RGB",
    )
    assert mine.protocol == {
        **protocol_of(FOREIGN, SPEC),
        "pictures": "32 × 32 RGB",
        "estimator": "unbiased",
        "statistics": "float64",
        "seed": 7,
        "version": __version__,
    }
    assert set(theirs.protocol) == {"extractor", "estimator", "statistics", "seed", "version"}
    assert (bare.protocol["input"], bare.protocol["pictures"]) == ("40 x 30 x 1", "32 × 32 RGB")
    assert mine.to_json()["protocol"] == mine.protocol


def test_crops_name_their_own_size() -> None:
    (found,) = stamped([score(crop_side=64)], {FOREIGN.name: protocol_of(FOREIGN, SPEC)}, seed=0)
    assert found.protocol["input"] == "crops of 64 x 64"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"k": 3, "dtype": "float64"}, "k 3"),
        ({"estimator": "plug-in", "kernel": "cubic"}, "plug-in, kernel cubic"),
        ({"interval": "bootstrap"}, "sample statistic"),
    ],
)
def test_another_estimator_is_another_protocol(settings: dict[str, str | int], said: str) -> None:
    assert estimator_of(score(**settings)) == said
