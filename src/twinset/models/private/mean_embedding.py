"""DP-MERF: one noisy release of random features, and a network that is trained on nothing else.

Harder, Adamczewski and Park 2021, "DP-MERF: Differentially Private Mean Embeddings with Random Features for Practical
Privacy-Preserving Data Generation". An image's random Fourier features φ have norm 1, so the sum of φ(x) ⊗ one-hot(y)
over all images changes by 1 with one image more or less; a Gaussian mechanism releases it once. The network is fitted
to the release, which costs no more privacy however long it takes. We differ in two things: counts of classes are
released in the same mechanism, and the width of the kernel is a constant, not measured on the images.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from twinset.errors import RunFolderError
from twinset.gaussian_privacy import default_delta, sigma_for
from twinset.images import ImageSpec, PixelBatch, from_model, to_model
from twinset.models.checkpoint import Record, load_tensors, save_tensors
from twinset.models.optimisers import Adam
from twinset.models.private.accounting import NOT_COVERED, Account, Privacy
from twinset.models.private.sitting import Sitting
from twinset.randomness import Stream
from twinset.secret_randomness import seed_from, standard_normals
from twinset.stages import Progress, silent

MODEL_FILE = "model.safetensors"
LATENT = 16
GRID = 2.0**-20


@dataclass(frozen=True)
class MeanEmbeddingSettings:
    """``features`` random features (even); ``bandwidth``: width of the kernel, times the root of the number of values
    of an image; ``count_weight``: how much of the release tells how many images a class has. The network has two
    hidden layers of ``width`` units and takes ``steps`` of Adam, each on ``batch`` pictures of every class.
    """

    features: int = 1000
    bandwidth: float = 0.5
    count_weight: float = 0.5
    width: int = 256
    steps: int = 1500
    batch: int = 32
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if self.features < 2 or self.features % 2 or min(self.width, self.steps, self.batch) < 1:
            raise ValueError(f"expected an even number of features, and width, steps and batch ≥ 1; got {self}")
        if not (self.bandwidth > 0 and self.count_weight > 0 and self.learning_rate > 0):
            raise ValueError(f"expected bandwidth, count_weight and learning_rate above 0; got {self}")

    @property
    def sensitivity(self) -> float:
        """How far the release moves at most with one image more or less."""
        return math.hypot(1.0, self.count_weight)


class Pictures(nn.Module):
    """Latent numbers float (N, 16) and classes (N,) to flat pictures float (N, D) in [-1, 1]: two hidden layers."""

    def __init__(self, values: int, classes: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.first, self.second = nn.Linear(LATENT + classes, width), nn.Linear(width, width)
        self.norm_first, self.norm_second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.last = nn.Linear(width, values)

    def forward(self, latent: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
        """The pictures, flat."""
        known = functional.one_hot(class_ids, self.classes).to(latent)
        hidden = functional.relu(self.norm_first(self.first(torch.cat([latent, known], dim=1))))
        hidden = functional.relu(self.norm_second(self.second(hidden)))
        out: torch.Tensor = torch.tanh(self.last(hidden))
        return out


@dataclass(frozen=True, eq=False)
class MeanEmbeddingModel:
    """A fitted network, and what its release cost. ``shares`` (C,) are the classes' noisy proportions."""

    network: Pictures
    spec: ImageSpec
    n_classes: int
    width: int
    shares: tuple[float, ...]
    account: Account

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was released and what it cost."""
        if math.isinf(self.account.epsilon):
            return ("The mean embedding was released without noise: no differential privacy is claimed.",)
        one = self.account
        return (
            f"DP-MERF: one release of a mean embedding with noise of {one.noise_multiplier:.4g} times what one image "
            f"moves: ε = {one.epsilon:.4g} at δ = {one.delta:.3g} for one image more or less (Gaussian mechanism, "
            f"exact). {NOT_COVERED}",
        )

    @torch.no_grad()
    def sample(self, class_ids: Sequence[int], streams: Sequence[Stream]) -> PixelBatch:
        """uint8 (N, H, W, C): one image per class id from its own stream, one at a time, so that company is nothing."""
        out = np.empty((len(class_ids), *self.spec.shape), dtype=np.uint8)
        for row, (class_id, stream) in enumerate(zip(class_ids, streams, strict=True)):
            latent = torch.randn(1, LATENT, generator=stream.child("latent").torch())
            flat = self.network(latent, torch.tensor([class_id]))[0]
            planes = flat.view(self.spec.channels, self.spec.height, self.spec.width)
            out[row] = from_model(planes[None])[0]
        return out

    def save(self, folder: Path) -> None:
        """Writes ``model.safetensors``, everything but the weights in its header."""
        record: Record = {
            "spec": json.dumps(asdict(self.spec)),
            "n_classes": self.n_classes,
            "width": self.width,
            "shares": json.dumps(self.shares),
            "account": json.dumps(self.account.to_values()),
        }
        save_tensors(folder / MODEL_FILE, self.network.state_dict(), record)

    @staticmethod
    def load(folder: Path) -> MeanEmbeddingModel:
        """The model that :meth:`save` left in this folder."""
        tensors, record = load_tensors(folder / MODEL_FILE)
        try:
            spec = ImageSpec(**json.loads(str(record["spec"])))
            classes, width = int(str(record["n_classes"])), int(str(record["width"]))
            network = _network(spec, classes, width, torch.Generator().manual_seed(0))
            network.load_state_dict(tensors)
            shares = tuple(json.loads(str(record["shares"])))
            account = Account.from_values(json.loads(str(record["account"])))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunFolderError(
                f"{folder / MODEL_FILE}: expected a mean embedding model of this version; got {error}",
                hint="remove the file and fit again",
            ) from error
        return MeanEmbeddingModel(network.eval().requires_grad_(False), spec, classes, width, shares, account)


def random_features(flat: torch.Tensor, frequencies: torch.Tensor) -> torch.Tensor:
    """(N, D) and (D, F/2) to φ (N, F), each of norm 1: cosines and sines (Rahimi and Recht 2007)."""
    angles = flat @ frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1) / math.sqrt(frequencies.shape[1])


def draw_frequencies(values: int, settings: MeanEmbeddingSettings, generator: torch.Generator) -> torch.Tensor:
    """Frequencies of a Gaussian kernel, float64 (D, F/2)."""
    width = settings.bandwidth * math.sqrt(values)
    return torch.randn(values, settings.features // 2, generator=generator, dtype=torch.float64) / width


def release(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    frequencies: torch.Tensor,
    *,
    n_classes: int,
    settings: MeanEmbeddingSettings,
    sigma: float,
    key: bytes,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The noisy sums (C, F) and the noisy counts (C,), float64: all that is ever taken from the images."""
    sums = torch.zeros(n_classes, settings.features, dtype=torch.float64)
    counts = torch.bincount(torch.from_numpy(class_ids), minlength=n_classes).double()
    for start in range(0, len(images), 1024):
        flat = to_model(images[start : start + 1024]).flatten(1).double()
        features = random_features(flat, frequencies)
        sums.index_add_(0, torch.from_numpy(class_ids[start : start + 1024]), features)
    whole = torch.cat([sums, settings.count_weight * counts[:, None]], dim=1)
    if sigma:
        noise = torch.from_numpy(standard_normals(whole.numel(), key=key, purpose="twinset mean embedding"))
        grid = GRID * sigma  # low bits of floating-point noise would tell (Mironov 2012)
        whole = ((whole + sigma * noise.view(whole.shape)) / grid).round() * grid
    return whole[:, :-1], whole[:, -1] / settings.count_weight


def fit_mean_embedding(
    images: PixelBatch,
    class_ids: NDArray[np.int64],
    *,
    n_classes: int,
    settings: MeanEmbeddingSettings,
    privacy: Privacy,
    folder: Path | None = None,
    progress: Progress = silent,
) -> MeanEmbeddingModel:
    """A model of uint8 (N, H, W, C) images with int64 (N,) classes.

    With ``folder`` a fit that was killed repeats its release with the same noise, spending nothing twice, and refuses
    other data.
    """
    spec = ImageSpec(*images.shape[1:])
    sitting = Sitting(folder, images, class_ids, model=asdict(settings), privacy=privacy, n_classes=n_classes)
    if folder is not None and sitting.finished:
        return MeanEmbeddingModel.load(folder)
    account = sitting.account(lambda: _account(privacy, len(images), settings))
    key = sitting.key()
    generator = torch.Generator().manual_seed(seed_from(key, "twinset mean embedding frequencies"))
    frequencies = draw_frequencies(images[0].size, settings, generator)
    sums, counts = release(
        images,
        class_ids,
        frequencies,
        n_classes=n_classes,
        settings=settings,
        sigma=account.noise_multiplier * settings.sensitivity,
        key=key,
    )
    shares = counts.clamp(min=1.0) / counts.clamp(min=1.0).sum()
    weights = torch.Generator().manual_seed(seed_from(key, "twinset mean embedding weights"))
    network = _network(spec, n_classes, settings.width, weights)
    _match(network, (sums / len(images)).float(), shares.float(), frequencies.float(), settings, weights, progress)
    model = MeanEmbeddingModel(
        network.eval().requires_grad_(False), spec, n_classes, settings.width, tuple(shares.tolist()), account
    )
    if folder is not None:
        model.save(folder)
    sitting.close(account)
    return model


def _account(privacy: Privacy, images: int, settings: MeanEmbeddingSettings) -> Account:
    delta = default_delta(images) if privacy.delta is None else privacy.delta
    if privacy.epsilon is None:
        return Account(1.0, 0.0, 1, delta, math.inf, settings.sensitivity)
    return Account(1.0, sigma_for(privacy.epsilon, delta, 1), 1, delta, privacy.epsilon, settings.sensitivity)


def _network(spec: ImageSpec, classes: int, width: int, generator: torch.Generator) -> Pictures:
    """He-normal weights from ``generator`` only."""
    with torch.device("meta"):
        network = Pictures(spec.height * spec.width * spec.channels, classes, width)
    network = network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
    return network


def _match(
    network: Pictures,
    target: torch.Tensor,
    shares: torch.Tensor,
    frequencies: torch.Tensor,
    settings: MeanEmbeddingSettings,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Adam on ‖released − made‖², the squared distance of the two embeddings of images and classes together."""
    classes = len(target)
    class_ids = torch.arange(classes).repeat_interleave(settings.batch)
    optimiser = Adam(network.parameters(), lr=settings.learning_rate)
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * (1 - step / settings.steps)
        latent = torch.randn(len(class_ids), LATENT, generator=generator)
        features = random_features(network(latent, class_ids), frequencies)
        made = features.view(classes, settings.batch, -1).mean(1) * shares[:, None]
        loss = (made - target).square().sum() * classes**2
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 50 == 49 or step + 1 == settings.steps:
            progress(step + 1, settings.steps, "embedding steps")
