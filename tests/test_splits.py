from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.annotations import Annotation
from twinset.dataset import SPLITS, Dataset, Sample
from twinset.errors import DataError
from twinset.families import families
from twinset.images import Window
from twinset.randomness import Stream
from twinset.splits import Split, few_shot_subsets, split

PIXELS = np.zeros((2, 2, 1), dtype=np.uint8)


def labelled(labels: list[int], splits: list[str | None] | None = None) -> Dataset:
    samples = [Sample(f"{row:04d}", Annotation(class_id=label), image=PIXELS) for row, label in enumerate(labels)]
    return Dataset.of(samples, classes=[str(c) for c in range(max(labels) + 1)], splits=splits)


def alone(dataset: Dataset) -> np.ndarray:
    return np.arange(len(dataset))


def families_by_part(parts: Split) -> list[set[int]]:
    return [set(f.tolist()) for f in (parts.train_families, parts.validation_families, parts.test_families)]


def counts(parts: Split) -> dict[str, dict[str, int]]:
    return {name: getattr(parts, name).class_counts() for name in SPLITS}


def test_fractions_hold_in_every_class() -> None:
    dataset = labelled([0] * 50 + [1] * 20 + [2] * 10)
    parts = split(dataset, families=alone(dataset), rng=Stream(1))
    assert counts(parts) == {
        "train": {"0": 30, "1": 12, "2": 6},
        "validation": {"0": 10, "1": 4, "2": 2},
        "test": {"0": 10, "1": 4, "2": 2},
    }
    assert sorted([*parts.train.ids, *parts.validation.ids, *parts.test.ids]) == dataset.ids
    assert set(parts.test.splits) == {"test"}


def test_what_is_held_out_keeps_its_window_and_its_split_names() -> None:
    window = Window(0, 4095)
    parts = split(labelled([0, 1] * 10).with_window(window), families=np.arange(20), rng=Stream(1))
    assert parts.holdout.window == window
    assert set(parts.holdout.splits) == {"validation", "test"}


def test_the_seed_decides_and_nothing_else_does() -> None:
    dataset = labelled([0] * 30 + [1] * 30)
    first, again, other = (split(dataset, families=alone(dataset), rng=Stream(seed)) for seed in (1, 1, 2))
    assert first.train.ids == again.train.ids
    assert first.train.ids != other.train.ids


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_families_never_straddle_and_classes_stay_near_their_fractions(data: st.DataObject) -> None:
    count = data.draw(st.integers(60, 150))
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    labels = [row % 3 for row in range(count)]
    family = rng.integers(0, count // 2, count)
    dataset = labelled(labels)
    parts = split(dataset, families=family, rng=Stream(data.draw(st.integers(0, 99))))
    train, validation, test = families_by_part(parts)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert len(parts.train) + len(parts.validation) + len(parts.test) == count
    for name, share in zip(("train", "validation", "test"), (0.6, 0.2, 0.2), strict=True):
        for n in counts(parts)[name].values():
            assert abs(n - share * count / 3) <= 6


def test_planted_duplicates_stay_on_one_side() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (12, 12, 1), dtype=np.uint8) for _ in range(40)]
    samples = [
        Sample(f"{row:03d}", Annotation(class_id=row % 2), image=picture)
        for row, picture in enumerate([*pictures, *pictures[:20]])
    ]
    dataset = Dataset.of(samples, classes=["a", "b"])
    parts = split(dataset, families=families(dataset), rng=Stream(3))
    where = {sample_id: part for part in ("train", "validation", "test") for sample_id in getattr(parts, part).ids}
    assert all(where[f"{row:03d}"] == where[f"{40 + row:03d}"] for row in range(20))
    blind = split(dataset, families=alone(dataset), rng=Stream(3))
    where = {sample_id: part for part in ("train", "validation", "test") for sample_id in getattr(blind, part).ids}
    assert any(where[f"{row:03d}"] != where[f"{40 + row:03d}"] for row in range(20))


GIVEN: list[str | None] = [*["train"] * 12, *["validation"] * 6, *["test"] * 6]


def test_given_splits_stand() -> None:
    dataset = labelled([0, 1] * 12, GIVEN)
    parts = split(dataset, families=alone(dataset), rng=Stream(1))
    assert parts.train.ids == dataset.ids[:12]
    assert parts.test.ids == dataset.ids[18:]
    assert parts.notes == ()


def test_leaks_leave_the_test_part_whole_and_are_counted() -> None:
    dataset = labelled([0, 1] * 12, GIVEN)
    family = alone(dataset)
    family[18] = family[0]  # test and train
    family[19] = family[13]  # test and validation
    family[14] = family[2]  # validation and train
    parts = split(dataset, families=family, rng=Stream(1))
    assert parts.test.ids == dataset.ids[18:]
    assert parts.validation.ids == [sample_id for row, sample_id in enumerate(dataset.ids[12:18]) if row != 1]
    assert parts.train.ids == [sample_id for row, sample_id in enumerate(dataset.ids[:12]) if row not in (0, 2)]
    assert any("2 training and 1 validation images" in note for note in parts.notes)


@pytest.mark.parametrize("missing", ["validation", "test"])
def test_a_missing_part_is_carved_out_of_training(missing: str) -> None:
    names: list[str | None] = ["train"] * 40 + ["test" if missing == "validation" else "validation"] * 20
    dataset = labelled([0, 1] * 30, names)
    parts = split(dataset, families=alone(dataset), rng=Stream(1))
    assert len(parts.train) == 30
    assert getattr(parts, missing).class_counts() == {"0": 5, "1": 5}
    assert set(getattr(parts, missing).ids) < set(dataset.ids[:40])
    assert any(f"no {missing} part was given" in note for note in parts.notes)


def test_training_alone_is_dealt_out_as_if_no_split_were_named() -> None:
    labels = [0] * 100 + [1] * 60 + [2] * 40
    alone_in_train = labelled(labels, ["train"] * 200)
    family = np.arange(200) // 2
    parts = split(alone_in_train, families=family, rng=Stream(1))
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [120, 40, 40]
    assert counts(parts)["test"] == {"0": 20, "1": 12, "2": 8}
    train, validation, test = families_by_part(parts)
    assert not train & validation
    assert not train & test
    assert not validation & test
    undecided = split(labelled(labels), families=family, rng=Stream(1))
    assert parts.test.ids == undecided.test.ids
    assert parts.validation.ids == undecided.validation.ids
    assert parts.notes == (
        "no validation part was given: 40 training images became it",
        "no test part was given: 40 training images became it",
    )


def test_a_dataset_without_training_images_is_an_error() -> None:
    dataset = labelled([0, 1] * 10, ["test"] * 20)
    with pytest.raises(DataError, match="expected images for the train part; got none out of 20"):
        split(dataset, families=alone(dataset), rng=Stream(1))


def test_images_outside_the_given_splits_are_left_out_and_counted() -> None:
    dataset = labelled([0, 1] * 13, [*GIVEN, None, None])
    parts = split(dataset, families=alone(dataset), rng=Stream(1))
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 24
    assert any("2 images outside the given splits" in note for note in parts.notes)


def test_a_class_that_is_only_in_test_is_an_error() -> None:
    dataset = labelled([0, 1] * 9 + [0, 1, 2] * 2, GIVEN)
    with pytest.raises(DataError, match="expected training images of every class; got none of '2'") as caught:
        split(dataset, families=alone(dataset), rng=Stream(1))
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)


def test_one_family_cannot_be_split() -> None:
    dataset = labelled([0, 1] * 10)
    with pytest.raises(DataError, match="expected images for the validation part; got none out of 20"):
        split(dataset, families=np.zeros(20, dtype=np.int64), rng=Stream(1))


def test_few_shots_per_class_are_of_different_families_where_they_can_be() -> None:
    dataset = labelled([0] * 60 + [1] * 60)
    family = np.arange(120) // 2
    parts = split(dataset, families=family, shots=5, rng=Stream(1))
    assert parts.train.class_counts() == {"0": 5, "1": 5}
    assert len(set(parts.train_families.tolist())) == 10
    whole = split(dataset, families=family, rng=Stream(1))
    assert parts.test.ids == whole.test.ids
    assert set(parts.train.ids) < set(whole.train.ids)


def test_too_few_images_for_the_shots_are_noted() -> None:
    dataset = labelled([0] * 60 + [1] * 5)
    parts = split(dataset, families=alone(dataset), shots=10, rng=Stream(1))
    assert parts.train.class_counts() == {"0": 10, "1": 3}
    assert any("class '1' has only 3 training images of 10 shots" in note for note in parts.notes)


def test_few_shot_subsets_differ_and_repeat_by_seed() -> None:
    dataset = labelled([0] * 60 + [1] * 60)
    parts = split(dataset, families=alone(dataset), rng=Stream(1))
    first, again = (list(few_shot_subsets(parts, 5, count=5, rng=Stream(2))) for _ in range(2))
    assert [subset.ids for subset in first] == [subset.ids for subset in again]
    assert len({tuple(subset.ids) for subset in first}) == 5
    assert all(subset.class_counts() == {"0": 5, "1": 5} for subset in first)
    assert all(set(subset.ids) <= set(parts.train.ids) for subset in first)


@pytest.mark.parametrize(
    "options", [{"fractions": (0.5, 0.5, 0.5)}, {"fractions": (1.0, 0.0, 0.0)}, {"shots": 0}, {"families": np.zeros(3)}]
)
def test_arguments_are_checked(options: dict[str, object]) -> None:
    dataset = labelled([0, 1] * 10)
    with pytest.raises(ValueError, match="expected"):
        split(dataset, **{"families": alone(dataset), "rng": Stream(1), **options})  # type: ignore[arg-type]
