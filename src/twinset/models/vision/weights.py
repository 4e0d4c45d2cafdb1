"""Weights from files on this machine: safetensors only, nothing downloaded, no hole filled at random."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from twinset.errors import MissingModelError
from twinset.models.foreign import conversion

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

# torchvision puts the first eight digits of a checkpoint's sha256 into its name.
CHECKPOINTS = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
    "fasterrcnn_resnet50_fpn": "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
    "retinanet_resnet50_fpn": "retinanet_resnet50_fpn_coco-eeacb38b.pth",
    "fcos_resnet50_fpn": "fcos_resnet50_fpn_coco-99b0c9b7.pth",
    "ssdlite320_mobilenet_v3_large": "ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
    "maskrcnn_resnet50_fpn": "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
    "lraspp_mobilenet_v3_large": "lraspp_mobilenet_v3_large-d234d4ea.pth",
    "deeplabv3_mobilenet_v3_large": "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
    "mobilenet_v3_large": "mobilenet_v3_large-8738ca79.pth",
    "resnet50": "resnet50-0676ba61.pth",
}
HUB = {
    "rt_detr": "PekingU/rtdetr_r18vd",
    "rt_detr_v2": "PekingU/rtdetr_v2_r18vd",
    "d_fine": "ustc-community/dfine-small-coco",
}
"""Checkpoints of transformers that fit these names."""


def check_file(path: Path, name: str) -> None:
    """Raises :class:`MissingModelError`, in no time, unless this is a safetensors file that exists."""
    if path.suffix in PICKLED:
        raise MissingModelError(
            f"{path}: expected safetensors; got pickled weights, which can run code",
            hint=_conversion(name),
        )
    if not path.is_file():
        raise MissingModelError(f"{path}: expected the weights of {name}; got no file", hint=_where(name))


def _where(name: str) -> str:
    if name in HUB:
        return (
            f"put config.json and model.safetensors of {HUB[name]}, or of another size, into that folder; "
            "twinset downloads nothing"
        )
    return f"put torchvision's {CHECKPOINTS[name]} there as safetensors: {_conversion(name)}; twinset downloads nothing"


def read_weights(path: Path, name: str) -> dict[str, torch.Tensor]:
    """All tensors of a file; :class:`MissingModelError` if it is damaged or holds NaN."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_file(path, name)
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise MissingModelError(f"{path}: expected the weights of {name}; got {error}", hint=_where(name)) from error
    bad = next((key for key, t in tensors.items() if t.is_floating_point() and not bool(t.isfinite().all())), None)
    if bad is not None:
        raise MissingModelError(f"{path}: expected finite weights; got NaN or infinity in {bad}", hint=_where(name))
    return tensors


def fill(
    network: nn.Module, tensors: Mapping[str, torch.Tensor], *, path: Path, name: str, heads: tuple[str, ...]
) -> None:
    """Copies tensors into a network. Those whose names begin with one of ``heads`` stay new where the number of
    classes differs; anything else that lacks or has another shape is a :class:`MissingModelError`.
    """
    state = network.state_dict()
    # Frozen batch norms, in which torchvision saves its checkpoints, do not count batches.
    wanted = [key for key in state if not key.endswith("num_batches_tracked")]
    fits = {key: tensors[key] for key in wanted if key in tensors and tensors[key].shape == state[key].shape}
    holes = [key for key in wanted if key not in fits and not (key in tensors and key.startswith(heads))]
    if holes:
        raise MissingModelError(
            f"{path}: expected the weights of {name}; got a checkpoint without {len(holes)} of its tensors "
            f"(first {holes[0]})",
            hint=_where(name),
        )
    network.load_state_dict(fits, strict=False)


def _conversion(name: str) -> str:
    return conversion(CHECKPOINTS.get(name, "pytorch_model.bin"))
