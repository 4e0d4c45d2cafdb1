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
from twinset.errors import DataError, RecipeError, UsageError
from twinset.pipeline import redaction_words, release_audit, words
from twinset.pipeline.reporting import Quiet
from twinset.pipeline.withdrawing import end_withdrawal, withdraw
from twinset.recipe import PrivacyPart
from twinset.redactions import FOLDER, RECORD, redactions_of
from twinset.store import ShardStore

MADE = 60
COPIES = 4
OFF = {"fidelity": False, "metadata": False, "explain": False, "utility": "off"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``real``: digits in given parts; ``smoothed``: training images with noise; ``apart``: the same of images that are
    of neither side; ``mixed``: those and four training images as they are; ``few``: too few."""
    from sklearn.datasets import load_digits

    found, root = load_digits(), tmp_path_factory.mktemp("release")
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)
    draw = np.random.Generator(np.random.PCG64(0))
    order = draw.permutation(len(images))

    def write(name: str, rows: np.ndarray, pictures: np.ndarray | None = None, *, first: int = 0) -> None:
        for number, row in enumerate(rows):
            path = root / name / str(found.target[row]) / f"{first + number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[row] if pictures is None else pictures[number]).save(path)

    def noisy(rows: np.ndarray) -> np.ndarray:
        noise = draw.normal(0, 12, images[rows].shape)
        return np.asarray(np.clip(np.rint(images[rows] + noise), 0, 255), dtype=np.uint8)

    parts = {"train": order[:160], "validation": order[160:240], "test": order[240:320]}
    for name, rows in parts.items():
        write(f"real/{name}", rows)
    shown, unseen = draw.choice(parts["train"], MADE), draw.choice(order[320:900], MADE)
    write("smoothed", shown, noisy(shown))
    for name in ("apart", "mixed"):
        write(name, unseen, noisy(unseen))
    write("mixed", parts["train"][:COPIES], first=MADE)
    write("few", unseen[:6], noisy(unseen[:6]))
    return root


def recipe_of(digits: Path, made: str, **privacy: object) -> dict[str, object]:
    return {
        "data": {"path": str(digits / "real"), "licence": "CC0-1.0"},
        "generate": [{"use": "folder", "path": str(digits / made)}],
        "align": "off",
        "evaluate": OFF,
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


@pytest.mark.slow
def test_a_leak_withholds_the_export_and_the_report_shows_who_leaked(ran: Ran) -> None:
    found = ran("smoothed")
    assert found.audit is not None
    assert found.audit.answer == "leak_found"
    assert found.audit.withheld
    assert found.verdict.decision == "blocked_by_gate"
    assert "the privacy audit says: leak found" in found.verdict.sentence
    assert found.exports == {}
    assert not (Path(found.run) / "export").exists()
    assert pipeline.exit_code(found) == 6
    assert "audit     blocked: leak found" in words.run(found)
    kept = json.loads((Path(found.run) / "evaluation" / "audit.json").read_text())
    assert (kept["schema"], kept["dataset"]["answer"]) == ("twinset/audit/1", "leak_found")
    page = (Path(found.run) / "report.html").read_text()
    assert ">export withheld</span>" in page
    pair = kept["dataset"]["pairs"][0]
    assert f"{pair['synthetic']} → {pair['training']}" in page


@pytest.mark.slow
def test_what_is_only_warned_of_goes_out_with_the_warning(ran: Ran) -> None:
    found = ran("smoothed", on_leak="warn")
    assert found.audit is not None
    assert not found.audit.withheld
    assert pipeline.exit_code(found) == 0
    assert any("The recipe asks only to warn" in text for text in found.warnings)
    card = (Path(found.run) / "export" / "README.md").read_text()
    assert "## Privacy audit\n\nLeak found: " in card
    assert "| gan\\_leaks | " in card
    croissant = json.loads((Path(found.run) / "export" / "croissant.json").read_text())
    assert "leak found" in croissant["rai:dataLimitations"][0]
    assert "train/" not in card + json.dumps(croissant)


def test_an_audit_that_cannot_be_made_is_inconclusive_and_its_answer_is_the_recipes(ran: Ran) -> None:
    found = ran("few")
    assert found.audit is not None
    assert found.audit.answer == "inconclusive"
    assert "could not be made: expected at least 8 synthetic images; got 6" in found.audit.finding
    assert found.exports == {}
    assert not (Path(found.run) / "evaluation" / "audit.json").exists()


@pytest.mark.slow
def test_a_clean_set_goes_out_and_is_withdrawn_when_a_later_look_blocks_it(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ran("apart", on_inconclusive="warn")
    folder = Path(found.run)
    assert found.audit is not None
    assert found.audit.answer != "leak_found"
    assert len(list((folder / "export").rglob("*.png"))) == MADE
    judged = release_audit._judged

    def leaking(*_: object) -> release_audit.Judged:
        return judged(PrivacyPart(), "leak_found", "leak found: made up")

    monkeypatch.setattr(release_audit, "_judged", leaking)
    blocked = pipeline.evaluate(folder, workers=1, device="cpu", listener=Quiet())
    assert blocked.exports == {}
    assert not (folder / "export").exists()
    assert len(list((folder / "withdrawn" / "001").rglob("*.png"))) == MADE
    assert "made up" in json.loads((folder / "withdrawn" / "001" / "WITHDRAWN.json").read_text())["because"]
    assert twinset.verify(folder, samples=0, quiet=True).ok


def test_a_withdrawal_that_was_interrupted_is_ended(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    assert withdraw(tmp_path, because="nothing in it") is None
    (tmp_path / "export" / "a.png").write_bytes(b"1")
    (tmp_path / "export" / "WITHDRAWN.json").write_text("{}")
    end_withdrawal(tmp_path)
    assert (tmp_path / "withdrawn" / "001" / "a.png").read_bytes() == b"1"
    end_withdrawal(tmp_path)
    assert not (tmp_path / "export").exists()


@pytest.mark.slow
def test_images_taken_out_are_in_nothing_that_is_released(ran: Ran) -> None:
    found = ran("mixed", on_leak="warn", on_inconclusive="warn")
    folder = Path(found.run)
    kept = json.loads((folder / "evaluation" / "audit.json").read_text())
    copies = [pair["synthetic"] for pair in kept["dataset"]["pairs"] if pair["ratio"] < 0.05]
    assert len(copies) == COPIES
    asked = [*copies[1:], f"{copies[0]}#0"]
    answer = twinset.redact(folder, ids=asked, reason="<b>copies</b>", workers=1, quiet=True)
    after = answer.after
    assert answer.removed == sorted(copies, key=answer.removed.index)
    assert (after.counts.accepted, after.counts.redacted, after.counts.failed) == (MADE, COPIES, 0)
    assert after.digest != found.digest == answer.before
    assert len(list((folder / "export").rglob("*.png"))) == MADE
    assert len(list((folder / "withdrawn" / "001").rglob("*.png"))) == MADE + COPIES
    (record,) = redactions_of(folder)
    assert (record.reason, record.answer, len(record.removed)) == ("<b>copies</b>", found.audit.answer, COPIES)  # type: ignore[union-attr]
    card = (folder / "export" / "README.md").read_text()
    assert "## Images taken out" in card
    assert "&lt;b&gt;copies&lt;/b&gt;" in card
    assert found.digest in card
    croissant = json.loads((folder / "export" / "croissant.json").read_text())
    assert croissant["prov:wasRevisionOf"][0]["@id"] == f"urn:sha256:{found.digest}"
    assert not set(copies) & {pair["synthetic"] for pair in _pairs(folder)}
    assert "took out 4 images" in redaction_words.redact(answer)
    assert twinset.verify(folder, samples=0, quiet=True).ok
    with pytest.raises(UsageError, match="taken out before"):
        twinset.redact(folder, ids=copies[:1], workers=1, quiet=True)
    _killed_between_record_and_index(folder, copies)


def _pairs(folder: Path) -> list[dict[str, str]]:
    pairs: list[dict[str, str]] = json.loads((folder / "evaluation" / "audit.json").read_text())["dataset"]["pairs"]
    return pairs


def _killed_between_record_and_index(folder: Path, copies: list[str]) -> None:
    """The index is as it was before the redaction, and the result is gone: so a killed process leaves it."""
    store, (redaction,) = ShardStore(folder), redactions_of(folder)
    gone = [{name: getattr(one, name) for name in ("slot", "attempt", "shard", "row")} for one in redaction.removed]
    store.write_index([*store.index().to_pylist(), *gone])
    (folder / "result.json").unlink()
    again = twinset.resume(folder, workers=1, quiet=True)
    assert again.counts.accepted == MADE
    assert not set(copies) & set(store.accepted([str(n) for n in range(10)]).ids)


@pytest.mark.slow
def test_children_of_a_real_image_are_taken_out_and_unknown_ids_change_nothing(digits: Path, tmp_path: Path) -> None:
    recipe = recipe_of(digits, "apart") | {"generate": [], "edit": [{"use": "classical"}], "count": 80}
    del recipe["privacy"]
    folder = Path(twinset.run(recipe, out=tmp_path / "edited", workers=1, quiet=True).run)
    accepted = ShardStore(folder).accepted([str(n) for n in range(10)])
    parents = [tuple(each) for each in accepted.table.column("parents").to_pylist()]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "log.jsonl"}
    for wrong, said in (
        ({"ids": ["x", "y", "z", "zz"]}, "got 'x', 'y', 'z' and 1 more"),
        ({"parents": ["nobody.png"]}, "ids of real images of this run; got 'nobody.png'"),
        ({"parents": _childless(folder, parents)}, "which none records"),
        ({}, "expected --ids or --parents"),
        ({"ids": accepted.ids}, "a redaction of all 80"),
    ):
        with pytest.raises(UsageError, match=said):
            twinset.redact(folder, workers=1, quiet=True, **wrong)  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in before} == before
    parent = parents[0][0]
    answer = twinset.redact(folder, parents=[parent], workers=1, quiet=True)
    assert len(answer.removed) == sum(parent in names for names in parents) > 0
    assert answer.after.audit is not None
    record = json.loads((folder / FOLDER / "001" / RECORD).read_text())
    assert record["parents"] == [parent]
    assert all(parent in one["parents"] for one in record["removed"])


def _childless(folder: Path, parents: list[tuple[str, ...]]) -> list[str]:
    from twinset.pipeline.real import load_real

    named = {name for names in parents for name in names}
    return [next(id_ for id_ in load_real(folder).training.ids if id_ not in named)]


def test_reference_images_are_checked_before_anything_is_made(digits: Path, tmp_path: Path) -> None:
    own = "real/train"
    for name, got in (("few", "6 of 6"), (own, "0 of 160")):
        with pytest.raises(DataError, match=rf"privacy\.reference: expected at least 8 images .*; got {got}"):
            twinset.run(recipe_of(digits, "apart", reference=str(digits / name)), out=tmp_path / "a", quiet=True)
        assert not (tmp_path / "a").exists()
    with pytest.raises(RecipeError, match="on_leak"):
        twinset.run(recipe_of(digits, "apart", on_leak="delete"), out=tmp_path / "b", quiet=True)
