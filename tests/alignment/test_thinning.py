import numpy as np
import pytest

from twinset.alignment.thinning import Thinning


def test_every_shell_keeps_as_many_for_one_beyond_it_as_held_out_images_have() -> None:
    held_out = np.linspace(0, 1, 1001)
    made = np.concatenate([np.full(600, 0.1), np.full(100, 0.3), np.full(200, 0.9)])
    found = Thinning.matching(made, held_out, below=0.5, shells=2)
    assert found.edges == pytest.approx((0.25, 0.5))
    assert found.chances == pytest.approx((0.5 * 200 / 600, 1.0), rel=0.01)
    kept = found.chance(made)
    assert kept[:600].sum() / kept[700:].sum() == pytest.approx(0.5, rel=0.01)


def test_a_generator_that_never_comes_farther_keeps_nothing_there() -> None:
    found = Thinning.matching(np.full(50, 0.1), np.linspace(0, 1, 101), below=0.5)
    assert found.chance(np.array([0.05, 0.1, 0.6])).tolist() == [0.0, 0.0, 1.0]


def test_a_generator_that_lies_as_held_out_images_do_loses_nothing() -> None:
    draw = np.random.default_rng(0)
    found = Thinning.matching(draw.random(20_000), draw.random(20_000), below=0.5)
    assert min(found.chances) > 0.9


def test_equal_distances_of_held_out_images_are_one_edge() -> None:
    assert Thinning.matching(np.array([0.1, 0.9]), np.full(20, 0.5), below=0.5).edges == (0.5,)


def test_edges_and_chances_that_make_no_sense_are_refused() -> None:
    for edges, chances in (((0.2, 0.1), (0.0, 0.0)), ((0.1,), ())):
        with pytest.raises(ValueError, match="ascending edges and a chance for each"):
            Thinning(edges, chances)
    with pytest.raises(ValueError, match="chances in"):
        Thinning((0.1,), (1.5,))
