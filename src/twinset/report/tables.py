"""Tables of the page."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.report import words
from twinset.report.charts import Table
from twinset.report.model import MetricTable, ReportData
from twinset.report.words import count
from twinset.scores import Score


@dataclass(frozen=True)
class Matrix:
    """Scores by class: a column a figure, a row a class with its numbers of images."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, Score, tuple[Score | None, ...]], ...]


def matrix_of(table: MetricTable) -> Matrix | None:
    """Scores that are all named ``figure[class]`` as a matrix; None for any other table."""
    cells: dict[str, dict[str, Score]] = {}
    for score in table.scores:
        figure, bracket, rest = score.name.partition("[")
        if not bracket or not rest.endswith("]"):
            return None
        cells.setdefault(rest[:-1], {})[figure] = score
    figures = list(dict.fromkeys(figure for row in cells.values() for figure in row))
    rows = tuple(
        (name, next(iter(row.values())), tuple(row.get(figure) for figure in figures)) for name, row in cells.items()
    )
    return Matrix(tuple(figures), rows) if rows else None


def funnel(data: ReportData) -> list[tuple[str, int, bool]]:
    """What became of the candidates: (name, images, whether they were kept), the commonest reason first."""
    if data.alignment is None:
        return []
    reasons = sorted(data.alignment.reasons.items(), key=lambda item: -item[1])
    return [("kept", data.alignment.kept, True), *((reason, n, False) for reason, n in reasons)]


def before_after(data: ReportData) -> list[tuple[Score, Score]]:
    """Scores of all candidates beside those of the kept ones."""
    if data.alignment is None:
        return []
    after = {score.name: score for score in data.alignment.after}
    return [(score, after[score.name]) for score in data.alignment.before if score.name in after]


def kept_by_class(data: ReportData) -> Table:
    """Kept and rejected candidates of every class."""
    rows = data.alignment.by_class.items() if data.alignment else ()
    return Table(
        "Kept and rejected candidates by class",
        ("Class", "Kept", "Rejected"),
        tuple((data.class_name(class_id), count(kept), count(gone)) for class_id, (kept, gone) in rows),
    )


def class_counts(data: ReportData) -> Table:
    """Images, or objects, of every class in every split of every dataset."""
    columns = [(facts, split) for facts in data.datasets for split in facts.counts]
    rows = [
        (name, *(count(facts.counts[split][class_id]) for facts, split in columns))
        for class_id, name in enumerate(data.classes)
    ]
    totals = ("all", *(count(sum(facts.counts[split])) for facts, split in columns))
    names = tuple(f"{facts.name}: {split}" for facts, split in columns)
    unit = data.datasets[0].unit if data.datasets else "images"
    if unit != "images":
        rows.append(("images", *(count(facts.images_of(split)) for facts, split in columns)))
        return Table(f"{unit.capitalize()} of each class", ("Class", *names), tuple(rows))
    return Table("Images of each class", ("Class", *names), (*rows, totals))


def cost_of_thousand(data: ReportData) -> Table | None:
    """What 1,000 accepted images take, with columns for what is known; None where nothing is."""
    if data.cost is None or not data.cost.thousand:
        return None
    parts = data.cost.thousand
    priced = data.cost.labelling is not None or any(part.price is not None for part in parts)
    metered = any(part.kwh is not None for part in parts)
    rows = [(part.name, words.duration(3600 * part.hours), part.price, part.kwh) for part in parts]
    if data.cost.labelling is not None:
        rows.append(("labelling by hand, for reference", words.NONE, data.cost.labelling, None))
    return Table(
        "What 1,000 accepted images take",
        ("Part", "Time", *(["Price"] if priced else []), *(["kWh"] if metered else [])),
        tuple(
            (
                name,
                time,
                *([words.NONE if price is None else f"{price:,.2f}"] if priced else []),
                *([words.NONE if kwh is None else words.number(kwh)] if metered else []),
            )
            for name, time, price, kwh in rows
        ),
    )
