"""An embedder trained on the user's own training images, for domains that no downloaded network knows.

A small residual network learns two things at once from random views (shift, zoom, rotation, brightness,
contrast) of the real training images: to tell classes apart, where there are labels, and to recognise two views
of one image among those of others (SimCLR; Chen et al. 2020, eq. 1). The first alone would collapse each class
to a point and hide what varies within it.

It saw the training images, so it must never judge copies or membership
(:func:`~twinset.embedding.embedder.require_unfitted`), and it puts training images at other distances than
unseen ones: compare synthetic images with real images that it did not see.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from twinset.dataset import Dataset
from twinset.embedding.embedder import Vectors, as_rgb, in_fixed_batches, resized
from twinset.errors import DatasetFormatError
from twinset.images import ImageSpec, PixelBatch, to_model
from twinset.models.optimisers import AdamW
from twinset.randomness import Stream
from twinset.stages import Progress, silent
from twinset.store import write_bytes

BATCH = 64
FILE = "self-trained.safetensors"
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class SelfTrained:
    """Settings. ``fit`` costs about 0.1 s a step at 32 × 32 on one core, and 0.5 ms an image afterwards.

    ``size`` bounds the side that pictures are resized to; ``flips`` says that a mirrored picture is as
    good (not so for digits); ``shift``, ``zoom`` are shares of the side, ``rotation`` is in degrees.
    """

    dimension: int = 64
    steps: int = 300
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    label_weight: float = 0.5
    temperature: float = 0.2
    size: int = 32
    flips: bool = False
    shift: float = 0.12
    zoom: float = 0.2
    rotation: float = 12.0
    brightness: float = 0.3
    contrast: float = 0.3

    def __post_init__(self) -> None:
        if min(self.dimension, self.batch) < 2 or self.steps < 1 or self.size < 8 or self.size % 8:
            raise ValueError(f"expected dimension, batch ≥ 2, steps ≥ 1, size ≥ 8 a multiple of 8; got {self}")
        if not 0 <= self.label_weight <= 1 or self.temperature <= 0 or self.learning_rate <= 0:
            raise ValueError(f"expected 0 ≤ label_weight ≤ 1, temperature and learning_rate > 0; got {self}")
        if min(self.shift, self.rotation, self.brightness, self.contrast) < 0 or not 0 <= self.zoom < 1:
            raise ValueError(f"expected augmentation strengths ≥ 0 and zoom < 1; got {self}")

    def fit(
        self, training: Dataset, *, spec: ImageSpec, rng: Stream, progress: Progress = silent
    ) -> SelfTrainedEmbedder:
        """The embedder of these training images; unlabelled ones train the second task only."""
        images, classes = training.prepared(spec), training.class_ids
        return self.fit_pixels(images, classes, ids=training.ids, rng=rng, progress=progress)

    def fit_pixels(
        self,
        images: PixelBatch,
        class_ids: NDArray[np.integer],
        *,
        ids: list[str],
        rng: Stream,
        progress: Progress = silent,
    ) -> SelfTrainedEmbedder:
        """As :meth:`fit`, from uint8 (N, H, W, C) and (N,) classes, −1 where unknown; N ≥ 2.

        Equal inputs, stream and thread count give equal weights.
        """
        if len(images) < 2 or not len(images) == len(class_ids) == len(ids):
            raise ValueError(f"expected ≥ 2 images with as many classes and ids; got {len(images)}, {len(class_ids)}")
        side = min(self.size, max(8, 8 * math.ceil(min(images.shape[1:3]) / 8)))
        pictures = resized(as_rgb(to_model(images)), (side, side))
        classes = torch.from_numpy(np.asarray(class_ids, dtype=np.int64))
        network = Network.fresh(side, self.dimension, rng.child("weights").torch())
        train(network, pictures, classes, self, rng=rng, progress=progress)
        return SelfTrainedEmbedder(network, frozenset(ids))


@dataclass(frozen=True, eq=False)
class SelfTrainedEmbedder:
    """A fitted network and the ids of the images that it saw. Features have a mean square of 1."""

    network: Network
    fitted_on: frozenset[str]
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)
        object.__setattr__(self, "name", f"self-trained-{_digest(self.network)[:8]}")

    @property
    def sha256(self) -> str:
        """Over sizes, names and weights of the network; its first eight digits stand in the name."""
        return _digest(self.network)

    def embed(self, images: torch.Tensor) -> Vectors:
        """float32 (N, C, H, W) in [-1, 1] to (N, D)."""
        return in_fixed_batches(self._features, images.to("cpu", torch.float32), batch=BATCH).numpy()

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        side = self.network.side
        features: torch.Tensor = self.network(resized(as_rgb(images), (side, side)))
        length: float = features.shape[1] ** 0.5
        return functional.normalize(features, dim=1) * length

    def save(self, folder: Path) -> None:
        """Writes ``self-trained.safetensors``: weights, and ids and shape in its header."""
        from safetensors.torch import save

        header = {
            "side": str(self.network.side),
            "dimension": str(self.network.dimension),
            "fitted_on": json.dumps(sorted(self.fitted_on)),
        }
        weights = {name: value.contiguous() for name, value in self.network.state_dict().items()}
        write_bytes(folder / FILE, save(weights, header))

    @staticmethod
    def load(folder: Path) -> SelfTrainedEmbedder:
        """The embedder that :meth:`save` left in this folder."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(folder / FILE, framework="pt") as file:
                header = file.metadata()
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            network = Network.empty(int(header["side"]), int(header["dimension"]))
            network.load_state_dict(weights, assign=True)
            return SelfTrainedEmbedder(network, frozenset(json.loads(header["fitted_on"])))
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise DatasetFormatError(
                f"expected the weights of a self-trained embedder; got {type(error).__name__}: {error}",
                path=folder / FILE,
                hint="train it again",
            ) from error


class Network(nn.Module):
    """Three residual stages of 32, 64 and 128 channels with group normalisation; (N, 3, side, side) to (N, D)."""

    def __init__(self, side: int, dimension: int) -> None:
        super().__init__()
        self.side, self.dimension = side, dimension
        coarse = side >= 32
        self.stem = nn.Conv2d(3, 32, 5 if coarse else 3, 2 if coarse else 1, 2 if coarse else 1, bias=False)
        self.stages = nn.Sequential(_Residual(32, 32, 1), _Residual(32, 64, 2), _Residual(64, 128, 2))
        self.norm = nn.GroupNorm(8, 128)
        self.out = nn.Linear(256, dimension)

    @staticmethod
    def empty(side: int, dimension: int) -> Network:
        """A network without storage, whose weights are to be assigned."""
        with torch.device("meta"):
            return Network(side, dimension)

    @staticmethod
    def fresh(side: int, dimension: int, generator: torch.Generator) -> Network:
        """A network with random weights from this generator, and from no other."""
        return _initialised(Network.empty(side, dimension), generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, side, side) in [-1, 1] to (N, D)."""
        maps = functional.silu(self.norm(self.stages(self.stem(images))))
        pooled = torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)
        features: torch.Tensor = self.out(pooled)
        return features


class _Residual(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(8, inside)
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.second_norm = nn.GroupNorm(8, outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.skip = nn.Conv2d(inside, outside, 1, bias=False) if inside != outside else nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = self.first(functional.silu(self.first_norm(maps)))
        inner = self.second(functional.silu(self.second_norm(inner)))
        total: torch.Tensor = self.skip(self.pool(maps)) + inner
        return total


def _initialised(module: M, generator: torch.Generator) -> M:
    module.to_empty(device="cpu")
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            gain = 2.0 if isinstance(layer, nn.Conv2d) else 1.0
            nn.init.normal_(layer.weight, std=(gain / layer.weight[0].numel()) ** 0.5, generator=generator)
        elif isinstance(layer, nn.GroupNorm):
            nn.init.ones_(layer.weight)
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.GroupNorm) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return module


def train(
    network: Network,
    pictures: torch.Tensor,
    classes: torch.Tensor,
    settings: SelfTrained,
    *,
    rng: Stream,
    progress: Progress = silent,
) -> None:
    """Trains in place on (N, 3, side, side) pictures in [-1, 1] and (N,) classes, −1 unknown."""
    generator = rng.child("views").torch()
    with torch.device("meta"):
        heads = _Heads(settings.dimension, max(1, int(classes.max()) + 1))
    _initialised(heads, rng.child("heads").torch())
    parameters = [*network.parameters(), *heads.parameters()]
    optimizer = AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    warmup = max(1, settings.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / settings.steps))),
    )
    size = min(settings.batch, len(pictures))
    order = torch.empty(0, dtype=torch.int64)
    network.train()
    for step in range(settings.steps):
        if len(order) < size:
            order = torch.cat([order, torch.randperm(len(pictures), generator=generator)])
        rows, order = order[:size], order[size:]
        views = torch.cat([augment(pictures[rows], settings, generator) for _ in range(2)])
        loss = heads.loss(network(views), classes[rows].repeat(2), rows, settings)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, settings.steps, "training the embedder")


class _Heads(nn.Module):
    """What the two tasks read the features through; thrown away after training."""

    def __init__(self, dimension: int, classes: int) -> None:
        super().__init__()
        self.project = nn.Linear(dimension, dimension)
        self.classify = nn.Linear(dimension, classes)

    def loss(
        self, features: torch.Tensor, classes: torch.Tensor, images: torch.Tensor, settings: SelfTrained
    ) -> torch.Tensor:
        """label_weight · cross-entropy + (1 − label_weight) · NT-Xent, of 2B views of B images."""
        projected = functional.normalize(self.project(functional.silu(features)), dim=1)
        same = contrastive_loss(projected, images, settings.temperature)
        if settings.label_weight == 0 or not bool((classes >= 0).any()):
            return same
        scale = features.shape[1] ** 0.5
        logits = self.classify(functional.normalize(features, dim=1) * scale)
        labels = functional.cross_entropy(logits, classes, ignore_index=-1, label_smoothing=0.1)
        return settings.label_weight * labels + (1 - settings.label_weight) * same


def contrastive_loss(projected: torch.Tensor, images: torch.Tensor, temperature: float) -> torch.Tensor:
    """NT-Xent of unit vectors (2B, D): view i and i + B show the same of ``images`` (B,) (SimCLR, eq. 1).

    Where an image is in a batch twice (small sets), its other views are neither positive nor negative.
    """
    count = len(images)
    similarity = projected @ projected.T / temperature
    twice = images.repeat(2)
    mine = torch.arange(2 * count)
    partner = mine.roll(count)
    ignored = twice[:, None] == twice[None, :]
    ignored[mine, partner] = False
    loss: torch.Tensor = functional.cross_entropy(similarity.masked_fill(ignored, -torch.inf), partner)
    return loss


def augment(pictures: torch.Tensor, settings: SelfTrained, generator: torch.Generator) -> torch.Tensor:
    """One random view of every picture (B, 3, S, S): affine, mirrored if allowed, brightness and contrast."""
    count = len(pictures)

    def uniform(strength: float) -> torch.Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * strength

    angle = uniform(math.radians(settings.rotation))
    scale = 1 + uniform(settings.zoom)
    mirror = torch.ones(count)
    if settings.flips:
        mirror = (torch.rand(count, generator=generator) < 0.5).float() * 2 - 1
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = torch.cos(angle) * scale * mirror, -torch.sin(angle) * scale
    matrix[:, 1, 0], matrix[:, 1, 1] = torch.sin(angle) * scale * mirror, torch.cos(angle) * scale
    matrix[:, 0, 2], matrix[:, 1, 2] = uniform(2 * settings.shift), uniform(2 * settings.shift)
    grid = functional.affine_grid(matrix, list(pictures.shape), align_corners=False)
    views = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    gain = (1 + uniform(settings.contrast))[:, None, None, None]
    offset = uniform(settings.brightness)[:, None, None, None]
    mean = views.mean(dim=(1, 2, 3), keepdim=True)
    return ((views - mean) * gain + mean + offset).clamp(-1, 1)


def _digest(network: Network) -> str:
    total = hashlib.sha256(f"{network.side}:{network.dimension}".encode())
    for name, value in network.state_dict().items():
        total.update(name.encode() + value.detach().numpy().tobytes())
    return total.hexdigest()
