"""Figures that were written down are ranked where their protocols agree, and refused by name where they do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.documents import CompareDocument, ScorePart, to_json
from twinset.errors import DataError, UsageError
from twinset.evaluation.ranking import ranking_of_figures
from twinset.pipeline.recorded_ranks import differences

FIGURE = ScorePart(
    value=0.5,
    low=0.3,
    high=0.7,
    n_real=300,
    n_synthetic=200,
    extractor="net",
    settings={"estimator": "unbiased", "dtype": "float64", "standard_error": 0.1},
    protocol={
        "extractor": "net",
        "weights_sha256": "aa",
        "input": "64 x 64 x 3",
        "fit": "stretch",
        "resize": "bicubic",
        "dtype": "float32",
        "seed": 0,
        "version": "1",
    },
)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weights_sha256", "bb"),
        ("input", "32 x 32 x 3"),
        ("fit", "pad"),
        ("resize", "nearest"),
        ("dtype", "float16"),
        ("version", "2"),
        ("extractor", "other"),
    ],
)
def test_every_part_of_the_protocol_must_agree(key: str, value: str) -> None:
    other = FIGURE.model_copy(update={"protocol": {**FIGURE.protocol, key: value}})
    assert differences(FIGURE, other) == [f"{key} ({FIGURE.protocol[key]}, {value})"]
    missing = FIGURE.model_copy(update={"protocol": {k: v for k, v in FIGURE.protocol.items() if k != key}})
    assert any(found.startswith(key) and "not said" in found for found in differences(FIGURE, missing))


def test_estimator_and_numbers_must_agree_and_the_seed_need_not() -> None:
    settings = {**FIGURE.settings, "estimator": "plug-in", "standard_error": 0.3}
    assert differences(FIGURE, FIGURE.model_copy(update={"settings": settings})) == ["estimator (unbiased, plug-in)"]
    settings = {**FIGURE.settings, "dtype": "float32"}
    found = differences(FIGURE, FIGURE.model_copy(update={"settings": settings}))
    assert found == ["dtype of the estimator (float64, float32)"]
    assert differences(FIGURE, FIGURE.model_copy(update={"n_real": 299})) == ["n_real (300, 299)"]
    fewer = FIGURE.model_copy(update={"n_synthetic": 100})
    assert differences(FIGURE, fewer) == []
    assert differences(FIGURE, fewer, biased=True) == ["n_synthetic (200, 100)"]
    assert differences(FIGURE, FIGURE.model_copy(update={"protocol": {**FIGURE.protocol, "seed": 7}})) == []


def written(path: Path, value: float, *, real: str = "r", **protocol: str) -> Path:
    figure = FIGURE.model_copy(update={"value": value, "protocol": {**FIGURE.protocol, **protocol}})
    document = CompareDocument(
        real="real/",
        synthetic=f"sets/{path.stem}",
        train=None,
        n_real=300,
        n_synthetic=200,
        protocol={"real_digest": real},
        scores={"kernel_distance": figure},
        seconds=1.0,
    )
    path.write_text(to_json(document))
    return path


def test_comparisons_are_ranked_by_what_they_say(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{name}.json", value) for name, value in (("bad", 2.0), ("good", 0.5), ("also", 0.6))]
    found = twinset.leaderboard(*paths)
    ranks = [(one.name, one.best, one.worst) for one in found.scores["kernel_distance"]]
    assert ranks == [("good", 1, 2), ("also", 1, 2), ("bad", 3, 3)]
    assert (found.n_real, found.n_synthetic, found.extractor) == (300, 200, "net")
    assert any("not measured again" in text for text in found.warnings)
    assert any(text.startswith("not ranked by frechet_distance: bad: expected") for text in found.warnings)


def test_another_protocol_or_other_real_images_are_refused_by_name(tmp_path: Path) -> None:
    one = written(tmp_path / "one.json", 0.5)
    other = written(tmp_path / "other.json", 0.6, weights_sha256="bb", input="32 x 32 x 3")
    with pytest.raises(
        DataError, match=r"one and other do not compare: they differ in weights_sha256 \(aa, bb\), input"
    ):
        twinset.leaderboard(one, other)
    with pytest.raises(DataError, match="expected comparisons with the same real images"):
        twinset.leaderboard(one, written(tmp_path / "elsewhere.json", 0.6, real="s"))
    with pytest.raises(UsageError, match="expected sets and runs, or JSON files of comparisons alone"):
        twinset.leaderboard(one, "builtin:digits")


def test_files_of_another_build_or_kind_are_one_clear_line(tmp_path: Path) -> None:
    one = written(tmp_path / "one.json", 0.5)
    values = json.loads(one.read_text())
    old = tmp_path / "old.json"
    for missing, place in (("n_real", "n_real"), ("scores", "scores")):
        old.write_text(json.dumps({key: value for key, value in values.items() if key != missing}))
        with pytest.raises(DataError, match=f"as this version writes it; got {place}: field required"):
            twinset.leaderboard(one, old)
    for text in ("{", "[]", '{"schema": "twinset/inspect/1"}'):
        old.write_text(text)
        with pytest.raises(DataError, match="expected the JSON of a comparison or a run"):
            twinset.leaderboard(one, old)


def test_two_comparisons_by_two_extractors_or_sizes_do_not_compare(tmp_path: Path) -> None:
    digits = twinset.load("builtin:digits")
    for name, rows in (("real", range(60)), ("made", range(60, 120))):
        digits.take(rows).export(tmp_path / name, format="imagefolder")
    paths = {}
    np.save(tmp_path / "real.npy", np.random.default_rng(0).normal(size=(60, 128)))
    for name, sides in (("pictures", ("real", "made")), ("features", ("real.npy", "real.npy"))):
        document = twinset.compare(*(tmp_path / side for side in sides), metrics=["kid"])
        document = document.model_copy(update={"protocol": {**document.protocol, "real_digest": "same"}})
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_text(to_json(document))
    with pytest.raises(DataError, match=r"differ in extractor \(random-convolution-128-32/1, given features\)"):
        twinset.leaderboard(*paths.values())


def test_ranks_of_figures_tell_apart_what_their_errors_allow() -> None:
    near = ranking_of_figures("ab", [1.0, 1.2], [0.1, 0.1], higher_is_better=False)
    assert [(one.best, one.worst) for one in near] == [(1, 2), (1, 2)]
    # 0.3 / (0.1 · √2) = 2.12 > 1.96; as one of three pairs it is not enough.
    assert [one.best for one in ranking_of_figures("ab", [1.0, 1.3], [0.1, 0.1], higher_is_better=True)] == [1, 2]
    assert ranking_of_figures("ab", [1.0, 1.3], [0.1, 0.1], higher_is_better=True)[0].name == "b"
    three = ranking_of_figures("abc", [1.0, 1.3, 1.15], [0.1, 0.1, 0.1], higher_is_better=True)
    assert {(one.best, one.worst) for one in three} == {(1, 3)}


@pytest.mark.slow
def test_two_runs_at_two_sizes_or_by_two_extractors_do_not_compare(tmp_path: Path) -> None:
    digits = twinset.load("builtin:digits")
    for name, rows in (("real", range(120)), ("made", range(120, 180))):
        digits.take(rows).export(tmp_path / name, format="imagefolder")
    results = {}
    for name, side, embedder in (
        ("one", 8, "random"),
        ("two", 8, "random"),
        ("large", 16, "random"),
        ("own", 8, "self"),
    ):
        recipe: dict[str, object] = {
            "data": str(tmp_path / "real"),
            "image": {"size": [side, side]},
            "generate": [{"use": "folder", "path": str(tmp_path / "made")}],
            "align": [],
            "evaluate": {
                "embedder": {"use": embedder, **({"steps": 5} if embedder == "self" else {})},
                "utility": "off",
                "explain": False,
            },
            "gate": {"copies": "off"},
        }
        twinset.run(recipe, out=tmp_path / name, workers=1, quiet=True)
        results[name] = tmp_path / name / "result.json"
    found = twinset.leaderboard(results["one"], results["two"])
    assert {(one.name, one.best, one.worst) for one in found.scores["kernel_distance"]} == {
        ("one", 1, 2),
        ("two", 1, 2),
    }
    with pytest.raises(DataError, match=r"differ in input \(8 x 8 x 1, 16 x 16 x 1\)") as caught:
        twinset.leaderboard(results["one"], results["large"])
    assert caught.value.exit_code == 4
    with pytest.raises(DataError, match="differ in extractor"):
        twinset.leaderboard(results["one"], results["own"])
