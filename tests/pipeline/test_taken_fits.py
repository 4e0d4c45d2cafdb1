"""A fit is taken over from another run where it would come out the same to the bit, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.formats import read, write
from twinset.pipeline import running
from twinset.pipeline.frontier.guarantees import trained_guarantee
from twinset.pipeline.frontier.telling import not_covered
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.taken_fits import taken_from
from twinset.recipe import recipe_from_values

OFF = {"fidelity": False, "metadata": False, "explain": False, "utility": "off"}
TINY = {"use": "diffusion", "family": "unet", "width": 32, "depth": 1, "levels": 2, "patch": 1, "steps": 4, "batch": 16,
        "augment": 0.0, "sampler_steps": 2, "looks": 0}  # fmt: skip
PRIVATE = {"use": "mean-embedding", "privacy": {"epsilon": 5}, "steps": 4, "features": 20, "width": 8}
MODEL = {"diffusion": "models/0-diffusion/model.safetensors", "mean": "models/0-mean-embedding/model.safetensors"}


class Notes(Quiet):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, text: str) -> None:
        self.heard.append(text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``real``, digits in given parts; ``first``, a run without filters; ``private``, one of a private generator."""
    place = tmp_path_factory.mktemp("fits")
    digits, _ = read("builtin:digits")
    rows = np.flatnonzero(digits.class_ids < 2)[:120]
    splits = ["train"] * 60 + ["validation"] * 30 + ["test"] * 30
    write(digits.take(rows).with_splits(splits), place / "real", "imagefolder")
    ran(place, "first", align="off")
    ran(place, "private", align="off", generate=[PRIVATE])
    return place


def ran(root: Path, name: str, *, fits_of: str = "", notes: Notes | None = None, **changed: object) -> Path:
    values = {
        "data": str(root / "real"),
        "generate": [TINY],
        "count": 20,
        "threads": 1,
        "fit_seed": 7,
        "align": [{"use": "copies"}],
        "evaluate": OFF,
        "gate": {"copies": "off"},
        **changed,
    }
    written = recipe_from_values({key: value for key, value in values.items() if value is not None})
    first = root / fits_of if fits_of else None
    out, listener = root / name, notes or Quiet()
    running.run(written, out=out, workers=1, device="cpu", listener=listener, fits_of=first)
    return out


def digest(run: Path) -> str:
    return str(json.loads((run / "result.json").read_text())["digest"])


@pytest.mark.slow
def test_a_run_with_other_filters_takes_the_fit_over_as_it_would_make_it_itself(root: Path) -> None:
    notes = Notes()
    own, taken = ran(root, "own"), ran(root, "taken", fits_of="first", notes=notes)
    weights = [(root / name / MODEL["diffusion"]).read_bytes() for name in ("first", "own", "taken")]
    assert weights[0] == weights[1] == weights[2]
    assert digest(own) == digest(taken) != digest(root / "first")
    assert (taken_from(taken), taken_from(own)) == ("first", "")
    assert "the fit of generator diffusion is taken over from first" in notes.heard
    assert twinset.verify(taken, samples=2, quiet=True).ok


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"fit_seed": None}, "fit_seed, the streams"),
        ({"generate": [{**TINY, "steps": 5}]}, "generate"),
        ({"seed": 3, "split": {"shots": 20}}, "the real images"),
    ],
)
def test_what_would_come_out_otherwise_is_fitted_anew_and_said(
    changed: dict[str, object], differs: str, root: Path, tmp_path: Path
) -> None:
    notes = Notes()
    if "split" in changed:
        loose, _ = read(root / "real")
        write(loose.with_splits([None] * len(loose)), tmp_path / "real", "imagefolder")
        changed = {**changed, "data": str(tmp_path / "real")}
    other = ran(root, str(tmp_path / "other"), fits_of="first", notes=notes, **changed)
    assert taken_from(other) == ""
    assert f"the fits of first are not taken over: {differs} differ" in notes.heard
    if "seed" not in changed:
        assert (other / MODEL["diffusion"]).read_bytes() != (root / "first" / MODEL["diffusion"]).read_bytes()


def test_a_fit_seed_is_of_fits_alone_and_leaves_recipes_without_one_as_they_were(root: Path) -> None:
    values = {"data": str(root / "real"), "generate": [TINY]}
    without, given = recipe_from_values(values), recipe_from_values({**values, "fit_seed": 7})
    assert "fit_seed" not in without.recipe.to_values()
    assert without.recipe.digest() != given.recipe.digest()
    other = ran(root, "other-seed", seed=5)
    assert (other / MODEL["diffusion"]).read_bytes() == (root / "first" / MODEL["diffusion"]).read_bytes()


def test_a_private_fit_that_is_taken_over_is_spent_and_counted_once(root: Path) -> None:
    taken = ran(root, "private-taken", fits_of="private", generate=[PRIVATE])
    own = ran(root, "private-own", generate=[PRIVATE])
    weights = [(each / MODEL["mean"]).read_bytes() for each in (root / "private", taken, own)]
    assert weights[0] == weights[1] != weights[2]
    spent = [trained_guarantee(each) for each in (root / "private", taken)]
    assert spent[0] == spent[1]
    assert spent[0] is not None
    assert spent[0].epsilon == pytest.approx(5, rel=1e-3)
    once = not_covered(spent, once=[True, not taken_from(taken)])
    assert f"Those with a guarantee, 2, spent ε = {spent[0].epsilon:.4g} at" in once
    assert "1 of them took over the training of another, which is counted once." in once
    twice = not_covered(spent, once=[True, True])
    assert f"spent ε = {2 * spent[0].epsilon:.4g} at" in twice
    assert "took over" not in twice
