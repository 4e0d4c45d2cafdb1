"""Runs the stages in order and owns every loop between them; the command line and the Python face call this."""

from twinset.pipeline.checking import dry_run, status, verify
from twinset.pipeline.comparing import compare
from twinset.pipeline.running import evaluate, exit_code, resume, run
from twinset.pipeline.tools import convert, doctor, init, inspect, load, plugins

__all__ = [
    "compare",
    "convert",
    "doctor",
    "dry_run",
    "evaluate",
    "exit_code",
    "init",
    "inspect",
    "load",
    "plugins",
    "resume",
    "run",
    "status",
    "verify",
]
