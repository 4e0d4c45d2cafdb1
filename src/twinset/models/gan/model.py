"""A trained generator of a GAN: what is kept of the training, loaded, and sampled in one pass per image.

The discriminator is not kept: it has looked at the images, and nobody who makes pictures needs it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from twinset.errors import RunFolderError
from twinset.images import ImageSpec, PixelBatch, from_model
from twinset.models.checkpoint import Record, load_model, save_tensors
from twinset.models.gan.diversity import diversity_remark
from twinset.models.gan.networks import GanGenerator, GanNetworkSettings, build_generator
from twinset.models.gan.training import GanTrainingSettings
from twinset.models.looking import Look, Weights, look_remarks, look_steps
from twinset.models.private.accounting import Account
from twinset.models.sampling import pack
from twinset.randomness import Stream

FORMAT = "gan"
MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class GanSettings:
    """Everything that decides a model: networks, training, how often to look for copies, rows of a sampled batch."""

    network: GanNetworkSettings
    training: GanTrainingSettings
    looks: int = 4
    sample_batch: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.looks <= self.training.steps:
            raise ValueError(f"expected looks in 0…{self.training.steps}; got {self.looks}")
        if self.sample_batch < 1:
            raise ValueError(f"expected sample_batch ≥ 1; got {self.sample_batch}")

    def look_steps(self) -> list[int]:
        """The steps after which copies are looked for; the last is the end of training."""
        return look_steps(self.training.steps, self.looks)

    @staticmethod
    def from_dict(values: dict[str, dict[str, object] | int]) -> GanSettings:
        """The settings that ``dataclasses.asdict`` made plain."""
        network, training = dict(values["network"]), dict(values["training"])  # type: ignore[arg-type]
        training["changes"] = tuple(training["changes"])  # type: ignore[arg-type]
        return GanSettings(
            GanNetworkSettings(**network),  # type: ignore[arg-type]
            GanTrainingSettings(**training),  # type: ignore[arg-type]
            int(values["looks"]),  # type: ignore[arg-type]
            int(values["sample_batch"]),  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Facts:
    """What a fit has to tell: its looks for copies, the ``diversity`` of every class beside the training images' (None
    where unknown), ``spread``, the share of variance within classes, and what it spent of privacy.

    A private fit compares with no real image, so it knows its spread alone.
    """

    history: tuple[Look, ...] = ()
    diversity: tuple[float | None, ...] = ()
    spread: float | None = None
    account: Account | None = None

    def to_record(self) -> Record:
        """Plain values."""
        record: Record = {"history": json.dumps(self.history), "diversity": json.dumps(self.diversity)}
        record["spread"] = self.spread
        if self.account is not None:
            record["account"] = json.dumps(self.account.to_values())
        return record

    @staticmethod
    def from_record(record: Record) -> Facts:
        """The facts that :meth:`to_record` made plain."""
        account = Account.from_values(json.loads(str(record["account"]))) if "account" in record else None
        spread = record["spread"]
        return Facts(
            tuple(json.loads(str(record["history"]))),
            tuple(json.loads(str(record["diversity"]))),
            None if spread is None else float(spread),
            account,
        )


@dataclass(frozen=True, eq=False)
class GanModel:
    """A generator with the image size and classes it was trained for, and the facts of its fit."""

    generator: GanGenerator
    spec: ImageSpec
    n_classes: int
    settings: GanSettings
    facts: Facts = Facts()
    device: str = "cpu"

    def remarks(self, classes: Sequence[str]) -> tuple[str, ...]:
        """What its looks for copies led to or what it spent, and how diverse its images are; with names of classes."""
        facts = self.facts
        if facts.account is not None:
            spread = (
                ""
                if facts.spread is None
                else (
                    f" Of its images' variance {facts.spread:.0%} lies within classes (0 %: one picture a class); the "
                    "training images were not asked for theirs, which would cost privacy."
                )
            )
            return (f"{facts.account.sentence()} Only the discriminator saw images; it is not kept.{spread}",)
        steps, looks = self.settings.training.steps, self.settings.looks
        looked = look_remarks(facts.history, what="GAN", steps=steps) if looks else ()
        diverse = diversity_remark(facts.diversity, classes) if facts.diversity else ""
        return (*looked, diverse) if diverse else looked

    def sample(self, class_ids: Sequence[int], rows: Sequence[int], streams: Sequence[Stream]) -> PixelBatch:
        """uint8 (N, H, W, C): one image per class id, from its own stream, in its own row (modulo the batch).

        Batches have a fixed shape, so on one machine an image depends on nothing that is made beside it.
        """
        size, latent = self.settings.sample_batch, self.settings.network.latent
        out = np.empty((len(class_ids), *self.spec.shape), dtype=np.uint8)
        for batch in pack(list(rows), size):
            codes, classes = torch.zeros(size, latent), torch.zeros(size, dtype=torch.int64)
            filled = [(row, position) for row, position in enumerate(batch) if position is not None]
            for row, position in filled:
                codes[row] = torch.randn(latent, generator=streams[position].child("latent").torch())
                classes[row] = int(class_ids[position])
            with torch.no_grad():
                made = self.generator(codes.to(self.device), classes.to(self.device))
            out[[position for _, position in filled]] = from_model(made[[row for row, _ in filled]])
        return out

    def save(self, folder: Path) -> None:
        """Writes ``model.safetensors``: the generator's averaged weights, and everything else in its header."""
        record: Record = {
            "format": FORMAT,
            "settings": json.dumps(asdict(self.settings)),
            "spec": json.dumps(asdict(self.spec)),
            "n_classes": self.n_classes,
            **self.facts.to_record(),
        }
        save_tensors(folder / MODEL_FILE, dict(self.generator.named_parameters()), record)

    @staticmethod
    def load(folder: Path, *, device: str = "cpu") -> GanModel:
        """The model that :meth:`save` left in this folder."""
        try:
            tensors, record = load_model(folder / MODEL_FILE, format=FORMAT)  # damaged: a RunFolderError of its own
            settings = GanSettings.from_dict(json.loads(str(record["settings"])))
            spec, n_classes = ImageSpec(**json.loads(str(record["spec"]))), int(str(record["n_classes"]))
            return gan_of(tensors, spec, n_classes, settings, facts=Facts.from_record(record), device=device)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunFolderError(
                f"{folder / MODEL_FILE}: expected a GAN of this version; got {error}",
                hint="remove the file and fit again",
            ) from error


def gan_of(
    weights: Weights,
    spec: ImageSpec,
    n_classes: int,
    settings: GanSettings,
    *,
    facts: Facts = Facts(),
    device: str = "cpu",
) -> GanModel:
    """The model with these weights, by the names of a generator's parameters."""
    made = build_generator(settings.network, spec, n_classes, generator=Stream(0).torch())
    with torch.no_grad():
        for name, value in made.named_parameters():
            value.copy_(weights[name])
    made = made.to(device).eval().requires_grad_(False)
    if torch.device(device).type == "cuda":
        made = made.to(memory_format=torch.channels_last)
    return GanModel(made, spec, n_classes, settings, facts, device)
