"""Split files repeat the categories of a dataset; what is odd about these is said once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset.formats import read

CATEGORIES = [{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 4, "name": "dog", "supercategory": "animal"}]


def dataset(folder: Path, second: list[dict[str, object]]) -> Path:
    (folder / "annotations").mkdir()
    (folder / "images").mkdir()
    for number, (part, categories) in enumerate((("test", CATEGORIES), ("train", second)), start=1):
        Image.fromarray(np.full((8, 8), 40 * number, np.uint8)).save(folder / "images" / f"{number}.png")
        said = {
            "images": [{"id": number, "file_name": f"{number}.png", "width": 8, "height": 8}],
            "annotations": [{"id": number, "image_id": number, "category_id": 1, "bbox": [1, 1, 4, 4]}],
            "categories": categories,
        }
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("second", [CATEGORIES, CATEGORIES[::-1]])
def test_equal_categories_of_two_files_are_warned_of_once(tmp_path: Path, second: list[dict[str, object]]) -> None:
    _, report = read(dataset(tmp_path, second))
    for words in ("supercategory", "gaps"):
        assert sum(words in text for text in report.warnings) == 1


def test_other_categories_are_warned_of_too(tmp_path: Path) -> None:
    _, report = read(dataset(tmp_path, [*CATEGORIES, {"id": 9, "name": "cow", "supercategory": "animal"}]))
    told = [text for text in report.warnings if "supercategory" in text]
    assert [text.split(":")[0] for text in told] == [
        "annotations/instances_test.json",
        "annotations/instances_train.json",
    ]
    assert "3 categories" in told[1]
