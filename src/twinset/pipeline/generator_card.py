"""What the model card of a run's generator tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinset import __version__
from twinset import release as out
from twinset.images import ImageSpec
from twinset.models.gan.model import GanModel
from twinset.models.private.mean_embedding import MeanEmbeddingModel
from twinset.pipeline.manifest import sha256_of
from twinset.pipeline.measuring import Measured
from twinset.pipeline.opening import Run
from twinset.pipeline.planning import sources
from twinset.pipeline.released_models import load_generator


def parent_of(run: Run) -> out.Parent:
    """The real dataset of a run as a card names it, with what its owner wrote of licence and consent."""
    facts = run.real.facts
    return out.Parent(facts.name, facts.digest, len(run.real.training), facts.licence, run.recipe.data.consent)


def access_of(run: Run) -> str | None:
    """What the recipe says of who may have the release."""
    return run.recipe.release.access if run.recipe.release is not None else None


LOAD_GENERATOR = """\
from pathlib import Path

import twinset

generator = twinset.{method}().load(Path("{folder}"))  # the folder that this card lies in
pictures = generator.sample([0, 0, 1], rng=0)  # a dataset: one picture for each class id of the table above
"""


@dataclass(frozen=True)
class _Network:
    """What a generator's file tells: its network, training, pictures, account of privacy, and what its fit remarked."""

    about: str
    training: str
    spec: ImageSpec
    load: str
    account: str = ""
    remarks: tuple[str, ...] = ()

    @staticmethod
    def of(folder: Path, classes: tuple[str, ...]) -> _Network:
        """That of the generator in this folder."""
        model, name = load_generator(folder).model, folder.name
        if isinstance(model, MeanEmbeddingModel):
            about = f"class-conditional network of width {model.width}, fitted to a mean embedding (DP-MERF)"
            load = LOAD_GENERATOR.format(method="MeanEmbedding", folder=name)
            return _Network(about, "one release of a mean embedding", model.spec, load, " ".join(model.remarks))
        settings = model.settings
        if isinstance(model, GanModel):
            kind, method, account, remarks = "GAN", "GAN", model.facts.account, model.remarks(classes)
        else:
            kind, method = f"diffusion, {model.settings.network.family}", "Diffusion"
            account, remarks = model.account, model.remarks
        return _Network(
            f"class-conditional {kind} of width {settings.network.width}",
            f"{settings.training.steps} steps of {settings.training.batch} images",
            model.spec,
            LOAD_GENERATOR.format(method=method, folder=name),
            " ".join(remarks) if account is not None else "",
            () if account is not None else remarks,
        )


def generator_card(run: Run, measured: Measured, weights: Path, audit: out.AuditResult | None) -> out.ModelRelease:
    """All that the model card of the run's generator tells."""
    real = run.real
    network = _Network.of(weights.parent, real.dataset.classes)
    return out.ModelRelease(
        name=f"{real.facts.name}-twin generator",
        kind="generator",
        version=__version__,
        created=time.strftime("%Y-%m-%d"),
        file=weights.name,
        sha256=sha256_of(weights),
        about=network.about,
        takes=f"{network.spec.height} × {network.spec.width} × {network.spec.channels}",
        training=f"{network.training}; resolved recipe {run.recipe.digest()}, seed {run.recipe.seed}",
        load=network.load,
        parents=(parent_of(run),),
        classes=real.dataset.classes,
        figures=_figures(run, measured),
        no_figures="Not measured: the run measured no likeness (evaluate.fidelity is off).",
        audit=audit,
        account=network.account,
        limits=(*_model_limits(run), *network.remarks),
        access=access_of(run),
    )


def _figures(run: Run, measured: Measured) -> tuple[out.ModelFigure, ...]:
    """Likeness of what it made before filters, where it alone made images; else that of the dataset."""
    alone = len(sources(run.recipe)) == 1
    scores, of = measured.scores, "the accepted images of the run"
    if alone and measured.before:
        scores, of = measured.before, "all images that it made in the run, before filters"
    return tuple(
        out.ModelFigure(
            score.name,
            score.value,
            (score.interval.low, score.interval.high) if score.interval else None,
            f"{of} ({score.counts.get('synthetic', 0)}), against {score.counts.get('real', 0)} held-out real images",
        )
        for score in scores
        if score.value is not None and not score.name.endswith("]")
    )


def _model_limits(run: Run) -> Iterator[str]:
    yield "Its images are not filtered: they may hold near copies, odd ones and wrong labels, which a twin leaves out."
    if len(sources(run.recipe)) > 1:
        yield "The twin has images of other sources too, so its figures are not this model's alone."
