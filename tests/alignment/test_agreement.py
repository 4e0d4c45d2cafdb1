import pickle

import numpy as np
import pytest

from twinset.alignment.agreement import Agreement
from twinset.images import ImageSpec
from twinset.randomness import Stream

SPEC = ImageSpec(8, 8, 1)


@pytest.fixture(scope="module")
def judge(real):
    training, holdout, made = real
    return Agreement(steps=120).fit(made, training=training, holdout=holdout, spec=SPEC, rng=Stream(0))


@pytest.mark.slow
def test_wrong_labels_go_and_right_ones_stay(judge, real, dataset_of):
    made = real[2]
    wrong = dataset_of(made.prepared(SPEC), (made.class_ids + 3) % 10, prefix="wrong", synthetic=True)
    assert np.mean([reason is None for reason in judge.judge(made).reasons]) >= 0.97
    assert np.mean([reason is None for reason in judge.judge(wrong).reasons]) <= 0.03


@pytest.mark.slow
def test_the_reason_names_both_classes(judge, real, dataset_of):
    made = real[2]
    one = dataset_of(made.prepared(SPEC)[:1], [(made.class_ids[0] + 5) % 10], prefix="x", synthetic=True)
    reason = judge.judge(one).reasons[0]
    assert reason is not None
    assert f"says {made.class_ids[0]} (" in reason
    assert f"not {(made.class_ids[0] + 5) % 10} (" in reason


@pytest.mark.slow
def test_judgement_survives_pickling_and_does_not_depend_on_company(judge, real):
    made = real[2]
    again = pickle.loads(pickle.dumps(judge))
    whole = again.judge(made.take(range(100))).scores["agreement"]
    assert again.judge(made.take([70])).scores["agreement"][0] == whole[70]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="members ≥ 1"):
        Agreement(members=0)
