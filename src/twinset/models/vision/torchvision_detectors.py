"""torchvision's detectors: Faster R-CNN (Ren et al. 2015), Mask R-CNN (He et al. 2017), RetinaNet (Lin et al. 2017),
FCOS (Tian et al. 2019) and SSDlite (Sandler et al. 2018).

They work at the size of the scenes they are given, except SSDlite, which brings every picture to 320 × 320.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from twinset.models.vision.models import Found, Targets
from twinset.models.vision.settings import VisionDetectorSettings
from twinset.models.vision.weights import fill, read_weights

HEADS = (
    "roi_heads.box_predictor.",
    "roi_heads.mask_predictor.mask_fcn_logits.",
    "head.classification_head.cls_logits.",
    "head.classification_head.module_list.",
)
"""Tensors whose shape depends on the number of classes."""


class TorchvisionDetector:
    """A detector of torchvision. Its class 0 is the background, so ours are shifted by one."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def loss(self, images: torch.Tensor, targets: Sequence[Targets]) -> torch.Tensor:
        """The sum of the network's losses."""
        rows = []
        for boxes, class_ids, masks in targets:
            row = {"boxes": boxes, "labels": class_ids + 1}
            rows.append(row if masks is None else {**row, "masks": masks})
        losses: dict[str, torch.Tensor] = self.network(list(images), rows)
        return torch.stack(list(losses.values())).sum()

    def detect(self, images: torch.Tensor) -> list[Found]:
        """The objects in every picture, best first."""
        found = []
        for out in self.network(list(images)):
            # A new head may call something background that passed as an object before.
            real = out["labels"] > 0
            masks = out["masks"][real, 0] if "masks" in out else None
            found.append(Found(out["boxes"][real], out["labels"][real] - 1, out["scores"][real], masks))
        return found


def build_torchvision(settings: VisionDetectorSettings, *, n_classes: int, size: tuple[int, int]) -> nn.Module:
    """A network with random weights for scenes of ``size`` (height, width), drawn from the global generator."""
    from torchvision.models import detection

    constructors = {
        "fasterrcnn_mobilenet_v3_large_320_fpn": detection.fasterrcnn_mobilenet_v3_large_320_fpn,
        "fasterrcnn_resnet50_fpn": detection.fasterrcnn_resnet50_fpn,
        "retinanet_resnet50_fpn": detection.retinanet_resnet50_fpn,
        "fcos_resnet50_fpn": detection.fcos_resnet50_fpn,
        "ssdlite320_mobilenet_v3_large": detection.ssdlite320_mobilenet_v3_large,
        "maskrcnn_resnet50_fpn": detection.maskrcnn_resnet50_fpn,
    }
    prefix = "box_" if "rcnn" in settings.name else ""
    limits = {
        f"{prefix}score_thresh": settings.score_threshold,
        f"{prefix}detections_per_img": settings.most_objects,
    }
    if settings.name != "ssdlite320_mobilenet_v3_large":
        # The scenes' own sides, so that torchvision resizes nothing.
        limits |= {"min_size": min(size), "max_size": max(size)}
    network: nn.Module = constructors[settings.name](
        weights=None, weights_backbone=None, num_classes=n_classes + 1, **limits
    )
    return network


def start_torchvision(settings: VisionDetectorSettings, *, n_classes: int, size: tuple[int, int]) -> nn.Module:
    """The network that training begins with: new, or filled from the files that the settings name."""
    network = build_torchvision(settings, n_classes=n_classes, size=size)
    if settings.weights is not None:
        path = Path(settings.weights)
        fill(network, read_weights(path, settings.name), path=path, name=settings.name, heads=HEADS)
    if settings.backbone is not None:
        path, name = Path(settings.backbone), str(settings.backbone_name)
        tensors = {key.removeprefix("features."): value for key, value in read_weights(path, name).items()}
        body = network.get_submodule("backbone.body")
        fill(body, tensors, path=path, name=name, heads=())
    return network
