"""Pretrained embedders from files on this machine: DINOv2, CLIP, ResNet and Inception. Nothing is ever downloaded.

DINOv2 (Oquab et al. 2023) and CLIP (Radford et al. 2021) load through transformers from a local folder in its own
layout; ResNet (He et al. 2016) and Inception v3 (Szegedy et al. 2016) through torchvision from one safetensors file
of the state dict. Pickled weights are refused; weights with holes or NaN are an error, never filled at random.

The Inception here is torchvision's, not the TensorFlow port of published FIDs: do not compare with those.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from twinset.choices import check_choices
from twinset.dataset import Dataset
from twinset.embedding.embedder import Vectors, as_rgb, in_fixed_batches, resized
from twinset.errors import MissingExtraError, MissingModelError
from twinset.images import ImageSpec
from twinset.models.foreign import conversion, quiet_transformers
from twinset.randomness import Stream

Name = Literal["dinov2", "clip", "resnet18", "resnet50", "inception"]
BATCH = 16
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNIT = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Inception's weights come from TensorFlow and expect [-1, 1]; torchvision's ``transform_input``, off here, would turn
IMAGENET into that."""

CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
HUB = {"dinov2": "facebook/dinov2-small", "clip": "openai/clip-vit-base-patch32"}
# torchvision puts the first eight digits of a checkpoint's sha256 into its name.
TORCHVISION = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
    "inception": "inception_v3_google-0cc3c7bd.pth",
}


@dataclass(frozen=True)
class Pretrained:
    """``name`` of the network and ``path`` of its weights on this machine.

    Without a path they are looked for in ``$TWINSET_MODELS`` (default ``~/.cache/twinset/models``) under the
    name, and those of transformers then in the local Hugging Face cache.
    """

    name: Name
    path: str | None = None

    def __post_init__(self) -> None:
        check_choices(self)

    def check(self) -> None:
        """Raises :class:`MissingModelError` or :class:`MissingExtraError`, in no time, if it cannot be loaded."""
        weights = self.weights()
        if weights.suffix in PICKLED:
            raise MissingModelError(
                f"{weights}: expected safetensors; got pickled weights, which can run code", hint=_conversion(self.name)
            )
        if not weights.is_file():
            raise MissingModelError(
                f"{weights}: expected the weights of {self.name}; got no file", hint=_where(self.name)
            )
        if self.name in HUB and importlib.util.find_spec("transformers") is None:
            raise MissingExtraError(
                f"expected the transformers package for {self.name}; got none", hint="install twinset[pretrained]"
            )

    def weights(self) -> Path:
        """The file that is, or should be, there."""
        path = Path(self.path).expanduser() if self.path else _default_path(self.name)
        if self.name not in HUB or path.suffix in PICKLED:
            return path
        folder = path.parent if path.suffix == ".safetensors" else path
        weights, pickled = folder / "model.safetensors", folder / "pytorch_model.bin"
        return pickled if pickled.is_file() and not weights.is_file() else weights

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> PretrainedEmbedder:  # noqa: ARG002
        """Loads the network; the training images are not looked at."""
        return self.load()

    def load(self) -> PretrainedEmbedder:
        """The embedder; its name holds the first twelve digits of the weights' sha256."""
        self.check()
        weights = self.weights()
        network, side = _load(self.name, weights)
        digest = _digest(weights)
        configuration = _digest(weights.parent / "config.json") if self.name in HUB else ""
        mean, std = {"clip": CLIP, "inception": UNIT}.get(self.name, IMAGENET)
        return PretrainedEmbedder(
            network.eval().requires_grad_(False), f"{self.name}-{digest}", side, mean, std, configuration
        )


def inception_network(path: str | None) -> tuple[nn.Module, str]:
    """Inception with its classifier, frozen, and the first twelve digits of its weights' sha256; errors as above."""
    settings = Pretrained("inception", path)
    settings.check()
    network, _ = _load("inception", settings.weights(), head=True)
    return network.eval().requires_grad_(False), _digest(settings.weights())


def _digest(weights: Path) -> str:
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _default_path(name: str) -> Path:
    home = Path(os.environ.get("TWINSET_MODELS") or "~/.cache/twinset/models").expanduser()
    if name not in HUB:
        return home / f"{name}.safetensors"
    if not (home / name).is_dir() and importlib.util.find_spec("huggingface_hub") is not None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(HUB[name], "config.json")
        if isinstance(cached, str):
            return Path(cached).parent
    return home / name


def _where(name: str) -> str:
    if name in HUB:
        return (
            f"put config.json and model.safetensors of {HUB[name]}, or of another size, into that folder; "
            "twinset downloads nothing"
        )
    return (
        f"put torchvision's weights there, {TORCHVISION[name]} (sha256 begins with "
        f"{TORCHVISION[name].removesuffix('.pth')[-8:]}) as safetensors: {_conversion(name)}; twinset downloads nothing"
    )


@dataclass(frozen=True, eq=False)
class PretrainedEmbedder:
    """A network with its input side, mean and standard deviation; it saw none of the user's images.

    The same weights compute something else under another ``configuration``, of which this is the digest.
    """

    network: nn.Module
    name: str
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    configuration: str = ""

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


def _load(name: Name, weights: Path, *, head: bool = False) -> tuple[nn.Module, int]:
    from safetensors import SafetensorError

    try:
        network, side = (
            _from_transformers(name, weights.parent) if name in HUB else _from_torchvision(name, weights, head=head)
        )
        for key, value in network.state_dict().items():
            if not bool(torch.isfinite(value).all()):
                raise ValueError(f"NaN or infinity in {key}")
        return network, side
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        found = " ".join(line.strip() for line in lines[:2])
        raise MissingModelError(f"{weights}: expected the weights of {name}; got {found}", hint=_where(name)) from error


def _from_transformers(name: str, folder: Path) -> tuple[nn.Module, int]:
    from transformers import CLIPVisionModelWithProjection, Dinov2Model

    kind = Dinov2Model if name == "dinov2" else CLIPVisionModelWithProjection
    with quiet_transformers():
        model, report = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    # transformers fills what is missing with random numbers and carries on.
    holes = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if holes:
        raise ValueError(f"a checkpoint without {len(holes)} of its tensors (first {holes[0]})")
    size, patch = int(model.config.image_size), int(model.config.patch_size)
    # CLIP has positions for its own size only; DINOv2 interpolates them and is used at 224, as published.
    return _Pooled(model), size if name == "clip" else min(224, size) // patch * patch


def _from_torchvision(name: str, weights: Path, *, head: bool) -> tuple[nn.Module, int]:
    from safetensors.torch import load_file
    from torchvision import models

    with torch.device("meta"):  # no storage, and no draw from the global generator
        if name == "inception":
            model, side = models.inception_v3(weights=None, aux_logits=True, init_weights=False), 299
        else:
            model, side = (models.resnet18 if name == "resnet18" else models.resnet50)(weights=None), 224
    model.load_state_dict(load_file(weights), assign=True)
    if not head:
        model.fc = nn.Identity()
    return model, side


def _conversion(name: str) -> str:
    return (
        conversion(TORCHVISION[name], f"{name}.safetensors") if name in TORCHVISION else conversion("pytorch_model.bin")
    )
