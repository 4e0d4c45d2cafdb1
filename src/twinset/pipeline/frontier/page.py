"""A finished study as the data of its page. No path of this machine is on it."""

from __future__ import annotations

from pathlib import Path

from twinset import documents
from twinset.pipeline.reporting import duration
from twinset.report.charts import Table
from twinset.report.frontier import Figure, FrontierPage, FrontierPoint, between, render_frontier


def page_of(document: documents.FrontierDocument) -> str:
    """The page as text."""
    return render_frontier(page_data(document))


def page_data(document: documents.FrontierDocument) -> FrontierPage:
    """What the page shows of a study."""
    found, folder = document.recommended, Path(document.folder)
    numbers = {one.name: number for number, one in enumerate(document.settings, start=1)}
    return FrontierPage(
        title=f"{document.data}: {len(document.settings)} settings",
        release=found is not None,
        answer=answer_of(document),
        sentence=document.sentence,
        points=tuple(_point(one, numbers[one.setting], found) for one in document.weighed),
        real=(document.real.value, document.real.low, document.real.high),
        blind=document.blind,
        test=None if found is None else _test_table(found, document),
        settings=_settings_table(document),
        files=() if found is None else tuple(_below(file, folder) for file in (*found.files, *_card(found))),
        recipe="" if document.recipe is None else _below(document.recipe, folder),
        not_covered=document.not_covered,
        notes=tuple(document.warnings),
        command="twinset frontier recipe.yaml",
        version=document.version,
    )


def answer_of(document: documents.FrontierDocument) -> str:
    """The answer in a few words."""
    found = document.recommended
    return "Release nothing" if found is None else f"Release the {found.release} of {found.setting}"


def guarantee_text(part: documents.GuaranteePart | None) -> str:
    """ε and δ as a table shows them; "" for no bound."""
    return "" if part is None else f"ε {part.epsilon:.3g}, δ {part.delta:.1e}"


def _card(found: documents.RecommendedPart) -> list[str]:
    return [] if found.card is None else [found.card]


def _below(path: str, folder: Path) -> str:
    place = Path(path)
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else place.name


def _point(one: documents.WeighedPart, number: int, found: documents.RecommendedPart | None) -> FrontierPoint:
    return FrontierPoint(
        number=number,
        setting=one.setting,
        release=one.release,
        answer=one.answer,
        finding=one.finding,
        guarantee=guarantee_text(one.guarantee),
        utility=_figure(one.utility),
        behind=None if one.behind is None else (one.behind.value, one.behind.low, one.behind.high),
        attack=one.attack or "",
        auc=_rate(one.auc),
        found=_rate(one.found_at_one_percent),
        qualifies=one.qualifies,
        because=one.disqualified_because,
        recommended=found is not None and (one.setting, one.release) == (found.setting, found.release),
    )


def _figure(part: documents.FigurePart | None) -> Figure | None:
    return None if part is None else (part.value, part.low, part.high)


def _rate(part: documents.RatePart | None) -> Figure | None:
    return None if part is None else (part.share, part.low, part.high)


def _test_table(found: documents.RecommendedPart, document: documents.FrontierDocument) -> Table:
    name = f"the {found.release} of {found.setting}"
    rows = (
        (f"Trained on {name}", between(_figure(found.test), shares=True)),
        ("Trained on the real training images", between(_figure(found.real_test), shares=True)),
        ("Real minus recommended", between((found.cost.value, found.cost.low, found.cost.high), shares=True)),
    )
    caption = f"{document.metric.capitalize()} on {document.images['test']} test images, with 95 % intervals"
    return Table(caption, ("Classifiers", document.metric.capitalize()), rows)


def _settings_table(document: documents.FrontierDocument) -> Table:
    rows = tuple(
        (
            f"{number} {one.name}",
            one.what,
            f"{one.accepted:,}",
            guarantee_text(one.trained) or "no bound",
            duration(one.seconds),
        )
        for number, one in enumerate(document.settings, start=1)
    )
    columns = ("Setting", "What makes the images", "Images", "Spent on training", "Time")
    return Table("Every setting is a run of its own on the same split", columns, rows)
