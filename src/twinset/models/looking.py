"""A fit that can be killed and goes on, and that looks several times whether the model has begun to copy.

A set of a hundred images trained long enough is learnt by heart (Carlini et al. 2023; Gu et al. 2023). The fit stops
when the copy test objects, and the model is the average of the last look at which little spoke for copies. If something
did at every look, it is that of the look with the least objection, and the gate decides.
"""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.copytest import Known, copy_test
from twinset.images import PixelBatch
from twinset.models.checkpoint import Record, load_tensors, save_tensors
from twinset.models.training import TrainingSet
from twinset.randomness import Stream
from twinset.stages import Progress

SECONDS_BETWEEN_CHECKPOINTS = 10.0
PILOT = 128
DOUBTFUL = 0.05
"""p-value of a look below which an earlier one is preferred; the copy test itself objects below .01."""

FEWEST_FOR_A_LOOK = 20
TRAINING_FILE = "training.safetensors"
FINISHED_FILE = "finished.safetensors"

Look = dict[str, float | int | bool]
"""What one look found: step, copies, p_value, membership_auc, training_hits, holdout_hits."""

Weights = dict[str, torch.Tensor]


class Training(Protocol):
    """The state of a training that :class:`LookingFit` goes through: our trainers are such."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    @property
    def average(self) -> Weights:
        """The averaged weights: what is kept."""
        ...

    def tensors(self) -> Weights:
        """All tensors of the state."""
        ...

    def restore(self, tensors: Weights, step: int) -> None:
        """Continues from what :meth:`tensors` gave after ``step`` steps."""
        ...


class Sampled(Protocol):
    """A model that can be sampled."""

    def sample(self, class_ids: Sequence[int], rows: Sequence[int], streams: Sequence[Stream]) -> PixelBatch:
        """uint8 (N, H, W, C): one image per class id, from its own stream, in its own row of a batch."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the model."""
        ...


class Others(NamedTuple):
    """Images that nothing is trained on, uint8 (N, H, W, C), and their classes where known."""

    images: PixelBatch
    class_ids: NDArray[np.int64] | None


class LookingFit(ABC):
    """One training on its way: the trainer, the average of the look to keep, the history of looks.

    A subclass says how one step is made and what a model of given weights is. ``key`` is what a checkpoint depends on
    (:func:`fit_key`): another one's is never continued.
    """

    trainer: Training

    def __init__(
        self, data: TrainingSet, *, looks: Sequence[int], rng: Stream, folder: Path | None, key: str, device: str
    ) -> None:
        self.data, self.looks, self.rng, self.folder, self.key, self.device = data, looks, rng, folder, key, device
        self.good: Weights | None = None
        self.history: list[Look] = []
        self.saved_at = time.monotonic()

    @abstractmethod
    def advance(self) -> None:
        """One training step."""

    @abstractmethod
    def model(self, weights: Weights) -> Sampled:
        """The model with these weights and the history so far."""

    def run(self, others: Others | None, *, steps: int, progress: Progress) -> None:
        """Trains to the end, or until a look finds copies; ``looks`` happen where there are ``others``, enough of them.

        Goes on from the checkpoint in the folder, if it is one of this very fit.
        """
        self._restore()
        enough = others is not None and min(len(others.images), len(self.data.images)) >= FEWEST_FOR_A_LOOK
        looks = self.looks if enough else ()
        while not (self.history and self.history[-1]["copies"]):
            if others is not None and self.trainer.step in looks and self.trainer.step not in self._looked:
                self._look(others)
            elif self.trainer.step < steps:
                self.advance()
                if self.folder is not None and time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                    self._save()
                progress(self.trainer.step, steps, "steps")
            else:
                break

    def kept(self) -> Weights:
        """Weights of the look that was kept; without one, the present average."""
        return self.good or self.trainer.average

    def finish(self, model: Sampled) -> None:
        """Saves the model beside a mark of what it was fitted on; the checkpoint goes."""
        if self.folder is None:
            return
        model.save(self.folder)
        save_tensors(self.folder / FINISHED_FILE, {"step": torch.tensor(self.trainer.step)}, {"key": self.key})
        (self.folder / TRAINING_FILE).unlink(missing_ok=True)

    @property
    def _looked(self) -> set[int]:
        """The steps at which it has looked for copies."""
        return {int(look["step"]) for look in self.history}

    def _look(self, others: Others) -> None:
        """Samples a pilot from the average and tests it for copies; keeps the average if it is the best so far."""
        step = self.trainer.step
        found = copy_test(
            self._pilot(step),
            self.data.images,
            others.images,
            of_training=Known(classes=self.data.class_ids if others.class_ids is not None else None),
            of_holdout=Known(classes=others.class_ids),
        )
        self.history.append(
            {
                "step": step,
                "copies": bool(found.flagged),
                "p_value": float(found.p_value),
                "membership_auc": float(found.membership_auc),
                "training_hits": int(found.training_hits),
                "holdout_hits": int(found.holdout_hits),
            }
        )
        if kept_look(self.history) is self.history[-1]:
            self.good = {name: value.detach().clone() for name, value in self.trainer.average.items()}
        if self.folder is not None:
            self._save()

    def _pilot(self, step: int) -> PixelBatch:
        count = min(PILOT, len(self.data.images))
        rows = self.rng.child("pilot").numpy().permutation(len(self.data.images))[:count]
        streams = [self.rng.child("pilot", step, number) for number in range(count)]
        return self.model(self.trainer.average).sample(self.data.class_ids[rows].tolist(), list(range(count)), streams)

    def _save(self) -> None:
        """Writes a checkpoint."""
        assert self.folder is not None
        good = {f"good/{name}": value for name, value in (self.good or {}).items()}
        record: Record = {"key": self.key, "step": self.trainer.step, "history": json.dumps(self.history)}
        save_tensors(self.folder / TRAINING_FILE, {**self.trainer.tensors(), **good}, record)
        self.saved_at = time.monotonic()

    def _restore(self) -> None:
        path = self.folder / TRAINING_FILE if self.folder is not None else None
        if path is None or not path.exists():
            return
        tensors, record = load_tensors(path, device=self.device)
        if record.get("key") != self.key:
            return
        self.trainer.restore(tensors, int(str(record["step"])))
        self.history = json.loads(str(record["history"]))
        good = {name.removeprefix("good/"): value for name, value in tensors.items() if name.startswith("good/")}
        self.good = good or None


def look_steps(steps: int, looks: int) -> list[int]:
    """The steps after which copies are looked for; the last is the end of training.

    >>> look_steps(10, 3)
    [3, 7, 10]
    """
    return [round(steps * (look + 1) / looks) for look in range(looks)]


def kept_look(history: Sequence[Look]) -> Look:
    """The last look at which little spoke for copies; where something always did, that with the least objection."""
    harmless = [look for look in history if look["p_value"] >= DOUBTFUL]
    return harmless[-1] if harmless else max(reversed(history), key=lambda look: look["p_value"])


def look_remarks(history: Sequence[Look], *, what: str, steps: int) -> tuple[str, ...]:
    """What the looks of a model that was to have some led to, in whole sentences; ``what`` as in "diffusion model"."""
    if not history:
        few = f"fewer than {FEWEST_FOR_A_LOOK} training or validation images"
        return (f"While the {what} trained, nothing looked for copies: {few}.",)
    kept, last = kept_look(history), history[-1]
    if kept is last:
        return ()
    return (
        f"The {what} is that of step {kept['step']} of {steps}: at step {last['step']} its images lay "
        f"nearer to training than to validation images (p = {last['p_value']:.2g}).",
    )


def fit_key(settings: Mapping[str, object], data: TrainingSet, rng: Stream, others: Others | None) -> str:
    """What a checkpoint depends on, as sha256: settings, stream, training images and classes, held-out images."""
    images, class_ids = data
    held_out = images[:0] if others is None else others.images
    total = hashlib.sha256(json.dumps([settings, rng.seed, list(images.shape), list(held_out.shape)]).encode())
    for pictures in (images, held_out):
        for start in range(0, len(pictures), 1024):
            total.update(np.ascontiguousarray(pictures[start : start + 1024]).tobytes())
    total.update(np.ascontiguousarray(class_ids).tobytes())
    return total.hexdigest()


def is_finished(folder: Path | None, model_file: str, key: str) -> bool:
    """Whether the fit with this key has left its model in the folder."""
    if folder is None or not (folder / model_file).exists() or not (folder / FINISHED_FILE).exists():
        return False
    return load_tensors(folder / FINISHED_FILE)[1].get("key") == key
