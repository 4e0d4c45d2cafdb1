"""What an attacker on a released dataset sees, and what an attack on it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from twinset.copying import Pictures
from twinset.distances import Distances
from twinset.membership import Scores
from twinset.randomness import Stream


@dataclass(frozen=True, eq=False)
class SeenDataset:
    """``synthetic`` (S): what was released. ``reference`` (R): other real images, of neither side, or None.

    Both pictures uint8 (·, H, W, C) or both features, float (·, D), of an embedder that saw none of the real images.
    ``distances``: what attacks find between these and the real images is found once.
    """

    synthetic: Pictures
    reference: Pictures | None = None
    distances: Distances = field(default_factory=Distances)

    def known(self, attack: str) -> Pictures:
        """The reference images; ``ValueError`` where there are none."""
        if self.reference is None:
            raise ValueError(f"expected reference images for {attack}; got none")
        return self.reference


class DatasetAttack(Protocol):
    """Scores real images by what was released: higher for those it takes for training images."""

    @property
    def name(self) -> str:
        """As in reports."""
        ...

    @property
    def needs_reference(self) -> bool:
        """Whether other real images are needed."""
        ...

    def scores(self, targets: Pictures, seen: SeenDataset, *, rng: Stream) -> Scores:
        """float64 (N,) of all N real images in question, members and others alike: an attack may look at all of them
        to choose a radius, but does not know who is who."""
        ...
