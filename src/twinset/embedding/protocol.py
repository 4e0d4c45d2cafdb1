"""How features were made, in words that stand beside every figure: two figures compare only where these agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from twinset import __version__
from twinset.images import ImageSpec
from twinset.scores import Score
from twinset.stages import Embedder

RESIZE = "bicubic, antialiased"
BY_NAME = "fixed by the extractor's name"
AS_THEY_CAME = "as they came"
PLAIN = "sample statistic"
ESTIMATOR_SETTINGS = ("estimator", "kernel", "k", "order", "classifier", "folds", "centres", "window", "scales")


def spec_for(embedder: Embedder, spec: ImageSpec) -> ImageSpec:
    """The size at which this extractor gets its pictures: its own side, squared and in colour, or ``spec``."""
    side = getattr(embedder, "side", None)
    return ImageSpec(side, side, 3) if isinstance(side, int) else spec


def protocol_of(embedder: Embedder, spec: ImageSpec) -> dict[str, str | int]:
    """Extractor, sha256 of its weights, size of the pictures that it is given where others get ``spec``, and dtype.

    An extractor without weights of its own is fixed by its name. A smaller or larger network resizes what it is given
    once more, by the same kernel.
    """
    given = spec_for(embedder, spec)
    return {
        "extractor": embedder.name,
        "weights_sha256": getattr(embedder, "sha256", "") or BY_NAME,
        "input": f"{given.width} x {given.height} x {given.channels}",
        "fit": given.fit,
        "resize": RESIZE,
        "dtype": getattr(embedder, "precision", "float32"),
    }


def pictures_protocol(spec: ImageSpec) -> dict[str, str | int]:
    """The same for figures that are computed from pictures themselves, taken to the size of ``spec``."""
    return {"input": f"{spec.width} x {spec.height} x {spec.channels}", "fit": spec.fit, "resize": RESIZE}


def stamped(
    scores: Sequence[Score],
    protocols: Mapping[str, Mapping[str, str | int]],
    *,
    seed: int,
    pictures: str = AS_THEY_CAME,
    version: str = __version__,
) -> list[Score]:
    """The scores with the protocol of their extractor, by its name; what a score already says of itself stays.

    Estimator, dtype of the statistics, seed and version stand beside all of them. ``pictures`` says what became of the
    real pictures before any extractor got them: a run compares at its own size, and what was made small stays blurred.
    """
    found = []
    for score in scores:
        own = dict(protocols.get(score.extractor or "", {}))
        if score.extractor:
            own["extractor"] = score.extractor
        if side := score.settings.get("crop_side"):
            own["input"] = f"crops of {side} x {side}"
        if "input" in {**own, **score.protocol}:
            own["pictures"] = pictures
        common: dict[str, str | int] = {
            "estimator": estimator_of(score),
            "statistics": str(score.settings.get("dtype", "float64")),
            "seed": seed,
            "version": version,
        }
        found.append(replace(score, protocol={**own, **score.protocol, **common}))
    return found


def estimator_of(score: Score) -> str:
    """What the settings of a score say of how it is estimated, in one line.

    >>> estimator_of(Score("precision", 0.5, True, {}, settings={"k": 5, "dimension": 64}))
    'k 5'
    """
    named = [(key, score.settings[key]) for key in ESTIMATOR_SETTINGS if key in score.settings]
    return ", ".join(str(value) if key == "estimator" else f"{key} {value}" for key, value in named) or PLAIN
