"""What a figure means, in one sentence for somebody who has never met it."""

from __future__ import annotations

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
}


def entry_for(name: str) -> Entry:
    """Label and meaning of a score; any name that is not ours is its own label, a class in brackets stays as it is.

    >>> entry_for("frechet_distance").label, entry_for("my_density").label, entry_for("recall[my_cat]").label
    ('Fréchet distance', 'my density', 'Recall, my_cat')
    """
    base, bracket, rest = name.partition("[")
    if bracket and rest.endswith("]"):
        entry = entry_for(base)
        return Entry(f"{entry.label}, {rest[:-1]}", "")
    return _ENTRIES.get(name) or Entry(name.replace("_", " "), "")
