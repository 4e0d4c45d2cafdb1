"""The section of a card on the privacy audit: written anew in its place, and in no card of other weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from twinset import documents
from twinset.errors import DataError, UsageError
from twinset.pipeline.card_sections import check_card, section_of, write_section

ATTACK = documents.AttackPart(
    name="rmia", auc=0.6, low=0.55, high=0.65, p_value=1e-4, members=200, others=100, powers=[]
)
CONTROL = documents.ControlPart(
    what="ten <b>canaries</b>", dose=10, found=True, attack="lira_online", auc=0.9, low=0.8, high=1.0, p_value=1e-9
)


def document(**parts: documents.ModelPart | documents.ReleasePart | None) -> documents.AuditDocument:
    return documents.AuditDocument(
        synthetic="twin", n_synthetic=60, n_training=200, n_holdout=100, n_reference=0, seen="pixels", seed=0,
        version="1", seconds=1.0, **parts,
    )  # fmt: skip


def classifier() -> documents.ModelPart:
    return documents.ModelPart(
        release="classifier", source="c.safetensors", answer="leak_found", finding="leak found: rmia tells", alpha=0.01,
        p_value=1e-4, p_values={"rmia": 1e-4}, attacks=[ATTACK], controls=[CONTROL],
    )  # fmt: skip


def dataset() -> documents.ReleasePart:
    return documents.ReleasePart(
        answer="inconclusive", finding="inconclusive: copies missed", alpha=0.01, p_value=1.0, p_values={},
        attacks=[ATTACK], closest_records=documents.RatePart(share=0.5, low=0.4, high=0.6),
        planted=[documents.PlantedPart(how="verbatim", count=10, total=60, found=False)], independents=None,
        training_hits=0, holdout_hits=0,
    )  # fmt: skip


def test_a_section_tells_answer_meaning_attacks_and_controls() -> None:
    text = section_of(document(classifier=classifier()))
    assert text.startswith("## Privacy audit\n\nLeak found: rmia tells. Whoever gets this classifier can tell")
    assert "Tested: 200 training and 100 held-out real images." in text
    assert "| ten &lt;b&gt;canaries&lt;/b&gt; | found (lira\\_online 0.900, 0.800 … 1.000) |" in text
    both = section_of(document(classifier=classifier(), dataset=dataset()))
    assert [line for line in both.splitlines() if line.startswith("###")] == ["### The dataset", "### The classifier"]
    assert "Tested: 60 released against 200 training" in both
    assert "| 10 of 60 outputs are training images, as they are | missed |" in both


def test_a_section_takes_the_place_of_the_one_before_it_and_of_nothing_else(tmp_path: Path) -> None:
    card = tmp_path / "c.md"
    card.write_text("# c\n\n## Metrics\n\nx\n\n## Privacy audit\n\nNot audited.\n\n## Access\n\ny\n")
    write_section(card, document(classifier=classifier()))
    once = card.read_text()
    assert "Not audited" not in once
    assert [line for line in once.splitlines() if line.startswith("## ")] == [
        "## Metrics",
        "## Privacy audit",
        "## Access",
    ]
    assert once.endswith("\n\n## Access\n\ny\n")
    write_section(card, document(classifier=classifier()))
    assert card.read_text() == once
    other = tmp_path / "other.md"
    other.write_text("# mine\n")
    write_section(other, document(classifier=classifier()))
    assert other.read_text().startswith("# mine\n\n## Privacy audit\n")
    new = tmp_path / "new.md"
    write_section(new, document(classifier=classifier()))
    assert new.read_text() == section_of(document(classifier=classifier()))


def test_the_card_of_other_weights_is_refused_before_the_audit(tmp_path: Path) -> None:
    weights, card = tmp_path / "c.safetensors", tmp_path / "c.md"
    weights.write_bytes(b"weights")
    card.write_text(f"| sha256 | `{hashlib.sha256(b'weights').hexdigest()}` |\n")
    assert check_card(card, {"classifier": weights}) == card
    weights.write_bytes(b"others")
    with pytest.raises(UsageError, match="got that of other weights"):
        check_card(card, {"classifier": weights})
    with pytest.raises(UsageError, match="expected a Markdown file"):
        check_card(tmp_path / "card.txt", {})
    with pytest.raises(UsageError, match="expected a Markdown file"):
        check_card(tmp_path, {})
    card.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="expected a card in Markdown"):
        check_card(card, {})
