"""How an edited sample remembers what it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from twinset.annotations import Annotation
from twinset.dataset import Origin, Sample
from twinset.images import Pixels
from twinset.randomness import Stream


def edited(
    sample: Sample,
    pixels: Pixels,
    *,
    method: str,
    rng: Stream,
    annotation: Annotation | None = None,
    extra_parents: Iterable[str] = (),
) -> Sample:
    """The sample with these pixels, labels kept unless ``annotation`` is given, and its parents recorded.

    A sample that has parents already hands those on, so that editors can be chained and every parent stays a
    sample of the dataset that the chain began with. The method of a synthetic sample is kept before ours
    (``diffusion+classical``). The recipe digest is filled in by the run that plans the edit.
    """
    parents = tuple(dict.fromkeys((*(sample.origin.parents or (sample.id,)), *extra_parents)))
    methods = "+".join(part for part in (sample.origin.method, method) if part)
    return replace(
        sample,
        image=pixels,
        path=None,
        sha256=None,
        annotation=annotation or sample.annotation,
        origin=Origin(methods, rng.seed, "", parents, sample.origin.licence),
    )
