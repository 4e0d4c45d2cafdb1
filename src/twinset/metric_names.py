"""The names of all that ``compare --metrics`` and ``evaluate.metrics`` of a recipe can ask for; the one such table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from twinset.errors import UnknownNameError

ON_FEATURES = (
    "frechet",
    "frechet-infinity",
    "kid",
    "cmmd",
    "prdc",
    "vendi",
    "authenticity",
    "detectability",
    "nearest",
)
"""Metrics on the features of one extractor: :data:`twinset.evaluation.FEATURE_METRICS` has them."""

BEYOND_FEATURES = ("pictures", "structure", "edits", "perceptual", "inception", "spatial", "objects", "cler", "text")
"""Metrics that need more: :data:`twinset.pipeline.comparing.metrics.MEASURES` has them."""

BY_CLASS = ("frechet", "kid", "cmmd", "prdc")
"""Those that can also be asked of every class by itself: distances and neighbourhoods."""

Asker = Literal["run", "compare"]
DEFAULTS: Mapping[Asker, tuple[str, ...]] = {
    "run": ("frechet", "kid", "prdc", "detectability", "nearest"),
    "compare": ("frechet", "kid", "prdc", "vendi", "authenticity", "detectability", "nearest"),
}
"""What is measured where nobody says what: a run has its own utility study beside it, a comparison often nothing."""


def chosen(asked: str | Sequence[str], *, by: Asker) -> tuple[str, ...]:
    """The metrics of ``all``, or of names (between commas, or in a list), ``default`` among them, each once.

    :class:`~twinset.errors.UnknownNameError` lists the known ones.

    >>> chosen("default, cler", by="run")
    ('frechet', 'kid', 'prdc', 'detectability', 'nearest', 'cler')
    """
    known = (*ON_FEATURES, *BEYOND_FEATURES)
    groups = {"default": DEFAULTS[by], "all": known}
    parts = [part.strip() for text in ([asked] if isinstance(asked, str) else asked) for part in text.split(",")]
    named = [part for part in parts if part] or ["default"]
    for name in named:
        if name not in groups and name not in known:
            raise UnknownNameError("metric", name, [*groups, *known])
    return tuple(dict.fromkeys(each for name in named for each in groups.get(name, (name,))))
