"""The settings of a study, one after the other: each its run, its classifiers and its audits, all kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from twinset import documents
from twinset.executors.local import LocalProcesses
from twinset.pipeline.fitting import load_resolved, sources_of
from twinset.pipeline.folders import Timings, began_on, finished, result_of
from twinset.pipeline.frontier.asking import Asked, same_split
from twinset.pipeline.frontier.audits import AuditPart, audit_models, audits_of, take_audit
from twinset.pipeline.frontier.guarantees import trained_guarantee
from twinset.pipeline.frontier.planning import Expected
from twinset.pipeline.frontier.settings import Setting, fitted_as
from twinset.pipeline.frontier.trainings import Source, Training, classifier_settings, train_all, trainings
from twinset.pipeline.real import RealData
from twinset.pipeline.reference_images import FEWEST
from twinset.pipeline.reporting import Listener, duration
from twinset.pipeline.resolving import Machine
from twinset.pipeline.running import run
from twinset.pipeline.taken_fits import taken_from
from twinset.privacy.audit.model_release import Release
from twinset.privacy.audit.shadow_shelf import ShadowShelf
from twinset.randomness import Stream
from twinset.recipe import WrittenRecipe
from twinset.store import ShardStore, disk_refusals


@dataclass(frozen=True, eq=False)
class Made:
    """What a setting has come to: its run, what its trainings spent, and by release the classifiers that judge it and
    the audit. ``fits_of``: the setting whose fits it took over, "" for none."""

    setting: Setting
    folder: Path
    result: documents.RunDocument
    trained: documents.GuaranteePart | None
    fits_of: str
    classifiers: dict[Release, list[Training]]
    audits: dict[Release, AuditPart | str]

    @property
    def blocked(self) -> str:
        """Why the copy gate of the run lets no dataset out; "" where it does not stand in the way."""
        gate = self.result.gate
        return f"the copy gate of its run: {'; '.join(gate.blocking)}" if gate.blocking else ""


@dataclass(frozen=True, eq=False)
class Study:
    """An open study. ``plan`` says what every setting may take, ``shelf`` keeps what the audits of several need."""

    folder: Path
    asked: Asked
    real: RealData
    machine: Machine
    listener: Listener
    timings: Timings
    plan: dict[str, Expected]
    shelf: ShadowShelf = field(default_factory=ShadowShelf, init=False, repr=False)

    @property
    def stream(self) -> Stream:
        """Of everything random that is the study's own."""
        return Stream(self.asked.written.recipe.seed).child("frontier")

    def make_all(self) -> list[Made]:
        """Every setting; before each a line on it and on the time that is left."""
        made = []
        for number, setting in enumerate(self.asked.settings):
            self._tell(number)
            made.append(self._make(setting))
        return made

    def trained(self, folder: Path, source: Source, name: str, *, kept: str) -> list[Training]:
        """Classifiers trained on what ``source`` says of the run in ``folder``."""
        into = self.folder / "classifiers" / kept
        with disk_refusals(into, "a folder for classifiers"):
            into.mkdir(parents=True, exist_ok=True)
        tasks = trainings(
            folder,
            source,
            settings=classifier_settings(self.asked.written.recipe),
            seeds=self.asked.part.seeds,
            stream=self.stream,
            into=into,
        )
        train_all(tasks, executor=LocalProcesses(self.machine.workers), listener=self.listener, name=name)
        return tasks

    def _make(self, setting: Setting) -> Made:
        folder = self.folder / "settings" / setting.name
        with self.timings.stage(f"run {setting.name}"):
            result = self._run(setting, folder)
        same_split(self.real, folder)
        accepted = len(ShardStore(folder).accepted(self.real.dataset.classes))
        trained, fits_of = trained_guarantee(folder), taken_from(folder)
        if accepted < FEWEST:
            why = f"{accepted} images were accepted; an audit needs at least {FEWEST}"
            return Made(setting, folder, result, trained, fits_of, {}, dict.fromkeys(self.asked.weighed(setting), why))
        with self.timings.stage(f"classifiers {setting.name}"):
            classifiers = self._classifiers(setting, folder)
        with self.timings.stage(f"audit {setting.name}"):
            audits = self._audits(setting, folder, classifiers)
        return Made(setting, folder, result, trained, fits_of, classifiers, audits)

    def _run(self, setting: Setting, folder: Path) -> documents.RunDocument:
        if finished(folder):
            return result_of(folder)
        recipe, first = setting.recipe, folder.with_name(setting.fits_of) if setting.fits_of else None
        return run(
            WrittenRecipe(recipe if first is None else fitted_as(recipe, load_resolved(first))),
            out=folder,
            workers=self.machine.workers,
            device=began_on(folder, self.machine.device),
            listener=self.listener,
            fits_of=first,
        )

    def _classifiers(self, setting: Setting, folder: Path) -> dict[Release, list[Training]]:
        """By release those that judge it. Without filters the dataset is what its generator makes; the classifier that
        goes out is the first of those of the dataset."""
        asked = self.asked.weighed(setting)
        tasks = self.trained(folder, "dataset", f"the images of {setting.name}", kept=setting.name)
        found: dict[Release, list[Training]] = {"dataset": tasks, "classifier": tasks[:1], "generator": tasks}
        if "generator" in asked and load_resolved(folder).filters:
            name = f"fresh images of {setting.name}"
            found["generator"] = self.trained(folder, "generator", name, kept=setting.name)
        return {release: found[release] for release in asked}

    def _audits(
        self, setting: Setting, folder: Path, classifiers: dict[Release, list[Training]]
    ) -> dict[Release, AuditPart | str]:
        """That of the dataset from its run, those of the models made here."""
        found = {name: part for name, part in audits_of(folder).items() if name in classifiers}
        places: dict[Release, Path] = {}
        if "generator" in classifiers:
            places["generator"] = sources_of(load_resolved(folder), folder)[0].folder
        if "classifier" in classifiers:
            places["classifier"] = classifiers["classifier"][0].out
        kept = self.folder / "audits" / setting.name
        if "generator" in places and setting.fits_of:
            first = folder.with_name(setting.fits_of)
            of, weights = kept.with_name(first.name), sources_of(load_resolved(first), first)[0].folder
            take_audit(of, kept, first=weights, generator=places["generator"])
        return {**found, **audit_models(folder, places, kept=kept, listener=self.listener, shelf=self.shelf)}

    def _tell(self, number: int) -> None:
        """Which setting is next, and how long all may still take: by the plan, at the pace of the settings before."""
        settings = self.asked.settings
        left = sum(self.plan[one.name].seconds for one in settings[number:])
        done = [one.name for one in settings[:number]]
        planned = sum(self.plan[name].seconds for name in done)
        took = sum(self.seconds_of(name) for name in done)
        pace = took / planned if planned and took else 1.0
        self.listener.note(
            f"setting {number + 1} of {len(settings)}: {settings[number].name} ({settings[number].what}); "
            f"about {duration(pace * left)} left"
        )

    def seconds_of(self, name: str) -> float:
        """What a setting took so far, over all sittings."""
        return sum(seconds for stage, seconds in self.timings.read().items() if stage.partition(" ")[2] == name)
