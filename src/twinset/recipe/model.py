"""The run file as a whole: what a person writes, and what a run resolves it to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import yaml
from pydantic import Field

from twinset import methods
from twinset.dataset import TASKS, Task
from twinset.errors import RecipeError
from twinset.formats.writing import WritableFormat
from twinset.recipe.evolve import EvolvePart
from twinset.recipe.group_count import GroupCountPart, group_count
from twinset.recipe.parts import (
    CLASSIFIED_AT_ONCE,
    PLACED_AT_ONCE,
    CloseGapPart,
    CuratePart,
    DataPart,
    EvaluatePart,
    GatePart,
    ImagePart,
    MatchPart,
    Part,
    SplitPart,
    TargetPart,
    UsePart,
)
from twinset.recipe.privacy import WEIGHTED, PrivacyPart
from twinset.recipe.release import ReleasePart

KEYS: Mapping[methods.Kind, str] = {"generators": "generate", "editors": "edit", "aligners": "align"}
"""Where in a run file the methods of a kind stand."""

PLACED: tuple[Task, ...] = ("detection", "instance-segmentation")
LABELS_IN: Mapping[WritableFormat, tuple[Task, ...]] = {
    "imagefolder": ("classification",),
    "webdataset": TASKS,
    "parquet": TASKS,
    "csv": ("classification",),
    "coco": ("classification", *PLACED),
    "yolo": PLACED,
    "voc": (*PLACED, "semantic-segmentation"),
    "masks": ("instance-segmentation", "semantic-segmentation"),
    "labelme": PLACED,
    "cvat": ("classification", *PLACED),
    "kitti": PLACED,
    "via": PLACED,
    "bop": PLACED,
    "hdf5": TASKS,
}
"""Of which tasks a format holds the labels, so that they come back when it is read again."""


class Recipe(Part):
    """One run of twinset, as a file."""

    schema_name: Literal["twinset/recipe/1"] = Field("twinset/recipe/1", alias="schema")
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name of the run folder.")
    data: DataPart
    task: Literal["auto"] | Task = Field("auto", description="auto: what the labels of the real images are.")
    image: ImagePart = ImagePart()
    split: SplitPart = SplitPart()
    count: (
        Literal["auto", "balance"]
        | Annotated[int, Field(ge=1)]
        | dict[str, Annotated[int, Field(ge=0)]]
        | GroupCountPart
    ) = Field("auto", description="Accepted images: a total, one per class, auto, balance, or by an attribute.")
    generate: Literal["auto"] | tuple[UsePart, ...] = Field(
        "auto", description="Generators and their shares; auto: diffusion in classification, else copypaste."
    )
    edit: tuple[UsePart, ...] = Field((), description="Editors of real training images and their shares.")
    target: TargetPart | None = Field(
        None, description="Distributions that copypaste follows, or `match` seeks; default: those of exposed images."
    )
    match: MatchPart | None = Field(None, description="Search the generators' configuration spaces for the target.")
    curate: CuratePart | None = Field(
        None, description="Leave out the shapes of rendered objects that are unlike the real ones, by a pilot."
    )
    evolve: EvolvePart | None = Field(
        None, description="Let the exposed images vote for configurations of the generators, and vary the winners."
    )
    close_gap: CloseGapPart | None = Field(
        None, description="Match, curate, filter and evolve step by step; each is measured, what helps is kept."
    )
    align: tuple[UsePart, ...] | Literal["auto", "off"] = Field(
        "auto",
        description="Filters, in order; off for none; auto: copies, agreement, density, duplicates in classification, "
        "else none (copypaste places objects by the real distribution).",
    )
    evaluate: EvaluatePart = EvaluatePart()
    gate: GatePart = GatePart()
    privacy: PrivacyPart | None = Field(
        None, description="Audit the dataset, and withhold one that betrays its parents."
    )
    export: Literal["auto"] | tuple[WritableFormat, ...] = Field(
        "auto", description="Formats; auto: imagefolder, coco or masks, by task."
    )
    release: ReleasePart | None = Field(None, description="Watermark, Content Credentials, and a note on access.")
    seed: int = Field(0, ge=0, lt=2**63)
    fit_seed: int | None = Field(
        None,
        ge=0,
        lt=2**63,
        description="Decides the randomness of fits, so that recipes which differ in what follows fit the same; "
        "default: all that decides the dataset does.",
    )
    minutes: float = Field(10.0, gt=0, le=10_000, description="Time that the run should take on this machine.")
    max_attempts: int = Field(8, ge=1, le=100, description="Tries per image before its slot is given up.")
    shard_size: int = Field(128, ge=1, le=100_000, description="Images per shard file.")
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = Field(
        "auto", description="Threads of training; part of what fixes the result to the bit."
    )
    on_bad_input: Literal["refuse", "skip"] = "refuse"

    @pydantic.field_validator("data", mode="before")
    @classmethod
    def _data(cls, value: object) -> object:
        return {"path": value} if isinstance(value, str) else value

    @pydantic.field_validator("count", mode="before")
    @classmethod
    def _count(cls, value: object) -> object:
        return group_count(value)

    @pydantic.model_validator(mode="after")
    def _something_to_make(self) -> Recipe:
        if not self.generate and not self.edit:
            raise ValueError("expected at least one entry under generate or edit")
        if self.target is not None and self.match is not None and self.match.measures is not None:
            raise ValueError("expected measures under target alone; got them under match too; leave these out")
        for step, other in (("match", self.match), ("curate", self.curate), ("evolve", self.evolve)):
            if other is not None and self.close_gap is not None and step not in self.close_gap.steps:
                raise ValueError(f"expected {step} among the steps of close_gap, or no {step}; got both apart")
        if self.close_gap is not None and self.target is not None:
            raise ValueError("expected close_gap, which follows the exposed images, or a target; got both")
        if self.close_gap is not None and self.evolve is not None and self.evolve.epsilon is not None:
            raise ValueError(
                "expected no epsilon under evolve inside close_gap, which looks at the exposed images without noise; "
                f"got {self.evolve.epsilon:g}; leave one of them out"
            )
        if sum(1.0 if part.share is None else part.share for part in (*self.generators, *self.edit)) <= 0 and (
            self.generate != "auto"
        ):
            raise ValueError("expected at least one share above 0")
        return self

    @property
    def generators(self) -> tuple[UsePart, ...]:
        """What stands under ``generate``; nothing while that is ``auto``."""
        return () if self.generate == "auto" else self.generate

    @property
    def filters(self) -> tuple[UsePart, ...]:
        """What stands under ``align``; nothing while that is ``auto``, or off."""
        return () if isinstance(self.align, str) else self.align

    @property
    def exports(self) -> tuple[WritableFormat, ...]:
        """What stands under ``export``; nothing while that is ``auto``."""
        return () if self.export == "auto" else self.export

    def for_task(self, task: Task) -> Recipe:
        """The recipe with what depends on the kind of labels decided."""
        given: dict[str, object] = {"task": task}
        if self.generate == "auto":
            given["generate"] = (UsePart(use="diffusion" if task == "classification" else "copypaste"),)
        if self.align == "auto":
            names = ("copies", "agreement", "density", "duplicates") if task == "classification" else ()
            given["align"] = tuple(UsePart(use=name) for name in names) or "off"
        if self.export == "auto":
            exports: dict[Task, WritableFormat] = {"classification": "imagefolder", "semantic-segmentation": "masks"}
            given["export"] = (exports.get(task, "coco"),)
        if self.evaluate.utility != "off" and self.evaluate.utility.batch == "auto":
            batch = CLASSIFIED_AT_ONCE if task == "classification" else PLACED_AT_ONCE
            utility = self.evaluate.utility.model_copy(update={"batch": batch})
            given["evaluate"] = self.evaluate.model_copy(update={"utility": utility})
        decided = self.model_copy(update=given)
        if self.gate.copies == "auto":
            given["gate"] = self.gate.model_copy(update={"copies": decided._copies(task)})
        found = self.model_copy(update=given)
        groups: list[tuple[methods.Kind, Sequence[UsePart]]] = [
            ("generators", found.generators),
            ("editors", found.edit),
            ("aligners", found.filters),
        ]
        for kind, parts in groups:
            for index, part in enumerate(parts):
                methods.check_task(kind, part.use, task, where=f"{KEYS[kind]}.{index}")
        _check_steering(found, task)
        _check_exports(found, task)
        _check_releases(found)
        return found

    def _copies(self, task: Task) -> str:
        """What ``gate.copies: auto`` comes to: edits of classes are to hide their parents, whatever is made beside."""
        kept = any(methods.keeps_pixels(part.use, part.settings) for part in self.generators)
        if self.edit:
            return "block" if task == "classification" else "block-unrecorded"
        return "block-unrecorded" if kept else "block"

    def to_values(self) -> dict[str, object]:
        """Plain values in recipe order, for YAML and digests."""
        values: dict[str, object] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return values

    def to_yaml(self) -> str:
        """The recipe as YAML."""
        return yaml.safe_dump(self.to_values(), sort_keys=False, allow_unicode=True, width=100)

    def with_paths(self, change: Callable[[str], str]) -> Recipe:
        """The recipe with every ``path`` (and ``…_path``) of its methods changed."""

        def one(kind: methods.Kind, part: UsePart) -> UsePart:
            settings = methods.with_paths(kind, part.use, part.settings, change)
            return UsePart.model_validate({**part.model_dump(), **settings}) if settings != part.settings else part

        def all_of(kind: methods.Kind, parts: Sequence[UsePart]) -> tuple[UsePart, ...]:
            return tuple(one(kind, part) for part in parts)

        embedder = one("embedders", self.evaluate.embedder)
        evolve = self.evolve
        if evolve is not None:
            evolve = evolve.model_copy(update={"embedder": one("embedders", evolve.embedder)})
        target = self.target
        if target is not None and target.path is not None:
            target = target.model_copy(update={"path": change(target.path)})
        privacy = self.privacy
        if privacy is not None and privacy.reference is not None:
            privacy = privacy.model_copy(update={"reference": change(privacy.reference)})
        if privacy is not None and privacy.frontier is not None:
            privacy = privacy.model_copy(update={"frontier": privacy.frontier.with_methods(all_of)})
        utility = self.evaluate.utility
        if utility != "off" and utility.weights is not None:
            utility = utility.model_copy(update={"weights": change(utility.weights)})
        return self.model_copy(
            update={
                "target": target,
                "evolve": evolve,
                "privacy": privacy,
                "release": None if self.release is None else self.release.with_paths(change),
                "generate": "auto" if self.generate == "auto" else all_of("generators", self.generate),
                "edit": all_of("editors", self.edit),
                "align": self.align if isinstance(self.align, str) else all_of("aligners", self.align),
                "evaluate": self.evaluate.model_copy(update={"embedder": embedder, "utility": utility}),
            }
        )

    def with_command(self, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Recipe:
        """The recipe with the words of the user's own trainer changed, if it has one."""
        utility = self.evaluate.utility
        if utility == "off" or utility.command is None:
            return self
        utility = utility.model_copy(update={"command": change(utility.command)})
        return self.model_copy(update={"evaluate": self.evaluate.model_copy(update={"utility": utility})})

    def without_paths(self, data: str) -> Recipe:
        """The recipe as others may see it: ``data`` in place of the real images' path, of other paths their ends, and
        no marks, whose keys others lack: what they make again is the dataset before it was marked."""
        path = self.data.path if self.data.path.startswith("builtin:") else data
        named = self.with_paths(lambda path: Path(path).name).with_command(
            lambda words: tuple(Path(word).name if Path(word).is_absolute() else word for word in words)
        )
        release = None if self.release is None else self.release.without_marks()
        return named.model_copy(update={"data": self.data.model_copy(update={"path": path}), "release": release})

    def digest(self) -> str:
        """sha256 of all that decides the dataset; not of its name, the places of data and folders (their content
        counts), the time budget once spent, or what is measured and exported afterwards."""
        values = self.with_paths(lambda _: "").to_values()
        for key in ("name", "minutes", "export", "gate", "privacy", "release", "evaluate"):
            values.pop(key, None)
        values["data"] = {key: value for key, value in self.data.model_dump().items() if key not in ("path", "consent")}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _check_steering(recipe: Recipe, task: Task) -> None:
    """Targets are of boxes, and somebody must follow them."""
    steered = {
        "target": recipe.target,
        "match": recipe.match,
        "curate": recipe.curate,
        "close_gap": recipe.close_gap,
    }
    for key, part in steered.items():
        if part is not None and task not in PLACED:
            raise RecipeError(f"{key}: expected task detection or instance-segmentation; got {task}")
    pasting = any(part.use == "copypaste" for part in recipe.generators)
    if recipe.target is not None and recipe.match is None and not pasting:
        raise RecipeError(
            "target: expected copypaste under generate; got other generators",
            hint="add match: {}, for generators with a configuration space",
        )


def _check_releases(recipe: Recipe) -> None:
    """A generator that is to be released must be the one that has weights of its own."""
    if recipe.privacy is None or not recipe.privacy.with_generator:
        return
    used = [part.use for part in recipe.generators]
    if sum(name in WEIGHTED for name in used) != 1:
        raise RecipeError(
            f"privacy.releases: expected one of {', '.join(WEIGHTED)} under generate, to release it; got "
            f"{', '.join(used) or 'no generator'}",
            hint="other generators have no weights of their own: leave generator out",
        )
    if by := next((part.settings["by"] for part in recipe.generators if part.settings.get("by") is not None), None):
        raise RecipeError(
            f"privacy.releases: expected a generator of classes alone, which an audit can attack; got one by {by!r}",
            hint="leave generator out of the releases, or by out of generate",
        )


def _check_exports(recipe: Recipe, task: Task) -> None:
    """What a format has no place for would be lost at the very end."""
    for index, name in enumerate(recipe.exports):
        if task not in LABELS_IN[name]:
            fitting = [other for other, tasks in LABELS_IN.items() if task in tasks]
            raise RecipeError(
                f"export.{index}: expected a format that holds the labels of task {task}; got {name!r}, which has no "
                "place for them",
                hint=f"use {', '.join(fitting[:-1])} or {fitting[-1]}",
            )
