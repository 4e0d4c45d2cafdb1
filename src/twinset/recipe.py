"""The typed run file: what a person writes, checked to the line, and what a run resolves it to.

pydantic stops here; the rooms behind take frozen dataclasses. A resolved recipe is itself a recipe: every
``auto`` has become a value, and running it again gives the same dataset.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from twinset import methods
from twinset.dataset import Task
from twinset.errors import RecipeError, UnknownNameError, UsageError
from twinset.formats.writing import WritableFormat
from twinset.yamlfile import KeyPath, YamlFile, load_yaml, parse_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Side = Annotated[int, Field(ge=4, le=4096)]
EXPORTS: tuple[WritableFormat, ...] = get_args(WritableFormat)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataPart(_Part):
    """The real dataset."""

    path: str = Field(description="Folder, table file or `builtin:NAME`; relative to the recipe.")
    licence: str | None = Field(None, description="Licence of the real images; stands in report and dataset card.")
    window: tuple[float, float] | None = Field(
        None, description="Values of 16-bit or float images that become black and white; default 0 and 65535."
    )

    @pydantic.field_validator("window")
    @classmethod
    def _window(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not (all(map(math.isfinite, value)) and value[0] < value[1]):
            raise ValueError("expected two numbers, the value of black below that of white")
        return value


class ImagePart(_Part):
    """The one size that the run works at."""

    size: Literal["auto"] | Side | tuple[Side, Side] = Field(
        "auto",
        description="Side in pixels, [height, width], or auto: as the images are; in classification at most 32.",
    )
    channels: Literal["auto", 1, 3] = Field("auto", description="1 grey, 3 RGB.")
    fit: Literal["stretch", "crop", "pad"] = Field("stretch", description="How another aspect ratio is met.")


class GroupsPart(_Part):
    """What belongs together and must not straddle a split: exactly one of the three."""

    column: str | None = Field(None, description="A column of the table (patient, video, …).")
    regex: str | None = Field(None, description="A pattern on the path; its first group names the family.")
    folder: int | None = Field(None, ge=1, description="Depth of the folder that names the family.")

    @pydantic.model_validator(mode="after")
    def _one(self) -> GroupsPart:
        from twinset.families import GroupRule

        GroupRule(column=self.column, regex=self.regex, folder=self.folder)
        return self


class SplitPart(_Part):
    """Fractions for what the dataset does not split itself; given splits are respected."""

    train: Fraction = 0.6
    validation: Fraction = 0.2
    test: Fraction = 0.2
    shots: int | None = Field(None, ge=1, description="Keep only this many training images per class.")
    groups: GroupsPart | None = None

    @pydantic.model_validator(mode="after")
    def _sums(self) -> SplitPart:
        if abs(self.train + self.validation + self.test - 1) > 1e-6 or min(self.train, self.validation, self.test) <= 0:
            raise ValueError("expected three fractions above 0 that sum to 1")
        return self


class UsePart(BaseModel):
    """A method by name (``use``), its ``share`` of the images, and its own settings beside them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str
    share: float | None = Field(None, ge=0.0, description="Relative to the other shares; default 1.")

    @property
    def settings(self) -> dict[str, object]:
        """The keys that belong to the method."""
        return dict(self.model_extra or {})


CLASSIFIED_AT_ONCE = 64
PLACED_AT_ONCE = 8

ModelName = Literal[
    "dense",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "fcos_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
    "maskrcnn_resnet50_fpn",
    "unet",
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
]


class UtilityPart(_Part):
    """The five arms (docs/numbers.md)."""

    seeds: int = Field(3, ge=1, le=50, description="Trainings per arm; the two that are compared get two more.")
    flip: Literal["auto"] | bool = Field(
        "auto", description="Mirror in the classical arms; auto: if the data allows it."
    )
    steps: Literal["auto"] | Annotated[int, Field(ge=1)] = Field("auto", description="Optimizer steps of every arm.")
    width: Literal["auto"] | Annotated[int, Field(ge=8, le=512, multiple_of=8)] = Field(
        "auto", description="Width of the network, a multiple of 8."
    )
    batch: Literal["auto"] | Annotated[int, Field(ge=2, le=1024)] = Field(
        "auto", description="Images per step; auto: 64 in classification, 8 in other tasks."
    )
    model: Literal["auto"] | ModelName = Field(
        "auto", description="What is trained in detection and segmentation; auto: a small network that learns anew."
    )
    weights: str | None = Field(None, description="A local .safetensors checkpoint that `model` starts from.")
    size: Literal["auto"] | tuple[Side, Side] = Field(
        "auto",
        description="[height, width] at which detectors and segmenters are trained; auto: for the time there is.",
    )
    command: tuple[str, ...] | None = Field(
        None, description="Your own trainer in place of `model`: a command that reads a JSON file and writes one."
    )

    @property
    def batch_size(self) -> int:
        """Images per step; that of classification while it is open."""
        return CLASSIFIED_AT_ONCE if self.batch == "auto" else self.batch


Boxes = Literal["box_area", "aspect_ratio", "centre_x", "centre_y", "count"]


class TargetPart(_Part):
    """What the objects of the twin are to measure, where the exposed images do not say: exactly one of the two."""

    path: str | None = Field(
        None, description="Folder of unlabelled deployment images: a detector finds their objects; relative as `data`."
    )
    measures: tuple[Boxes, ...] = Field(
        ("box_area", "aspect_ratio", "centre_y", "count"), min_length=1, description="What is inferred from `path`."
    )
    numbers: dict[Boxes, dict[str, tuple[float, ...]]] | None = Field(
        None,
        description="`means`, `stds` and, for several components, `weights` by measure. Areas and aspect ratios: means "
        "in their unit (.02 is 2 % of the picture), stds of the logarithm.",
    )
    steps: Literal["auto"] | Annotated[int, Field(ge=1)] = Field("auto", description="Of the detector for `path`.")
    size: Literal["auto"] | tuple[Side, Side] = Field("auto", description="[height, width] that the detector sees.")
    content: str | None = Field(None, description="Digest of the images under `path`; a run fills it in.")

    @pydantic.model_validator(mode="after")
    def _sound(self) -> TargetPart:
        from twinset.alignment.metadata import target_from_numbers

        if (self.path is None) == (self.numbers is None):
            raise ValueError("expected either path or numbers")
        if self.numbers is not None:
            target_from_numbers({str(name): given for name, given in self.numbers.items()})
        return self


class MatchPart(_Part):
    """A search for the generator's configurations that come nearest to the target, by small batches."""

    measures: tuple[str, ...] | None = Field(
        None, min_length=1, description="Default box_area, aspect_ratio, centre_y; with `target`, those it speaks of."
    )
    grid: int = Field(27, ge=1, description="Configurations that are tried first.")
    trials: int = Field(60, ge=0, description="Configurations at most after them.")
    batch: int = Field(24, ge=2, description="Images that a configuration is judged by.")
    components: int = Field(3, ge=1, le=10, description="Components of the target at most, in each measure.")

    @pydantic.model_validator(mode="after")
    def _known(self) -> MatchPart:
        from twinset.alignment.metadata import MEASURES

        unknown = [name for name in self.measures or () if name not in MEASURES]
        if unknown:
            raise ValueError(f"expected measures among {', '.join(MEASURES)}; got {', '.join(unknown)}")
        return self


class EvaluatePart(_Part):
    """What is measured."""

    embedder: UsePart = Field(UsePart(use="self"), description="Features of the fidelity metrics.")
    fidelity: bool = True
    metadata: bool = Field(True, description="Distributions of size, place, number and look of objects, by histogram.")
    utility: UtilityPart | Literal["off"] = UtilityPart()


class GatePart(_Part):
    """What may block the release."""

    copies: Literal["auto", "block", "report", "off"] = Field(
        "auto",
        description="On copies of training images: block the export, only report, or do not test; auto: block, but "
        "report where real pixels are pasted on purpose.",
    )
    alpha: float = Field(0.01, gt=0, lt=0.5, description="False alarm rate of the joint copy test.")


class Recipe(_Part):
    """One run of twinset, as a file."""

    schema_name: Literal["twinset/recipe/1"] = Field("twinset/recipe/1", alias="schema")
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name of the run folder.")
    data: DataPart
    task: Literal["auto"] | Task = Field("auto", description="auto: what the labels of the real images are.")
    image: ImagePart = ImagePart()
    split: SplitPart = SplitPart()
    count: Literal["auto", "balance"] | Annotated[int, Field(ge=1)] | dict[str, Annotated[int, Field(ge=0)]] = Field(
        "auto", description="Accepted images: a total, one per class, auto or balance."
    )
    generate: Literal["auto"] | tuple[UsePart, ...] = Field(
        "auto", description="Generators and their shares; auto: diffusion in classification, else copypaste."
    )
    edit: tuple[UsePart, ...] = Field((), description="Editors of real training images and their shares.")
    target: TargetPart | None = Field(
        None, description="Distributions that copypaste follows, or `match` seeks; default: those of exposed images."
    )
    match: MatchPart | None = Field(None, description="Search the generators' configuration spaces for the target.")
    align: tuple[UsePart, ...] | Literal["auto", "off"] = Field(
        "auto",
        description="Filters, in order; off for none; auto: copies, agreement, density, duplicates in classification, "
        "else none (copypaste places objects by the real distribution).",
    )
    evaluate: EvaluatePart = EvaluatePart()
    gate: GatePart = GatePart()
    export: Literal["auto"] | tuple[WritableFormat, ...] = Field(
        "auto", description="Formats; auto: imagefolder, coco or masks, by task."
    )
    seed: int = Field(0, ge=0, lt=2**63)
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

    @pydantic.model_validator(mode="after")
    def _something_to_make(self) -> Recipe:
        if not self.generate and not self.edit:
            raise ValueError("expected at least one entry under generate or edit")
        if self.target is not None and self.match is not None and self.match.measures is not None:
            raise ValueError("expected measures under target alone; got them under match too; leave these out")
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
            pasted = any(part.use == "copypaste" for part in decided.generators) or (
                task != "classification" and bool(self.edit)
            )
            given["gate"] = self.gate.model_copy(update={"copies": "report" if pasted else "block"})
        found = self.model_copy(update=given)
        groups: list[tuple[methods.Kind, Sequence[UsePart]]] = [
            ("generators", found.generators),
            ("editors", found.edit),
            ("aligners", found.filters),
        ]
        for kind, parts in groups:
            for index, part in enumerate(parts):
                methods.check_task(kind, part.use, task, where=f"{kind}.{index}")
        _check_steering(found, task)
        return found

    def to_values(self) -> dict[str, object]:
        """Plain values in recipe order, for YAML and digests."""
        values: dict[str, object] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return values

    def to_yaml(self) -> str:
        """The recipe as YAML."""
        return yaml.safe_dump(self.to_values(), sort_keys=False, allow_unicode=True, width=100)

    def with_paths(self, change: Callable[[str], str]) -> Recipe:
        """The recipe with every ``path`` (and ``…_path``) of its methods changed."""

        def one(part: UsePart) -> UsePart:
            paths = {
                key: change(value)
                for key, value in part.settings.items()
                if isinstance(value, str) and (key == "path" or key.endswith("_path"))
            }
            return UsePart.model_validate({**part.model_dump(), **paths}) if paths else part

        def all_of(parts: Sequence[UsePart]) -> tuple[UsePart, ...]:
            return tuple(one(part) for part in parts)

        embedder = one(self.evaluate.embedder)
        target = self.target
        if target is not None and target.path is not None:
            target = target.model_copy(update={"path": change(target.path)})
        utility = self.evaluate.utility
        if utility != "off" and utility.weights is not None:
            utility = utility.model_copy(update={"weights": change(utility.weights)})
        return self.model_copy(
            update={
                "target": target,
                "generate": "auto" if self.generate == "auto" else all_of(self.generate),
                "edit": all_of(self.edit),
                "align": self.align if isinstance(self.align, str) else all_of(self.align),
                "evaluate": self.evaluate.model_copy(update={"embedder": embedder, "utility": utility}),
            }
        )

    def _with_command(self, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Recipe:
        """The recipe with the words of the user's own trainer changed, if it has one."""
        utility = self.evaluate.utility
        if utility == "off" or utility.command is None:
            return self
        utility = utility.model_copy(update={"command": change(utility.command)})
        return self.model_copy(update={"evaluate": self.evaluate.model_copy(update={"utility": utility})})

    def without_paths(self, data: str) -> Recipe:
        """The recipe as others may see it: ``data`` in place of the real images' path, of other paths their ends."""
        path = self.data.path if self.data.path.startswith("builtin:") else data
        named = self.with_paths(lambda path: Path(path).name)._with_command(
            lambda words: tuple(Path(word).name if Path(word).is_absolute() else word for word in words)
        )
        return named.model_copy(update={"data": self.data.model_copy(update={"path": path})})

    def digest(self) -> str:
        """sha256 of all that decides the dataset; not of its name, the places of data and folders (their content
        counts), the time budget once spent, or what is measured and exported afterwards."""
        values = self.with_paths(lambda _: "").to_values()
        for key in ("name", "minutes", "export", "gate", "evaluate"):
            values.pop(key, None)
        values["data"] = {key: value for key, value in self.data.model_dump().items() if key != "path"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class WrittenRecipe:
    """A recipe as somebody wrote it, its paths made absolute; its digest finds its run."""

    recipe: Recipe

    def digest(self) -> str:
        """sha256 of the written values; the key of the run folder."""
        return hashlib.sha256(json.dumps(self.recipe.to_values(), sort_keys=True).encode()).hexdigest()

    @property
    def source(self) -> str | Path:
        """The real dataset: ``builtin:NAME``, or a path made absolute from the recipe's folder."""
        path = self.recipe.data.path
        return path if path.startswith("builtin:") else Path(path)


def _check_steering(recipe: Recipe, task: Task) -> None:
    """Targets are of boxes, and somebody must follow them."""
    for key, part in (("target", recipe.target), ("match", recipe.match)):
        if part is not None and task not in ("detection", "instance-segmentation"):
            raise RecipeError(f"{key}: expected task detection or instance-segmentation; got {task}")
    pasting = any(part.use == "copypaste" for part in recipe.generators)
    if recipe.target is not None and recipe.match is None and not pasting:
        raise RecipeError(
            "target: expected copypaste under generate; got other generators",
            hint="add match: {}, for generators with a configuration space",
        )


def load_recipe(path: Path, *, overrides: Sequence[str] = ()) -> WrittenRecipe:
    """The recipe in a file, with ``a.b=c`` overrides; :class:`RecipeError` with file and line otherwise."""
    file = load_yaml(path)
    return _written(file, overrides, path.resolve().parent)


def recipe_from_values(
    values: Mapping[str, object], *, overrides: Sequence[str] = (), base: Path | None = None, name: str = "recipe"
) -> WrittenRecipe:
    """A recipe from plain values, as :func:`load_recipe`."""
    return _written(YamlFile(dict(values), {}, name), overrides, (base or Path.cwd()).resolve())


def recipe_for(source: str | Path, *, overrides: Sequence[str] = (), minutes: float | None = None) -> WrittenRecipe:
    """The recipe in a YAML file, or the default one for a dataset: a folder, a table file or ``builtin:NAME``."""
    named = str(source)
    if minutes is not None:
        overrides = [*overrides, f"minutes={minutes:g}"]
    if named.startswith("builtin:"):
        return recipe_from_values({"data": named, "minutes": 5}, overrides=overrides)
    path = expanded(named)
    if path.suffix.lower() in (".yaml", ".yml"):
        return load_recipe(path, overrides=overrides)
    if not path.exists():
        raise UsageError(
            f"expected a recipe (.yaml), a dataset folder or builtin:NAME; got {named!r}, which does not exist",
            hint="check the path; `twinset init DIR` writes a recipe",
        )
    return recipe_from_values({"data": str(path.resolve())}, overrides=overrides)


def expanded(path: str | Path) -> Path:
    """A path as a person wrote it, with the home folder in place of ``~``; :class:`UsageError` if there is none."""
    if "\0" in str(path):
        raise UsageError(f"expected a path; got {str(path)!r}", hint="a file name cannot hold a NUL character")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"expected a path; got {str(path)!r}, but there is no such home folder",
            hint="write the folder out, or begin with ./ if its name begins with ~",
        ) from error


def _written(file: YamlFile, overrides: Sequence[str], base: Path) -> WrittenRecipe:
    values = file.values
    for override in overrides:
        values = _override(values, override)
    if overrides:
        file = replace(file, values=values, lines=_lines_but(file.lines, overrides))
    try:
        recipe = Recipe.model_validate(values)
    except pydantic.ValidationError as error:
        raise _explain(error, file) from error
    build_methods(recipe, file)

    def placed(path: str, at: KeyPath = ()) -> str:
        if path.startswith("builtin:"):
            return path
        try:
            return str((base / expanded(path)).resolve())
        except UsageError as error:
            raise RecipeError(error.message, path=file.name, line=file.line(at), hint=error.hint) from error
        except (OSError, RuntimeError) as error:  # so Python tells of a link that leads back to itself
            message = f"expected a path; got {path!r}, which leads nowhere"
            raise RecipeError(message, path=file.name, line=file.line(at), hint="repair its links") from error

    data = recipe.data.model_copy(update={"path": placed(recipe.data.path, ("data", "path"))})
    recipe = recipe.with_paths(placed).model_copy(update={"data": data})
    return WrittenRecipe(recipe._with_command(lambda words: _placed_words(words, base)))


def _placed_words(words: tuple[str, ...], base: Path) -> tuple[str, ...]:
    """A command with those words made absolute that name something below the recipe's folder."""
    # Loads what trains, so only where a recipe has a command.
    from twinset.downstream.placed_settings import placed_words

    return placed_words(words, base)


def _lines_but(lines: Mapping[KeyPath, int], overrides: Sequence[str]) -> dict[KeyPath, int]:
    """Where keys stand in the file, without those that ``--set`` has replaced."""
    replaced = [tuple(override.partition("=")[0].strip().split(".")) for override in overrides]
    return {
        path: line
        for path, line in lines.items()
        if not any(tuple(str(part) for part in path)[: len(keys)] == keys for keys in replaced)
    }


def _override(values: dict[str, object], override: str) -> dict[str, object]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"expected --set key.subkey=value; got {override!r}")
    value = parse_yaml(f"value: {text}".encode(), name="--set").values["value"]
    return _with(values, key.strip().split("."), value, key)


def _with(values: dict[str, object], keys: list[str], value: object, whole: str) -> dict[str, object]:
    head, *rest = keys
    if not rest:
        return {**values, head: value}
    inner = values.get(head, {})
    if isinstance(inner, list):
        if not rest or not head or not rest[0].isdigit() or int(rest[0]) >= len(inner):
            raise RecipeError(f"expected an index below {len(inner)} after {head!r} in --set; got {whole!r}")
        at = int(rest[0])
        item = inner[at] if isinstance(inner[at], dict) else {}
        changed = _with(item, rest[1:], value, whole) if rest[1:] else value
        return {**values, head: [*inner[:at], changed, *inner[at + 1 :]]}
    if isinstance(inner, str) and head == "data":
        inner = {"path": inner}
    return {**values, head: _with(dict(inner) if isinstance(inner, dict) else {}, rest, value, whole)}


def build_methods(recipe: Recipe, file: YamlFile | None = None) -> None:
    """Builds every method once, so that a wrong name or setting is known before anything starts."""
    groups: list[tuple[str, methods.Kind, Sequence[UsePart]]] = [
        ("generate", "generators", recipe.generators),
        ("edit", "editors", recipe.edit),
        ("align", "aligners", recipe.filters),
    ]
    for key, kind, parts in groups:
        for index, part in enumerate(parts):
            _build(kind, part, (key, index), file)
    _build("embedders", recipe.evaluate.embedder, ("evaluate", "embedder"), file)


def _build(kind: methods.Kind, part: UsePart, at: tuple[str | int, ...], file: YamlFile | None) -> None:
    where = ".".join(str(step) for step in at)
    try:
        methods.build(kind, part.use, part.settings, where=where)
    except (RecipeError, UnknownNameError) as error:
        if file is None:
            raise
        message = error.message if isinstance(error, RecipeError) else f"{where}.use: {error.message}"
        raise RecipeError(message, path=file.name, line=file.line(at), hint=error.hint) from error


def _explain(error: pydantic.ValidationError, file: YamlFile) -> RecipeError:
    alternatives = _alternatives(error)
    first, location = alternatives[0], _location(alternatives[0])
    where = ".".join(str(part) for part in location)
    line = file.line(location)
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        problem = UnknownNameError("key", str(location[-1]), known)
        return RecipeError(f"{where}: {problem.message}", path=file.name, line=line, hint=problem.hint)
    if first["type"] == "missing":
        return RecipeError(
            f"{where}: expected this key; got none",
            path=file.name,
            line=line,
            hint="`twinset init DIR` writes a whole recipe" if where == "data" else "add it",
        )
    message = " or ".join(dict.fromkeys(_expected(each["msg"]) for each in alternatives)).replace(
        " or expected ", " or "
    )
    got = "" if isinstance(first["input"], dict | BaseModel) else f"; got {first['input']!r}"
    return RecipeError(f"{where}: {message}{got}" if where else message, path=file.name, line=line)


def _alternatives(error: pydantic.ValidationError) -> list[ErrorDetails]:
    """What is wrong at one place: several problems where several kinds of value would do; the deepest place counts."""
    errors = error.errors()
    place = _location(errors[0])
    here = [each for each in errors if _location(each)[: len(place)] == place]
    deepest = max(here, key=lambda each: len(_location(each)))
    return [each for each in here if _location(each) == _location(deepest)]


def _location(error: ErrorDetails) -> tuple[str | int, ...]:
    return tuple(part for part in error["loc"] if not _is_union_tag(part))


_WORDS = (
    (r"(Input|Value) should be", "expected"),
    (r", unable.*", ""),
    (r"a valid dictionary( or instance of \w+)?", "`key: value` lines"),
    (r"a valid (tuple|list)", "a list"),
    (r"a valid integer", "a whole number"),
    (r"expected (greater|less)", r"expected a number \1"),
    (r"Tuple should have at most (\d+) items.*", r"expected at most \1 items"),
)
"""Pydantic's words in the words of people who write YAML."""


def _expected(message: str) -> str:
    message = message.removeprefix("Value error, ")
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message)
    return message


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and (
        part in ("int", "dict[str,constrained-int]", "constrained-int", "tuple[int, int]")
        or part.startswith(("literal[", "dict[", "tuple[", "function-", "constrained"))
        or (part.endswith("Part") and part[0].isupper())
    )


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        candidates = [inner, *getattr(inner, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return [field.alias or name for name, field in model.model_fields.items()]
