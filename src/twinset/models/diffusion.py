"""A trained class-conditional diffusion model: fit, keep, load, sample.

``fit_diffusion`` trains in a folder that it can come back to, and looks several times whether the model has begun to
copy (:mod:`twinset.models.looking`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.errors import RunFolderError
from twinset.images import ImageSpec, PixelBatch, to_model
from twinset.models.augmentation import PARAMETERS
from twinset.models.checkpoint import Record, load_tensors, save_tensors
from twinset.models.looking import Look, LookingFit, Others, Weights, fit_key, is_finished, look_remarks, look_steps
from twinset.models.networks import NetworkSettings, build_network
from twinset.models.preconditioning import Denoiser, measure_sigma_data
from twinset.models.private.accounting import Account
from twinset.models.sampling import Request, SamplingSettings, pack, sample_batch
from twinset.models.training import Trainer, TrainingSet, TrainingSettings, draw_batch
from twinset.randomness import Stream
from twinset.stages import Progress, silent

MODEL_FILE = "model.safetensors"


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
        return look_steps(self.training.steps, self.looks)


@dataclass(frozen=True, eq=False)
class DiffusionModel:
    """A denoiser with the image size and classes it was trained for. ``history`` tells of its looks for copies,
    ``account`` what it spent of privacy where it was trained with it.
    """

    denoiser: Denoiser
    spec: ImageSpec
    n_classes: int
    settings: DiffusionSettings
    history: tuple[Look, ...] = ()
    device: str = "cpu"
    account: Account | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its looks for copies led to, or what it spent (:class:`twinset.stages.Remarking`)."""
        if self.account is not None:
            return (self.account.sentence(),)
        if not self.settings.looks:
            return ()
        return look_remarks(self.history, what="diffusion model", steps=self.settings.training.steps)

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
            record["account"] = json.dumps(self.account.to_values())
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
            account = Account.from_values(json.loads(str(record["account"]))) if "account" in record else None
            return model_of(
                tensors,
                spec,
                n_classes,
                settings,
                sigma_data=sigma_data,
                history=history,
                account=account,
                device=device,
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunFolderError(
                f"{folder / MODEL_FILE}: expected a diffusion model of this version; got {error}",
                hint="remove the file and fit again",
            ) from error


def model_of(
    weights: Weights,
    spec: ImageSpec,
    n_classes: int,
    settings: DiffusionSettings,
    *,
    sigma_data: float,
    history: tuple[Look, ...] = (),
    account: Account | None = None,
    device: str = "cpu",
) -> DiffusionModel:
    """The model with these weights, by the names of a denoiser's parameters."""
    denoiser = fresh_denoiser(settings.network, spec, n_classes, sigma_data=sigma_data, rng=Stream(0))
    with torch.no_grad():
        for name, value in denoiser.named_parameters():
            value.copy_(weights[name])
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
    others: Others | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> DiffusionModel:
    """A model of uint8 (N, H, W, C) images with int64 (N,) classes.

    With ``folder`` the fit keeps a checkpoint about every ten seconds, goes on from it, and saves the model. With
    ``others`` it looks for copies; without, it cannot and trains to the end. Equal inputs, stream and thread
    count give equal weights, interrupted or not.
    """
    spec, data = ImageSpec(*images.shape[1:]), TrainingSet(images, class_ids)
    key = fit_key(asdict(settings), data, rng, others)
    if folder is not None and is_finished(folder, MODEL_FILE, key):
        return DiffusionModel.load(folder, device=device)
    denoiser = fresh_denoiser(settings.network, spec, n_classes, sigma_data=measure_sigma_data(images), rng=rng)
    fit = _Fit(denoiser, data, spec, n_classes, settings, rng, folder, key, device)
    fit.run(others, steps=settings.training.steps, progress=progress)
    model = fit.model(fit.kept())
    fit.finish(model)
    return model


class _Fit(LookingFit):
    """One training of a denoiser on its way."""

    trainer: Trainer

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
        super().__init__(data, looks=settings.look_steps(), rng=rng, folder=folder, key=key, device=device)
        self.spec, self.n_classes, self.settings = spec, n_classes, settings
        self.trainer = Trainer(denoiser, settings.training, device=device)

    def advance(self) -> None:
        """One training step."""
        batch = draw_batch(
            self.trainer.step,
            self.data,
            self.settings.training,
            null_class=self.n_classes,
            sigma_data=self.trainer.denoiser.sigma_data,
            rng=self.rng.child("data"),
        )
        self.trainer.advance(batch)

    def model(self, weights: Weights) -> DiffusionModel:
        """The model with these weights."""
        return model_of(
            weights,
            self.spec,
            self.n_classes,
            self.settings,
            sigma_data=self.trainer.denoiser.sigma_data,
            history=tuple(self.history),
            device=self.device,
        )
