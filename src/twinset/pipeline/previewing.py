"""A look at what a recipe will make, in seconds: pictures with their labels on one sheet, a scene as glTF.

Nothing is calibrated, split by likeness, matched or filtered. What trains a network is named and left out; the rest is
fitted on a few of the images that a run would expose.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np

from twinset import documents
from twinset.dataset import Dataset, Sample, Task
from twinset.errors import RunFolderError, UsageError
from twinset.formats.counting import counted
from twinset.images import encode_png
from twinset.paths import expanded
from twinset.pipeline.fitting import EditedReal, Source, check_training, sources_of, takes_workspace
from twinset.pipeline.folders import refuse_inside
from twinset.pipeline.image_sizes import at_run_size
from twinset.pipeline.planning import largest_remainder, sources
from twinset.pipeline.real import read_real
from twinset.pipeline.real_checks import task_of
from twinset.pipeline.reporting import Listener
from twinset.pipeline.sheets import Row, sheet
from twinset.randomness import Stream, seed_for
from twinset.recipe import Recipe, WrittenRecipe
from twinset.recipe.model import PLACED
from twinset.stages import CheckedMethod, Editor, EditorMethod, FiniteGenerator, Generator, Method, Remarking, Slot
from twinset.store import write_bytes

MOST_REAL = 32
"""Training images that generators are fitted on for a look."""

MOST_SHOWN = 200
STEERING = ("target", "match", "curate", "evolve", "close_gap")
"""Keys of a recipe that move its generators in a run, and not here."""


@dataclass(frozen=True, eq=False)
class Glance:
    """A recipe with its task decided, some training images, what can be fitted quickly, and what cannot."""

    recipe: Recipe
    task: Task
    training: Dataset
    quick: tuple[Source, ...]
    slow: tuple[Source, ...]

    def slot(self, source: Source, number: int) -> Slot:
        """The ``number``-th picture of a source: the same one however many are drawn. Classes take turns."""
        count = len(self.training.classes) if self.task == "classification" else 1
        rank, class_id = divmod(number, count)
        seed = seed_for(self.recipe.seed, "preview", source.number, number)
        return Slot(number, 0, seed, class_id, self.recipe.digest(), rank)

    def fitted(self, source: Source, listener: Listener) -> Generator:
        """What a quick source makes of the training images."""
        listener.stage(f"fit {source.name}")
        rng = Stream(self.recipe.seed).child("preview", source.number)
        if source.kind == "generators":
            return cast("Method", source.method).fit(self.training, rng=rng)
        method = source.method
        editor = method.fit(self.training, rng=rng) if isinstance(method, EditorMethod) else cast("Editor", method)
        return EditedReal(editor, self.training, source.use)

    @property
    def left_out(self) -> list[str]:
        """What is not shown of a run of this recipe."""
        found = [f"{source.name}: not shown, as it trains a network first" for source in self.slow]
        for key in STEERING:
            if getattr(self.recipe, key) is not None:
                found.append(f"{key}: not followed here; the pictures are those of the settings as they stand")
        return found


def preview(
    written: WrittenRecipe, *, out: Path, count: int, force: bool, listener: Listener
) -> documents.PreviewDocument:
    """A sheet of ``count`` pictures of what the recipe's generators and editors make, as a new PNG ``out``.

    :class:`UsageError` where all of them train a network first.
    """
    began = time.monotonic()
    place = destination(out, ".png", written, force=force)
    if not 1 <= count <= MOST_SHOWN:
        raise UsageError(f"expected a count of 1…{MOST_SHOWN} pictures; got {count}", hint="--count 12")
    glance = glanced(written, listener)
    rows, notes = [], glance.left_out
    for source, wanted in zip(glance.quick, _portions(glance, count), strict=True):
        if not wanted:
            continue
        started = time.monotonic()
        generator = glance.fitted(source, listener)
        samples = list(_drawn(glance, source, generator, wanted, listener))
        told = f"{source.use}: {len(samples)} pictures in {time.monotonic() - started:.1f} s with its fit"
        rows.append(Row(told, tuple(samples), tuple(_caption(sample, glance) for sample in samples)))
        notes += [f"{source.use}: {text}" for text in (*_remarks(generator), *_odd(samples, wanted, glance.task))]
    classes = glance.training.classes
    listener.stage("draw the sheet")
    write_bytes(place, encode_png(sheet(rows, classes, colours=glance.task != "classification")))
    return documents.PreviewDocument(
        sheet=str(place),
        images=sum(len(row.samples) for row in rows),
        sources=[row.heading for row in rows],
        notes=notes,
        seconds=round(time.monotonic() - began, 2),
    )


def scene(written: WrittenRecipe, *, index: int, out: Path, force: bool, listener: Listener) -> documents.SceneDocument:
    """The scene of picture ``index`` of the recipe's first rendering generator as binary glTF, a new file ``out``.

    It is the picture of that number on the sheet of :func:`preview`. :class:`UsageError` where nothing is rendered.
    """
    from twinset.generators.rendering import Rendering, RenderingGenerator
    from twinset.generators.rendering.mesh_files.gltf_scenes import scene_glb

    began = time.monotonic()
    place = destination(out, ".glb", written, force=force)
    if index < 0:
        raise UsageError(f"expected an index ≥ 0; got {index}", hint="--index 0")
    glance = glanced(written, listener)
    source = next((one for one in glance.quick if isinstance(one.method, Rendering)), None)
    if source is None:
        used = ", ".join(one.use for one in (*glance.quick, *glance.slow))
        raise UsageError(
            f"expected a generator that renders scenes; got {used}", hint="add {use: render} under generate"
        )
    generator = glance.fitted(source, listener)
    assert isinstance(generator, RenderingGenerator)
    listener.stage("draw the scene")
    slot = glance.slot(source, index)
    shown = generator.scene(slot)
    extras = {"index": index, "seed": slot.seed, "recipe_digest": slot.recipe_digest, "method": source.use}
    write_bytes(place, data := scene_glb(shown, generator.classes, extras=extras))
    labelled = [placed for placed in shown.objects if placed.class_id is not None]
    return documents.SceneDocument(
        scene=str(place),
        objects=len(labelled),
        triangles=sum(len(placed.mesh.faces) for placed in shown.objects if not placed.catcher),
        bytes=len(data),
        seconds=round(time.monotonic() - began, 2),
    )


def destination(out: Path, suffix: str, written: WrittenRecipe, *, force: bool) -> Path:
    """Where a new file goes, absolute; nothing that is there is overwritten without ``force``."""
    path = expanded(out)
    if path.suffix.lower() != suffix:
        raise UsageError(f"expected the name of a {suffix} file; got {str(out)!r}", hint=f"--out NAME{suffix}")
    if path.is_dir():
        raise RunFolderError(f"{path}: expected the name of a new file; got a folder", hint="choose another --out")
    if path.exists() and not force:
        raise RunFolderError(
            f"{path}: expected no file there; got one", hint="choose another --out, or give --force to overwrite it"
        )
    refuse_inside(path, written.source)
    return path.absolute()


def glanced(written: WrittenRecipe, listener: Listener) -> Glance:
    """A look at a recipe and its data; :class:`UsageError` where every source trains a network first."""
    listener.stage("read the real images")
    dataset, _ = read_real(written)
    task = task_of(written.recipe, dataset)
    recipe = written.recipe.for_task(task)
    with TemporaryDirectory(prefix="twinset-preview-") as nothing_there:
        all_sources = sources_of(recipe, Path(nothing_there))
    slow = tuple(source for source in all_sources if takes_workspace(source.method))
    quick = tuple(source for source in all_sources if source not in slow)
    if not quick:
        raise UsageError(
            f"expected a generator that needs no long fit; got {', '.join(source.use for source in slow)}, "
            f"which train{'s' if len(slow) == 1 else ''} a network first",
            hint="`twinset run` makes these images, or name render, copypaste or folder under generate",
        )
    for source in quick:
        if isinstance(source.method, CheckedMethod):
            source.method.check()
    check_training(quick, dataset.classes, task)
    training, _, _ = at_run_size(_exposed(dataset), task, recipe.image)
    return Glance(recipe, task, training, quick, slow)


def _exposed(dataset: Dataset) -> Dataset:
    """A few images of the training part, or of all where none is given: evenly over the classes and their order."""
    given = np.array([split == "train" for split in dataset.splits], dtype=np.bool_)
    rows = np.flatnonzero(given) if given.any() else np.arange(len(dataset))
    rows = rows[np.argsort(dataset.class_ids[rows], kind="stable")]
    wanted = min(len(rows), max(MOST_REAL, 2 * len(dataset.classes)))
    return dataset.take(rows[np.linspace(0, len(rows) - 1, wanted).round().astype(np.int64)].tolist())


def _portions(glance: Glance, count: int) -> list[int]:
    """How many pictures of each quick source: by the recipe's shares, at least one of each that has any."""
    parts = sources(glance.recipe)
    given = (parts[source.number].share for source in glance.quick)
    shares = np.array([1.0 if share is None else share for share in given])
    if not shares.sum():
        shares[:] = 1
    found = np.array(largest_remainder(count, shares))
    return [int(max(portion, share > 0)) for portion, share in zip(found, shares, strict=True)]


def _drawn(glance: Glance, source: Source, generator: Generator, wanted: int, listener: Listener) -> Iterator[Sample]:
    """The first pictures of a source, fewer where its stock ends."""
    progress = listener.stage(f"draw with {source.name}")
    slots = [glance.slot(source, number) for number in range(wanted)]
    if isinstance(generator, FiniteGenerator):
        slots = [slot for slot in slots if slot.rank < generator.stock(slot.class_id)]
    if not slots:
        return
    # All at once: a renderer may start a process for each call.
    for number, sample in enumerate(generator.generate(slots), 1):
        yield sample
        progress(number, len(slots), "")


def _caption(sample: Sample, glance: Glance) -> str:
    """The picture's number, and its class or how many objects it shows."""
    number, annotation = int(sample.id.split("-")[0]), sample.annotation
    if annotation is None or (annotation.instances is None and annotation.class_id is None):
        return f"#{number}"
    if annotation.instances is not None:
        return f"#{number}: {counted(len(annotation.instances), 'objects')}"
    assert annotation.class_id is not None
    return f"#{number}: {glance.training.classes[annotation.class_id]}"


def _remarks(generator: Generator) -> Iterator[str]:
    """What the fit had to tell."""
    made = generator.editor if isinstance(generator, EditedReal) else generator
    if isinstance(made, Remarking):
        yield from made.remarks


def _odd(samples: Sequence[Sample], wanted: int, task: Task) -> Iterator[str]:
    """What somebody who looks at these pictures should know."""
    if len(samples) < wanted:
        yield f"only {len(samples)} of {wanted} pictures, as its stock is smaller"
    told = [sample.annotation for sample in samples if sample.annotation is not None]
    shown = sum(len(one.instances) for one in told if one.instances is not None)
    lost = sum(int(one.attributes.get("objects_left_out", 0)) for one in told)
    if task in PLACED and samples and not shown:
        yield "no picture shows an object; count, size, places or camera leave them no room"
    if lost > shown:
        yield f"{lost} of {lost + shown} objects found no place or were hidden, and were left out"
