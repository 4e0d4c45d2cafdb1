"""A Blender that runs beside us: one request, one answer, a time limit, and no process left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from queue import Empty, SimpleQueue

from twinset.errors import MissingExtraError, TwinsetError
from twinset.paths import expanded

VARIABLE = "TWINSET_BLENDER"
MARK = "twinset:"
LOG_LINES = 12
PROBE_SECONDS = 20.0

Answer = Mapping[str, object]


def command_of(script: Path) -> list[str]:
    """How to run a script in the Blender, or the Python with bpy, that ``TWINSET_BLENDER`` names.

    Raises :class:`~twinset.errors.MissingExtraError` where it names neither.
    """
    named = os.environ.get(VARIABLE, "").strip()
    wanted = f"expected {VARIABLE} to name a Blender executable, or a Python with bpy"
    hint = f"set {VARIABLE}, e.g. to /usr/bin/blender; Blender 4.2 or later"
    if not named:
        raise MissingExtraError(f"{wanted}; got none", hint=hint)
    program = shutil.which(str(expanded(named)))
    if program is None:
        raise MissingExtraError(f"{wanted}; got {named}, which cannot be run", hint=hint)
    told = _first_words(program, ["--version"])
    if told.startswith("Blender "):
        return [program, "--background", "--factory-startup", "--python-exit-code", "3", "--python", str(script)]
    if told.startswith("Python "):
        # Asks where bpy is, and does not load it, which takes seconds.
        found = _first_words(program, ["-c", "import importlib.util as u; print(bool(u.find_spec('bpy')))"])
        if found == "True":
            return [program, "-u", str(script)]
        raise MissingExtraError(f"{wanted}; got {named}, a Python without bpy", hint="install bpy in it")
    raise MissingExtraError(f"{wanted}; got {named}, which says {told[:60]!r}", hint=hint)


def _first_words(program: str, arguments: list[str]) -> str:
    """The first line that a program prints; "" where it does not run or does not end."""
    try:
        answer = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            check=False,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next(iter(answer.stdout.splitlines()), "").strip()


def _environment() -> dict[str, str]:
    """Ours, without what would lead another Python to our packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


class BlenderProcess:
    """Runs our script in ``folder``. Its own process group, so that whatever it starts ends with it."""

    def __init__(self, folder: Path, *, timeout_seconds: float) -> None:
        script = folder / "blender_script.py"
        source = files("twinset.generators.rendering.tracing").joinpath("blender_script.py")
        script.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        self._timeout = timeout_seconds
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._answers: SimpleQueue[str | None] = SimpleQueue()
        self._process = subprocess.Popen(
            command_of(script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            env=_environment(),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, request: Mapping[str, object]) -> object:
        """What the script answers; a :class:`TwinsetError` with the end of its log where it cannot, or takes too long.

        After an error the process is gone.
        """
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{json.dumps(request)}\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=self._timeout)
        except (OSError, ValueError):
            line = None
        except Empty:
            self.close()
            raise self._error(f"no answer in {self._timeout:g} seconds") from None
        except BaseException:
            # Of a request that was broken off the answer may still come: it would be taken for the next one's.
            self.close()
            raise
        if line is None:
            self.close()
            raise self._error(f"an end with code {self._process.returncode}")
        answer: dict[str, object] = json.loads(line)
        if "problem" in answer:
            self.close()
            self._log.extend(str(answer["problem"]).strip().splitlines())
            raise self._error("a problem")
        return answer["done"]

    def close(self) -> None:
        """Ends the process and waits for it; once is enough."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            with suppress(OSError):
                process.stdin.close()
        if process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (AttributeError, ProcessLookupError, PermissionError):
                process.kill()
        process.wait()
        self._reader.join(timeout=5)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.startswith(MARK):
                    self._answers.put(line.removeprefix(MARK))
                elif line.strip():
                    self._log.append(line.rstrip())
        self._answers.put(None)

    def _error(self, what: str) -> TwinsetError:
        log = "\n  ".join(self._log) or "(nothing)"
        return TwinsetError(f"expected Blender to draw a scene; got {what}; the end of its log:\n  {log}\n")
