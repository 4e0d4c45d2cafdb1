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


class CostRow(_Document):
    """Hours of this run, and hours, price and energy for 1,000 accepted images; null where it is not known."""

    hours: float
    hours_per_1000: float | None
    price_per_1000: float | None
    kwh_per_1000: float | None


class CostPart(_Document):
    """What the run took, over all its sittings; prices are in the currency of the recipe."""

    accepted: int
    rows: dict[str, CostRow] = Field(
        description="`making`: from reading the real images to the export; `the next 1,000`: generating and aligning "
        "alone; `making and measuring`: all."
    )
    labelling_price_per_1000: float | None = Field(description="What people would take for labelling 1,000 images.")
    undefined_because: str | None = None


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
    cost: CostPart | None = None
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
    protocol: dict[str, str | int] = Field(
        {}, description="Extractor, size, resize, seed, version and digests: what numbers must share to be compared."
    )
    scores: dict[str, ScorePart]
    explanation: ExplanationPart | None = Field(None, description="With --report or --metrics all.")
    gate: GatePart | None = None
    verdict: VerdictPart | None = None
    utility: dict[str, ArmPart] = {}
    report: str | None = None
    warnings: list[str] = []
    seconds: float


class DetectorPart(_Document):
    """Where a detector comes from and what it scored; it knows the generators that it was fitted on and no others."""

    sha256: str
    real_name: str
    synthetic_name: str
    generators: list[str] = Field(description="Methods that made the synthetic images, where these say so.")
    n_real: int
    n_synthetic: int
    held_out_real: int = Field(description="Images that it was not fitted on; the false-alarm rates come from these.")
    held_out_synthetic: int
    auc: float = Field(description="Of the held-out images of these two sets, and of no others.")
    auc_low: float
    auc_high: float
    thresholds: dict[str, float | None] = Field(
        description="The score above which an image is called generated, by false-alarm rate; null: too few held out."
    )
    seed: int
    warnings: list[str] = []


class DetectedImage(_Document):
    """One picture. ``false_alarm_rate``: how often a real image like those held out scores as high."""

    id: str
    score: float = Field(description="About -1 for real and 1 for synthetic images of the fitted sets.")
    false_alarm_rate: float
    outside: float = Field(description="Share of its features far beyond all that the detector was fitted on.")
    flagged: bool | None = Field(description="Called generated at the rate asked for; null where that is undefined.")


class ExpectedFlags(_Document):
    """How many images would be flagged if all were real: the mean, and an interval that holds 95 % of cases."""

    value: float
    low: float
    high: float


class DetectDocument(_Document):
    """What ``detect`` answers; ``flagged`` is null exactly when ``undefined_because`` says why."""

    schema_name: Literal["twinset/detect/1"] = Field("twinset/detect/1", alias="schema")
    source: str
    detector_file: str
    detector: DetectorPart
    n_images: int
    rate: float = Field(description="The false-alarm rate at which images are called generated.")
    flagged: int | None
    undefined_because: str | None = None
    expected_if_all_real: ExpectedFlags | None
    p_value_if_all_real: float | None = Field(description="Chance of as many flagged images if all were real.")
    sentence: str
    limits: str
    images: list[DetectedImage]
    warnings: list[str] = []
    seconds: float


class FitDetectorDocument(_Document):
    """What ``fit-detector`` answers."""

    schema_name: Literal["twinset/fit-detector/1"] = Field("twinset/fit-detector/1", alias="schema")
    detector_file: str
    detector: DetectorPart
    limits: str
    warnings: list[str] = []
    seconds: float


class RegionPart(_Document):
    """Images of one set, the medoid first, that have none of the other near; ``nearest`` are the other set's."""

    ids: list[str]
    nearest: list[str]
    share: float
    p_value: float = Field(description="Of a region this large, for all regions at once.")
    classes: dict[str, int] = {}
    sentence: str


class RegionsPart(_Document):
    """Regions of one set that the other leaves empty, the largest first."""

    regions: list[RegionPart]
    examined: int
    others: int
    alone: int = Field(description="Examined images whose k nearest neighbours are all nearer than the other set.")
    chance_share: float = Field(description="Share of such images in sets of one law.")
    k: int
    alpha: float = Field(description="Chance that any region is listed, for sets of one law.")
    undefined_because: str | None = None
    sentence: str


class OddPart(_Document):
    """A real image far from all others, and whether the twin has one near."""

    id: str
    kind: Literal["outlier", "corner case"]
    nearest_real: str
    nearest_synthetic: str
    ratio: float = Field(description="Distance of the nearest synthetic image over what counts as near.")
    contained: bool


class GapFigurePart(_Document):
    """A figure of one class, its mean under permuted labels, its p-value adjusted for all classes and figures."""

    value: float
    floor: float
    adjusted: float
    beyond_chance: bool


class ClassGapPart(_Document):
    """A class that differs beyond chance, and images of it that show how: at most eight a side."""

    figures: dict[str, GapFigurePart]
    n_real: int
    n_synthetic: int
    uncovered: list[str]
    unsupported: list[str]


class NearPairPart(_Document):
    """A synthetic image and the training image nearest to it by features."""

    synthetic: str
    training: str
    distance: float
    ratio: float | None = Field(description="Over the median distance of unseen real images.")
    unseen_share: float | None = Field(description="Share of unseen real images that come as close.")
    repeats: int = Field(description="Synthetic images that share this training image.")


class ExplanationPart(_Document):
    """Why the figures are what they are: images to look at, each finding with its chance of being none."""

    extractor: str
    sentences: list[str]
    alarms: list[str]
    uncovered: RegionsPart
    unsupported: RegionsPart
    odd: list[OddPart]
    classes: dict[str, ClassGapPart] = Field({}, description="Classes that differ beyond chance, worst first.")
    pairs: list[NearPairPart] = []
    notes: list[str] = []


class ExplanationDocument(ExplanationPart):
    """What ``evaluation/explanation.json`` of a run holds."""

    schema_name: Literal["twinset/explanation/1"] = Field("twinset/explanation/1", alias="schema")


class RankedPart(_Document):
    """One set's place by one score: a range of ranks; sets whose ranges meet cannot be told apart."""

    name: str
    value: float
    standard_error: float
    best: int
    worst: int


class LeaderboardDocument(_Document):
    """``twinset leaderboard``: sets by every score, best first, compared at equal numbers of images."""

    schema_name: Literal["twinset/leaderboard/1"] = Field("twinset/leaderboard/1", alias="schema")
    by: str
    n_real: int
    n_synthetic: int
    extractor: str
    seed: int
    scores: dict[str, list[RankedPart]]
    verdicts: dict[str, VerdictPart] = Field({}, description="Of the sets that are runs.")
    warnings: list[str] = []


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
    "leaderboard": LeaderboardDocument,
    "explanation": ExplanationDocument,
    "detect": DetectDocument,
    "fit-detector": FitDetectorDocument,
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
