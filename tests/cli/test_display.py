from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

import twinset as twinset_package
from twinset import pipeline
from twinset.errors import RunFolderError
from twinset.pipeline.reporting import Listener

Called = Callable[..., tuple[int, str, str]]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RunFolderError("disk full"), ValueError("ours")])
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "builtin:digits"],
        ["resume", "run"],
        ["evaluate", "run"],
        ["verify", "run"],
        ["compare", "builtin:digits", "builtin:digits"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_display_ends_before_an_error_is_told(
    arguments: list[str], error: BaseException, monkeypatch: pytest.MonkeyPatch, called: Called
) -> None:
    def fail(*_: object, listener: Listener, **__: object) -> None:
        listener.stage("fit")(1, 2, "steps")
        raise error

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(pipeline, arguments[0], fail)
    monkeypatch.setattr(sys, "stderr", terminal)
    ended, _, _ = called(*arguments)
    shown, _, after = terminal.getvalue().rpartition("\x1b[?25h")
    assert ended == (130 if isinstance(error, KeyboardInterrupt) else getattr(error, "exit_code", 1))
    assert shown.count("\x1b[?25l") == 1
    assert str(error).partition(";")[0] in after
    assert "━" not in after


def test_the_display_of_the_python_face_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, listener: Listener, **__: object) -> None:
        listener.stage("fit")(1, 2, "steps")
        raise RunFolderError("disk full")

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(pipeline, "run", fail)
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(RunFolderError):
        twinset_package.run({"data": "builtin:digits"})
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize("ending", ["result", "ctrl-c"])
def test_a_terminal_gets_its_cursor_back_and_a_result_on_its_own_line(ending: str) -> None:
    import pty

    code = (
        "import os, signal, sys, time\nfrom twinset import cli, documents, pipeline\n"
        "def verify(*_, listener, **__):\n"
        "    listener.stage('report')(1, 2, 'pages')\n    time.sleep(0.3)\n"
        f"    if {ending == 'ctrl-c'}: os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "    return documents.VerifyDocument(\n"
        "        run='RESULT', ok=True, digest='', shards=1, regenerated=0, mismatches=[])\n"
        "pipeline.verify = verify\nsys.argv = ['twinset', 'verify', 'x']\ncli.main()\n"
    )
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=child, stdout=child, stderr=child, env=environment, start_new_session=True
    ) as process:
        os.close(child)
        try:
            while piece := os.read(parent, 65536):
                shown += piece
        except OSError:  # Linux answers so when the other side is closed
            pass
    os.close(parent)
    drawn, _, after = shown.decode().rpartition("\x1b[?25h")
    assert process.returncode == (0 if ending == "result" else 130)
    assert drawn.count("\x1b[?25l") == 1
    assert "━" in drawn
    assert after.splitlines()[:1] == ["RESULT: ok" if ending == "result" else "error: stopped"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_json_goes_to_stdout_while_the_display_is_on_a_terminal() -> None:
    import pty

    code = (
        "import sys\nfrom twinset import cli, documents, pipeline\n"
        "def verify(*_, listener, **__):\n"
        "    listener.stage('report')(1, 2, 'pages')\n"
        "    return documents.VerifyDocument(run='x', ok=True, digest='', shards=1, regenerated=0, mismatches=[])\n"
        "pipeline.verify = verify\nsys.argv = ['twinset', 'verify', 'x', '--json']\ncli.main()\n"
    )
    parent, child = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=child,
        env={**os.environ, "TERM": "xterm"},
        check=True,
    )
    os.close(child)
    os.close(parent)
    assert json.loads(ended.stdout)["run"] == "x"
