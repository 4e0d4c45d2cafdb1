"""Blends against independent references; pictures without their objects."""

from __future__ import annotations

import cv2
import numpy as np

from twinset.generators.copypaste.blending import blend, relit, solve
from twinset.generators.copypaste.removal import holes_of, without_objects


def test_poisson_equals_opencvs_seamless_clone() -> None:
    draws = np.random.Generator(np.random.PCG64(0))
    smooth = [cv2.GaussianBlur(draws.integers(0, 256, (60, 80, 3)).astype(np.uint8), (0, 0), 5) for _ in range(2)]
    mask = np.zeros((60, 80), dtype=np.uint8)
    cv2.ellipse(mask, (40, 30), (25, 18), 20, 0, 360, 255, -1)
    x, y, width, height = cv2.boundingRect(mask)
    rect = (slice(y, y + height), slice(x, x + width))
    # OpenCV works on the mask's own rectangle, which it pads by a pixel, and shrinks the mask by three.
    eroded = cv2.erode(mask, np.ones((3, 3), dtype=np.uint8), iterations=3)
    around = (slice(y - 1, y + height + 1), slice(x - 1, x + width + 1))
    theirs = cv2.seamlessClone(smooth[0], smooth[1], mask, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
    ours = smooth[1].copy()
    ours[around] = solve(smooth[1][around], smooth[0][around], eroded[around])
    difference = np.abs(ours[rect].astype(int) - theirs[rect])
    assert difference.mean() < 1.5
    change = np.abs(theirs[rect].astype(int) - smooth[1][rect]).mean()
    assert change > 5 * difference.mean()


def test_poisson_solves_its_equation_and_keeps_the_rim() -> None:
    draws = np.random.Generator(np.random.PCG64(1))
    window = cv2.GaussianBlur(draws.integers(90, 160, (40, 30, 3)).astype(np.uint8), (0, 0), 3)
    colours = cv2.GaussianBlur(draws.integers(90, 160, (40, 30, 3)).astype(np.uint8), (0, 0), 3)
    mask = np.zeros((40, 30), dtype=np.uint8)
    mask[8:30, 7:24] = 255
    solved = solve(window, colours, mask).astype(float)
    assert np.array_equal(solved[[0, -1]], window[[0, -1]])
    assert np.array_equal(solved[:, [0, -1]], window[:, [0, -1]])

    def laplacian(picture: np.ndarray) -> np.ndarray:
        inner = -4 * picture[1:-1, 1:-1] + picture[2:, 1:-1] + picture[:-2, 1:-1] + picture[1:-1, 2:]
        return inner + picture[1:-1, :-2]

    inside = np.zeros((38, 28), dtype=bool)
    inside[9:27, 8:21] = True
    assert (
        np.abs(laplacian(solved)[inside] - laplacian(colours.astype(float))[inside]).max() <= 4
    )  # rounding of 5 pixels


def test_a_constant_colour_vanishes_under_poisson() -> None:
    window = np.full((24, 24, 3), 80, dtype=np.uint8)
    mask = np.zeros((24, 24), dtype=np.uint8)
    mask[6:18, 6:18] = 255
    blend(window, np.full((24, 24, 3), 200, dtype=np.uint8), mask, mask, "poisson")
    assert np.abs(window.astype(int) - 80).max() <= 1


def test_alpha_weighs_object_and_ground() -> None:
    window = np.full((4, 4, 3), 100, dtype=np.uint8)
    alpha = np.array([[0, 51, 204, 255]] * 4, dtype=np.uint8)
    blend(window, np.full((4, 4, 3), 200, dtype=np.uint8), alpha, alpha, "alpha")
    assert np.abs(window[0, :, 0].astype(int) - [100, 120, 180, 200]).max() <= 1


def test_relit_objects_follow_their_surroundings_within_bounds() -> None:
    colours = np.full((20, 20, 3), 120, dtype=np.uint8)
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[5:15, 5:15] = 255
    neutral = np.array([128.0, 128, 128, 4, 4, 4])
    means = []
    for grey in (128, 200, 255, 20):
        window = np.full((20, 20, 3), grey, dtype=np.uint8)
        means.append(int(relit(colours, mask, window, neutral)[10, 10, 0]))
    assert abs(means[0] - 120) < 12
    assert means[3] < means[0] < means[1] <= means[2] < 160


def test_a_picture_without_objects_is_the_ground() -> None:
    draws = np.random.Generator(np.random.PCG64(0))
    ramp = np.linspace(60, 180, 120)[None, :, None] + draws.normal(0, 5, size=(90, 120, 1))
    ground = np.clip(np.repeat(ramp, 3, axis=2), 0, 255).astype(np.uint8)
    picture = ground.copy()
    picture[30:60, 40:80] = (255, 0, 0)
    holes = holes_of((90, 120), np.array([[40, 30, 80, 60]], dtype=np.float32), [None])
    filled = without_objects(picture, holes)
    assert np.array_equal(filled[~holes], picture[~holes])
    inside = filled[30:60, 40:80].astype(float) - ground[30:60, 40:80]
    assert abs(inside.mean()) < 8
    assert inside[..., 0].mean() < 12  # no red is left
    assert 3 < np.diff(filled[30:60, 40:80, 0].astype(float), axis=0).std() < 12  # the grain goes on
