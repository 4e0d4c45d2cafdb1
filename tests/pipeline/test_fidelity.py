"""A run measures what its recipe names, on the very features that a comparison of the same pictures would see."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import twinset
from twinset import documents, pipeline
from twinset.pipeline.fidelity import _came
from twinset.pipeline.reporting import Quiet
from twinset.recipe import recipe_from_values


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torchvision

    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(torchvision.models.resnet18(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real digits that come with their splits, the same held-out ones by themselves, and what plays a generator."""
    root = tmp_path_factory.mktemp("pictures")
    digits = twinset.load("builtin:digits")
    parts = {"train": digits.take(range(40)), "test": digits.take(range(40, 70)), "made": digits.take(range(100, 120))}
    real = parts["train"].concat(parts["test"]).with_splits(["train"] * 40 + ["validation"] * 10 + ["test"] * 20)
    for name, dataset in {**parts, "real": real}.items():
        dataset.export(root / name, format="imagefolder")
    return {name: root / name for name in (*parts, "real")}


def run(pictures: dict[str, Path], out: Path, evaluate: dict[str, object]) -> documents.RunDocument:
    recipe: dict[str, object] = {
        "data": str(pictures["real"]),
        "count": 20,
        "generate": [{"use": "folder", "path": str(pictures["made"])}],
        "align": "off",
        "evaluate": {"utility": "off", "explain": False, "metadata": False, **evaluate},
        "gate": {"copies": "off"},
    }
    return twinset.run(recipe, out=out, workers=1, quiet=True)


@pytest.mark.slow
def test_a_run_and_a_comparison_see_the_same_through_a_network_of_others(
    pictures: dict[str, Path], resnet18: Path, tmp_path: Path
) -> None:
    embedder = {"use": "pretrained", "name": "resnet18", "path": str(resnet18)}
    made = run(pictures, tmp_path / "run", {"embedder": embedder, "metrics": ["frechet", "vendi"]})
    exported = Path(made.exports["imagefolder"])
    compared = twinset.compare(
        pictures["test"], exported, extractor=f"resnet18:{resnet18}", metrics="frechet,vendi"
    )  # fmt: skip
    for name in ("frechet_distance", "vendi_q1"):
        mine, other = made.scores[name], compared.scores[name]
        assert mine.protocol == other.protocol
        assert mine.value == pytest.approx(other.value, rel=1e-6)
    assert made.scores["frechet_distance"].protocol["input"] == "224 x 224 x 3"
    assert len(str(made.scores["frechet_distance"].protocol["weights_sha256"])) == 64


@pytest.mark.slow
def test_a_run_measures_what_its_recipe_names_and_says_what_is_missing(
    pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINSET_MODELS", str(tmp_path / "no models"))
    default = recipe_from_values({"data": str(pictures["real"])}).recipe.evaluate.embedder
    assert default.use == "self"
    # The embedder of every run, trained for a few steps: nothing here is said of how well it sees.
    quick = {"use": default.use, "steps": 20}
    asked: dict[str, object] = {"embedder": quick, "metrics": ["kid", "authenticity", "cler", "inception"]}
    made = run(pictures, tmp_path / "run", asked)
    names = {name for name in made.scores if "[" not in name}
    assert names == {"kernel_distance", "authenticity", "cler", "cler_real", "cler_difference", "inception_score"}
    missing = made.scores["inception_score"].undefined_because
    assert missing is not None
    assert "expected the weights of inception; got no file" in missing
    # By default the embedder saw the training images: of copies others tell.
    assert str(made.scores["authenticity"].extractor).startswith("random-convolution")
    assert str(made.scores["cler"].extractor).startswith("self-trained")
    again = pipeline.evaluate(Path(made.run), workers=1, device="cpu", listener=Quiet())
    assert again.scores == made.scores
    assert again.digest == made.digest


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("8 × 8 grey, as they came", "as they came"),
        ("640 × 480 RGB, as they came; compared as wholes at 32 × 24", "as they came"),
        ("32 × 32 RGB, resized from 512 × 512 (stretch)", "32 × 32 RGB, resized from 512 × 512 (stretch)"),
    ],
)
def test_what_became_of_the_pictures_is_told(size: str, said: str) -> None:
    assert _came(size) == said
