"""SDEdit of one region: an object, or the background, is noised and denoised; the rest of the picture stays.

A small diffusion model of ours learns square windows of the training pictures. At every noise level the known pixels
are set to what they are, plus that much noise, so that the new ones fit them.

Sources: Lugmayr et al. 2022, "RePaint", equation 8; Avrahami et al. 2022, "Blended Diffusion", algorithm 2; Meng et al.
2022 for the strength. Where we differ: the noise of the known pixels is one draw, as the way back is an ODE; there is
no travel back and forth in time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from twinset.choices import check_choices
from twinset.dataset import Dataset, Sample
from twinset.editing.grain import too_grainy
from twinset.editing.origin import edited
from twinset.editing.regions import MOST_WINDOWS, Region, Where, region_of, windows
from twinset.images import ImageSpec, Pixels, convert_channels, from_model, resize, to_model
from twinset.models.choices import DiffusionChoices
from twinset.models.diffusion import DiffusionModel
from twinset.models.sampling import guided, integrate
from twinset.randomness import RandomSource, Stream
from twinset.stages import Workspace

NOTHING_YET = Workspace()

LEAST_WINDOWS = 10_000
"""Windows by which steps are bounded at least: some 4,000 of 128, where there is time for them."""


@dataclass(frozen=True)
class RegionSDEdit(DiffusionChoices):
    """``region``: what changes. ``strength`` in (0, 1]: how far towards noise; at .5 little is left of what was there.
    ``side``: pixels of the model's windows.

    ``context``: side of a window over that of its object. ``feather``: the share of a window's side over which the new
    pixels fade in, inside the region. The rest is about its diffusion model (:class:`DiffusionChoices`).
    """

    region: Where = "object"
    strength: float = 0.3
    side: int = 32
    context: float = 1.5
    feather: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self)
        if not (0 < self.strength <= 1 and self.side >= 4 and self.context >= 1 and 0 <= self.feather <= 0.5):
            raise ValueError(f"expected strength in (0, 1], side ≥ 4, context ≥ 1 and feather in [0, 0.5]; got {self}")

    def resolve(
        self, spec: ImageSpec, *, n_classes: int, n_training: int, seconds: float, threads: int, device: str = "cpu"
    ) -> Self:
        """As :meth:`DiffusionChoices.resolve`, for windows in place of pictures.

        A whole picture is never made, so that many passes over few windows are no matter of copies yet; with as few
        steps as a model of whole pictures gets, regions come out as noise.
        """
        return super().resolve(
            self._windows(spec),
            n_classes=n_classes + 1,
            n_training=max(LEAST_WINDOWS, n_training * MOST_WINDOWS),
            seconds=seconds,
            threads=threads,
            device=device,
        )

    def fit_seconds(self, spec: ImageSpec, *, n_classes: int, threads: int, device: str = "cpu") -> float:
        """As :meth:`DiffusionChoices.fit_seconds`, for windows in place of pictures."""
        return super().fit_seconds(self._windows(spec), n_classes=n_classes + 1, threads=threads, device=device)

    def _windows(self, spec: ImageSpec) -> ImageSpec:
        return ImageSpec(self.side, self.side, spec.channels)

    def fit(self, training: Dataset, *, rng: RandomSource, workspace: Workspace = NOTHING_YET) -> RegionEditor:
        """Trains the diffusion model on windows of the training images."""
        stream = Stream.of(rng)
        learnt = windows(training, side=self.side, context=self.context, rng=stream.child("training"))
        holdout = workspace.holdout
        if holdout is not None and len(holdout):
            holdout = windows(holdout, side=self.side, context=self.context, rng=stream.child("holdout"))
        model = self.train(learnt, rng=stream, workspace=replace(workspace, holdout=holdout))
        told = too_grainy(model, learnt.prepared(model.spec), learnt.class_ids, rng=stream.child("grain"))
        return RegionEditor(model, self, told)

    def load(self, folder: Path, *, device: str = "cpu") -> RegionEditor:
        """The editor that a finished fit left in this folder."""
        return RegionEditor(DiffusionModel.load(folder, device=device), self)


@dataclass(frozen=True, eq=False)
class RegionEditor:
    """Edits with a trained model whose last class is the background; labels are kept, the parent is recorded.

    ``told`` is what the fit found to say of the model.
    """

    model: DiffusionModel
    method: RegionSDEdit
    told: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Those of the model, and whether it has learnt enough."""
        return (*self.model.remarks, *self.told)

    def edit(self, sample: Sample, *, rng: Stream) -> Sample:
        """The sample with one region made anew; every pixel outside the region is as it was.

        An object with a mask changes in its mask only, so its mask stays right; one with a box only changes in its box
        less those of its neighbours, and may come out smaller than it, the more so the greater the strength.
        """
        if sample.annotation is None:
            raise ValueError(f"expected a labelled sample; got {sample.id!r} without an annotation")
        pixels = sample.pixels()
        region = region_of(
            sample.annotation,
            (pixels.shape[0], pixels.shape[1]),
            self.method.region,
            rng.child("region").numpy(),
            context=self.method.context,
            background=self.model.n_classes - 1,
        )
        changed = pixels.copy()
        window = np.ascontiguousarray(pixels[region.rows, region.columns])
        changed[region.rows, region.columns] = self._renewed(window, region, rng.child("sdedit"))
        return edited(sample, changed, method="region_sdedit", rng=rng)

    def _renewed(self, window: Pixels, region: Region, rng: Stream) -> Pixels:
        """The window with its region made anew at the model's size, and pasted back by what changed there.

        Detail finer than the model's pixels stays in proportion to 1 − strength: at full strength it would show the
        outlines of what was there before.
        """
        if not region.inside.any():
            return window
        spec = self.model.spec
        small = convert_channels(resize(window, spec.height, spec.width), spec.channels)
        unknown = _scaled(region.inside.astype(np.float32), spec.height, spec.width) > 0
        new = inpainted(self.model, small, region.class_id, unknown, strength=self.method.strength, rng=rng)
        height, width, channels = window.shape
        before, after = (
            _scaled(convert_channels(picture, channels).astype(np.float32), height, width) for picture in (small, new)
        )
        before, after = before.reshape(window.shape), after.reshape(window.shape)
        detail = (1 - self.method.strength) * (window - before)
        weight = _fading(region.inside, self.method.feather * height)[..., None]
        return np.clip(np.rint(window + weight * (after + detail - window)), 0, 255).astype(np.uint8)


def inpainted(
    model: DiffusionModel, pixels: Pixels, class_id: int, unknown: NDArray[np.bool_], *, strength: float, rng: Stream
) -> Pixels:
    """A picture of the model's size with its ``unknown`` pixels (H, W) made anew from ``strength`` of the noise.

    The denoiser's answer is replaced by the truth where that is known; along the ODE a known pixel is then its value
    plus σ times its first noise, exactly, which is what the unknown ones are fitted to.
    """
    sampling = model.settings.sampling
    sampling = replace(sampling, sigma_max=max(sampling.noise_level_at(strength), 2 * sampling.sigma_min))
    known = to_model(np.array(pixels[None])).to(model.device)
    new = torch.from_numpy(unknown)[None, None].to(model.device)
    denoise = guided(model.denoiser, torch.tensor([class_id], device=model.device), sampling)
    noise = torch.randn(known.shape, generator=rng.child("noise").torch()).to(model.device)
    made = integrate(
        lambda x, sigma: torch.where(new, denoise(x, sigma), known), known + sampling.sigma_max * noise, sampling
    )
    return np.asarray(from_model(torch.where(new, made, known))[0])


def _scaled(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Float values (H, W) or (H, W, C) at another size: means where it shrinks, cubic where it grows."""
    import cv2

    if values.shape[:2] == (height, width):
        return values
    shrinks = height * width < values.shape[0] * values.shape[1]
    return np.asarray(
        cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC),
        dtype=np.float32,
    )


def _fading(inside: NDArray[np.bool_], reach: float) -> NDArray[np.float32]:
    """float32 (H, W): 0 outside a region, rising to 1 over ``reach`` pixels inside it."""
    import cv2

    padded = np.pad(inside.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return np.asarray(np.clip(depth / max(1.0, reach), 0, 1), dtype=np.float32)
