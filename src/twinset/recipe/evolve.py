"""The part of a run file that asks for an evolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pydantic
from pydantic import Field

from twinset.recipe.parts import Fraction, Part, UsePart

if TYPE_CHECKING:
    from twinset.alignment.evolution import Evolution


class EvolvePart(Part):
    """Candidate configurations, chosen by the votes of exposed images and varied, round by round."""

    rounds: int = Field(6, ge=1, le=100, description="Votes, one after the other.")
    population: int = Field(80, ge=2, le=10_000, description="Candidates of a round, evenly over the classes.")
    pictures: int = Field(4, ge=1, le=64, description="Pictures that a candidate is seen in.")
    lookahead: Literal["mean", "each"] = Field(
        "mean", description="A candidate is as near as the mean of its pictures' features, or as its nearest picture."
    )
    votes: int = Field(1, ge=1, description="Candidates that an image names, with equal parts of its vote.")
    sigma: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Noise on the votes, as standard deviation; default none."
    )
    epsilon: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="In place of sigma: as much noise as this ε takes, for all generators together.",
    )
    delta: float | None = Field(None, gt=0, lt=1, description="δ beside ε; default 1/(10 n) for n exposed images.")
    threshold: float = Field(0.0, ge=0, allow_inf_nan=False, description="So few votes are none.")
    jitter: Fraction = Field(
        0.25, description="Share of the space by which children differ from their parents at first."
    )
    shrink: float = Field(0.7, gt=0, le=1, description="Of the jitter, from each round to the next.")
    keep: float = Field(0.0, ge=0, lt=1, description="Share of the candidates that goes on unchanged.")
    spread: float = Field(0.15, gt=0, le=1, description="Share that is searched of settings ending in `_std`.")
    measures: tuple[str, ...] | None = Field(
        None, min_length=1, description="Only settings that move these measures; default all."
    )
    within: dict[str, tuple[float, float]] = Field({}, description="Narrower bounds of settings, by name.")
    embedder: UsePart = Field(
        UsePart(use="random"), description="Features of the votes; for a guarantee not trained on the images."
    )

    @pydantic.model_validator(mode="after")
    def _sound(self) -> EvolvePart:
        if self.sigma is not None and self.epsilon is not None:
            raise ValueError("expected sigma or epsilon; got both; leave one of them out")
        if self.delta is not None and not self.noisy:
            raise ValueError("expected delta with sigma or epsilon; got delta alone; there is no δ without noise")
        if self.votes > self.population:
            raise ValueError(f"expected votes up to the population of {self.population}; got {self.votes}")
        return self

    @property
    def noisy(self) -> bool:
        """Whether there is noise on the votes."""
        return bool(self.sigma) or self.epsilon is not None

    def settings(self, *, images: int, generators: int = 1) -> Evolution:
        """The evolution that this asks for, where ``images`` real images vote on each of so many generators.

        The noise for ``epsilon`` is that of all rounds of all of them: whoever has the twin sees what each became.
        """
        from twinset.alignment.evolution import Evolution, default_delta, sigma_for, vote_sensitivity

        sigma = self.sigma or 0.0
        if self.epsilon is not None:
            at = default_delta(images) if self.delta is None else self.delta
            sigma = sigma_for(self.epsilon, at, self.rounds * generators, sensitivity=vote_sensitivity(self.votes))
        return Evolution(
            self.rounds,
            self.population,
            self.pictures,
            self.votes,
            self.lookahead,
            sigma,
            self.threshold,
            self.jitter,
            self.shrink,
            self.keep,
        )
