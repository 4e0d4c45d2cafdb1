"""A small U-Net that learns the class of every pixel from scratch in minutes on a CPU."""

from twinset.models.segmentation.augmentation import Flips, SceneAugmentation, scene_augmentation
from twinset.models.segmentation.scenes import PixelScenes
from twinset.models.segmentation.segmenter import Segmenter
from twinset.models.segmentation.settings import SegmenterSettings
from twinset.models.segmentation.training import fit_segmenter

__all__ = [
    "Flips",
    "PixelScenes",
    "SceneAugmentation",
    "Segmenter",
    "SegmenterSettings",
    "fit_segmenter",
    "scene_augmentation",
]
