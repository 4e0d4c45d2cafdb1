"""``twinset preview`` and ``twinset scene``, and what they, a plan and a run refuse of a recipe that renders."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.generators.rendering.broken_meshes import TABLE, gltf, put, textured

import twinset
from twinset.annotations import Annotation
from twinset.dataset import Dataset, Sample
from twinset.errors import DataError, RecipeError
from twinset.generators.rendering.backends import Embedded, Quality
from twinset.generators.rendering.scene import Renderer
from twinset.images import decode
from twinset.instances import Instances

Called = Callable[..., tuple[int, str, str]]
SMALL: dict[str, object] = {
    "use": "render",
    "shapes_per_class": 2,
    "backdrop": "white",
    "count": [1, 3],
    "size": [0.2, 0.3],
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small pictures with one box each, of chairs and tables, and a class whose name is markup."""
    draws = np.random.default_rng(0)
    samples = []
    for k in range(9):
        pixels = draws.integers(0, 255, (72, 96, 3)).astype(np.uint8)
        objects = Instances(size=(72, 96), class_ids=np.array([k % 2]), boxes=np.array([[30, 20, 50, 40]], np.float32))
        samples.append(Sample(id=f"real-{k}", image=pixels, annotation=Annotation(instances=objects)))
    folder = tmp_path_factory.mktemp("real") / "boxes"
    Dataset.of(samples, classes=("chair", "table")).export(folder, format="coco")
    return folder


@pytest.fixture
def recipe(real: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe that renders, with these settings in place of small ones."""

    def write(*, others: tuple[dict[str, object], ...] = (), **settings: object) -> Path:
        values = {"data": str(real), "generate": [SMALL | settings, *others], "evaluate": {"utility": "off"}}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    return write


@pytest.mark.slow
def test_a_sheet_shows_every_picture_beside_its_labels(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = called("preview", recipe(others=({"use": "copypaste"},)), "--count", "4", "--json")
    assert (ended, "draw with generator render" in err) == (0, True)
    document = json.loads(out)
    assert document["schema"] == "twinset/preview/1"
    assert (document["images"], [text.split(":")[0] for text in document["sources"]]) == (4, ["render", "copypaste"])
    assert Path(document["sheet"]) == tmp_path / "recipe-preview.png"
    sheet = decode((tmp_path / "recipe-preview.png").read_bytes())
    colours = np.unique(sheet.reshape(-1, 3), axis=0).tolist()
    assert [255, 38, 38] in colours  # the frames of the first class
    assert [15, 153, 113] in colours or [16, 153, 112] in colours or len(colours) > 50
    assert sheet.shape[1] > 2 * 300


def test_all_pictures_of_a_source_come_from_one_renderer(
    recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    """Blender would start for each of them."""
    opened: list[Quality] = []
    kept = Embedded.open

    def counted(self: Embedded, quality: Quality) -> AbstractContextManager[Renderer]:
        opened.append(quality)
        return kept(self, quality)

    monkeypatch.setattr(Embedded, "open", counted)
    assert called("preview", recipe(), "--count", "4", "--out", tmp_path / "a.png", "--quiet")[0] == 0
    assert len(opened) == 1


@pytest.mark.slow
def test_nothing_is_overwritten_unless_forced(recipe: Callable[..., Path], tmp_path: Path, called: Called) -> None:
    path, out = recipe(), tmp_path / "mine.png"
    out.write_text("mine")
    for arguments in (("preview", path, "--out", out), ("scene", path, "--out", tmp_path / "mine.glb")):
        Path(arguments[-1]).write_text("mine")
        ended, _, err = called(*arguments, "--quiet")
        assert (ended, Path(arguments[-1]).read_text()) == (4, "mine")
        assert "expected no file there; got one\n  hint: choose another --out, or give --force" in err
        assert called(*arguments, "--quiet", "--force")[0] == 0
        assert Path(arguments[-1]).read_bytes()[:4] in (b"\x89PNG", b"glTF")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine.glb", "mine.png", "recipe.yaml"]


@pytest.mark.parametrize(("name", "words"), [("sheet.jpg", "a .png file"), (".", "a .png file"), ("", "folder")])
def test_a_sheet_is_a_new_png_outside_the_dataset(
    name: str, words: str, recipe: Callable[..., Path], tmp_path: Path, called: Called
) -> None:
    (tmp_path / "x.png").mkdir()
    ended, _, err = called("preview", recipe(), "--out", tmp_path / (name or "x.png"), "--quiet")
    assert ended in (2, 4)
    assert words in err


def test_nothing_is_written_into_the_dataset(recipe: Callable[..., Path], real: Path, called: Called) -> None:
    ended, _, err = called("preview", recipe(), "--out", real / "sheet.png", "--quiet")
    assert ended == 4
    assert f"expected a place outside {real}" in err


def test_what_trains_a_network_is_named_and_left_out(tmp_path: Path, called: Called) -> None:
    ended, _, err = called("preview", "builtin:digits", "--out", tmp_path / "a.png", "--quiet")
    assert ended == 2
    assert "expected a generator that needs no long fit; got diffusion, which trains a network first" in err
    assert not (tmp_path / "a.png").exists()
    edits = "[{use: classical}, {use: cutout}]"
    ended, out, _ = called(
        "preview", "builtin:digits", "--set", "generate=[{use: diffusion}]", "--set", f"edit={edits}", "--out",
        tmp_path / "a.png", "--quiet", "--json", "--count", "6",
    )  # fmt: skip
    document = json.loads(out)
    assert (ended, document["images"]) == (0, 6)
    assert document["notes"] == ["generator diffusion: not shown, as it trains a network first"]


def test_the_scene_is_that_of_the_picture_of_its_number(
    recipe: Callable[..., Path], tmp_path: Path, called: Called
) -> None:
    path = recipe()
    for _ in range(2):
        ended, out, _ = called("scene", path, "--index", "1", "--out", tmp_path / "one.glb", "--force", "--json", "-q")
        assert ended == 0
    document = json.loads(out)
    again = twinset.scene(path, index=1, out=tmp_path / "two.glb", quiet=True)
    assert (tmp_path / "one.glb").read_bytes() == (tmp_path / "two.glb").read_bytes()
    assert (document["objects"], document["triangles"]) == (again.objects, again.triangles)
    other = twinset.scene(path, index=2, out=tmp_path / "three.glb", quiet=True)
    assert Path(other.scene).read_bytes() != (tmp_path / "two.glb").read_bytes()


def test_a_recipe_without_a_renderer_has_no_scene(tmp_path: Path, called: Called) -> None:
    edits = ("--set", "edit=[{use: classical}]")
    ended, _, err = called("scene", "builtin:digits", *edits, "--out", tmp_path / "a.glb", "--quiet")
    assert ended == 2
    assert "expected a generator that renders scenes; got classical" in err


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", list(TABLE))
def test_a_broken_mesh_is_one_line_of_the_preview(
    name: str, recipe: Callable[..., Path], tmp_path: Path, called: Called
) -> None:
    write, words = TABLE[name]
    path = write(tmp_path / "meshes")
    ended, out, err = called(
        "preview", recipe(shapes={"chair": "meshes"}), "--out", tmp_path / "a.png", "--quiet", "--count", "1"
    )
    assert (ended, out) == (4, "")
    message, *hint = err.splitlines()
    assert message.startswith("error: ")
    assert str(path) in message
    assert words in err
    assert len(hint) <= 1
    assert not (tmp_path / "a.png").exists()


def test_odd_meshes_are_drawn_and_told_of(recipe: Callable[..., Path], tmp_path: Path, called: Called) -> None:
    folder = tmp_path / "meshes"
    put(folder, "open.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\n")
    put(folder, "crowded.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nv 0 -1 0\nf 1 2 3\nf 1 2 4\nf 1 2 5\n")
    put(folder, "bare.gltf", textured("none.png"))
    sources = {"chair": {"folder": "meshes", "missing_textures": "plain"}}
    ended, out, _ = called(
        "preview", recipe(shapes=sources, shapes_per_class=9), "--out", tmp_path / "a.png", "--quiet", "--json"
    )
    assert ended == 0
    assert (
        "render: Meshes of chair: 2 of 3 open (edges with one face); 1 of 3 no manifold (edges with more than two "
        "faces); 1 of 3 drawn without textures that are missing."
    ) in json.loads(out)["notes"]


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "a family that is misspelt": (
        {"shapes": {"chair": {"family": "chiar"}}},
        "generate.0.shapes.chair: expected a family out of bag, bus, car, cell, chair, primitive, table; got 'chiar'; "
        "did you mean 'chair'?",
    ),
    "an unknown parameter": (
        {"shapes": {"chair": {"family": "chair", "limits": {"leg": ["sled"]}}}},
        "generate.0.shapes.chair: expected a parameter of chair out of",
    ),
    "an option that there is not": (
        {"shapes": {"chair": {"family": "car", "limits": {"body": ["van", "tank"]}}}},
        "generate.0.shapes.chair: expected limits.body of car: some, each once, of hatchback",
    ),
    "a range beyond the family's": (
        {"shapes": {"chair": {"family": "car", "limits": {"size": [0, 2]}}}},
        "generate.0.shapes.chair: expected limits.size of car: a least and a most within 0 … 1; got [0, 2]",
    ),
    "a key that is misspelt": (
        {"shapes": {"chair": {"family": "car", "limit": {}}}},
        "generate.0.shapes.chair.limit: expected a known key",
    ),
    "a scale of nothing": ({"shapes": {"chair": {"folder": "x", "scale": 0}}}, "expected a scale > 0; got 0"),
    "no light at all": (
        {"sun_strength": [0, 0], "ambient": [0, 0]},
        "expected sun_strength or ambient above 0; got 0 for both, which draws every object black",
    ),
    "a field of view that no camera has": ({"field_of_view_degrees": [120, 180]}, "within 2…120; got (120.0, 180.0)"),
    "a field of view of nothing": ({"field_of_view_degrees": [0, 0]}, "within 2…120"),
    "no number": ({"size": [float("nan"), 0.3]}, "expected size as a least and a most"),
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("name", list(REFUSED))
@pytest.mark.parametrize("verb", ["run", "preview"])
def test_settings_that_cannot_be_drawn_are_refused_when_the_recipe_is_read(
    verb: str, name: str, recipe: Callable[..., Path], tmp_path: Path, called: Called
) -> None:
    settings, words = REFUSED[name]
    path = recipe(**settings)
    ended, _, err = called(verb, path, "--quiet", *(("--dry-run",) if verb == "run" else ()))
    assert ended == 2
    message = err.splitlines()[0]
    assert message.startswith(f"error: {path}:")
    assert words in message
    with pytest.raises(RecipeError):
        twinset.run(path, out=tmp_path / "run", quiet=True)


UNFIT: dict[str, tuple[dict[str, object], str]] = {
    "shapes of a class that there is not": (
        {"shapes": {"chairs": "chair"}},
        "of the classes chair, table; got some of",
    ),
    "neither a family nor a folder": (
        {"shapes": {"chair": "chiar"}},
        "chiar, which is neither\n  hint: did you mean 'chair'?",
    ),
    "no class at all": ({"shapes": {"chair": "none", "table": "none"}}, "at least one class; got none for all"),
    "a folder without meshes": ({"shapes": {"chair": "."}}, "files; got none"),
    "a backdrop folder that is not there": (
        {"backdrop": "photos", "backdrop_path": "nowhere"},
        "backdrop_path: expected a folder of pictures",
    ),
}


@pytest.mark.parametrize("name", list(UNFIT))
@pytest.mark.parametrize("verb", ["plan", "run", "preview"])
def test_what_does_not_fit_the_classes_is_refused_before_anything_is_fitted(
    verb: str, name: str, recipe: Callable[..., Path], tmp_path: Path, called: Called
) -> None:
    settings, words = UNFIT[name]
    commands: dict[str, list[str | Path]] = {
        "plan": ["run", recipe(**settings), "--dry-run"],
        "run": ["run", recipe(**settings), "--out", tmp_path / "run"],
        "preview": ["preview", recipe(**settings), "--out", tmp_path / "a.png"],
    }
    ended, _, err = called(*commands[verb])
    assert ended == 4
    assert words in err
    assert "fit generator" not in err
    assert "calibrate" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml"]


def test_a_run_refuses_a_broken_mesh_in_one_line(recipe: Callable[..., Path], tmp_path: Path, called: Called) -> None:
    put(tmp_path / "meshes", "mesh.gltf", gltf(nodes=[]))
    path = recipe(shapes={"chair": "meshes"})
    ended, out, err = called("run", path, "--out", tmp_path / "run", "--quiet")
    assert (ended, out) == (4, "")
    assert "mesh.gltf: " in err.splitlines()[0]
    with pytest.raises(DataError, match=r"mesh\.gltf"):
        twinset.run(path, out=tmp_path / "run", quiet=True)


CAMERAS: dict[str, dict[str, object]] = {
    "inside its objects": {"size": [1.5, 1.5], "scale": [20, 20], "backdrop": "room"},
    "on the ground": {"elevation_degrees": [0, 0]},
    "straight above": {"elevation_degrees": [90, 90]},
    "with the widest lens": {"field_of_view_degrees": [120, 120], "distortion": [0.4, 0.4]},
    "with the longest lens": {"field_of_view_degrees": [2, 2], "distortion": [-0.3, -0.3]},
    "under the sun alone": {"ambient": [0, 0]},
    "without a sun": {"sun_strength": [0, 0]},
    "before nothing": {"count": [0, 0]},
    "among specks": {"size": [0.005, 0.005]},
}


@pytest.mark.parametrize("name", list(CAMERAS))
def test_odd_cameras_and_lights_draw_and_say_where_nothing_is_seen(
    name: str, recipe: Callable[..., Path], tmp_path: Path, called: Called
) -> None:
    path = recipe(**CAMERAS[name])
    ended, out, _ = called("preview", path, "--out", tmp_path / "a.png", "--quiet", "--json", "--count", "2")
    assert ended == 0
    empty = any("no picture shows an object" in note for note in json.loads(out)["notes"])
    assert empty == (name in ("inside its objects", "on the ground", "before nothing", "among specks"))
    ended, _, _ = called("scene", path, "--out", tmp_path / "a.glb", "--quiet")
    assert ended == 0
