"""What trainings with differential privacy promise together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twinset.models.private.sitting import LOG
from twinset.pipeline.guarantees import account_in, together_sentences


def trained(folder: Path, *, epsilon: float | None = 2.0, finished: bool = True) -> Path:
    folder.mkdir()
    (folder / LOG).write_text(json.dumps({"account": {"epsilon": epsilon, "delta": 1e-3}, "finished": finished}))
    return folder


def test_several_private_trainings_spend_their_sum(tmp_path: Path) -> None:
    one, other = trained(tmp_path / "one"), trained(tmp_path / "other", epsilon=0.5)
    bare = tmp_path / "bare"
    bare.mkdir()
    (told,) = together_sentences([one, bare, other])
    assert told.startswith("2 private trainings looked at the same images: together they spent ε = 2.5 at δ = 0.002 ")
    assert together_sentences([one, bare]) == ()


@pytest.mark.parametrize("changes", [{"epsilon": None}, {"finished": False}])
def test_a_training_without_a_bound_or_an_end_promises_nothing(tmp_path: Path, changes: dict[str, object]) -> None:
    assert account_in(trained(tmp_path / "one", **changes)) is None  # type: ignore[arg-type]
