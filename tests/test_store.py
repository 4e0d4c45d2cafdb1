from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Origin, Sample
from twinset.errors import RunFolderError
from twinset.stages import Judgement
from twinset.store import (
    ShardStore,
    read_json,
    read_table,
    remove_temporaries,
    temporary_beside,
    write_bytes,
    write_json,
)


def sample(slot: int, attempt: int = 0) -> Sample:
    pixels = np.full((4, 4, 1), slot, dtype=np.uint8)
    return Sample(f"{slot:06d}-{attempt}", Annotation(class_id=slot % 2), Origin("test", 1, "r"), pixels)


def test_a_shard_without_its_marker_does_not_count(tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    store.commit(0, [sample(0)])
    assert store.committed(0)
    store.marker_path(0).unlink()
    assert not store.committed(0)
    with pytest.raises(RunFolderError, match="resume"):
        store.shard(0)


def test_samples_come_back_equal_and_in_slot_order(tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    store.commit(0, [sample(2), sample(0)])
    store.commit(1, [sample(1, 3)])
    store.write_index(
        [
            {"slot": 2, "attempt": 0, "shard": 0, "row": 0},
            {"slot": 1, "attempt": 3, "shard": 1, "row": 0},
            {"slot": 0, "attempt": 0, "shard": 0, "row": 1},
        ]
    )
    accepted = store.accepted(["even", "odd"])
    assert accepted.ids == ["000000-0", "000001-3", "000002-0"]
    assert [int(s.pixels()[0, 0, 0]) for s in accepted] == [0, 1, 2]
    assert accepted.digest() == Dataset.of([sample(0), sample(1, 3), sample(2)], classes=["even", "odd"]).digest()


def test_judgements_come_back(tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    assert store.judgement(0) is None
    store.save_judgement(0, [4, 5], [0, 0], Judgement({"density": np.array([0.5, 2.0])}, (None, "too far")))
    found = store.judgement(0)
    assert found is not None
    assert found.reasons == (None, "too far")
    assert found.scores["density"].tolist() == [0.5, 2.0]


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunFolderError, match="No space left"):
        write_json(path, {"a": 2})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_only_our_own_leftovers_are_removed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    run = tmp_path / "run"
    for folder in (elsewhere, run / "shards", run / "export", run / ".tmp-my pictures"):
        folder.mkdir(parents=True)
    half_file, half_folder = temporary_beside(run / "shards" / "0.parquet"), temporary_beside(run / "export" / "csv")
    half_file.write_bytes(b"half")
    (half_folder / "cat").mkdir(parents=True)
    (half_folder / "cat" / "a.png").write_bytes(b"half")
    for mine in (elsewhere / "a", run / "mine.tmp", run / ".tmp-notes", run / ".tmp-my pictures" / "a.png"):
        mine.write_bytes(b"whole")
    (run / ".tmp-link-1-01234567").symlink_to(elsewhere, target_is_directory=True)
    assert remove_temporaries(run) == 2
    kept = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert kept == {"mine.tmp", ".tmp-notes", ".tmp-my pictures/a.png"}
    assert list((run / "export").iterdir()) == []
    assert (elsewhere / "a").exists()


@pytest.mark.parametrize("data", [b"", b"{", b"PAR1"])
def test_damaged_files_say_so(tmp_path: Path, data: bytes) -> None:
    write_bytes(tmp_path / "x", data)
    with pytest.raises(RunFolderError, match="another --out"):
        read_json(tmp_path / "x")
    with pytest.raises(RunFolderError, match="write it again"):
        read_json(tmp_path / "x", hint="write it again")
    with pytest.raises(RunFolderError, match="write it again"):
        read_table(tmp_path / "x", hint="write it again")
