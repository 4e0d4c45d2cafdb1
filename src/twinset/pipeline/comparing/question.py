"""What is asked of a comparison: by which extractor, by which metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, cast, get_args

from twinset.embedding.weights import Name, check_lpips, check_weights, check_words
from twinset.errors import MissingExtraError, MissingModelError, UnknownNameError, UsageError
from twinset.metric_names import BY_CLASS, chosen

if TYPE_CHECKING:
    from twinset.embedding.embedder import EmbedderMethod
    from twinset.evaluation import Metric

BY = ("class",)
ON_BAD_INPUT = ("refuse", "skip")
UTILITY_SECONDS = 300.0


@dataclass(frozen=True)
class Question:
    """``extractor``: ``random``, ``self`` or ``NAME:PATH``. ``metrics``: names between commas, ``default`` or ``all``.

    ``by``: also every class by itself. ``utility``: train with and without the synthetic images; ``minutes``: time for
    these trainings. ``on_bad_input``: ``refuse``, or ``skip``. ``device``: where networks of others run, ``auto``,
    ``cpu``, ``cuda`` or ``cuda:N``.
    """

    extractor: str = "random"
    metrics: str = "default"
    by: str | None = None
    utility: bool = False
    seed: int = 0
    on_bad_input: str = "refuse"
    device: str = "auto"
    minutes: float | None = None

    def check(self) -> None:
        """Raises an error that names what is wrong, before any work and before anything large is loaded."""
        if self.minutes is not None and not self.utility:
            raise UsageError("expected --utility with --minutes; got none", hint="only the trainings have a time")
        if self.minutes is not None and not 0 < self.minutes < inf:
            raise UsageError(f"expected --minutes above 0; got {self.minutes:g}")
        chosen(self.metrics, by="compare")
        if self.by is not None and self.by not in BY:
            hint = "it judges every class by itself, too; leave it out to judge the sets as wholes"
            raise UnknownNameError("value of --by", self.by, BY, hint=hint)
        if self.on_bad_input not in ON_BAD_INPUT:
            hint = "refuse stops where something is bad; skip leaves that out and counts it"
            raise UnknownNameError("value of --on-bad-input", self.on_bad_input, ON_BAD_INPUT, hint=hint)
        check_extractor(self.extractor)

    def check_pictures(self, *, trained: bool) -> None:
        """As :meth:`check`, of what is asked of pictures; ``trained`` says whether training images are given.

        Where no metric that was asked for can be measured without weights that are missing, that is an error.
        """
        if self.extractor == "self" and not trained:
            raise UsageError(
                "expected --train with --extractor self, which learns from those images; got none",
                hint="give the real training images as --train, or use --extractor random",
            )
        if trained:
            return  # there is still to be said whether they were copied
        missing = [error for name in self.names if (error := _missing(name, self.path_of)) is not None]
        if len(missing) < len(self.names):
            return
        reasons = {(error.message, error.hint): error for error in missing}
        first, *others = reasons.values()
        if not others:
            raise first
        raise MissingModelError(
            "; ".join(error.message for error in reasons.values()),
            hint="; ".join(error.hint for error in reasons.values()),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics by name."""
        return chosen(self.metrics, by="compare")

    def path_of(self, name: str) -> str | None:
        """Where the weights of this network are, if the extractor names them: ``clip:PATH``."""
        given, colon, path = self.extractor.partition(":")
        return path if colon and given == name else None

    @property
    def utility_seconds(self) -> float:
        """Time for all trainings."""
        return UTILITY_SECONDS if self.minutes is None else 60 * self.minutes

    def asks_for(self, name: str) -> bool:
        """Whether this metric was named; not only as one of ``default`` or ``all``."""
        return name in (part.strip() for part in self.metrics.split(","))

    @property
    def class_metrics(self) -> list[Metric]:
        """Those of :attr:`feature_metrics` that are also asked of every class: distances and neighbourhoods."""
        from twinset.evaluation import FEATURE_METRICS

        return [FEATURE_METRICS[name] for name in self.names if name in BY_CLASS]

    @property
    def feature_metrics(self) -> list[Metric]:
        """Those that need one extractor's features only."""
        from twinset.evaluation import FEATURE_METRICS

        return [FEATURE_METRICS[name] for name in self.names if name in FEATURE_METRICS]


def metrics_named(metrics: str | Sequence[str]) -> str:
    """Names between commas, from such a text or from a list of names; ``TypeError`` for anything else.

    >>> metrics_named(["kid", "prdc"])
    'kid,prdc'
    """
    if isinstance(metrics, str):
        return metrics
    if not isinstance(metrics, Sequence) or not all(isinstance(name, str) for name in metrics):
        raise TypeError(f"expected metrics as names between commas or a list of names; got {metrics!r}")
    return ",".join(metrics)


def embedder_named(text: str) -> EmbedderMethod:
    """``random``, ``self``, or ``NAME:PATH`` of pretrained weights, as ``--extractor`` takes it.

    ``NAME`` alone takes the weights that lie where they are looked for; :class:`MissingModelError` if none do.
    """
    from twinset import methods

    name, colon, path = text.partition(":")
    if not path and name in get_args(Name):
        check_extractor(text)
        settings: dict[str, object] = {"name": name}
    else:
        settings = {"name": name, "path": path} if colon else {}
    use = name if not colon and name not in get_args(Name) else "pretrained"
    return cast("EmbedderMethod", methods.build("embedders", use, settings, where="--extractor"))


def check_extractor(text: str) -> None:
    """:class:`MissingModelError` or :class:`MissingExtraError`, at once, if ``--extractor`` names a network whose
    weights are not on this machine; of other names it says nothing."""
    name, _, path = text.partition(":")
    if name not in get_args(Name):
        return
    try:
        check_weights(cast("Name", name), path or None)
    except MissingModelError as error:
        elsewhere = "" if path else f"--extractor {name}:PATH if they are elsewhere; "
        raise MissingModelError(error.message, hint=elsewhere + error.hint) from error


PathOf = Callable[[Name], str | None]
WEIGHTS_OF: Mapping[str, Callable[[PathOf], None]] = {
    "perceptual": lambda _: check_lpips(),
    "inception": lambda path_of: check_weights("inception", path_of("inception")),
    "spatial": lambda path_of: check_weights("inception", path_of("inception")),
    "text": lambda path_of: check_words(path_of("clip")),
}
"""Metrics that bring a network of their own, and what raises if its weights are not there."""


def _missing(metric: str, path_of: PathOf) -> MissingModelError | MissingExtraError | None:
    """What this metric lacks on this machine, looked at without loading anything."""
    if metric not in WEIGHTS_OF:
        return None
    try:
        WEIGHTS_OF[metric](path_of)
    except (MissingModelError, MissingExtraError) as error:
        return error
    return None
