from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import DatasetFormatError
from twinset.families import GroupRule, duplicates, families, is_near_copy, local_means, one_of_each
from twinset.formats import read
from twinset.images import Pixels, decode, resize

DATA = os.environ.get("TWINSET_DATA")
real_data = pytest.mark.skipif(DATA is None, reason="needs TWINSET_DATA")


def scene(seed: int, side: int = 64, channels: int = 3) -> Pixels:
    """A smooth random picture with edges: what photographs have and noise has not."""
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (8, 8, channels), dtype=np.uint8)
    picture = resize(rough, side, side).copy()
    for _ in range(4):
        top, left = rng.integers(0, side - 8, 2)
        picture[top : top + side // 4, left : left + side // 4] = rng.integers(0, 256, channels)
    return picture


def as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="JPEG", quality=quality)
    return decode(buffer.getvalue())


def dataset_of(pictures: Sequence[Pixels]) -> Dataset:
    return Dataset.of([Sample(f"{row:03d}", image=p) for row, p in enumerate(pictures)], classes=[])


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "JPEG at 90": lambda p: as_jpeg(p, 90),
    "JPEG at 60": lambda p: as_jpeg(p, 60),
    "half the size": lambda p: resize(p, p.shape[0] // 2, p.shape[1] // 2),
    "twice the size": lambda p: resize(p, p.shape[0] * 2, p.shape[1] * 2),
    "another aspect": lambda p: resize(p, p.shape[0] * 3 // 4, p.shape[1]),
    "resized and recompressed": lambda p: as_jpeg(resize(p, p.shape[0] * 3 // 4, p.shape[1] * 3 // 4), 75),
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_planted_copies_are_found_and_nothing_else(name: str, channels: int) -> None:
    originals = [scene(seed, channels=channels) for seed in range(40)]
    found = duplicates(dataset_of([*originals, *(COPIES[name](picture) for picture in originals[:20])]))
    assert sorted(group.rows for group in found) == [(row, 40 + row) for row in range(20)]
    assert {group.kind for group in found} == {"near"}


def test_equal_pixels_in_other_clothes_are_exact_copies() -> None:
    grey = scene(1, channels=1)
    found = duplicates(dataset_of([scene(2), grey, scene(3), np.repeat(grey, 3, axis=2)]))
    assert [(group.kind, group.rows) for group in found] == [("exact", (1, 3))]


def test_exact_and_near_copies_of_one_picture_are_one_group() -> None:
    first = scene(1)
    dataset = dataset_of([first, as_jpeg(first, 90), first])
    assert [(group.kind, group.rows) for group in duplicates(dataset)] == [("near", (0, 1, 2))]


def test_a_local_change_is_another_picture() -> None:
    first = scene(5)
    second = first.copy()
    second[20:26, 30:36] = 255 - second[20:26, 30:36]
    assert is_near_copy(first, as_jpeg(first, 80))
    assert not is_near_copy(first, second)


def test_another_colour_is_another_picture() -> None:
    first = scene(5)
    assert not is_near_copy(first, np.ascontiguousarray(first[..., ::-1]))


@pytest.mark.parametrize("others", [0, 1, 30])
def test_an_aligned_series_is_not_one_picture(others: int) -> None:
    rng = np.random.default_rng(0)
    product = scene(9, channels=1).astype(np.float64)
    shots = [
        np.clip(product + resize(rng.integers(118, 138, (16, 16, 1), dtype=np.uint8), 64, 64) - 128.0, 0, 255)
        for _ in range(30)
    ]
    strays = [scene(seed, channels=1) for seed in range(20, 20 + others)]
    assert duplicates(dataset_of([*strays, *(shot.astype(np.uint8) for shot in shots)])) == ()


def test_more_copies_than_neighbours_are_looked_at_are_one_family() -> None:
    first = scene(3)
    copies = [as_jpeg(first, quality) for quality in range(75, 95)]
    dataset = dataset_of([*(scene(seed) for seed in range(10, 40)), *copies])
    assert len(np.unique(families(dataset))) == 31


def augmented(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """What offline augmentation leaves in a folder: other brightness, noise, recompression."""
    noisy = pixels * rng.uniform(0.95, 1.05) + rng.normal(0, 2, pixels.shape)
    return as_jpeg(np.clip(noisy, 0, 255).round().astype(np.uint8), int(rng.integers(40, 96)))


@pytest.mark.slow
@pytest.mark.parametrize("copies", [5, 10, 12, 40])
def test_any_number_of_augmented_copies_is_one_family(copies: int) -> None:
    rng = np.random.default_rng(0)
    pictures = [augmented(scene(seed), rng) for seed in range(15) for _ in range(copies)]
    assert families(dataset_of(pictures)).tolist() == [row // copies for row in range(15 * copies)]


def test_clusters_within_a_crowd_stay_one_family() -> None:
    rng = np.random.default_rng(0)
    first = scene(3).astype(np.float64)
    shaded = first + 2.8 * np.sin(np.linspace(0, 3 * np.pi, 64))[:, None, None]
    crowd = [version + rng.normal(0, 2, first.shape) for version in (first, shaded) for _ in range(20)]
    pictures = [np.clip(picture, 0, 255).round().astype(np.uint8) for picture in crowd]
    dataset = dataset_of([*(scene(seed) for seed in range(10, 30)), *pictures])
    assert families(dataset).tolist() == [*range(20), *[20] * 40]


def test_pictures_of_several_parents_may_join_by_all_of_them_alone() -> None:
    parents = (("a", "b"), ("b", "c"), ("b", "a"), ("c",), ("c",))
    samples = [
        Sample(str(row), Annotation(class_id=0), Origin("paste", 0, "d", found), image=scene(row))
        for row, found in enumerate(parents)
    ]
    dataset = Dataset.of(samples, classes=("one",))
    assert families(dataset).tolist() == [0, 0, 0, 0, 0]
    assert families(dataset, parents="same").tolist() == [0, 1, 0, 2, 2]


def test_blank_pictures_are_copies_only_when_equal() -> None:
    blanks = [np.full((16, 16, 1), value, dtype=np.uint8) for value in (10, 11, 12, 10)]
    assert [(g.kind, g.rows) for g in duplicates(dataset_of(blanks))] == [("exact", (0, 3))]


def test_the_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    originals = [scene(seed) for seed in range(30)]
    dataset = dataset_of([*originals, *(as_jpeg(picture, 80) for picture in originals[:10])])
    whole = families(dataset)
    monkeypatch.setattr("twinset.families.BLOCK_ELEMENTS", 7 * 40)
    assert (families(dataset) == whole).all()
    order = np.random.default_rng(1).permutation(len(dataset))
    shuffled = families(dataset.take(order))
    assert all((shuffled == shuffled[i]).sum() == (whole == whole[row]).sum() for i, row in enumerate(order))


def test_local_means_keep_the_mean_at_any_size() -> None:
    plane = np.random.default_rng(0).uniform(0, 255, (17, 31))
    for grid in (1, 5, 12, 40):
        assert local_means(plane, grid).mean() == pytest.approx(plane.mean())
    assert local_means(plane, 1)[0, 0] == pytest.approx(plane.mean())


def edited_from(parents: Sequence[tuple[str, ...]]) -> Dataset:
    samples = [
        Sample(f"{row}", image=scene(row), origin=Origin("classical", 1, "d", parents=of))
        for row, of in enumerate(parents)
    ]
    return Dataset.of(samples, classes=[])


def test_children_of_one_parent_are_one_family_though_the_parent_is_elsewhere() -> None:
    assert families(edited_from([("p",), ("q",), ("p",), (), ("r", "q")])).tolist() == [0, 1, 0, 2, 1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_tiny_datasets_have_families_too(count: int) -> None:
    assert families(dataset_of([scene(seed) for seed in range(count)])).tolist() == list(range(count))


def test_no_two_of_the_real_digits_are_copies() -> None:
    dataset, _ = read("builtin:digits")
    assert duplicates(dataset) == ()


@pytest.mark.slow
@real_data
@pytest.mark.parametrize("name", ["mnist", "cifar10", "pneumonia_mnist"])
def test_real_distinct_pictures_stay_apart(name: str) -> None:
    dataset, _ = read(Path(str(DATA)) / name)
    found = duplicates(dataset)
    stems = {tuple(Path(dataset.ids[row]).stem[-5:] for row in group.rows) for group in found}
    known = {("00440", "00538"), ("00170", "00311"), ("00302", "00401")}
    assert stems == (known if name == "pneumonia_mnist" else set())
    assert {group.kind for group in found} <= {"exact"}


def grouped() -> Dataset:
    samples = [
        Sample(
            f"{site}/{patient}_{shot}.png",
            Annotation(class_id=0, attributes={"patient": patient}),
            image=scene(10 * site_number + 3 * patient_number + shot),
        )
        for site_number, site in enumerate(["north", "south"])
        for patient_number, patient in enumerate(["p1", "p2"])
        for shot in range(2)
    ]
    return Dataset.of(samples, classes=["x"])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (GroupRule(column="patient"), [0, 0, 1, 1, 0, 0, 1, 1]),
        (GroupRule(regex=r"/(p\d)_"), [0, 0, 1, 1, 0, 0, 1, 1]),
        (GroupRule(regex=r"^.*_"), [0, 0, 1, 1, 2, 2, 3, 3]),
        (GroupRule(folder=1), [0, 0, 0, 0, 1, 1, 1, 1]),
        (None, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_groups_by_column_pattern_and_folder(rule: GroupRule | None, expected: list[int]) -> None:
    assert families(grouped(), groups=rule).tolist() == expected


@pytest.mark.parametrize("rule", [GroupRule(column="video"), GroupRule(regex="q(.)"), GroupRule(folder=2)])
def test_a_rule_that_finds_no_group_is_an_error(rule: GroupRule) -> None:
    with pytest.raises(DatasetFormatError, match=r"got 8 of 8 without one, first north/p1_0\.png"):
        families(grouped(), groups=rule)


def test_group_rules_are_checked() -> None:
    for bad in ({}, {"column": "a", "folder": 1}, {"folder": 0}, {"regex": "("}):
        with pytest.raises(ValueError, match="expected"):
            GroupRule(**bad)  # type: ignore[arg-type]


def test_descendants_belong_to_their_parents() -> None:
    child = Sample("child", None, Origin("sdedit", 1, "abc", ("b", "elsewhere")), image=scene(3))
    samples = [Sample("a", image=scene(1)), Sample("b", image=scene(2)), child]
    assert families(Dataset.of(samples, classes=[])).tolist() == [0, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_one_of_each_family_is_the_first_of_it_in_the_order_given(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    family = rng.choice([3, 5, 8, 900], 40)
    order = rng.permutation(40)[:30]
    found = one_of_each(family, order)
    seen: dict[int, int] = {}
    for row in order.tolist():
        seen.setdefault(int(family[row]), row)
    assert found.tolist() == list(seen.values())


def test_one_of_each_family_is_any_of_its_rows_alike() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    family = np.array([1, 0, 0, 1, 0])
    drawn = np.bincount(np.concatenate([one_of_each(family, rng.permutation(5)) for _ in range(6000)]), minlength=5)
    np.testing.assert_allclose(drawn / 6000, [1 / 2, 1 / 3, 1 / 3, 1 / 2, 1 / 3], atol=0.03)  # 4.6 standard errors
