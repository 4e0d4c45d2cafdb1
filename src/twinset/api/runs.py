"""Runs as the command line has them: from a recipe to its report, and what is done with a finished one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from twinset import pipeline
from twinset.pipeline.reporting import Console, Listener, Quiet

if TYPE_CHECKING:
    from twinset import documents
    from twinset.recipe import WrittenRecipe


def run(
    recipe: str | Path | Mapping[str, object],
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> documents.RunDocument:
    """Runs a recipe to its report; continues a run that was stopped.

    ``recipe``: a YAML file, the values of one, or a dataset (folder, table file or ``"builtin:digits"``) for defaults.
    """
    with closing(_listener(quiet)) as listener:
        return pipeline.run(
            _written(recipe), out=None if out is None else Path(out), workers=workers, device=device, listener=listener
        )


def frontier(
    recipe: str | Path | Mapping[str, object],
    *,
    out: str | Path | None = None,
    minutes: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> documents.FrontierDocument:
    """Runs, audits and weighs several settings, and recommends a release of one, or none; continues what was stopped.

    ``recipe`` as :func:`run` takes it: settings and releases stand under ``privacy.frontier``; without, usual ones are
    taken. ``minutes``: time for all settings together.
    """
    with closing(_listener(quiet)) as listener:
        return pipeline.frontier_study(
            _written(recipe),
            out=None if out is None else Path(out),
            minutes=minutes,
            workers=workers,
            device=device,
            listener=listener,
        )


def preview(
    recipe: str | Path | Mapping[str, object],
    *,
    out: str | Path = "preview.png",
    count: int = 12,
    force: bool = False,
    quiet: bool = False,
) -> documents.PreviewDocument:
    """A contact sheet of ``count`` pictures that the recipe's generators and editors make, as PNG, in seconds.

    Pictures stand beside the same with their labels. What trains a network first is named and left out. ``recipe`` as
    :func:`run` takes it; a file that is there is overwritten with ``force`` only.
    """
    with closing(_listener(quiet)) as listener:
        return pipeline.preview(_written(recipe), out=Path(out), count=count, force=force, listener=listener)


def scene(
    recipe: str | Path | Mapping[str, object],
    *,
    index: int = 0,
    out: str | Path = "scene.glb",
    force: bool = False,
    quiet: bool = False,
) -> documents.SceneDocument:
    """The 3D scene of picture ``index`` of :func:`preview`'s sheet as binary glTF, for recipes with ``use: render``."""
    with closing(_listener(quiet)) as listener:
        return pipeline.scene(_written(recipe), index=index, out=Path(out), force=force, listener=listener)


def resume(
    run: str | Path, *, workers: int | None = None, device: str = "auto", quiet: bool = False
) -> documents.RunDocument:
    """Continues the run in this folder from what it has committed."""
    with closing(_listener(quiet)) as listener:
        return pipeline.resume(Path(run), workers=workers, device=device, listener=listener)


def status(run: str | Path) -> documents.StatusDocument:
    """How far the run in this folder is; works while it is going."""
    return pipeline.status(Path(run))


def redact(
    run: str | Path,
    *,
    ids: Sequence[str] = (),
    parents: Sequence[str] = (),
    reason: str = "on request",
    workers: int | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> documents.RedactDocument:
    """Takes images out of a finished run, those of ``ids`` and all made from the real images ``parents``.

    What is left is measured, audited and released anew; ``reason`` stands in the dataset card. The shards keep the
    images, the old export moves to ``withdrawn``. :class:`~twinset.errors.UsageError` for unknown ids.
    """
    with closing(_listener(quiet)) as listener:
        return pipeline.redact(
            Path(run), ids=ids, parents=parents, reason=reason, workers=workers, device=device, listener=listener
        )


def verify(run: str | Path, *, samples: int = 8, device: str = "auto", quiet: bool = False) -> documents.VerifyDocument:
    """Re-hashes every file of a finished run, and makes ``samples`` samples again to compare them."""
    if samples < 0:
        raise ValueError(f"expected samples ≥ 0; got {samples}")
    with closing(_listener(quiet)) as listener:
        return pipeline.verify(Path(run), samples=samples, device=device, listener=listener)


def _written(recipe: str | Path | Mapping[str, object]) -> WrittenRecipe:
    from twinset.recipe import recipe_for, recipe_from_values

    return recipe_from_values(recipe) if isinstance(recipe, Mapping) else recipe_for(recipe)


def _listener(quiet: bool) -> Listener:
    return Quiet() if quiet else Console()
