"""Everything that a comparison can be asked by name: metrics on one extractor's features, and those that need more.

What cannot be measured here (weights that are not on the machine, pictures without captions) becomes an undefined
score that says what is missing; the rest is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twinset.dataset import Dataset
from twinset.embedding.embedder import EmbedderMethod
from twinset.embedding.foreign_embedder import ForeignEmbedder
from twinset.errors import MissingExtraError, MissingModelError, TwinsetError
from twinset.images import ImageSpec
from twinset.pipeline.comparing.asking import Asked, Measure
from twinset.pipeline.comparing.of_networks import Inception, Perceptual, Spatial, Text
from twinset.pipeline.comparing.of_pictures import ClassCentres, Edits, Objects, Pictures, Structure
from twinset.randomness import Stream
from twinset.scores import Score
from twinset.stages import Embedder

MEASURES: Mapping[str, Measure] = {
    "pictures": Pictures(),
    "structure": Structure(),
    "edits": Edits(),
    "perceptual": Perceptual(),
    "inception": Inception(),
    "spatial": Spatial(),
    "objects": Objects(),
    "cler": ClassCentres(),
    "text": Text(),
}
"""Every name of ``--metrics`` beyond those of :data:`~twinset.evaluation.FEATURE_METRICS`;
:data:`twinset.metric_names.BEYOND_FEATURES` has the names alone."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """Of the measures that were asked for: the extractor that each reads (None: none), and why others cannot be had.

    ``clip`` is where the user keeps the weights of CLIP, if he said so.
    """

    extractors: Mapping[str, Embedder | None]
    missing: Mapping[str, str]
    clip: str | None = None

    def scores(self, names: Sequence[str], asked: Asked) -> list[Score]:
        """The scores of those of ``names`` that are measures, in order; undefined ones say why."""
        found: list[Score] = []
        for name in names:
            if name in self.missing:
                found += undefined(name, asked.counts, self.missing[name])
            elif name in self.extractors:
                extractor = self.extractors[name]
                named = extractor.name if extractor is not None else None
                found += measured(name, asked, extractor=named, clip=self.clip)
        return found


def loaded(
    names: Sequence[str],
    *,
    nothing: Dataset,
    spec: ImageSpec,
    rng: Stream,
    device: str,
    clip: str | None = None,
    inception: str | None = None,
) -> Loaded:
    """The measures among ``names`` with their networks, on ``device``; ``nothing`` is a dataset without images."""
    ready, missing = available(names, clip=clip, inception=inception)
    extractors: dict[str, Embedder | None] = {}
    for name, needed in ready.items():
        try:
            extractors[name] = None if needed is None else on_device(needed.fit(nothing, spec=spec, rng=rng), device)
        except MissingModelError as error:
            missing[name] = reason(error)
    return Loaded(extractors, missing, clip)


def on_device(embedder: Embedder, device: str) -> Embedder:
    """A network of others on this device; extractors of ours are small and stay on the processor, exact to the bit."""
    return embedder.on(device) if isinstance(embedder, ForeignEmbedder) else embedder


def available(
    names: Sequence[str], *, clip: str | None = None, inception: str | None = None
) -> tuple[dict[str, EmbedderMethod | None], dict[str, str]]:
    """Of the named measures, what each needs extracted; and why the others cannot be measured on this machine.

    ``clip`` and ``inception`` are paths of weights that the user gave.
    """
    given: dict[str, Measure] = {
        "text": Text(clip),
        "inception": Inception(inception),
        "spatial": Spatial(inception),
    }
    ready: dict[str, EmbedderMethod | None] = {}
    missing: dict[str, str] = {}
    for name in names:
        if name not in MEASURES:
            continue
        try:
            ready[name] = given.get(name, MEASURES[name]).extractor()
        except (MissingModelError, MissingExtraError) as error:
            missing[name] = reason(error)
    return ready, missing


def reason(error: TwinsetError) -> str:
    """Why something cannot be measured, in one line."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def measured(name: str, asked: Asked, *, extractor: str | None, clip: str | None = None) -> list[Score]:
    """The scores of a measure; weights that turn out damaged leave it undefined."""
    try:
        return list((Text(clip) if name == "text" else MEASURES[name]).measure(asked, extractor=extractor))
    except (MissingModelError, MissingExtraError) as error:
        return undefined(name, asked.counts, reason(error))


def undefined(name: str, counts: Mapping[str, int], reason: str) -> list[Score]:
    """The scores of a measure that cannot be asked here."""
    return [Score(each, None, None, dict(counts), undefined_because=reason) for each in MEASURES[name].scores]
