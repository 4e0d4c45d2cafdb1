"""A leaderboard, asked: what can be refused at once is refused before anything large is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinset.pipeline.comparing.question import check_extractor

if TYPE_CHECKING:
    from twinset import documents
    from twinset.pipeline.reporting import Listener


def leaderboard(
    sources: Sequence[str],
    *,
    real: str | None,
    extractor: str,
    by: str,
    seed: int,
    report: Path | None = None,
    listener: Listener,
) -> documents.LeaderboardDocument:
    """As :func:`twinset.pipeline.ranks.leaderboard`."""
    check_extractor(extractor)
    from twinset.pipeline import ranks

    return ranks.leaderboard(
        sources, real=real, extractor=extractor, by=by, seed=seed, report=report, listener=listener
    )
