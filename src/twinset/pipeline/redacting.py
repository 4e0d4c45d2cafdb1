"""``twinset redact``: takes images out of a finished run, measures and audits what is left, and releases that.

Nothing is deleted: the shards keep the images, what was exported moves to ``withdrawn``, and report and result of
before lie beside the record of the redaction. The record is what makes it count: a process that is killed before it
leaves a run that :func:`twinset.pipeline.resume` ends as it was, one killed after it a run that it ends without them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from twinset import documents
from twinset.dataset import Dataset
from twinset.errors import UsageError
from twinset.locks import locked
from twinset.paths import expanded
from twinset.pipeline.folders import began_on, recipe_of, refuse_unfinished, result_of
from twinset.pipeline.object_audit import MARK
from twinset.pipeline.opening import Run, open_run
from twinset.pipeline.real_cells import taken_over
from twinset.pipeline.reference_images import check_reference
from twinset.pipeline.reporting import Listener, RunLog
from twinset.pipeline.resolving import Machine
from twinset.pipeline.running import finish, take_back_result
from twinset.pipeline.withdrawing import withdraw
from twinset.redactions import Redaction, Removed, next_folder, record, redacted_ids
from twinset.store import ShardStore, write_bytes

NAMED = 3
"""Unknown ids that an error names."""

KEPT = ("report.html", "result.json", "evaluation/audit.json", "evaluation/report.json")
"""What a redaction would overwrite and is kept beside its record."""


def redact(
    folder: Path,
    *,
    ids: Sequence[str],
    parents: Sequence[str],
    reason: str,
    workers: int | None,
    device: str,
    listener: Listener,
) -> documents.RedactDocument:
    """Takes out the images ``ids``, and all that say they were made from one of the real images ``parents``.

    :class:`UsageError` for ids that no released image has, parents that none records, or nothing left; then nothing
    is changed.
    """
    if not ids and not parents:
        raise UsageError(
            "expected --ids or --parents; got neither", hint="`twinset audit RUN` names images and parents"
        )
    folder = expanded(folder).resolve()
    written = recipe_of(folder)
    machine = Machine.of(workers=workers, device=began_on(folder, device))
    with locked(folder):
        refuse_unfinished(folder)
        before = result_of(folder)
        run = open_run(folder, written, machine, listener, reread=False)
        removed = _removed(run, ids, parents)
        check_reference(run.recipe, run.real.dataset)
        redaction = Redaction(
            when=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            reason=reason,
            ids=tuple(ids),
            parents=tuple(parents),
            removed=removed,
            before=before.digest,
            answer=before.audit.answer if before.audit is not None else "",
        )
        withdrawn, known = _commit(folder, redaction), taken_over(folder)
        document = finish(run)
        taken = len(taken_over(folder).keys() - known.keys())
    return documents.RedactDocument(
        run=str(folder),
        removed=[one.id for one in removed],
        parents=list(parents),
        reason=reason,
        before=before.digest,
        withdrawn=None if withdrawn is None else str(withdrawn),
        taken_over=taken,
        after=document,
    )


def _commit(folder: Path, redaction: Redaction) -> Path | None:
    """Takes the result back, withdraws the export, and records the redaction; where the export is now."""
    place = next_folder(folder)
    for name in KEPT:
        if (folder / name).exists():
            write_bytes(place / Path(name).name, (folder / name).read_bytes())
    take_back_result(folder)
    count = len(redaction.removed)
    withdrawn = withdraw(folder, because=f"{count} of its images were redacted", digest=redaction.before)
    record(place, redaction)
    RunLog(folder / "log.jsonl").add("redact", removed=count, reason=redaction.reason)
    return withdrawn


def _removed(run: Run, ids: Sequence[str], parents: Sequence[str]) -> tuple[Removed, ...]:
    """The rows to take out, in order."""
    store = ShardStore(run.folder)
    accepted, index = store.accepted(run.real.dataset.classes), store.index().to_pylist()
    ids = _of_pictures(accepted, ids)
    recorded = [tuple(names or ()) for names in accepted.table.column("parents").to_pylist()]
    _refuse_unknown(accepted, ids, redacted_ids(run.folder))
    _refuse_childless(run, recorded, parents)
    asked, of = set(ids), set(parents)
    rows = [row for row, id_ in enumerate(accepted.ids) if id_ in asked or of.intersection(recorded[row])]
    if len(rows) == len(accepted):
        raise UsageError(
            f"expected images to be left; got a redaction of all {len(rows)}", hint="withdraw the whole run instead"
        )
    return tuple(
        Removed(accepted.ids[row], **{name: index[row][name] for name in ("slot", "attempt", "shard", "row")},
                parents=recorded[row])
        for row in rows
    )  # fmt: skip


def _of_pictures(accepted: Dataset, ids: Sequence[str]) -> list[str]:
    """The ids with those of pictures in place of those of objects in them, as an audit names them."""
    known = set(accepted.ids)
    return [picture if id_ not in known and (picture := id_.rpartition(MARK)[0]) in known else id_ for id_ in ids]


def _refuse_unknown(accepted: Dataset, ids: Iterable[str], gone: Mapping[str, str]) -> None:
    known = set(accepted.ids)
    if unknown := [id_ for id_ in ids if id_ not in known]:
        if taken := [id_ for id_ in unknown if id_ in gone]:
            raise UsageError(
                f"expected ids of released images of this run; got {_listed(taken)}, taken out before "
                f"({gone[taken[0]]})",
                hint="leave them out",
            )
        raise UsageError(
            f"expected ids of released images of this run; got {_listed(unknown)}",
            hint="ids stand in the report, and in `twinset audit RUN --json`",
        )


def _refuse_childless(run: Run, recorded: Sequence[tuple[str, ...]], parents: Iterable[str]) -> None:
    """Parents that no image names: a generator that was trained learnt from all training images and names none."""
    named = {parent for names in recorded for parent in names}
    childless = [parent for parent in parents if parent not in named]
    if not childless:
        return
    if unknown := [parent for parent in childless if parent not in set(run.real.dataset.ids)]:
        raise UsageError(
            f"expected ids of real images of this run; got {_listed(unknown)}",
            hint="as they stand in the real dataset: paths below its folder",
        )
    raise UsageError(
        f"expected real images that released images record as parents; got {_listed(childless)}, which none records",
        hint="whatever was trained saw all training images: leave these out of the data, and run anew",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(repr(name) for name in names[:NAMED]) + more
