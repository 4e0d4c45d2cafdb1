"""Text and image together: does a synthetic image show what its caption or class says; one metric a file.

Every metric is a function on arrays (features of one text–image encoder, detections, words), so that any encoder,
detector or captioner serves; :mod:`twinset.embedding.clip_text` gives features of captions from local CLIP weights.
"""

from __future__ import annotations

from twinset.evaluation.text_image.captions import bleu, cider
from twinset.evaluation.text_image.cler import cler
from twinset.evaluation.text_image.clip_score import clip_cosine, clip_score
from twinset.evaluation.text_image.r_precision import r_precision
from twinset.evaluation.text_image.semantic_object_accuracy import mentions, semantic_object_accuracy

__all__ = [
    "bleu",
    "cider",
    "cler",
    "clip_cosine",
    "clip_score",
    "mentions",
    "r_precision",
    "semantic_object_accuracy",
]
