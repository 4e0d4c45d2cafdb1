"""The dataset card: README.md with the front matter that the Hugging Face hub reads, and honest prose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from twinset.dataset import Task
from twinset.release.facts import LABELS, Release
from twinset.release.markdown import bullets, code, fenced, front_matter, percent, plain, table
from twinset.release.marked import Marked
from twinset.scores import ANSWERS, Score

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

HUB: Mapping[Task, tuple[str, tuple[str, ...]]] = {
    "classification": ("image-classification", ("multi-class-image-classification",)),
    "detection": ("object-detection", ()),
    "instance-segmentation": ("image-segmentation", ("instance-segmentation",)),
    "semantic-segmentation": ("image-segmentation", ("semantic-segmentation",)),
}
"""``task_categories`` and ``task_ids`` as the hub names them."""

TRAINED: Mapping[Task, str] = {
    "classification": "classifier",
    "detection": "detector",
    "instance-segmentation": "detector",
    "semantic-segmentation": "segmenter",
}


def dataset_card(release: Release) -> str:
    """The card as Markdown with YAML front matter, ready for ``README.md``."""
    parts = [
        _front_matter(release),
        f"# {plain(release.name)}",
        _introduction(release),
        "## Does it help?\n\n" + _verdict(release),
        "## Content\n\n" + _content(release),
        "## How it was made\n\n" + _making(release),
        "## Real parents and licences\n\n" + _parents(release),
        "## Marks in the files\n\n" + _marks(release),
        "## Access\n\n" + _access(release),
        "## Likeness to the real images\n\n" + _scores([s for s in release.scores if not s.name.endswith("]")]),
        "## Copies of training images\n\n" + _gate(release),
        "## Privacy audit\n\n" + _audit(release),
        *(["## Images taken out\n\n" + _redactions(release)] if release.redactions else []),
        "## Limits and intended use\n\n" + _limits(release),
        "## Reproduce\n\n" + _reproduction(release),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(release: Release) -> str:
    category, ids = HUB[release.task]
    head: dict[str, object] = {
        "pretty_name": " ".join(release.name.split()),
        "license": "unknown",
        "task_categories": [category],
        **({"task_ids": list(ids)} if ids else {}),
        "tags": ["synthetic", "synthetic-data", "twinset"],
        "size_categories": [next((name for limit, name in SIZES if release.images < limit), "1M<n<10M")],
        "annotations_creators": ["machine-generated"],
    }
    if any(export.format == "parquet" for export in release.exports):
        head["configs"] = [{"config_name": "default", "data_files": _data_files(release)}]
    return front_matter(head)


def _data_files(release: Release) -> list[dict[str, object]]:
    splits: dict[str, list[str]] = {}
    for export in release.exports:
        for file in export.files if export.format == "parquet" else ():
            if file.path.endswith(".parquet"):
                splits.setdefault(PurePosixPath(file.path).name.split("-")[0], []).append(file.path)
    return [{"split": split, "path": paths} for split, paths in splits.items()]


def _introduction(release: Release) -> str:
    colour = "grey" if release.channels == 1 else "RGB"
    names = " and ".join(plain(parent.name) for parent in release.parents) or "no named dataset"
    return (
        f"**Synthetic images.** {release.images:,} {colour} images of {release.size_text} pixels, labelled with "
        f"{LABELS[release.task]} in {len(release.counts)} classes, made by twinset {plain(release.version)} as a "
        f"synthetic twin of {names}. Every file says so itself (XMP, IPTC `DigitalSourceType`), and names its parents "
        "if it was edited or pasted from real ones."
    )


def _verdict(release: Release) -> str:
    if release.decision is None:
        return f"Not measured: no {TRAINED[release.task]} was trained with and without these images."
    headline, _, rest = release.sentence.partition(": ")
    answer = ANSWERS[release.decision]
    told_again = rest[:1].upper() + rest[1:] if headline.lower() == answer.lower() and rest else release.sentence
    lines = [f"**{answer}.** {plain(told_again)}"]
    if release.difference is not None:
        value, low, high = (f"{100 * part:+.1f}".replace("-", "−") for part in release.difference)
        lines.append(f"Difference on real test images: {value} percentage points of {release.metric} ({low} … {high}).")
    if release.arms:
        rows = [
            (plain(arm.name), percent(arm.mean), f"{percent(arm.low)} … {percent(arm.high)}", str(arm.seeds))
            for arm in release.arms
        ]
        lines.append(table(("trained on", f"{release.metric}, real test images", "95 % interval", "seeds"), rows))
    return "\n\n".join(lines)


def _content(release: Release) -> str:
    counts = _counts(release)
    formats = ", ".join(export.format for export in release.exports)
    size = sum(file.bytes for export in release.exports for file in export.files)
    if not formats:
        return counts
    files = "`croissant.json` lists every file with its digest."
    return f"{counts}\n\nFormats: {formats}; {size / 1e6:,.1f} MB in all. {files}"


def _counts(release: Release) -> str:
    """How much of every class there is; of objects also in how many images, how many in one, and how large."""
    marked = release.marked
    if marked is None or release.task == "semantic-segmentation":
        shown = table(("class", release.unit), [(plain(name), f"{n:,}") for name, n in release.counts.items()])
    else:
        rows = [(plain(name), f"{n:,}", f"{marked.images.get(name, 0):,}") for name, n in release.counts.items()]
        total = ("all", f"{sum(release.counts.values()):,}", f"{release.images - marked.empty:,}")
        shown = table(("class", release.unit, "images that show it"), [*rows, total])
    return "\n\n".join([shown, *_groups(release), *(() if marked is None else _marked_lines(marked))])


def _groups(release: Release) -> Iterator[str]:
    """Images of every group before and after, where they carry an attribute."""
    for by, images in release.groups.items():
        rows = [(plain(name), f"{n:,}", f"{made:,}", f"{n + made:,}") for name, (n, made) in images.items()]
        yield table((plain(by), "real training images", "images here", "together"), rows)


def _marked_lines(marked: Marked) -> Iterator[str]:
    if marked.empty:
        yield f"Images that show none of these classes: {marked.empty:,}."
    if marked.per_image is not None and marked.sides is not None:
        yield (
            f"Objects in an image: {_spread(marked.per_image)}. Side of a box (square root of its area), in pixels: "
            f"{_spread(marked.sides)}."
        )


def _spread(values: tuple[float, float, float]) -> str:
    """``median 12 (10 % to 90 %: 4 … 30)``."""
    low, middle, high = (f"{value:.3g}" for value in values)
    return f"median {middle} (10 % to 90 %: {low} … {high})"


def _making(release: Release) -> str:
    methods = table(("method", "images"), [(plain(name), f"{n:,}") for name, n in release.methods.items()])
    return (
        f"{methods}\n\nEvery image has its own seed, derived from the run's seed {release.seed} and its place in the "
        f"plan. The recipe as resolved (digest `{code(release.recipe_digest)}`):\n\n{fenced(release.recipe, 'yaml')}"
    )


def _parents(release: Release) -> str:
    rows = [
        (
            plain(parent.name),
            f"{parent.images:,}",
            plain(parent.licence or "not recorded"),
            plain(parent.consent or "not recorded"),
            f"`{code(parent.digest)}`",
        )
        for parent in release.parents
    ]
    own = "The release has no licence of its own: twinset gives it none."
    if not rows:
        return own
    note = (
        "What may be done with it is for the licence of the real images to say; check that before you publish. Images "
        "edited from real ones carry the licence that is recorded of those, if any (XMP, `dc:rights`)."
    )
    return f"{table(('real dataset', 'images used', 'licence', 'consent', 'sha256'), rows)}\n\n{own} {note}"


def _marks(release: Release) -> str:
    lines = [
        "Every synthetic picture says that it is one: XMP with IPTC's `DigitalSourceType`, method, seed and parents. "
        "Metadata goes where a picture is written anew; that it is missing proves nothing.",
        *release.marks,
    ]
    return bullets(lines)


def _access(release: Release) -> str:
    if release.access is None:
        return "Not stated: who may have these images is for whoever publishes them to say."
    return plain(release.access)


def _scores(scores: Sequence[Score]) -> str:
    if not scores:
        return "Not measured."
    header = ("figure", "value", "95 % interval", "real vs real", "N real", "N synthetic", "extractor")
    notes = [f"- {plain(score.name)}: {plain(note)}" for score in scores for note in _notes(score)]
    shown = table(header, [_score_row(score) for score in scores])
    explained = "“Real vs real” is what two sets of real images of the same sizes score against each other."
    return "\n\n".join([shown, explained, *(["\n".join(notes)] if notes else [])])


def _notes(score: Score) -> Iterator[str]:
    if score.undefined_because:
        yield score.undefined_because
    yield from score.warnings


def _score_row(score: Score) -> tuple[str, ...]:
    arrow = {True: " ↑", False: " ↓", None: ""}[score.higher_is_better]
    interval = f"{score.interval.low:.3g} … {score.interval.high:.3g}" if score.interval else "–"
    return (
        plain(score.name) + arrow,
        "–" if score.value is None else f"{score.value:.3g}",
        interval,
        "–" if score.floor is None else f"{score.floor:.3g}",
        f"{score.counts.get('real', 0):,}",
        f"{score.counts.get('synthetic', 0):,}",
        plain(score.extractor or "–"),
    )


def _gate(release: Release) -> str:
    if release.gate_passed is None:
        return "Not tested. These images may repeat training images."
    failed = "Failed" if release.decision == "blocked_by_gate" else "Copies found, which the recipe lets out"
    result = "Passed" if release.gate_passed else failed
    caution = "Passing means that no copies were found, not that the data is private."
    sentence = release.gate_sentence[:1].upper() + release.gate_sentence[1:].rstrip(".")
    return f"**{result}.** {plain(sentence)}. {caution}"


def _audit(release: Release) -> str:
    if release.audit is None:
        return "Not audited. Nobody tried to find out which real images these were made from."
    told = release.audit.to_markdown()
    if release.generator_audit is None:
        return told
    where = f"Its weights are in `{code(release.generator)}`" if release.generator else "Its weights are not released"
    return f"{told}\n\n### The generator\n\n{where}.\n\n{release.generator_audit.to_markdown()}"


def _redactions(release: Release) -> str:
    rows = [
        (plain(note.when), f"{note.images:,}", plain(note.reason), f"`{code(note.before)}`")
        for note in release.redactions
    ]
    told = "Images that were made and are no longer in here. All figures of this card are of what is left."
    return f"{told}\n\n{table(('when', 'images', 'why', 'dataset before, sha256'), rows)}"


def _limits(release: Release) -> str:
    always = (
        "Meant for training and testing recognition models beside real images of the same kind, not as evidence about "
        "the world.",
        "It inherits the gaps and biases of its real parents and may add its own.",
        "Report results on real test images only.",
    )
    return bullets(plain(limit) for limit in (*always, *release.limits))


def _reproduction(release: Release) -> str:
    return (
        f"{fenced(release.command, 'sh')}\n\nThe same recipe, real data and package versions give a dataset with the "
        f"digest `{code(release.digest)}` (sha256 over labels, origins and decoded pixels). "
        f"Made on {plain(release.created)}."
    )
