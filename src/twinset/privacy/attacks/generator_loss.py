"""The plainest attack on a generator: pictures that it explains well were trained on (Matsumoto et al. 2023).

"Membership Inference Attacks against Diffusion Models": minus the training loss at one noise level. Of a generator with
a density it is log p. Pictures that are easy for every model score high too; what a picture's loss should be, were it
not trained on, is what :mod:`~twinset.privacy.attacks.quantile_regression` adds.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinset.membership import Scores
from twinset.privacy.attacks.generator import GivesLosses, ReleasedGenerator, SeenGenerator


@dataclass(frozen=True)
class GeneratorLoss:
    """Minus the loss at a step."""

    @property
    def name(self) -> str:
        """loss."""
        return "loss"

    def times(self, generator: ReleasedGenerator) -> tuple[int, ...]:
        """Those of the generator, if it gives losses."""
        return generator.times if isinstance(generator, GivesLosses) else ()

    def scores(self, seen: SeenGenerator, *, time: int) -> Scores:
        """Minus the loss, float64 (N,)."""
        if not isinstance(seen.generator, GivesLosses):
            raise ValueError(f"expected a generator with losses; got {type(seen.generator).__name__}")
        return -seen.generator.losses(seen.pictures, seen.class_ids, time=time, rng=seen.rng.child("loss"))
