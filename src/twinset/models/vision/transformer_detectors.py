"""RT-DETR (Zhao et al. 2024), RT-DETRv2 (Lv et al. 2024) and D-FINE (Peng et al. 2024) from transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from twinset.errors import MissingModelError
from twinset.models.foreign import quiet_transformers
from twinset.models.vision.models import Found, Targets
from twinset.models.vision.settings import TransformerName, VisionDetectorSettings, weights_file
from twinset.models.vision.weights import read_weights

MULTIPLE = 32
HEADS = ("model.decoder.class_embed.", "model.enc_score_head.", "model.denoising_class_embed.", "class_embed.")
"""Tensors whose shape depends on the number of classes."""


class _Configuration(Protocol):
    """What is used of a configuration of transformers."""

    num_labels: int
    anchor_image_size: list[int] | None
    eval_size: list[int] | None

    @classmethod
    def from_dict(cls, config_dict: dict[str, object]) -> _Configuration: ...


class _Network(Protocol):
    """What is used of a network class of transformers."""

    def __call__(self, config: _Configuration) -> nn.Module: ...

    def from_pretrained(
        self,
        folder: Path,
        *,
        config: _Configuration,
        local_files_only: bool,
        use_safetensors: bool,
        ignore_mismatched_sizes: bool,
        output_loading_info: bool,
        dtype: torch.dtype,
    ) -> tuple[nn.Module, dict[str, list[str]]]: ...


class TransformerDetector:
    """A detector of transformers; it looks for sets of objects and needs no suppression of doubles."""

    def __init__(self, network: nn.Module, *, score_threshold: float, most_objects: int) -> None:
        self.network = network
        self.score_threshold = score_threshold
        self.most_objects = most_objects

    def loss(self, images: torch.Tensor, targets: Sequence[Targets]) -> torch.Tensor:
        """The network's own loss: matched classes and boxes, with denoising."""
        scale = _scale(images)
        rows = [{"class_labels": class_ids, "boxes": _to_centres(boxes / scale)} for boxes, class_ids, _ in targets]
        loss: torch.Tensor = self.network(pixel_values=images, labels=rows).loss
        return loss

    def detect(self, images: torch.Tensor) -> list[Found]:
        """The best of all pairs of query and class, best first."""
        out = self.network(pixel_values=images)
        n_classes = out.logits.shape[2]
        found = []
        for scores, centres in zip(out.logits.sigmoid().flatten(1), out.pred_boxes, strict=True):
            best, places = scores.topk(min(self.most_objects, len(scores)))
            places, best = places[best >= self.score_threshold], best[best >= self.score_threshold]
            boxes = _to_corners(centres[places // n_classes]) * _scale(images)
            found.append(Found(boxes, places % n_classes, best, None))
        return found


def _scale(images: torch.Tensor) -> torch.Tensor:
    height, width = images.shape[2:]
    return torch.tensor([width, height, width, height], dtype=torch.float32)


def _to_centres(boxes: torch.Tensor) -> torch.Tensor:
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=1)


def _to_corners(boxes: torch.Tensor) -> torch.Tensor:
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], dim=1)


def build_transformer(name: TransformerName, config: str, *, n_classes: int, size: tuple[int, int]) -> nn.Module:
    """A network of this configuration (JSON; "" is the library's own) with random weights from the global generator.

    ``ValueError`` for a size (height, width) that is no multiple of 32.
    """
    configuration, kind = _kinds(name)
    _check_size(size)
    with quiet_transformers():
        network: nn.Module = kind(_configured(configuration, config, n_classes))
    return network


def start_transformer(
    settings: VisionDetectorSettings, *, n_classes: int, size: tuple[int, int]
) -> tuple[nn.Module, str]:
    """The network that training begins with and its configuration as JSON."""
    name: TransformerName = settings.name  # type: ignore[assignment]
    if settings.weights is not None:
        path = weights_file(settings.weights)
        config = _read_config(path.parent / "config.json", name)
        _check_size(size)
        return _pretrained(name, path, config, n_classes), config
    config = "" if settings.config is None else _read_config(Path(settings.config), name)
    return build_transformer(name, config, n_classes=n_classes, size=size), config


def _kinds(name: TransformerName) -> tuple[type[_Configuration], _Network]:
    import transformers

    kinds = {
        "rt_detr": (transformers.RTDetrConfig, transformers.RTDetrForObjectDetection),
        "rt_detr_v2": (transformers.RTDetrV2Config, transformers.RTDetrV2ForObjectDetection),
        "d_fine": (transformers.DFineConfig, transformers.DFineForObjectDetection),
    }
    found: tuple[type[_Configuration], _Network] = kinds[name]
    return found


def _configured(kind: type[_Configuration], config: str, n_classes: int) -> _Configuration:
    values = kind.from_dict(json.loads(config)) if config else kind()
    values.num_labels = n_classes
    # Positions and anchors follow the pictures at hand, not those of pretraining.
    values.anchor_image_size, values.eval_size = None, None
    return values


def _check_size(size: tuple[int, int]) -> None:
    if size[0] % MULTIPLE or size[1] % MULTIPLE:
        raise ValueError(f"expected scenes with sides that are multiples of {MULTIPLE}; got {size[0]} x {size[1]}")


def _pretrained(name: TransformerName, path: Path, config: str, n_classes: int) -> nn.Module:
    configuration, kind = _kinds(name)
    read_weights(path, name)
    with quiet_transformers():
        try:
            network, report = kind.from_pretrained(
                path.parent,
                config=_configured(configuration, config, n_classes),
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise MissingModelError(f"{path}: expected the weights of {name}; got {error}") from error
    # transformers fills what is missing with random numbers and carries on; only new heads may be new.
    mismatched = [key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]]
    holes = sorted(report["missing_keys"]) + [key for key in sorted(mismatched) if not key.startswith(HEADS)]
    if holes:
        raise MissingModelError(
            f"{path}: expected the weights of {name}; got a checkpoint without {len(holes)} of its tensors "
            f"(first {holes[0]})"
        )
    return network


def _read_config(path: Path, name: str) -> str:
    try:
        text = path.read_text()
        found = json.loads(text).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise MissingModelError(f"{path}: expected the configuration of {name}; got {error}") from error
    if found != name:
        raise MissingModelError(
            f"{path}: expected the configuration of {name}; got one of {found}", hint="name that model instead"
        )
    return text
