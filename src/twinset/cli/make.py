"""Commands that make a twin: a recipe for it, a run, the rest of a run. Heavy imports happen inside."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from twinset.cli.options import Device, Json, Quiet, RunFolder, Workers, answer, device_named, progress
from twinset.errors import printable

Recipe = Annotated[str, typer.Argument(metavar="RECIPE|DIR|builtin:NAME", help="What to make a twin of.")]
Override = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a recipe key.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")]


def run(
    source: Recipe,
    out: Annotated[Path | None, typer.Option(help="The run folder; default: runs/NAME-KEY.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Time that the whole run should take.")] = None,
    set_: Override = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    workers: Workers = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make, align, measure, audit and release a synthetic twin. The same command again continues.

    \b
    Examples:
      twinset run builtin:digits
      twinset run photos/ --minutes 5
      twinset run recipe.yaml --set count=500 --set gate.copies=report --out runs/mine
      twinset run recipe.yaml --dry-run
    """
    from twinset import pipeline
    from twinset.pipeline import words
    from twinset.recipe import recipe_for

    written = recipe_for(source, overrides=set_ or [], minutes=minutes)
    if dry_run:
        with closing(progress(quiet=quiet)) as listener:
            plan = pipeline.dry_run(written, workers=workers, device=device_named(device), listener=listener)
        answer(plan, lambda: words.plan(plan), as_json=json)
        return
    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.run(written, out=out, workers=workers, device=device_named(device), listener=listener)
    answer(document, lambda: words.run(document), as_json=json)
    raise typer.Exit(pipeline.exit_code(document))


def resume(
    run: RunFolder,
    workers: Workers = None,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Continue a run that was stopped, from what is committed.

    \b
    Examples:
      twinset resume runs/photos-1a2b3c4d
      twinset resume runs/photos-1a2b3c4d --workers 2
    """
    from twinset import pipeline
    from twinset.pipeline import words

    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.resume(run, workers=workers, device=device_named(device), listener=listener)
    answer(document, lambda: words.run(document), as_json=json)
    raise typer.Exit(pipeline.exit_code(document))


def preview(
    source: Recipe,
    out: Annotated[Path | None, typer.Option(help="Where the PNG goes; default: NAME-preview.png here.")] = None,
    count: Annotated[int, typer.Option(min=1, max=200, help="Pictures on the sheet.")] = 12,
    set_: Override = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw a contact sheet of what a recipe makes, labels overlaid, in seconds; what trains a network is left out.

    \b
    Examples:
      twinset preview recipe.yaml
      twinset preview recipe.yaml --count 24 --set generate.0.backdrop=road --out road.png
    """
    from twinset import pipeline
    from twinset.pipeline import words
    from twinset.recipe import recipe_for

    written = recipe_for(source, overrides=set_ or [])
    place = out or Path(f"{_stem(source)}-preview.png")
    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.preview(written, out=place, count=count, force=force, listener=listener)
    answer(document, lambda: words.preview(document), as_json=json)


def scene(
    source: Recipe,
    out: Annotated[Path | None, typer.Option(help="Where the GLB goes; default: NAME-INDEX.glb here.")] = None,
    index: Annotated[int, typer.Option(min=0, help="Which picture: its number on the sheet of `preview`.")] = 0,
    set_: Override = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the 3D scene of one rendered picture as binary glTF: meshes, materials, camera, sun, names of classes.

    \b
    Examples:
      twinset scene recipe.yaml --out scene.glb
      twinset scene recipe.yaml --index 3
    """
    from twinset import pipeline
    from twinset.pipeline import words
    from twinset.recipe import recipe_for

    written = recipe_for(source, overrides=set_ or [])
    place = out or Path(f"{_stem(source)}-{index}.glb")
    with closing(progress(quiet=quiet)) as listener:
        document = pipeline.scene(written, index=index, out=place, force=force, listener=listener)
    answer(document, lambda: words.scene(document), as_json=json)


def _stem(source: str) -> str:
    """The name of a recipe or dataset, for files beside it."""
    return source.removeprefix("builtin:") if source.startswith("builtin:") else Path(source).resolve().stem


def init(
    source: Annotated[str, typer.Argument(metavar="DIR|FILE|builtin:NAME", help="A dataset.")],
    out: Annotated[Path | None, typer.Option(help="Where the recipe goes; default: NAME.yaml here.")] = None,
    json: Json = False,
) -> None:
    """Write a commented recipe for a dataset; never overwrites a file.

    \b
    Examples:
      twinset init photos/
      twinset init photos/ --out recipes/photos.yaml
    """
    from twinset import pipeline

    document = pipeline.init(source, out=out)
    typed = shlex.quote(document.recipe if not document.recipe.startswith("-") else f"./{document.recipe}")
    lines = f"wrote {printable(document.recipe)}\nnext: twinset run {printable(typed)}"
    answer(document, lambda: lines, as_json=json)
