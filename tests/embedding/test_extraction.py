"""One decoding pass feeds all, and what is cached is what would be computed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from twinset.dataset import Dataset, Sample
from twinset.embedding import extraction
from twinset.embedding.embedder import embed_dataset
from twinset.embedding.extraction import BATCH, extract, kept_rows, one_pass, pictures_digest
from twinset.embedding.feature_cache import FeatureCache
from twinset.embedding.pixels import SmallPixels
from twinset.embedding.random_convolution import RandomConvolution
from twinset.errors import DataError, RunFolderError
from twinset.images import ImageSpec, Pixels

SPEC = ImageSpec(8, 8, 1)


def dataset(count: int, *, seed: int = 0, side: int = 10, prefix: str = "") -> Dataset:
    draws = np.random.default_rng(seed)
    pictures = draws.integers(0, 256, (count, side, side, 1), dtype=np.uint8)
    return Dataset.of([Sample(f"{prefix}{row}", image=pixels) for row, pixels in enumerate(pictures)], classes=())


@dataclass
class Counted:
    """A consumer that counts what it is given."""

    prepared: int = 0
    batches: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)

    def prepare(self, picture: Pixels) -> NDArray[np.generic]:
        self.prepared += 1
        return picture[0, 0]

    def take(self, prepared: Sequence[NDArray[np.generic]]) -> None:
        self.batches.append(len(prepared))
        self.first += [int(part[0]) for part in prepared]


def test_every_picture_is_decoded_once_in_order_for_all_consumers() -> None:
    data = dataset(BATCH + 3)
    one, other = Counted(), Counted()
    told: list[tuple[int, int]] = []
    one_pass(data, [one, other], progress=lambda done, total: told.append((done, total)))
    assert one.prepared == other.prepared == BATCH + 3
    assert one.batches == [BATCH, 3]
    assert one.first == other.first == [int(sample.pixels()[0, 0, 0]) for sample in data]
    assert told == [(BATCH, BATCH + 3), (BATCH + 3, BATCH + 3)]


def test_features_and_pixels_equal_those_computed_one_by_one(tmp_path: Path) -> None:
    data, extractor = dataset(BATCH + 40), RandomConvolution(dimension=8, size=16)
    found = extract(data, [(extractor, SPEC)], pixels=SPEC, scratch=tmp_path)
    np.testing.assert_array_equal(found.features[extractor.name], embed_dataset(extractor, data, spec=SPEC))
    assert found.pixels is not None
    np.testing.assert_array_equal(found.pixels, data.prepared(SPEC))


def test_what_is_cached_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, extractor = dataset(20), RandomConvolution(dimension=8, size=16)
    first = extract(
        data, [(extractor, SPEC)], pixels=None, scratch=tmp_path / "a", cache=FeatureCache(tmp_path / "cache")
    )
    monkeypatch.setattr(Sample, "pixels", lambda _: pytest.fail("decoded although all is cached"))
    again = extract(
        data, [(extractor, SPEC)], pixels=None, scratch=tmp_path / "b", cache=FeatureCache(tmp_path / "cache")
    )
    np.testing.assert_array_equal(first.features[extractor.name], again.features[extractor.name])


def test_other_pictures_extractors_and_sizes_have_other_features(tmp_path: Path) -> None:
    def files(data: Dataset, extractor: RandomConvolution, spec: ImageSpec) -> int:
        extract(data, [(extractor, spec)], pixels=None, scratch=tmp_path, cache=FeatureCache(tmp_path / "cache"))
        return len(list((tmp_path / "cache").iterdir()))

    small = RandomConvolution(dimension=8, size=16)
    assert files(dataset(9), small, SPEC) == 1
    assert files(dataset(9, prefix="renamed"), small, SPEC) == 1
    assert files(dataset(9, seed=1), small, SPEC) == 2
    assert files(dataset(9), RandomConvolution(dimension=9, size=16), SPEC) == 3
    assert files(dataset(9), small, ImageSpec(9, 8, 1)) == 4


def test_what_another_version_of_a_package_made_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, extractor, cache = dataset(9), RandomConvolution(dimension=8, size=16), FeatureCache(tmp_path / "cache")
    named = extraction._versions()
    assert {"torch", "pillow", "numpy"} <= {each.split()[0] for each in named}
    for versions in (named, named, (*named[1:], "torch 0.1")):
        monkeypatch.setattr(extraction, "_versions", lambda found=versions: found)
        extract(data, [(extractor, SPEC)], pixels=None, scratch=tmp_path, cache=cache)
    assert len(list(cache.folder.iterdir())) == 2


def test_kept_rows_are_those_and_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "BATCH", 4)
    array = np.arange(33).reshape(11, 3)
    kept = np.arange(11) % 3 != 0
    found = kept_rows(array, kept, tmp_path / "rows.npy")
    np.testing.assert_array_equal(found, array[kept])
    assert isinstance(found, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]
    assert kept_rows(array, np.zeros(11, dtype=bool), tmp_path / "none.npy").shape == (0, 3)


def test_the_order_of_the_pictures_counts() -> None:
    data = dataset(4)
    assert pictures_digest(data) != pictures_digest(data.take([1, 0, 2, 3]))


def test_an_interrupted_pass_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(SmallPixels):
        def embed(self, images: object) -> NDArray[np.float32]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(dataset(5), [(Broken(), SPEC)], pixels=SPEC, scratch=tmp_path / "s", cache=FeatureCache(tmp_path / "c"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_damaged_cache_file_is_computed_again(tmp_path: Path) -> None:
    data, extractor = dataset(6), RandomConvolution(dimension=8, size=16)
    extract(data, [(extractor, SPEC)], pixels=None, scratch=tmp_path / "s", cache=FeatureCache(tmp_path / "c"))
    (path,) = (tmp_path / "c").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    found = extract(data, [(extractor, SPEC)], pixels=None, scratch=tmp_path / "s", cache=FeatureCache(tmp_path / "c"))
    np.testing.assert_array_equal(found.features[extractor.name], embed_dataset(extractor, data, spec=SPEC))


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda *_: Full())
    with pytest.raises(RunFolderError, match="expected room for an array; got No space left on device"):
        extract(dataset(5), [], pixels=SPEC, scratch=tmp_path / "s")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_features_of_a_plug_in_are_not_kept_between_runs(tmp_path: Path) -> None:
    class Plugged(SmallPixels):
        """Its weights may change under the same name."""

    extract(dataset(5), [(Plugged(), SPEC)], pixels=None, scratch=tmp_path / "s", cache=FeatureCache(tmp_path / "c"))
    assert not (tmp_path / "c").exists()
    assert len(list((tmp_path / "s").iterdir())) == 1


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one picture"):
        extract(dataset(5).take([]), [], pixels=SPEC, scratch=tmp_path)
