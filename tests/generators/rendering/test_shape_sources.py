"""Where shapes come from: limits as people write them, families of packages, folders as they stand in a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from twinset import methods, plugged
from twinset.errors import DataError, MissingExtraError, RecipeError, UnknownNameError
from twinset.generators.rendering import Rendering, ShapeSource
from twinset.generators.rendering.fitting import shapes_of
from twinset.generators.rendering.mesh_files import MeshReport
from twinset.generators.rendering.mesh_files.settings import told_together
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.shape_sources import source_of
from twinset.generators.rendering.shapes import FAMILIES, Choice, Number, draw, family_names, family_of, held
from twinset.randomness import Stream
from twinset.recipe import recipe_from_values


class Legs:
    """A family with every kind of parameter."""

    name = "legs"
    parameters: Mapping[str, Number | Choice] = {
        "count": Choice((3, 4, 6)),
        "height": Number(0.2, 1.0),
        "padded": Choice((True, False)),
        "wood": Choice(("oak", "ash")),
    }

    def build(self, values: object) -> Mesh:
        raise AssertionError(values)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"count": (3, 6)}, Choice((3, 6))),
        ({"height": (0.5, 1)}, Number(0.5, 1.0)),
        ({"padded": (True,)}, Choice((True,))),
        ({"wood": ("ash",)}, Choice(("ash",))),
    ],
)
def test_limits_are_read_as_their_parameter_is(
    limits: dict[str, tuple[str | int | float | bool, ...]], expected: Number | Choice
) -> None:
    """Two whole numbers of a choice are two options, not a range."""
    ((name, _),) = limits.items()
    assert held(Legs(), limits).parameters[name] == expected
    assert held(Legs(), limits).name == "legs"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"count": (3, 5)}, "limits.count of legs: some, each once, of 3, 4, 6; got [3, 5]"),
        ({"count": (3, 3)}, "each once"),
        ({"count": ()}, "got []"),
        ({"count": (3.0,)}, "got [3.0]"),
        ({"height": (0.5,)}, "limits.height of legs: a least and a most within 0.2 … 1; got [0.5]"),
        ({"height": (1, 0.5)}, "got [1, 0.5]"),
        ({"height": (0.1, 0.5)}, "within 0.2 … 1"),
        ({"height": (True, 1)}, "got [True, 1]"),
        ({"padded": (1,)}, "of True, False; got [1]"),
    ],
)
def test_limits_beyond_a_family_say_what_is_allowed(
    limits: dict[str, tuple[str | int | float | bool, ...]], words: str
) -> None:
    with pytest.raises(ValueError, match="expected limits") as refused:
        held(Legs(), limits)
    assert words in str(refused.value)


def test_limits_of_what_a_family_does_not_have_name_what_it_has() -> None:
    with pytest.raises(UnknownNameError, match="count, height, padded, wood"):
        held(Legs(), {"hight": (0.2, 0.3)})


def test_a_source_is_checked_when_it_is_made() -> None:
    assert {
        shape["body"]
        for shape in (draw(ShapeSource("car", limits={"body": ("van",)}).held_family(), rng=k) for k in range(9))
    } == {"van"}
    for wrong, words in (
        ({"family": "chiar"}, "did you mean 'chair'"),
        ({"family": "car", "limits": {"body": ("tank",)}}, r"limits\.body of car: .*hatchback"),
        ({"family": "car", "scale": 2.0}, "with a folder"),
        ({"folder": "meshes", "height_metres": -1.0}, "height > 0"),
        ({"folder": "meshes", "limits": {"body": ("van",)}}, "of a family only"),
    ):
        with pytest.raises(ValueError, match=words):
            ShapeSource(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shapes", "task", "words"),
    [
        ({"chairs": "chair"}, "detection", "of the classes chair, gnome; got some of 'chairs'"),
        ({}, "detection", "for class 'gnome'; got neither"),
        ({"gnome": "none"}, "classification", "for every class.* got none for gnome"),
        ({"gnome": "none", "chair": "none"}, "detection", "at least one class"),
        ({"gnome": "nowhere/at/all"}, "detection", "which is neither"),
        ({"gnome": "chair"}, "semantic-segmentation", "a task with objects"),
    ],
)
def test_what_does_not_fit_the_training_set_is_told_at_once(shapes: dict[str, str], task: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Rendering(shapes=shapes).check_training(("chair", "gnome"), task)  # type: ignore[arg-type]


def test_folders_of_meshes_are_named_from_the_recipe_s_folder(tmp_path: Path) -> None:
    shapes: dict[str, object] = {
        "chair": "meshes/chairs", "table": "table", "bag": "none", "car": {"folder": "~/cars", "up": "y"},
        "bus": {"family": "bus"},
    }  # fmt: skip
    values: dict[str, object] = {"data": "real", "generate": [{"use": "render", "shapes": shapes}]}
    written = recipe_from_values(values, base=tmp_path)
    (part,) = written.recipe.generators
    assert part.settings["shapes"] == shapes | {
        "chair": str(tmp_path / "meshes" / "chairs"),
        "car": {"folder": str(Path.home() / "cars"), "up": "y"},
    }
    here, there = (recipe_from_values(values, base=tmp_path / name).recipe for name in ("a", "b"))
    assert here.digest() == there.digest()  # where the folders lie does not decide what is drawn
    shown = here.without_paths("real").to_yaml()
    assert str(tmp_path) not in shown


def test_families_of_packages_are_known_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def point(name: str, attribute: str) -> SimpleNamespace:
        where = SimpleNamespace(name="legs-and-more", version="1.2")
        return SimpleNamespace(name=name, value=f"{__name__}:{attribute}", dist=where)

    def entry_points(*, group: str) -> list[SimpleNamespace]:
        made = [
            point("legs", "Legs"),
            point("ready", "LEGS"),
            point("chair", "Legs"),
            point("odd", "Path"),
            point("gone", "x"),
        ]
        return made if group == "twinset.shapes" else []

    monkeypatch.setattr(plugged.metadata, "entry_points", entry_points)
    assert family_names() == (*FAMILIES, "gone", "legs", "odd", "ready")
    assert tuple(methods.entries("shapes")) == family_names()
    assert isinstance(family_of("legs"), Legs)
    assert family_of("ready") is LEGS
    assert family_of("chair") is FAMILIES["chair"]
    problems = {name: methods.check(entry).problem for name, entry in methods.entries("shapes").items()}
    assert [name for name, problem in problems.items() if problem] == ["gone", "odd"]
    for name, words in (("odd", "name, parameters"), ("gone", "legs-and-more")):
        with pytest.raises(RecipeError, match=words):
            family_of(name)
    with pytest.raises(UnknownNameError, match="legs"):
        family_of("lags")
    with pytest.raises(ValueError, match="to load"):
        ShapeSource(family="gone")
    with pytest.raises(RecipeError, match=r"shapes\.thing: expected plug-in 'gone' of legs-and-more to load"):
        source_of("thing", {"thing": "gone"})
    with pytest.raises(DataError, match=r"shapes\.thing: expected a mesh of family legs .* got AssertionError"):
        shapes_of("thing", Rendering(shapes={"thing": "legs"}), Stream(0))


def test_what_a_family_of_a_package_says_itself_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Choosy(Legs):
        def build(self, values: object) -> Mesh:
            raise UnknownNameError("wood", str(values), ["oak"])

    monkeypatch.setattr(ShapeSource, "held_family", lambda _: Choosy())
    with pytest.raises(UnknownNameError, match="wood"):
        shapes_of("thing", Rendering(shapes={"thing": "chair"}), Stream(0))


def test_odd_meshes_are_counted_together() -> None:
    whole = MeshReport(4, 4, (1.0, 1.0, 1.0))
    odd = MeshReport(4, 4, (1.0, 1.0, 1.0), boundary_edges=3, turned=True, ignored={"lines": 2})
    assert told_together([whole, whole]) == []
    assert told_together([whole, odd, odd]) == [
        "2 of 3 open (edges with one face)",
        "2 of 3 inside out, and were turned",
        "2 of 3 had lines, points or the like, which were left out",
    ]


LEGS = Legs()


def test_a_family_that_lacks_its_package_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lacking:
        def __init__(self) -> None:
            raise MissingExtraError("expected the package of chairs; got none")

    monkeypatch.setattr(plugged, "loaded", lambda *_, **__: Lacking)
    with pytest.raises(MissingExtraError, match="chairs"):
        family_of("mine")
