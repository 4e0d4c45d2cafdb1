"""Tasks on this machine: in this process, or in worker processes (loky, through joblib), one thread each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from twinset.threads import torch_threads

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class LocalProcesses:
    """Up to ``workers`` tasks at once. One worker means this process; results are the same either way,
    because a task always computes with one thread."""

    workers: int = 1

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"expected at least one worker; got {self.workers}")

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """(task number, result) of every task, as they finish."""
        if not tasks:
            return
        if self.workers == 1 or len(tasks) == 1:
            for number, task in enumerate(tasks):
                with torch_threads(1):
                    result = function(task)
                yield number, result
            return
        import joblib

        backend = {"initializer": _die_with, "initargs": (os.getpid(),)}
        with joblib.parallel_config(backend="loky", n_jobs=self.workers, inner_max_num_threads=1, **backend):
            pool = joblib.Parallel(return_as="generator_unordered", pre_dispatch=f"{2 * self.workers}", batch_size=1)
            yield from pool(joblib.delayed(_in_worker)(function, number, task) for number, task in enumerate(tasks))


def _in_worker(function: Callable[[Task], Result], number: int, task: Task) -> tuple[int, Result]:
    import torch

    torch.set_num_threads(1)
    return number, function(task)


def _die_with(parent: int) -> None:
    """Makes this worker end when the process that started it ends, however that ends and before any work came.

    A worker whose parent is gone is adopted by another process, which its parent id shows within the second.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
