"""A leaderboard, asked: what can be refused at once is refused before anything large is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twinset.pipeline.comparing.question import check_extractor
from twinset.pipeline.comparing.sources import name_of, names_of

if TYPE_CHECKING:
    from twinset import documents
    from twinset.pipeline.reporting import Listener


@dataclass(frozen=True)
class RankingQuestion:
    """What sets are ranked by. ``real``: a dataset; None: the held-out images of the runs.

    ``device``: where networks of others run, ``auto``, ``cpu`` or ``cuda``.
    """

    real: str | None = None
    extractor: str = "random"
    by: str = "kernel_distance"
    seed: int = 0
    device: str = "auto"

    def command(self, sources: Sequence[str]) -> str:
        """What ranks these sets again, with names in place of paths."""
        words = ["twinset", "leaderboard", *names_of(sources)]
        words += ["--real", name_of(self.real)] if self.real is not None else []
        name, colon, _ = self.extractor.partition(":")
        words += ["--extractor", f"{name}:FILE"] if colon else []
        return shlex.join([*words, "--by", self.by, "--seed", str(self.seed)])


def leaderboard(
    sources: Sequence[str], *, question: RankingQuestion, report: Path | None = None, listener: Listener
) -> documents.LeaderboardDocument:
    """As :func:`twinset.pipeline.ranks.leaderboard`."""
    check_extractor(question.extractor)
    from twinset.pipeline import ranks

    return ranks.leaderboard(sources, question=question, report=report, listener=listener)
