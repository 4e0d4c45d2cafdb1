"""A classifier trained with differential privacy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from twinset.errors import RunFolderError, UsageError
from twinset.models.classifier import Classifier, ClassifierSettings
from twinset.models.private.accounting import Account, Privacy
from twinset.models.private.classifier import fit_private_classifier
from twinset.models.private.sitting import KEY

pytest.importorskip("opacus", reason="needs twinset[dp]")


def stripes(count: int = 160) -> tuple[np.ndarray, np.ndarray]:
    class_ids = np.arange(count, dtype=np.int64) % 2
    images = np.full((count, 8, 8, 1), 20, dtype=np.uint8)
    images[class_ids == 0, ::2] = 220
    images[class_ids == 1, :, ::2] = 220
    return images, class_ids


def fit(
    folder: Path | None = None, *, epsilon: float | None = 8.0, flipped: bool = False, **changes: object
) -> tuple[Classifier, Account]:
    images, class_ids = stripes()
    settings = ClassifierSettings(width=8, steps=12, batch=60, **changes)  # type: ignore[arg-type]
    return fit_private_classifier(
        images,
        1 - class_ids if flipped else class_ids,
        n_classes=2,
        settings=settings,
        privacy=Privacy(epsilon, 1e-3, draws=1),
        folder=folder,
    )


@pytest.mark.slow
def test_it_learns_what_is_plain_and_has_no_batch_statistics(tmp_path: Path) -> None:
    (tmp_path / KEY).write_bytes(bytes(32))  # with other secrets noise may win: of 80 trainings 10 learnt nothing
    model, account = fit(tmp_path)
    images, class_ids = stripes()
    assert (model.logits(images).argmax(1) == class_ids).mean() > 0.9
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.network.modules())
    assert 7.9 < account.epsilon <= 8
    again, same = fit(tmp_path)
    assert same == account
    np.testing.assert_array_equal(again.logits(images), model.logits(images))


@pytest.mark.slow
def test_other_labels_and_balanced_batches_are_refused(tmp_path: Path) -> None:
    fit(tmp_path)
    with pytest.raises(RunFolderError, match="expected the data"):
        fit(tmp_path, flipped=True)
    with pytest.raises(UsageError, match="class_balanced"):
        fit(class_balanced=True)
