"""The JSON objects that ``--json`` prints, and those that a user's trainer reads and writes: one model each, from which
``twinset schema NAME`` is generated.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic_core import PydanticSerializationError

from twinset.errors import UnknownNameError
from twinset.scores import Decision


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Difference(_Document):
    """Paired difference on the real test images: with synthetic data minus without."""

    value: float
    low: float
    high: float


class VerdictPart(_Document):
    """The answer to "should I use it?"."""

    decision: Decision
    sentence: str
    difference: Difference | None


class Counts(_Document):
    """Images planned (slots), accepted, rejected (tries that a filter refused), failed (slots that stayed empty)."""

    planned: int
    accepted: int
    rejected: int
    failed: int


class ScorePart(_Document):
    """One figure with what is needed to believe it; ``value`` is null exactly when ``undefined_because`` says why."""

    value: float | None
    low: float | None
    high: float | None
    undefined_because: str | None = None
    higher_is_better: bool | None = None
    n_real: int
    n_synthetic: int
    extractor: str | None
    floor: float | None = Field(None, description="Two disjoint halves of the real images.")
    settings: dict[str, str | int | float] = {}
    warnings: list[str] = []


class ArmPart(_Document):
    """One arm of the utility study on the real test images."""

    mean: float
    low: float
    high: float
    seeds: list[float]
    setting: str = ""
    picked: bool = False


class GatePart(_Document):
    """The release gate. ``passed`` is true too where nothing was tested; ``tested`` tells the two apart."""

    passed: bool
    tested: bool = True
    reasons: list[str]
    pairs: list[dict[str, str | float | None]] = []


class RunDocument(_Document):
    """What ``run``, ``resume`` and ``evaluate`` answer."""

    schema_name: Literal["twinset/run/1"] = Field("twinset/run/1", alias="schema")
    run: str
    report: str
    digest: str
    verdict: VerdictPart
    counts: Counts
    scores: dict[str, ScorePart]
    utility: dict[str, ArmPart]
    utility_metric: str
    gate: GatePart
    exports: dict[str, str]
    warnings: list[str] = []
    seconds: float


class PlanDocument(_Document):
    """What ``run --dry-run`` answers; seconds and bytes are estimates."""

    schema_name: Literal["twinset/plan/1"] = Field("twinset/plan/1", alias="schema")
    recipe: dict[str, object]
    unit: str = Field("images", description="What the numbers by class count.")
    images: dict[str, int] = Field({}, description="Real images in each part.")
    training: dict[str, int] = Field(description="Training images, or what `unit` names, by class.")
    validation: dict[str, int]
    test: dict[str, int]
    slots: dict[str, int]
    shards: int
    seconds: dict[str, float]
    bytes: int
    missing: list[str]
    notes: list[str]


class StatusDocument(_Document):
    """How far a run is."""

    schema_name: Literal["twinset/status/1"] = Field("twinset/status/1", alias="schema")
    run: str
    stage: str
    finished: bool
    running: bool = Field(False, description="Whether a process works on it now.")
    planned: int
    generated: int
    accepted: int | None
    seconds: float
    stages: dict[str, float]


class MismatchPart(_Document):
    """Something that is not what was recorded."""

    path: str
    problem: str


class VerifyDocument(_Document):
    """Whether the files of a run are what its markers say, and regenerated samples equal the stored ones."""

    schema_name: Literal["twinset/verify/1"] = Field("twinset/verify/1", alias="schema")
    run: str
    ok: bool
    digest: str
    shards: int
    regenerated: int
    mismatches: list[MismatchPart]


class BadFile(_Document):
    """A file that cannot be used."""

    path: str
    problem: str


class InspectDocument(_Document):
    """What is in a dataset, and what is wrong with it."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)
    schema_name: Literal["twinset/inspect/1"] = Field("twinset/inspect/1", alias="schema")
    format: str
    task: str
    classes: dict[str, int]
    images: int
    bad_files: list[BadFile]
    duplicates: list[dict[str, object]]


class CompareDocument(_Document):
    """Two datasets against each other."""

    schema_name: Literal["twinset/compare/1"] = Field("twinset/compare/1", alias="schema")
    real: str
    synthetic: str
    train: str | None
    n_real: int
    n_synthetic: int
    scores: dict[str, ScorePart]
    gate: GatePart | None = None
    verdict: VerdictPart | None = None
    utility: dict[str, ArmPart] = {}
    report: str | None = None
    warnings: list[str] = []
    seconds: float


class ConvertDocument(_Document):
    """A dataset in another format."""

    schema_name: Literal["twinset/convert/1"] = Field("twinset/convert/1", alias="schema")
    source: str
    destination: str
    format: str
    images: int
    notes: list[str]
    losses: dict[str, int] = Field({}, description="What the format has no place for, and how often it was said.")


class InitDocument(_Document):
    """Where the recipe went."""

    schema_name: Literal["twinset/init/1"] = Field("twinset/init/1", alias="schema")
    recipe: str
    text: str


class PluginPart(_Document):
    """One method by name."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    problem: str


class PluginsDocument(_Document):
    """All methods, ours and plug-ins'."""

    schema_name: Literal["twinset/plugins/1"] = Field("twinset/plugins/1", alias="schema")
    plugins: list[PluginPart]


class DoctorDocument(_Document):
    """What is installed and what this machine can do."""

    schema_name: Literal["twinset/doctor/1"] = Field("twinset/doctor/1", alias="schema")
    ok: bool
    environment: dict[str, str]
    extras: dict[str, str]
    problems: list[str]


class ErrorPart(_Document):
    """What went wrong and what to do."""

    code: str
    message: str
    hint: str


class ErrorDocument(_Document):
    """The answer when there is none."""

    error: ErrorPart


class JudgedImage(_Document):
    """A picture to predict; ``file`` is relative to the folder of the request, sizes are in pixels."""

    id: int
    file: str
    width: int
    height: int


class TrainingImage(JudgedImage):
    """A picture to learn from. ``map`` is a grey PNG of class ids, 255 where the class is unknown (pixels only)."""

    synthetic: bool
    map: str | None = None


class AugmentationPart(_Document):
    """The classical augmentation that this training is to have; flips are left–right, turns by quarters."""

    strength: Literal["none", "light", "medium", "strong"]
    flip: bool
    turn: bool


class TrainerRequestDocument(_Document):
    """What the command of ``evaluate.utility`` is given as ``request.json``; one for every training."""

    schema_name: Literal["twinset/trainer-request/1"] = Field("twinset/trainer-request/1", alias="schema")
    cell: str = Field(description="Name of this training.")
    task: Literal["detection", "instance-segmentation", "semantic-segmentation"]
    classes: list[str] = Field(description="A class is named by its place here, from 0.")
    annotations: str | None = Field(description="COCO file of the training objects; null where pixels are classified.")
    train: list[TrainingImage]
    validation: list[JudgedImage]
    test: list[JudgedImage]
    seed: int = Field(description="Equal for all trainings that are compared with each other.")
    synthetic_share: float = Field(description="Share of every batch to draw from the synthetic pictures.")
    balanced: bool = Field(description="Whether to show rare classes more often.")
    augmentation: AugmentationPart
    batch: int = Field(description="Pictures per step, if the command has no better idea.")
    threads: int = Field(description="Threads that it may use: several trainings run side by side.")
    seconds_at_most: float = Field(description="After so long it is stopped.")
    response: str = Field(description="The file to write.")


class RunLengths(_Document):
    """A mask as COCO writes it: packed text, or plain numbers down the columns; size is height, width."""

    size: tuple[int, int]
    counts: str | list[int]


class DetectionPart(_Document):
    """An object that was found. ``box`` is x1, y1, x2, y2 in pixels of the file that was given."""

    image_id: int
    class_id: int = Field(alias="class")
    box: tuple[float, float, float, float]
    score: float = Field(ge=0, le=1)
    rle: RunLengths | None = Field(None, description="The visible mask; needed in task instance-segmentation.")


class FoundObjects(_Document):
    """The answer where objects are found: all of the validation and test pictures in one list."""

    schema_name: Literal["twinset/trainer-response/1"] = Field(alias="schema")
    detections: list[DetectionPart]


class FoundMaps(_Document):
    """The answer where pixels are classified: a folder with ``ID.png``, grey or palette, of each of those pictures."""

    schema_name: Literal["twinset/trainer-response/1"] = Field(alias="schema")
    maps: str


class TrainerResponseDocument(RootModel[FoundObjects | FoundMaps]):
    """What that command answers in ``response.json``."""


DOCUMENTS: dict[str, type[BaseModel]] = {
    "run": RunDocument,
    "plan": PlanDocument,
    "status": StatusDocument,
    "verify": VerifyDocument,
    "inspect": InspectDocument,
    "compare": CompareDocument,
    "convert": ConvertDocument,
    "init": InitDocument,
    "plugins": PluginsDocument,
    "doctor": DoctorDocument,
    "error": ErrorDocument,
    "trainer-request": TrainerRequestDocument,
    "trainer-response": TrainerResponseDocument,
}


def schema(name: str) -> dict[str, object]:
    """The JSON Schema of a document, or of the recipe; :class:`UnknownNameError` for others."""
    if name == "recipe":
        from twinset.recipe import Recipe

        return Recipe.model_json_schema()
    name = {"resume": "run", "evaluate": "run"}.get(name, name)
    if name not in DOCUMENTS:
        raise UnknownNameError("schema", name, [*DOCUMENTS, "recipe"])
    return DOCUMENTS[name].model_json_schema()


def to_json(document: BaseModel) -> str:
    """One line of JSON. A path that is not UTF-8 has its odd bytes as escapes, as Python's ``json`` reads them back."""
    try:
        return document.model_dump_json(by_alias=True)
    except PydanticSerializationError:
        return json.dumps(document.model_dump(mode="json", by_alias=True))
