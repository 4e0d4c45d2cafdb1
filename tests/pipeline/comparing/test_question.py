"""What may be asked of a comparison, and what a wrong question is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.embedding.pretrained import Pretrained
from twinset.errors import MissingModelError, UsageError
from twinset.pipeline.comparing.question import Question, embedder_named, metrics_named
from twinset.pipeline.comparing.sources import Sources


@pytest.mark.parametrize("text", ["dinov2", "clip:", "inception"])
def test_a_network_without_a_path_says_which_file_it_looked_for_and_how_to_name_another(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINSET_MODELS", str(tmp_path))
    name = text.partition(":")[0]
    with pytest.raises(MissingModelError, match=f"expected the weights of {name}") as caught:
        Question(extractor=text).check()
    assert str(tmp_path) in caught.value.message
    assert f"--extractor {name}:PATH" in caught.value.hint
    # Where the weights lie in their place the name alone is enough.
    place = Path(caught.value.message.partition(": ")[0])
    place.parent.mkdir(exist_ok=True)
    place.touch()
    assert embedder_named(text) == Pretrained(name)  # type: ignore[arg-type]


def test_all_with_others_is_all() -> None:
    assert Question(metrics="all,kid").names == Question(metrics="all").names
    assert Question(metrics="kid,all").asks_for("kid")
    assert not Question(metrics="all").asks_for("kid")


def test_a_list_of_metrics_is_the_text_between_commas() -> None:
    assert metrics_named(["kid", "prdc"]) == metrics_named("kid,prdc") == "kid,prdc"
    for wrong in (3, ["kid", 3], {"kid"}):
        with pytest.raises(TypeError, match="a list of names; got"):
            metrics_named(wrong)  # type: ignore[arg-type]


def test_python_takes_metrics_as_a_list(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for name in ("real", "made"):
        np.save(tmp_path / f"{name}.npy", draws.normal(size=(40, 4)))
    sides = tmp_path / "real.npy", tmp_path / "made.npy"
    listed, text = (twinset.compare(*sides, metrics=metrics).scores for metrics in (["kid", "prdc"], "kid,prdc"))
    assert listed == text
    assert "kernel_distance" in listed


def test_training_images_are_asked_for_only_where_a_metric_is_named(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for name in ("real", "made"):
        np.save(tmp_path / f"{name}.npy", draws.normal(size=(40, 4)))
    sides = tmp_path / "real.npy", tmp_path / "made.npy"
    named = twinset.compare(*sides, metrics="default,authenticity").scores
    assert "authenticity" in named
    assert not any(name.startswith("nearest") for name in named)
    assert "authenticity" not in twinset.compare(*sides, metrics="all,kid").scores


def test_minutes_are_of_the_trainings() -> None:
    assert Question(utility=True).utility_seconds == 300
    assert Question(utility=True, minutes=2).utility_seconds == 120
    with pytest.raises(UsageError, match="expected --utility with --minutes"):
        Question(minutes=2).check()
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="expected --minutes above 0"):
            Question(utility=True, minutes=wrong).check()


def test_the_command_of_features_names_no_extractor_and_takes_none(tmp_path: Path) -> None:
    assert "--extractor" not in Sources("real.npy", "made.npy").command(Question())
    assert "--extractor random" in Sources("real", "made").command(Question())
    for name in ("real", "made"):
        np.save(tmp_path / f"{name}.npy", np.eye(4))
    with pytest.raises(UsageError, match="expected pictures with --extractor; got features"):
        twinset.compare(tmp_path / "real.npy", tmp_path / "made.npy", extractor="self")


def test_the_command_of_a_timed_study_says_so() -> None:
    assert "--utility --minutes 2.5" in Sources("a", "b", "c").command(Question(utility=True, minutes=2.5))
