"""Where the filters of a run cut their scores, and what held-out real images score by them; kept for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from twinset.dataset import Dataset
from twinset.stages import Filter, Thresholded
from twinset.store import read_json, write_json


@dataclass(frozen=True, eq=False)
class Cut:
    """A score's threshold, and the scores (N,) of held-out real images; more than the threshold goes."""

    threshold: float
    real: NDArray[np.float64]

    @property
    def real_rejected(self) -> float | None:
        """Share of held-out real images that the filter would reject; None without any."""
        return float((self.real > self.threshold).mean()) if len(self.real) else None


def thresholds_path(folder: Path) -> Path:
    """Where a run keeps them."""
    return folder / "scores" / "thresholds.json"


def suffixes(filters: Sequence[Filter]) -> list[str]:
    """What is put behind the names of every filter's scores, so that several of one kind are told apart."""
    kinds = [type(each) for each in filters]
    numbers = [kinds[:place].count(kind) + 1 for place, kind in enumerate(kinds)]
    return [f"[filter {number}]" if number > 1 else "" for number in numbers]


def write_thresholds(folder: Path, filters: Sequence[Filter], holdout: Dataset) -> None:
    """Keeps the cuts of all filters that have any."""
    found: dict[str, object] = {}
    for each, suffix in zip(filters, suffixes(filters), strict=True):
        if not isinstance(each, Thresholded):
            continue
        judged = each.judge(holdout).scores if len(holdout) else {}
        for name, threshold in each.thresholds.items():
            found[f"{name}{suffix}"] = {
                "threshold": threshold,
                "real": [float(value) for value in judged.get(name, ())],
            }
    if found:
        write_json(thresholds_path(folder), found)


def read_thresholds(folder: Path) -> Mapping[str, Cut]:
    """The cuts of a run's filters by score; none of runs before they were kept."""
    if not thresholds_path(folder).exists():
        return {}
    stored = cast("dict[str, dict[str, object]]", read_json(thresholds_path(folder)))
    return {
        name: Cut(float(cast(float, one["threshold"])), np.array(one["real"], dtype=np.float64))
        for name, one in stored.items()
    }
