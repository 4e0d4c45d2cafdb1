"""``twinset audit`` of all that may be released: the dataset, the generator, a classifier; on one split of real images.

Each release has an attacker of its own and an answer of its own. The training and held-out images that testify, and
the blind baseline, are the same for all.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twinset import __version__, documents
from twinset.copying import SIDE
from twinset.errors import UsageError
from twinset.paths import expanded
from twinset.pipeline import auditing
from twinset.pipeline.audit_page import audit_page
from twinset.pipeline.auditing import Audited, AuditQuestion
from twinset.pipeline.card_sections import check_card, write_section
from twinset.pipeline.comparing.pages import place_for
from twinset.pipeline.comparing.sources import name_of
from twinset.pipeline.folders import recipe_of
from twinset.pipeline.released_models import audited_models, generator_folder
from twinset.pipeline.reporting import Listener
from twinset.pipeline.tools import load
from twinset.privacy.audit.model_release import RELEASES, Release
from twinset.store import write_bytes

EXIT_CODES = {"no_leakage_detected": 0, "inconclusive": 5, "leak_found": 6}


@dataclass(frozen=True)
class Released:
    """What is to be audited, by the words of the command line; ``releases`` None: whatever was given."""

    run: Path | None = None
    synthetic: str | None = None
    train: str | None = None
    holdout: str | None = None
    reference: str | None = None
    generator: Path | None = None
    classifier: Path | None = None
    releases: Sequence[str] | None = None

    def of_recipe(self) -> Released:
        """The same; of a run whose recipe releases its generator too, that as well where nothing else is asked for."""
        others = self.releases, self.generator, self.classifier, self.synthetic, self.train, self.holdout
        if self.run is None or any(given is not None for given in others):
            return self
        part = recipe_of(expanded(self.run).resolve()).recipe.privacy
        return replace(self, releases=part.releases) if part is not None and part.with_generator else self

    def asked(self) -> tuple[Release, ...]:
        """The releases in order; :class:`UsageError` for unknown ones, or such as there is nothing to audit of."""
        given = {
            "dataset": self.run is not None or self.synthetic is not None,
            "generator": self.generator is not None,
            "classifier": self.classifier is not None,
        }
        if self.releases is None:
            return tuple(name for name in RELEASES if given[name]) or ("dataset",)
        unknown = [name for name in self.releases if name not in RELEASES]
        if unknown or not self.releases:
            got = ", ".join(unknown) or "none"
            raise UsageError(f"expected --release out of {', '.join(RELEASES)}, between commas; got {got}")
        if "classifier" in self.releases and not given["classifier"]:
            raise UsageError(
                "expected --classifier with --release classifier; got none",
                hint="a run keeps none; `twinset fit-classifier DATASET --out FILE` trains one on what it released",
            )
        if "generator" in self.releases and not given["generator"] and self.run is None:
            raise UsageError("expected --generator, or a run, with --release generator; got neither")
        return tuple(name for name in RELEASES if name in self.releases)

    def places(self, models: Sequence[str]) -> dict[str, Path]:
        """Where these models lie."""
        found = {}
        for name in models:
            found[name] = generator_folder(self.generator, self.run) if name == "generator" else self.classifier
        return {name: place for name, place in found.items() if place is not None}

    def command(self, question: AuditQuestion) -> str:
        """What makes the audit again, with names in place of paths."""
        words = ["twinset", "audit", *([] if self.run is None else [name_of(str(self.run))])]
        for option in ("synthetic", "train", "holdout", "reference", "generator", "classifier"):
            given = getattr(self, option)
            words += [] if given is None else [f"--{option}", name_of(str(given))]
        words += [] if self.releases is None else ["--release", ",".join(self.releases)]
        words += ["--alpha", f"{question.alpha:g}", "--seed", str(question.seed)]
        return shlex.join([*words, *([] if question.controls else ["--no-controls"])])


def audit(
    released: Released,
    *,
    question: AuditQuestion,
    report: Path | None = None,
    card: Path | None = None,
    listener: Listener,
) -> documents.AuditDocument:
    """The audit of every release that was asked for.

    ``report`` is where a page of it goes, ``card`` the Markdown file whose section on the audit is written anew.
    :class:`UsageError` where something is missing for it, :class:`DataError` for too few images.
    """
    began = time.perf_counter()
    place = None if report is None else place_for(report)
    released = released.of_recipe()
    asked = released.asked()
    places = released.places([name for name in asked if name != "dataset"])
    written = None if card is None else check_card(card, places)
    audited = _audited(released, asked, question, listener)
    document = (
        auditing.examine(audited, question, listener) if "dataset" in asked else _without_dataset(audited, question)
    )
    if places:
        parts, warnings = audited_models(audited, places, document.dataset, question, listener)
        document = document.model_copy(update={**parts, "warnings": [*document.warnings, *warnings]})
    document = document.model_copy(update={"seconds": time.perf_counter() - began})
    if written is not None:
        write_section(written, document)
        document = document.model_copy(update={"card": str(card)})
    if place is None:
        return document
    page = audit_page(document, audited.synthetic, audited.training, command=released.command(question))
    write_bytes(place, page.encode())
    return document.model_copy(update={"report": str(report)})


def exit_code(document: documents.AuditDocument) -> int:
    """That of the worst answer."""
    return max(EXIT_CODES[part.answer] for part in document.releases.values())


def _audited(released: Released, asked: Sequence[Release], question: AuditQuestion, listener: Listener) -> Audited:
    """The sets; where no dataset is audited there need be no synthetic images."""
    sets = released.synthetic, released.train, released.holdout, released.reference
    if "dataset" in asked or released.run is not None or released.synthetic is not None:
        return auditing.audited_sets(released.run, *sets, question, listener)
    if released.train is None or released.holdout is None:
        raise UsageError(
            "expected --train and --holdout; got less", hint="held-out images are real ones that nothing was made from"
        )
    shown, held = (load(each, on_bad_input=question.on_bad_input) for each in (released.train, released.holdout))
    known = auditing.known_classes(shown, held)
    beside = None if released.reference is None else load(released.reference, on_bad_input=question.on_bad_input)
    nothing = shown.take(range(0))
    return Audited("", nothing, shown, held, beside, auditing.compared_size(shown), *known)


def _without_dataset(audited: Audited, question: AuditQuestion) -> documents.AuditDocument:
    return documents.AuditDocument(
        synthetic=audited.name,
        n_synthetic=len(audited.synthetic),
        n_training=len(audited.training),
        n_holdout=len(audited.holdout),
        n_reference=0 if audited.reference is None else len(audited.reference),
        seen=f"which are one image: at {SIDE} pixels a side or less, under flips and small shifts",
        seed=question.seed,
        version=__version__,
        seconds=0.0,
    )
