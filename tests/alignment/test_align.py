from dataclasses import dataclass

import numpy as np

from twinset.alignment import align
from twinset.alignment.copies import NearCopies
from twinset.alignment.duplicates import Duplicates
from twinset.images import ImageSpec
from twinset.randomness import Stream
from twinset.stages import Judgement

SPEC = ImageSpec(8, 8, 1)


@dataclass(frozen=True)
class RejectOdd:
    """Rejects every second row; ``name`` tells two of them apart."""

    name: str

    def fit(self, pilot, *, training, holdout, spec, rng):
        return self

    def judge(self, synthetic):
        reasons = tuple(self.name if row % 2 else None for row in range(len(synthetic)))
        return Judgement({self.name: np.arange(len(synthetic), dtype=float)}, reasons)


def test_every_sample_is_kept_or_rejected_with_a_reason(real, dataset_of):
    training, holdout, made = real
    pixels = np.concatenate([made.prepared(SPEC)[:6], training.prepared(SPEC)[:2], made.prepared(SPEC)[:1]])
    mixed = dataset_of(pixels, [0] * 9, prefix="x", synthetic=True)
    found = align(
        mixed, training=training, holdout=holdout, spec=SPEC, aligners=[Duplicates(), NearCopies()], rng=Stream(0)
    )
    assert found.kept.ids == [f"x/{row:04d}" for row in range(6)]
    assert found.rejected.ids == ["x/0006", "x/0007", "x/0008"]
    assert [reason.split(" (")[0] for reason in found.reasons] == [
        "near copy of train/0000",
        "near copy of train/0001",
        "duplicate of x/0000",
    ]
    assert {name: len(scores) for name, scores in found.scores.items()} == {"copy_distance": 9, "copy_ratio": 9}


def test_the_first_filter_to_object_gives_the_reason_and_all_scores_are_kept(real):
    training, holdout, made = real
    found = align(
        made.take(range(4)),
        training=training,
        holdout=holdout,
        spec=SPEC,
        aligners=[RejectOdd("first"), RejectOdd("second")],
        rng=Stream(0),
    )
    assert found.reasons == ("first", "first")
    assert set(found.scores) == {"first", "second"}


def test_a_rejected_sample_makes_no_duplicate_of_a_kept_one(real, dataset_of):
    training, holdout, made = real
    pixels = made.prepared(SPEC)[[0, 1, 1]]
    found = align(
        dataset_of(pixels, [0] * 3, prefix="x", synthetic=True),
        training=training,
        holdout=holdout,
        spec=SPEC,
        aligners=[RejectOdd("odd"), Duplicates()],
        rng=Stream(0),
    )
    assert found.kept.ids == ["x/0000", "x/0002"]
