"""Three real pictures, one with a hostile name, and what was inferred of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset import documents
from twinset.pipeline.inference_reading import read_inference
from twinset.pipeline.rating.pictures import picture_files
from twinset.pipeline.rating.records import Ratings
from twinset.pipeline.rating.server import Site, server_of

HOSTILE = "<img src=x onerror=alert(1)>&\"'"


def document() -> documents.InferenceDocument:
    """Pictures ``a``, one whose class is hostile, and one without objects."""
    boxes = [(10.0, 10.0, 40.0, 50.0), (50.0, 20.0, 90.0, 70.0)]
    objects = [
        documents.InferredObject(
            box=box, class_name=name, values={"distance_metres": 2.5 + number, "shape_id": "box/1"}
        )
        for number, (box, name) in enumerate(zip(boxes, ("chair", HOSTILE), strict=True))
    ]
    images = [
        documents.InferredImage(id="part/a.png", size=(80, 100), values={"ambient": 0.71234}, objects=objects),
        documents.InferredImage(id="b", size=(80, 100), values={"ambient": 1.5}, objects=objects[:1]),
        documents.InferredImage(id="c.png", size=(80, 100), values={"ambient": 0.2}),
    ]
    return documents.InferenceDocument(
        synthetic="rendered",
        real="photos",
        measures=["ambient", "distance_metres", "shape_id"],
        affected=["distance_metres"],
        sentences=[f"distance_metres: R² .91. {HOSTILE}"],
        pictures=None,
        objects=None,
        images=images,
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "part").mkdir(parents=True)
    draws = np.random.default_rng(0)
    for name in ("part/a.png", "b.jpg", "c.png"):
        rough = draws.integers(60, 200, size=(8, 10, 3), dtype=np.uint8)
        Image.fromarray(rough).resize((100, 80), Image.Resampling.BICUBIC).save(folder / name)
    return folder


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "inference.json"
    path.write_text(documents.to_json(document()))
    return path


@pytest.fixture
def site(written: Path, photos: Path, tmp_path: Path) -> Site:
    inference, sha256 = read_inference(written)
    ratings = Ratings.opened(tmp_path / "ratings.json", sha256)
    return Site(inference, picture_files(photos, inference.images), ratings)


@pytest.fixture
def serving(site: Site) -> Iterator[Callable[[], str]]:
    server = server_of(site, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield lambda: f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()
