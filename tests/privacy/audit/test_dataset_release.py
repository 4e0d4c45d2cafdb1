from __future__ import annotations

import numpy as np
import pytest

from twinset.copying import copy_features, nearest_copies
from twinset.copytest import Known
from twinset.distances import Distances
from twinset.errors import DataError
from twinset.privacy.audit import dataset_release
from twinset.privacy.audit.answers import BlindBaseline
from twinset.privacy.audit.controls import Independents, Planted, disguised, independent, least_found, plant
from twinset.privacy.audit.dataset_release import DatasetAudit, DatasetRelease, audit_dataset
from twinset.randomness import Stream


@pytest.fixture(scope="module")
def pools() -> list[tuple[np.ndarray, np.ndarray]]:
    """Training, held-out and reference digits: three times uint8 (599, 8, 8, 1) with classes (599,)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, :, :, None]
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(images))
    return [(images[rows], found.target[rows]) for rows in np.array_split(order, 3)]


def smoothed(pool: tuple[np.ndarray, np.ndarray], seed: int, *, deviation: float = 12.0) -> np.ndarray:
    """A kernel-density generator: images of the pool with noise."""
    draw = np.random.Generator(np.random.PCG64(seed))
    chosen = pool[0][draw.integers(len(pool[0]), size=599)]
    return np.clip(np.rint(chosen + draw.normal(0, deviation, chosen.shape)), 0, 255).astype(np.uint8)


def gaussian(pool: tuple[np.ndarray, np.ndarray], seed: int) -> np.ndarray:
    """A full Gaussian for every class of the pool."""
    draw = np.random.Generator(np.random.PCG64(seed))
    made = []
    for name in range(10):
        rows = pool[0][pool[1] == name].reshape(-1, 64).astype(float)
        made.append(draw.multivariate_normal(rows.mean(axis=0), np.cov(rows.T) + 1e-3 * np.eye(64), size=60))
    return np.clip(np.rint(np.concatenate(made)[:599].reshape(-1, 8, 8, 1)), 0, 255).astype(np.uint8)


def canaries(pools: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """An independent generator that repeats ten training images in 2 % of its outputs."""
    made = smoothed(pools[2], 3)
    made[:12] = pools[0][0][np.arange(12) % 10]
    return made


def audit(pools: list[tuple[np.ndarray, np.ndarray]], made: np.ndarray, **more: object) -> DatasetAudit:
    (training, classes), (holdout, others), (reference, _) = pools
    release = DatasetRelease(made, training, holdout, reference, Known(classes), Known(others))
    return audit_dataset(release, rng=Stream(0), **more)  # type: ignore[arg-type]


def test_a_verbatim_copier_is_found(pools) -> None:
    found = audit(pools, pools[0][0], controls=False)
    assert found.answer == "leak_found"
    assert found.attacks[0].auc > 0.99
    assert found.attacks[0].powers[-1].share > 0.99


@pytest.mark.slow
def test_ten_canaries_in_two_percent_of_the_outputs_are_found_though_no_attack_sees_them(pools) -> None:
    found = audit(pools, canaries(pools), controls=False)
    assert found.answer == "leak_found"
    assert found.test.training_hits == 10
    assert max(figures.auc for figures in found.attacks) < 0.56
    assert found.closest.p_value > 0.01


def test_a_kernel_density_generator_is_found(pools) -> None:
    assert audit(pools, smoothed(pools[0], 1), controls=False).answer == "leak_found"


def test_a_gaussian_for_every_class_is_found(pools) -> None:
    found = audit(pools, gaussian(pools[0], 1), controls=False)
    assert found.answer == "leak_found"
    assert found.test.training_hits == 0


@pytest.mark.slow
def test_an_innocent_generator_whose_near_images_were_refused_leaks_by_the_holes(pools) -> None:
    """Its images are those of another pool with noise: without the refusal the audit has nothing against them."""
    made = np.concatenate([smoothed(pools[2], seed) for seed in range(4)])
    radius = np.quantile(nearest_copies(pools[1][0], pools[0][0], k=1)[0], 0.5)
    kept = made[nearest_copies(made, pools[0][0], k=1)[0][:, 0] >= radius]
    found = audit(pools, kept, controls=False)
    assert found.answer == "leak_found"
    assert [name for name, p in found.p_values.items() if p < 0.001] == ["hole"]
    assert found.attacks[0].auc < 0.5
    assert audit(pools, made[: len(kept)], controls=False).p_value > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("make", [smoothed, gaussian])
def test_independent_generators_pass_and_what_was_planted_is_told(pools, make) -> None:
    found = audit(pools, make(pools[2], 1), independent_sets=2)
    assert found.answer == "no_leakage_detected", found.finding
    assert {each.how for each in found.planted if each.found} == {"verbatim", "disguised"}
    assert found.independents is not None
    assert found.independents.flagged == 0
    assert "planted copies of training images" in found.finding
    assert "private" not in found.finding


@pytest.mark.slow
def test_without_controls_nothing_is_given_clearance(pools) -> None:
    assert audit(pools, smoothed(pools[2], 1), controls=False).answer == "inconclusive"


@pytest.mark.slow
@pytest.mark.parametrize("families", [None, np.arange(599) // 3])
def test_distances_that_controls_share_change_no_figure(pools, families, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted sets and halves take neighbours from the lists of others; alone, each is searched anew."""
    (training, classes), (holdout, others), (reference, _) = [(copy_features(each), names) for each, names in pools]
    known = [Known(names, families) for names in (classes, others)]
    if families is not None:
        known[1] = Known(others, 1000 + families)
    release = DatasetRelease(copy_features(smoothed(pools[2], 1)), training, holdout, reference, *known)
    tested, apart = dataset_release._Asked.tested, Distances.made_of
    seen: list[list[dict[str, float]]] = []
    for shared in (True, False):
        seen.append([])

        def recorded(asked: object, made: np.ndarray) -> object:
            found = tested(asked, made)  # type: ignore[arg-type]
            aucs = {f"auc of {figures.name}": figures.auc for figures in found[1]}
            seen[-1].append({**found[2], **aucs})
            return found

        with monkeypatch.context() as patch:
            patch.setattr(dataset_release._Asked, "tested", recorded)
            if not shared:
                patch.setattr(Distances, "made_of", lambda self, made, *_: apart(self, made))
            assert audit_dataset(release, rng=Stream(0), independent_sets=2).independents is not None
    assert len(seen[0]) > 5
    assert seen[0] == [pytest.approx(each, rel=1e-9) for each in seen[1]]


@pytest.mark.slow
def test_who_can_tell_the_sides_apart_without_the_release_makes_it_inconclusive(pools) -> None:
    features = [(copy_features(images), classes) for images, classes in pools]
    made = copy_features(smoothed(pools[2], 1))
    fair, unfair = (audit(features, made, blind=BlindBaseline(a, a - 0.03, a + 0.03)) for a in (0.52, 0.6))
    assert fair.answer == "no_leakage_detected", fair.finding
    assert unfair.answer == "inconclusive"
    assert "differ without the release (AUC 0.60" in unfair.finding


@pytest.mark.slow
def test_who_can_tell_the_sides_apart_without_the_release_proves_no_leak_by_that_but_by_hits(pools) -> None:
    differ = BlindBaseline(0.6, 0.57, 0.63)
    no_hits, hits = (audit(pools, made, controls=False, blind=differ) for made in (gaussian(pools[0], 1), pools[0][0]))
    assert no_hits.answer == "inconclusive"
    assert "tell training from held-out images (p = " in no_hits.finding
    assert "differ without the release (AUC 0.60" in no_hits.finding
    assert hits.answer == "leak_found"


def features(seed: int, count: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).normal(size=(count, 6))


def test_reference_images_that_are_held_out_ones_are_left_out() -> None:
    made, training, holdout = features(0, 100), features(1, 100), features(2, 100)
    mixed = np.concatenate([holdout[:60], features(3, 60)])
    found = audit_dataset(DatasetRelease(made, training, holdout, mixed), rng=Stream(0), controls=False)
    assert found.left_out == 60
    assert min(found.p_values.values()) > 0.01
    with pytest.raises(DataError, match="neither training nor held-out images; got 0 of 100"):
        audit_dataset(DatasetRelease(made, training, holdout, holdout), rng=Stream(0))


def test_sides_too_uneven_for_the_planted_copies_are_named() -> None:
    """Ten hits of training images alone have p = .6¹⁰ = .006 where training images are 60 %; the joint test asks less
    than .005. At equal sizes it is .5¹⁰ = .001."""
    made = features(0, 400) + 8.0
    uneven, even = (
        audit_dataset(
            DatasetRelease(made, features(1, 180), features(2, count)), rng=Stream(0), attacks=(), independent_sets=1
        )
        for count in (120, 180)
    )
    assert uneven.answer == "inconclusive"
    assert "180 training and 120 held-out images fewer than 11 hits cannot be told from chance" in uneven.finding
    assert not any("hold out a larger share" in reason for reason in even.reasons)


def test_alarms_over_independent_sets_take_a_leak_back() -> None:
    """Held-out images that lie elsewhere: any set is flagged, a half of them too."""

    class Sided:
        """Takes images with a positive first coordinate for training images, whatever was released."""

        name = "sided"
        needs_reference = False

        def scores(self, targets: np.ndarray, seen: object, *, rng: Stream) -> np.ndarray:
            return targets[:, 0]

    training, holdout = features(1, 100) + np.eye(6)[0], features(2, 100)
    found = audit_dataset(
        DatasetRelease(features(3, 100), training, holdout), rng=Stream(0), attacks=[Sided()], independent_sets=3
    )
    assert found.p_value < 0.01
    assert found.independents == Independents(3, 3)
    assert found.answer == "inconclusive"
    assert found.reasons[-1] == "3 of 3 independent sets were flagged"


@pytest.mark.slow
def test_scaled_distances_change_no_answer(pools) -> None:
    features = [(copy_features(images), classes) for images, classes in pools]
    scaled = [(8 * rows, classes) for rows, classes in features]
    for made in (canaries(pools), smoothed(pools[2], 1), gaussian(pools[0], 1)):
        rows = copy_features(made)
        first, second = audit(features, rows, controls=False), audit(scaled, 8 * rows, controls=False)
        assert first.answer == second.answer
        for name, p_value in first.p_values.items():
            assert second.p_values[name] == pytest.approx(p_value, rel=1e-3), name


@pytest.mark.slow(seconds=35)
def test_independent_generators_are_flagged_at_most_as_often_as_alpha_says() -> None:
    """Two hundred splits of 900 digits, each with a generator that saw the third part: 5 % and binomial error."""
    from scipy.stats import binom
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, :, :, None]
    flagged = 0
    for seed in range(200):
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(images))[:900]
        parts = [(images[rows], found.target[rows]) for rows in np.array_split(order, 3)]
        made = copy_features(smoothed(parts[2], seed)[:300])
        features = [(copy_features(pictures), classes) for pictures, classes in parts]
        flagged += audit(features, made, controls=False, alpha=0.05).answer == "leak_found"
    assert flagged <= binom.ppf(0.99, 200, 0.05)


def test_fewer_and_fewer_copies_are_planted_until_one_is_missed() -> None:
    training = np.arange(100.0)[:, None]
    asked: list[int] = []

    def flag(made: np.ndarray, places: np.ndarray) -> bool:
        copies = int(np.isin(made, training).sum())
        assert set(np.flatnonzero(np.isin(made[:, 0], training[:, 0]))) <= set(places.tolist())
        asked.append(copies)
        return copies >= 5

    found = plant(flag, np.full((300, 1), -1.0), training, rng=Stream(0))
    verbatim = [each for each in found if each.how == "verbatim"]
    assert asked[: len(verbatim)] == [10, 5, 2]
    assert least_found(found, "verbatim") == 5
    assert least_found([Planted("verbatim", 10, 300, False)], "verbatim") is None


def test_halves_of_the_others_share_no_image_and_false_alarms_are_counted() -> None:
    seen: list[bool] = []

    def flag_of(made: np.ndarray, holdout: np.ndarray) -> bool:
        assert not set(made.tolist()) & set(holdout.tolist())
        assert len(made) + len(holdout) == 9
        seen.append(len(seen) < 2)
        return seen[-1]

    found = independent(flag_of, np.arange(9), sets=6, rng=Stream(0))
    assert (found.flagged, found.sets) == (2, 6)
    assert found.sound
    assert not Independents(4, 6).sound


def test_halves_of_the_others_share_no_family() -> None:
    families = np.repeat(np.arange(20), 3)

    def flag_of(made: np.ndarray, holdout: np.ndarray) -> bool:
        assert not set(families[made]) & set(families[holdout])
        assert len(made) == len(holdout) == 30
        return False

    assert independent(flag_of, families, sets=3, rng=Stream(0)).flagged == 0


def test_disguised_copies_are_changed_but_near() -> None:
    pixels = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(pixels[:, ::8, ::8], 8, axis=1), 8, axis=2)
    made = disguised(smooth, np.arange(4), rng=Stream(0))
    assert made.shape == smooth.shape
    assert made.dtype == np.uint8
    assert not np.array_equal(made, smooth)
    rows = np.random.Generator(np.random.PCG64(1)).normal(size=(50, 8)).astype(np.float32)
    moved = np.linalg.norm(disguised(rows, np.arange(50), rng=Stream(0)) - rows, axis=1)
    assert 0.02 < moved.mean() / np.linalg.norm(rows - np.roll(rows, 1, axis=0), axis=1).mean() < 0.2


def test_one_disguised_copy_is_as_far_off_as_many_whatever_the_unit() -> None:
    rows = np.random.Generator(np.random.PCG64(1)).normal(size=(50, 8))
    one = disguised(rows, np.array([3]), rng=Stream(0)) - rows[[3]]
    scaled = disguised(8 * rows, np.array([3]), rng=Stream(0)) - 8 * rows[[3]]
    assert scaled == pytest.approx(8 * one)
