from __future__ import annotations

from collections.abc import Callable

import pytest

from twinset import documents, pipeline
from twinset.scores import Decision

Called = Callable[..., tuple[int, str, str]]
EVIL = "a\x1b[2J.png"


def answer(*, withheld: bool) -> documents.RedactDocument:
    decision: Decision = "blocked_by_gate" if withheld else "use"
    after = documents.RunDocument(
        run="run",
        report="run/report.html",
        digest="0" * 64,
        verdict=documents.VerdictPart(decision=decision, sentence="Told.", difference=None),
        counts=documents.Counts(planned=3, accepted=1, rejected=0, failed=0, redacted=2),
        scores={},
        utility={},
        utility_metric="mAP@50",
        gate=documents.GatePart(passed=True, reasons=[]),
        audit=documents.AuditedPart(answer="leak_found", finding=f"leak found: {EVIL}", withheld=withheld),
        exports={},
        seconds=1,
    )
    removed = [EVIL, "b"]
    return documents.RedactDocument(run="run", removed=removed, reason="why", before="1" * 64, after=after)


@pytest.mark.parametrize(("withheld", "code"), [(True, 6), (False, 0)])
def test_ids_are_split_and_the_exit_code_is_that_of_the_run(
    monkeypatch: pytest.MonkeyPatch, called: Called, withheld: bool, code: int
) -> None:
    asked: dict[str, object] = {}

    def redact(_: object, **given: object) -> documents.RedactDocument:
        asked.update(given)
        return answer(withheld=withheld)

    monkeypatch.setattr(pipeline, "redact", redact)
    words = ("redact", "run", "--ids", "a,b,", "--ids", "c", "--parents", "x,1.png", "--reason", "why", "-q")
    ended, out, _ = called(*words)
    assert ended == code
    assert (asked["ids"], asked["parents"], asked["reason"]) == (["a", "b", "c"], ["x,1.png"], "why")
    assert "took out 2 images: a\\x1b[2J.png, b" in out
    assert "1 accepted of 3 planned, 0 tries rejected, 2 redacted" in out
    assert all(line.isprintable() for line in out.splitlines())
