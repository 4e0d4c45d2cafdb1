"""Where the shapes of each class come from, and what can be refused about that before anything is read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from twinset.choices import check_choices
from twinset.errors import DataError, RecipeError, UnknownNameError
from twinset.paths import expanded

if TYPE_CHECKING:
    from twinset.generators.rendering.mesh_files import MeshSettings
    from twinset.generators.rendering.shapes import Family

Value = str | int | float | bool

NOT_DRAWN = "none"


@dataclass(frozen=True)
class ShapeSource:
    """Where the shapes of a class come from: a parametric ``family``, or a ``folder`` of meshes (or one mesh file).

    ``limits`` hold parameters of the family to less: two numbers are a least and a most, anything else is the list of
    options that stay. ``up`` is the vertical axis of the meshes (None: y for glTF, else z); their unit is ``scale``
    metres, or each is ``height_metres`` high. Where a texture is missing or no picture, the mesh is refused, or
    (``missing_textures: plain``) drawn in the colour of its material alone.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    family: str | None = None
    folder: str | None = None
    limits: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    up: Literal["y", "z"] | None = None
    scale: float = 1.0
    height_metres: float | None = None
    missing_textures: Literal["refuse", "plain"] = "refuse"

    def __post_init__(self) -> None:
        check_choices(self)
        if (self.family is None) == (self.folder is None):
            got = "neither" if self.family is None else f"{self.family} and {self.folder}"
            raise ValueError(f"expected a family or a folder; got {got}; give one")
        if self.limits and self.family is None:
            raise ValueError(f"expected limits of a family only; got {dict(self.limits)} for {self.folder}")
        if self.folder is not None:
            if not self.folder:
                raise ValueError("expected a family or a folder; got ''")
            self.reading  # noqa: B018
            return
        if (self.up, self.scale, self.height_metres, self.missing_textures) != (None, 1.0, None, "refuse"):
            raise ValueError(
                f"expected up, scale, height_metres and missing_textures with a folder; got them with family "
                f"{self.family}; leave them out: families say by themselves how large they are"
            )
        try:
            self.held_family()
        except (UnknownNameError, RecipeError) as error:  # pydantic tells of a ValueError at its key
            raise ValueError(str(error)) from error

    @property
    def reading(self) -> MeshSettings:
        """How the meshes of the folder are meant."""
        from twinset.generators.rendering.mesh_files import MeshSettings

        return MeshSettings(
            up=self.up, scale=self.scale, height_metres=self.height_metres, missing_textures=self.missing_textures
        )

    def held_family(self) -> Family:
        """The family, held to the limits.

        :class:`UnknownNameError` names the known families and parameters, :class:`ValueError` what a parameter may be.
        """
        from twinset.generators.rendering.shapes import family_of, held

        assert self.family is not None
        return held(family_of(self.family), self.limits)


def source_of(class_name: str, shapes: Mapping[str, str | ShapeSource]) -> ShapeSource | None:
    """Where a class takes its shapes from; None for one that is not drawn, or that nothing is known of."""
    from twinset.generators.rendering.shapes import is_family

    given = shapes.get(class_name)
    if given == NOT_DRAWN:
        return None
    if isinstance(given, ShapeSource):
        return given
    if given is not None:
        return _family(class_name, given) if is_family(given) else ShapeSource(folder=given)
    lower = class_name.lower()
    return next((_family(class_name, own) for own in (lower, lower.rstrip("s")) if is_family(own)), None)


def _family(class_name: str, name: str) -> ShapeSource:
    try:
        return ShapeSource(family=name)
    except ValueError as error:
        raise RecipeError(f"shapes.{class_name}: {error}") from error


def refuse_classes(shapes: Mapping[str, str | ShapeSource], classes: Sequence[str], *, every: bool) -> None:
    """:class:`DataError` for shapes of a class that there is not, a class without any, and where none is drawn.

    With ``every`` no class may be left out.
    """
    from twinset.generators.rendering.shapes import family_names

    for name in shapes:
        if name not in classes:
            near = difflib.get_close_matches(name, classes, n=1)
            raise DataError(
                f"expected shapes of the classes {', '.join(classes)}; got some of {name!r}",
                hint=f"did you mean {near[0]!r}?" if near else "take it out",
            )
    for name in classes:
        if shapes.get(name) != NOT_DRAWN and source_of(name, shapes) is None:
            raise DataError(
                f"expected a family or a folder of meshes for class {name!r}; got neither",
                hint=f"shapes: {{{name}: …}} with one of {', '.join(family_names())}, a folder, or none (not drawn)",
            )
    undrawn = [name for name in classes if shapes.get(name) == NOT_DRAWN]
    if every and undrawn:
        raise DataError(
            f"expected shapes for every class, as each picture is of one; got none for {', '.join(undrawn)}",
            hint="name a family or a folder for it",
        )
    if len(undrawn) == len(classes):
        raise DataError("expected shapes for at least one class; got none for all", hint="correct shapes")


def refuse_absent(shapes: Mapping[str, str | ShapeSource]) -> None:
    """:class:`DataError` for what is neither a family nor there as a folder of meshes, or one mesh."""
    from twinset.generators.rendering.mesh_files.folders import mesh_names
    from twinset.generators.rendering.shapes import family_names

    for name in shapes:
        source = source_of(name, shapes)
        if source is None or source.folder is None:
            continue
        path, given = expanded(source.folder), Path(source.folder).name
        if path.is_dir():
            mesh_names(path)
        elif not path.is_file():
            near = difflib.get_close_matches(given, family_names(), n=1)
            raise DataError(
                f"shapes.{name}: expected a family out of {', '.join(family_names())}, or a folder of meshes; got "
                f"{source.folder}, which is neither",
                hint=f"did you mean {near[0]!r}?" if near else "correct the name",
            )


def with_folders(shapes: Mapping[str, object], change: Callable[[str], str]) -> dict[str, object]:
    """``shapes`` as they stand in a recipe, with every folder of meshes changed."""
    from twinset.generators.rendering.shapes import is_family

    def one(given: object) -> object:
        if isinstance(given, str):
            return given if given == NOT_DRAWN or is_family(given) else change(given)
        if isinstance(given, Mapping) and isinstance(given.get("folder"), str):
            return {**given, "folder": change(given["folder"])}
        return given

    return {name: one(given) for name, given in shapes.items()}
