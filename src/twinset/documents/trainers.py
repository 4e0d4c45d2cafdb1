"""What the command of a user's own trainer is given, and what it answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, RootModel

from twinset.documents.document import Document


class JudgedImage(Document):
    """A picture to predict; ``file`` is relative to the folder of the request, sizes are in pixels."""

    id: int
    file: str
    width: int
    height: int


class TrainingImage(JudgedImage):
    """A picture to learn from. ``map`` is a grey PNG of class ids, 255 where the class is unknown (pixels only)."""

    synthetic: bool
    map: str | None = None


class AugmentationPart(Document):
    """The classical augmentation that this training is to have; flips are left–right, turns by quarters."""

    strength: Literal["none", "light", "medium", "strong"]
    flip: bool
    turn: bool


class TrainerRequestDocument(Document):
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


class RunLengths(Document):
    """A mask as COCO writes it: packed text, or plain numbers down the columns; size is height, width."""

    size: tuple[int, int]
    counts: str | list[int]


class DetectionPart(Document):
    """An object that was found. ``box`` is x1, y1, x2, y2 in pixels of the file that was given."""

    image_id: int
    class_id: int = Field(alias="class")
    box: tuple[float, float, float, float]
    score: float = Field(ge=0, le=1)
    rle: RunLengths | None = Field(None, description="The visible mask; needed in task instance-segmentation.")


class FoundObjects(Document):
    """The answer where objects are found: all of the validation and test pictures in one list."""

    schema_name: Literal["twinset/trainer-response/1"] = Field(alias="schema")
    detections: list[DetectionPart]


class FoundMaps(Document):
    """The answer where pixels are classified: a folder with ``ID.png``, grey or palette, of each of those pictures."""

    schema_name: Literal["twinset/trainer-response/1"] = Field(alias="schema")
    maps: str


class TrainerResponseDocument(RootModel[FoundObjects | FoundMaps]):
    """What that command answers in ``response.json``."""
