from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twinset.dataset import Dataset
from twinset.formats import read, write

SHOTS = 4
POOL = 40
TEST = 60


def labelled(dataset: Dataset, class_ids: np.ndarray) -> Dataset:
    """The same pictures with other labels."""
    import pyarrow as pa

    from twinset.dataset import SCHEMA

    at = SCHEMA.get_field_index("class_id")
    table = dataset.table.set_column(at, SCHEMA.field(at), pa.array(class_ids, pa.int32()))
    return Dataset(dataset.classes, table, name=dataset.name)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real digits with few training images, and folders that play generators: good ones, bad ones, a thief."""
    root = tmp_path_factory.mktemp("planted")
    digits, _ = read("builtin:digits")
    order = np.random.Generator(np.random.PCG64(7)).permutation(len(digits))
    by_class = [order[digits.class_ids[order] == c] for c in range(10)]

    def rows(low: int, high: int) -> np.ndarray:
        return np.concatenate([members[low:high] for members in by_class])

    train, validation = rows(0, SHOTS), rows(SHOTS, SHOTS + 20)
    pool, test = rows(SHOTS + 20, SHOTS + 20 + POOL), rows(SHOTS + 20 + POOL, SHOTS + 20 + POOL + TEST)
    names = ["train"] * len(train) + ["validation"] * len(validation) + ["test"] * len(test)
    real = digits.take(np.concatenate([train, validation, test])).with_splits(names)
    write(real, root / "real", "imagefolder")
    write(digits.take(pool), root / "helpful", "imagefolder")
    wrong = np.random.Generator(np.random.PCG64(8)).permutation(digits.class_ids[pool])
    write(labelled(digits.take(pool), wrong), root / "harmful", "imagefolder")
    write(digits.take(train), root / "copier", "imagefolder")
    return {name: root / name for name in ("real", "helpful", "harmful", "copier")}


@pytest.fixture
def by_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Dataset]:
    """What the code in a released generator's card makes, run where the card says: in the folder ``export``."""

    def made(export: Path) -> Dataset:
        monkeypatch.chdir(export)
        text = Path("generator/MODEL_CARD.md").read_text()
        found: dict[str, object] = {}
        exec(text[text.index("```python") :].removeprefix("```python\n").removesuffix("```\n"), found)
        pictures = found["pictures"]
        assert isinstance(pictures, Dataset)
        return pictures

    return made
