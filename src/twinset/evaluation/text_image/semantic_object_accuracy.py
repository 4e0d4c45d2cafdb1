"""Semantic object accuracy (SOA): are the things that a caption mentions found in the image made from it.

Hinz, Heinrich and Wermter 2020 ("Semantic Object Accuracy for Generative Text-to-Image Synthesis", sec. 4): for every
class c, I_c are the images generated from captions that mention c. SOA-C = mean over classes of the share of I_c in
which a detector finds c; SOA-I = Σ_c (found in I_c) / Σ_c |I_c|, where frequent classes weigh more.

Captions mention a class by its words; a phrase that contains such a word and means another thing ("hot dog") is named
too, and stands for another class or for none (the paper excludes such captions by lists of its own). We differ in
leaving detector, classes and words to the user, where the paper has YOLOv3 and the 80 classes of COCO; the number
depends on all three. We leave out the paper's IoU of found objects, for which the true layout must be known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twinset.evaluation.predictions.share_scores import share_scores
from twinset.evaluation.predictions.simultaneous import Estimates, Joint, checked_families, one_hot
from twinset.evaluation.protocol import Families
from twinset.evaluation.text_image.words import words_of
from twinset.randomness import Stream
from twinset.scores import Score

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def mentions(captions: Sequence[str], words: Mapping[str, int | None]) -> Pairs:
    """Which images have a caption that mentions which class: image and class numbers, int64 (M,) each.

    ``words`` says which class a word or phrase stands for, None for a phrase that stands for none; compared without
    case and punctuation, whole words only (plurals are words of their own). Longer phrases come first and use up their
    words. A class is mentioned once per image. ``ValueError`` for a phrase without a word.

    >>> images, classes = mentions(["A dog eats a hot dog", "Hot dogs"], {"dog": 0, "hot dog": None, "hot dogs": 1})
    >>> list(zip(images.tolist(), classes.tolist()))
    [(0, 0), (1, 1)]
    """
    phrases: dict[tuple[str, ...], int | None] = {}
    for phrase, number in words.items():
        split = tuple(words_of(phrase))
        if not split:
            raise ValueError(f"expected a phrase with a word in it; got {phrase!r}")
        phrases[split] = number
    longest = max((len(phrase) for phrase in phrases), default=0)
    found = sorted(
        {
            (row, number)
            for row, caption in enumerate(captions)
            for number in _classes(words_of(caption), phrases, longest)
        }
    )
    table = np.array(found, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def semantic_object_accuracy(
    mentioned: Pairs,
    detected: NDArray[np.bool_],
    *,
    rng: Stream,
    class_names: Sequence[str] | None = None,
    families: Families | None = None,
    joint: Joint = "max_t",
) -> list[Score]:
    """``soa_c``, ``soa_i``, and ``soa[class]`` of every class, 0…1, higher is better.

    ``mentioned``: image and class numbers (M,) as :func:`mentions` gives them, no pair twice; ``detected`` bool (N, C):
    whether the detector found the class in the image. ``families`` (N,): which images belong together (those of one
    caption); mentions in one image always do. Classes that no caption mentions are left out of the mean. 95 %
    intervals: Wilson's, at as many trials as the images are worth; those of classes hold all at once. Undefined
    without a mention.

    >>> found = np.array([[True, False], [False, True], [True, True]])
    >>> pairs = np.array([0, 1, 2, 0]), np.array([0, 0, 0, 1])  # class 0 in images 0, 1, 2; class 1 in image 0
    >>> [round(score.value, 3) for score in semantic_object_accuracy(pairs, found, rng=Stream(0))]
    [0.333, 0.5, 0.667, 0.0]
    """
    images, classes = mentioned
    _check(images, classes, detected)
    n_images, n_classes = detected.shape
    belongs = np.arange(n_images) if checked_families(families, n_images) is None else np.asarray(families)
    right, family = detected[images, classes], belongs[images]
    each = Estimates.ratios(one_hot(classes, n_classes, where=right), one_hot(classes, n_classes), families=family)
    # One image mentions a class once: where families are single images, plain proportions.
    each = replace(each, grouped=len(np.unique(belongs)) < n_images)
    whole = Estimates.ratios(right[:, None].astype(np.float64), np.ones((len(right), 1)), families=family)
    counts = {"synthetic": len(np.unique(images)), "mentions": len(images)}
    per_class = [{"synthetic": int(count)} for count in np.bincount(classes, minlength=n_classes)]
    names = [f"soa[{name}]" for name in class_names or range(n_classes)]
    return [
        *share_scores(each.mean(), ["soa_c"], counts=[counts]),
        *share_scores(whole, ["soa_i"], counts=[counts]),
        *share_scores(each, names, counts=per_class, joint=joint, rng=rng),
    ]


def _classes(tokens: Sequence[str], phrases: Mapping[tuple[str, ...], int | None], longest: int) -> set[int]:
    """Classes that these words mention; at every place the longest phrase that fits."""
    found: set[int] = set()
    place = 0
    while place < len(tokens):
        fits = (n for n in range(longest, 0, -1) if tuple(tokens[place : place + n]) in phrases)
        length = next(fits, 1)
        number = phrases.get(tuple(tokens[place : place + length]))
        if number is not None:
            found.add(number)
        place += length
    return found


def _check(images: NDArray[np.int64], classes: NDArray[np.int64], detected: NDArray[np.bool_]) -> None:
    if detected.ndim != 2 or detected.dtype != np.bool_:
        raise ValueError(f"expected detected as bool (N, C); got {detected.dtype} {detected.shape}")
    if images.shape != classes.shape or images.ndim != 1:
        raise ValueError(f"expected as many images as classes (M,); got {images.shape} and {classes.shape}")
    for what, ids, count in (("image", images, detected.shape[0]), ("class", classes, detected.shape[1])):
        if len(ids) and (ids.min() < 0 or ids.max() >= count):
            raise ValueError(f"expected {what} numbers 0…{count - 1}; got {ids.min()}…{ids.max()}")
    if len(np.unique(np.stack([images, classes]), axis=1).T) < len(images):
        raise ValueError("expected every pair of image and class once; got one twice")
