"""Ranks by figures that were written down: the JSON files of comparisons and runs, where their protocols agree.

Nothing is measured again. That the sets were compared with the same real images makes their figures rise and fall
together; written down, nobody can tell how much, so errors count as independent: sets are told apart more rarely than
they could be, not more often.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydantic

from twinset import documents
from twinset.documents import CompareDocument, LeaderboardDocument, RankedPart, RunDocument, ScorePart, VerdictPart
from twinset.errors import DataError
from twinset.evaluation.influences import RANKED
from twinset.evaluation.ranking import ranking_of_figures
from twinset.paths import expanded
from twinset.pipeline.comparing.sources import name_of, names_of

FREE = ("seed",)
"""Of a protocol, what figures may differ in: seeds choose draws, and a network that a seed made has a sha256."""

OF_ESTIMATOR = ("estimator", "dtype", "dimension", "kernel", "k", "sigma", "scale", "crop_side", "crop_margin")
"""Of a figure's settings, what fixes the estimator."""

BIASED = ("frechet_distance",)
"""Scores whose expectation moves with the number of synthetic images."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A comparison or a run as it was written down; ``real_digest`` is empty where it names no real images."""

    name: str
    scores: Mapping[str, ScorePart]
    verdict: VerdictPart | None
    real_digest: str = ""


def is_record(source: str) -> bool:
    """Whether this names a file of figures, not a set of images."""
    path = Path(source)
    return path.suffix.lower() == ".json" and expanded(path).is_file()


def ranked_records(sources: Sequence[str], *, by: str) -> LeaderboardDocument:
    """The leaderboard of what these files hold, by every score of :data:`RANKED` that all can be ranked by.

    :class:`DataError` where figures of ``by`` do not compare: it names what they differ in.
    """
    records = [_record(source) for source in sources]
    names = [each.name for each in records]
    if len(set(names)) < len(names):
        names = names_of(sources)
    digests = {each.real_digest for each in records}
    if len(digests - {""}) > 1:
        raise DataError(
            "expected comparisons with the same real images; got others: their numbers do not compare",
            hint="compare all sets with the same REAL",
        )
    warnings = ["as written down, not measured again: ranks take errors as independent, and say less than they could"]
    if "" in digests:
        warnings.append("a run's JSON does not name its real images: only their number was compared")
    scores: dict[str, list[RankedPart]] = {}
    for score, higher in RANKED.items():
        found = [each.scores.get(score) for each in records]
        reason = _why_not(names, found, score)
        if not reason:
            figures = [figure for figure in found if figure is not None]
            scores[score] = _ranks(names, figures, higher_is_better=higher)
        elif score == by:
            raise DataError(reason, hint="measure them again the same way: twinset leaderboard SET… --real REAL")
        else:
            warnings.append(f"not ranked by {score}: {reason}")
    chosen = [each.scores[by] for each in records]
    return LeaderboardDocument(
        by=by,
        n_real=chosen[0].n_real,
        n_synthetic=min(figure.n_synthetic for figure in chosen),
        extractor=chosen[0].extractor or "",
        seed=int(chosen[0].protocol.get("seed", 0)),
        scores=scores,
        verdicts={name: each.verdict for name, each in zip(names, records, strict=True) if each.verdict is not None},
        warnings=warnings,
    )


def differences(first: ScorePart, second: ScorePart, *, biased: bool = False) -> list[str]:
    """What two figures of one score differ in that makes them two figures of different things; empty: they compare.

    Extractor, sha256 of its weights, size, resize, dtype, version (all of the protocol but :data:`FREE`), estimator,
    number of real images, and of synthetic ones where the estimator is ``biased`` by it.

    >>> one = ScorePart(value=1, low=0, high=2, n_real=9, n_synthetic=9, extractor="a", protocol={"resize": "bicubic"})
    >>> differences(one, one.model_copy(update={"n_real": 8, "protocol": {"resize": "nearest"}}))
    ['resize (bicubic, nearest)', 'n_real (9, 8)']
    """
    pairs: list[tuple[str, object, object]] = [
        (key, first.protocol.get(key), second.protocol.get(key))
        for key in dict.fromkeys([*first.protocol, *second.protocol])
        if key not in FREE
    ]
    if not any(key == "extractor" for key, _, _ in pairs):
        pairs.append(("extractor", first.extractor, second.extractor))
    pairs += [
        (f"{key} of the estimator" if key in first.protocol else key, first.settings.get(key), second.settings.get(key))
        for key in OF_ESTIMATOR
    ]
    pairs.append(("n_real", first.n_real, second.n_real))
    if biased:
        pairs.append(("n_synthetic", first.n_synthetic, second.n_synthetic))
    return [f"{key} ({_told(one)}, {_told(other)})" for key, one, other in pairs if one != other]


def _why_not(names: Sequence[str], figures: Sequence[ScorePart | None], score: str) -> str:
    """Why these figures cannot be ranked; empty if they can."""
    first = figures[0]
    for name, figure in zip(names, figures, strict=True):
        if figure is None or figure.value is None or _error(figure) is None:
            return f"{name}: expected {score} with an interval; got none"
        assert first is not None
        if found := differences(first, figure, biased=score in BIASED):
            return f"{score} of {names[0]} and {name} do not compare: they differ in {', '.join(found)}"
    return ""


def _ranks(names: Sequence[str], figures: Sequence[ScorePart], *, higher_is_better: bool) -> list[RankedPart]:
    values = [figure.value for figure in figures if figure.value is not None]
    errors = [error for error in map(_error, figures) if error is not None]
    rows = ranking_of_figures(names, values, errors, higher_is_better=higher_is_better)
    return [
        RankedPart(name=row.name, value=row.value, standard_error=row.standard_error, best=row.best, worst=row.worst)
        for row in rows
    ]


def _error(figure: ScorePart) -> float | None:
    """The standard error that was written down, or that of a normal interval as wide."""
    stated = figure.settings.get("standard_error")
    if isinstance(stated, float | int):
        return float(stated)
    return None if figure.low is None or figure.high is None else (figure.high - figure.low) / (2 * 1.959964)


def _record(source: str) -> Recorded:
    path = expanded(Path(source))
    kinds: dict[str, type[CompareDocument] | type[RunDocument]] = {
        "twinset/compare/1": CompareDocument,
        "twinset/run/1": RunDocument,
    }
    hint = "`twinset compare REAL SYNTHETIC --json > FILE` writes one"
    try:
        values = json.loads(path.read_bytes())
        kind = kinds[values["schema"]]
        found = kind.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{source}: expected a comparison as this version writes it; got {place}: {first['msg'].lower()}", hint=hint
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{source}: expected the JSON of a comparison or a run; got something else", hint=hint
        ) from error
    name = name_of(found.synthetic) if isinstance(found, documents.CompareDocument) else Path(found.run).name
    digest = str(found.protocol.get("real_digest", "")) if isinstance(found, documents.CompareDocument) else ""
    return Recorded(name, found.scores, found.verdict, digest)


def _told(value: object) -> str:
    text = "not said" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
