import numpy as np
import pytest

from twinset.neighbours import NeighbourIndex, count_within, mean_distance, nearest, nearest_both, nearest_others


def by_hand(queries, references, k):
    distances = np.sqrt(((queries[:, None].astype(float) - references[None].astype(float)) ** 2).sum(-1))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), order


@pytest.mark.parametrize("block", [16, 100, 4096])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_blocks_and_offsets_change_no_distance_and_no_row(block, offset):
    draw = np.random.default_rng(0)
    references = (draw.integers(0, 3, (300, 6)) + offset).astype(np.float32)
    queries = (draw.integers(0, 3, (70, 6)) + offset).astype(np.float32)
    distances, rows = nearest(queries, references, k=7, block=block)
    expected_distances, expected_rows = by_hand(queries, references, 7)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(distances, expected_distances)


@pytest.mark.parametrize("block", [16, 100, 4096])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_both_directions_of_one_product_are_those_of_two_searches(block, offset):
    draw = np.random.default_rng(0)
    first = (draw.integers(0, 3, (300, 6)) + offset).astype(np.float32)
    second = (draw.integers(0, 4, (70, 6)) + offset).astype(np.float32)
    there, back = nearest_both(first, second, k=7, k_back=70, block=block)
    for found, wanted in ((there, by_hand(first, second, 7)), (back, by_hand(second, first, 70))):
        assert np.array_equal(found[0], wanted[0])
        assert np.array_equal(found[1], wanted[1])
    with pytest.raises(ValueError, match="1 ≤ k ≤ 70 and ≤ 300 back"):
        nearest_both(first, second, k=71, k_back=1)


@pytest.mark.parametrize("block", [16, 4096])
def test_counts_within_a_radius_are_exact_at_the_radius(block):
    draw = np.random.default_rng(3)
    first, second = draw.normal(size=(40, 9)) + 100, draw.normal(size=(90, 9)) + 100
    distances = np.sqrt(((first[:, None] - second) ** 2).sum(-1))
    radii = np.concatenate([distances[3, :5], np.nextafter(distances[3, :5], 0)])
    wanted = (distances[:, :, None] <= radii).sum(axis=1)
    assert np.array_equal(count_within(first, second, radii, block=block), wanted)


def test_of_many_equal_references_the_lowest_rows_come_first():
    references = np.ones((500, 4))
    distances, rows = nearest(np.zeros((3, 4)), references, k=4, block=64)
    assert rows.tolist() == [[0, 1, 2, 3]] * 3
    assert distances.tolist() == [[2.0] * 4] * 3


def test_differences_that_float32_cannot_see_still_decide():
    references = 1.0 + np.arange(100)[::-1, None] * 1e-9
    _, rows = nearest(np.array([[1.0]]), references, k=3)
    assert rows.tolist() == [[99, 98, 97]]


def test_a_point_is_not_its_own_neighbour():
    points = np.array([[0.0], [1.0], [3.0], [3.0]])
    distances, rows = nearest_others(points, k=1)
    assert rows[:, 0].tolist() == [1, 0, 3, 2]
    assert distances[:, 0].tolist() == [1.0, 1.0, 0.0, 0.0]


def test_an_excluded_row_is_passed_over_and_minus_one_excludes_nothing():
    points = np.array([[0.0], [1.0]])
    _, rows = nearest(points, points, k=1, exclude=np.array([0, -1]))
    assert rows[:, 0].tolist() == [1, 1]


def test_of_several_variants_the_nearest_counts():
    queries = np.array([[[100.0], [4.0]], [[0.5], [200.0]]])
    distances, rows = nearest(queries, np.array([[0.0], [5.0]]), k=2)
    assert rows.tolist() == [[1, 0], [0, 1]]
    assert distances.tolist() == [[1.0, 4.0], [0.5, 4.5]]


def test_a_query_gets_the_same_answer_alone_and_in_company():
    draw = np.random.default_rng(1)
    references, queries = draw.standard_normal((400, 50), np.float32), draw.standard_normal((90, 50), np.float32)
    together = nearest(queries, references, k=3)
    for row in (0, 41, 89):
        alone = nearest(queries[row : row + 1], references, k=3)
        assert np.array_equal(alone[0][0], together[0][row])
        assert np.array_equal(alone[1][0], together[1][row])


def test_scaling_all_vectors_scales_all_distances():
    draw = np.random.default_rng(2)
    references, queries = draw.standard_normal((200, 8), np.float32), draw.standard_normal((20, 8), np.float32)
    distances, rows = nearest(queries, references, k=5)
    larger, same = nearest(8 * queries, 8 * references, k=5)
    assert np.array_equal(same, rows)
    assert np.array_equal(larger, 8 * distances)


def test_mean_distance_averages_over_the_neighbours():
    assert mean_distance(np.array([[0.0]]), np.array([[1.0], [-3.0], [9.0]]), k=2).tolist() == [2.0]


def test_arguments_that_cannot_be_searched_are_refused():
    points = np.zeros((3, 2))
    with pytest.raises(ValueError, match="1 ≤ k ≤ 3 references; got k = 4"):
        nearest(points, points, k=4)
    with pytest.raises(ValueError, match="1 ≤ k ≤ 2 references"):
        nearest_others(points, k=3)
    with pytest.raises(ValueError, match="one length; got 2 and 3"):
        nearest(points, np.zeros((3, 3)), k=1)
    with pytest.raises(ValueError, match="1 rows with NaN"):
        nearest(np.array([[np.nan, 0.0], [0.0, 0.0]]), points, k=1)
    with pytest.raises(ValueError, match="got int64"):
        NeighbourIndex(np.zeros((3, 2), dtype=np.int64))
    with pytest.raises(ValueError, match="non-empty"):
        NeighbourIndex(np.zeros((0, 2)))
