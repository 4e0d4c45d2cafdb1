"""Pretrained embedders from files on this machine: DINOv2, CLIP, ResNet and Inception. Nothing is ever downloaded.

DINOv2 (Oquab et al. 2023) and CLIP (Radford et al. 2021) load through transformers from a local folder in its own
layout; ResNet-50 (He et al. 2016) and Inception v3 (Szegedy et al. 2016) through torchvision from one safetensors
file of the state dict. Pickled weights are refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from twinset.dataset import Dataset
from twinset.embedding.embedder import Vectors, as_rgb, in_fixed_batches, resized
from twinset.errors import MissingExtraError, MissingModelError
from twinset.images import ImageSpec
from twinset.randomness import Stream

Name = Literal["dinov2", "clip", "resnet50", "inception"]
BATCH = 16
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
WHERE = {
    "dinov2": "a folder with config.json and model.safetensors (facebook/dinov2-small, or another size)",
    "clip": "a folder with config.json and model.safetensors (openai/clip-vit-base-patch32, or another size)",
    "resnet50": "torchvision's ResNet-50 state dict as one .safetensors file",
    "inception": "torchvision's Inception v3 state dict as one .safetensors file",
}


@dataclass(frozen=True)
class Pretrained:
    """``name`` of the network and ``path`` of its weights on this machine."""

    name: Name
    path: str

    def check(self) -> None:
        """Raises :class:`MissingModelError` or :class:`MissingExtraError`, in no time, if it cannot be loaded."""
        weights = self._weights()
        if weights.suffix in PICKLED:
            raise MissingModelError(
                f"{weights}: expected safetensors; got pickled weights, which can run code",
                hint="convert them with the safetensors package and point to that file",
            )
        if not weights.is_file():
            raise MissingModelError(
                f"{weights}: expected the weights of {self.name}; got no file",
                hint=f"put there {WHERE[self.name]}; twinset downloads nothing",
            )
        if self.name in ("dinov2", "clip") and importlib.util.find_spec("transformers") is None:
            raise MissingExtraError(
                f"expected the transformers package for {self.name}; got none", hint="install twinset[pretrained]"
            )

    def _weights(self) -> Path:
        path = Path(self.path).expanduser()
        if self.name in ("resnet50", "inception") or path.suffix in PICKLED:
            return path
        pickled = path / "pytorch_model.bin"
        weights = path / "model.safetensors"
        return pickled if pickled.is_file() and not weights.is_file() else weights

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> PretrainedEmbedder:  # noqa: ARG002
        """Loads the network; the training images are not looked at."""
        self.check()
        weights = self._weights()
        network, side = _load(self.name, weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
        mean, std = CLIP if self.name == "clip" else IMAGENET
        return PretrainedEmbedder(network.eval().requires_grad_(False), f"{self.name}-{digest}", side, mean, std)


@dataclass(frozen=True, eq=False)
class PretrainedEmbedder:
    """A network with its input side, mean and standard deviation; it saw none of the user's images."""

    network: nn.Module
    name: str
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def fitted_on(self) -> frozenset[str]:
        """None of the user's samples."""
        return frozenset()

    def embed(self, images: torch.Tensor) -> Vectors:
        """float32 (N, C, H, W) in [-1, 1] to (N, D); resized with antialiasing, the whole picture."""
        return in_fixed_batches(self._features, images.to("cpu", torch.float32), batch=BATCH).numpy()

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        shown = (resized(as_rgb(images), (self.side, self.side)) + 1) / 2
        mean, std = (torch.tensor(values)[None, :, None, None] for values in (self.mean, self.std))
        features: torch.Tensor = self.network((shown - mean) / std)
        return features


class _Pooled(nn.Module):
    """The pooled output of a transformers vision model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, D)."""
        out = self.model(pixel_values=images)
        pooled: torch.Tensor = out.image_embeds if hasattr(out, "image_embeds") else out.pooler_output
        return pooled


def _load(name: Name, weights: Path) -> tuple[nn.Module, int]:
    try:
        if name in ("dinov2", "clip"):
            return _from_transformers(name, weights.parent)
        return _from_torchvision(name, weights)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MissingModelError(
            f"{weights}: expected the weights of {name}; got {first}", hint=f"expected is {WHERE[name]}"
        ) from error


def _from_transformers(name: str, folder: Path) -> tuple[nn.Module, int]:
    from transformers import CLIPVisionModelWithProjection, Dinov2Model

    kind = Dinov2Model if name == "dinov2" else CLIPVisionModelWithProjection
    model = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    side = 224 if name == "dinov2" else int(model.config.image_size)
    patch = int(model.config.patch_size)
    return _Pooled(model), min(side, patch * max(1, int(model.config.image_size) // patch))


def _from_torchvision(name: str, weights: Path) -> tuple[nn.Module, int]:
    import torchvision
    from safetensors.torch import load_file

    if name == "resnet50":
        model, side = torchvision.models.resnet50(weights=None), 224
    else:
        model = torchvision.models.inception_v3(weights=None, aux_logits=True, init_weights=False)
        side = 299
    model.load_state_dict(load_file(weights))
    model.fc = nn.Identity()
    return model, side
