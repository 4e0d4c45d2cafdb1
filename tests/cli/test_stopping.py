"""A command that is stopped says what it has left behind, and leaves no folder of its own."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from twinset import pipeline

Called = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["compare", "a", "b"], "run the same command again: extracted features and finished trainings are kept"),
        (["leaderboard", "a", "b"], "run the same command again: extracted features are kept"),
        (["detect", "a", "--detector", "b"], ""),
    ],
)
def test_ctrl_c_promises_only_what_is_kept(
    arguments: list[str], kept: str, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, arguments[0], stopped)
    ended, out, _ = called(*arguments, "--json")
    assert ended == 130
    assert json.loads(out)["error"] == {"code": "interrupted", "message": "stopped", "hint": kept}


def test_sigterm_unwinds_and_is_as_before_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    seen: list[bool] = []

    def working(*_: object, **__: object) -> None:
        with tempfile.TemporaryDirectory(prefix="twinset-compare-", dir=tmp_path):
            seen.append(bool(list(tmp_path.iterdir())))
            os.kill(os.getpid(), signal.SIGTERM)
            signal.sigtimedwait([], 0.1)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(pipeline, "compare", working)
    ended, out, err = called("compare", "a", "b", "--json")
    assert seen == [True]
    assert ended == 143
    assert json.loads(out)["error"]["code"] == "terminated"
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) is before
