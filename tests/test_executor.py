from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twinset.errors import DataError
from twinset.executors.local import LocalProcesses
from twinset.threads import torch_threads


def nested() -> Callable[[int], tuple[int, int]]:
    """A function that goes to workers by value, since test modules cannot be imported there."""

    def threads_and_square(number: int) -> tuple[int, int]:
        import torch

        return torch.get_num_threads(), number * number

    return threads_and_square


def test_every_task_is_done_once_with_one_thread() -> None:
    for workers in (1, 2):
        found = dict(LocalProcesses(workers).map(nested(), [3, 4, 5]))
        assert found == {0: (1, 9), 1: (1, 16), 2: (1, 25)}


def test_the_caller_keeps_its_threads() -> None:
    import torch

    before = torch.get_num_threads()
    with torch_threads(1):
        assert torch.get_num_threads() == 1
    list(LocalProcesses(1).map(nested(), [1]))
    assert torch.get_num_threads() == before


def test_no_tasks_is_no_work() -> None:
    assert list(LocalProcesses(2).map(nested(), [])) == []


@pytest.mark.slow
def test_an_error_in_a_worker_comes_back_as_itself() -> None:
    def fail(number: int) -> int:
        raise DataError(f"{number}: expected better")

    with pytest.raises(DataError, match="expected better"):
        list(LocalProcesses(2).map(fail, [1, 2]))


SCRIPT = """
import os, time, sys
from twinset.executors.local import LocalProcesses
def work(n):
    open(sys.argv[1] + f"/{os.getpid()}", "w").close()
    time.sleep(600)
LocalProcesses(2).map(work, [1, 2, 3]).__next__()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_workers_end_when_the_run_is_killed(tmp_path: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    run.send_signal(signal.SIGKILL)
    run.wait()
    while any(running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(running(pid) for pid in workers)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
