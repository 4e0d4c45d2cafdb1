"""A trained class-conditional diffusion model: fit, keep, load, sample.

``fit_diffusion`` trains in a folder that it can come back to, and looks several times whether the model has begun to
copy: a set of a hundred images trained long enough is learnt by heart (Carlini et al. 2023; Gu et al. 2023). It stops
when the copy test objects, and the model is the average of the last look at which little spoke for copies. If something
did at every look, it is that of the look with the least objection, and the gate decides.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.copytest import Known, copy_test
from twinset.errors import RunFolderError
from twinset.images import ImageSpec, PixelBatch, to_model
from twinset.models.augmentation import PARAMETERS
from twinset.models.checkpoint import Record, load_tensors, save_tensors
from twinset.models.networks import NetworkSettings, build_network
from twinset.models.preconditioning import Denoiser, measure_sigma_data
from twinset.models.private.accounting import Account
from twinset.models.sampling import Request, SamplingSettings, pack, sample_batch
from twinset.models.training import Trainer, TrainingSet, TrainingSettings, draw_batch
from twinset.randomness import Stream
from twinset.stages import Progress, silent

SECONDS_BETWEEN_CHECKPOINTS = 10.0
PILOT = 128
DOUBTFUL = 0.05
"""p-value of a look below which an earlier one is preferred; the copy test itself objects below .01."""

FEWEST_FOR_A_LOOK = 20
MODEL_FILE = "model.safetensors"
TRAINING_FILE = "training.safetensors"


@dataclass(frozen=True)
class DiffusionSettings:
    """Everything that decides a model: network, training, sampling, and how often to look for copies."""

    network: NetworkSettings
    training: TrainingSettings
    sampling: SamplingSettings
    looks: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.looks <= self.training.steps:
            raise ValueError(f"expected looks in 0…{self.training.steps}; got {self.looks}")

    def look_steps(self) -> list[int]:
        """The steps after which copies are looked for; the last is the end of training."""
        return [round(self.training.steps * (look + 1) / self.looks) for look in range(self.looks)]


@dataclass(frozen=True, eq=False)
class DiffusionModel:
    """A denoiser with the image size and classes it was trained for. ``history`` tells of its looks for copies,
    ``account`` what it spent of privacy where it was trained with it.
    """

    denoiser: Denoiser
    spec: ImageSpec
    n_classes: int
    settings: DiffusionSettings
    history: tuple[dict[str, float | int | bool], ...] = ()
    device: str = "cpu"
    account: Account | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its looks for copies led to, or what it spent (:class:`twinset.stages.Remarking`)."""
        if self.account is not None:
            return (self.account.sentence(),)
        if not self.settings.looks:
            return ()
        if not self.history:
            few = f"fewer than {FEWEST_FOR_A_LOOK} training or validation images"
            return (f"While the diffusion model trained, nothing looked for copies: {few}.",)
        steps, kept, last = self.settings.training.steps, kept_look(self.history), self.history[-1]
        if kept is last:
            return ()
        return (
            f"The diffusion model is that of step {kept['step']} of {steps}: at step {last['step']} its images lay "
            f"nearer to training than to validation images (p = {last['p_value']:.2g}).",
        )

    def sample(self, class_ids: Sequence[int], rows: Sequence[int], streams: Sequence[Stream]) -> PixelBatch:
        """uint8 (N, H, W, C): one image per class id, each from its own stream, each in its own row of the batch."""
        return self._make([(c, row, stream, None) for c, row, stream in zip(class_ids, rows, streams, strict=True)])

    def vary(
        self, images: PixelBatch, class_ids: Sequence[int], streams: Sequence[Stream], *, strength: float
    ) -> PixelBatch:
        """SDEdit (Meng et al. 2022): noise added up to ``strength`` in (0, 1] of the schedule, then removed.

        uint8 (N, H, W, C) to the same; near 0 the images hardly change, 1 keeps nothing but the class.
        """
        if not 0 < strength <= 1:
            raise ValueError(f"expected 0 < strength ≤ 1; got {strength}")
        starts = to_model(images)
        items = [(c, row, stream, starts[row]) for row, (c, stream) in enumerate(zip(class_ids, streams, strict=True))]
        return self._make(items, sigma_max=self.settings.sampling.noise_level_at(strength))

    def _make(
        self, items: Sequence[tuple[int, int, Stream, torch.Tensor | None]], *, sigma_max: float | None = None
    ) -> PixelBatch:
        sampling = self.settings.sampling
        if sigma_max is not None:
            sampling = SamplingSettings(**{**asdict(sampling), "sigma_max": max(sigma_max, 2 * sampling.sigma_min)})
        out = np.empty((len(items), *self.spec.shape), dtype=np.uint8)
        for batch in pack([row for _, row, _, _ in items], sampling.batch):
            positions = [position for position in batch if position is not None]
            requests = [
                Request(row, items[position][0], items[position][2], items[position][3])
                for row, position in enumerate(batch)
                if position is not None
            ]
            out[positions] = sample_batch(self.denoiser, requests, sampling, shape=self.spec.shape, device=self.device)
        return out

    def save(self, folder: Path) -> None:
        """Writes ``model.safetensors``: the averaged weights, and everything else in its header."""
        record: Record = {
            "settings": json.dumps(asdict(self.settings)),
            "spec": json.dumps(asdict(self.spec)),
            "n_classes": self.n_classes,
            "sigma_data": self.denoiser.sigma_data,
            "history": json.dumps(self.history),
        }
        if self.account is not None:
            record["account"] = json.dumps(asdict(self.account))
        save_tensors(folder / MODEL_FILE, dict(self.denoiser.named_parameters()), record)

    @staticmethod
    def load(folder: Path, *, device: str = "cpu") -> DiffusionModel:
        """The model that :meth:`save` left in this folder."""
        tensors, record = load_tensors(folder / MODEL_FILE, device="cpu")
        try:
            settings = settings_from_dict(json.loads(str(record["settings"])))
            spec = ImageSpec(**json.loads(str(record["spec"])))
            n_classes, sigma_data = int(str(record["n_classes"])), float(str(record["sigma_data"]))
            history = tuple(json.loads(str(record["history"])))
            account = Account(**json.loads(str(record["account"]))) if "account" in record else None
            denoiser = fresh_denoiser(settings.network, spec, n_classes, sigma_data=sigma_data, rng=Stream(0))
            with torch.no_grad():
                for name, value in denoiser.named_parameters():
                    value.copy_(tensors[name])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunFolderError(
                f"{folder / MODEL_FILE}: expected a diffusion model of this version; got {error}",
                hint="remove the file and fit again",
            ) from error
        return _ready(denoiser, spec, n_classes, settings, history, device, account)


def model_of(
    weights: dict[str, torch.Tensor],
    spec: ImageSpec,
    n_classes: int,
    settings: DiffusionSettings,
    *,
    sigma_data: float,
    history: tuple[dict[str, float | int | bool], ...] = (),
    account: Account | None = None,
    device: str = "cpu",
) -> DiffusionModel:
    """The model with these weights, by the names of a denoiser's parameters."""
    denoiser = fresh_denoiser(settings.network, spec, n_classes, sigma_data=sigma_data, rng=Stream(0))
    with torch.no_grad():
        for name, value in denoiser.named_parameters():
            value.copy_(weights[name])
    return _ready(denoiser, spec, n_classes, settings, history, device, account)


def _ready(
    denoiser: Denoiser,
    spec: ImageSpec,
    n_classes: int,
    settings: DiffusionSettings,
    history: tuple[dict[str, float | int | bool], ...],
    device: str,
    account: Account | None,
) -> DiffusionModel:
    denoiser = denoiser.to(device).eval().requires_grad_(False)
    return DiffusionModel(denoiser, spec, n_classes, settings, history, device, account)


def settings_from_dict(values: dict[str, dict[str, object] | int]) -> DiffusionSettings:
    """The settings that ``dataclasses.asdict`` made plain."""
    return DiffusionSettings(
        NetworkSettings(**values["network"]),  # type: ignore[arg-type]
        TrainingSettings(**values["training"]),  # type: ignore[arg-type]
        SamplingSettings(**values["sampling"]),  # type: ignore[arg-type]
        int(values["looks"]),  # type: ignore[arg-type]
    )


def fresh_denoiser(
    network: NetworkSettings, spec: ImageSpec, n_classes: int, *, sigma_data: float, rng: Stream
) -> Denoiser:
    """A denoiser with freshly drawn weights."""
    built = build_network(
        network,
        channels=spec.channels,
        classes=n_classes,
        augmentations=len(PARAMETERS),
        generator=rng.child("weights").torch(),
    )
    return Denoiser(built, sigma_data=sigma_data)


def fit_diffusion(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    *,
    n_classes: int,
    settings: DiffusionSettings,
    rng: Stream,
    folder: Path | None = None,
    holdout: PixelBatch | None = None,
    holdout_classes: NDArray[np.int64] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> DiffusionModel:
    """A model of uint8 (N, H, W, C) images with int64 (N,) classes.

    With ``folder`` the fit keeps a checkpoint about every ten seconds, goes on from it, and saves the model. With
    ``holdout`` images it looks for copies; without, it cannot and trains to the end. Equal inputs, stream and thread
    count give equal weights, interrupted or not.
    """
    spec = ImageSpec(*images.shape[1:])
    key = _key(images, class_ids, settings, rng, holdout)
    if folder is not None and (folder / MODEL_FILE).exists() and _finished(folder, key):
        return DiffusionModel.load(folder, device=device)
    denoiser = fresh_denoiser(settings.network, spec, n_classes, sigma_data=measure_sigma_data(images), rng=rng)
    fit = _Fit(denoiser, TrainingSet(images, class_ids), spec, n_classes, settings, rng, folder, key, device)
    fit.restore()
    looks = settings.look_steps() if holdout is not None and min(len(holdout), len(images)) >= FEWEST_FOR_A_LOOK else []
    while not fit.stopped:
        if holdout is not None and fit.trainer.step in looks and fit.trainer.step not in fit.looked:
            fit.look(holdout, holdout_classes)
        elif fit.trainer.step < settings.training.steps:
            fit.advance()
            progress(fit.trainer.step, settings.training.steps, "steps")
        else:
            break
    model = fit.model()
    if folder is not None:
        model.save(folder)
        save_tensors(folder / "finished.safetensors", {"step": torch.tensor(fit.trainer.step)}, {"key": key})
        (folder / TRAINING_FILE).unlink(missing_ok=True)
    return model


def kept_look(history: Sequence[dict[str, float | int | bool]]) -> dict[str, float | int | bool]:
    """The last look at which little spoke for copies; where something always did, that with the least objection."""
    harmless = [look for look in history if look["p_value"] >= DOUBTFUL]
    return harmless[-1] if harmless else max(reversed(history), key=lambda look: look["p_value"])


def _key(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    settings: DiffusionSettings,
    rng: Stream,
    holdout: PixelBatch | None,
) -> str:
    """What a checkpoint depends on: another one's is never continued."""
    held_out = images[:0] if holdout is None else holdout
    total = hashlib.sha256(json.dumps([asdict(settings), rng.seed, list(images.shape), list(held_out.shape)]).encode())
    for pictures in (images, held_out):
        for start in range(0, len(pictures), 1024):
            total.update(np.ascontiguousarray(pictures[start : start + 1024]).tobytes())
    total.update(np.ascontiguousarray(class_ids).tobytes())
    return total.hexdigest()


def _finished(folder: Path, key: str) -> bool:
    path = folder / "finished.safetensors"
    return path.exists() and load_tensors(path)[1].get("key") == key


class _Fit:
    """One training on its way: the trainer, the average of the look to keep, the history of looks."""

    def __init__(
        self,
        denoiser: Denoiser,
        data: TrainingSet,
        spec: ImageSpec,
        n_classes: int,
        settings: DiffusionSettings,
        rng: Stream,
        folder: Path | None,
        key: str,
        device: str,
    ) -> None:
        self.data, self.spec, self.n_classes, self.settings = data, spec, n_classes, settings
        self.rng, self.folder, self.key, self.device = rng, folder, key, device
        self.trainer = Trainer(denoiser, settings.training, device=device)
        self.good: dict[str, torch.Tensor] | None = None
        self.history: list[dict[str, float | int | bool]] = []
        self.saved_at = time.monotonic()

    @property
    def looked(self) -> set[int]:
        """The steps at which it has looked for copies."""
        return {int(look["step"]) for look in self.history}

    @property
    def stopped(self) -> bool:
        """Whether the last look found copies."""
        return bool(self.history and self.history[-1]["copies"])

    def advance(self) -> None:
        """One training step, and a checkpoint if it is time."""
        batch = draw_batch(
            self.trainer.step,
            self.data,
            self.settings.training,
            null_class=self.n_classes,
            sigma_data=self.trainer.denoiser.sigma_data,
            rng=self.rng.child("data"),
        )
        self.trainer.advance(batch)
        if self.folder is not None and time.monotonic() - self.saved_at > SECONDS_BETWEEN_CHECKPOINTS:
            self.save()

    def look(self, holdout: PixelBatch, holdout_classes: NDArray[np.int64] | None) -> None:
        """Samples a pilot from the average and tests it for copies; keeps the average if it is the best so far."""
        step = self.trainer.step
        made = self._pilot(step)
        found = copy_test(
            made,
            self.data.images,
            holdout,
            of_training=Known(classes=self.data.class_ids if holdout_classes is not None else None),
            of_holdout=Known(classes=holdout_classes),
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
            self.save()

    def _pilot(self, step: int) -> PixelBatch:
        count = min(PILOT, len(self.data.images))
        rows = self.rng.child("pilot").numpy().permutation(len(self.data.images))[:count]
        streams = [self.rng.child("pilot", step, number) for number in range(count)]
        return self.model(self.trainer.average).sample(self.data.class_ids[rows].tolist(), list(range(count)), streams)

    def model(self, weights: dict[str, torch.Tensor] | None = None) -> DiffusionModel:
        """The model with these weights; without, those of the look that was kept, or the present average."""
        return model_of(
            weights or self.good or self.trainer.average,
            self.spec,
            self.n_classes,
            self.settings,
            sigma_data=self.trainer.denoiser.sigma_data,
            history=tuple(self.history),
            device=self.device,
        )

    def save(self) -> None:
        """Writes a checkpoint."""
        assert self.folder is not None
        good = {f"good/{name}": value for name, value in (self.good or {}).items()}
        record: Record = {"key": self.key, "step": self.trainer.step, "history": json.dumps(self.history)}
        save_tensors(self.folder / TRAINING_FILE, {**self.trainer.tensors(), **good}, record)
        self.saved_at = time.monotonic()

    def restore(self) -> None:
        """Goes on from the checkpoint in the folder, if it is one of this very fit."""
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
