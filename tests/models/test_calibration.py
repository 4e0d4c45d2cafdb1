from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from twinset.images import ImageSpec
from twinset.models import calibration
from twinset.models.networks import NetworkSettings, table

SPEC = ImageSpec(8, 8, 1)
SMALL = NetworkSettings("unet", 32, 1, 1, 2)


def clock(*steps: float) -> Iterator[float]:
    """Times before and after each of these steps."""
    for number, step in enumerate(steps):
        yield 1000.0 * number
        yield 1000.0 * number + step


def timed(hopeless: float, *steps: float) -> tuple[float, int]:
    """The step time that is found, and how many of these steps were made."""
    times = clock(*steps)
    found = calibration.seconds_per_step(SMALL, SPEC, 2, 4, device="cpu", clock=lambda: next(times), hopeless=hopeless)
    return found, len(steps) - len(list(times)) // 2


def test_the_quickest_step_after_the_first_counts() -> None:
    assert timed(float("inf"), 0.1, 5.0, 3.0, 4.0) == (3.0, 4)


def test_a_hopeless_network_is_timed_by_one_step_after_the_first() -> None:
    assert timed(4.0, 9.0, 5.0, 3.0, 4.0) == (5.0, 2)
    assert timed(5.0, 9.0, 5.0, 3.0, 4.0) == (3.0, 4)


@pytest.mark.parametrize(("step", "width"), [(0.1, 96), (0.5, 64), (50.0, 32)])
def test_the_widest_network_with_enough_steps_is_taken(
    step: float, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {96: step, 64: step / 4, 32: step / 8}
    limits: list[float] = []

    def seconds(network: NetworkSettings, *_: object, hopeless: float, **__: object) -> float:
        limits.append(hopeless)
        return taken[network.width]

    monkeypatch.setattr(calibration, "seconds_per_step", seconds)
    plan = calibration.calibrate(SPEC, n_classes=2, n_training=1000, seconds=100, threads=1)
    assert plan.network.width == width
    # 75 s for at least 400 steps, twice that time for one that is timed no further.
    assert limits[0] == pytest.approx(2 * 75 / 400)


@pytest.mark.slow
def test_networks_are_built_and_trained_without_pytorchs_compiler() -> None:
    code = (
        "import sys, torch\nfrom twinset.models.networks import NetworkSettings, build_network\n"
        "build_network(NetworkSettings('unet', 32, 1, 1, 2), channels=1, classes=2, augmentations=9, "
        "generator=torch.Generator())\n"
        "from twinset.models.classifier import ClassifierSettings, fit_classifier\n"
        "from twinset.randomness import Stream\n"
        "fit_classifier(torch.zeros(4, 8, 8, 1, dtype=torch.uint8).numpy(), torch.arange(4).numpy(), n_classes=4, "
        "settings=ClassifierSettings(steps=2, width=8, batch=4), rng=Stream(0))\n"
        "print([name for name in ('torch._dynamo', 'torch._inductor') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_a_table_is_an_embedding_of_its_size() -> None:
    made = table(3, 5)
    assert made.weight.shape == (3, 5)
    assert made.weight.requires_grad
    assert isinstance(made, torch.nn.Embedding)
