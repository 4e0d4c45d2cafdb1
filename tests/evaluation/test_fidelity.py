from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from twinset.evaluation import (
    PRDC,
    ByClass,
    Evidence,
    Features,
    FrechetDistance,
    KernelDistance,
    Need,
    fidelity,
    real_floor,
)
from twinset.randomness import Stream
from twinset.scores import Score
from twinset.threads import blas_threads, torch_threads


def draw(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(n, d))


@dataclass(frozen=True)
class MeanShift:
    """A metric as a plug-in author would write it."""

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"features"})

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:
        value = self.values(evidence.real, evidence.synthetic)["mean_shift"]
        return [Score("mean_shift", value, False, {"real": len(evidence.real), "synthetic": len(evidence.synthetic)})]

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        return {"mean_shift": float(np.linalg.norm(real.mean(axis=0) - synthetic.mean(axis=0)))}


def test_the_floor_stands_at_half_n_beside_the_figure_at_that_n() -> None:
    real, synthetic = draw(0, 200, 8), draw(1, 300, 8)
    (score,) = fidelity(real, synthetic, extractor="x", rng=Stream(0), metrics=(FrechetDistance(),))
    assert score.value is not None
    assert score.floor is not None
    assert (score.settings["floor_n_real"], score.settings["floor_n_other"]) == (100, 100)
    # One law on both sides: floor and figure agree at equal N, and both exceed the figure at full N.
    assert score.settings["value_at_floor"] == pytest.approx(score.floor, rel=0.3)
    assert score.floor > 1.5 * score.value
    assert any("compare these two" in text for text in score.warnings)


@dataclass(frozen=True)
class Watched(MeanShift):
    """Keeps what it was asked to compare."""

    seen: list[tuple[np.ndarray, np.ndarray]]

    def values(self, real: Features, synthetic: Features) -> Mapping[str, float | None]:
        self.seen.append((real, synthetic))
        return super().values(real, synthetic)


def test_floor_halves_share_no_image() -> None:
    real, metric = 100 * np.eye(41), Watched([])
    floor = real_floor(metric, real, real, rng=Stream(0), repeats=1)
    assert floor is not None
    assert (floor.real, floor.other) == (20, 20)
    mine, other = metric.seen[0]
    assert len(mine) == len(other) == 20
    assert not (mine @ other.T).any()


def test_floor_halves_share_no_family() -> None:
    families = np.repeat(np.arange(9), [9, 5, 5, 3, 3, 2, 1, 1, 1])
    real, metric = np.eye(9)[families], Watched([])
    floor = real_floor(metric, real, real, rng=Stream(0), families=families, repeats=4)
    assert floor is not None
    assert (floor.real, floor.other) == (15, 15)
    for mine, other in metric.seen[::2]:
        assert len(mine) == len(other) == 15
        assert not (mine @ other.T).any()
    assert len({mine.sum(axis=0).tobytes() for mine, _ in metric.seen[::2]}) > 1
    assert real_floor(metric, real, real, rng=Stream(0), families=np.zeros(30, int)) is None


def bursts(seed: int, *, families: int, size: int) -> np.ndarray:
    """Features of families that lie close together: (families · size, 16)."""
    return np.repeat(draw(seed, families, 16), size, axis=0) + 0.5 * draw(seed + 1, families * size, 16)


def test_another_set_of_bursts_scores_the_floor_and_not_four_times_as_much() -> None:
    real, twin, families = bursts(20, families=15, size=10), bursts(22, families=15, size=10), np.arange(150) // 10
    metrics = (FrechetDistance(), KernelDistance())
    known = fidelity(real, twin, extractor="x", rng=Stream(0), metrics=metrics, real_families=families)
    unknown = fidelity(real, twin, extractor="x", rng=Stream(0), metrics=metrics)
    for score, blind in zip(known, unknown, strict=True):
        assert score.floor is not None
        assert blind.floor is not None
        assert score.settings["real_families"] == 15
        assert 0.4 < float(score.settings["value_at_floor"]) / score.floor < 1.3
        assert float(blind.settings["value_at_floor"]) > 4 * blind.floor


def test_families_of_one_image_each_change_nothing() -> None:
    real, synthetic, classes = draw(24, 60, 4), draw(25, 60, 4), np.arange(60) % 2
    by_class = ByClass(["a", "b"], classes, classes)
    without = fidelity(real, synthetic, extractor="x", rng=Stream(0), by_class=by_class)
    with_families = fidelity(
        real, synthetic, extractor="x", rng=Stream(0), by_class=by_class, real_families=np.arange(60)
    )
    assert [score.settings["real_families"] for score in with_families[-12:]] == [30] * 12
    for one, other in zip(without, with_families, strict=True):
        assert (one.name, one.value, one.floor) == (other.name, other.value, other.floor)
    with pytest.raises(ValueError, match="a family for each of 60 real images"):
        fidelity(real, synthetic, extractor="x", rng=Stream(0), real_families=np.arange(59))


def test_every_metric_runs_on_one_extraction_with_extractor_counts_and_floor() -> None:
    scores = fidelity(
        draw(5, 60, 4), draw(6, 80, 4), extractor="test", rng=Stream(0), train=draw(7, 90, 4), holdout=draw(8, 60, 4)
    )
    assert [score.name for score in scores] == [
        "frechet_distance",
        "kernel_distance",
        "precision",
        "recall",
        "density",
        "coverage",
        "detectability_auc",
        "detectability_accuracy",
        "nearest_record_ratio",
        "nearest_record_share",
    ]
    for score in scores:
        assert score.extractor == "test"
        assert score.floor is not None
        assert score.interval is not None
        assert (score.counts["real"], score.counts["synthetic"]) == (60, 80)


def test_figures_by_class_find_the_class_that_is_wrong() -> None:
    real, synthetic = draw(9, 120, 4), draw(10, 120, 4)
    classes = np.repeat([0, 1, -1], 40)
    synthetic[classes == 1] += 5
    by_class = ByClass(["good", "bad", "absent"], classes, classes, metrics=(KernelDistance(), PRDC()))
    scores = {s.name: s for s in fidelity(real, synthetic, extractor="x", rng=Stream(0), metrics=(), by_class=by_class)}
    good, bad = scores["kernel_distance[good]"], scores["kernel_distance[bad]"]
    assert good.value is not None
    assert bad.value is not None
    assert bad.value > 10 * abs(good.value)
    assert scores["precision[bad]"].value == 0.0
    assert scores["precision[absent]"].value is None


def test_a_metric_of_ones_own_gets_a_floor_too() -> None:
    (score,) = fidelity(draw(11, 50, 3), draw(12, 50, 3) + 4, extractor="x", rng=Stream(0), metrics=(MeanShift(),))
    assert score.value == pytest.approx(4 * 3**0.5, rel=0.1)
    assert score.floor is not None
    assert score.floor < 1


def test_what_a_metric_needs_and_cannot_get_is_an_error() -> None:
    class Pixels(MeanShift):
        @property
        def needs(self) -> frozenset[Need]:
            return frozenset({"images"})

    with pytest.raises(ValueError, match=r"needs \['images'\]"):
        fidelity(draw(13, 9, 2), draw(14, 9, 2), extractor="x", rng=Stream(0), metrics=(Pixels(),))
    with pytest.raises(ValueError, match="of one D"):
        fidelity(draw(15, 9, 2), draw(16, 9, 3), extractor="x", rng=Stream(0))


def test_an_interval_without_width_says_that_it_is_no_certainty() -> None:
    draws = np.random.Generator(np.random.PCG64(0))
    x = draws.normal(size=(40, 3))
    far = {score.name: score for score in fidelity(x, x + 99, extractor="none", rng=Stream(0), metrics=[PRDC()])}
    assert far["density"].value == 0
    assert any("no width, which is no certainty" in text for text in far["density"].warnings)
    # Wilson's interval has one at the end of the scale.
    assert not any("no width" in text for text in far["precision"].warnings)


@pytest.mark.parametrize("threads", [2, 4])
def test_figures_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    draws = np.random.default_rng(0)
    real, synthetic = draws.normal(size=(60, 8)), draws.normal(0.2, 1, size=(50, 8))
    classes = ByClass(("a", "b"), np.arange(60) % 2, np.arange(50) % 2)

    def figures(count: int) -> list[tuple[str, float | None]]:
        with torch_threads(count), blas_threads(1):
            scores = fidelity(real, synthetic, extractor="x", rng=Stream(0), by_class=classes)
            assert torch.get_num_threads() == count
        return [(score.name, score.value) for score in scores]

    assert figures(threads) == figures(1)


def test_an_error_of_one_metric_is_raised_and_threads_are_put_back() -> None:
    class Broken:
        needs = frozenset({"features"})

        def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:
            raise RuntimeError("broken")

    features = np.random.default_rng(0).normal(size=(20, 4))
    with torch_threads(3):
        with pytest.raises(RuntimeError, match="broken"):
            fidelity(features, features, extractor="x", rng=Stream(0), metrics=[PRDC(), Broken()])
        assert torch.get_num_threads() == 3
