"""The parts of a run file, each checked by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from twinset.formats.writing import WritableFormat
from twinset.metric_names import DEFAULTS, chosen

if TYPE_CHECKING:
    from twinset.alignment.curation import Curation

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Side = Annotated[int, Field(ge=4, le=4096)]
EXPORTS: tuple[WritableFormat, ...] = get_args(WritableFormat)


class Part(BaseModel):
    """A part whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataPart(Part):
    """The real dataset."""

    path: str = Field(description="Folder, table file or `builtin:NAME`; relative to the recipe.")
    licence: str | None = Field(None, description="Licence of the real images; stands in report and dataset card.")
    consent: str | None = Field(
        None, max_length=2000, description="What those who are shown, or own the images, agreed to; stands in the card."
    )
    window: tuple[float, float] | None = Field(
        None, description="Values of 16-bit or float images that become black and white; default 0 and 65535."
    )

    @pydantic.field_validator("window")
    @classmethod
    def _window(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not (all(map(math.isfinite, value)) and value[0] < value[1]):
            raise ValueError("expected two numbers, the value of black below that of white")
        return value


class ImagePart(Part):
    """The one size that the run works at."""

    size: Literal["auto"] | Side | tuple[Side, Side] = Field(
        "auto",
        description="Side in pixels, [height, width], or auto: as the images are; in classification at most 32.",
    )
    channels: Literal["auto", 1, 3] = Field("auto", description="1 grey, 3 RGB.")
    fit: Literal["stretch", "crop", "pad"] = Field("stretch", description="How another aspect ratio is met.")


class GroupsPart(Part):
    """What belongs together and must not straddle a split: exactly one of the three."""

    column: str | None = Field(None, description="A column of the table (patient, video, …).")
    regex: str | None = Field(None, description="A pattern on the path; its first group names the family.")
    folder: int | None = Field(None, ge=1, description="Depth of the folder that names the family.")

    @pydantic.model_validator(mode="after")
    def _one(self) -> GroupsPart:
        from twinset.families import GroupRule

        GroupRule(column=self.column, regex=self.regex, folder=self.folder)
        return self


class SplitPart(Part):
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


class UtilityPart(Part):
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


class TargetPart(Part):
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


class MatchPart(Part):
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


class CuratePart(Part):
    """A pilot of pictures, after `match`, by which shapes unlike the real objects are left out (docs/rendering.md)."""

    objects: int = Field(20, ge=2, description="Objects of every shape that the pilot is to show.")
    images: int = Field(400, ge=24, le=20_000, description="Images of the pilot at most.")
    rule: Literal["deviations", "elbow"] = Field(
        "deviations", description="Where the line of the shapes' mean distances lies."
    )
    deviations: float = Field(2.5, gt=0, le=100, description="Of the shapes, robust; for `rule: deviations`.")
    least_excess: float = Field(
        0.1, ge=0, le=100, description="Least distance of the line from a usual shape, as share."
    )
    error_rate: float = Field(0.05, ge=0.002, lt=0.5, description="Of dropping any of a class whose shapes are equal.")
    fewest: int = Field(5, ge=2, description="Objects below which a shape is not judged.")
    most_dropped: float = Field(0.25, gt=0, le=0.9, description="Share of a class's shapes that may go.")

    @property
    def settings(self) -> Curation:
        """When a shape is dropped."""
        from twinset.alignment.curation import Curation

        given = self.model_dump(exclude={"objects", "images"})
        return Curation(**given)


class CloseGapPart(Part):
    """Steps that bring every generator nearer to the exposed images, each measured before and after (docs/gap.md).

    Their settings are those under `match`, `curate` and `evolve`, which then only take place inside the loop.
    """

    steps: tuple[Literal["layout", "match", "curate", "filter", "evolve"], ...] = Field(
        ("layout", "match", "curate", "filter", "evolve"), min_length=1, description="In this order, each at most once."
    )
    images: int = Field(120, ge=24, le=10_000, description="Pictures that every step is measured by.")
    keep: Literal["helpful", "all"] = Field(
        "helpful", description="helpful: what brings metadata or features nearer beyond chance, and neither farther."
    )

    @pydantic.model_validator(mode="after")
    def _once(self) -> CloseGapPart:
        if len(set(self.steps)) != len(self.steps):
            raise ValueError(f"expected each step once; got {', '.join(self.steps)}")
        searches = [step for step in self.steps if step in ("match", "evolve")]
        if searches == ["evolve", "match"]:
            raise ValueError("expected match before evolve, which has the last word; got match after it")
        return self


class CostPart(Part):
    """What an hour and a label cost. Prices are in one currency, whichever it is."""

    price_per_hour: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Of this machine; the price of 1,000 images follows from it."
    )
    price_per_label: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="What a person takes for labelling one image, for reference."
    )
    energy: Literal["off", "codecarbon"] = Field(
        "off", description="codecarbon: kWh for 1,000 images too (`twinset[energy]`, offline)."
    )


class EvaluatePart(Part):
    """What is measured."""

    embedder: UsePart = Field(UsePart(use="self"), description="Features of the fidelity metrics.")
    fidelity: bool = True
    metrics: str | tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="What `fidelity` measures: names as `twinset compare --metrics` takes them, in a list, or `all`; "
        f"default: {', '.join(DEFAULTS['run'])}.",
    )
    metadata: bool = Field(True, description="Distributions of size, place, number and look of objects, by histogram.")
    explain: bool = Field(True, description="Which images the twin lacks and which it invents, by those features.")
    utility: UtilityPart | Literal["off"] = UtilityPart()
    subgroups: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Attributes of the real images (columns of a table) by whose values figures are told too.",
    )
    cost: CostPart | None = Field(None, description="Hours for 1,000 images are always told; here prices and energy.")

    @pydantic.model_validator(mode="after")
    def _asked(self) -> EvaluatePart:
        if self.metrics is not None and not self.fidelity:
            raise ValueError("expected metrics with fidelity: true; got fidelity: false; leave one of them out")
        return self

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What is measured, by name; :class:`~twinset.errors.UnknownNameError` for a name that there is not."""
        return chosen("default" if self.metrics is None else self.metrics, by="run")


class GatePart(Part):
    """What may block the release."""

    copies: Literal["auto", "block", "block-unrecorded", "report", "off"] = Field(
        "auto",
        description="On copies of training images. block: no export; block-unrecorded: the same, but what images show "
        "of the training images that they record as their parents is reported; report: all is reported; off: not "
        "tested. auto: block, or block-unrecorded where real pixels are kept on purpose.",
    )
    alpha: float = Field(0.01, gt=0, lt=0.5, description="False alarm rate of the joint copy test.")
