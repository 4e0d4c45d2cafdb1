"""What recorded parents explain, and what they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

import twinset
from twinset.images import PixelBatch
from twinset.privacy.gate import GateResult, copy_gate
from twinset.privacy.recorded import Made, unexplained

Judge = Callable[[PixelBatch, PixelBatch], GateResult]


@pytest.fixture(scope="module")
def pixels() -> tuple[PixelBatch, PixelBatch, PixelBatch]:
    """200 training digits, 150 held-out ones, and 60 that nobody else has."""
    digits = twinset.load("builtin:digits")
    rows = np.random.default_rng(3).permutation(len(digits))[:410]
    images = np.stack([digits[int(row)].pixels() for row in rows])
    return images[:200], images[200:350], images[350:]


def found(
    pixels: tuple[PixelBatch, PixelBatch, PixelBatch],
    accepted: Made,
    candidates: Made | None = None,
    families: NDArray[np.int64] | None = None,
) -> GateResult:
    training, holdout, _ = pixels

    def judge(
        candidates: PixelBatch, accepted: PixelBatch, parents: Sequence[Sequence[int]] | None = None
    ) -> GateResult:
        return copy_gate(candidates=candidates, accepted=accepted, training=training, holdout=holdout, parents=parents)

    made = candidates or accepted
    whole = judge(made.pictures, accepted.pictures, accepted.parents)
    kin = np.arange(len(training)) if families is None else families
    return unexplained(whole, candidates=made, accepted=accepted, families=kin, judge=judge, alpha=0.01)


def beside(*parts: Made) -> Made:
    return Made(np.concatenate([part.pictures for part in parts]), [own for part in parts for own in part.parents])


def children(pixels: tuple[PixelBatch, PixelBatch, PixelBatch], count: int = 40) -> Made:
    """Training images with noise over them, which they record."""
    return Made(noisy(pixels[0][:count]), [[row] for row in range(count)])


def noisy(pictures: PixelBatch) -> PixelBatch:
    noise = np.random.default_rng(0).normal(0, 12, pictures.shape)
    return np.clip(pictures + noise, 0, 255).astype(np.uint8)


def test_children_may_show_their_parents_and_those_of_their_family(pixels: tuple[PixelBatch, ...]) -> None:
    made = children(pixels)
    assert found(pixels, made).passed
    others = Made(made.pictures, [[row ^ 1] for row in range(40)])
    assert not found(pixels, others).passed
    assert found(pixels, others, families=np.arange(200) // 2).passed


def test_a_training_image_that_is_not_on_record_blocks(pixels: tuple[PixelBatch, ...]) -> None:
    training = pixels[0]
    thief = Made(training[100:101], [[7]])
    result = found(pixels, beside(children(pixels), thief))
    assert result.reasons == ("1 of the images to be released are training images that they do not record",)
    assert result.pairs[0].synthetic == 40
    assert found(pixels, beside(children(pixels), Made(training[100:101], [[7, 100]]))).passed


def test_near_copies_of_others_block_where_they_are_many(pixels: tuple[PixelBatch, ...]) -> None:
    near = Made(noisy(pixels[0][100:112]), [[7]] * 12)
    result = found(pixels, beside(children(pixels), near))
    assert any("show a training image that they do not record" in reason for reason in result.reasons)
    assert {pair.synthetic for pair in result.pairs[:12]} == set(range(40, 52))


def test_a_held_out_image_is_explained_by_no_parent(pixels: tuple[PixelBatch, ...]) -> None:
    result = found(pixels, beside(children(pixels), Made(pixels[1][:1], [[7]])))
    assert result.reasons == (
        "1 of the images to be released are held-out real images: what was measured on those is void",
    )


def test_a_copier_beside_many_pasted_pictures_is_found(pixels: tuple[PixelBatch, ...]) -> None:
    thief = Made(pixels[0][150:158], [[] for _ in range(8)])
    result = found(pixels, beside(children(pixels, 100), thief))
    assert result.reasons
    assert all(reason.startswith("of images without a recorded parent: ") for reason in result.reasons)
    assert {pair.synthetic for pair in result.pairs[:8]} == set(range(100, 108))


def test_what_honest_images_are_made_beside_does_not_count_against_them(pixels: tuple[PixelBatch, ...]) -> None:
    honest = Made(pixels[2], [[] for _ in pixels[2]])
    everything = beside(honest, children(pixels))
    assert found(pixels, honest, everything).passed
    nothing = Made(pixels[2][:0], [])
    assert found(pixels, nothing, children(pixels)).passed


def test_without_any_parents_it_is_the_gate(pixels: tuple[PixelBatch, ...]) -> None:
    thieves = Made(pixels[0][:20], [[] for _ in range(20)])
    result = found(pixels, thieves)
    assert not result.passed
    assert "20 of the images to be released are training images" in result.reasons
