from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from twinset.dataset import Dataset, Sample
from twinset.errors import ImageError
from twinset.evaluation.detectability.confounders import (
    Confounder,
    Equalise,
    FileTraits,
    confounder_warnings,
    confounders,
    file_traits,
    jpeg_quality,
    seam_confounder,
    seams,
    traits_of,
)
from twinset.randomness import Stream


def texture(seed: int, height: int = 64, width: int = 48, channels: int = 3) -> np.ndarray:
    """Smooth noise, as pictures are."""
    draw = np.random.Generator(np.random.PCG64(seed))
    rough = draw.normal(size=(height, width, channels))
    for axis in (0, 1):
        for _ in range(3):
            rough = (rough + np.roll(rough, 1, axis=axis)) / 2
    return np.clip(128 + 150 * rough, 0, 255).astype(np.uint8)


def coded(picture: np.ndarray, format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(buffer, format=format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 75, 90, 95, 99, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    assert file_traits(coded(texture(0), "JPEG", quality=quality)).jpeg_quality == quality


def test_traits_of_a_file_are_those_of_its_header() -> None:
    assert file_traits(coded(texture(0, 20, 30), "PNG")) == FileTraits("PNG", "30 × 20", "RGB", 0)
    assert file_traits(coded(texture(0, 20, 30, 1), "JPEG", quality=80)) == FileTraits("JPEG", "30 × 20", "L", 80)
    with pytest.raises(ImageError, match="expected an encoded picture"):
        file_traits(b"no picture")
    assert jpeg_quality(np.ones(64, dtype=np.int64)) == 100


def test_jpeg_against_png_alarms_and_equal_files_do_not() -> None:
    real = [file_traits(coded(texture(s), "JPEG", quality=90)) for s in range(30)]
    synthetic = [file_traits(coded(texture(s), "PNG")) for s in range(30, 60)]
    found = {each.trait: each for each in confounders(real, synthetic, rng=Stream(0))}
    assert [name for name, each in found.items() if each.alarming] == ["container", "jpeg quality"]
    assert found["container"].separation == 1.0
    assert found["size"].separation == 0.5
    assert found["size"].p_value == 1.0
    assert "container alone tells the sets apart in 100 % of cases (real: JPEG 100 %; synthetic: PNG 100 %)" in (
        found["container"].sentence
    )
    warned = confounder_warnings(list(found.values()), Equalise(size=(8, 8)))
    assert len(warned) == 2
    assert not confounder_warnings(list(found.values()), Equalise(jpeg_quality=70), files=real)
    again = confounder_warnings(list(found.values()), Equalise(jpeg_quality=71), files=[*synthetic, *real])
    assert len(again) == 1
    assert "JPEG quality 90 were coded again at 71" in again[0]
    assert not confounder_warnings(list(found.values()), Equalise(jpeg_quality=71, size=(40, 40)), files=real)


def test_many_distinct_sizes_alarm_only_where_the_sides_differ() -> None:
    def sized(widths: range) -> list[FileTraits]:
        return [FileTraits("PNG", f"{width} × 10", "L", 0) for width in widths]

    alike = confounders(sized(range(100, 140)), sized(range(200, 240)), rng=Stream(0))[1]
    assert alike.separation == 1.0
    assert not alike.alarming
    one = confounders(sized(range(100, 140)), [FileTraits("PNG", "64 × 64", "L", 0)] * 40, rng=Stream(0))[1]
    assert one.alarming


def test_p_values_of_traits_are_exact() -> None:
    draw = np.random.Generator(np.random.PCG64(1))
    kinds = [FileTraits("PNG", f"{size} × 8", "L", 0) for size in range(6)]
    p_values = []
    for seed in range(200):
        sides = [[kinds[row] for row in draw.integers(6, size=count)] for count in (40, 25)]
        p_values.append(confounders(*sides, rng=Stream(seed), permutations=99)[1].p_value)
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.07)


def test_seams_stay_when_a_jpeg_is_saved_as_png() -> None:
    clean = np.array([seams(texture(s)) for s in range(20)])
    coded_once = np.array([seams(Equalise(jpeg_quality=25).apply(texture(s))) for s in range(20, 40)])
    assert abs(clean.mean()) < 0.02
    assert coded_once.min() > clean.max()
    found = seam_confounder(coded_once, clean)
    assert found.separation == 1.0
    assert found.alarming
    assert seam_confounder(clean, coded_once).separation == 1.0
    assert not seam_confounder(clean[:10], clean[10:]).alarming
    assert seam_confounder(np.zeros(5), np.zeros(5)) == Confounder(
        "8-pixel seams in the pixels", 0.5, 1.0, "none", "none"
    )
    assert seams(texture(0, 12, 40)) == 0.0


def test_equalising_brings_both_to_one_form() -> None:
    road = Equalise(size=(16, 24), jpeg_quality=70, channels=1)
    assert road.apply(texture(0)).shape == (16, 24, 1)
    assert np.array_equal(Equalise().apply(texture(1)), texture(1))
    assert not np.array_equal(Equalise(jpeg_quality=30).apply(texture(1)), texture(1))
    assert [road.removes(trait) for trait in ("container", "size", "colours", "jpeg quality", "another")] == [
        *[True] * 4,
        False,
    ]
    assert not any(Equalise().removes(trait) for trait in ("container", "size", "colours", "jpeg quality"))
    for wrong in ({"size": (4, 9)}, {"jpeg_quality": 0}, {"channels": 2}):
        with pytest.raises(ValueError, match="expected"):
            Equalise(**wrong)  # type: ignore[arg-type]


def test_pictures_held_as_pixels_count_as_png() -> None:
    held = Dataset.of([Sample("a", image=texture(0)), Sample("b", image=coded(texture(1), "JPEG"))], classes=[])
    assert [each.container for each in traits_of(held)] == ["PNG", "JPEG"]
    assert confounders([], traits_of(held), rng=Stream(0)) == []
