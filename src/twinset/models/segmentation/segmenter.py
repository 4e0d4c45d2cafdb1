"""A trained segmenter: class ids of every pixel, in the pictures' own sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from twinset.images import to_model
from twinset.models.checkpoint import Record, load_model, save_tensors, whole_numbers
from twinset.models.segmentation.network import SmallUNet, build_unet
from twinset.models.segmentation.scenes import PixelScenes

FORMAT = "twinset-segmenter/1"


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A trained network with the shape (H, W, C) of the scenes that it takes."""

    network: SmallUNet
    shape: tuple[int, int, int]
    n_classes: int
    width: int
    depth: int

    def predict(self, scenes: PixelScenes) -> list[NDArray[np.int32]]:
        """int32 (H, W) class ids of every scene, in its original size; the logits are interpolated, not the classes."""
        return predicted_maps(self.network, scenes, self.shape)

    def save(self, path: Path) -> None:
        """Writes one safetensors file; shape and width are in its header."""
        height, width, channels = self.shape
        record: Record = {"format": FORMAT, "height": height, "picture_width": width, "channels": channels}
        record |= {"n_classes": self.n_classes, "width": self.width, "depth": self.depth}
        save_tensors(path, self.network.state_dict(), record)

    @staticmethod
    def load(path: Path) -> Segmenter:
        """The segmenter that :meth:`save` wrote; ``ValueError`` for a file of another kind."""
        tensors, record = load_model(path, format=FORMAT)
        names = ("height", "picture_width", "channels", "n_classes", "width", "depth")
        height, picture_width, channels, n_classes, width, depth = whole_numbers(record, *names)
        generator = torch.Generator().manual_seed(0)
        network = build_unet(channels=channels, n_classes=n_classes, width=width, depth=depth, generator=generator)
        network.load_state_dict(tensors)
        return Segmenter(network.eval(), (height, picture_width, channels), n_classes, width, depth)


def predicted_maps(network: nn.Module, scenes: PixelScenes, shape: tuple[int, int, int]) -> list[NDArray[np.int32]]:
    """int32 (H, W) of every scene, in its original size, one at a time; ``ValueError`` unless scenes have ``shape``."""
    if scenes.shape != shape:
        raise ValueError(f"expected scenes of {shape}; got {scenes.shape}; prepare them at that size")
    found = []
    with torch.inference_mode():
        for row, original in enumerate(scenes.originals.tolist()):
            picture = to_model(scenes.images[row : row + 1]).contiguous(memory_format=torch.channels_last)
            logits = network(picture)
            if list(logits.shape[2:]) != original:
                logits = functional.interpolate(logits, size=original, mode="bilinear", align_corners=False)
            found.append(np.asarray(logits[0].argmax(0).to(torch.int32).numpy()))
    return found
