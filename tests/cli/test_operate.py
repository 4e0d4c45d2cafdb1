from __future__ import annotations

from collections.abc import Callable

import pytest

from twinset import documents, pipeline

Called = Callable[..., tuple[int, str, str]]


def test_names_from_data_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch, called: Called) -> None:
    evil = "a\x1b[2J\x1b]0;evil\x07.png"
    found = documents.VerifyDocument(
        run=f"runs/{evil}",
        ok=False,
        digest="0" * 64,
        shards=1,
        regenerated=0,
        mismatches=[documents.MismatchPart(path=evil, problem=f"expected {evil}")],
    )
    monkeypatch.setattr(pipeline, "verify", lambda *_, **__: found)
    ended, out, _ = called("verify", "run", "--quiet")
    assert ended == 4
    assert out.count("a\\x1b[2J\\x1b]0;evil\\x07.png") == 3
    assert all(line.isprintable() for line in out.splitlines())
