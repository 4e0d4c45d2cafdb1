"""The command line: parses, calls the pipeline, prints. One file a family of commands: make, judge, move, operate."""

from twinset.cli.commands import app
from twinset.cli.failures import main

__all__ = ["app", "main"]
