"""What a run tells the person who waits for it: stages, progress with ETA, notes. Always on stderr."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from twinset.errors import printable
from twinset.progress import Progress, silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress


class Listener(Protocol):
    """Hears what happens in a run, until it is closed (by ``contextlib.closing``, so also after an error)."""

    def stage(self, name: str) -> Progress:
        """A stage begins; the returned function takes its progress."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line."""
        ...

    def close(self) -> None:
        """Nothing more will happen: what was displayed ends, and the terminal is as it was."""
        ...


class Quiet:
    """Hears everything, says nothing."""

    def stage(self, name: str) -> Progress:
        """No display."""
        del name
        return silent

    def note(self, text: str) -> None:
        """No display."""

    def close(self) -> None:
        """No display."""


@dataclass
class Console:
    """Progress bars with ETA where stderr is a terminal; a line every ten seconds elsewhere."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _live: RichProgress | None = None

    def stage(self, name: str) -> Progress:
        """Starts the display of one stage."""
        self.close()
        if self.stream.isatty():
            return self._bar(name)
        return _lines(name, self.stream)

    def _bar(self, name: str) -> Progress:
        from rich.console import Console as RichConsole
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        display = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=RichConsole(file=self.stream),
        )
        self._live = display  # first, so that an interrupt while it starts is followed by its end
        display.start()
        task = display.add_task(escape(name), total=None)

        def progress(done: int, total: int, what: str) -> None:
            display.update(task, completed=done, total=total, description=escape(f"{name}: {what}" if what else name))

        return progress

    def close(self) -> None:
        """Ends the running display: its last state stays above what is printed next, the cursor comes back."""
        display, self._live = self._live, None
        if display is not None:
            display.stop()

    def note(self, text: str) -> None:
        """One line."""
        self.close()
        print(printable(text), file=self.stream, flush=True)


def _lines(name: str, stream: TextIO, *, every_seconds: float = 10.0) -> Progress:
    started = time.monotonic()
    last = started
    print(f"{name} …", file=stream, flush=True)

    def progress(done: int, total: int, what: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < every_seconds or not 0 < done <= total:
            return
        last = now
        remaining = (now - started) * (total - done) / done
        print(f"  {what or name}: {done} of {total}, about {duration(remaining)} left", file=stream, flush=True)

    return progress


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(5), duration(65), duration(7300)
    ('5 s', '1 min 5 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@dataclass
class RunLog:
    """``log.jsonl`` of a run: one JSON object a line, appended."""

    path: Path

    def add(self, event: str, **facts: str | int | float | None) -> None:
        """Appends one event with the time of day; :class:`RunFolderError` if the disk refuses."""
        import json

        from twinset.store import disk_refusals

        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **facts}, sort_keys=True)
        with disk_refusals(self.path, "to write a line"), self.path.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")
