from __future__ import annotations

import numpy as np
import pytest

from twinset.evaluation.pairs.diversity import Classes
from twinset.evaluation.pairs.ms_ssim import (
    MultiScaleSimilarity,
    ms_ssim,
    ms_ssim_values,
    smallest_side,
    structural_diversity,
)
from twinset.evaluation.pairs.ssim import ssim_values
from twinset.evaluation.pairs.windows import window_weights
from twinset.randomness import Stream


def picture(draw: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    rough = draw.integers(0, 256, shape)
    return ((rough + np.roll(rough, 1, 0) + np.roll(rough, 1, 1)) // 3).astype(np.uint8)


def pairs_of(seed: int, count: int, shape: tuple[int, int, int], noise: float = 25.0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.PCG64(seed))
    x = np.stack([picture(draw, shape) for _ in range(count)])
    return x, np.clip(x + draw.normal(0, noise, x.shape), 0, 255).astype(np.uint8)


def plain(x: np.ndarray, y: np.ndarray, scales: int) -> float:
    """Place by place, scale by scale, channel by channel."""
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    weights /= weights.sum()
    kernel = np.outer(window_weights("gaussian"), window_weights("gaussian"))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for channel in range(x.shape[2]):
        a, b = x[..., channel].astype(float), y[..., channel].astype(float)
        value = 1.0
        for scale in range(scales):
            windows = [np.lib.stride_tricks.sliding_window_view(each, (11, 11)) for each in (a, b)]
            p, q = windows
            mp, mq = (np.einsum("ijkl,kl->ij", each, kernel) for each in windows)
            vp = np.einsum("ijkl,kl->ij", (p - mp[..., None, None]) ** 2, kernel)
            vq = np.einsum("ijkl,kl->ij", (q - mq[..., None, None]) ** 2, kernel)
            cov = np.einsum("ijkl,kl->ij", (p - mp[..., None, None]) * (q - mq[..., None, None]), kernel)
            structure = (2 * cov + c2) / (vp + vq + c2)
            luminance = (2 * mp * mq + c1) / (mp**2 + mq**2 + c1)
            last = scale == scales - 1
            value *= max(0.0, (luminance * structure if last else structure).mean()) ** weights[scale]
            a, b = (halved(each) for each in (a, b))
        found.append(value)
    return float(np.mean(found))


def halved(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape
    result = np.empty(((height + 1) // 2, (width + 1) // 2))
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            rows, columns = [2 * i, min(2 * i + 1, height - 1)], [2 * j, min(2 * j + 1, width - 1)]
            result[i, j] = plane[np.ix_(rows, columns)].mean()
    return result


@pytest.mark.parametrize(
    ("scales", "shape"), [(1, (12, 15, 1)), (2, (21, 34, 3)), (3, (47, 41, 1)), (5, (161, 163, 1))]
)
def test_it_equals_the_plain_definition(scales: int, shape: tuple[int, int, int]) -> None:
    x, y = pairs_of(0, 2, shape)
    expected = [plain(a, b, scales) for a, b in zip(x, y, strict=True)]
    assert ms_ssim_values(x, y, data_range=255, scales=scales) == pytest.approx(expected, abs=1e-11)


def test_laws() -> None:
    x, y = pairs_of(1, 3, (48, 48, 3))
    values = ms_ssim_values(x, y, data_range=255, scales=3)
    assert ms_ssim_values(x, x, data_range=255, scales=3) == pytest.approx(np.ones(3), abs=1e-12)
    assert ms_ssim_values(y, x, data_range=255, scales=3) == pytest.approx(values, abs=1e-13)
    assert ms_ssim_values(x, y, data_range=255, scales=1) == pytest.approx(ssim_values(x, y, data_range=255), abs=1e-13)
    # Noise without structure goes with the finest scales, so that more of them forgive it.
    assert (ssim_values(x, y, data_range=255) < values).all()
    assert (ms_ssim_values(x, 255 - x, data_range=255, scales=2) == 0).all()


def test_too_small_pictures_have_no_score_and_fewer_scales_say_so() -> None:
    x, y = pairs_of(2, 2, (smallest_side(5) - 1, 200, 1))
    score = ms_ssim(x, y, data_range=255)
    assert score.value is None
    assert "161 x 161 pixels for 5 scales; got 160 x 200" in score.undefined_because
    fewer = MultiScaleSimilarity(scales=4).score(x, y)
    assert fewer.value is not None
    assert (fewer.settings["scales"], fewer.settings["weights"]) == (4, "first of the paper's, rescaled")
    with pytest.raises(ValueError, match="1 to 5 scales"):
        MultiScaleSimilarity(scales=6)


def test_a_set_of_one_picture_has_no_structural_diversity_and_a_varied_one_has() -> None:
    draw = np.random.Generator(np.random.PCG64(3))
    varied = np.stack([picture(draw, (24, 24, 1)) for _ in range(30)])
    same = np.repeat(varied[:1], 30, axis=0)
    real, synthetic, gap = structural_diversity(varied, same, data_range=255, rng=Stream(0), scales=2, pairs=100)
    assert synthetic.value == pytest.approx(0.0, abs=1e-12)
    assert real.value is not None
    assert real.value > 0.5
    assert gap.value == pytest.approx(-real.value, abs=1e-12)
    assert (real.counts["real"], real.counts["pairs"], synthetic.counts["real"]) == (30, 100, 0)


def test_structural_diversity_is_one_less_the_mean_over_all_pairs_when_they_are_few() -> None:
    x, _ = pairs_of(4, 5, (24, 24, 1))
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    similar = [ms_ssim_values(x[i : i + 1], x[j : j + 1], data_range=255, scales=2)[0] for i, j in pairs]
    found = structural_diversity(x, x[:1], data_range=255, rng=Stream(0), scales=2)
    assert found[0].value == pytest.approx(1 - np.mean(similar), abs=1e-12)
    assert "two pictures; got 1 synthetic" in found[1].undefined_because
    assert found[2].value is None


def test_pairs_lie_within_a_class() -> None:
    draw = np.random.Generator(np.random.PCG64(5))
    two = np.stack([picture(draw, (24, 24, 1)) for _ in range(2)])
    classes = np.repeat([0, 1], 10)
    by_class = Classes(["a", "b"], classes, classes)
    pictures = two[classes]
    arguments = {"data_range": 255, "rng": Stream(0), "scales": 2}
    scores = {s.name: s for s in structural_diversity(pictures, pictures, classes=by_class, **arguments)}
    assert scores["structural_diversity_real"].value == pytest.approx(0.0, abs=1e-12)
    assert scores["structural_diversity_synthetic[b]"].counts["synthetic"] == 10
    assert structural_diversity(pictures, pictures, **arguments)[0].value > 0.1


def test_small_pictures_have_no_structural_diversity_at_five_scales() -> None:
    x, _ = pairs_of(6, 4, (32, 32, 3))
    assert all("161" in score.undefined_because for score in structural_diversity(x, x, data_range=255, rng=Stream(0)))
