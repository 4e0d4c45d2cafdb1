"""A comparison of any two sets: read, looked at once, measured, shown."""

from __future__ import annotations

from twinset.pipeline.comparing.question import Question
from twinset.pipeline.comparing.whole import compare, fidelity_of

__all__ = ["Question", "compare", "fidelity_of"]
