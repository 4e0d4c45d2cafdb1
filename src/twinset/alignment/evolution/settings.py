"""What can be chosen about an evolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

from twinset.alignment.evolution.voting import Lookahead
from twinset.choices import check_choices


@dataclass(frozen=True)
class Evolution:
    """``rounds`` of votes over ``population`` candidates, each seen in ``pictures`` pictures.

    ``votes``: how many candidates a real image names, with equal parts of its vote. ``lookahead``: a candidate is as
    near as the mean of its pictures' features (``mean``), or as its nearest picture (``each``). ``sigma``: standard
    deviation of the noise on the votes, in votes; 0 is no privacy. What has no more than ``threshold`` votes has none.
    Children differ from their parents by up to ``jitter`` of the space in the second round, by ``shrink`` of that in
    each that follows; the share ``keep`` of the candidates goes on unchanged.
    """

    rounds: int = 6
    population: int = 80
    pictures: int = 4
    votes: int = 1
    lookahead: Lookahead = "mean"
    sigma: float = 0.0
    threshold: float = 0.0
    jitter: float = 0.25
    shrink: float = 0.7
    keep: float = 0.0

    def __post_init__(self) -> None:
        check_choices(self)
        if self.rounds < 1 or self.population < 2 or self.pictures < 1 or not 1 <= self.votes <= self.population:
            raise ValueError(f"expected rounds ≥ 1, population ≥ 2, pictures ≥ 1, 1 ≤ votes ≤ population; got {self}")
        if not (math.isfinite(self.sigma) and math.isfinite(self.threshold)) or min(self.sigma, self.threshold) < 0:
            raise ValueError(f"expected finite sigma and threshold ≥ 0; got {self.sigma} and {self.threshold}")
        if not (0 <= self.jitter <= 1 and 0 < self.shrink <= 1 and 0 <= self.keep < 1):
            raise ValueError(f"expected jitter in 0…1, shrink in (0, 1] and keep in [0, 1); got {self}")

    def least_population(self, classes: int) -> int:
        """Candidates that so many classes need: two of each, and as many as an image names."""
        return classes * max(2, self.votes)

    def width(self, round_: int) -> float:
        """How far the candidates of round ``round_`` (from 1) are from their parents."""
        return self.jitter * self.shrink ** (round_ - 1)
