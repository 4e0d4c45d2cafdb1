"""A small dense centre/box detector that learns from scratch in minutes on a CPU."""

from twinset.models.detection.augmentation import SceneAugmentation, scene_augmentation
from twinset.models.detection.detector import Detector
from twinset.models.detection.scenes import Scenes
from twinset.models.detection.settings import DetectorSettings, NetworkSize, network_size, stride_for
from twinset.models.detection.training import fit_detector, step_seconds

__all__ = [
    "Detector",
    "DetectorSettings",
    "NetworkSize",
    "SceneAugmentation",
    "Scenes",
    "fit_detector",
    "network_size",
    "scene_augmentation",
    "step_seconds",
    "stride_for",
]
