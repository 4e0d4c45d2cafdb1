"""A run whose GAN is killed in the middle of its training, as a process dies, and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

import twinset
from twinset.contracts import digits
from twinset.formats import write
from twinset.models.checkpoint import load_tensors
from twinset.models.gan.training import GanBatch, GanTrainer
from twinset.models.looking import TRAINING_FILE

STEPS, KILLED_AT = 40, 23
RECIPE: dict[str, object] = {
    "count": 20,
    "threads": 1,
    "generate": [
        {
            "use": "gan",
            "width": 16,
            "discriminator_width": 4,
            "latent": 8,
            "steps": STEPS,
            "batch": 8,
            "discriminator_steps": 2,
            "learning_rate": 1e-3,
            "discriminator_rate": 1e-3,
            "r1": 0.1,
            "looks": 2,
        }
    ],
    "align": "off",
    "evaluate": {"fidelity": False, "metadata": False, "explain": False, "utility": "off"},
    "gate": {"copies": "off"},
    "export": ["parquet"],
}

KILLED = f"""
import os, signal
from twinset import cli
from twinset.models import looking

looking.SECONDS_BETWEEN_CHECKPOINTS = 0.0
save = looking.LookingFit._save

def and_die(self):
    save(self)
    if self.trainer.step == {KILLED_AT}:
        os.kill(os.getpid(), signal.SIGKILL)

looking.LookingFit._save = and_die
cli.main()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_a_run_killed_while_its_gan_trains_ends_in_the_same_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("train", "validation", "test")):
        write(digits(120).take(range(40 * number, 40 * number + 40)), tmp_path / "real" / name, "imagefolder")
    written = {**RECIPE, "data": str(tmp_path / "real")}
    whole = twinset.run(written, out=tmp_path / "whole", workers=1, quiet=True)
    recipe, folder = tmp_path / "recipe.yaml", tmp_path / "killed"
    recipe.write_text(yaml.safe_dump(written))
    command = ["run", str(recipe), "--out", str(folder), "--workers", "1", "--quiet"]
    ended = subprocess.run([sys.executable, "-c", KILLED, *command], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    kept = folder / "models" / "0-gan" / TRAINING_FILE
    assert load_tensors(kept)[1]["step"] == KILLED_AT
    seen: Counter[str] = Counter()
    restore, advance = GanTrainer.restore, GanTrainer.advance

    def restored(self: GanTrainer, tensors: dict[str, object], step: int) -> None:
        seen["restored at"] = step
        restore(self, tensors, step)  # type: ignore[arg-type]

    def advanced(self: GanTrainer, batch: GanBatch) -> None:
        seen["steps"] += 1
        advance(self, batch)

    monkeypatch.setattr(GanTrainer, "restore", restored)
    monkeypatch.setattr(GanTrainer, "advance", advanced)
    resumed = twinset.resume(folder, workers=1, quiet=True)
    assert seen == {"restored at": KILLED_AT, "steps": STEPS - KILLED_AT}
    assert resumed.digest == whole.digest
    assert resumed.counts.accepted == 20
    weights = [Path(found.run) / "models" / "0-gan" / "model.safetensors" for found in (whole, resumed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not kept.exists()
