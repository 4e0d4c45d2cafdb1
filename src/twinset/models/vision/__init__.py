"""Detectors and segmenters of torchvision and transformers, from scratch or from files on this machine."""

from twinset.models.vision.detector import VisionDetector
from twinset.models.vision.masks import SceneMasks, scene_masks
from twinset.models.vision.segmenter import VisionSegmenter, VisionSegmenterSettings, fit_vision_segmenter
from twinset.models.vision.settings import VisionDetectorSettings
from twinset.models.vision.training import fit_vision_detector

__all__ = [
    "SceneMasks",
    "VisionDetector",
    "VisionDetectorSettings",
    "VisionSegmenter",
    "VisionSegmenterSettings",
    "fit_vision_detector",
    "fit_vision_segmenter",
    "scene_masks",
]
