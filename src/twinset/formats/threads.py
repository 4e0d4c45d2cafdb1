"""Work on a stream in threads: results in order, a bounded number in flight."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

BATCH = 32


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 4) -> Iterator[Result]:
    """``function`` of every item, in order. Holds at most ``4 * workers`` batches of 32 items.

    Batches, because a hand-over between threads costs more than the header of a small picture. The warning
    filters are saved around it all: decoding silences Pillow by changing them, which threads undo in any order.
    """

    def work(batch: list[Item]) -> list[Result]:
        return [function(item) for item in batch]

    source = iter(items)
    flying: deque[Future[list[Result]]] = deque()
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        while True:
            while len(flying) < 4 * workers and (batch := list(islice(source, BATCH))):
                flying.append(pool.submit(work, batch))
            if not flying:
                return
            yield from flying.popleft().result()
