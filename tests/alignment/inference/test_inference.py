"""Inference on arrays with hidden truth: what is found, what is warned of, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.alignment.inference.worlds import World, world

from twinset.alignment.inference import Inference, InferenceSettings, infer, inferred_measures, target_of
from twinset.randomness import Stream

FAST = InferenceSettings(resamples=200)


def inferred(made: World, seen: World, **changes: object) -> Inference:
    given = {"features": made.features, "values": made.values, "settings": FAST, "rng": Stream(0)} | changes
    return infer(
        given["features"],  # type: ignore[arg-type]
        given["values"],  # type: ignore[arg-type]
        seen.features,
        groups=made.groups,
        real_groups=seen.groups,
        settings=given["settings"],  # type: ignore[arg-type]
        rng=given["rng"],  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def made() -> World:
    return world(1)


@pytest.fixture(scope="module")
def alike(made: World) -> tuple[Inference, World]:
    seen = world(2, pictures=50, mean=0.8, spread=0.5)
    return inferred(made, seen), seen


@pytest.fixture(scope="module")
def shifted(made: World) -> tuple[Inference, World]:
    seen = world(2, pictures=50, mean=0.8, spread=0.5, shift=0.8)
    return inferred(made, seen), seen


def test_everything_is_inferred_where_features_say_it(alike: tuple[Inference, World]) -> None:
    found, seen = alike
    assert found.inferable == ("depth", "occlusion", "shape")
    assert found.affected == ()
    for name, column in (("depth", seen.hidden[:, 0]), ("occlusion", seen.hidden[:, 1])):
        one = found[name]
        assert one.extractor == "sharp" == one.candidates[0].extractor
        assert one.interval[0] < one.score < one.interval[1]
        error = float(np.sqrt(((one.predictions - column) ** 2).mean()))
        assert one.expected_error == pytest.approx(error, rel=0.35)
    right = np.mean(np.array(found["shape"].values()) == np.asarray(seen.values["shape"]))
    assert found["shape"].expected_error == pytest.approx(1 - right, abs=0.05)


def test_the_expected_error_is_that_of_the_values_real_pictures_have(made: World) -> None:
    """Far objects are foretold four times worse, and all real ones are far: the error of the whole set is too small."""
    draws = np.random.default_rng(7)

    def seen_from(one: World) -> dict[str, np.ndarray]:
        far = 1 + 5 * (one.hidden[:, :1] > 0.5)
        return {"sharp": one.features["sharp"] + 0.15 * far * draws.normal(size=one.features["sharp"].shape)}

    near_and_far, far = world(1, pictures=300), world(2, pictures=150, mean=1.2, spread=0.35)
    real = seen_from(far)
    found = infer(
        seen_from(near_and_far),
        {"depth": near_and_far.hidden[:, 0]},
        real,
        groups=near_and_far.groups,
        settings=InferenceSettings(resamples=200, threshold=0.3, most_beyond=0.9, most_disagreement=9.0),
        rng=0,
    )["depth"]
    error = float(np.sqrt(((found.predictions - far.hidden[:, 0]) ** 2).mean()))
    assert found.expected_error is not None
    assert found.synthetic_error < found.expected_error < error
    assert error - found.expected_error < 0.8 * (error - found.synthetic_error)


def test_a_fold_never_holds_rows_of_one_picture_on_both_sides(made: World) -> None:
    """A feature that names the picture, and values that are the picture's own: only a leak could foretell them."""
    pictures = len(np.unique(made.groups))
    draws = np.random.default_rng(3)
    named = {"names": np.eye(pictures)[made.groups] + 0.01 * draws.normal(size=(len(made.groups), pictures))}
    own = {"own": draws.normal(size=pictures)[made.groups]}
    real = {"names": draws.normal(size=(40, pictures))}
    found = infer(named, own, real, groups=made.groups, settings=FAST, rng=0)
    assert found["own"].score < 0.1
    leaky = infer(named, own, real, groups=np.arange(len(made.groups)), settings=FAST, rng=0)
    assert leaky["own"].score > 0.9


def test_a_shift_of_features_is_warned_of_for_every_measure_it_harms(shifted: tuple[Inference, World]) -> None:
    found, seen = shifted
    depth = found["depth"]
    assert depth.score > 0.8
    assert float(np.sqrt(((depth.predictions - seen.hidden[:, 0]) ** 2).mean())) > 2 * depth.synthetic_error
    assert set(found.affected) == {"depth", "occlusion", "shape"}
    assert depth.expected_error is None
    assert depth.real_error is not None
    assert "no synthetic" in depth.real_error.undefined_because
    assert any("WARNING" in sentence and "depth" in sentence for sentence in found.sentences())
    assert any("times as much on real rows" in warning for warning in depth.warnings)
    assert found.shifts["sharp"].auc > 0.95
    assert found.shifts["sharp"].beyond > 0.9


def test_features_that_hold_the_measure_itself_raise_no_warning() -> None:
    """Two models differ by the pull of their penalties alone, which grows with the values."""
    draws = np.random.default_rng(4)
    depth, real = draws.uniform(-2, 2, size=400), draws.uniform(1.6, 1.95, size=200)

    def seen(values: np.ndarray) -> dict[str, np.ndarray]:
        return {"twice": np.column_stack([values, values]), "once": values[:, None]}

    found = infer(seen(depth), {"depth": depth}, seen(real), groups=np.arange(400), settings=FAST, rng=0)["depth"]
    assert found.score > 0.999
    assert found.warnings == ()


def test_errors_that_are_not_known_are_in_no_target(made: World) -> None:
    told = []
    for shift in (0.0, 0.8):
        seen = world(2, pictures=50, mean=0.8, spread=0.5, shift=shift)
        found = inferred(made, seen, values={"ambient": made.hidden[:, 0]})
        measures = inferred_measures(pictures=found, images=len(seen.groups))
        told.append(target_of(measures, found, rng=0, most_components=1).errors)
    assert 0 < told[0]["ambient"].mean_absolute_error < 0.6
    assert told[1] == {}


def test_other_values_among_the_same_features_are_no_shift(alike: tuple[Inference, World]) -> None:
    found, _ = alike
    shift = found.shifts["sharp"]
    assert 0.6 < shift.auc < 0.95
    assert shift.beyond < 0.15
    assert found["depth"].real_error is not None
    assert found["depth"].real_error.effective < 0.8 * 480


def test_the_least_error_of_one_of_two_models_is_a_bound(shifted: tuple[Inference, World]) -> None:
    """Of two models that differ by d one is off by d / 2: the triangle inequality, whatever the truth."""
    depth = shifted[0]["depth"]
    assert depth.real_error is not None
    assert depth.real_error.at_least == max(one.real for one in depth.disagreements) / 2
    assert depth.real_error.at_least > depth.synthetic_error


@pytest.mark.parametrize("seed", range(4))
def test_permuted_features_foretell_nothing(made: World, seed: int) -> None:
    draws = np.random.default_rng(seed)
    permuted = {name: draws.permutation(rows) for name, rows in made.features.items()}
    found = inferred(made, world(2, pictures=50), features=permuted, rng=Stream(seed))
    assert found.inferable == ()
    assert all(one.score < 0.1 and one.predictions is None for one in found.measures)
    assert all("not inferable" in sentence for sentence in found.sentences())


@pytest.mark.slow
def test_the_threshold_decides_and_nothing_else(made: World) -> None:
    seen = world(2, pictures=50)
    score = inferred(made, seen)["depth"].score
    just_above = InferenceSettings(resamples=200, threshold=score - 1e-6)
    just_below = InferenceSettings(resamples=200, threshold=score + 1e-6)
    assert inferred(made, seen, settings=just_above)["depth"].inferable
    assert not inferred(made, seen, settings=just_below)["depth"].inferable


def test_selection_inside_folds_cannot_be_fooled_by_many_useless_features(made: World) -> None:
    """Of 600 columns of noise the best for all 100 rows look good; picked within training rows they do not."""
    draws = np.random.default_rng(5)
    noise = {"noise": draws.normal(size=(100, 600))}
    chosen = InferenceSettings(resamples=200, selection="forest", kept_features=20, trees=20, folds=3, inner_folds=2)
    real = {"noise": draws.normal(size=(60, 600))}
    values = {"depth": draws.normal(size=100)}
    found = infer(noise, values, real, groups=np.arange(100), settings=chosen, rng=0)
    assert found["depth"].score < 0.1


@pytest.mark.slow
def test_a_forest_finds_the_features_that_matter(made: World) -> None:
    draws = np.random.default_rng(5)
    seen = world(2, pictures=30)
    wide = {"wide": np.concatenate([made.features["sharp"], draws.normal(size=(len(made.groups), 200))], axis=1)}
    real = {"wide": np.concatenate([seen.features["sharp"], draws.normal(size=(len(seen.groups), 200))], axis=1)}
    chosen = InferenceSettings(resamples=200, selection="forest", kept_features=24, trees=40, folds=3, inner_folds=2)
    found = infer(wide, {"depth": made.hidden[:, 0]}, real, groups=made.groups, settings=chosen, rng=0)
    assert found["depth"].inferable


def test_restored_values_have_the_mean_and_spread_that_predictions_have_lost(made: World) -> None:
    seen = world(2, pictures=150, mean=0.8, spread=0.5)
    blunt = infer(
        {"blunt": made.features["blunt"]},
        {"depth": made.hidden[:, 0]},
        {"blunt": seen.features["blunt"]},
        groups=made.groups,
        settings=InferenceSettings(resamples=200, threshold=0.2),
        rng=0,
    )["depth"]
    truth = seen.hidden[:, 0]
    assert blunt.restored is not None
    assert blunt.predictions is not None
    assert abs(blunt.restored.mean() - truth.mean()) < 0.5 * abs(blunt.predictions.mean() - truth.mean())
    assert blunt.restored.std() == pytest.approx(truth.std(), rel=0.3)


def test_shares_of_classes_undo_confusion() -> None:
    made = world(1, noise=1.0)
    seen = world(2, pictures=200, noise=1.0)
    kept = (seen.hidden[:, 2] > 0) | (np.arange(len(seen.hidden)) % 4 == 0)
    truth = np.asarray(seen.values["shape"])[kept]
    real = {name: rows[kept] for name, rows in seen.features.items()}
    settings = InferenceSettings(resamples=200, threshold=0.2)
    found = infer(made.features, {"shape": made.values["shape"]}, real, groups=made.groups, settings=settings, rng=0)
    one = found["shape"]
    assert sum(one.shares.values()) == pytest.approx(1)
    assert one.shares["round"] == pytest.approx(float((truth == "round").mean()), abs=0.06)


def test_unknown_values_are_left_out_and_the_rest_is_used(made: World) -> None:
    values = {"depth": np.where(made.groups % 2 == 0, made.hidden[:, 0], np.nan), "nothing": np.full(480, np.nan),
              "same": np.ones(480), "rounded": np.nextafter(50.0, np.where(made.groups % 3, 0, 99))}  # fmt: skip
    found = inferred(made, world(2, pictures=50), values=values)
    assert found["depth"].rows == 240
    assert found["depth"].inferable
    assert set(found.left_out) == {"nothing", "same", "rounded"}


@pytest.mark.slow
def test_equal_streams_give_equal_findings(made: World) -> None:
    seen = world(2, pictures=30)
    first, second, other = (inferred(made, seen, rng=Stream(seed)).to_record() for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_the_record_is_plain_json(alike: tuple[Inference, World]) -> None:
    text = json.dumps(alike[0].to_record(), allow_nan=False)
    again = json.loads(text)
    assert [one["measure"] for one in again["measures"]] == ["depth", "occlusion", "shape"]
    assert set(again["measures"][2]["values"]) <= {"round", "square"}
    assert again["affected"] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"features": {}}, "same extractors"),
        ({"features": {"sharp": np.zeros((480, 24))}}, "same extractors"),
        ({"features": {"sharp": np.zeros((480, 23)), "blunt": np.zeros((480, 16))}}, "expected features"),
        ({"features": {"sharp": np.full((480, 24), np.nan), "blunt": np.zeros((480, 16))}}, "finite features of sharp"),
        ({"values": {"depth": np.zeros(7)}}, "expected 480 values of depth"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_belong_together_are_refused(made: World, change: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        inferred(made, world(2, pictures=30), **change)


def test_a_picture_with_most_of_the_objects_is_no_obstacle() -> None:
    draws = np.random.default_rng(4)
    groups = np.repeat(np.arange(31), [150, *[4] * 30])
    features = {"any": draws.normal(size=(len(groups), 4))}
    found = infer(features, {"depth": features["any"][:, 0]}, features, groups=groups, settings=FAST, rng=0)
    assert found.inferable == ("depth",)


def test_a_measure_known_of_too_few_pictures_says_how_many_are_needed(made: World) -> None:
    values = {"depth": np.where(made.groups < 7, made.hidden[:, 0], np.nan)}
    settings = InferenceSettings(resamples=200, folds=8)
    found = inferred(made, world(2, pictures=50), values=values, settings=settings)
    assert found.left_out["depth"] == "expected 20 known values in 8 pictures; got 28 in 7"


def test_too_few_pictures_are_refused(made: World) -> None:
    with pytest.raises(ValueError, match="at least 5 real pictures; got 3"):
        inferred(made, world(2, pictures=3))


@pytest.mark.parametrize(
    "changes", [{"threshold": 1.0}, {"folds": 1}, {"selection": "all"}, {"strength": 0.0}, {"most_disagreement": 1.0}]
)
def test_settings_are_checked(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        InferenceSettings(**changes)  # type: ignore[arg-type]
