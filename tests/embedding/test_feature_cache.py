"""What was not used for longest goes first; what is in use, or just was, stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from twinset.embedding.feature_cache import GRACE_SECONDS, FeatureCache, features_limit, readable
from twinset.errors import UsageError
from twinset.store import temporary_beside

HOUR = 3600.0


def array_used(folder: Path, name: str, *, hours_ago: float, rows: int = 10) -> Path:
    path = folder / f"{name}.npy"
    np.save(path, np.zeros((rows, 25), dtype=np.float32))
    os.utime(path, (time.time() - hours_ago * HOUR,) * 2)
    return path


def names(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


def test_the_oldest_use_goes_until_the_rest_fits(tmp_path: Path) -> None:
    for name, hours in (("old", 9), ("older", 10), ("new", 2), ("newer", 1)):
        size = array_used(tmp_path, name, hours_ago=hours).stat().st_size
    FeatureCache(tmp_path, limit=3 * size).sweep()
    assert names(tmp_path) == {"old", "new", "newer"}
    FeatureCache(tmp_path, limit=3 * size - 1).sweep()
    assert names(tmp_path) == {"new", "newer"}


def test_reading_counts_as_use(tmp_path: Path) -> None:
    old, other = (array_used(tmp_path, name, hours_ago=hours) for name, hours in (("old", 9), ("other", 5)))
    assert readable(old, 10) is not None
    FeatureCache(tmp_path, limit=old.stat().st_size).sweep()
    assert old.exists()
    assert not other.exists()


def test_another_number_of_rows_is_not_read_and_not_used(tmp_path: Path) -> None:
    path = array_used(tmp_path, "old", hours_ago=9)
    before = path.stat().st_mtime
    assert readable(path, 11) is None
    assert path.stat().st_mtime == before


def test_what_was_used_in_the_last_minutes_stays_beyond_the_limit(tmp_path: Path) -> None:
    path = array_used(tmp_path, "now", hours_ago=0)
    FeatureCache(tmp_path, limit=0).sweep()
    assert path.exists()
    os.utime(path, (time.time() - GRACE_SECONDS - 5,) * 2)
    FeatureCache(tmp_path, limit=0).sweep()
    assert not path.exists()


def test_an_open_array_outlives_its_file(tmp_path: Path) -> None:
    array = readable(array_used(tmp_path, "old", hours_ago=9), 10)
    (tmp_path / "old.npy").unlink()
    assert array is not None
    assert array.sum() == 0


def test_unfinished_files_go_after_a_day_and_do_not_count(tmp_path: Path) -> None:
    kept = array_used(tmp_path, "kept", hours_ago=9)
    fresh, dead = (temporary_beside(tmp_path / "k.npy") for _ in range(2))
    for path, hours in ((fresh, 1), (dead, 25)):
        path.write_bytes(b"0" * 10_000)
        os.utime(path, (time.time() - hours * HOUR,) * 2)
    FeatureCache(tmp_path, limit=kept.stat().st_size).sweep()
    assert fresh.exists()
    assert kept.exists()
    assert not dead.exists()


@pytest.mark.parametrize(("text", "limit"), [("", 4 * 10**9), ("0", 0), ("0.5", 5 * 10**8)])
def test_the_limit_is_in_gigabytes(text: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_FEATURES_GB", text)
    assert features_limit() == limit


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_no_number_of_gigabytes_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSET_FEATURES_GB", text)
    with pytest.raises(UsageError, match=r"expected TWINSET_FEATURES_GB as a number of gigabytes ≥ 0; got "):
        features_limit()
