"""The Python face: runs as the command line has them, and the stages as functions of datasets."""

from __future__ import annotations

from twinset.api.datasets import align, check_metadata, curate, evaluate, infer_metadata, inspect, load
from twinset.api.judging import (
    audit,
    compare,
    detect,
    detect_provenance,
    detect_watermark,
    fit_classifier,
    fit_detector,
    leaderboard,
)
from twinset.api.runs import frontier, preview, redact, resume, run, scene, status, verify

__all__ = [
    "align",
    "audit",
    "check_metadata",
    "compare",
    "curate",
    "detect",
    "detect_provenance",
    "detect_watermark",
    "evaluate",
    "fit_classifier",
    "fit_detector",
    "frontier",
    "infer_metadata",
    "inspect",
    "leaderboard",
    "load",
    "preview",
    "redact",
    "resume",
    "run",
    "scene",
    "status",
    "verify",
]
