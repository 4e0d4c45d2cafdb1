"""Ratings of inferred values: kept whole in one file after every answer, and summed up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from twinset import documents
from twinset.errors import DataError
from twinset.locks import alone_at
from twinset.store import write_bytes

WORST, BEST = 0, 5


class Ratings:
    """Ratings 0…5 of each measure on each image; the file holds all that were given, whenever the process dies."""

    def __init__(self, path: Path, sha256: str, ratings: Mapping[str, Mapping[str, int]]) -> None:
        self.path = path
        self._sha256 = sha256
        self._ratings = {image: dict(given) for image, given in ratings.items()}

    @staticmethod
    def opened(path: Path, sha256: str) -> Ratings:
        """Those in a file, none where there is no file; :class:`DataError` for ratings of another inference."""
        if not path.exists():
            return Ratings(path, sha256, {})
        try:
            found = documents.RatingsDocument.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(f"{path}: expected ratings; got another kind of file", hint="choose --ratings") from error
        if found.inference_sha256 != sha256:
            raise DataError(
                f"{path}: expected ratings of this inference; got those of another one",
                hint="choose another --ratings, or move this file away",
            )
        return Ratings(path, sha256, found.ratings)

    def of(self, image: str) -> Mapping[str, int]:
        """Ratings of an image by measure; empty where it has none."""
        return self._ratings.get(image, {})

    def rate(self, image: str, given: Mapping[str, int]) -> None:
        """Keeps the ratings of an image, in place of earlier ones; none takes them away."""
        if not all(WORST <= value <= BEST for value in given.values()):
            raise ValueError(f"expected ratings {WORST}…{BEST}; got {dict(given)}")
        # Another process may rate the same inference: what it kept is not to be lost.
        with alone_at(self.path):
            changed = {**Ratings.opened(self.path, self._sha256)._ratings, image: dict(given)}
            if not given:
                del changed[image]
            document = documents.RatingsDocument(inference_sha256=self._sha256, ratings=changed)
            write_bytes(self.path, documents.to_json(document).encode())
        self._ratings = changed

    def __len__(self) -> int:
        return len(self._ratings)

    def summary(self, measures: list[str]) -> list[documents.RatedMeasure]:
        """Means with 95 % intervals."""
        return [rated(name, [given[name] for given in self._ratings.values() if name in given]) for name in measures]


def rated(measure: str, values: list[int]) -> documents.RatedMeasure:
    """The mean of ratings and its 95 % interval over images (Student's t), within 0…5.

    No interval for fewer than two ratings, nor for equal ones, which do not show how they vary.

    >>> one = rated("depth", [2, 4])
    >>> one.mean, one.low, one.high
    (3.0, 0.0, 5.0)
    """
    from scipy.stats import t

    count = len(values)
    mean = float(np.mean(values)) if count else None
    if mean is None or count < 2 or len(set(values)) == 1:
        return documents.RatedMeasure(measure=measure, images=count, mean=mean, low=None, high=None)
    half = float(t.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    low, high = max(float(WORST), mean - half), min(float(BEST), mean + half)
    return documents.RatedMeasure(measure=measure, images=count, mean=mean, low=low, high=high)
