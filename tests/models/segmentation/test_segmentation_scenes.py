from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinset.annotations import Annotation, SemanticMap
from twinset.dataset import Dataset, Sample
from twinset.errors import DatasetFormatError, RunFolderError
from twinset.models.segmentation import PixelScenes
from twinset.models.segmentation.scenes import nearest
from twinset.randomness import Stream


def dataset(*sizes: tuple[int, int]) -> Dataset:
    generator = Stream(2).numpy()
    samples = []
    for index, size in enumerate(sizes):
        pixels = generator.integers(256, size=(*size, 3)).astype(np.uint8)
        values = generator.integers(-1, 3, size=size)
        samples.append(Sample(f"s{index}", Annotation(semantic=SemanticMap.of(values)), image=pixels))
    return Dataset.of(samples, classes=["a", "b", "c"])


def test_at_their_own_size_scenes_are_the_pictures_and_maps() -> None:
    data = dataset((6, 8), (6, 8))
    scenes = PixelScenes.of(data, height=6, width=8, channels=3)
    for row, sample in enumerate(data):
        assert sample.annotation is not None
        assert sample.annotation.semantic is not None
        np.testing.assert_array_equal(scenes.images[row], sample.pixels())
        np.testing.assert_array_equal(scenes.maps[row], sample.annotation.semantic.dense())
    assert scenes.maps.dtype == np.int16
    assert scenes.originals.tolist() == [[6, 8], [6, 8]]


def test_maps_shrink_by_their_nearest_pixel_and_grow_by_repetition() -> None:
    values = np.arange(24).reshape(4, 6)
    assert nearest(values, 2, 2).tolist() == [[7, 10], [19, 22]]
    assert nearest(values, 8, 12).tolist() == np.repeat(np.repeat(values, 2, 0), 2, 1).tolist()
    assert nearest(values, 4, 6).tolist() == values.tolist()


def test_pictures_of_several_sizes_come_to_one_and_remember_their_own() -> None:
    scenes = PixelScenes.of(dataset((6, 8), (20, 10)), height=12, width=16, channels=1)
    assert scenes.shape == (12, 16, 1)
    assert scenes.originals.tolist() == [[6, 8], [20, 10]]


def test_an_unlabelled_picture_is_ignored_everywhere() -> None:
    plain = Dataset.of([Sample("x", image=np.zeros((5, 5, 3), np.uint8))], classes=["a"])
    assert (PixelScenes.of(plain, height=5, width=5, channels=3).maps == -1).all()


def test_a_map_of_another_size_than_its_picture_is_an_error() -> None:
    wrong = Annotation(semantic=SemanticMap.of(np.zeros((4, 5), np.int32)))
    data = Dataset.of([Sample("x", wrong, image=np.zeros((5, 4, 3), np.uint8))], classes=["a"])
    with pytest.raises(DatasetFormatError, match="expected a semantic map of 4 x 5; got 5 x 4"):
        PixelScenes.of(data, height=4, width=4, channels=3)


def test_scenes_in_memory_on_disk_and_loaded_are_the_same(tmp_path: Path) -> None:
    data = dataset((6, 8), (9, 4), (7, 7))
    held = PixelScenes.of(data, height=6, width=6, channels=3)
    mapped = PixelScenes.of(data, height=6, width=6, channels=3, folder=tmp_path / "made")
    held.save(tmp_path / "saved")
    made, saved = (PixelScenes.load(tmp_path / name) for name in ("made", "saved"))
    assert isinstance(mapped.images, np.memmap)
    assert isinstance(saved.images, np.memmap)
    assert {scenes.digest() for scenes in (mapped, made, saved)} == {held.digest()}


@pytest.mark.parametrize("name", ["images", "maps", "originals"])
def test_the_digest_sees_every_array(name: str) -> None:
    scenes = PixelScenes.of(dataset((4, 4), (5, 5)), height=4, width=4, channels=3)
    arrays = {key: getattr(scenes, key).copy() for key in ("images", "maps", "originals")}
    arrays[name].flat[3] ^= 1
    assert PixelScenes(**arrays).digest() != scenes.digest()


def test_damaged_scenes_are_one_clear_error(tmp_path: Path) -> None:
    PixelScenes.of(dataset((4, 4)), height=4, width=4, channels=3).save(tmp_path)
    (tmp_path / "maps.npy").write_bytes(b"nothing")
    with pytest.raises(RunFolderError, match="expected saved scenes; got"):
        PixelScenes.load(tmp_path)


def test_take_and_concat_keep_order() -> None:
    scenes = PixelScenes.of(dataset((4, 4), (5, 6), (6, 7)), height=4, width=4, channels=3)
    both = scenes.take([2]).concat(scenes.take([0, 1]))
    assert both.digest() == scenes.take([2, 0, 1]).digest()
    assert both.originals.tolist() == [[6, 7], [4, 4], [5, 6]]
    with pytest.raises(ValueError, match="prepare both at one size"):
        scenes.concat(PixelScenes.of(dataset((4, 4)), height=5, width=4, channels=3))


def test_wrong_arrays_are_refused() -> None:
    images, maps, originals = np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4, 4), np.int16), np.ones((1, 2), np.int32)
    with pytest.raises(ValueError, match="expected uint8 images"):
        PixelScenes(images[..., :2], maps, originals)
    with pytest.raises(ValueError, match="expected int16 maps"):
        PixelScenes(images, maps.astype(np.int64), originals)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected int32 originals"):
        PixelScenes(images, maps, originals[:, :1])
