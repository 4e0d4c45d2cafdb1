from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d, uniform_filter

from twinset.evaluation.pairs import paired
from twinset.evaluation.pairs.ssim import StructuralSimilarity, ssim, ssim_values
from twinset.evaluation.pairs.windows import SIDES, Sliding, Window, window_weights


def pair(seed: int, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.PCG64(seed))
    rough = draw.integers(0, 256, shape)
    x = ((rough + np.roll(rough, 1, 0) + np.roll(rough, 1, 1)) // 3).astype(np.uint8)
    return x, np.clip(x + draw.integers(-30, 31, shape), 0, 255).astype(np.uint8)


def plain(x: np.ndarray, y: np.ndarray, data_range: float, window: Window) -> float:
    """The formula as it stands, a filter a moment, one channel after the other."""

    def mean(values: np.ndarray) -> np.ndarray:
        if window == "uniform":
            return uniform_filter(values, 7)[3:-3, 3:-3]
        bell = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
        bell /= bell.sum()
        return correlate1d(correlate1d(values, bell, axis=0), bell, axis=1)[5:-5, 5:-5]

    scale = 49 / 48 if window == "uniform" else 1.0
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    found = []
    for channel in range(x.shape[2]):
        a, b = x[..., channel].astype(np.float64), y[..., channel].astype(np.float64)
        ma, mb = mean(a), mean(b)
        va, vb, cov = (scale * (mean(p * q) - m) for p, q, m in ((a, a, ma * ma), (b, b, mb * mb), (a, b, ma * mb)))
        found.append(((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())
    return float(np.mean(found))


# structural_similarity of scikit-image 0.26.0: gaussian_weights and no sample covariance; its defaults; the first of
# these against the negative, as floats.
GOLDEN = {
    (0, (40, 33, 3)): (0.9134347731019309, 0.9174970625629109, -0.8628502018666234),
    (1, (16, 64, 1)): (0.9049494268984908, 0.9078994143746233, -0.849935472747586),
    (2, (11, 11, 3)): (0.9264050077972712, 0.9202249199828536, -0.8649929804180044),
    (3, (100, 70, 1)): (0.9110738411102668, 0.9157981413668942, -0.8572145309607729),
}


@pytest.mark.parametrize(("seed", "shape"), GOLDEN)
def test_it_equals_scikit_image(seed: int, shape: tuple[int, int, int]) -> None:
    gaussian, uniform, negative = GOLDEN[seed, shape]
    x, y = (each[None] for each in pair(seed, shape))
    assert ssim_values(x, y, data_range=255)[0] == pytest.approx(gaussian, abs=1e-12)
    assert ssim_values(x, y, data_range=255, window="uniform")[0] == pytest.approx(uniform, abs=1e-12)
    assert ssim_values(x / 255, 1 - y / 255, data_range=1)[0] == pytest.approx(negative, abs=1e-12)


@pytest.mark.parametrize("shape", [(53, 47, 3), (12, 90, 1), (130, 64, 4)])
@pytest.mark.parametrize("kind", ["noisy", "inverted", "flat", "equal", "dark floats"])
def test_it_equals_scikit_image_as_installed(kind: str, shape: tuple[int, int, int]) -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image of the dev group is not installed")
    x, y = pair(9, shape)
    x, y, data_range = {
        "noisy": (x, y, 255.0),
        "inverted": (x, 255 - y, 255.0),
        "flat": (np.full_like(x, 255), np.zeros_like(y), 255.0),
        "equal": (x, x, 255.0),
        "dark floats": (x / 25500.0, y / 25500.0, 1.0),
    }[kind]
    gaussian = metrics.structural_similarity(
        x, y, data_range=data_range, channel_axis=2, gaussian_weights=True, use_sample_covariance=False
    )
    assert ssim_values(x[None], y[None], data_range=data_range)[0] == pytest.approx(gaussian, abs=2e-6)
    uniform = metrics.structural_similarity(x, y, data_range=data_range, channel_axis=2)
    ours = ssim_values(x[None], y[None], data_range=data_range, window="uniform")[0]
    assert ours == pytest.approx(uniform, abs=2e-6)


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("shape", [(11, 300, 1), (300, 12, 3), (131, 140, 1), (32, 32, 3)])
def test_it_equals_the_plain_formula_at_any_shape(window: Window, shape: tuple[int, int, int]) -> None:
    pairs = [pair(seed, shape) for seed in range(3)]
    x, y = (np.stack(each) for each in zip(*pairs, strict=True))
    expected = [plain(a, b, 255, window) for a, b in pairs]
    assert ssim_values(x, y, data_range=255, window=window) == pytest.approx(expected, abs=1e-12)
    as_floats = ssim_values(x.astype(np.float32), y, data_range=255, window=window)
    assert as_floats == pytest.approx(expected, abs=1e-12)


def test_what_a_pair_gets_does_not_depend_on_the_pairs_beside_it() -> None:
    pairs = [pair(seed, (64, 48, 3)) for seed in range(40)]
    x, y = (np.stack(each) for each in zip(*pairs, strict=True))
    alone = [ssim_values(x[row : row + 1], y[row : row + 1], data_range=255)[0] for row in (0, 7, 39)]
    assert ssim_values(x, y, data_range=255)[[0, 7, 39]] == pytest.approx(alone, abs=1e-13)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [pair(seed, (64, 64, 3)) for seed in range(40)]
    x, y = (np.stack(each) for each in zip(*pairs, strict=True))
    monkeypatch.setattr(paired, "BLOCK_PIXELS", 3 * 64 * 64 * 3)
    found = []
    for count in (1, 4):
        monkeypatch.setattr(paired, "numpy_threads", lambda count=count: count)
        found.append(ssim_values(x, y, data_range=255))
    assert (found[0] == found[1]).all()
    y = y.astype(np.float64)
    y[31, 5, 5, 0] = np.nan
    with pytest.raises(ValueError, match="in pair 31;"):
        ssim_values(x, y, data_range=255)


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
def test_laws(window: Window) -> None:
    x, y = (each[None] for each in pair(4, (40, 40, 3)))
    assert ssim_values(x, x, data_range=255, window=window)[0] == pytest.approx(1.0, abs=1e-12)
    there, back = (ssim_values(*both, data_range=255, window=window)[0] for both in ((x, y), (y, x)))
    assert there == pytest.approx(back, abs=1e-14)
    turned = ssim_values(x[:, ::-1].swapaxes(1, 2), y[:, ::-1].swapaxes(1, 2), data_range=255, window=window)[0]
    assert there == pytest.approx(turned, abs=1e-12)
    noisier = np.clip(y + np.random.Generator(np.random.PCG64(0)).normal(0, 40, y.shape), 0, 255)
    assert ssim_values(x.astype(float), noisier, data_range=255, window=window)[0] < there < 1
    scaled = ssim_values(x / 51.0, y / 51.0, data_range=5, window=window)[0]
    assert scaled == pytest.approx(there, abs=1e-12)


def test_windowed_means_are_those_of_every_place() -> None:
    maps = np.random.Generator(np.random.PCG64(5)).normal(size=(2, 30, 21))
    for window in ("gaussian", "uniform"):
        weights = np.outer(window_weights(window), window_weights(window))
        side = SIDES[window]
        means = Sliding(window, maps.size).means(maps)
        assert means.shape == (2, 31 - side, 22 - side)
        for number, top, left in ((0, 0, 0), (1, 17, 3), (1, 30 - side, 21 - side)):
            expected = (maps[number, top : top + side, left : left + side] * weights).sum()
            assert means[number, top, left] == pytest.approx(expected, abs=1e-13)


def test_the_score_names_its_window_and_too_small_pictures_have_none() -> None:
    pairs = [pair(seed, (32, 32, 3)) for seed in range(6)]
    x, y = (np.stack(each) for each in zip(*pairs, strict=True))
    score = StructuralSimilarity(window="uniform").score(x, y)
    values = ssim_values(x, y, data_range=255, window="uniform")
    assert score.value == pytest.approx(values.mean())
    assert score.settings["window"] == "uniform 7 x 7"
    assert score.settings["standard_error"] == pytest.approx(values.std(ddof=1) / np.sqrt(6))
    assert "gaussian 11 x 11" in str(ssim(x, y, data_range=255).settings["window"])
    small = ssim(x[:, :10], y[:, :10], data_range=255)
    assert small.value is None
    assert "at least 11 x 11 pixels; got 10 x 32" in small.undefined_because
    with pytest.raises(ValueError, match="at least 11 x 11"):
        ssim_values(x[:, :10], y[:, :10], data_range=255)
    with pytest.raises(ValueError, match="gaussian, uniform"):
        StructuralSimilarity(window="box")  # type: ignore[arg-type]
