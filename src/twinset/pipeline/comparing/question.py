"""What is asked of a comparison: by which extractor, by which metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from twinset import methods
from twinset.embedding.embedder import EmbedderMethod
from twinset.errors import UnknownNameError
from twinset.evaluation import FEATURE_METRICS, Metric
from twinset.pipeline.comparing.metrics import chosen

BY = ("class",)
ON_BAD_INPUT = ("refuse", "skip")
BY_CLASS = ("frechet", "kid", "cmmd", "prdc")


@dataclass(frozen=True)
class Question:
    """``extractor``: ``random``, ``self`` or ``NAME:PATH``. ``metrics``: names between commas, ``default`` or ``all``.

    ``by``: also every class by itself. ``utility``: train with and without the synthetic images. ``on_bad_input``:
    ``refuse``, or ``skip``.
    """

    extractor: str = "random"
    metrics: str = "default"
    by: str | None = None
    utility: bool = False
    seed: int = 0
    on_bad_input: str = "refuse"

    def check(self) -> None:
        """Raises an error that names what is wrong, before any work."""
        chosen(self.metrics)
        embedder_named(self.extractor)
        if self.by is not None and self.by not in BY:
            raise UnknownNameError("grouping", self.by, BY)
        if self.on_bad_input not in ON_BAD_INPUT:
            raise UnknownNameError("way with bad input", self.on_bad_input, ON_BAD_INPUT)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics by name."""
        return chosen(self.metrics)

    def path_of(self, name: str) -> str | None:
        """Where the weights of this network are, if the extractor names them: ``clip:PATH``."""
        given, colon, path = self.extractor.partition(":")
        return path if colon and given == name else None

    @property
    def class_metrics(self) -> list[Metric]:
        """Those of :attr:`feature_metrics` that are also asked of every class: distances and neighbourhoods."""
        return [FEATURE_METRICS[name] for name in self.names if name in BY_CLASS]

    @property
    def feature_metrics(self) -> list[Metric]:
        """Those that need one extractor's features only."""
        return [FEATURE_METRICS[name] for name in self.names if name in FEATURE_METRICS]


def embedder_named(text: str) -> EmbedderMethod:
    """``random``, ``self``, or ``NAME:PATH`` of pretrained weights, as ``--extractor`` takes it."""
    name, colon, path = text.partition(":")
    if colon:
        method = methods.build("embedders", "pretrained", {"name": name, "path": path}, where="--extractor")
    else:
        method = methods.build("embedders", name, {}, where="--extractor")
    return cast("EmbedderMethod", method)
