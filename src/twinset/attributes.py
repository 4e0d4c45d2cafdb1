"""Attributes of images (columns of a table, such as sex or site) that could name groups of them."""

from __future__ import annotations

import json
from collections import Counter

from twinset.dataset import Dataset

FEWEST_VALUES, MOST_VALUES = 2, 20
"""Values of an attribute that is taken for the name of a group."""


def grouping_attributes(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Images by value of every attribute that has 2 to 20 values, by name; a class by another name is none.

    Values count as text, those that an image does not have not at all.
    """
    counts: dict[str, Counter[str]] = {}
    classes: dict[str, set[tuple[str, int]]] = {}
    for text, class_id in zip(dataset.table.column("attributes").to_pylist(), dataset.class_ids, strict=True):
        for name, value in (json.loads(text) if text else {}).items():
            if value is not None:
                counts.setdefault(name, Counter())[str(value)] += 1
                classes.setdefault(name, set()).add((str(value), int(class_id)))
    return {
        name: dict(sorted(found.items()))
        for name, found in sorted(counts.items())
        if FEWEST_VALUES <= len(found) <= MOST_VALUES and not _is_class(classes[name], len(found))
    }


def _is_class(pairs: set[tuple[str, int]], values: int) -> bool:
    """Whether every value goes with one class and every class with one value."""
    return len(pairs) == values == len({class_id for _, class_id in pairs}) and -1 not in {c for _, c in pairs}
