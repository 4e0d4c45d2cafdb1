"""What the person who waits sees: a display that ends when it is closed, plain lines in a pipe, a log that is kept."""

from __future__ import annotations

import io
import json
from contextlib import closing
from pathlib import Path

import pytest

from twinset.errors import RunFolderError
from twinset.pipeline import reporting
from twinset.pipeline.reporting import Console, RunLog

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


class Clock:
    """Stands in for ``time`` in the module under test."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_a_closed_display_gives_the_cursor_back_and_draws_no_more(terminal: Terminal) -> None:
    with closing(Console(terminal)) as console:
        console.stage("fit")(1, 2, "steps")
        progress = console.stage("report")
        progress(1, 2, "pages")
    drawn = terminal.getvalue()
    assert drawn.count(HIDE) == drawn.count(SHOW) == 2
    assert drawn.endswith(SHOW)
    assert "report: pages" in drawn
    progress(2, 2, "pages")
    console.close()
    assert terminal.getvalue() == drawn


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunFolderError("full")])
def test_an_error_ends_the_display_too(terminal: Terminal, error: BaseException) -> None:
    def fail() -> None:
        with closing(Console(terminal)) as console:
            console.stage("fit")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert terminal.getvalue().count(HIDE) == terminal.getvalue().count(SHOW) == 1


def test_a_display_that_is_interrupted_while_it_starts_ends(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.progress import Progress

    start = Progress.start

    def interrupted(self: Progress) -> None:
        start(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), closing(Console(terminal)) as console:
        console.stage("fit")
    assert terminal.getvalue().count(HIDE) == terminal.getvalue().count(SHOW) == 1


def test_a_pipe_gets_plain_lines_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pipe = Clock(), io.StringIO()
    monkeypatch.setattr(reporting, "time", clock)
    with closing(Console(pipe)) as console:
        progress = console.stage("fit")
        for step in range(1, 26):
            clock.now += 1
            progress(step, 100, "steps")
        console.note("few images")
    assert pipe.getvalue().splitlines() == [
        "fit …",
        "  steps: 10 of 100, about 1 min 30 s left",
        "  steps: 20 of 100, about 1 min 20 s left",
        "few images",
    ]


def test_steps_that_slow_down_tenfold_do_not_make_the_rest_look_more_than_tenfold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, pipe = Clock(), io.StringIO()
    monkeypatch.setattr(reporting, "time", clock)
    progress = Console(pipe).stage("fit")
    for step in range(1, 51):
        clock.now += 2 if step <= 40 else 20
        progress(step, 100, "")
    assert pipe.getvalue().splitlines()[-1] == "  fit: 50 of 100, about 4 min 40 s left"


def test_the_log_has_one_object_a_line(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    log.add("begin", workers=2)
    log.add("end", digest=None)
    events = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [event["event"] for event in events] == ["begin", "end"]
    assert (events[0]["workers"], events[1]["digest"]) == (2, None)


def test_a_log_that_cannot_be_written_is_a_fault_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunFolderError, match=r"log\.jsonl: expected to write a line; got Not a directory"):
        RunLog(tmp_path / "file" / "log.jsonl").add("begin")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_a_fault_of_the_folder() -> None:
    with pytest.raises(RunFolderError, match="No space left"):
        RunLog(Path("/dev/full")).add("begin")
