"""What differential privacy promises of the trainings of a run, of each and of all together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twinset import documents
from twinset.models.private.sitting import LOG
from twinset.store import read_json


def account_in(folder: Path) -> documents.GuaranteePart | None:
    """What a source was trained with that keeps its model in ``folder``; None where it has no bound, or not yet."""
    if not (folder / LOG).exists():
        return None
    values = read_json(folder / LOG)
    assert isinstance(values, dict)
    account = values["account"]
    if not values.get("finished") or account["epsilon"] is None:
        return None
    return documents.GuaranteePart(epsilon=float(account["epsilon"]), delta=float(account["delta"]))


def together(parts: Sequence[documents.GuaranteePart | None]) -> documents.GuaranteePart | None:
    """What is promised of all of them at once; None where one of them promises nothing.

    Sums hold for mechanisms that each look at the same images (basic composition: Dwork and Roth 2014, Theorem 3.16).
    """
    found = [part for part in parts if part is not None]
    if not parts or len(found) < len(parts):
        return None
    return documents.GuaranteePart(epsilon=sum(one.epsilon for one in found), delta=sum(one.delta for one in found))


def together_sentences(folders: Sequence[Path]) -> tuple[str, ...]:
    """What several trainings of one run spent together, beside what each says of itself; none for fewer than two."""
    parts = [part for part in map(account_in, folders) if part is not None]
    spent = together(parts)
    if spent is None or len(parts) < 2:
        return ()
    return (
        f"{len(parts)} private trainings looked at the same images: together they spent ε = {spent.epsilon:.4g} at "
        f"δ = {spent.delta:.3g} (basic composition), for whoever sees images by all of them.",
    )
