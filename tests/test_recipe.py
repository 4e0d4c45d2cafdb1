from __future__ import annotations

import sys
from pathlib import Path

import pytest

from twinset.errors import RecipeError
from twinset.recipe import Recipe, load_recipe, recipe_from_values


def error_of(tmp_path: Path, text: str, *overrides: str) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides=overrides)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(path), "recipe.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "recipe.yaml:1: expected `key: value` lines; got an empty file"),
        ("- a\n- b\n", "recipe.yaml:1: expected `key: value` lines; got a list"),
        ("data: x\ncuont: 5\n", "recipe.yaml:2: cuont: expected a key out of"),
        ("data: x\ncuont: 5\n", "did you mean 'count'?"),
        ("data: x\ndata: y\n", "recipe.yaml:2: expected each key once; got 'data' again (first in line 1)"),
        ("data: [x\n", "recipe.yaml:2: expected YAML"),
        ("data: !!python/object/apply:os.system ['true']\n", "recipe.yaml:1: expected plain values; got a tag"),
        ("data: !!str x\n", "recipe.yaml:1: expected plain values; got a tag"),
        ("data: x\nname: !!binary aGk=\n", "recipe.yaml:2: expected plain values; got a tag"),
        ("data: x\nevaluate: {fidelity: !!bool maybe}\n", "recipe.yaml:2: expected plain values; got a tag"),
        ("data: x\nname: !!timestamp x\n", "recipe.yaml:2: expected plain values; got a tag"),
        ("data: x\ncount: !!map {a: 1}\n", "recipe.yaml:2: expected plain values; got a tag"),
        ("data: ! x\n", "recipe.yaml:1: expected plain values; got a tag"),
        ("data: x\nedit: &a []\n", "recipe.yaml:2: expected plain values; got an anchor"),
        ("data: &a x\n", "recipe.yaml:1: expected plain values; got an anchor"),
        ("data: *a\n", "recipe.yaml:1: expected plain values; got an alias"),
        ("count: 5\n", "data: expected this key; got none"),
        ("data: x\ncount: 0\n", "recipe.yaml:2: count"),
        ("data: x\ncount: many\n", "recipe.yaml:2: count"),
        ("data: x\nsplit: {train: 0.9}\n", "recipe.yaml:2: split: expected three fractions above 0 that sum to 1"),
        ("data: x\nsplit:\n  grups: {folder: 1}\n", "recipe.yaml:3: split.grups"),
        ("data: x\nsplit:\n  groups: {}\n", "expected exactly one of column, regex, folder"),
        ("data: x\ngenerate:\n- use: difusion\n", "recipe.yaml:3: generate.0.use: expected a generator"),
        ("data: x\ngenerate:\n- use: difusion\n", "did you mean 'diffusion'?"),
        ("data: x\ngenerate:\n- use: diffusion\n  stepps: 3\n", "recipe.yaml:3: generate.0"),
        ("data: x\ngenerate:\n- use: diffusion\n  stepps: 3\n", "did you mean 'steps'?"),
        ("data: x\ngenerate:\n- use: diffusion\n  steps: lots\n", "generate.0.steps"),
        ("data: x\ngenerate: []\n", "expected at least one entry under generate or edit"),
        ("data: x\nexport: [tfrecord]\n", "recipe.yaml:2: export.0"),
        ("data: x\nseed: -1\n", "recipe.yaml:2: seed"),
        ("data: x\nname: ../../etc\n", "recipe.yaml:2: name"),
        ("data: x\ntask: video\n", "recipe.yaml:2: task"),
        ("data: x\ngate: {copies: allow}\n", "recipe.yaml:2: gate.copies"),
        ("data: x\nminutes: .nan\n", "recipe.yaml:2: minutes"),
        (
            "data: {path: x, window: [65535, 0]}\n",
            "recipe.yaml:1: data.window: expected two numbers, the value of black",
        ),
        ("data: {path: x, window: [9, 9]}\n", "recipe.yaml:1: data.window: expected two numbers, the value of black"),
        (
            "data: {path: x, window: [0, .inf]}\n",
            "recipe.yaml:1: data.window: expected two numbers, the value of black",
        ),
        ("data: {path: x, window: [.nan, 1]}\n", "below that of white; got [nan, 1]"),
        (
            "data: x\nimage: {size: [0, 32]}\n",
            "recipe.yaml:2: image.size.0: expected a number greater than or equal to 4",
        ),
        (
            "data: x\nimage: {size: [32, -4]}\n",
            "recipe.yaml:2: image.size.1: expected a number greater than or equal to",
        ),
        (
            "data: x\nimage: {size: [5000, 5000]}\n",
            "recipe.yaml:2: image.size.0: expected a number less than or equal to 4096",
        ),
        ("seed: 1\ndata: ~nosuchuser/x\n", "recipe.yaml:2: expected a path; got '~nosuchuser/x'"),
        ("seed: 1\ndata:\n  path: ~nosuchuser/x\n", "recipe.yaml:3: expected a path; got '~nosuchuser/x'"),
        ("data: x\ngenerate: [{use: folder, path: ~nosuchuser/x}]\n", "there is no such home folder"),
        ('data: "a\\0b"\n', "recipe.yaml:1: expected a path; got 'a\\x00b'; a file name cannot hold a NUL character"),
    ],
)
def test_a_bad_recipe_gives_one_line_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    message = error_of(tmp_path, text)
    assert expected in message
    assert "\n" not in message


def test_binary_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="expected UTF-8 text"):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml: expected a readable file"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("override", ["count", "=3", "generate.7.steps=3", "count=0", "seed=!!int 5", "data=&a y"])
def test_a_bad_override_is_refused(tmp_path: Path, override: str) -> None:
    assert error_of(tmp_path, "data: x\ngenerate: [{use: diffusion}]\n", override)


def test_overrides_reach_into_lists_and_scalars() -> None:
    written = recipe_from_values(
        {"data": "x", "generate": [{"use": "diffusion"}]},
        overrides=["generate.0.steps=7", "data.licence=CC0-1.0", "split.shots=3"],
    )
    assert written.recipe.generate[0].settings == {"steps": 7}
    assert (written.recipe.data.path, written.recipe.data.licence) == (str(Path("x").resolve()), "CC0-1.0")
    assert written.recipe.split.shots == 3


def test_a_recipe_survives_its_own_yaml() -> None:
    recipe = recipe_from_values({"data": "x", "count": {"a": 3}, "split": {"groups": {"regex": "(.*)_"}}}).recipe
    again = Recipe.model_validate(__import__("yaml").safe_load(recipe.to_yaml()))
    assert again == recipe


def test_the_digest_ignores_place_name_and_what_comes_after() -> None:
    base = {"data": "x", "seed": 1}
    digest = recipe_from_values(base).recipe.digest()
    for change in ({"data": "y"}, {"name": "n"}, {"minutes": 3}, {"export": ["parquet"]}, {"gate": {"copies": "off"}}):
        assert recipe_from_values({**base, **change}).recipe.digest() == digest
    for change in ({"seed": 2}, {"count": 7}, {"data": {"path": "x", "window": [0, 255]}}, {"shard_size": 3}):
        assert recipe_from_values({**base, **change}).recipe.digest() != digest


def test_a_path_that_leads_back_to_itself_is_told(tmp_path: Path) -> None:
    try:
        (tmp_path / "loop").symlink_to("loop")
    except OSError:
        pytest.skip("needs links")
    if sys.version_info < (3, 13):
        assert "recipe.yaml:1: expected a path; got 'loop', which leads nowhere" in error_of(tmp_path, "data: loop\n")


def test_values_that_only_look_like_tags_and_anchors_may_be_quoted(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("data: '!x'\nsplit: {groups: {column: \"&a\"}}\n")
    recipe = load_recipe(tmp_path / "r.yaml").recipe
    assert recipe.data.path == str(tmp_path.resolve() / "!x")
    assert recipe.split.groups is not None
    assert recipe.split.groups.column == "&a"


def test_a_size_may_have_two_sides(tmp_path: Path) -> None:
    assert recipe_from_values({"data": "x", "image": {"size": [4, 512]}}).recipe.image.size == (4, 512)


def test_the_data_path_starts_at_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("data: photos\n")
    assert load_recipe(tmp_path / "r.yaml").source == (tmp_path / "photos").resolve()


def test_off_stands_for_itself_and_numbers_may_name_classes(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "data: builtin:digits\nalign: off\ngate: {copies: off}\nevaluate: {utility: off, fidelity: false}\n"
        "count: {0: 5, 01: 6, true: 7}\n"
    )
    recipe = load_recipe(path, overrides=["gate.copies=off", "align=off"]).recipe
    assert (recipe.align, recipe.gate.copies, recipe.evaluate.utility) == ("off", "off", "off")
    assert recipe.evaluate.fidelity is False
    assert recipe.count == {"0": 5, "01": 6, "true": 7}
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert load_recipe(again).recipe == recipe


def test_the_features_of_an_evolution_are_checked_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    for embedder, said in (("{use: random, size: x}", "embedder.size: expected a whole"), ("{use: nope}", "embedder.")):
        path.write_text(f"data: photos\nevolve:\n  rounds: 2\n  embedder: {embedder}\n")
        with pytest.raises(RecipeError, match=rf"r\.yaml:4: evolve\.{said}"):
            load_recipe(path)


def test_paths_start_at_the_recipe_and_none_is_shown_to_others(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "data: photos\ngenerate: [{use: folder, path: theirs}]\n"
        "evaluate: {embedder: {use: pretrained, name: dinov2, path: models/dino}}\n"
    )
    recipe = load_recipe(path).recipe
    assert recipe.generate[0].settings["path"] == str(tmp_path / "theirs")
    assert recipe.evaluate.embedder.settings["path"] == str(tmp_path / "models" / "dino")
    shown = recipe.without_paths("photos").to_yaml()
    assert str(tmp_path) not in shown
    assert "theirs" in shown
    assert "dino" in shown
