"""What a run tells people: nothing about usefulness where none was measured, and every image in its charts."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pyarrow as pa
import pytest

import twinset
from twinset import documents
from twinset.dataset import SCHEMA, Dataset
from twinset.downstream import Verdict
from twinset.pipeline import words
from twinset.pipeline.measuring import Measured
from twinset.pipeline.opening import Run
from twinset.pipeline.page import told
from twinset.pipeline.presenting import Tried, _alignment
from twinset.stages import Judgement
from twinset.store import ShardStore


@pytest.fixture(scope="module")
def unmeasured(tmp_path_factory: pytest.TempPathFactory) -> documents.RunDocument:
    folder = tmp_path_factory.mktemp("unmeasured")
    digits = twinset.load("builtin:digits")
    digits.take(range(100)).export(folder / "real", format="imagefolder")
    digits.take(range(100, 160)).export(folder / "made", format="imagefolder")
    recipe: dict[str, object] = {
        "data": {"path": str(folder / "real"), "licence": "CC0-1.0"},
        "generate": [{"use": "folder", "path": str(folder / "made")}],
        "align": "off",
        "evaluate": {"fidelity": False, "utility": "off"},
        "gate": {"copies": "off"},
        "export": ["imagefolder"],
    }
    return twinset.run(recipe, out=folder / "run", workers=1, quiet=True)


def test_card_page_and_terminal_find_no_difference_only_where_one_was_looked_for(
    unmeasured: documents.RunDocument,
) -> None:
    folder = Path(unmeasured.run)
    card = (folder / "export" / "README.md").read_text()
    page = (folder / "report.html").read_text()
    terminal = words.run(unmeasured)
    for text in (card, page, terminal):
        assert "no measurable difference" not in text.lower()
    assert "Not measured: no classifier was trained" in card
    assert 'id="answer">Not measured: no classifier was trained<' in page
    assert "NOT MEASURED: evaluate.utility is off." in terminal
    assert json.loads((folder / "evaluation" / "report.json").read_text())["verdict"] is None
    assert unmeasured.verdict.decision == "not_measured"


def test_the_licence_of_the_real_images_stands_with_them(unmeasured: documents.RunDocument) -> None:
    card = (Path(unmeasured.run) / "export" / "README.md").read_text()
    assert "| real | " in card
    assert "| CC0-1.0 |" in card
    croissant = json.loads((Path(unmeasured.run) / "export" / "croissant.json").read_text())
    assert [parent["sc:license"] for parent in croissant["prov:wasDerivedFrom"]] == ["CC0-1.0"]
    assert "license" not in croissant


@pytest.mark.parametrize("decision", ["do_not_use", "blocked_by_gate"])
def test_a_verdict_that_needed_no_training_stands(decision: documents.Decision) -> None:
    verdict = Verdict(decision, "Do not use it: no synthetic image passed alignment.", None)
    assert told(verdict) is verdict


def test_every_judged_image_is_in_the_histograms(tmp_path: Path) -> None:
    count, refused = 5_000, 600
    store = ShardStore(tmp_path)
    row = dict.fromkeys(("attempt", "class_id", "source", "shard", "round", "rank", "seed"), 0)
    store.append_plan([{**row, "slot": slot} for slot in range(count)])
    reasons = (*[None] * (count - refused), *["far from all real images"] * refused)
    judgement = Judgement({"distance_from_real": np.linspace(0.0, 1.0, count)}, reasons)
    store.save_judgement(0, range(count), [0] * count, judgement)
    columns = {name: pa.nulls(count, SCHEMA.field(name).type) for name in SCHEMA.names}
    columns |= {"id": pa.array(map(str, range(count))), "class_id": pa.array([0] * count, pa.int32())}
    samples = Dataset(("a",), pa.table(columns, schema=SCHEMA))
    tried = Tried(samples, {str(slot): reason for slot, reason in enumerate(reasons) if reason})
    run = cast(
        Run,
        SimpleNamespace(folder=tmp_path, recipe=SimpleNamespace(filters=("far",), match=None, generators=(), edit=())),
    )
    facts = _alignment(run, cast(Measured, SimpleNamespace(before=(), scores=())), tried)
    assert facts is not None
    (scores,) = facts.scores
    assert (len(scores.accepted), len(scores.rejected)) == (count - refused, refused)
    assert scores.accepted.max() < scores.rejected.min()
