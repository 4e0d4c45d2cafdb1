"""A filter that the loop kept for one source judges the pictures of that one alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import twinset
from twinset.formats import read, write
from twinset.pipeline import making, presenting
from twinset.pipeline.closing.record import FILTERS
from twinset.store import ShardStore

RECIPE = {
    "minutes": 1,
    "count": 8,
    "shard_size": 4,
    "seed": 5,
    "generate": [{"use": "copypaste", "count": [1, 1]}, {"use": "copypaste", "count": [2, 2]}],
    "evaluate": {"fidelity": False, "metadata": False, "utility": "off"},
    "gate": {"copies": "off"},
}


@pytest.fixture
def real(tmp_path: Path) -> Path:
    dataset, _ = read("builtin:digit-scenes")
    splits = np.asarray(dataset.splits, dtype=object)
    parts = {"train": 16, "validation": 6, "test": 6}
    rows = np.concatenate([np.flatnonzero(splits == k)[:n] for k, n in parts.items()])
    write(dataset.take(rows), tmp_path / "real", "coco")
    return tmp_path / "real"


def test_sources_that_did_not_keep_it_are_not_judged(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (making, presenting):
        monkeypatch.setattr(module, "closing_filters", lambda *_: FILTERS)
    monkeypatch.setattr(making, "filter_kept", lambda folder: folder.name == "1-copypaste")
    twinset.run({"data": str(real), "align": "off", **RECIPE}, out=tmp_path / "run", workers=1, quiet=True)
    store = ShardStore(tmp_path / "run")
    plan = store.plan()
    judged = {}
    for shard, source in set(zip(plan.column("shard").to_pylist(), plan.column("source").to_pylist(), strict=True)):
        judgement = store.judgement(shard)
        assert judgement is not None
        assert source == 1 or set(judgement.reasons) == {None}
        judged.setdefault(source, set()).update(judgement.scores)
    assert judged == {0: set(), 1: {"farthest_object"}}
    assert "farthest_object" in json.loads((tmp_path / "run" / "scores" / "thresholds.json").read_text())
    assert "farthest object. " in (tmp_path / "run" / "report.html").read_text()
