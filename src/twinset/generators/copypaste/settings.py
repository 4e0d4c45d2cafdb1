"""What can be chosen about copy–paste."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from twinset.choices import check_choices
from twinset.dataset import Dataset, Task
from twinset.errors import DataError
from twinset.generators.copypaste.marginals import PlacementTarget
from twinset.paths import expanded
from twinset.randomness import RandomSource, Stream

if TYPE_CHECKING:
    from twinset.generators.copypaste.generator import CopyPasteGenerator

Blend = Literal["none", "alpha", "gaussian", "box", "poisson", "motion"]
BLENDS: tuple[Blend, ...] = get_args(Blend)
Fill = Literal["labelled", "alike"]


@dataclass(frozen=True)
class CopyPaste:
    """Objects from training pictures (or folders) pasted on backgrounds; labels say what of each stays visible.

    ``foregrounds``: cut by their masks, out of their boxes (GrabCut; an ellipse where that fails), or by whichever an
    object has (``auto``); ``foreground_path`` names a folder with a folder of cut-outs per class instead.
    ``backgrounds``: training pictures with their objects filled in, or as they are (their objects keep their labels,
    less what is covered), or smooth random ones; ``background_path`` names a folder of pictures instead. ``fill``: in
    ``inpainted`` ones the labelled objects are filled in, or also what has their colours (``alike``).

    ``placement``: ``uniform`` in position and size, ``fitted`` to the training boxes, or fitted and ``context``-aware
    (a model of where in a picture a class may stand). ``target`` overrides single distributions, by numbers.
    ``count`` is the least and most number of objects (uniform), ``size`` the least and largest root of a box's share
    of the picture, for uniform placement; None of ``count`` means as in training, or 1…20 when uniform.
    ``balance`` is the share of objects whose class is drawn evenly among the classes, whatever their frequency.

    ``scale`` bounds the magnification of cut-outs, ``stretch`` what one axis may be magnified over the other,
    ``rotation_degrees`` turns to both sides. ``truncation`` is the largest share of an object outside the picture,
    ``max_iou`` the largest overlap of two pasted boxes; an object of which less than ``min_visible`` would be seen is
    left out before anything is painted. ``distractors`` unlabelled things, at least and at most, lie among the objects.

    ``siblings`` slots in a row share one layout, each with another blend out of ``blending``; with 1 every picture
    draws its own. ``harmonise`` moves an object's colours as the light of its surroundings has changed.
    ``recompose`` names the classes whose regions are moved about in semantic maps (none: those that form small
    regions); ``jitter`` is how far, in shares of the sides; their backgrounds are always the real pictures. Beyond
    ``most_cutouts`` of a class and ``most_backgrounds`` a random choice is kept; beyond ``memory_mb`` pictures are kept
    encoded. ``content`` is the digest of the folders named here (None: whatever is in them); a run fills it in.
    """

    foregrounds: Literal["auto", "masks", "boxes"] = "auto"
    foreground_path: str | None = None
    backgrounds: Literal["inpainted", "real", "procedural"] = "inpainted"
    fill: Fill = "labelled"
    background_path: str | None = None
    placement: Literal["uniform", "fitted", "context"] = "fitted"
    target: PlacementTarget | None = None
    count: tuple[int, int] | None = None
    size: tuple[float, float] = (0.05, 0.4)
    balance: float = 0.0
    scale: tuple[float, float] = (0.1, 4.0)
    stretch: float = 1.25
    rotation_degrees: float = 15.0
    flip: bool = True
    truncation: float = 0.25
    max_iou: float = 0.75
    min_visible: float = 0.1
    distractors: tuple[int, int] = (0, 0)
    distractor_path: str | None = None
    blending: tuple[Blend, ...] = ("alpha", "gaussian", "box", "poisson")
    siblings: int = 1
    harmonise: Literal["none", "colour"] = "none"
    recompose: tuple[str, ...] = ()
    jitter: float = 0.05
    most_cutouts: int = 300
    most_backgrounds: int = 400
    memory_mb: int = 400
    content: str | None = None

    def __post_init__(self) -> None:
        check_choices(self)
        self._check_ranges()
        shares = (self.balance, self.truncation, self.max_iou, self.min_visible, self.jitter)
        if not all(0 <= share <= 1 for share in shares) or not self.min_visible > 0:
            raise ValueError(
                f"expected balance, truncation, max_iou and jitter in [0, 1] and min_visible in (0, 1]; got {shares}"
            )
        if self.truncation > 0.9:
            raise ValueError(f"expected truncation of at most 0.9; got {self.truncation}; give a smaller share")
        if not (math.isfinite(self.stretch) and self.stretch >= 1) or not 0 <= self.rotation_degrees <= 180:
            raise ValueError(
                f"expected stretch ≥ 1 and rotation_degrees in 0…180; got {self.stretch} and {self.rotation_degrees}"
            )
        if not self.blending or len(set(self.blending)) != len(self.blending) or set(self.blending) - set(BLENDS):
            raise ValueError(f"expected distinct ways of blending out of {', '.join(BLENDS)}; got {self.blending}")
        if not 1 <= self.siblings <= len(self.blending):
            raise ValueError(
                f"expected 1…{len(self.blending)} siblings, one per way of blending; got {self.siblings}; "
                "name more ways, or ask for fewer siblings"
            )
        if min(self.most_cutouts, self.most_backgrounds, self.memory_mb) < 1:
            raise ValueError(f"expected most_cutouts, most_backgrounds and memory_mb ≥ 1; got {self}")
        if self.fill == "alike" and (self.backgrounds != "inpainted" or self.background_path is not None):
            raise ValueError("expected inpainted training pictures as backgrounds for fill 'alike'; got others")
        if self.placement == "context" and self.backgrounds == "procedural" and self.background_path is None:
            raise ValueError("expected pictures as backgrounds for placement 'context'; got 'procedural'; use 'fitted'")

        if "" in (self.foreground_path, self.background_path, self.distractor_path):
            raise ValueError("expected names of folders; got an empty one; leave it out")

    def _check_ranges(self) -> None:
        for name, least in (("count", 0), ("distractors", 0), ("size", 1e-3), ("scale", 1e-3)):
            pair = getattr(self, name)
            if pair is not None and not (least <= pair[0] <= pair[1] and math.isfinite(pair[1])):
                raise ValueError(f"expected {name} as a least and a most, from {least:g} up; got {pair}")
        if self.size[1] > 1 or max(self.count[1] if self.count else 0, self.distractors[1]) > 1000:
            raise ValueError(f"expected size up to 1 and at most 1000 objects; got {self.size} and {self.count}")

    @staticmethod
    def keeps_pixels(settings: Mapping[str, object]) -> bool:  # noqa: ARG004
        """Taken as always so, also where folders give cut-outs and backgrounds."""
        return True

    def pinned(self) -> CopyPaste:
        """The same settings, bound to what is in their folders now (:class:`twinset.stages.PinnedMethod`)."""
        return replace(self, content=self.folders_digest()) if any(self.folders) else self

    @property
    def folders(self) -> tuple[Path | None, Path | None, Path | None]:
        """Where cut-outs, backgrounds and distractors are read from; None where they are not."""
        names = (self.foreground_path, self.background_path, self.distractor_path)
        first, second, third = (expanded(name) if name is not None else None for name in names)
        return first, second, third

    def check_training(self, classes: Sequence[str], task: Task) -> None:  # noqa: ARG002
        """:class:`DataError` where a folder that is named here holds nothing of use.

        See :class:`twinset.stages.ParticularMethod`.
        """
        from twinset.generators.copypaste.gathering import cutouts_under, some_pictures

        cutouts, backgrounds, strangers = self.folders
        if cutouts is not None:
            cutouts_under(cutouts, classes)
        if backgrounds is not None:
            some_pictures(backgrounds)
        if strangers is not None and self.distractors[1]:
            some_pictures(strangers)

    def folders_digest(self) -> str:
        """sha256 over names and bytes of all files in the folders; :class:`DataError` where there is no folder."""
        total = hashlib.sha256()
        for folder in self.folders:
            if folder is None:
                continue
            if not folder.is_dir():
                raise DataError(f"{folder}: expected a folder of pictures; got none", hint="correct the path")
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                total.update(f"{file.relative_to(folder)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
        return total.hexdigest()

    def fit(self, training: Dataset, *, rng: RandomSource) -> CopyPasteGenerator:
        """Gathers cut-outs and backgrounds from the exposed training pictures and learns where objects stand.

        :class:`~twinset.errors.DataError` where there is nothing to cut out or to paste on.
        """
        from twinset.generators.copypaste.fitting import fit

        return fit(self, training, rng=Stream.of(rng))
