import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset.alignment.metadata import Measures
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.instances import Instances

DATA = Path(os.environ.get("TWINSET_DATA", "/nowhere"))


def folder(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"needs $TWINSET_DATA/{name}")
    return DATA / name


def _instances_of(boxes, size=(100, 200), classes=None, **more):
    """Instances with these boxes, clipped to the picture; empty ones left out."""
    boxes = np.clip(np.asarray(boxes, dtype=np.float32).reshape(-1, 4), 0, [size[1], size[0]] * 2)
    keep = (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
    ids = np.zeros(len(boxes), dtype=np.int64) if classes is None else np.asarray(classes)
    return Instances(size, ids[keep], boxes[keep], **more)


def _dataset_of(pictures, pixels=None, classes=("a", "b", "c")):
    """A dataset of these Instances; blank pictures unless ``pixels`` are given."""
    samples = []
    for row, instances in enumerate(pictures):
        shown = np.zeros((2, 2, 1), dtype=np.uint8) if pixels is None else pixels[row]
        samples.append(Sample(f"{row:04d}", Annotation(instances=instances), image=shown))
    return Dataset.of(samples, classes=classes)


def _measures_of(columns, rows, images, classes=None):
    """Measures straight from columns."""
    rows = np.asarray(rows, dtype=np.int64)
    ids = np.zeros(len(rows), dtype=np.int64) if classes is None else np.asarray(classes, dtype=np.int64)
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    return Measures(images, columns, rows, ids, ("a", "b", "c"))


@pytest.fixture(scope="session")
def instances_of():
    return _instances_of


@pytest.fixture(scope="session")
def dataset_of():
    return _dataset_of


@pytest.fixture(scope="session")
def measures_of():
    return _measures_of


@pytest.fixture(scope="session")
def bccd():
    """Instances of bccd by split, read from its XML."""
    root = folder("bccd") / "VOC2007"
    names = ["RBC", "WBC", "Platelets"]

    def read(image):
        tree = ElementTree.parse(root / "Annotations" / f"{image}.xml").getroot()
        size = (int(tree.findtext("size/height")), int(tree.findtext("size/width")))
        found = [(names.index(o.findtext("name")), o.find("bndbox")) for o in tree.iter("object")]
        boxes = [[float(box.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax")] for _, box in found]
        return _instances_of(boxes, size, [class_id for class_id, _ in found])

    return {
        split: [read(image) for image in (root / f"ImageSets/Main/{split}.txt").read_text().split()]
        for split in ("train", "test")
    }


@pytest.fixture(scope="session")
def aerial_cars():
    """Instances of aerial_cars by split, read from its YOLO text."""
    root = folder("aerial_cars")

    def read(path):
        with Image.open(root / "images" / path.parent.name / f"{path.stem}.jpg") as picture:
            width, height = picture.size
        rows = np.array([line.split() for line in path.read_text().splitlines()], dtype=np.float64).reshape(-1, 5)
        low, high = rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2
        boxes = np.concatenate([low, high], axis=1) * [width, height, width, height]
        return _instances_of(boxes, (height, width), rows[:, 0].astype(np.int64))

    return {
        split: [read(path) for path in sorted((root / "labels" / split).glob("*.txt"))] for split in ("train", "test")
    }
