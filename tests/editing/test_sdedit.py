from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinset.dataset import Dataset
from twinset.editing.sdedit import SDEdit, SDEditor
from twinset.formats import read
from twinset.randomness import Stream
from twinset.stages import CalibratedMethod, ResumableEditorMethod, Workspace

SETTINGS = SDEdit(
    family="unet", width=32, depth=1, levels=1, patch=2, steps=60, batch=16, augment=0.0, sampler_steps=8, looks=0
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return read("builtin:digits", on_bad_input="refuse")[0].take(range(40))


@pytest.fixture(scope="module")
def editor(digits: Dataset) -> SDEditor:
    return SETTINGS.fit(digits, rng=2)


def mean_change(editor: SDEditor, digits: Dataset, strength: float) -> float:
    """Mean absolute change of grey values over ten digits."""
    changed = replace(editor, strength=strength)
    return float(
        np.mean(
            [
                np.abs(changed.edit(s, rng=Stream(i)).pixels().astype(int) - s.pixels().astype(int)).mean()
                for i, s in enumerate(digits.take(range(10)))
            ]
        )
    )


@pytest.mark.slow
def test_the_change_grows_with_the_strength(editor: SDEditor, digits: Dataset) -> None:
    little, half, all_ = (mean_change(editor, digits, strength) for strength in (0.05, 0.5, 1.0))
    assert little < 3
    assert little < half < all_


@pytest.mark.slow
def test_label_and_parent_are_kept(editor: SDEditor, digits: Dataset) -> None:
    edited = editor.edit(digits[4], rng=Stream(5))
    assert edited.annotation == digits[4].annotation
    assert edited.origin.method == "sdedit"
    assert edited.origin.seed == 5
    assert edited.origin.parents == (digits[4].id,)


def test_one_stream_gives_one_edit(editor: SDEditor, digits: Dataset) -> None:
    first, again, other = (editor.edit(digits[4], rng=Stream(seed)).pixels() for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_full_strength_forgets_the_picture_but_not_the_class(editor: SDEditor, digits: Dataset) -> None:
    free = replace(editor, strength=1.0)
    other = replace(digits[4], image=255 - digits[4].pixels())
    left, right = (free.edit(s, rng=Stream(5)).pixels().astype(int) for s in (digits[4], other))
    kept = replace(editor, strength=0.3)
    near, far = (kept.edit(s, rng=Stream(5)).pixels().astype(int) for s in (digits[4], other))
    assert np.abs(left - right).mean() < 0.3 * np.abs(near - far).mean()


def test_an_unlabelled_sample_is_refused(editor: SDEditor, digits: Dataset) -> None:
    with pytest.raises(ValueError, match="without a class"):
        editor.edit(replace(digits[0], annotation=None), rng=Stream(0))


@pytest.mark.parametrize("strength", [0.0, -0.5, 1.5])
def test_a_strength_outside_the_interval_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        SDEdit(strength=strength)


def test_it_loads_what_it_fitted(digits: Dataset, tmp_path: Path) -> None:
    quick = replace(SETTINGS, steps=3)
    assert isinstance(quick, ResumableEditorMethod)
    assert isinstance(quick, CalibratedMethod)
    fitted = quick.fit(digits, rng=2, workspace=Workspace(folder=tmp_path))
    loaded = quick.load(tmp_path)
    assert np.array_equal(
        fitted.edit(digits[1], rng=Stream(1)).pixels(), loaded.edit(digits[1], rng=Stream(1)).pixels()
    )
