"""Measures a finished dataset: copy gate, fidelity, utility, verdict. The trainings are cached."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np

from twinset import methods
from twinset.copytest import Known
from twinset.dataset import Dataset
from twinset.downstream import (
    CellResult,
    Utility,
    UtilityData,
    UtilityPlan,
    Verdict,
    decide,
    run_cell,
    summarise,
    unbalanced,
)
from twinset.downstream.arms import Cell, StudySettings
from twinset.downstream.cells import committed, study_digest
from twinset.downstream.placed_scores import PlacedStudy
from twinset.embedding.embedder import EmbedderMethod, embed_dataset
from twinset.embedding.random_convolution import RandomConvolution
from twinset.embedding.self_trained import SelfTrained, SelfTrainedEmbedder
from twinset.evaluation import ByClass, fidelity
from twinset.evaluation.cost import Cost, Prices, cost
from twinset.executors.local import LocalProcesses
from twinset.images import ImageSpec
from twinset.models.classifier import ClassifierSettings
from twinset.pipeline import placed
from twinset.pipeline.explaining import Explanation, explanation_of
from twinset.pipeline.making import candidates
from twinset.pipeline.metadata import Metadata, metadata_of
from twinset.pipeline.opening import Run
from twinset.pipeline.real import RealData
from twinset.pipeline.reporting import Listener
from twinset.pipeline.sample_study import samples_of
from twinset.pipeline.samples import Samples
from twinset.privacy.gate import GateResult, MadeBy, copy_gate
from twinset.privacy.lineage import parent_rows
from twinset.randomness import Stream
from twinset.recipe import Recipe, UtilityPart
from twinset.scores import Score
from twinset.stages import Embedder
from twinset.store import ShardStore, write_json
from twinset.threads import torch_threads

FEWEST_FOR_FIDELITY = 10


@dataclass(frozen=True, eq=False)
class Measured:
    """All that is known of a finished dataset. ``before`` are fidelity scores of all candidates."""

    accepted: Dataset
    digest: str
    gate: GateResult
    scores: tuple[Score, ...]
    before: tuple[Score, ...]
    utility: Utility | None
    plan: UtilityPlan[StudySettings] | None
    verdict: Verdict
    features: Features | None
    metadata: Metadata | None = None
    samples: Samples | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, eq=False)
class Features:
    """Feature vectors of one embedder: training (N, D), held out (H, D), accepted (M, D).

    ``saw_training`` says that the embedder was trained on the training images.
    """

    extractor: str
    training: np.ndarray
    holdout: np.ndarray
    accepted: np.ndarray
    saw_training: bool = False


def measure(run: Run, *, again: bool = False) -> Measured:
    """Everything that the report says about the accepted images of a run."""
    store = ShardStore(run.folder)
    classes = run.real.dataset.classes
    accepted, everything = store.accepted(classes), candidates(run.folder, classes)
    digest = accepted.digest()
    with run.timings.stage("gate"), torch_threads(1):
        run.listener.stage("copy gate")
        gate = gate_of(accepted, everything, run.real, run.recipe)
    with run.timings.stage("fidelity"), torch_threads(1):
        run.listener.stage("fidelity")
        scores, before, features = _fidelity(run, accepted, everything)
    with run.timings.stage("explanation"), torch_threads(1):
        explained = explanation_of(run, accepted, features, scores)
    with run.timings.stage("metadata"):
        described = metadata_of(run, accepted, everything)
    with run.timings.stage("utility"):
        utility, plan, found = _utility(run, accepted, again=again)
    with run.timings.stage("samples"), torch_threads(1):
        samples = samples_of(run, features, found, utility, described)
    failure = "; ".join(gate.reasons) if run.recipe.gate.copies == "block" and not gate.passed else ""
    if utility is None:
        verdict = _without_utility(failure, accepted)
    else:
        verdict = decide(utility, gate_failure=failure)
    return Measured(
        accepted, digest, gate, scores, before, utility, plan, verdict, features, described, samples, explained
    )


def cost_of(run: Run, accepted: Dataset) -> Cost:
    """What the run took so far, over all its sittings, at the prices of its recipe."""
    part = run.recipe.evaluate.cost
    return cost(
        run.timings.read(),
        accepted=len(accepted),
        prices=Prices(part.price_per_hour, part.price_per_label) if part is not None else None,
        kwh=run.timings.energy(),
    )


def _without_utility(failure: str, accepted: Dataset) -> Verdict:
    if failure:
        return Verdict("blocked_by_gate", f"Do not release it: {failure}.", None)
    if not len(accepted):
        return Verdict("do_not_use", "Do not use it: no synthetic image passed alignment.", None)
    return Verdict("no_measurable_difference", "Utility was not measured: evaluate.utility is off.", None)


def gate_of(accepted: Dataset, everything: Dataset, real: RealData, recipe: Recipe) -> GateResult:
    """The copy gate on what would be released and on everything that was made."""
    if recipe.gate.copies == "off":
        return GateResult.skipped()
    training, holdout = real.training, real.holdout
    labelled = real.task == "classification"
    return copy_gate(
        candidates=everything.prepared(real.spec),
        accepted=accepted.prepared(real.spec),
        training=training.prepared(real.spec),
        holdout=holdout.prepared(real.spec),
        of_training=Known(training.class_ids if labelled else None, real.part_families("train")),
        of_holdout=Known(holdout.class_ids if labelled else None, real.part_families("validation", "test")),
        parents=parent_rows(accepted, training),
        made_by=_made_by(recipe),
        alpha=recipe.gate.alpha,
    )


def _made_by(recipe: Recipe) -> MadeBy:
    """How the images that record training images as parents came from those."""
    if any(part.use == "copypaste" for part in recipe.generators):
        return "edited or pasted" if recipe.edit else "pasted"
    return "edited"


def fitted_embedder(part_use: str, settings: dict[str, object], real: RealData, folder: Path, rng: Stream) -> Embedder:
    """The embedder of a recipe; a self-trained one is kept in the run folder."""
    method = methods.build("embedders", part_use, settings, where="evaluate.embedder")
    if isinstance(method, SelfTrained):
        if not (folder / "self-trained.safetensors").exists():
            folder.mkdir(parents=True, exist_ok=True)
            method.fit(real.training, spec=real.spec, rng=rng).save(folder)
        return SelfTrainedEmbedder.load(folder)
    return cast(EmbedderMethod, method).fit(real.training, spec=real.spec, rng=rng)


def _fidelity(
    run: Run, accepted: Dataset, everything: Dataset
) -> tuple[tuple[Score, ...], tuple[Score, ...], Features | None]:
    if not run.recipe.evaluate.fidelity or len(accepted) < FEWEST_FOR_FIDELITY:
        return (), (), None
    part = run.recipe.evaluate.embedder
    rng = run.stream.child("fidelity")
    embedder = fitted_embedder(part.use, part.settings, run.real, run.folder / "evaluation" / "embedder", rng)
    spec, real = run.real.spec, run.real

    def features(dataset: Dataset, by: Embedder = embedder) -> np.ndarray:
        return embed_dataset(by, dataset, spec=spec)

    test, training, made = features(real.holdout), features(real.training), features(accepted)
    families = real.part_families("validation", "test")
    saw = bool(embedder.fitted_on)
    scores = fidelity(
        test,
        made,
        extractor=embedder.name,
        rng=rng,
        train=None if saw else training,
        holdout=None if saw else test,
        extractor_saw_real=saw,
        real_families=families,
        by_class=ByClass(real.dataset.classes, real.holdout.class_ids, accepted.class_ids)
        if real.task == "classification"
        else None,
    )
    if saw:
        scores = [score for score in scores if not score.name.startswith("nearest_record")]
        scores += nearest_records(accepted, real.training, real.holdout, spec, rng)
    before: list[Score] = []
    if len(everything) > len(accepted):
        before = fidelity(
            test,
            features(everything),
            extractor=embedder.name,
            rng=rng,
            extractor_saw_real=True,
            real_families=families,
        )
        before = [score for score in before if score.value is not None]
    return tuple(scores), tuple(before), Features(embedder.name, training, test, made, saw)


def nearest_records(
    synthetic: Dataset, training: Dataset, holdout: Dataset, spec: ImageSpec, rng: Stream
) -> list[Score]:
    """Nearest-record figures by fixed random features, which saw none of the images."""
    from twinset.evaluation import NearestRecord

    fixed = RandomConvolution()
    train, held, made = (embed_dataset(fixed, part, spec=spec) for part in (training, holdout, synthetic))
    return fidelity(held, made, extractor=fixed.name, rng=rng, train=train, holdout=held, metrics=(NearestRecord(),))


def utility_data(
    *,
    train: Dataset,
    validation: Dataset,
    test: Dataset,
    test_families: np.ndarray,
    synthetic: Dataset,
    spec: ImageSpec,
) -> UtilityData:
    """The arrays of a utility study; synthetic targets are soft where any label is."""
    n_classes = len(train.classes)
    return UtilityData(
        n_classes=n_classes,
        train_images=train.prepared(spec),
        train_labels=train.class_ids,
        validation_images=validation.prepared(spec),
        validation_labels=validation.class_ids,
        test_images=test.prepared(spec),
        test_labels=test.class_ids,
        test_families=np.asarray(test_families, dtype=np.int64),
        synthetic_images=synthetic.prepared(spec),
        synthetic_targets=_targets(synthetic, n_classes),
    )


def _targets(dataset: Dataset, n_classes: int) -> np.ndarray:
    soft = dataset.table.column("class_probabilities").to_pylist()
    if all(row is None for row in soft):
        return dataset.class_ids
    hard = np.eye(n_classes, dtype=np.float32)[dataset.class_ids]
    return np.asarray([hard[i] if row is None else row for i, row in enumerate(soft)], dtype=np.float32)


def utility_plan(part: UtilityPart, data: UtilityData, *, seed: int) -> UtilityPlan[ClassifierSettings]:
    """The plan of the recipe's utility study; open settings are the classifier's defaults."""
    defaults = ClassifierSettings()
    settings = ClassifierSettings(
        steps=defaults.steps if part.steps == "auto" else part.steps,
        width=defaults.width if part.width == "auto" else part.width,
        batch=part.batch_size,
        class_balanced=unbalanced(np.bincount(data.train_labels).tolist()),
    )
    synthetic = len(data.synthetic_images) > 0
    return UtilityPlan(settings, seed=seed, seeds=part.seeds, flip=part.flip is True, synthetic=synthetic)


_Study = tuple[Utility | None, UtilityPlan[StudySettings] | None, PlacedStudy | None]


def _utility(run: Run, accepted: Dataset, *, again: bool) -> _Study:
    part = run.recipe.evaluate.utility
    if part == "off":
        return None, None, None
    real = run.real
    if real.task != "classification":
        return _placed_utility(run, part, accepted, again=again)
    data = utility_data(
        train=real.training,
        validation=real.part("validation"),
        test=real.part("test"),
        test_families=real.part_families("test"),
        synthetic=accepted,
        spec=real.spec,
    )
    plan = utility_plan(part, data, seed=run.stream.child("utility").seed)
    folder = run.folder / "evaluation" / "utility"
    utility = study(data, plan, folder=folder, executor=run.executor, listener=run.listener, again=again)
    return utility, plan, None


def _placed_utility(run: Run, part: UtilityPart, accepted: Dataset, *, again: bool) -> _Study:
    settings = placed.settings_of(part, run.real)
    plan = placed.placed_plan(
        settings,
        seed=run.stream.child("utility").seed,
        seeds=part.seeds,
        flip=part.flip is not False,
        synthetic=len(accepted) > 0,
    )
    utility, found = placed.placed_study(
        placed.study_data(run.real, accepted, settings),
        plan,
        folder=run.folder / "evaluation" / "utility",
        executor=run.executor,
        listener=run.listener,
        again=again,
    )
    return utility, plan, found


@dataclass(frozen=True)
class RunCell:
    """A task for a worker: one cell of a utility study, its data in a file."""

    cell: Cell
    study: str
    plan: UtilityPlan[ClassifierSettings]
    data: Path
    result: Path


def run_cell_task(task: RunCell) -> CellResult:
    """Trains, predicts, and commits the cell's result."""
    found = run_cell(task.cell, _data(task.data), plan=task.plan, study=task.study)
    write_json(task.result, found.to_json())
    return found


@lru_cache(maxsize=1)
def _data(path: Path) -> UtilityData:
    return UtilityData.load(path)


def study(
    data: UtilityData,
    plan: UtilityPlan[ClassifierSettings],
    *,
    folder: Path,
    executor: LocalProcesses,
    listener: Listener,
    again: bool = False,
) -> Utility:
    """All cells of a utility study, those in ``folder`` not again, and its table."""
    name = study_digest(plan, data.digest())
    cells = folder / name
    path = cells / "data.safetensors"
    if not path.exists():
        data.save(path)
    results = [] if again else list(committed(cells))
    progress = listener.stage("utility")
    while due := plan.due(results):
        tasks = [RunCell(cell, name, plan, path, cells / f"{cell.key}.json") for cell in due]
        for _, result in executor.map(run_cell_task, tasks):
            results.append(result)
            progress(len(results), plan.cell_count, "trainings")
    return summarise(results, data=data, plan=plan)
