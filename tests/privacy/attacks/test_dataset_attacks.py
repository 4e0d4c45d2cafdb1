from __future__ import annotations

import numpy as np
import pytest

from twinset import neighbours
from twinset.privacy.attacks import densities
from twinset.privacy.attacks.dataset import DatasetAttack, SeenDataset
from twinset.privacy.attacks.densities import Whitening, log_density, scott
from twinset.privacy.attacks.domias import Domias
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.attacks.gan_leaks import GanLeaks
from twinset.privacy.attacks.hole import Hole
from twinset.privacy.attacks.monte_carlo import MonteCarlo
from twinset.privacy.attacks.nearest_record import closest_records
from twinset.randomness import Stream

ATTACKS: list[DatasetAttack] = [
    GanLeaks(),
    GanLeaks(calibrated=True),
    MonteCarlo(),
    Domias(dimension=4),
    Domias(by="ratio", dimension=4),
    Hole(),
]


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training, held-out and reference features (300, 6) of one law."""
    draw = np.random.Generator(np.random.PCG64(0))
    return tuple(np.exp(0.5 * draw.normal(size=(300, 6))) for _ in range(3))  # type: ignore[return-value]


def auc_of(attack: DatasetAttack, made: np.ndarray, rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    training, holdout, reference = rows
    seen = SeenDataset(made, reference)
    scores = attack.scores(np.concatenate([training, holdout]), seen, rng=Stream(0))
    return AttackFigures.of(attack.name, scores[: len(training)], scores[len(training) :]).auc


@pytest.mark.parametrize("attack", ATTACKS[:4], ids=lambda attack: attack.name)
def test_a_generator_that_adds_a_little_noise_to_training_images_is_seen_through(attack, rows) -> None:
    noise = np.random.Generator(np.random.PCG64(1)).normal(0, 0.05, rows[0].shape)
    assert auc_of(attack, rows[0] + noise, rows) > 0.65


def test_the_ratio_attack_sees_a_generator_that_lost_a_part_of_the_population() -> None:
    draw = np.random.Generator(np.random.PCG64(5))
    training, holdout, reference = (
        draw.normal(0.4, 1, (300, 6)),
        draw.normal(0, 1, (300, 6)),
        draw.normal(size=(300, 6)),
    )
    made = draw.normal(0.4, 1, (300, 6))
    assert auc_of(Domias(by="ratio", dimension=4), made, (training, holdout, reference)) > 0.6


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_generator_that_saw_others_is_at_chance(attack, rows) -> None:
    made = np.exp(0.5 * np.random.Generator(np.random.PCG64(2)).normal(size=(300, 6)))
    assert abs(auc_of(attack, made, rows) - 0.5) < 0.07


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_order_of_scores_does_not_hang_on_the_unit_of_features(attack, rows) -> None:
    made = rows[0][:100] * 1.02
    first = attack.scores(rows[0], SeenDataset(made, rows[2]), rng=Stream(0))
    second = attack.scores(8 * rows[0], SeenDataset(8 * made, 8 * rows[2]), rng=Stream(0))
    if attack.name == "domias_ratio":
        assert np.corrcoef(first, second)[0, 1] > 0.999
    else:
        assert second - second[0] == pytest.approx(first - first[0], abs=1e-6)


def test_distances_count_in_logarithms_so_that_far_images_are_told_apart() -> None:
    found = GanLeaks().scores(np.array([[0.0], [100.0], [1000.0]]), SeenDataset(np.array([[0.5]])), rng=Stream(0))
    assert found[0] > found[1] > found[2]
    copy = GanLeaks().scores(np.array([[0.5], [3.0]]), SeenDataset(np.array([[0.5]])), rng=Stream(0))
    assert np.isfinite(copy).all()
    assert copy[0] > copy[1] + 10


def test_calibration_takes_off_what_a_crowded_place_explains() -> None:
    seen = SeenDataset(np.array([[1.0], [11.0]]), np.array([[0.5], [30.0]]))
    plain = GanLeaks().scores(np.array([[0.0], [10.0]]), seen, rng=Stream(0))
    calibrated = GanLeaks(calibrated=True).scores(np.array([[0.0], [10.0]]), seen, rng=Stream(0))
    assert plain[0] == pytest.approx(plain[1])
    assert calibrated[1] - calibrated[0] == pytest.approx(np.log(9.5 / 0.5))


def test_counts_within_a_radius_decide_before_the_nearest_one() -> None:
    made = np.array([[0.9], [0.91], [0.92], [5.05], [8.0]])
    targets = np.array([[0.0], [5.0], [50.0], [7.0]])
    found = MonteCarlo(quantiles=(0.5,)).scores(targets, SeenDataset(made), rng=Stream(0))
    assert np.argsort(-found).tolist() == [0, 1, 3, 2]


def refused(made: np.ndarray, around: np.ndarray, nearer_than: float) -> np.ndarray:
    """What is farther from all of these than that."""
    return made[neighbours.nearest(made, around, k=1)[0][:, 0] >= nearer_than]


@pytest.mark.parametrize("known", [True, False])
def test_holes_around_training_images_are_seen_where_nearness_tells_the_opposite(rows, known) -> None:
    training, holdout, reference = rows
    made = np.exp(0.5 * np.random.Generator(np.random.PCG64(6)).normal(size=(3000, 6)))
    radius = float(np.median(neighbours.nearest(holdout, training, k=1)[0]))
    left = refused(made, training, radius)

    def auc(attack: DatasetAttack, released: np.ndarray) -> float:
        seen = SeenDataset(released, reference if known else None)
        scores = attack.scores(np.concatenate([training, holdout]), seen, rng=Stream(0))
        return AttackFigures.of(attack.name, scores[: len(training)], scores[len(training) :]).auc

    assert 1000 < len(left) < 2000
    assert auc(Hole(), left) > 0.7
    assert auc(GanLeaks(), left) < 0.3
    assert auc(Hole(), made) == pytest.approx(0.5, abs=0.07)
    assert auc(Hole(), refused(left, holdout, radius)) == pytest.approx(0.5, abs=0.07)


def test_copies_are_no_holes_and_one_released_image_shows_none(rows) -> None:
    training, holdout, others = rows
    for seen in (SeenDataset(np.concatenate([training + 0.01, others]), known) for known in (None, others[:150])):
        scores = Hole().scores(np.concatenate([training, holdout]), seen, rng=Stream(0))
        assert AttackFigures.of("hole", scores[:300], scores[300:]).auc < 0.05
    assert Hole().scores(training, SeenDataset(others[:1]), rng=Stream(0)).tolist() == [0.0] * 300
    with pytest.raises(ValueError, match="at least 2 neighbours; got 1"):
        Hole(1)


def test_densities_are_means_of_kernels_in_logarithms() -> None:
    draw = np.random.Generator(np.random.PCG64(3))
    points, centres = draw.normal(size=(700, 3)), draw.normal(size=(20, 3))
    squares = ((points[:, None] - centres) ** 2).sum(axis=2)
    wanted = np.log(np.exp(-squares / (2 * 0.7**2)).mean(axis=1))
    assert log_density(points, centres, bandwidth=0.7) == pytest.approx(wanted, abs=1e-9)
    assert log_density(np.full((1, 3), 1e3), centres, bandwidth=0.1)[0] < -1e6


def test_whitened_rows_have_unit_variance_along_their_axes() -> None:
    draw = np.random.Generator(np.random.PCG64(4))
    rows = draw.normal(size=(200, 5)) @ np.diag([5.0, 1.0, 0.1, 0.0, 0.0]) + 7
    found = Whitening.of(rows, most=4).of_rows(rows)
    assert found.shape == (200, 3)
    assert np.cov(found.T) == pytest.approx(np.eye(3), abs=1e-9)
    assert Whitening.of(np.ones((5, 3)), most=2).of_rows(np.ones((2, 3))).tolist() == [[0.0], [0.0]]
    assert scott(1000, 1) == pytest.approx(1000 ** (-1 / 5))


def test_an_attack_that_needs_other_images_says_so() -> None:
    with pytest.raises(ValueError, match="reference images for domias"):
        Domias().scores(np.zeros((2, 2)), SeenDataset(np.zeros((2, 2))), rng=Stream(0))


def test_the_share_of_closest_records_misses_a_few_copies(rows) -> None:
    training, holdout, reference = rows
    found = closest_records(np.concatenate([training[:6], reference[6:]]), training, holdout)
    assert found.expected == 0.5
    assert found.p_value > 0.01
    assert closest_records(training, training, holdout).share == 1.0


def test_the_share_of_closest_records_looks_at_all_classes_of_a_sorted_folder() -> None:
    draw = np.random.Generator(np.random.PCG64(6))
    training = np.concatenate([draw.normal(0, 1, (100, 3)), draw.normal(9, 1, (100, 3))])
    holdout = np.concatenate([draw.normal(0, 1, (50, 3)), draw.normal(9, 1, (50, 3))])
    made = np.concatenate([draw.normal(0, 1, (200, 3)), draw.normal(9, 1, (200, 3))])
    assert 0.4 < closest_records(made, training, holdout).share < 0.6


def test_blocks_change_no_score(rows, monkeypatch: pytest.MonkeyPatch) -> None:
    made = rows[0][:90] * 1.02 + 50
    wanted = [
        attack.scores(rows[0][:70] + 50, SeenDataset(made, rows[2] + 50), rng=Stream(0)) for attack in ATTACKS[2:4]
    ]
    monkeypatch.setattr(neighbours.NeighbourIndex.__init__, "__kwdefaults__", {"block": 16, "frame": None})
    monkeypatch.setattr(densities, "BLOCK", 16)
    monkeypatch.setattr(densities, "ROWS", 8)
    found = [
        attack.scores(rows[0][:70] + 50, SeenDataset(made, rows[2] + 50), rng=Stream(0)) for attack in ATTACKS[2:4]
    ]
    assert np.array_equal(wanted[0], found[0])
    assert found[1] == pytest.approx(wanted[1], abs=1e-8)


def test_axes_of_many_rows_are_those_of_their_decomposition() -> None:
    draw = np.random.Generator(np.random.PCG64(7))
    rows = draw.normal(size=(50, 4)) @ np.diag([5.0, 1.0, 0.1, 0.0]) + 3
    lengths = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[1]
    found = Whitening.of(rows, most=4)
    assert found.axes.shape == (4, 3)
    assert np.linalg.norm(found.axes, axis=0) == pytest.approx(7 / lengths[:3])
