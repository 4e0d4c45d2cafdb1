"""How the command ends: a failure is one line on stderr, or one JSON object, and an exit code that says its kind."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from twinset.cli.commands import VERBS, app
from twinset.errors import TwinsetError, printable
from twinset.threads import wait_politely

INTERRUPTED = 130
TERMINATED = 143
KEPT: Mapping[str, str] = {
    "run": "run the same command again to continue",
    "resume": "run the same command again to continue",
    "evaluate": "run the same command again: finished trainings are kept",
    "compare": "run the same command again: extracted features and finished trainings are kept",
    "check-metadata": "run the same command again: ratings are kept",
    "leaderboard": "run the same command again: extracted features are kept",
}
"""What is true of a command that was stopped; of the others nothing is kept."""

_ClickUsageError: type[Exception] = next(k for k in typer.BadParameter.__mro__ if k.__name__ == "UsageError")


class _TerminatedError(BaseException):
    """The process was asked to end: whatever is open closes on the way out, as after Ctrl-C."""


def main() -> NoReturn:
    """The ``twinset`` command: every failure is one line on stderr, or one JSON object with ``--json``."""
    as_json = "--json" in sys.argv[1:]
    wait_politely()
    with _termination_raises():
        code = _guarded(as_json=as_json)
    sys.exit(code)


@contextmanager
def _termination_raises() -> Iterator[None]:
    """SIGTERM raises within, once: temporary folders are removed on the way out. A second one kills as ever."""

    def raised(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
        signal.signal(number, signal.SIG_DFL)
        raise _TerminatedError

    before = signal.signal(signal.SIGTERM, raised)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _guarded(*, as_json: bool) -> int:
    try:
        result = app(standalone_mode=False)
    except TwinsetError as error:
        return _fail(error.code, error.message, error.hint, error.exit_code, as_json=as_json)
    except _ClickUsageError as error:
        message = str(error.format_message()) if hasattr(error, "format_message") else str(error)
        if not message:
            return 2
        if type(error).__name__ == "NoArgsIsHelpError":
            print(message, file=sys.stderr)
            return 2
        return _fail("usage", _refused(error, message), _help(), 2, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except _TerminatedError:
        return _fail("terminated", "asked to end", _kept(sys.argv[1:]), TERMINATED, as_json=as_json)
    except MemoryError:
        return _fail("memory", "expected enough memory; got none left", "use fewer --workers", 1, as_json=as_json)
    except Exception as error:  # our own mistake: the traceback helps to report it
        import traceback

        traceback.print_exc()
        message, hint = f"{type(error).__name__}: {error}", "this is a fault of twinset: please report it"
        return _fail("internal", message, hint, 1, as_json=as_json)
    if result == INTERRUPTED:  # Click turns Ctrl-C into this exit code
        return _fail("interrupted", "stopped", _kept(sys.argv[1:]), INTERRUPTED, as_json=as_json)
    return result if isinstance(result, int) else 0


def _refused(error: Exception, message: str) -> str:
    """The message of Typer; of a value outside its range in our words, with what was given."""
    if type(error.__cause__).__name__ != "ValidationError":
        return message
    import pydantic

    from twinset.refusals import refusal

    assert isinstance(error.__cause__, pydantic.ValidationError)
    return f"{message.partition(': ')[0]}: {refusal(error.__cause__).message}"


def _help() -> str:
    """Where to read on: the help of the command that was refused, or the list of all where it is unknown."""
    command = _command(sys.argv[1:])
    known = command.replace("-", "_") in (verb.__name__ for verb in VERBS)
    return f"see `twinset {command} --help`" if known else "see `twinset --help`"


def _kept(words: list[str]) -> str:
    """What a command that was stopped has left to go on from."""
    return KEPT.get(_command(words), "")


def _command(words: list[str]) -> str:
    """The first word that is no option names the command."""
    return next((word for word in words if not word.startswith("-")), "")


def _fail(code: str, message: str, hint: str, exit_code: int, *, as_json: bool) -> int:
    message, hint = printable(message), printable(hint)
    if as_json:
        from twinset.documents import ErrorDocument, ErrorPart, to_json

        print(to_json(ErrorDocument(error=ErrorPart(code=code, message=message, hint=hint))), flush=True)
    print(f"error: {message}" + (f"\n  hint: {hint}" if hint else ""), file=sys.stderr, flush=True)
    return exit_code
