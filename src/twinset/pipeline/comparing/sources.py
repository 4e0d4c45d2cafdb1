"""Where the sides of a comparison come from, as the user named them; nothing is read."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinset.errors import UsageError
from twinset.pipeline.comparing.question import Question

FEATURES = ".npy"


@dataclass(frozen=True)
class Sources:
    """Where the sides come from, as the user named them."""

    real: str
    synthetic: str
    train: str | None = None

    @property
    def are_features(self) -> bool:
        """Whether all sides are arrays of features; :class:`UsageError` where only some are."""
        given = [text for text in (self.real, self.synthetic, self.train) if text is not None]
        arrays = [text for text in given if text.lower().endswith(FEATURES)]
        if arrays and len(arrays) < len(given):
            raise UsageError(
                f"expected all sides as pictures, or all as features; got {', '.join(given)}",
                hint="features of two extractors, or of pictures and none, cannot be compared",
            )
        return bool(arrays)

    def command(self, question: Question) -> str:
        """What makes the comparison again, with names in place of paths."""
        words = ["twinset", "compare", name_of(self.real), name_of(self.synthetic)]
        words += ["--train", name_of(self.train)] if self.train is not None else []
        words += ["--utility"] if question.utility else []
        words += ["--minutes", f"{question.minutes:g}"] if question.minutes is not None else []
        words += ["--by", question.by] if question.by is not None else []
        words += ["--metrics", question.metrics] if question.metrics != "default" else []
        if not self.are_features:
            name, colon, _ = question.extractor.partition(":")
            words += ["--extractor", f"{name}:FILE" if colon else name]
        words += ["--seed", str(question.seed)]
        return shlex.join(words)


def name_of(source: str) -> str:
    """A dataset as it may stand on a page that others read."""
    return source if source.startswith("builtin:") else Path(source).resolve().name


def names_of(sources: Sequence[str]) -> list[str]:
    """As :func:`name_of`, with as many folders above as tell those of one name apart; one given again is numbered.

    >>> names_of(["runs/a/export", "runs/b/export", "real", "real"])
    ['a/export', 'b/export', 'real', 'real (2)']
    """
    places = [source if source.startswith("builtin:") else str(Path(source).resolve()) for source in sources]
    names = dict(zip(places, map(name_of, sources), strict=True))
    deep = 1
    while shared := {name for name, count in Counter(names.values()).items() if count > 1}:
        deep += 1
        names |= {place: "/".join(Path(place).parts[-deep:]) for place, name in names.items() if name in shared}
    earlier = [places[:row].count(place) for row, place in enumerate(places)]
    return [names[place] + (f" ({again + 1})" if again else "") for place, again in zip(places, earlier, strict=True)]
