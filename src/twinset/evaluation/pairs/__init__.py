"""Metrics on pairs of pictures, and the diversity of a set by its pairs: one metric a file."""

from __future__ import annotations

from twinset.evaluation.pairs.diversity import Classes
from twinset.evaluation.pairs.lpips import Lpips, PerceptualNetwork
from twinset.evaluation.pairs.ms_ssim import MultiScaleSimilarity, ms_ssim, ms_ssim_values, structural_diversity
from twinset.evaluation.pairs.paired import PairMetric, Pictures
from twinset.evaluation.pairs.perceptual import (
    PerceptualDistance,
    lpips,
    lpips_values,
    perceptual_diversity,
    perceptual_vectors,
)
from twinset.evaluation.pairs.psnr import PeakSignalToNoise, psnr, psnr_values
from twinset.evaluation.pairs.ssim import StructuralSimilarity, ssim, ssim_values

__all__ = [
    "Classes",
    "Lpips",
    "MultiScaleSimilarity",
    "PairMetric",
    "PeakSignalToNoise",
    "PerceptualDistance",
    "PerceptualNetwork",
    "Pictures",
    "StructuralSimilarity",
    "lpips",
    "lpips_values",
    "ms_ssim",
    "ms_ssim_values",
    "perceptual_diversity",
    "perceptual_vectors",
    "psnr",
    "psnr_values",
    "ssim",
    "ssim_values",
    "structural_diversity",
]
