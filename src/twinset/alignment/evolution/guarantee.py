"""What may be said of the privacy of an evolution, and what may not."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from twinset.alignment.evolution.accounting import Neighbours, vote_sensitivity
from twinset.alignment.evolution.settings import Evolution
from twinset.gaussian_privacy import default_delta, epsilon
from twinset.stages import Embedder

RELATION = {"add_remove": "one image more or less", "replace": "one image in another's place"}

OUTSIDE = (
    "that an image exists is protected in the configurations alone; the report and its figures, thresholds of filters, "
    "digests, and the run's own random streams (the seeds in the provenance, what was drawn at the fit), which follow "
    "from a digest of the real images, are not covered",
    "how many images of each class are made, where the recipe takes that from the real images, is not covered",
    "the number of real images, which a default δ and a sigma sought for an ε follow from, the names of the classes, "
    "the size of the pictures and all settings chosen after a look at the real images are taken as public",
)
"""What no account of the votes covers."""


@dataclass(frozen=True)
class Guarantee:
    """An (ε, δ) for the winners' configurations, or why none is claimed.

    ``epsilon`` and ``delta`` are what the noise on the votes amounts to, whether or not it may be claimed: it may where
    ``refused`` is empty. ``rounds`` of votes were on each of so many ``generators``; the ε is that of all together.
    ``family`` is the ε for all images of one family together, where families are larger.
    """

    epsilon: float
    delta: float
    sigma: float
    rounds: int
    neighbours: Neighbours
    family: tuple[int, float] | None = None
    refused: tuple[str, ...] = ()
    generators: int = 1

    @property
    def claimed(self) -> bool:
        """Whether differential privacy may be claimed of the winners."""
        return not self.refused

    def sentences(self) -> tuple[str, ...]:
        """The account in words."""
        if math.isinf(self.epsilon):
            return ("The votes were counted without noise: no differential privacy is claimed.",)
        each, total = "", ""
        if self.generators > 1:
            each, total = f" on each of {self.generators} generators", " together"
        spent = (
            f"{self.rounds} rounds of votes{each} with noise of {self.sigma:.4g} votes amount{total} to "
            f"ε = {self.epsilon:.4g} at δ = {self.delta:.3g}, for {RELATION[self.neighbours]} "
            "(Gaussian differential privacy, exact)"
        )
        if self.refused:
            return (f"{spent}; differential privacy is not claimed all the same: {'; '.join(self.refused)}.",)
        family = ""
        if self.family is not None:
            family = f" For a whole family of {self.family[0]} images it is ε = {self.family[1]:.4g}."
        return (f"{spent}: so much is claimed of the configurations.{family}", *(f"{_upper(one)}." for one in OUTSIDE))


def guarantee(
    settings: Evolution,
    *,
    images: int,
    delta: float | None = None,
    embedder: Embedder,
    private_ids: Collection[str],
    touched: Sequence[str] = (),
    family: int = 1,
    neighbours: Neighbours = "add_remove",
    generators: int = 1,
) -> Guarantee:
    """The account of an evolution in which ``images`` real images voted; δ is 1/(10 n) where it is None.

    Where they voted so on several ``generators``, all rounds are one Gaussian mechanism.

    ``private_ids`` name them: an embedder that was fitted on any of them carries them past the noise. ``touched`` are
    sentences about whatever else brought them to the candidates, such as a generator that was fitted on them.
    ``family`` is the largest number of images that belong to one person or sequence.
    """
    at = default_delta(images) if delta is None else delta
    step = vote_sensitivity(settings.votes, neighbours=neighbours)
    refused = list(touched)
    if seen := embedder.fitted_on.intersection(private_ids):
        refused.insert(0, f"the features come from {embedder.name}, which was trained on {len(seen)} of the images")
    if not settings.sigma:
        refused = ["the votes have no noise"]
    rounds = settings.rounds * generators
    return Guarantee(
        epsilon(settings.sigma, rounds, at, sensitivity=step),
        at,
        settings.sigma,
        settings.rounds,
        neighbours,
        family=(family, epsilon(settings.sigma, rounds, at, sensitivity=step * family)) if family > 1 else None,
        refused=tuple(refused),
        generators=generators,
    )


def _upper(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
