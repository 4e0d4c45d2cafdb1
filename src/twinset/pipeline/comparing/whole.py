"""Judges synthetic images against real ones, whoever made them: no run folder, no recipe."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinset import __version__, documents
from twinset.copytest import Known
from twinset.dataset import Dataset
from twinset.embedding.protocol import protocol_of, stamped
from twinset.embedding.random_convolution import RandomConvolution
from twinset.errors import DataError, UsageError
from twinset.evaluation import ByClass, fidelity
from twinset.evaluation.explain import diversity_alarms
from twinset.images import ImageSpec
from twinset.pipeline.comparing.asking import Asked, matched_classes
from twinset.pipeline.comparing.looking import Seen, features_cache, look
from twinset.pipeline.comparing.metrics import MEASURES, Loaded, loaded, on_device, undefined
from twinset.pipeline.comparing.pages import Found, Side, document_of, page_of, place_for
from twinset.pipeline.comparing.question import Question, embedder_named
from twinset.pipeline.comparing.sides import (
    Sides,
    check_finite,
    check_not_empty,
    datasets,
    digest_of,
    read_features,
    sides_of,
)
from twinset.pipeline.comparing.sources import Sources
from twinset.pipeline.comparing.utility import measured_utility
from twinset.pipeline.explaining import Explanation, Training, explain
from twinset.pipeline.image_sizes import choose_spec
from twinset.pipeline.reporting import Listener, Quiet
from twinset.pipeline.resolving import Machine
from twinset.privacy.gate import GateResult, copy_gate
from twinset.privacy.lineage import parent_rows
from twinset.randomness import Stream
from twinset.recipe import ImagePart
from twinset.scores import Score
from twinset.stages import Embedder
from twinset.store import write_bytes
from twinset.threads import available_cores, torch_threads

GIVEN = "given features"
OF_TRAINING: Mapping[str, str] = {"nearest_record": "nearest", "authenticity": "authenticity"}
"""Metrics that need training images, by how their scores are called."""

AS_GIVEN: Mapping[str, str | int] = {"extractor": GIVEN, "resize": "the caller's"}


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that the one pass gave: the sides, their extractor, and the measures with theirs.

    ``size`` says, for people, at which size ``spec`` compares.
    """

    sides: Sides
    embedder: Embedder
    measures: Loaded
    spec: ImageSpec
    size: str
    device: str

    @property
    def protocols(self) -> dict[str, dict[str, str | int]]:
        """How features were made, by the extractor's name."""
        used = [self.embedder, *(each for each in self.measures.extractors.values() if each is not None)]
        return {each.name: protocol_of(each, self.spec) for each in used}


def compare(
    sources: Sources,
    *,
    question: Question,
    report: Path | None,
    workers: int | None,
    listener: Listener,
) -> documents.CompareDocument:
    """The comparison that a checked question asks for, as a document; ``report`` also writes a page."""
    began = time.monotonic()
    embedder_named(question.extractor)
    place = place_for(report) if report is not None else None
    if sources.are_features:
        found = _of_features(sources, question)
    else:
        explained = report is not None or question.asks_for("all")
        found = _of_pictures(sources, question, workers or available_cores(), listener, explained=explained)
    document = document_of(found, sources, report, seconds=time.monotonic() - began)
    if place is not None:
        write_bytes(place, page_of(found, sources.command(question)).encode())
    return document


def fidelity_of(
    real: Dataset,
    synthetic: Dataset,
    *,
    training: Dataset | None,
    question: Question,
    rng: Stream,
) -> list[Score]:
    """The scores of a comparison of datasets, and nothing else."""
    check_not_empty(real, synthetic)
    with tempfile.TemporaryDirectory(prefix="twinset-compare-") as folder:
        scratch = Path(folder)
        prepared = _prepared(real, synthetic, training, question, scratch=scratch, rng=rng, listener=Quiet())
        return _scores(prepared, question, rng=rng)


def _of_pictures(sources: Sources, question: Question, workers: int, listener: Listener, *, explained: bool) -> Found:
    rng = Stream(question.seed).child("compare")
    held, made, shown = datasets(sources, utility=question.utility, on_bad_input=question.on_bad_input)
    with tempfile.TemporaryDirectory(prefix="twinset-compare-") as folder:
        scratch = Path(folder)
        prepared = _prepared(held, made, shown, question, scratch=scratch, rng=rng, listener=listener)
        sides = prepared.sides
        listener.stage("fidelity")
        scores = _scores(prepared, question, rng=rng)
        gate = _gate(sides)
        measured = None
        if question.utility and sides.shown is not None:
            measured = measured_utility(
                *(each.dataset for each in (sides.held, sides.made, sides.shown)),
                gate=gate,
                spec=prepared.spec,
                seed=question.seed,
                seconds=question.utility_seconds,
                workers=workers,
                listener=listener,
            )
        # Not those of single classes: over many classes some are raised by chance.
        alarms = tuple(alarm.sentence for alarm in diversity_alarms(scores) if not alarm.class_name)
        explanation = (
            _explanation(prepared, scores, rng=rng.child("explanation"), listener=listener) if explained else None
        )
        return Found(
            real=Side(sources.real, sides.held.dataset),
            synthetic=Side(sources.synthetic, sides.made.dataset),
            training=sides.shown.dataset if sides.shown is not None else None,
            scores=tuple(scores),
            gate=gate,
            measured=measured,
            size=prepared.size,
            protocol=_protocol(
                protocol_of(prepared.embedder, prepared.spec), question, sides.held.digest, sides.made.digest
            ),
            warnings=(*sides.warnings, *_no_classes(sides, question), *alarms),
            explanation=explanation,
        )


def _explanation(prepared: Prepared, scores: Sequence[Score], *, rng: Stream, listener: Listener) -> Explanation:
    """What lies behind the figures; pairs by features of an extractor that saw none of the training images."""
    listener.stage("explanation")
    sides, name = prepared.sides, prepared.embedder.name
    training = None
    if sides.shown is not None and not prepared.embedder.fitted_on:
        training = Training(sides.shown.dataset, sides.shown.features[name])
    elif sides.shown is not None:
        fixed = RandomConvolution().name
        shown, made, held = (each.features[fixed] for each in (sides.shown, sides.made, sides.held))
        training = Training(sides.shown.dataset, shown, made, held, fixed)
    with torch_threads(1):
        return explain(
            sides.held.dataset,
            sides.made.dataset,
            features=(sides.held.features[name], sides.made.features[name]),
            extractor=name,
            rng=rng,
            scores=scores,
            training=training,
            families=sides.families,
        )


def _of_features(sources: Sources, question: Question) -> Found:
    """What can be said of features alone: nothing of copies, pictures or utility."""
    if question.utility or question.by is not None:
        raise UsageError(
            "expected pictures with --utility or --by; got features", hint="features have neither labels nor pixels"
        )
    if question.extractor != Question().extractor:
        raise UsageError(
            f"expected pictures with --extractor; got features, of which {question.extractor} extracts nothing",
            hint="leave out --extractor",
        )
    held, made = read_features(sources.real), read_features(sources.synthetic)
    shown = read_features(sources.train) if sources.train is not None else None
    if len({array.shape[1] for array in (held, made, shown) if array is not None}) > 1:
        raise DataError(
            f"expected features of one width; got {held.shape[1]} and {made.shape[1]}", hint="use one extractor for all"
        )
    for name, array in ((sources.real, held), (sources.synthetic, made), (sources.train, shown)):
        if array is not None:
            check_finite(str(name), array)
    rng = Stream(question.seed).child("compare")
    with torch_threads(1):
        scores = fidelity(
            held,
            made,
            extractor=GIVEN,
            rng=rng.child("fidelity"),
            train=shown,
            holdout=held if shown is not None else None,
            metrics=question.feature_metrics,
        )
    if shown is None:
        scores = without_training(scores, question)
    counts = {"real": len(held), "synthetic": len(made)}
    for name in question.names:
        if name in MEASURES and question.asks_for(name):
            scores += undefined(name, counts, "it needs pictures; got features alone")
    return Found(
        real=Side(sources.real, None, len(held)),
        synthetic=Side(sources.synthetic, None, len(made)),
        training=None,
        scores=tuple(stamped(scores, {GIVEN: AS_GIVEN}, seed=question.seed)),
        gate=None,
        measured=None,
        size=f"features of {held.shape[1]} numbers",
        protocol=_protocol(AS_GIVEN, question, digest_of(held), digest_of(made)),
        warnings=("features alone: neither copies nor utility can be measured",),
    )


def _prepared(
    held: Dataset,
    made: Dataset,
    shown: Dataset | None,
    question: Question,
    *,
    scratch: Path,
    rng: Stream,
    listener: Listener,
) -> Prepared:
    """Extractors loaded, every picture looked at once, and real images that are training images left out."""
    method = embedder_named(question.extractor)
    spec, size = choose_spec(ImagePart(), held)
    device = Machine.of(workers=None, device=question.device).device
    with torch_threads(1):
        fitted = on_device(
            method.fit(shown if shown is not None else held, spec=spec, rng=rng.child("embedder")), device
        )
        measures = loaded(
            question.names,
            nothing=held.take([]),
            spec=spec,
            rng=rng.child("extractor"),
            device=device,
            clip=question.path_of("clip"),
            inception=question.path_of("inception"),
        )
        fixed = (RandomConvolution(),) if fitted.fitted_on else ()
        others = measures.extractors.values()
        embedders = list({each.name: each for each in (fitted, *fixed, *others) if each is not None}.values())
        progress, cache = listener.stage("looking at pictures"), features_cache(listener)

        def seen(dataset: Dataset, name: str) -> Seen:
            return look(
                dataset,
                embedders,
                spec=spec,
                scratch=scratch,
                cache=cache,
                progress=progress,
                name=name,
                pixels=shown is not None,
            )

        found = sides_of(
            seen(held, "real"), seen(made, "synthetic"), seen(shown, "training") if shown is not None else None
        )
    return Prepared(found, fitted, measures, spec, size, device)


def _scores(prepared: Prepared, question: Question, *, rng: Stream) -> list[Score]:
    """Every metric that is asked for; those on features first, the undefined say why."""
    sides, embedder = prepared.sides, prepared.embedder
    name, saw = embedder.name, bool(embedder.fitted_on)
    asked = Asked(sides.held, sides.made, sides.shown, embedder, sides.families, rng, prepared.device)
    exposed = sides.shown.features[name] if sides.shown is not None and not saw else None
    labels = asked.labels if question.by == "class" else None
    by_class = None
    if labels is not None:
        by_class = ByClass(sides.held.dataset.classes, *labels, question.class_metrics)
    with torch_threads(1):
        scores = fidelity(
            sides.held.features[name],
            sides.made.features[name],
            extractor=name,
            rng=rng.child("fidelity"),
            train=exposed,
            holdout=sides.held.features[name] if exposed is not None else None,
            extractor_saw_real=saw,
            real_families=sides.families,
            by_class=by_class,
            metrics=question.feature_metrics,
        )
        if exposed is None:
            scores = without_training(scores, question)
        scores += prepared.measures.scores(question.names, asked)
    return stamped(scores, prepared.protocols, seed=question.seed)


def _no_classes(sides: Sides, question: Question) -> tuple[str, ...]:
    held, made = sides.held.dataset, sides.made.dataset
    if question.by is None or ((held.class_ids >= 0).any() and (matched_classes(made, held.classes) >= 0).any()):
        return ()
    return ("not by class: the images of both sets have no class of their own of equal name",)


def without_training(scores: Sequence[Score], question: Question) -> list[Score]:
    """The scores without those that ask for training images, where nobody gave any nor named the metric."""
    unasked = tuple(start for start, name in OF_TRAINING.items() if not question.asks_for(name))
    return [score for score in scores if not score.name.startswith(unasked)]


def _gate(sides: Sides) -> GateResult | None:
    """The copy gate on images that somebody made from the exposed ones; None without those."""
    if sides.shown is None:
        return None
    held, made, shown = sides.held.dataset, sides.made.dataset, sides.shown.dataset
    pixels = [each.pixels for each in (sides.made, sides.shown, sides.held) if each.pixels is not None]
    assert len(pixels) == 3
    labelled = bool((shown.class_ids >= 0).all() and (held.class_ids >= 0).all() and shown.classes == held.classes)
    return copy_gate(
        candidates=pixels[0],
        accepted=pixels[0],
        training=pixels[1],
        holdout=pixels[2],
        of_training=Known(classes=shown.class_ids if labelled else None),
        of_holdout=Known(classes=held.class_ids if labelled else None),
        parents=parent_rows(made, shown),
    )


def _protocol(
    extraction: Mapping[str, str | int], question: Question, real: str, synthetic: str
) -> dict[str, str | int]:
    """What two comparisons must share for their numbers to be compared, and what was compared."""
    return {
        **extraction,
        "seed": question.seed,
        "version": __version__,
        "real_digest": real,
        "synthetic_digest": synthetic,
    }
