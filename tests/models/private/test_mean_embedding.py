"""DP-MERF: the release moves by no more than it says, is resumed, and teaches what it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinset.errors import RunFolderError
from twinset.models.private.accounting import Privacy
from twinset.models.private.mean_embedding import (
    MeanEmbeddingModel,
    MeanEmbeddingSettings,
    draw_frequencies,
    fit_mean_embedding,
    random_features,
    release,
)
from twinset.models.private.sitting import KEY
from twinset.randomness import Stream

SETTINGS = MeanEmbeddingSettings(features=200, bandwidth=1.0, steps=600, width=64, learning_rate=3e-3)


def halves(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Bright left halves (class 0) and, one in four, bright right halves (class 1)."""
    class_ids = (np.arange(count, dtype=np.int64) % 4 == 0).astype(np.int64)
    images = np.full((count, 4, 4, 1), 20, dtype=np.uint8)
    images[class_ids == 0, :, :2] = 220
    images[class_ids == 1, :, 2:] = 220
    return images, class_ids


def fitted(
    folder: Path | None = None, *, epsilon: float | None = 50.0, images: np.ndarray | None = None
) -> MeanEmbeddingModel:
    pictures, class_ids = halves()
    return fit_mean_embedding(
        pictures if images is None else images,
        class_ids,
        n_classes=2,
        settings=SETTINGS,
        privacy=Privacy(epsilon, 1e-3),
        folder=folder,
    )


def sampled(model: MeanEmbeddingModel, class_id: int) -> np.ndarray:
    return model.sample([class_id] * 20, [Stream(7).child(n) for n in range(20)])


def test_features_have_norm_one() -> None:
    frequencies = draw_frequencies(5, SETTINGS, Stream(1).torch())
    norms = random_features(torch.randn(9, 5, dtype=torch.float64, generator=Stream(2).torch()), frequencies).norm(
        dim=1
    )
    torch.testing.assert_close(norms, torch.ones(9, dtype=torch.float64))


def test_one_image_moves_the_release_by_its_sensitivity() -> None:
    images, class_ids = halves()
    frequencies = draw_frequencies(16, SETTINGS, Stream(1).torch())

    def whole(rows: slice) -> torch.Tensor:
        sums, counts = release(
            images[rows], class_ids[rows], frequencies, n_classes=2, settings=SETTINGS, sigma=0.0, key=b""
        )
        return torch.cat([sums, SETTINGS.count_weight * counts[:, None]], dim=1)

    moved = (whole(slice(None)) - whole(slice(1, None))).norm()
    assert float(moved) == pytest.approx(SETTINGS.sensitivity, rel=1e-9)


def test_noise_of_the_release_has_the_stated_size() -> None:
    images, class_ids = halves()
    frequencies = draw_frequencies(16, SETTINGS, Stream(1).torch())
    plain, noisy = (
        release(images, class_ids, frequencies, n_classes=2, settings=SETTINGS, sigma=sigma, key=bytes(32))[0]
        for sigma in (0.0, 5.0)
    )
    assert float((noisy - plain).std()) == pytest.approx(5.0, rel=0.15)


@pytest.mark.slow
def test_the_network_learns_what_was_released() -> None:
    model = fitted()
    left, right = sampled(model, 0), sampled(model, 1)
    assert left[:, :, :2].mean() > 160 > 80 > left[:, :, 2:].mean()
    assert right[:, :, 2:].mean() > 160 > 80 > right[:, :, :2].mean()
    assert model.shares[0] == pytest.approx(0.75, abs=0.05)


@pytest.mark.slow
def test_it_spends_what_was_asked_for_and_says_so(tmp_path: Path) -> None:
    model = fitted(tmp_path, epsilon=3.0)
    assert model.account.epsilon == 3.0
    assert "ε = 3 at δ = 0.001" in model.remarks[0]
    assert not (tmp_path / KEY).exists()
    again = fitted(tmp_path, epsilon=3.0)
    np.testing.assert_array_equal(sampled(model, 1), sampled(again, 1))
    assert "no differential privacy" in fitted(epsilon=None).remarks[0]


@pytest.mark.slow
def test_a_killed_fit_repeats_its_release_and_refuses_other_images(tmp_path: Path) -> None:
    images, class_ids = halves()

    def fit(folder: Path, *, kill: bool = False, pictures: np.ndarray = images) -> MeanEmbeddingModel:
        def progress(done: int, total: int, what: str) -> None:
            if kill:
                raise KeyboardInterrupt

        (folder).mkdir(exist_ok=True)
        if not (folder / "privacy.json").exists():
            (folder / KEY).write_bytes(bytes(32))
        return fit_mean_embedding(
            pictures, class_ids, n_classes=2, settings=SETTINGS, privacy=Privacy(2.0), folder=folder, progress=progress
        )

    whole = fit(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "killed", kill=True)
    with pytest.raises(RunFolderError, match="expected the data"):
        fit(tmp_path / "killed", pictures=255 - images)
    np.testing.assert_array_equal(sampled(whole, 0), sampled(fit(tmp_path / "killed"), 0))
