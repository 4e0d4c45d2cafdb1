"""What a figure means, in one sentence for somebody who has never met it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A label and a plain explanation."""

    label: str
    meaning: str


_ENTRIES: Mapping[str, Entry] = {
    "frechet_distance": Entry(
        "Fréchet distance",
        "How far the two clouds of features lie apart in mean and shape. Compare it with the floor: "
        "what two halves of the real images score.",
    ),
    "kernel_distance": Entry(
        "Kernel distance (KID)", "Distance between the two sets, unbiased at small numbers; near 0 means alike."
    ),
    "precision": Entry("Precision", "Share of synthetic images that look like some real image."),
    "recall": Entry("Recall", "Share of real images that some synthetic image resembles: is all variety there?"),
    "density": Entry("Density", "How thickly real images surround the synthetic ones; about 1 when alike."),
    "coverage": Entry("Coverage", "Share of real images with a synthetic image close by; low means missing variety."),
    "detectability_accuracy": Entry(
        "Detection rate", "Share of images that a classifier rightly calls real or synthetic; 0.5 is guessing."
    ),
    "detectability_auc": Entry(
        "Detectability",
        "How well a classifier tells synthetic from real on images it has not seen: "
        "0.5 is guessing, 1 is always right.",
    ),
    "membership_auc": Entry(
        "Membership attack (AUC)",
        "How well an attacker who sees only the synthetic images can name the training images; 0.5 is guessing.",
    ),
    "copy_test_p_value": Entry(
        "Copy test, p value", "How easily chance alone would bring this many near hits; tiny means copying."
    ),
    "training_images_hit": Entry(
        "Training images hit", "Different training images that a synthetic image comes suspiciously near to."
    ),
    "held_out_images_hit": Entry(
        "Held-out images hit", "The same for real images that the generator never saw: what chance does."
    ),
    "copy_distance": Entry(
        "Distance to the nearest training image", "Pixels under flips and small shifts; near 0 is a copy."
    ),
    "copy_ratio": Entry(
        "Copy ratio", "Distance to the nearest training image over that to the next; near 0 is a copy."
    ),
    "distance_from_real": Entry(
        "Distance from real images", "How far an image lies from its real neighbours in feature space."
    ),
    "farthest_object": Entry(
        "Distance of the farthest object",
        "How far the object that is least like real ones of its class lies from these in feature space; 1 is usual.",
    ),
    "object_distance": Entry(
        "Distance of objects from real ones",
        "How far an object lies from real ones of its class in feature space; 1 is usual. Those beyond the cut were "
        "taken out.",
    ),
    "agreement": Entry(
        "Label agreement", "Share that a classifier ensemble trained on real images gives to the asked label."
    ),
    "nearest_record_ratio": Entry(
        "Nearest-record ratio",
        "How close synthetic images come to training images, against how close other real images come: "
        "about 1 is healthy, well below 1 means copying.",
    ),
    "nearest_record_share": Entry(
        "Unusually near images",
        "Share of synthetic images nearer to a training image than nearly all held-out real images are; "
        "the real-vs-real figure is what chance gives.",
    ),
    "frechet_infinity": Entry(
        "Fréchet distance at N = ∞", "What the Fréchet distance tends to with ever more images; 0 for equal laws."
    ),
    "cmmd": Entry(
        "CMMD", "Distance between the two sets by direction of features, unbiased; blind to loss of variety."
    ),
    "authenticity": Entry(
        "Authenticity",
        "Share of synthetic images that are farther from their nearest training image than that one is from its own "
        "neighbour; compare with what unseen real images score.",
    ),
    "detectability_auc_features": Entry("Detectability by features", ""),
    "detectability_auc_pixels": Entry("Detectability by pixels", "Local statistics of pixels: noise, edges, blocks."),
    "detectability_auc_spectrum": Entry("Detectability by spectrum", "Power by frequency: blur, upsampling, JPEG."),
    "detectability_auc_all": Entry(
        "Detectability by all together", "Features, pixels and spectrum; its p-value pays for the several tests."
    ),
    "structural_diversity_real": Entry("Structural diversity of real images", "1 − MS-SSIM of random pairs."),
    "structural_diversity_synthetic": Entry("Structural diversity of synthetic images", "1 − MS-SSIM of random pairs."),
    "structural_diversity_gap": Entry("Structural diversity, synthetic less real", "Below 0: less varied than real."),
    "perceptual_diversity_real": Entry("Perceptual diversity of real images", "Mean LPIPS of all pairs."),
    "perceptual_diversity_synthetic": Entry("Perceptual diversity of synthetic images", "Mean LPIPS of all pairs."),
    "perceptual_diversity_gap": Entry("Perceptual diversity, synthetic less real", "Below 0: less varied than real."),
    "psnr": Entry("PSNR of edits", "Edited image against the training image it was made from, in decibels."),
    "ssim": Entry("SSIM of edits", "Likeness in structure of an edited image and its training image; 1 is equal."),
    "ms_ssim": Entry("MS-SSIM of edits", "The same at several scales."),
    "inception_score": Entry(
        "Inception score", "How sure and how varied a classifier of photographs is; too low at small numbers."
    ),
    "inception_score_real": Entry("Inception score of the real images", ""),
    "spatial_frechet_distance": Entry(
        "Spatial Fréchet distance", "Fréchet distance of features that keep their place in the picture."
    ),
    "crop_kernel_distance": Entry("Kernel distance of objects", "Between crops around the objects of the two sets."),
    "crop_frechet_distance": Entry("Fréchet distance of objects", "Between crops around the objects of the two sets."),
    "cler": Entry(
        "Class-centred recognition",
        "Share of real images that lie nearest to the centre of synthetic images of their class.",
    ),
    "cler_real": Entry("Class-centred recognition, real centres", "The same with centres of real training images."),
    "cler_difference": Entry("Class-centred recognition, synthetic less real", ""),
    "clip_score": Entry("CLIP score", "How well images fit their captions, 2.5 · cosine; only for comparing."),
    "clip_cosine": Entry("CLIP cosine", "Cosine of image and caption."),
    "r_precision": Entry("R-precision", "Share of images whose own caption fits better than 99 others."),
}


VENDI = re.compile(r"vendi_(ratio_)?q([0-9.]+|inf)")


def _vendi(name: str) -> Entry | None:
    """Vendi scores carry their order in the name."""
    found = VENDI.fullmatch(name)
    if found is None:
        return None
    order = "∞" if found[2] == "inf" else found[2]
    if found[1]:
        return Entry(f"Vendi ratio, order {order}", "Variety of the synthetic over that of as many real images.")
    return Entry(f"Vendi score, order {order}", "How many different images the synthetic ones are worth.")


def entry_for(name: str) -> Entry:
    """Label and meaning of a score; any name that is not ours is its own label, a class in brackets stays as it is.

    >>> entry_for("frechet_distance").label, entry_for("my_density").label, entry_for("recall[my_cat]").label
    ('Fréchet distance', 'my density', 'Recall, my_cat')
    """
    base, bracket, rest = name.partition("[")
    if bracket and rest.endswith("]"):
        entry = entry_for(base)
        return Entry(f"{entry.label}, {rest[:-1]}", "")
    return _ENTRIES.get(name) or _vendi(name) or Entry(name.replace("_", " "), "")
