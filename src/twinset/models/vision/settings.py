"""Which detector of torchvision or transformers to train, from which weights, and how."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from twinset.errors import MissingExtraError, MissingModelError
from twinset.models.detection import SceneAugmentation
from twinset.models.vision.weights import check_file

TorchvisionName = Literal[
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "fcos_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
    "maskrcnn_resnet50_fpn",
]
TransformerName = Literal["rt_detr", "rt_detr_v2", "d_fine"]
VisionDetectorName = TorchvisionName | TransformerName
TRANSFORMERS: tuple[str, ...] = get_args(TransformerName)
NAMES: tuple[str, ...] = (*get_args(TorchvisionName), *TRANSFORMERS)


@dataclass(frozen=True)
class VisionDetectorSettings:
    """How to train a detector. Steps are fixed, so that every training set gets the same effort.

    ``weights``: a safetensors file of torchvision's detector, or the folder of one of transformers; ``backbone``: a
    safetensors file of torchvision's ImageNet classifier under it (not for ssdlite, whose own is thinner); ``config``:
    a config.json of transformers to start from with random weights. Without any of them training begins from scratch
    at the library's own size. Batch norms are frozen where weights or a backbone are given.

    ``score_threshold``: detections with less confidence are left out; ``most_objects`` are kept of a picture.
    ``class_balanced`` and ``synthetic_share`` as in :class:`~twinset.models.detection.DetectorSettings`.
    """

    name: VisionDetectorName = "fasterrcnn_mobilenet_v3_large_320_fpn"
    weights: str | None = None
    backbone: str | None = None
    config: str | None = None
    steps: int = 500
    batch: int = 4
    learning_rate: float = 3e-4
    weight_decay: float = 1e-4
    score_threshold: float = 0.01
    most_objects: int = 100
    class_balanced: bool = False
    synthetic_share: float = 0.5
    augmentation: SceneAugmentation = field(default_factory=SceneAugmentation)

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"expected a detector out of {', '.join(NAMES)}; got {self.name!r}")
        if min(self.steps, self.batch, self.most_objects) < 1:
            raise ValueError(f"expected steps, batch and most_objects ≥ 1; got {self}")
        if not (0 < self.learning_rate < math.inf and 0 <= self.weight_decay < math.inf):
            raise ValueError(f"expected learning_rate > 0 and weight_decay ≥ 0; got {self}")
        if not (0 <= self.score_threshold < 1 and 0 <= self.synthetic_share <= 1):
            raise ValueError(f"expected score_threshold in [0, 1) and synthetic_share in [0, 1]; got {self}")
        self._check_starts()

    def _check_starts(self) -> None:
        if sum(start is not None for start in (self.weights, self.backbone, self.config)) > 1:
            raise ValueError(f"expected at most one of weights, backbone and config; got {self}")
        if self.config is not None and not self.is_transformer:
            raise ValueError(f"expected config for {', '.join(TRANSFORMERS)} only; got it for {self.name}")
        if self.backbone is not None and self.backbone_name is None:
            raise ValueError(f"expected no backbone for {self.name}; got {self.backbone!r}; give weights instead")

    @property
    def is_transformer(self) -> bool:
        """Whether it comes from transformers (the extra ``pretrained``)."""
        return self.name in TRANSFORMERS

    @property
    def has_masks(self) -> bool:
        """Whether it learns and predicts masks."""
        return self.name == "maskrcnn_resnet50_fpn"

    @property
    def backbone_name(self) -> str | None:
        """torchvision's classifier whose weights fit under it."""
        if self.is_transformer or self.name == "ssdlite320_mobilenet_v3_large":
            return None
        return "mobilenet_v3_large" if "mobilenet" in self.name else "resnet50"

    def check(self) -> None:
        """Raises :class:`MissingModelError` or :class:`MissingExtraError`, in no time, if it cannot begin."""
        if self.weights is not None:
            check_file(weights_file(self.weights) if self.is_transformer else Path(self.weights), self.name)
        if self.backbone is not None:
            check_file(Path(self.backbone), str(self.backbone_name))
        if self.config is not None and not Path(self.config).is_file():
            raise MissingModelError(
                f"{self.config}: expected a config.json of {self.name}; got no file", hint="leave config out"
            )
        if self.is_transformer and importlib.util.find_spec("transformers") is None:
            raise MissingExtraError(
                f"expected the transformers package for {self.name}; got none", hint="install twinset[pretrained]"
            )

    def to_dict(self) -> dict[str, object]:
        """Plain JSON types; :meth:`from_dict` reads them back."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, object]) -> VisionDetectorSettings:
        """The settings that :meth:`to_dict` wrote; unknown keys are a ``TypeError``."""
        plain = {key: value for key, value in values.items() if key != "augmentation"}
        nested = values.get("augmentation", {})
        if not isinstance(nested, Mapping):
            raise TypeError(f"expected augmentation as a mapping; got {nested!r}")
        return VisionDetectorSettings(**plain, augmentation=SceneAugmentation(**nested))  # type: ignore[arg-type]


def weights_file(folder: str) -> Path:
    """The weights in a folder of transformers; pickled ones where there are only those, and the path itself if a file.

    >>> weights_file("here").name
    'model.safetensors'
    """
    path = Path(folder)
    if path.suffix in (".safetensors", ".bin", ".pt", ".pth", ".ckpt"):
        return path
    whole, pickled = path / "model.safetensors", path / "pytorch_model.bin"
    return pickled if pickled.is_file() and not whole.is_file() else whole
