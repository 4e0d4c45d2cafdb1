"""A classifier of whole pictures, trained on a dataset and kept: what can be released in place of the dataset."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from twinset import documents
from twinset.dataset import Dataset
from twinset.errors import DataError, RunFolderError, UsageError
from twinset.models.classifier import Classifier, ClassifierSettings, fit_classifier
from twinset.pipeline.folders import refuse_inside
from twinset.pipeline.image_sizes import choose_spec
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import check_way, load, source_of
from twinset.randomness import Stream
from twinset.recipe import ImagePart, expanded
from twinset.threads import torch_threads

SUFFIX = ".safetensors"


def fit_and_keep_classifier(
    source: str, *, out: Path, seed: int, on_bad_input: str = "refuse", listener: Listener
) -> documents.FitClassifierDocument:
    """Trains a classifier on a labelled dataset and keeps it in a new file; never over one that is there.

    :class:`DataError` for images without a class, or fewer than two classes.
    """
    began = time.monotonic()
    check_way(on_bad_input)
    place = _new_file(out)
    refuse_inside(place, source_of(source))
    dataset = load(source, on_bad_input=on_bad_input)
    _check_labelled(dataset, source)
    spec, text = choose_spec(ImagePart(), dataset)
    settings = ClassifierSettings()
    with torch_threads(1):
        fitted = fit_classifier(
            dataset.prepared(spec),
            dataset.class_ids,
            n_classes=len(dataset.classes),
            settings=settings,
            rng=Stream(seed).child("classifier"),
            progress=listener.stage("fit the classifier"),
        )
    replace(fitted, classes=tuple(dataset.classes)).save(place)
    return documents.FitClassifierDocument(
        source=source,
        classifier_file=str(out),
        n_images=len(dataset),
        classes=list(dataset.classes),
        image=text,
        steps=settings.steps,
        seed=seed,
        seconds=round(time.monotonic() - began, 3),
    )


def load_classifier(path: Path) -> Classifier:
    """A kept classifier; :class:`DataError` for what is none, :class:`RunFolderError` for a damaged file."""
    place = expanded(path)
    hint = "`twinset fit-classifier DATASET --out FILE` makes one"
    if not place.is_file():
        what = "a folder" if place.is_dir() else "no such file"
        raise DataError(f"{path}: expected a classifier; got {what}", hint=hint)
    try:
        return Classifier.load(place)
    except (ValueError, KeyError, RuntimeError) as error:
        text = str(error).splitlines()[0]
        raise DataError(f"{path}: expected a classifier of twinset; got {text}", hint=hint) from error


def _new_file(out: Path) -> Path:
    place = expanded(out)
    if place.exists():
        what = "a folder" if place.is_dir() else "one"
        raise RunFolderError(f"{place}: expected no file there; got {what}", hint="choose another --out")
    if place.suffix != SUFFIX:
        raise UsageError(f"expected --out NAME{SUFFIX}; got {place.name}", hint=f"--out {out.with_suffix(SUFFIX)}")
    return place


def _check_labelled(dataset: Dataset, source: str) -> None:
    without = int((dataset.class_ids < 0).sum())
    if not len(dataset) or without or len(dataset.classes) < 2:
        got = f"{without} of {len(dataset)} images without one, {len(dataset.classes)} classes"
        raise DataError(
            f"{source}: expected images of two classes or more, each with its class; got {got}",
            hint="put them into one folder for each class",
        )
