"""One table of names for comparisons and recipes; what a run measures by default is not what a comparison does."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinset.errors import RecipeError, UnknownNameError
from twinset.evaluation import CLASS_METRICS, DEFAULT_METRICS, FEATURE_METRICS
from twinset.metric_names import BEYOND_FEATURES, BY_CLASS, DEFAULTS, ON_FEATURES, chosen
from twinset.pipeline.comparing.metrics import MEASURES
from twinset.pipeline.comparing.question import Question
from twinset.recipe import load_recipe, recipe_from_values


def test_the_names_are_those_of_the_metrics() -> None:
    assert tuple(FEATURE_METRICS) == ON_FEATURES
    assert tuple(MEASURES) == BEYOND_FEATURES
    assert [type(metric).__name__ for metric in DEFAULT_METRICS] == [
        "FrechetDistance", "KernelDistance", "PRDC", "Detectability", "NearestRecord",
    ]  # fmt: skip
    assert [FEATURE_METRICS[name] for name in DEFAULTS["run"] if name in BY_CLASS] == list(CLASS_METRICS)


@pytest.mark.parametrize("asked", ["default", "", []])
def test_nothing_said_is_the_default_of_whoever_asks(asked: str | list[str]) -> None:
    assert chosen(asked, by="run") == ("frechet", "kid", "prdc", "detectability", "nearest")
    assert set(chosen(asked, by="compare")) - set(chosen(asked, by="run")) == {"vendi", "authenticity"}


def test_lists_and_commas_say_the_same_and_nothing_is_asked_twice() -> None:
    assert chosen("kid, text,kid", by="run") == chosen(["kid", "text", "kid"], by="run") == ("kid", "text")
    assert chosen(["default", "cler"], by="run") == (*DEFAULTS["run"], "cler")
    assert chosen(["kid", "all"], by="run")[:2] == ("kid", "frechet")
    assert set(chosen("all", by="compare")) == {*ON_FEATURES, *BEYOND_FEATURES}


def test_a_recipe_refuses_what_a_comparison_refuses_in_the_same_words(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as compared:
        Question(metrics="fréchet").check()
    (tmp_path / "recipe.yaml").write_text("data: builtin:digits\nevaluate:\n  metrics:\n  - kid\n  - fréchet\n")
    with pytest.raises(RecipeError) as written:
        load_recipe(tmp_path / "recipe.yaml")
    assert "recipe.yaml:5: evaluate.metrics.1: " + compared.value.message in str(written.value)
    assert written.value.hint == compared.value.hint == "did you mean 'frechet'?"
    with pytest.raises(RecipeError, match=r"evaluate\.metrics: expected a metric out of all, authenticity"):
        recipe_from_values({"data": "builtin:digits"}, overrides=["evaluate.metrics=fid"])


def test_a_recipe_that_says_nothing_is_written_as_before() -> None:
    silent = recipe_from_values({"data": "builtin:digits"}).recipe
    assert silent.evaluate.metric_names == DEFAULTS["run"]
    assert "metrics" not in silent.to_values()["evaluate"]  # type: ignore[operator]


@pytest.mark.parametrize("asked", ["all", ["default", "text"], "vendi,kid"])
def test_what_is_measured_does_not_decide_the_dataset(asked: object) -> None:
    silent = recipe_from_values({"data": "builtin:digits"}).recipe
    asking = recipe_from_values({"data": "builtin:digits", "evaluate": {"metrics": asked}}).recipe
    assert asking.digest() == silent.digest()
    assert asking.evaluate.metric_names != silent.evaluate.metric_names


def test_metrics_of_nothing_are_refused() -> None:
    with pytest.raises(RecipeError, match="evaluate: expected metrics with fidelity: true; got fidelity: false"):
        recipe_from_values({"data": "builtin:digits", "evaluate": {"metrics": "all", "fidelity": False}})


@pytest.mark.parametrize(("asked", "said"), [([], "evaluate.metrics: expected"), (3, "evaluate.metrics: expected")])
def test_what_is_no_name_is_refused(asked: object, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        recipe_from_values({"data": "builtin:digits", "evaluate": {"metrics": asked}})
