"""What an audit says in a card: of a release that a run writes, and in a card that is there already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from twinset import documents
from twinset import release as out
from twinset.errors import DataError, UsageError
from twinset.models.diffusion import MODEL_FILE
from twinset.paths import expanded
from twinset.pipeline.audit_page import NAMES
from twinset.pipeline.audit_words import controls_of
from twinset.pipeline.manifest import sha256_of
from twinset.privacy.audit.answers import Answer, meaning
from twinset.store import write_bytes

HEADING = "## Privacy audit"
Parts = Mapping[str, documents.ReleasePart | documents.ModelPart | None]


def audit_result(
    release: str, answer: Answer, finding: str, parts: Parts, document: documents.AuditDocument | None, *, released: int
) -> out.AuditResult:
    """What a card says of the audit of one release, whose ``parts`` have a prefix each ("" for none)."""
    known = {of: part for of, part in parts.items() if part is not None}
    return out.AuditResult(
        answer=answer,
        finding=finding,
        meaning=meaning(release, answer),
        released=released,
        training=document.n_training if document is not None else 0,
        holdout=document.n_holdout if document is not None else 0,
        attacks=tuple(
            (f"{of}{each.name}", each.auc, each.low, each.high) for of, part in known.items() for each in part.attacks
        ),
        controls=tuple((f"{of}{what}", result) for of, part in known.items() for what, result in controls_of(part)),
    )


def section_of(document: documents.AuditDocument) -> str:
    """The section of a card that an audit is, with a heading for each release where there are several."""
    texts = []
    for name, part in document.releases.items():
        released = document.n_synthetic if name in ("dataset", "objects") else 0
        result = audit_result(name, part.answer, part.finding, {"": part}, document, released=released)
        heading = [f"### {NAMES[name].capitalize()}"] if len(document.releases) > 1 else []
        texts.append("\n\n".join([*heading, result.to_markdown()]))
    return "\n\n".join([HEADING, *texts]) + "\n"


def check_card(card: Path, models: Mapping[str, Path]) -> Path:
    """Where the card is; :class:`UsageError` for a model card of other weights than those that are audited."""
    place = expanded(card)
    if place.suffix.lower() != ".md" or place.is_dir():
        raise UsageError(f"expected a Markdown file for --card; got {card}", hint="--card MODEL_CARD.md")
    if not place.exists():
        return place
    named = re.findall(r"^\| sha256 \| `([0-9a-f]{64})` \|$", _read(place), re.MULTILINE)
    files = [path / MODEL_FILE if path.is_dir() else path for path in map(expanded, models.values())]
    if named and not set(named) & {sha256_of(path) for path in files if path.is_file()}:
        raise UsageError(
            f"{card}: expected the card of what is audited; got that of other weights (sha256 {named[0][:12]}…)",
            hint="give the card that lies beside the audited file",
        )
    return place


def write_section(place: Path, document: documents.AuditDocument) -> None:
    """The section in place of the one that a card has, at its end where it has none, or in a file of its own."""
    section = section_of(document)
    if not place.exists():
        write_bytes(place, section.encode())
        return
    text = _read(place)
    before, heading, rest = text.partition(f"\n{HEADING}\n")
    if not heading:
        write_bytes(place, f"{text.rstrip()}\n\n{section}".encode())
        return
    after = re.search(r"^## ", rest, re.MULTILINE)
    end = f"\n{rest[after.start() :]}" if after else ""
    write_bytes(place, f"{before}\n{section}{end}".encode())


def _read(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{place}: expected a card in Markdown; got {error}", hint="give another --card") from error
