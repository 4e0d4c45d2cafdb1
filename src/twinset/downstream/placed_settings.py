"""What is trained in every cell of a study of detectors or segmenters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from twinset.downstream.arms import UtilityPlan
from twinset.downstream.own_command import OwnTrainer
from twinset.errors import ChangedFileError, MissingModelError

LATER = ("model", "weights", "masks", "trainer")
"""Settings that a digest holds only where they are not the default, so that older studies keep theirs."""


@dataclass(frozen=True)
class Weights:
    """A checkpoint on this machine. Its digest, not its place, is part of what is trained."""

    path: str
    digest: str

    @staticmethod
    def of(path: Path) -> Weights:
        """The file as it is now; :class:`MissingModelError` if there is none."""
        return Weights(str(path), _sha256(path))

    def check(self) -> None:
        """:class:`ChangedFileError` unless the file is still the one that the study began with."""
        if _sha256(Path(self.path)) != self.digest:
            raise ChangedFileError(
                f"{self.path}: expected the weights that this study began with; got another content",
                hint="put them back, or start a new run",
            )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MissingModelError(
            f"{path}: expected a file of weights; got {error.strerror}", hint="twinset downloads nothing"
        ) from error


@dataclass(frozen=True)
class PlacedSettings:
    """What is trained in every cell: the size of its pictures (pixels), and the network.

    ``turn`` says that pictures may also be turned by quarters and mirrored upside down (microscopes, aeroplanes);
    ``crop`` trains on crops of that height and width. ``model`` is a network of torchvision in place of our own small
    one, ``weights`` what it starts from. ``masks``: objects are judged by their masks, not by their boxes. With a
    ``trainer`` nothing else is trained here, and pictures keep their own size.
    """

    height: int
    width: int
    channels: int
    steps: int
    batch: int = 8
    network_width: int = 16
    stride: Literal[4, 8] = 8
    turn: bool = False
    crop: tuple[int, int] | None = None
    model: str | None = None
    weights: Weights | None = None
    masks: bool = False
    trainer: OwnTrainer | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.steps, self.batch) < 1 or self.channels not in (1, 3):
            raise ValueError(f"expected a positive size, steps and batch, and 1 or 3 channels; got {self}")
        if self.weights is not None and self.model is None:
            raise ValueError(f"expected weights with a model of torchvision only; got {self}")
        if self.trainer is not None and self.model is not None:
            raise ValueError(f"expected a trainer or a model; got both: {self}")

    def to_dict(self) -> dict[str, object]:
        """Plain JSON types."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in LATER}
        values["crop"] = None if self.crop is None else list(self.crop)
        if self.model is not None:
            values["model"] = self.model
        if self.weights is not None:
            values["weights"] = self.weights.digest
        if self.masks:
            values["masks"] = True
        if self.trainer is not None:
            values["trainer"] = self.trainer.to_dict()
        return values

    @property
    def text(self) -> str:
        """For people."""
        return f"at {self.width} × {self.height}, width {self.network_width}"

    def network(self, small: str) -> str:
        """What is trained, for people; ``small`` is what our own network is called."""
        if self.trainer is not None:
            return f"your own trainer, {self.trainer.text}"
        if self.model is None:
            return f"{small} {self.text}"
        start = "from scratch" if self.weights is None else f"from {Path(self.weights.path).name}"
        return f"{self.model} {start} at {self.width} × {self.height}"


PlacedPlan = UtilityPlan[PlacedSettings]
