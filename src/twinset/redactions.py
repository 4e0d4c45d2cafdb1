"""What was taken out of a finished run, and why: one record a redaction, which is what makes it count.

The shards keep the images, so that a run can still be checked and a redaction be undone by hand; what is exported and
measured no longer holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from twinset.errors import RunFolderError
from twinset.store import PUT_BACK, ShardStore, read_json, write_json

FOLDER = "redactions"
RECORD = "redaction.json"


@dataclass(frozen=True)
class Removed:
    """An image that went: its id, its row of the index, and the real images it says it was made from."""

    id: str
    slot: int
    attempt: int
    shard: int
    row: int
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Redaction:
    """One redaction. ``before`` is the digest of the dataset that it was made on, ``ids`` and ``parents`` what was
    asked for; ``answer`` is what the last audit before it had said, "" for none."""

    when: str
    reason: str
    ids: tuple[str, ...]
    parents: tuple[str, ...]
    removed: tuple[Removed, ...]
    before: str
    answer: str = ""

    def to_json(self) -> dict[str, object]:
        """As plain JSON types."""
        return {"schema": "twinset/redaction/1", **asdict(self)}


def redactions_of(folder: Path) -> tuple[Redaction, ...]:
    """All redactions of a run, in order; a damaged record is a :class:`RunFolderError`."""
    return tuple(_read(path) for path in sorted((folder / FOLDER).glob(f"*/{RECORD}")))


def next_folder(folder: Path) -> Path:
    """Where the next redaction of a run is recorded."""
    return folder / FOLDER / f"{len(redactions_of(folder)) + 1:03d}"


def record(place: Path, redaction: Redaction) -> None:
    """From here on the redaction counts; :func:`apply_redactions` carries it out."""
    write_json(place / RECORD, redaction.to_json())


def without_redacted(folder: Path, rows: Sequence[dict[str, int]]) -> list[dict[str, int]]:
    """Rows of an index but those that were taken out."""
    gone = {(one.slot, one.attempt) for redaction in redactions_of(folder) for one in redaction.removed}
    return [row for row in rows if (row["slot"], row["attempt"]) not in gone]


def apply_redactions(folder: Path) -> None:
    """Takes out of the index what was redacted and is still in it, because its process was killed."""
    store = ShardStore(folder)
    if not (folder / FOLDER).exists() or not store.index_path.exists():
        return
    rows = store.index().to_pylist()
    kept = without_redacted(folder, rows)
    if len(kept) < len(rows):
        store.write_index(kept)


def redacted_ids(folder: Path) -> dict[str, str]:
    """Why each image that was taken out went, by its id."""
    return {one.id: redaction.reason for redaction in redactions_of(folder) for one in redaction.removed}


def _read(path: Path) -> Redaction:
    values = read_json(path)
    try:
        assert isinstance(values, dict)
        return Redaction(
            when=str(values["when"]),
            reason=str(values["reason"]),
            ids=tuple(values["ids"]),
            parents=tuple(values["parents"]),
            removed=tuple(Removed(**{**one, "parents": tuple(one["parents"])}) for one in values["removed"]),
            before=str(values["before"]),
            answer=str(values["answer"]),
        )
    except (AssertionError, KeyError, TypeError) as error:
        text = f"{path}: expected the record of a redaction; got something else"
        raise RunFolderError(text, hint=PUT_BACK) from error
