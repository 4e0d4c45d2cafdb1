from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm

from twinset.privacy.attacks.classifier import SeenClassifier, Shadows, log_probabilities, margins
from twinset.privacy.attacks.figures import AttackFigures
from twinset.privacy.attacks.lira import Lira
from twinset.privacy.attacks.rmia import Rmia
from twinset.privacy.attacks.thresholds import LabelOnly, Threshold
from twinset.privacy.shadows import halves, train_together
from twinset.randomness import Stream
from twinset.threads import torch_threads


@dataclass(frozen=True)
class Trained:
    """18 networks on halves of 1,198 digits, of which 100 are mislabelled; 599 more as population."""

    logits: np.ndarray
    labels: np.ndarray
    included: np.ndarray
    mislabelled: np.ndarray
    population: tuple[np.ndarray, np.ndarray]

    def seen(self, target: int) -> SeenClassifier:
        """Network ``target`` attacked, 16 others as shadows."""
        others = [row for row in range(18) if row not in (target, target ^ 1)]
        shadows = Shadows(self.logits[others], self.included[others])
        logits, labels = self.population
        return SeenClassifier(self.logits[target], self.labels, shadows, (logits[target], labels, logits[others]))


@pytest.fixture(scope="module")
def trained() -> Trained:
    from sklearn.datasets import load_digits

    found = load_digits()
    rows, labels = (found.data / 16 - 0.5).astype(np.float32), found.target
    draw = np.random.Generator(np.random.PCG64(0))
    order = draw.permutation(len(rows))
    mine, others = order[:1198], order[1198:]
    mislabelled = np.zeros(len(mine), dtype=bool)
    mislabelled[draw.permutation(len(mine))[:100]] = True
    given = np.where(mislabelled, (labels[mine] + draw.integers(1, 10, len(mine))) % 10, labels[mine])
    included = halves(len(mine), 18, rng=Stream(0))
    with torch_threads(1):
        networks = train_together(rows[mine], given, included, classes=10, rng=Stream(0))
        logits, elsewhere = networks.logits(rows[mine])[:, :, None], networks.logits(rows[others])[:, :, None]
    return Trained(logits, given, included, mislabelled, (elsewhere, labels[others]))


def figures(scores: np.ndarray, members: np.ndarray, chosen: np.ndarray) -> AttackFigures:
    return AttackFigures.of("x", scores[members & chosen], scores[~members & chosen])


@pytest.mark.slow
def test_sixteen_shadows_find_members_and_mislabelled_canaries_of_an_over_fitted_network(trained: Trained) -> None:
    scores = Lira().scores(trained.seen(0))
    members, natural = trained.included[0], ~trained.mislabelled
    assert figures(scores, members, natural).auc >= 0.57
    assert figures(scores, members, trained.mislabelled).auc >= 0.95


@pytest.mark.slow
def test_a_network_that_saw_none_of_them_gives_nothing_away(trained: Trained) -> None:
    """Membership of another network's half, which this one's half is independent of."""
    for attack in (Lira(), Lira(online=False), Rmia(), Threshold()):
        found = figures(attack.scores(trained.seen(0)), trained.included[4], ~trained.mislabelled)
        assert found.interval.low <= 0.5 <= found.interval.high, attack.name


def test_offline_one_side_finds_what_two_sides_do_not(trained: Trained) -> None:
    seen, natural = trained.seen(0), ~trained.mislabelled
    one_sided = figures(Lira(online=False).scores(seen), trained.included[0], natural)
    shadows = seen.known("x")
    others, target = margins(shadows.logits, seen.class_ids), margins(seen.logits, seen.class_ids)
    out = ~shadows.included[:, :, None]
    mean = (others * out).sum(axis=0) / out.sum(axis=0)
    spread = np.sqrt((((others - mean) ** 2) * out).sum() / out.sum())
    two_sided = figures(-norm.logpdf(target, mean, spread).sum(axis=1), trained.included[0], natural)
    assert one_sided.auc >= 0.56
    assert two_sided.auc < one_sided.auc - 0.05


def test_attacks_that_compare_with_others_beat_those_that_do_not(trained: Trained) -> None:
    seen, natural = trained.seen(0), ~trained.mislabelled
    aucs = {
        attack.name: figures(attack.scores(seen), trained.included[0], natural).auc
        for attack in (Lira(), Rmia(), Threshold(), LabelOnly())
    }
    assert min(aucs["lira_online"], aucs["rmia"]) > aucs["loss"] > aucs["label_only"] > 0.5


def test_margins_are_those_of_probabilities_and_hold_where_these_round_to_one() -> None:
    draw = np.random.Generator(np.random.PCG64(0))
    logits, labels = draw.normal(size=(2, 6, 3, 4)), draw.integers(4, size=6)
    probabilities = np.exp(log_softmax(logits, axis=-1))
    own = np.take_along_axis(probabilities, labels[None, :, None, None], axis=-1)[..., 0]
    assert margins(logits, labels) == pytest.approx(np.log(own / (1 - own)))
    assert margins(np.array([[[100.0, 0.0]]]), np.array([0])).tolist() == [[100.0]]
    assert log_probabilities(logits) == pytest.approx(log_softmax(logits, axis=-1))


def test_lira_is_the_ratio_of_two_normal_laws() -> None:
    phi = np.array([[1.0], [1.2], [3.0], [3.4], [0.9], [3.1]])  # one image, two classes: margin = difference
    logits = np.stack([phi, np.zeros_like(phi)], axis=-1)[:, :, None]
    included = np.array([[0], [0], [1], [1], [0], [1]], dtype=bool)
    target = np.array([[[2.9, 0.0]]])
    seen = SeenClassifier(target, np.array([0]), Shadows(logits, included))
    inside, outside = phi[included[:, 0], 0], phi[~included[:, 0], 0]
    wanted = norm.logpdf(2.9, inside.mean(), inside.std(ddof=1)) - norm.logpdf(2.9, outside.mean(), outside.std(ddof=1))
    assert Lira().scores(seen)[0] == pytest.approx(wanted)
    offline = norm.logcdf((2.9 - outside.mean()) / outside.std(ddof=1))
    assert Lira(online=False).scores(seen)[0] == pytest.approx(offline)


def test_rmia_counts_others_whose_probability_was_lifted_less() -> None:
    def of(chance: float) -> list[float]:
        return [float(np.log(chance / (1 - chance))), 0.0]

    target = np.array([[of(0.9)], [of(0.2)]])
    shadows = Shadows(np.array([[[of(0.5)], [of(0.5)]]]), np.zeros((1, 2), dtype=bool))
    population = np.array([[of(0.6)], [of(0.4)], [of(0.1)], [of(0.95)]])
    by_shadows = np.array([[[of(0.5)], [of(0.5)], [of(0.5)], [of(0.2)]]])
    seen = SeenClassifier(target, np.zeros(2, dtype=int), shadows, (population, np.zeros(4, dtype=int), by_shadows))
    assert Rmia().scores(seen).tolist() == [0.75, 0.25]
    assert Rmia(gamma=2.0).scores(seen).tolist() == [0.5, 0.0]


def test_entropies_are_those_of_the_formulas() -> None:
    p = np.array([0.7, 0.2, 0.1])
    seen = SeenClassifier(np.log(p)[None, None], np.array([1]))
    assert Threshold("loss").scores(seen)[0] == pytest.approx(np.log(0.2))
    assert Threshold("entropy").scores(seen)[0] == pytest.approx((p * np.log(p)).sum())
    wanted = 0.8 * np.log(0.2) + 0.7 * np.log(0.3) + 0.1 * np.log(0.9)
    assert Threshold("modified_entropy").scores(seen)[0] == pytest.approx(wanted)
    sure = SeenClassifier(np.array([[[900.0, 0.0]]]), np.array([1]))
    assert np.isfinite(Threshold("modified_entropy").scores(sure)).all()


def test_what_is_missing_is_named() -> None:
    seen = SeenClassifier(np.zeros((2, 1, 3)), np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match="shadow models for lira_online"):
        Lira().scores(seen)
    alone = Shadows(np.zeros((3, 2, 1, 3)), np.array([[1, 0], [1, 1], [0, 1]], dtype=bool))
    with pytest.raises(ValueError, match="at least 2 shadows that did not see each image; got 1"):
        Lira(online=False).scores(SeenClassifier(seen.logits, seen.class_ids, alone))
    with pytest.raises(ValueError, match=r"shadows of \(2, 1, 3\)"):
        SeenClassifier(seen.logits, seen.class_ids, Shadows(np.zeros((3, 2, 1, 4)), alone.included))


def test_a_class_that_no_shadow_believes_gives_a_score_all_the_same() -> None:
    logits = np.array([[[-900.0, 0.0]], [[0.0, 0.0]]])
    seen = SeenClassifier(
        logits,
        np.zeros(2, dtype=int),
        Shadows(logits[None], np.zeros((1, 2), dtype=bool)),
        (logits, np.zeros(2, dtype=int), logits[None]),
    )
    assert np.isfinite(Rmia(a=1.0).scores(seen)).all()
