"""twinset: the synthetic twin of a small real image dataset.

    import twinset

    digits = twinset.load("builtin:digits")
    parts = digits.split(rng=0)
    model = twinset.Diffusion(steps=500).fit(parts.train, rng=0)
    synthetic = model.sample(200, rng=1)
    aligned = twinset.align(synthetic, training=parts.train, holdout=parts.test, rng=2)
    scores = twinset.evaluate(aligned.kept, real=parts.test, training=parts.train, rng=3)
    aligned.kept.export("twin", format="imagefolder")

Names load when they are first used, so importing twinset costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "Annotation": "twinset.annotations",
    "CopyPaste": "twinset.generators.copypaste",
    "Dataset": "twinset.dataset",
    "Diffusion": "twinset.generators.diffusion",
    "Folder": "twinset.generators.folder",
    "GAN": "twinset.generators.gan",
    "Instances": "twinset.instances",
    "Interval": "twinset.scores",
    "MeanEmbedding": "twinset.generators.mean_embedding",
    "Origin": "twinset.dataset",
    "Privacy": "twinset.models.private.accounting",
    "SDEdit": "twinset.editing.sdedit",
    "Sample": "twinset.dataset",
    "Score": "twinset.scores",
    "SemanticMap": "twinset.semantic",
    "Slot": "twinset.stages",
    "Stream": "twinset.randomness",
    "TwinsetError": "twinset.errors",
    "align": "twinset.api",
    "audit": "twinset.api",
    "curate": "twinset.api",
    "check_metadata": "twinset.api",
    "compare": "twinset.api",
    "leaderboard": "twinset.api",
    "detect": "twinset.api",
    "detect_provenance": "twinset.api",
    "detect_watermark": "twinset.api",
    "evaluate": "twinset.api",
    "fit_classifier": "twinset.api",
    "fit_detector": "twinset.api",
    "frontier": "twinset.api",
    "infer_metadata": "twinset.api",
    "inspect": "twinset.api",
    "load": "twinset.api",
    "preview": "twinset.api",
    "redact": "twinset.api",
    "resume": "twinset.api",
    "run": "twinset.api",
    "scene": "twinset.api",
    "status": "twinset.api",
    "verify": "twinset.api",
}

__all__ = ["__version__", *sorted(_HOME)]

if TYPE_CHECKING:
    from twinset.annotations import Annotation as Annotation
    from twinset.api import align as align
    from twinset.api import audit as audit
    from twinset.api import check_metadata as check_metadata
    from twinset.api import compare as compare
    from twinset.api import curate as curate
    from twinset.api import detect as detect
    from twinset.api import detect_provenance as detect_provenance
    from twinset.api import detect_watermark as detect_watermark
    from twinset.api import evaluate as evaluate
    from twinset.api import fit_classifier as fit_classifier
    from twinset.api import fit_detector as fit_detector
    from twinset.api import frontier as frontier
    from twinset.api import infer_metadata as infer_metadata
    from twinset.api import inspect as inspect
    from twinset.api import leaderboard as leaderboard
    from twinset.api import load as load
    from twinset.api import preview as preview
    from twinset.api import redact as redact
    from twinset.api import resume as resume
    from twinset.api import run as run
    from twinset.api import scene as scene
    from twinset.api import status as status
    from twinset.api import verify as verify
    from twinset.dataset import Dataset as Dataset
    from twinset.dataset import Origin as Origin
    from twinset.dataset import Sample as Sample
    from twinset.editing.sdedit import SDEdit as SDEdit
    from twinset.errors import TwinsetError as TwinsetError
    from twinset.generators.copypaste import CopyPaste as CopyPaste
    from twinset.generators.diffusion import Diffusion as Diffusion
    from twinset.generators.folder import Folder as Folder
    from twinset.generators.gan import GAN as GAN
    from twinset.generators.mean_embedding import MeanEmbedding as MeanEmbedding
    from twinset.instances import Instances as Instances
    from twinset.models.private.accounting import Privacy as Privacy
    from twinset.randomness import Stream as Stream
    from twinset.scores import Interval as Interval
    from twinset.scores import Score as Score
    from twinset.semantic import SemanticMap as SemanticMap
    from twinset.stages import Slot as Slot


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'twinset' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
