"""SDEdit on our own diffusion model: noise a real image part of the way, denoise it as its class.

Source: Meng et al. 2022, "SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations". Where we
differ: the way back is the deterministic probability-flow ODE, on a schedule of its own from that noise level down.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from twinset.dataset import Dataset, Sample, Task
from twinset.editing.origin import edited
from twinset.models.choices import DiffusionChoices
from twinset.models.diffusion import DiffusionModel
from twinset.randomness import RandomSource, Stream
from twinset.stages import Workspace


@dataclass(frozen=True)
class SDEdit(DiffusionChoices):
    """``strength`` in (0, 1]: how far towards noise. The rest is about its diffusion model (:class:`DiffusionChoices`).

    Edits come one at a time, so the fixed batch has one row.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)

    strength: float = 0.5
    sample_batch: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.strength <= 1:
            raise ValueError(f"expected 0 < strength ≤ 1; got {self.strength}")

    def fit(self, training: Dataset, *, rng: RandomSource, workspace: Workspace = Workspace()) -> SDEditor:  # noqa: B008
        """Trains the diffusion model that edits."""
        return SDEditor(self.train(training, rng=Stream.of(rng), workspace=workspace), self.strength)

    def load(self, folder: Path, *, device: str = "cpu") -> SDEditor:
        """The editor that a finished fit left in this folder."""
        return SDEditor(DiffusionModel.load(folder, device=device), self.strength)


@dataclass(frozen=True, eq=False)
class SDEditor:
    """Edits with a trained model; the label is kept, the parent recorded."""

    model: DiffusionModel
    strength: float

    @property
    def remarks(self) -> tuple[str, ...]:
        """Those of the model."""
        return self.model.remarks

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """A variation of this sample; near ``strength`` 0 a copy, at 1 a fresh image of its class."""
        if sample.annotation is None or sample.annotation.class_id is None:
            raise ValueError(f"expected a labelled sample; got {sample.id} without a class")
        pixels = self.model.spec.prepare(sample.pixels())
        varied = self.model.vary(
            pixels[None], [sample.annotation.class_id], [rng.child("sdedit")], strength=self.strength
        )
        return edited(sample, varied[0], method="sdedit", rng=rng)
