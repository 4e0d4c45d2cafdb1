"""Nearest records: are synthetic images closer to training images than unseen real images are?

For an image a, d(a) is the distance to the nearest training image. A generator that copies has d(synthetic)
≪ d(holdout); one that merely knows the distribution has them alike. Real holdout images are the baseline,
since a small d means nothing by itself in a dense region. (Distance to closest record; Platzer and
Reutterer 2021 compare with a holdout as we do.)

This is a look, not a privacy test: a generator of average-looking images also scores below 1. The release
gate has its own joint test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.protocol import FEATURES, Evidence, Features, Need, wilson_interval
from twinset.neighbours import nearest
from twinset.randomness import Stream
from twinset.scores import Interval, Score

RATIO = "nearest_record_ratio"
SHARE = "nearest_record_share"
FEWEST = 5
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NearestRecords:
    """Distances to the nearest training image: of synthetic images (M,) and of holdout images (H,)."""

    synthetic: Array
    holdout: Array

    @staticmethod
    def of(synthetic: Features, train: Features, holdout: Features) -> NearestRecords:
        """Distances from features (M, D), (T, D), (H, D) of an extractor that was trained on none of them."""
        distances, _ = nearest(_floats(synthetic), _floats(train), k=1)
        baseline, _ = nearest(_floats(holdout), _floats(train), k=1)
        return NearestRecords(distances[:, 0], baseline[:, 0])

    @property
    def ratio(self) -> float | None:
        """Median d(synthetic) over median d(holdout); None if the latter is 0."""
        baseline = float(np.median(self.holdout))
        return float(np.median(self.synthetic)) / baseline if baseline > 0 else None

    def share_below(self, rank: int) -> float:
        """Share of synthetic images closer than the ``rank``-th closest holdout image; ties count half.

        If synthetic images are exchangeable with the holdout ones, the mean share is rank/(H + 1), whatever the law
        of the distances (an interpolated quantile has no such level: the 5 % one of ten images has 12–14 % below it).
        """
        if not 1 <= rank <= len(self.holdout):
            raise ValueError(f"expected a rank in 1…{len(self.holdout)} of the holdout images; got {rank}; use one")
        cut = np.sort(self.holdout)[rank - 1]
        return float((self.synthetic < cut).mean() + 0.5 * (self.synthetic == cut).mean())


@dataclass(frozen=True)
class NearestRecord:
    """Nearest-record figures as a metric; the share is cut at about this ``quantile`` of the holdout distances."""

    quantile: float = 0.05
    resamples: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1 or self.resamples < 100:
            raise ValueError(f"expected 0 < quantile < 1 and resamples ≥ 100; got {self}")

    @property
    def needs(self) -> frozenset[Need]:
        """Features."""
        return FEATURES

    def measure(self, evidence: Evidence, *, rng: Stream) -> list[Score]:
        """Two scores, undefined without train and holdout features or with an extractor that saw them."""
        train, holdout = evidence.train, evidence.holdout
        if evidence.extractor_saw_real:
            reason = f"{evidence.extractor} was trained on these images; use pixels or an extractor that was not"
        elif train is None or holdout is None:
            reason = "no training and holdout images were given beside the synthetic ones"
        elif len(holdout) < FEWEST or len(evidence.synthetic) < FEWEST:
            reason = f"needs at least {FEWEST} holdout and synthetic images; got {len(holdout)}"
        else:
            records = NearestRecords.of(evidence.synthetic, train, holdout)
            return self.scores(records, counts=_counts(evidence), extractor=evidence.extractor, rng=rng)
        return [
            Score(name, None, better, _counts(evidence), undefined_because=reason, extractor=evidence.extractor)
            for name, better in ((RATIO, None), (SHARE, False))
        ]

    def scores(
        self, records: NearestRecords, *, counts: dict[str, int], extractor: str | None, rng: Stream
    ) -> list[Score]:
        """``nearest_record_ratio`` (1 is like holdout; bootstrap interval) and ``nearest_record_share``.

        The share is of synthetic images closer to training than the r-th closest of H holdout images, where
        r/(H + 1) comes nearest to ``quantile`` and r ≥ 1. Its floor is r/(H + 1), what exchangeable images
        score on average: ``quantile`` for many holdout images, .09 for ten. Its interval is Wilson's given the holdout.
        """
        ratio = records.ratio
        held = len(records.holdout)
        rank = min(held, max(1, round(self.quantile * (held + 1))))
        share = records.share_below(rank)
        low, high = wilson_interval(share * len(records.synthetic), len(records.synthetic))
        why = "" if ratio is not None else "more than half of the holdout images are exact copies of training images"
        return [
            Score(
                RATIO,
                ratio,
                None,
                counts,
                interval=None if ratio is None else self._bootstrap(records, ratio, rng),
                undefined_because=why,
                extractor=extractor,
                floor=None if ratio is None else 1.0,
                settings={"interval": "percentile bootstrap of both medians", "floor": "exchangeable images"},
            ),
            Score(
                SHARE,
                share,
                False,
                counts,
                interval=Interval(low, high),
                extractor=extractor,
                floor=rank / (held + 1),
                settings={
                    "quantile": self.quantile,
                    "rank": rank,
                    "interval": "Wilson, given the holdout",
                    "floor": "exchangeable images",
                },
            ),
        ]

    def _bootstrap(self, records: NearestRecords, ratio: float, rng: Stream) -> Interval | None:
        draw = rng.child("nearest-record").numpy()
        medians = [resampled_medians(values, self.resamples, draw) for values in (records.synthetic, records.holdout)]
        if (medians[1] <= 0).any():
            return None
        low, high = np.quantile(medians[0] / medians[1], [0.025, 0.975])
        return Interval(min(float(low), ratio), max(float(high), ratio))


def resampled_medians(values: Array, resamples: int, draws: np.random.Generator) -> Array:
    """Medians (resamples,) of as many draws with replacement as there are values (N,), without making them.

    The ranks drawn are N uniform numbers, of which the k-th smallest has a beta distribution; given it, the next is
    the least of N − k on the rest (David and Nagaraja 2003, *Order Statistics*, section 2.5). A thousand draws of five
    thousand values so cost two thousand numbers.
    """
    count, ordered = len(values), np.sort(values)
    k = (count + 1) // 2
    lower = draws.beta(k, count + 1 - k, size=resamples)
    ranks = [lower] if count % 2 else [lower, lower + (1 - lower) * draws.beta(1, count - k, size=resamples)]
    rows = [np.minimum((count * rank).astype(np.int64), count - 1) for rank in ranks]
    return np.asarray(np.mean([ordered[row] for row in rows], axis=0))


def _counts(evidence: Evidence) -> dict[str, int]:
    return {
        "real": len(evidence.real),
        "synthetic": len(evidence.synthetic),
        "train": 0 if evidence.train is None else len(evidence.train),
        "holdout": 0 if evidence.holdout is None else len(evidence.holdout),
    }


def _floats(features: Features) -> Features:
    return features if np.issubdtype(features.dtype, np.floating) else features.astype(np.float64)
