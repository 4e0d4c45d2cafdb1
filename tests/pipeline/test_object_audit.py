"""Objects of pictures as images of their own: what a whole picture hides, their audit finds."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.images import ImageSpec
from twinset.instances import Instances
from twinset.pipeline.auditing import Audited, AuditQuestion, examine
from twinset.pipeline.object_audit import audited_objects, object_named
from twinset.pipeline.release_audit import _told
from twinset.pipeline.reporting import Quiet
from twinset.randomness import Stream

SIDE, OBJECT = 64, 12
SPEC = ImageSpec(24, 24, 3, "stretch")


def scene(draw: np.random.Generator, objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Objects (K, 12, 12, 3) at free places on a noisy ground: the picture and their boxes."""
    picture = draw.integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    cells = draw.permutation(16)[: len(objects)]
    boxes = []
    for cell, one in zip(cells, objects, strict=True):
        top, left = 16 * (cell // 4) + draw.integers(0, 4), 16 * (cell % 4) + draw.integers(0, 4)
        picture[top : top + OBJECT, left : left + OBJECT] = one
        boxes.append([left, top, left + OBJECT, top + OBJECT])
    return picture, np.array(boxes, dtype=np.float32)


def pictures_of(objects: np.ndarray, *, name: str, seed: int) -> Dataset:
    """Pictures of three objects each, in turn of two classes."""
    draw = np.random.Generator(np.random.PCG64(seed))
    samples = []
    for number in range(len(objects) // 3):
        picture, boxes = scene(draw, objects[3 * number : 3 * number + 3])
        instances = Instances((SIDE, SIDE), np.array([0, 1, 0]), boxes)
        samples.append(Sample(f"{name}-{number}", Annotation(instances=instances), image=picture))
    return Dataset.of(samples, classes=("cell", "dot"), name=name)


def cut(draw: np.random.Generator, count: int) -> np.ndarray:
    coarse = draw.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    return coarse.repeat(3, axis=1).repeat(3, axis=2)


@pytest.fixture(scope="module")
def sets() -> dict[str, Dataset]:
    """``pasted`` shows objects of the training pictures on grounds of its own, ``drawn`` objects that nobody has."""
    draw = np.random.Generator(np.random.PCG64(5))
    training, holdout, others = (cut(draw, 120) for _ in range(3))
    return {
        "training": pictures_of(training, name="training", seed=1),
        "holdout": pictures_of(holdout, name="holdout", seed=2),
        "pasted": pictures_of(training[draw.permutation(120)[:90]], name="pasted", seed=3),
        "drawn": pictures_of(others[:90], name="drawn", seed=4),
    }


def audited(sets: dict[str, Dataset], name: str) -> Audited:
    return Audited(name, sets[name], sets["training"], sets["holdout"], None, SPEC)


def test_objects_keep_class_picture_and_name(sets: dict[str, Dataset]) -> None:
    found = audited_objects(audited(sets, "pasted"), rng=Stream(0))
    assert found is not None
    assert (len(found.synthetic), len(found.training), len(found.holdout)) == (90, 120, 120)
    assert found.training.ids[:4] == ["training-0#0", "training-0#1", "training-0#2", "training-1#0"]
    assert np.asarray(found.of_training.families)[:4].tolist() == [0, 0, 0, 1]
    assert np.asarray(found.of_training.classes)[:3].tolist() == [0, 1, 0]
    shown = object_named(sets["training"], "training-0#1")
    assert np.array_equal(shown, found.training[1].pixels())


@pytest.mark.slow
def test_pasted_objects_are_found_where_whole_pictures_show_nothing(sets: dict[str, Dataset]) -> None:
    question = AuditQuestion(controls=False)
    pasted = examine(audited(sets, "pasted"), question, Quiet())
    assert pasted.dataset is not None
    assert pasted.objects is not None
    assert pasted.dataset.answer != "leak_found"
    assert pasted.objects.answer == "leak_found"
    assert pasted.objects.alpha == pasted.dataset.alpha == question.alpha / 2
    answer, finding = _told(pasted)
    assert answer == "leak_found"
    assert finding.startswith("objects: leak found")
    drawn = examine(audited(sets, "drawn"), question, Quiet())
    assert drawn.objects is not None
    assert drawn.objects.answer != "leak_found"


def test_sets_with_few_objects_are_audited_as_whole_pictures_alone(sets: dict[str, Dataset]) -> None:
    few = sets["pasted"].take([0, 1])
    assert audited_objects(audited({**sets, "few": few}, "few"), rng=Stream(0)) is None
