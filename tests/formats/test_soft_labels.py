"""Soft labels as they are read: one probability per class, and the class is their mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twinset.annotations import Annotation
from twinset.errors import DatasetFormatError
from twinset.formats import read, write

Put = Callable[..., Path]


@pytest.fixture
def labels(put: Put, tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV of (label, probabilities) rows and the pictures that it names."""

    def make(*rows: tuple[str, str]) -> Path:
        lines = ["path,label,unlabelled,class_probabilities"]
        for number, (label, soft) in enumerate(rows):
            put(tmp_path / f"images/{number}.png", number)
            lines.append(f'images/{number}.png,{label},{"" if label else "yes"},"{soft}"')
        (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "labels.csv"

    return make


def test_a_label_that_is_missing_is_the_mode(labels: Callable[..., Path], tmp_path: Path) -> None:
    source = labels(("a", ""), ("b", "[0.25, 0.75]"), ("", "[0.1, 0.9]"), ("", "[0.6, 0.4]"))
    dataset, report = read(source)
    assert report.bad_files == ()
    assert dataset.class_ids.tolist() == [0, 1, 1, 0]
    assert [sample.annotation.class_id for sample in dataset if sample.annotation] == [0, 1, 1, 0]
    write(dataset, tmp_path / "out", "imagefolder")
    assert read(tmp_path / "out")[0].class_counts() == {"a": 2, "b": 2}


def test_probabilities_that_are_not_one_per_class_are_bad_entries(labels: Callable[..., Path]) -> None:
    source = labels(("a", ""), ("a", "[0.7, 0.2, 0.1]"), ("b", "[0.5, 0.5]"), ("", "[1]"), ("nowhere/else", ""))
    source.write_text(source.read_text().replace("images/4.png", "images/9.png"))
    dataset, report = read(source, on_bad_input="skip")
    assert dataset.ids == ["images/0.png", "images/2.png"]
    assert (report.images, sum(report.stats.sizes.values()), report.stats.encodings) == (2, 2, {"PNG": 2})
    assert [bad.line for bad in report.bad_files] == [3, 5, 6]
    assert report.bad_files[0].problem == "images/1.png: expected 2 class_probabilities, one per class; got 3"
    with pytest.raises(DatasetFormatError, match=r"got 3 that are not, first labels\.csv:3"):
        read(source)


def test_probabilities_without_any_class_are_bad_entries(labels: Callable[..., Path]) -> None:
    with pytest.raises(DatasetFormatError, match="expected 0 class_probabilities, one per class; got 3"):
        read(labels(("", "[0.1, 0.2, 0.7]"), ("", "[0.1, 0.2, 0.7]")))


def test_a_label_that_its_probabilities_deny_is_a_bad_entry(labels: Callable[..., Path]) -> None:
    dataset, report = read(labels(("a", "[0.2, 0.8]"), ("b", "[0.5, 0.5]"), ("a", "")), on_bad_input="skip")
    assert dataset.class_ids.tolist() == [1, 0]
    assert [bad.problem for bad in report.bad_files] == [
        "images/0.png: expected class_id 1, the highest of class_probabilities; got 0"
    ]


def test_an_annotation_agrees_with_its_probabilities() -> None:
    assert Annotation(class_probabilities=(0.25, 0.75)).class_id == 1
    assert Annotation(class_probabilities=(0.5, 0.5)).class_id == 0
    assert Annotation(class_id=1, class_probabilities=(0.5, 0.5)).class_id == 1
    with pytest.raises(ValueError, match="expected class_id 1, the highest of class_probabilities; got 0"):
        Annotation(class_id=0, class_probabilities=(0.25, 0.75))
    with pytest.raises(ValueError, match="expected class_id below the 2 class_probabilities; got 2"):
        Annotation(class_id=2, class_probabilities=(0.25, 0.75))
    for wrong in ((), (0.5, 0.4), (1.5, -0.5), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="expected class_probabilities ≥ 0 that sum to 1"):
            Annotation(class_probabilities=wrong)
