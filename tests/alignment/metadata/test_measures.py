import pickle

import numpy as np
import pytest
from scipy import ndimage

from twinset.alignment.metadata import MEASURES, measure, measure_boxes
from twinset.alignment.metadata.image_measures import TEXTURE, texture
from twinset.annotations import Annotation, Instances
from twinset.dataset import Dataset, Sample
from twinset.images import convert_channels
from twinset.masks import Rle


def reference(grey):
    """The five measures of a luma picture in plain SciPy, step by step as they are defined in papers and handbooks."""
    wide = grey.astype(np.float64)
    blurs = []
    for axis in (0, 1):
        kernel = np.outer([1, 0, -1], [1, 2, 1]) / 8
        kernel = kernel if axis == 0 else kernel.T
        sharp = np.abs(ndimage.convolve(wide, kernel))
        filtered = np.abs(ndimage.convolve(ndimage.uniform_filter1d(wide, 11, axis=axis), kernel))
        inner = tuple(slice(2, side - 1) for side in grey.shape)
        total = sharp[inner].sum()
        blurs.append((total - np.maximum(0, sharp - filtered)[inner].sum()) / total)
    _, counts = np.unique(grey, return_counts=True)
    shares = counts / counts.sum()
    laplacian = ndimage.convolve(wide, np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=float))
    return [laplacian.var(), max(blurs), -(shares * np.log2(shares)).sum(), wide.mean(), wide.std()]


@pytest.fixture(scope="module")
def photo():
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(rng.normal(size=(120, 160, 3)), (2, 3, 0)) * 400 + rng.normal(128, 8, (120, 160, 3))
    return np.clip(rough, 0, 255).astype(np.uint8)


def test_texture_of_picture_and_crops_equals_plain_references(photo):
    rng = np.random.default_rng(1)
    low = rng.uniform(0, [150, 110], (40, 2))
    boxes = np.concatenate([low, np.minimum(low + rng.uniform(4, 80, (40, 2)), [160, 120])], axis=1)
    boxes[0] = [0, 0, 160, 120]
    found = texture(photo, boxes)
    grey = convert_channels(photo, 1)[..., 0]
    crops = [grey] + [grey[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] for x1, y1, x2, y2 in boxes]
    np.testing.assert_allclose(found, [reference(crop) for crop in crops], rtol=1e-10)
    np.testing.assert_array_equal(found[0], found[1])


def test_a_blurred_picture_is_blurrier_and_less_sharp(photo):
    soft = ndimage.gaussian_filter(photo, (2, 2, 0))
    sharp, blurred = (dict(zip(TEXTURE, texture(p, np.empty((0, 4)))[0], strict=True)) for p in (photo, soft))
    assert blurred["blur"] > sharp["blur"] + 0.1
    assert blurred["sharpness"] < 0.5 * sharp["sharpness"]
    assert blurred["contrast"] < sharp["contrast"]


def test_blur_is_of_the_axis_that_has_a_gradient_and_flat_or_tiny_crops_have_none():
    stripes = np.zeros((40, 40, 1), dtype=np.uint8)
    stripes[:, ::4] = 200
    stripes[:, 1::4] = 200
    flat = np.full((40, 40, 1), 7, dtype=np.uint8)
    table = texture(stripes, np.array([[0, 0, 3, 3], [5.5, 5.5, 6.2, 6.2]]))
    assert 0 < table[0, 1] < 0.5
    assert np.isnan(table[1:, 1]).all()
    assert table[2, 3:].tolist() == [100.0, 100.0]  # pixels 5 and 6, a bright and a dark stripe
    np.testing.assert_array_equal(texture(flat, np.empty((0, 4)))[0], [0, np.nan, 0, 7, 0])


def test_geometry_by_hand(instances_of, dataset_of):
    found = measure(
        dataset_of([instances_of([[10, 20, 50, 30], [30, 20, 50, 40]]), Instances.none((100, 200))]), pixels=False
    )
    columns = {name: column.tolist() for name, column in found.columns.items()}
    assert columns["count"] == [2, 0]
    assert columns["box_area_px"] == [400, 400]
    assert columns["box_area"] == [0.02, 0.02]
    assert columns["aspect_ratio"] == [4, 1]
    assert columns["centre_x"] == [0.15, 0.2]
    assert columns["centre_y"] == [0.25, 0.3]
    assert columns["box_overlap"] == [0.5, 0.5]
    assert found.image_rows.tolist() == [0, 0]


def test_box_overlap_is_the_largest_single_share_and_stays_within_the_picture(instances_of, dataset_of):
    pictures = [instances_of([[0, 0, 10, 10], [5, 0, 10, 10], [0, 0, 10, 2]]), instances_of([[0, 0, 10, 10]])]
    overlap = measure(dataset_of(pictures), measures=["box_overlap"], pixels=False).columns["box_overlap"]
    assert overlap.tolist() == [0.5, 1.0, 1.0, 0.0]


def test_boxes_alone_open_no_picture(instances_of):
    sample = Sample("a", Annotation(instances=instances_of([[0, 0, 10, 10]])), image=b"not a picture")
    found = measure(Dataset.of([sample], classes=["a"]), pixels=False)
    assert found.values("box_area_px").tolist() == [np.log(100)]
    with pytest.raises(ValueError, match=r"got box_blur; use pixels=True"):
        measure(Dataset.of([sample], classes=["a"]), pixels=False, measures=["box_blur"])


def test_crowds_are_no_objects_and_unlabelled_pictures_have_no_count(photo, instances_of):
    crowded = instances_of([[0, 0, 30, 30], [10, 10, 60, 60]], (120, 160), crowd=np.array([True, False]))
    samples = [
        Sample("a", Annotation(instances=crowded), image=photo),
        Sample("b", None, image=photo),
        Sample("c", Annotation(class_id=0), image=photo),
    ]
    found = measure(Dataset.of(samples, classes=["a"]))
    np.testing.assert_array_equal(found.columns["count"], [1, np.nan, np.nan])
    expected = texture(photo, np.array([[10.0, 10, 60, 60]]))
    np.testing.assert_array_equal(found.columns["box_contrast"], expected[1:, 4])
    np.testing.assert_array_equal(found.columns["contrast"], expected[:1, 4].repeat(3))
    assert found.values("count").tolist() == [1]


def test_threads_change_nothing_and_measures_survive_pickling(photo, instances_of, dataset_of):
    rng = np.random.default_rng(2)
    pictures = [instances_of(np.sort(rng.uniform(0, 100, (k % 4, 2, 2)), axis=1), (120, 160)) for k in range(40)]
    dataset = dataset_of(pictures, [np.roll(photo, k, axis=1) for k in range(40)])
    alone, together = measure(dataset), pickle.loads(pickle.dumps(measure(dataset, workers=3)))
    assert alone.names == together.names == tuple(n for n, one in MEASURES.items() if one.source != "scene")
    for name in alone.names:
        np.testing.assert_array_equal(alone.columns[name], together.columns[name])


def test_values_are_finite_scaled_and_of_one_class(instances_of):
    pictures = [
        instances_of([[0, 0, 10, 10], [0, 0, 20, 10]], classes=[0, 1]),
        instances_of([[0, 0, 40, 10]], classes=[1]),
    ]
    found = measure_boxes(pictures, classes=["a", "b", "c"])
    np.testing.assert_allclose(np.exp(found.values("box_area_px", class_id=1)), [200, 400])
    assert found.with_rows("box_area_px", class_id=1)[1].tolist() == [0, 1]
    assert found.values("count", class_id=0).tolist() == [1, 0]
    assert found.values("count").tolist() == [2, 1]
    assert found.take([1, 0]).values("centre_x").tolist() == found.values("centre_x")[[2, 0, 1]].tolist()
    assert found.take([1]).class_ids.tolist() == [1]
    with pytest.raises(KeyError, match="measure it first"):
        found.values("blur")


def mask_of(rows, columns, size=(40, 60)):
    mask = np.zeros(size, dtype=bool)
    mask[rows, columns] = True
    return mask


def test_background_similarity_is_the_cosine_of_both_sides_of_the_border(instances_of, dataset_of):
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[...] = [0, 100, 0]
    pixels[10:20, 10:20] = [100, 100, 0]
    inside = Rle.of(mask_of(slice(10, 20), slice(10, 20)))
    similar = Rle.of(mask_of(slice(30, 38), slice(40, 50)))
    found = instances_of([[10, 10, 20, 20], [40, 30, 50, 38], [0, 0, 5, 5]], (40, 60), masks=(inside, similar, None))
    values = measure(dataset_of([found], [pixels]), measures=["background_similarity"]).columns["background_similarity"]
    np.testing.assert_allclose(values, [np.sqrt(0.5), 1.0, np.nan])


def test_background_similarity_equals_a_loop_over_pixels(photo, instances_of, dataset_of):
    rng = np.random.default_rng(3)
    mask = ndimage.gaussian_filter(rng.normal(size=(120, 160)), 4) > 0.05
    mask[:5] = True  # up to the edge of the picture
    rle = Rle.of(mask)
    found = instances_of([rle.box()], (120, 160), masks=(rle,))
    value = measure(dataset_of([found], [photo]), measures=["background_similarity"]).columns["background_similarity"][
        0
    ]
    border, beside = [], []
    for y, x in zip(*np.nonzero(mask), strict=True):
        near = [
            photo[v, u].astype(float)
            for v in range(max(0, y - 1), min(120, y + 2))
            for u in range(max(0, x - 1), min(160, x + 2))
            if not mask[v, u]
        ]
        if near:
            border.append(photo[y, x])
            beside.append(np.mean(near, axis=0))
    a, b = np.ravel(border).astype(float), np.ravel(beside)
    assert value == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), rel=1e-12)


def test_visible_fraction_from_column_or_masks(instances_of, dataset_of):
    whole, seen = mask_of(slice(0, 10), slice(0, 10)), mask_of(slice(0, 10), slice(0, 4))
    other = mask_of(slice(0, 10), slice(4, 24))
    found = instances_of(
        [[0, 0, 10, 10], [4, 0, 24, 10]],
        (40, 60),
        masks=(Rle.of(seen), Rle.of(other)),
        amodal_masks=(Rle.of(whole), Rle.of(other)),
    )
    stated = instances_of([[0, 0, 10, 10], [4, 0, 24, 10]], (40, 60), columns={"visible_fraction": (0.25, None)})
    names = ["visible_fraction", "mask_overlap"]
    table = measure(dataset_of([found, stated]), measures=names, pixels=False).columns
    np.testing.assert_allclose(table["visible_fraction"], [0.4, 1.0, 0.25, np.nan])
    np.testing.assert_allclose(table["mask_overlap"], [0.6, 0.3, np.nan, np.nan])


def test_unknown_measures_are_refused(instances_of, dataset_of):
    with pytest.raises(ValueError, match="expected measures among sharpness"):
        measure(dataset_of([instances_of([])]), measures=["sharpnes"])
