"""A comparison of any two sets: asked, read, looked at once, measured, shown.

What can be refused at once is refused before anything large is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinset.pipeline.comparing.question import Question, metrics_named
from twinset.pipeline.comparing.sources import Sources

if TYPE_CHECKING:
    from twinset import documents
    from twinset.dataset import Dataset
    from twinset.pipeline.reporting import Listener
    from twinset.randomness import Stream
    from twinset.scores import Score

__all__ = ["Question", "compare", "fidelity_of", "metrics_named"]


def compare(
    real: str,
    synthetic: str,
    *,
    train: str | None,
    question: Question,
    report: Path | None,
    workers: int | None,
    listener: Listener,
) -> documents.CompareDocument:
    """The comparison as a document; ``report`` also writes a page."""
    question.check()
    sources = Sources(real, synthetic, train)
    if not sources.are_features:
        question.check_pictures(trained=train is not None)
    from twinset.pipeline.comparing import whole

    return whole.compare(sources, question=question, report=report, workers=workers, listener=listener)


def fidelity_of(
    real: Dataset,
    synthetic: Dataset,
    *,
    training: Dataset | None,
    extractor: str,
    rng: Stream,
    metrics: str = "default",
) -> list[Score]:
    """The scores of a comparison of datasets, and nothing else; ``metrics`` as ``--metrics`` takes them."""
    question = Question(extractor, metrics)
    question.check()
    question.check_pictures(trained=training is not None)
    from twinset.pipeline.comparing import whole

    return whole.fidelity_of(real, synthetic, training=training, question=question, rng=rng)
