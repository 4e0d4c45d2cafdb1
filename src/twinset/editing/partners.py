"""Other training pictures for an edit that shows several at once: those that say the same kinds of things.

A picture whose objects nobody marked must not enter one whose objects are all marked, nor one of another class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample

Kind = tuple[int, bool, bool]
"""Class of the whole picture (−1: none), whether objects are told, whether there is a semantic map."""


@dataclass(frozen=True, eq=False)
class Partners:
    """Training pictures by what their annotations say."""

    training: Dataset
    rows: Mapping[Kind, tuple[int, ...]]

    @staticmethod
    def of(training: Dataset) -> Partners:
        """All pictures with any label; nothing is decoded."""
        rows: dict[Kind, list[int]] = {}
        placed = (training.table.column(name).is_valid().to_pylist() for name in ("instances", "semantic"))
        for row, kind in enumerate(zip(training.class_ids.tolist(), *placed, strict=True)):
            if kind != (-1, False, False):
                rows.setdefault(kind, []).append(row)
        if not rows:
            raise ValueError("expected at least one labelled training image to combine with; got none")
        return Partners(training, {kind: tuple(found) for kind, found in rows.items()})

    def draw(self, sample: Sample, count: int, draws: np.random.Generator) -> list[Sample]:
        """``count`` pictures of the sample's kind, different ones as far as there are; itself only where it is alone.

        ``ValueError`` for an unlabelled sample, and for a kind that no training picture is of.
        """
        found = self.rows.get(kind_of(sample.annotation), ())
        others = [row for row in found if self.training.ids[row] != sample.id] or list(found)
        if not others:
            raise ValueError(
                f"expected a sample labelled as some training image is; got {sample.id!r} with {sample.annotation}"
            )
        chosen = draws.permutation(len(others))[:count].tolist()
        chosen += draws.integers(len(others), size=count - len(chosen)).tolist()
        return [self.training[others[index]] for index in chosen]


def kind_of(annotation: Annotation | None) -> Kind:
    """What an annotation says."""
    if annotation is None:
        return (-1, False, False)
    class_id = -1 if annotation.class_id is None else annotation.class_id
    return (class_id, annotation.instances is not None, annotation.semantic is not None)
