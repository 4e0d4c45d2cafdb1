"""What is filled in beside the labelled objects of training pictures, and what to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twinset.generators.copypaste.settings import Fill
from twinset.generators.copypaste.unlabelled import unlabelled_alike
from twinset.images import Pixels
from twinset.instances import Instances

Bools = NDArray[np.bool_]

LOOKED_AT = 12
"""Training pictures in which things without a label are looked for to say whether they are there."""

FEW = 0.1
"""Of the labelled area: what has the objects' colours beside them and is less than that is not told."""


@dataclass(eq=False)
class Filling:
    """What ``fill`` asks for: labelled objects only, or also what is ``alike``; sums up how much of that there is."""

    fill: Fill
    labelled: int = field(default=0, init=False)
    alike: int = field(default=0, init=False)
    looked_at: int = field(default=0, init=False)

    def beside(self, pixels: Pixels, holes: Bools, objects: Instances) -> Bools:
        """bool (H, W): what is to be filled in besides ``holes``, where the labelled objects are."""
        nothing = np.zeros_like(holes)
        if not len(objects) or (self.fill == "labelled" and self.looked_at == LOOKED_AT):
            return nothing
        found = unlabelled_alike(pixels, holes, objects)
        self.looked_at += 1
        self.labelled += int(holes.sum())
        self.alike += int(found.sum())
        return found if self.fill == "alike" else nothing

    @property
    def remarks(self) -> tuple[str, ...]:
        """Said where some, but not more than what has a label, looks like the objects and is not filled in."""
        if self.fill == "alike" or not self.labelled or not FEW * self.labelled <= self.alike <= self.labelled:
            return ()
        return (
            f"Beside the labelled objects, {self.alike / self.labelled:.0%} of their area has their colours. If "
            "objects without a label stand there, a detector learns from such pictures to leave real ones alone: "
            "`fill: alike` fills them in too.",
        )
