"""Runs the stages in order and owns every loop between them; the command line and the Python face call this.

Names load when they are first used: to inspect or convert a dataset takes no network, and none is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinset.pipeline.checking import dry_run, status, verify
    from twinset.pipeline.classifying import fit_and_keep_classifier
    from twinset.pipeline.comparing import compare
    from twinset.pipeline.detecting import detect
    from twinset.pipeline.detecting_marks import detect_provenance, detect_watermark
    from twinset.pipeline.detector_fitting import fit_and_keep
    from twinset.pipeline.frontier.study import frontier_plan, frontier_study
    from twinset.pipeline.inference_files import infer_to_file
    from twinset.pipeline.previewing import preview, scene
    from twinset.pipeline.rating import check_metadata
    from twinset.pipeline.redacting import redact
    from twinset.pipeline.releases import audit
    from twinset.pipeline.running import evaluate, exit_code, resume, run
    from twinset.pipeline.standing import leaderboard
    from twinset.pipeline.tools import convert, doctor, init, inspect, load, plugins

__all__ = [
    "audit",
    "check_metadata",
    "compare",
    "convert",
    "detect",
    "detect_provenance",
    "detect_watermark",
    "doctor",
    "dry_run",
    "evaluate",
    "exit_code",
    "fit_and_keep",
    "fit_and_keep_classifier",
    "frontier_plan",
    "frontier_study",
    "infer_to_file",
    "init",
    "inspect",
    "leaderboard",
    "load",
    "plugins",
    "preview",
    "redact",
    "resume",
    "run",
    "scene",
    "status",
    "verify",
]

_HOME = {
    **dict.fromkeys(("dry_run", "status", "verify"), "checking"),
    "audit": "releases",
    "check_metadata": "rating",
    "compare": "comparing",
    "fit_and_keep": "detector_fitting",
    "fit_and_keep_classifier": "classifying",
    **dict.fromkeys(("frontier_plan", "frontier_study"), "frontier.study"),
    "infer_to_file": "inference_files",
    "leaderboard": "standing",
    "redact": "redacting",
    "detect": "detecting",
    **dict.fromkeys(("detect_provenance", "detect_watermark"), "detecting_marks"),
    **dict.fromkeys(("preview", "scene"), "previewing"),
    **dict.fromkeys(("evaluate", "exit_code", "resume", "run"), "running"),
    **dict.fromkeys(("convert", "doctor", "init", "inspect", "load", "plugins"), "tools"),
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'twinset.pipeline' has no attribute {name!r}")
    return getattr(importlib.import_module(f"twinset.pipeline.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
