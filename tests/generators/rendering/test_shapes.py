from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from scipy.optimize import nnls

from twinset.errors import UnknownNameError
from twinset.generators.rendering.meshes import Mesh
from twinset.generators.rendering.shapes import (
    FAMILIES,
    Choice,
    Family,
    Narrowed,
    Number,
    built,
    draw,
    shape_id,
    topology,
)
from twinset.generators.rendering.shapes.family import Option, Value
from twinset.randomness import Stream

FEWEST = {"chair": 12, "table": 12, "bag": 8, "car": 8, "cell": 6, "primitive": 12, "bus": 12}
DRAWN = 12


def shapes_of(family: Family) -> list[Mapping[str, Option]]:
    """All combinations of the choices that change the shape."""
    choices = {
        name: range_.options
        for name, range_ in family.parameters.items()
        if isinstance(range_, Choice) and range_.changes == "shape"
    }
    return [dict(zip(choices, options, strict=True)) for options in itertools.product(*choices.values())]


def middle(family: Family) -> dict[str, Value]:
    return {
        name: range_.options[0] if isinstance(range_, Choice) else (range_.low + range_.high) / 2
        for name, range_ in family.parameters.items()
    }


def pieces(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, int]:
    """Faces with vertices at one place made one, each face's connected piece, and how many pieces there are."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.vertices)
    pairs = mesh.faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), (count, count))
    total, labels = connected_components(graph, directed=False)
    return mesh.faces, labels[mesh.faces[:, 0]], total


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@cache
def mesh_of(family: str, seed: int) -> Mesh:
    """Built once for all tests that look at it; no test may change it."""
    return built(FAMILIES[family], draw(FAMILIES[family], rng=Stream(seed)))


@pytest.fixture(params=list(FAMILIES))
def drawn(request: pytest.FixtureRequest) -> list[Mesh]:
    return [mesh_of(request.param, seed) for seed in range(DRAWN)]


def test_objects_stand_on_the_ground_around_the_axis(drawn: list[Mesh]) -> None:
    for mesh in drawn:
        low, high = mesh.bounds
        assert low[2] == pytest.approx(0, abs=1e-5)
        assert (low + high)[:2] == pytest.approx([0, 0], abs=1e-4)


def test_every_piece_is_closed_and_its_faces_look_outwards(drawn: list[Mesh]) -> None:
    for mesh in drawn:
        faces, piece, total = pieces(mesh)
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
        keys, back = edges[:, 0] << 32 | edges[:, 1], edges[:, 1] << 32 | edges[:, 0]
        assert len(np.unique(keys)) == len(keys)
        assert np.array_equal(np.sort(keys), np.sort(back))
        a, b, c = mesh.corners.astype(np.float64).transpose(1, 0, 2)
        volumes = np.bincount(piece, np.einsum("ij,ij->i", a, np.cross(b, c)) / 6, total)
        assert (volumes > 0).all()


def test_normals_are_unit_vectors_on_their_faces_side(drawn: list[Mesh]) -> None:
    for mesh in drawn:
        assert mesh.normals is not None
        a, b, c = mesh.corners.astype(np.float64).transpose(1, 0, 2)
        flat = np.cross(b - a, c - a)
        solid = np.linalg.norm(flat, axis=1) > 1e-12
        assert np.linalg.norm(mesh.normals, axis=-1) == pytest.approx(1, abs=1e-4)
        sides = np.einsum("fcj,fj->fc", mesh.normals.astype(np.float64)[solid], flat[solid])
        assert (sides > 0).all()


def test_sizes_stay_within_what_a_renderer_likes(drawn: list[Mesh]) -> None:
    for mesh in drawn:
        assert len(mesh.faces) <= 8000
        assert len(mesh.materials) <= 12
        assert np.isfinite(mesh.vertices).all()


def off_surface(mesh: Mesh, point: np.ndarray) -> float:
    """Metres from the nearest face that is about there, by weights of its corners ≥ 0 that sum to 1."""
    corners = mesh.corners.astype(np.float64)
    about = ((corners.min(1) <= point + 1e-4) & (corners.max(1) >= point - 1e-4)).all(1)
    found = [np.inf]
    for triangle in corners[about]:
        weights, _ = nnls(np.vstack([triangle.T, np.full(3, 1e3)]), np.append(point, 1e3))
        found.append(float(np.linalg.norm(weights @ triangle - point)) + abs(1 - float(weights.sum())))
    return min(found)


def test_keypoints_have_the_same_names_in_every_shape_and_lie_on_the_object(family: Family) -> None:
    names = set()
    for seed in range(8):
        mesh = mesh_of(family.name, seed)
        names.add(frozenset(mesh.keypoints))
        for name, at in mesh.keypoints.items():
            assert off_surface(mesh, np.asarray(at)) < 1e-5, name
    assert len(names) == 1
    assert next(iter(names))


def test_left_keypoints_lie_to_the_left_and_front_ones_in_front(family: Family) -> None:
    limits: dict[str, Number | Choice] = {"bend_degrees": Number(0, 0)} if family.name == "bus" else {}
    straight = Narrowed(family, limits)
    mesh = built(straight, draw(straight, rng=Stream(3)))
    for name, at in mesh.keypoints.items():
        for other, axis, sign in (("left", 1, 1), ("right", 1, -1), ("front", 0, 1), ("rear", 0, -1), ("back_", 0, -1)):
            if other in name and not name.startswith("back_top"):
                assert sign * at[axis] > 0, name


def test_equal_values_give_equal_meshes(family: Family) -> None:
    values = draw(family, rng=Stream(4))
    first, second = built(family, values), built(family, values)
    assert np.array_equal(first.vertices, second.vertices)
    assert np.array_equal(first.faces, second.faces)
    for one, other in zip(first.materials, second.materials, strict=True):
        assert (one.texture is None) == (other.texture is None)
        assert one.texture is None or np.array_equal(one.texture, other.texture)


def test_what_changes_the_look_changes_no_vertex_and_no_shape_id(family: Family) -> None:
    values = draw(family, rng=Stream(5))
    other = draw(family, rng=Stream(6))
    repainted = {
        name: other[name] if range_.changes == "look" else values[name] for name, range_ in family.parameters.items()
    }
    assert np.array_equal(built(family, values).vertices, built(family, repainted).vertices)
    assert shape_id(family, values) == shape_id(family, repainted)


def test_every_number_that_changes_the_shape_does(family: Family) -> None:
    for name, range_ in family.parameters.items():
        if not isinstance(range_, Number) or range_.changes != "shape":
            continue
        moved = 0
        for seed in range(12):
            values = draw(family, rng=Stream(seed))
            low, high = ({**values, name: end} for end in (range_.low, range_.high))
            one, two = built(family, low).vertices, built(family, high).vertices
            moved += one.shape != two.shape or not np.array_equal(one, two)
            if moved:
                break
        assert moved, name


@pytest.mark.slow
def test_topologies_are_many_and_all_differ(family: Family) -> None:
    combinations = shapes_of(family)
    assert len(combinations) >= FEWEST[family.name]
    rows = Stream(0).numpy().permutation(len(combinations))[:40]
    seen, names = set(), set()
    for row in rows:
        values = {**middle(family), **combinations[row]}
        seen.add(built(family, values).vertices.tobytes())
        names.add(topology(family, values))
    assert len(seen) == len(rows)
    assert len(names) == len(rows)


@pytest.mark.slow
def test_all_topologies_differ(family: Family) -> None:
    combinations = shapes_of(family)
    start = middle(family)
    seen = {hash(built(family, {**start, **options}).vertices.tobytes()) for options in combinations}
    assert len(seen) == len(combinations)


def test_shape_ids_name_the_topology_and_tell_sizes_apart() -> None:
    chair = FAMILIES["chair"]
    values = {**middle(chair), "arms": True, "stretcher": False}
    assert topology(chair, values) == "chair/straight-slats-square-arms"
    assert shape_id(chair, values).startswith("chair/straight-slats-square-arms/")
    assert shape_id(chair, values) != shape_id(chair, {**values, "width": 0.5})


def test_real_world_sizes() -> None:
    spans = {"chair": (0.7, 1.15), "table": (0.4, 0.8), "bag": (0.15, 1.1), "car": (1.0, 2.2), "bus": (2.3, 4.2)}
    for name, (low, high) in spans.items():
        for seed in range(10):
            mesh = mesh_of(name, seed)
            assert low <= mesh.bounds[1, 2] <= high, name
    lengths = [
        np.ptp(built(FAMILIES["car"], {**draw(FAMILIES["car"], rng=1), "body": body, "size": size}).vertices[:, 0])
        for body in ("hatchback", "sedan", "pickup", "van", "coupe", "suv")
        for size in (0.0, 1.0)
    ]
    assert min(lengths) >= 3.4
    assert max(lengths) <= 5.25


def test_a_red_cell_has_the_published_profile_at_half_the_thickness() -> None:
    """7.82 µm across, 0.81 µm thick in the middle, 2.57 µm at most (Evans and Fung 1972)."""
    cell = FAMILIES["cell"]
    values = {**middle(cell), "kind": "disc", "outline": "round", "size": 1.0, "stretch": 1.0, "wobble": 0.0}
    mesh = built(cell, values)
    assert np.ptp(mesh.vertices[:, 0]) == pytest.approx(1, abs=0.01)
    assert mesh.bounds[1, 2] == pytest.approx(0.5 * 2.57 / 7.82, rel=0.02)
    axis = mesh.vertices[np.linalg.norm(mesh.vertices[:, :2], axis=1) < 1e-3, 2]
    assert np.ptp(axis) == pytest.approx(0.5 * 0.81 / 7.82, rel=0.02)


@pytest.mark.slow
def test_parameters_are_drawn_independently() -> None:
    table = FAMILIES["table"]
    numbers = [name for name, range_ in table.parameters.items() if isinstance(range_, Number)]
    drawn = np.array([[draw(table, rng=Stream(seed))[name] for name in numbers] for seed in range(300)], dtype=float)
    correlation = np.corrcoef(drawn.T) - np.eye(len(numbers))
    assert np.abs(correlation).max() < 0.25


def test_draws_are_within_the_ranges_and_of_one_stream_each() -> None:
    class Longer:
        name = "chair"
        parameters: Mapping[str, Number | Choice] = {"new": Number(0, 1), **FAMILIES["chair"].parameters}

        def build(self, values: Mapping[str, Value]) -> Mesh:
            raise NotImplementedError

    chair = FAMILIES["chair"]
    first = draw(chair, rng=Stream(2))
    assert all(chair.parameters[name].holds(value) for name, value in first.items())
    assert {name: value for name, value in draw(Longer(), rng=Stream(2)).items() if name != "new"} == first
    assert draw(chair, rng=Stream(3)) != first


def test_choices_follow_their_weights() -> None:
    choice = Choice(("a", "b", "c"), weights=(6, 3, 0))
    drawn = [choice.drawn(Stream(seed).numpy()) for seed in range(600)]
    assert "c" not in drawn
    assert drawn.count("a") / 600 == pytest.approx(2 / 3, abs=0.06)


def test_a_narrowed_family_draws_and_takes_less() -> None:
    reds = Narrowed(FAMILIES["cell"], {"kind": Choice(("disc", "flat")), "size": Number(0.9, 1.0)})
    kinds = {draw(reds, rng=Stream(seed))["kind"] for seed in range(20)}
    assert kinds == {"disc", "flat"}
    values = draw(reds, rng=Stream(1))
    assert shape_id(reds, values) == shape_id(FAMILIES["cell"], values)
    with pytest.raises(ValueError, match="expected kind of cell one of disc, flat; got 'band'"):
        built(reds, {**values, "kind": "band"})


def test_narrowed_options_keep_their_weights() -> None:
    some = Narrowed(FAMILIES["car"], {"body": Choice(("convertible", "sedan"))})
    body = some.parameters["body"]
    assert isinstance(body, Choice)
    assert body.weights == (2, 22)
    chosen = Narrowed(FAMILIES["car"], {"body": Choice(("convertible", "sedan"), weights=(1, 1))}).parameters["body"]
    assert isinstance(chosen, Choice)
    assert chosen.weights == (1, 1)


def test_wrong_values_are_named() -> None:
    table = FAMILIES["table"]
    values = middle(table)
    with pytest.raises(UnknownNameError, match="hight"):
        built(table, {**values, "hight": 1.0})
    with pytest.raises(ValueError, match=r"expected height of table 0\.42 … 0\.78; got 2\.0"):
        built(table, {**values, "height": 2.0})
    with pytest.raises(ValueError, match="expected shelf of table one of False, True; got 1"):
        built(table, {**values, "shelf": 1})
    with pytest.raises(ValueError, match="expected a value for top of table"):
        built(table, {name: value for name, value in values.items() if name != "top"})
    with pytest.raises(UnknownNameError, match="colour"):
        Narrowed(table, {"colour": Choice(("red",))})
    with pytest.raises(ValueError, match="expected height of table"):
        Narrowed(table, {"height": Number(0.5, 3.0)})


@pytest.mark.parametrize("weights", [(1.0,), (-1.0, 2.0), (0.0, 0.0)])
def test_weights_must_fit_the_options(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected a weight"):
        Choice(("a", "b"), weights=weights)


def test_ranges_run_upwards() -> None:
    with pytest.raises(ValueError, match="low ≤ high"):
        Number(2, 1)
    with pytest.raises(ValueError, match="finite"):
        Number(0, float("inf"))


def test_the_example_family_works() -> None:
    import runpy
    from pathlib import Path

    example = Path(__file__).parents[3] / "examples" / "rendering_family.py"
    mug = runpy.run_path(str(example))["Mug"]()
    mesh = built(mug, draw(mug, rng=Stream(1)))
    assert mesh.bounds[1, 2] == pytest.approx(draw(mug, rng=Stream(1))["height"], abs=1e-3)
    assert mesh.keypoints.keys() == {"rim"}
