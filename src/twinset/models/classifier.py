"""A small residual CNN for 8 to 64 px pictures, trained for a fixed number of steps on one CPU thread.

It judges how useful a training set is (train on X, test on real), labels and filters in alignment, and lends
its features. Pre-activation residual blocks (He et al. 2016), AdamW with warm-up and cosine decay, weights
averaged over the last steps. Equal images, settings and stream give equal weights on one machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from twinset.images import PixelBatch, to_model
from twinset.models.checkpoint import Record, load_model, save_tensors, whole_numbers
from twinset.models.classical import AugmentationSettings, augment
from twinset.models.optimisers import AdamW
from twinset.randomness import Stream
from twinset.stages import Progress, silent

FORMAT = "twinset-classifier/1"
EVALUATION_BATCH = 256
WARM_UP_SHARE = 0.1
AVERAGED_SHARE = 0.05

Norm = Literal["batch", "group"]
"""Over the batch, or over groups of channels within an image, as private training needs it."""


@dataclass(frozen=True)
class ClassifierSettings:
    """How to train a classifier. Steps are fixed, so that every training set gets the same effort.

    ``width`` is the channels of the first stage (doubled per stage up to four times); ``synthetic_share`` is the
    share of every batch that is drawn from the second source, where ``fit_classifier`` is given sources;
    ``class_balanced`` draws every class equally often.
    """

    width: int = 32
    steps: int = 400
    batch: int = 32
    learning_rate: float = 6e-3
    weight_decay: float = 0.1
    label_smoothing: float = 0.1
    class_balanced: bool = False
    synthetic_share: float = 0.5
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or self.width < 8 or self.width % 8:
            raise ValueError(f"expected steps and batch ≥ 1 and width a multiple of 8; got {self}")
        if not (self.learning_rate > 0 and self.weight_decay >= 0 and 0 <= self.label_smoothing < 1):
            raise ValueError(f"expected learning_rate > 0, weight_decay ≥ 0, 0 ≤ label_smoothing < 1; got {self}")
        if not 0 <= self.synthetic_share <= 1:
            raise ValueError(f"expected synthetic_share in [0, 1]; got {self.synthetic_share}")

    def to_dict(self) -> dict[str, object]:
        """Plain JSON types; :meth:`from_dict` reads them back."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> ClassifierSettings:
        """The settings that :meth:`to_dict` wrote; unknown keys are a ``TypeError``."""
        plain = {key: value for key, value in values.items() if key != "augmentation"}
        nested = values.get("augmentation", {})
        if not isinstance(nested, Mapping):
            raise TypeError(f"expected augmentation as a mapping; got {nested!r}")
        return ClassifierSettings(**plain, augmentation=AugmentationSettings(**nested))  # type: ignore[arg-type]


class ResidualBlock(nn.Module):
    """Norm, ReLU, conv, norm, ReLU, conv, added to the (pooled, projected) input."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int, norm: Norm = "batch") -> None:
        super().__init__()
        self.stride = stride
        self.norm_1 = _norm(norm, channels_in)
        self.conv_1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm_2 = _norm(norm, channels_out)
        self.conv_2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.project = nn.Conv2d(channels_in, channels_out, 1, bias=False) if channels_in != channels_out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', ⌈H / stride⌉, ⌈W / stride⌉)."""
        h = functional.relu(self.norm_1(x))
        residual = self.conv_2(functional.relu(self.norm_2(self.conv_1(h))))
        if self.stride > 1:
            h = functional.avg_pool2d(h, self.stride, ceil_mode=True)
        shortcut = self.project(h) if self.project is not None else x
        out: torch.Tensor = shortcut + residual
        return out


class ResidualNetwork(nn.Module):
    """Stem, one block per halving down to about 4 px, mean pooling, linear head; float32 (N, C, H, W) in [-1, 1]."""

    def __init__(
        self, *, size: tuple[int, int], channels: int, n_classes: int, width: int, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        stem: list[nn.Module] = [nn.Conv2d(channels, width, 3, 1, 1, bias=False)]
        side = max(size)
        while side > 16:
            stem.append(nn.MaxPool2d(2, ceil_mode=True))
            side = -(-side // 2)
        blocks: list[nn.Module] = [ResidualBlock(width, width, stride=1, norm=norm)]
        now = width
        while side > 4:
            blocks.append(ResidualBlock(now, min(2 * now, 4 * width), stride=2, norm=norm))
            now, side = min(2 * now, 4 * width), -(-side // 2)
        self.body = nn.Sequential(*stem, *blocks, _norm(norm, now), nn.ReLU())
        self.head = nn.Linear(now, n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """float32 (N, D): pooled activations before the head."""
        pooled: torch.Tensor = self.body(x).mean((2, 3))
        return pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 logits (N, K)."""
        logits: torch.Tensor = self.head(self.features(x))
        return logits


def _norm(kind: Norm, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(channels // 8, channels)


def new_network(
    size: tuple[int, int],
    channels: int,
    n_classes: int,
    width: int,
    generator: torch.Generator,
    *,
    norm: Norm = "batch",
) -> ResidualNetwork:
    """He-normal convolutions and a zero head, drawn from ``generator`` only (built on "meta": no global draws)."""
    with torch.device("meta"):
        network = ResidualNetwork(size=size, channels=channels, n_classes=n_classes, width=width, norm=norm)
    network = network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return network.to(memory_format=torch.channels_last)


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network with the image shape (H, W, C) that it takes; ``classes`` are the names of its answers in
    order, none where nobody told; ``norm`` is what the network normalises over."""

    network: ResidualNetwork
    shape: tuple[int, int, int]
    n_classes: int
    width: int
    classes: tuple[str, ...] = ()
    norm: Norm = "batch"

    def __post_init__(self) -> None:
        if self.classes and len(self.classes) != self.n_classes:
            raise ValueError(f"expected {self.n_classes} class names or none; got {len(self.classes)}")

    def logits(self, images: PixelBatch) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) to float32 (N, K)."""
        return self._batched(images, self.network)

    def probabilities(self, images: PixelBatch) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) to float32 (N, K); rows sum to one."""
        return torch.softmax(torch.from_numpy(self.logits(images)), dim=1).numpy()

    def features(self, images: PixelBatch) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) to float32 (N, D), the activations that the head reads."""
        return self._batched(images, self.network.features)

    def _batched(self, images: PixelBatch, function: object) -> NDArray[np.float32]:
        if images.dtype != np.uint8 or images.shape[1:] != self.shape:
            raise ValueError(f"expected uint8 images (N, *{self.shape}); got {images.dtype} {images.shape}")
        assert callable(function)
        if not len(images):
            return np.empty((0, function(torch.zeros(1, self.shape[2], *self.shape[:2])).shape[1]), np.float32)
        with torch.inference_mode():
            parts = [
                function(
                    to_model(images[start : start + EVALUATION_BATCH]).contiguous(memory_format=torch.channels_last)
                )
                for start in range(0, len(images), EVALUATION_BATCH)
            ]
            return torch.cat(parts).numpy()

    def save(self, path: Path) -> None:
        """Writes one safetensors file; shape, width and classes are in its header."""
        height, picture_width, channels = self.shape
        record: Record = {"format": FORMAT, "height": height, "picture_width": picture_width, "channels": channels}
        record |= {"n_classes": self.n_classes, "width": self.width, "classes": json.dumps(self.classes)}
        record |= {"norm": self.norm}
        save_tensors(path, self.network.state_dict(), record)

    @staticmethod
    def load(path: Path) -> Classifier:
        """The classifier that :meth:`save` wrote; ``ValueError`` for a file of another kind, :class:`RunFolderError`
        for a damaged one.
        """
        tensors, record = load_model(path, format=FORMAT)
        height, picture_width, channels, n_classes, width = whole_numbers(
            record, "height", "picture_width", "channels", "n_classes", "width"
        )
        size = (height, picture_width)
        norm: Norm = "group" if record.get("norm") == "group" else "batch"
        network = new_network(size, channels, n_classes, width, torch.Generator().manual_seed(0), norm=norm)
        network.load_state_dict(tensors)
        classes = tuple(json.loads(str(record.get("classes", "[]"))))
        return Classifier(network.eval(), (*size, channels), n_classes, width, classes, norm)


def fit_classifier(
    images: PixelBatch,
    targets: NDArray[np.integer] | NDArray[np.floating],
    *,
    n_classes: int,
    settings: ClassifierSettings,
    rng: Stream,
    source: NDArray[np.integer] | None = None,
    progress: Progress = silent,
) -> Classifier:
    """A classifier trained for ``settings.steps`` steps.

    ``images`` uint8 (N, H, W, C); ``targets`` int (N,) class ids or float (N, K) soft labels; ``source`` (N,) is 0
    for real and 1 for synthetic: where both occur, every batch holds ``settings.synthetic_share`` of the latter.
    Batches go through each class (if balanced) and source in fresh random order, without replacement.

    Raises ``ValueError`` for empty input, targets that do not fit, or a source other than 0 and 1.
    """
    labels = check_targets(images, targets, n_classes)
    soft = torch.from_numpy(targets.astype(np.float32)) if targets.ndim == 2 else torch.from_numpy(labels)
    schedule = _batch_rows(labels, source, settings, rng.child("batches"))
    height, width, channels = images.shape[1:]
    network = new_network((height, width), channels, n_classes, settings.width, rng.child("weights").torch()).train()
    averaged = new_network((height, width), channels, n_classes, settings.width, rng.child("weights").torch())
    optimizer = AdamW(
        network.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    for step, rows in enumerate(schedule):
        batch = augment(to_model(images[rows]), settings.augmentation, rng=rng.child("augment", step))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate_share(step, settings.steps)
        logits = network(batch.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits, soft[rows], label_smoothing=settings.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        _average(averaged, network, step, settings.steps)
        if step % 20 == 19 or step + 1 == settings.steps:
            progress(step + 1, settings.steps, "classifier")
    return Classifier(averaged.eval(), (height, width, channels), int(n_classes), settings.width)


def check_targets(
    images: PixelBatch, targets: NDArray[np.integer] | NDArray[np.floating], n_classes: int
) -> NDArray[np.int64]:
    """Hard labels int64 (N,): the targets themselves, or the mode of each soft label."""
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(f"expected one or more uint8 images (N, H, W, C); got {images.dtype} {images.shape}")
    if len(targets) != len(images) or targets.shape[1:] not in ((), (n_classes,)):
        raise ValueError(f"expected targets ({len(images)},) or ({len(images)}, {n_classes}); got {targets.shape}")
    labels = (targets.argmax(1) if targets.ndim == 2 else targets).astype(np.int64)
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"expected class ids in 0…{n_classes - 1}; got {labels.min()}…{labels.max()}")
    return labels


def rate_share(step: int, steps: int) -> float:
    """Learning-rate factor: linear warm-up over the first tenth, then half a cosine to zero."""
    done = (step + 1) / (steps + 1)
    return min(done / WARM_UP_SHARE, 1.0) * 0.5 * (1 + math.cos(math.pi * max(0.0, done - WARM_UP_SHARE)))


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, step: int, steps: int) -> None:
    """Moves the average toward the network; the horizon is a share of all steps, shorter at the start."""
    horizon = min(max(1.0, AVERAGED_SHARE * steps), (10 + step) / 9)
    pairs = zip(averaged.state_dict().values(), network.state_dict().values(), strict=True)
    floats = [(mean, now) for mean, now in pairs if mean.dtype.is_floating_point]
    torch._foreach_lerp_([mean for mean, _ in floats], [now for _, now in floats], 1 / horizon)


def _batch_rows(
    labels: NDArray[np.int64], source: NDArray[np.integer] | None, settings: ClassifierSettings, rng: Stream
) -> list[NDArray[np.int64]]:
    """The rows of every batch, drawn up front; the rows of one source do not depend on what the other holds."""
    sources = np.zeros(len(labels), dtype=np.int64) if source is None else np.asarray(source)
    if sources.shape != labels.shape or not np.isin(sources, (0, 1)).all():
        raise ValueError(f"expected source ({len(labels)},) of zeros and ones; got {sources.shape}")
    real, synthetic = np.flatnonzero(sources == 0), np.flatnonzero(sources == 1)
    n_synthetic = round(settings.batch * settings.synthetic_share)
    if not len(real) or not len(synthetic):
        n_synthetic = settings.batch if len(synthetic) else 0
    parts = [
        rows[_order(labels[rows], size * settings.steps, settings.class_balanced, rng.child(name).numpy())].reshape(
            settings.steps, size
        )
        for name, rows, size in (("real", real, settings.batch - n_synthetic), ("synthetic", synthetic, n_synthetic))
        if size
    ]
    return list(np.concatenate(parts, axis=1))


def _order(labels: NDArray[np.int64], count: int, balanced: bool, generator: np.random.Generator) -> NDArray[np.int64]:
    """``count`` rows in random passes over all rows; balanced: passes over the classes, then within each class."""

    def passes(items: NDArray[np.int64], n: int) -> NDArray[np.int64]:
        return np.concatenate([generator.permutation(items) for _ in range(-(-n // len(items)))])[:n]

    if not balanced:
        return passes(np.arange(len(labels)), count)
    classes = passes(np.unique(labels), count)
    order = np.empty(count, dtype=np.int64)
    for class_id in np.unique(labels):
        places = np.flatnonzero(classes == class_id)
        order[places] = passes(np.flatnonzero(labels == class_id), len(places))
    return order
