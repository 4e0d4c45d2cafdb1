import numpy as np
import pytest

import twinset
from twinset.copytest import Known
from twinset.editing.classical import Classical
from twinset.privacy.gate import copy_gate
from twinset.privacy.lineage import parent_rows, trace_parents
from twinset.randomness import Stream


@pytest.fixture(scope="module")
def parts():
    return twinset.load("builtin:digits").split(rng=0)


@pytest.fixture(scope="module")
def rotated(parts):
    """300 rotated, cropped and relit training images."""
    rows = np.random.default_rng(0).choice(len(parts.train), 300, replace=False)
    return [Classical().edit(parts.train[int(row)], rng=Stream(int(row))) for row in rows]


def pictures(samples):
    return np.stack([sample.pixels() for sample in samples])


def gate(parts, images, parents):
    return copy_gate(
        candidates=images,
        accepted=images,
        training=pictures(parts.train),
        holdout=pictures(parts.test),
        of_training=Known(parts.train.class_ids),
        of_holdout=Known(parts.test.class_ids),
        parents=parents,
    )


@pytest.mark.slow
def test_rotated_training_images_are_blocked_once_their_parents_are_known(parts, rotated):
    made = twinset.Dataset.of(rotated, classes=parts.train.classes)
    assert gate(parts, pictures(rotated), None).passed
    found = gate(parts, pictures(rotated), parent_rows(made, parts.train))
    assert not found.passed
    shown = f"{found.traced.found} of 300 images that were made from a training image still show it"
    assert shown in found.finding
    assert found.traced.total == 300
    assert found.traced.expected < 10 < 40 < found.traced.found


def test_images_that_have_nothing_of_their_parents_pass(parts):
    images = pictures(parts.validation)
    rng = np.random.default_rng(1)
    parents = [
        [int(rng.choice(np.flatnonzero(parts.train.class_ids == class_id)))] for class_id in parts.validation.class_ids
    ]
    found = gate(parts, images, parents)
    assert found.passed
    assert found.traced.p_value > 0.01
    assert abs(found.traced.excess) < 0.02


def test_a_parent_that_is_nearest_to_the_children_of_others_too_is_no_evidence(parts):
    training, holdout = pictures(parts.train), pictures(parts.test)
    images = np.repeat(training[:1], 1000, axis=0)
    others = np.flatnonzero(parts.train.class_ids == parts.train.class_ids[0])[1:]
    parents = [[0] if row < 40 else [int(others[row % len(others)])] for row in range(1000)]
    found = trace_parents(images, training, holdout, parents=parents, training_classes=parts.train.class_ids)
    assert found.found == 40
    assert found.expected > 35
    assert found.p_value > 0.05


def test_duplicates_of_the_parent_are_the_parent(parts, rotated):
    training, holdout = pictures(parts.train), pictures(parts.test)
    parents = [list(sample.origin.parents) for sample in rotated]
    rows = {id_: row for row, id_ in enumerate(parts.train.ids)}
    second = [[len(training) + rows[own[0]]] for own in parents]
    doubled = trace_parents(pictures(rotated), np.concatenate([training, training]), holdout, parents=second)
    once = trace_parents(pictures(rotated), training, holdout, parents=[[rows[own[0]]] for own in parents])
    assert doubled.found == once.found


def test_images_without_parents_are_not_traced(parts):
    training, holdout = pictures(parts.train), pictures(parts.test)
    assert trace_parents(training[:3], training, holdout, parents=[[], [], []]) is None
    assert trace_parents(training[:3], training, holdout, parents=[[], [1], []]).total == 1
