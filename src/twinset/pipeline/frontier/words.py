"""A frontier study in words, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from twinset import documents
from twinset.errors import printable
from twinset.pipeline.frontier.page import answer_of, guarantee_text
from twinset.pipeline.reporting import duration
from twinset.report.words import sentence


def frontier(document: documents.FrontierDocument) -> str:
    """The answer, a table of all releases, and where everything is."""
    found = document.recommended
    head = ["setting", "release", "audit", "guarantee", "worth (validation)", "strongest attack, AUC", "found at 1 %"]
    rows = [head, *(_row(one, document.recommended) for one in document.weighed)]
    answer = answer_of(document)
    told = sentence(document.sentence, after=answer)
    lines = ["", printable(f"{answer.upper()}: {told}"), "", *columns(rows), ""]
    lines.append(f"real images are worth {_figure(document.real)} on validation images")
    if found is not None:
        lines.append(
            f"on test images {_figure(found.test)}, real ones {_figure(found.real_test)}: costs "
            f"{100 * found.cost.value:.1f} points ({100 * found.cost.low:.1f}…{100 * found.cost.high:.1f})"
        )
    lines += ["", printable(document.not_covered), *(f"note: {printable(text)}" for text in document.warnings), ""]
    lines += [f"release   {printable(path)}" for path in (found.files if found is not None else ())]
    lines += [f"card      {printable(found.card)}"] if found is not None and found.card else []
    lines += [f"recipe    {printable(document.recipe)}"] if document.recipe else []
    lines += [f"report    {printable(document.report)}", f"study     {printable(document.folder)}"]
    return "\n".join([*lines, f"took      {duration(sum(one.seconds for one in document.settings))}"])


def plan(document: documents.FrontierPlanDocument) -> str:
    """What a study would do."""
    counted = ", ".join(f"{count} {name}" for name, count in document.images.items())
    lines = [
        f"{len(document.settings)} settings on {counted} images ({printable(document.image)}); times are estimates",
        "",
    ]
    rows = [["setting", "what makes the images", "private", "releases", "about"]]
    for one in document.settings:
        weighed = ", ".join(name for name, why in one.releases.items() if not why)
        rows.append([one.name, one.what, "yes" if one.private else "no", weighed, duration(one.seconds)])
    lines += columns(rows)
    for one in document.settings:
        lines += [f"  {one.name}: no {name}: {why}" for name, why in one.releases.items() if why]
    lines += ["", f"about {duration(document.seconds)} in all, in {printable(document.folder)}"]
    return "\n".join([*lines, *(f"note: {printable(text)}" for text in document.notes)])


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, every column as wide as its widest cell."""
    widths = [max(len(printable(row[at])) for row in rows) for at in range(len(rows[0]))]
    return [
        "  " + "  ".join(printable(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(one: documents.WeighedPart, found: documents.RecommendedPart | None) -> list[str]:
    taken = found is not None and (one.setting, one.release) == (found.setting, found.release)
    auc = "–" if one.auc is None else f"{one.attack} {_rate(one.auc)}"
    return [
        f"{'→ ' if taken else ''}{one.setting}",
        one.release,
        (one.answer or "not audited").replace("_", " "),
        guarantee_text(one.guarantee) or "none",
        "–" if one.utility is None else _figure(one.utility),
        auc,
        "–" if one.found_at_one_percent is None else _rate(one.found_at_one_percent),
    ]


def _figure(part: documents.FigurePart) -> str:
    return f"{part.value:.3f} ({part.low:.3f}…{part.high:.3f})"


def _rate(part: documents.RatePart) -> str:
    return f"{part.share:.3f} ({part.low:.3f}…{part.high:.3f})"
