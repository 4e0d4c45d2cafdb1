"""Pretrained embedders from files on this machine: DINOv2, CLIP, ResNet and Inception. Nothing is ever downloaded.

DINOv2 (Oquab et al. 2023) and CLIP (Radford et al. 2021) load through transformers from a local folder in its own
layout; ResNet (He et al. 2016) and Inception v3 (Szegedy et al. 2016) through torchvision from one safetensors file
of the state dict. Pickled weights are refused; weights with holes or NaN are an error, never filled at random.

The Inception here is torchvision's, not the TensorFlow port of published FIDs: do not compare with those.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from twinset.choices import check_choices
from twinset.dataset import Dataset
from twinset.embedding.foreign_embedder import DIGITS, ForeignEmbedder, sha256_of
from twinset.embedding.weights import HUB, Name, check_weights, weights_of, where_to_put
from twinset.errors import MissingModelError
from twinset.images import ImageSpec
from twinset.models.foreign import quiet_transformers
from twinset.randomness import Stream

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNIT = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Inception's weights come from TensorFlow and expect [-1, 1]; torchvision's ``transform_input``, off here, would turn
IMAGENET into that."""

CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


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
        check_weights(self.name, self.path)

    def weights(self) -> Path:
        """The file that is, or should be, there."""
        return weights_of(self.name, self.path)

    def fit(self, training: Dataset, *, spec: ImageSpec, rng: Stream) -> ForeignEmbedder:  # noqa: ARG002
        """Loads the network; the training images are not looked at."""
        return self.load()

    def load(self) -> ForeignEmbedder:
        """The embedder; its name holds the first twelve digits of the weights' sha256."""
        self.check()
        weights = self.weights()
        network, side = _load(self.name, weights)
        digest = sha256_of(weights)
        configuration = sha256_of(weights.parent / "config.json")[:DIGITS] if self.name in HUB else ""
        mean, std = {"clip": CLIP, "inception": UNIT}.get(self.name, IMAGENET)
        return ForeignEmbedder(
            network.eval().requires_grad_(False),
            f"{self.name}-{digest[:DIGITS]}",
            side,
            mean,
            std,
            sha256=digest,
            configuration=configuration,
        )


def inception_network(path: str | None) -> tuple[nn.Module, str]:
    """Inception with its classifier, frozen, and the sha256 of its weights; errors as above."""
    settings = Pretrained("inception", path)
    settings.check()
    network, _ = _load("inception", settings.weights(), head=True)
    return network.eval().requires_grad_(False), sha256_of(settings.weights())


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
        raise MissingModelError(
            f"{weights}: expected the weights of {name}; got {found}", hint=where_to_put(name)
        ) from error


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
