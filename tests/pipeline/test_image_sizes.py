from __future__ import annotations

import io

import numpy as np
from PIL import Image

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.images import ImageSpec, encode_png
from twinset.pipeline.image_sizes import at_run_size
from twinset.recipe import ImagePart


def test_all_pictures_come_to_one_size_and_plain_ones_of_that_size_stay_as_they_came() -> None:
    draws = np.random.default_rng(0)
    grey, colour = (draws.integers(256, size=(8, 8, channels), dtype=np.uint8) for channels in (1, 3))
    palette = io.BytesIO()
    Image.fromarray(colour).convert("P").save(palette, "PNG")
    plain = encode_png(grey, compress_level=0)
    assert plain != encode_png(grey)
    came = [plain, encode_png(colour), encode_png(np.kron(grey, np.ones((2, 2, 1), np.uint8))), palette.getvalue()]
    samples = [Sample(str(number), Annotation(class_id=0), image=data) for number, data in enumerate(came)]
    dataset = Dataset.of(samples, classes=("a",))
    made, spec, _ = at_run_size(dataset, "classification", ImagePart(size=8, channels=1))
    assert spec == ImageSpec(8, 8, 1)
    images = [sample.pixels() for sample in made]
    assert [image.shape for image in images] == [(8, 8, 1)] * 4
    assert np.array_equal(images[0], grey)
    for sample, image in zip(dataset, images, strict=True):
        assert np.array_equal(spec.prepare(sample.pixels()), image)
    assert made.table.column("image")[0].as_py() == plain
