"""The privacy audit as a release gate of a run, and redactions of a finished one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twinset
from twinset import documents, pipeline
from twinset.errors import DataError, UsageError
from twinset.pipeline.reporting import Quiet
from twinset.redactions import redactions_of

EACH = 300


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``real``: digits in given parts; ``copies``: ten training images ten times; ``smoothed`` and ``apart``: training
    images, or others that nobody has, with noise."""
    from sklearn.datasets import load_digits

    found, root = load_digits(), tmp_path_factory.mktemp("release")
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    draw = np.random.Generator(np.random.PCG64(0))
    order = draw.permutation(len(images))

    def write(name: str, rows: np.ndarray, pictures: np.ndarray | None = None) -> None:
        for number, row in enumerate(rows):
            path = root / name / str(found.target[row]) / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[row] if pictures is None else pictures[number]).save(path)

    def noisy(rows: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(images[rows] + draw.normal(0, 12, images[rows].shape)), 0, 255).astype(np.uint8)

    parts = {"train": order[:EACH], "validation": order[EACH:450], "test": order[450 : 2 * EACH]}
    others = order[2 * EACH :]
    for name, rows in parts.items():
        write(f"real/{name}", rows)
    write("reference", others[600:900])
    shown, unseen = draw.choice(parts["train"], 120), draw.choice(others[:600], 120)
    write("smoothed", shown, noisy(shown))
    write("apart", unseen, noisy(unseen))
    return root


def recipe_of(digits: Path, made: str, **privacy: object) -> dict[str, object]:
    return {
        "data": {"path": str(digits / "real"), "licence": "CC0-1.0"},
        "generate": [{"use": "folder", "path": str(digits / made)}],
        "align": "off",
        "evaluate": {"fidelity": False, "metadata": False, "explain": False, "utility": "off"},
        "gate": {"copies": "off"},
        "privacy": privacy,
        "export": ["imagefolder"],
    }


Ran = Callable[..., documents.RunDocument]


@pytest.fixture
def ran(digits: Path, tmp_path: Path) -> Ran:
    def run(made: str, **privacy: object) -> documents.RunDocument:
        return twinset.run(recipe_of(digits, made, **privacy), out=tmp_path / made, workers=1, quiet=True)

    return run


def test_a_leak_withholds_the_export(ran: Ran) -> None:
    found = ran("smoothed")
    assert found.audit is not None
    assert found.audit.answer == "leak_found"
    assert found.audit.withheld
    assert found.verdict.decision == "blocked_by_gate"
    assert "the privacy audit says: leak found" in found.verdict.sentence
    assert found.exports == {}
    assert not (Path(found.run) / "export").exists()
    assert pipeline.exit_code(found) == 6
    kept = json.loads((Path(found.run) / "evaluation" / "audit.json").read_text())
    assert kept["schema"] == "twinset/audit/1"
    assert kept["dataset"]["answer"] == "leak_found"
