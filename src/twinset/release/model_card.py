"""The model card of a generator, classifier or detector that leaves a run.

Its sections are those of Mitchell et al. 2019, "Model Cards for Model Reporting" (FAccT, section 4): details, intended
use, factors, metrics with evaluation data and figures, training data, ethical considerations (privacy), caveats. The
front matter is what the Hugging Face hub reads of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from twinset.release.audited import AuditResult
from twinset.release.facts import Parent
from twinset.release.markdown import bullets, code, fenced, front_matter, plain, sentence, table

ModelKind = Literal["generator", "classifier", "detector"]

TASKS: Mapping[ModelKind, str] = {
    "generator": "unconditional-image-generation",
    "classifier": "image-classification",
    "detector": "image-classification",
}
"""``pipeline_tag`` as the hub names it; it has none for images of a class, nor for the detection of generated ones."""

TAGS: Mapping[ModelKind, tuple[str, ...]] = {
    "generator": ("synthetic-data", "diffusion", "class-conditional"),
    "classifier": ("image-classification",),
    "detector": ("synthetic-image-detection",),
}

MEANT: Mapping[ModelKind, tuple[str, str]] = {
    "generator": (
        "To make synthetic images like its training images, for training and testing recognition models beside real "
        "ones.",
        "Images as evidence about the world or about persons; images of other kinds than it was trained on. What it "
        "makes was not filtered: a twin's copies and odd images are taken out afterwards.",
    ),
    "classifier": (
        "To tell the classes below apart in pictures like those it was trained on.",
        "Pictures of another source, camera or size, or of other classes: it names one of its classes all the same. "
        "Decisions about persons without a human who checks them.",
    ),
    "detector": (
        "To find images of the generators it was fitted on, among real images of the source it was fitted on.",
        "Proof that a single picture is generated or real; images of other generators or of other cameras and coders.",
    ),
}
"""What each is meant for, and what not."""


@dataclass(frozen=True)
class ModelFigure:
    """One figure with its interval (95 %), where it has one; ``on`` says of which images it is."""

    name: str
    value: float
    interval: tuple[float, float] | None
    on: str


@dataclass(frozen=True)
class ModelRelease:
    """Everything that a model card tells. ``file`` holds the weights, beside the card; ``sha256`` is that file's.

    ``about`` says what network it is, ``takes`` the size of its pictures, ``training`` how it was trained, ``load`` is
    Python that loads it. ``parents`` are the datasets it was trained on, ``behind`` the real ones that those were made
    from; ``no_figures`` says why there are none, where there are none. ``account`` tells of differential privacy.
    """

    name: str
    kind: ModelKind
    version: str
    created: str
    file: str
    sha256: str
    about: str
    takes: str
    training: str
    load: str
    parents: tuple[Parent, ...]
    behind: tuple[Parent, ...] = ()
    classes: tuple[str, ...] = ()
    figures: tuple[ModelFigure, ...] = ()
    no_figures: str = "Not measured."
    audit: AuditResult | None = None
    audit_command: str = ""
    account: str = ""
    limits: tuple[str, ...] = ()
    access: str | None = None


def model_card(model: ModelRelease) -> str:
    """The card as Markdown with YAML front matter, ready for ``README.md`` or ``MODEL_CARD.md``."""
    parts = [
        front_matter(_head(model)),
        f"# {plain(model.name)}",
        "## Model details\n\n" + _details(model),
        "## Intended use\n\n" + _use(model),
        "## Factors\n\n" + _factors(model),
        "## Training data\n\n" + _parents(model),
        "## Metrics\n\n" + _figures(model),
        "## Privacy audit\n\n" + _audit(model),
        "## Differential privacy\n\n" + plain(model.account or "None: the training had no formal guarantee."),
        "## Access\n\n" + plain(model.access or "Not stated: who may have this model is for its publisher to say."),
        "## Caveats and recommendations\n\n" + _limits(model),
        "## How to load it\n\n" + fenced(model.load, "python"),
    ]
    return "\n\n".join(parts) + "\n"


def _head(model: ModelRelease) -> dict[str, object]:
    head: dict[str, object] = {
        "license": "unknown",
        "library_name": "twinset",
        "pipeline_tag": TASKS[model.kind],
        "tags": ["twinset", *TAGS[model.kind]],
    }
    if model.figures:
        head["model-index"] = [{"name": _line(model.name), "results": [_result(model, each) for each in model.figures]}]
    return head


def _result(model: ModelRelease, figure: ModelFigure) -> dict[str, object]:
    kind = figure.name.replace(" ", "_")
    return {
        "task": {"type": TASKS[model.kind]},
        "dataset": {"name": _line(figure.on), "type": "held-out"},
        "metrics": [{"type": kind, "name": figure.name, "value": round(figure.value, 4)}],
    }


def _line(text: str) -> str:
    return " ".join(text.split())


def _details(model: ModelRelease) -> str:
    rows = [
        ("kind", model.kind),
        ("network", plain(model.about)),
        ("pictures", plain(model.takes)),
        ("trained", plain(model.training)),
        ("made by", f"twinset {plain(model.version)}, {plain(model.created)}"),
        ("file", f"`{code(model.file)}`"),
        ("sha256", f"`{code(model.sha256)}`"),
        ("licence", "none of its own: twinset gives it none; see the training data"),
    ]
    return table(("what", "told"), rows)


def _use(model: ModelRelease) -> str:
    meant, not_meant = MEANT[model.kind]
    return f"{meant}\n\n**Not meant for**: {not_meant}"


def _factors(model: ModelRelease) -> str:
    groups = "Figures by group of persons or sites are not in this card; `evaluate.subgroups` measures them for a twin."
    if not model.classes:
        return f"It has no classes. {groups}"
    rows = [(str(number), plain(name)) for number, name in enumerate(model.classes)]
    return f"{table(('class id', 'class'), rows)}\n\n{groups}"


def _parents(model: ModelRelease) -> str:
    told = table(
        ("dataset", "images", "licence", "consent", "sha256"),
        [_parent(each) for each in (*model.parents, *model.behind)],
    )
    if not model.behind:
        return told
    names = " and ".join(plain(each.name) for each in model.behind)
    return f"{told}\n\nIt was trained on {plain(model.parents[0].name)}, which was made from {names}."


def _parent(parent: Parent) -> tuple[str, ...]:
    licence, consent = (plain(value or "not recorded") for value in (parent.licence, parent.consent))
    images = f"{parent.images:,}" if parent.images else "not recorded"
    return plain(parent.name), images, licence, consent, f"`{code(parent.digest)}`"


def _figures(model: ModelRelease) -> str:
    if not model.figures:
        return plain(model.no_figures)
    rows = [
        (
            plain(figure.name),
            f"{figure.value:.3f}",
            "–" if figure.interval is None else f"{figure.interval[0]:.3f} … {figure.interval[1]:.3f}",
            plain(figure.on),
        )
        for figure in model.figures
    ]
    return table(("figure", "value", "95 % interval", "evaluation data"), rows)


def _audit(model: ModelRelease) -> str:
    if model.audit is not None:
        return model.audit.to_markdown()
    told = "Not audited. Nobody tried to find out which images it was trained on; a model may remember some."
    return f"{told}\n\n{fenced(model.audit_command, 'sh')}" if model.audit_command else told


def _limits(model: ModelRelease) -> str:
    always = ("It inherits the gaps and biases of its training data and may add its own.",)
    return bullets(sentence(limit) for limit in (*always, *model.limits))
