"""How many cores there are, and how many of them PyTorch, BLAS and OpenCV take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SPINS = 1000
"""How often a thread of GNU's OpenMP looks whether there is work before it sleeps: some microseconds."""


def wait_politely() -> None:
    """Threads of PyTorch that wait for each other soon leave the processor to others. Before PyTorch is loaded only.

    By default they spin for milliseconds after every sum. Where something else computes beside them they so keep each
    other from working: on four busy cores a training step took 13 s instead of .5 s. Results are the same.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def available_cores() -> int:
    """Cores that this process may use (affinity and container quota respected)."""
    import joblib

    return int(joblib.cpu_count())


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Runs the block with this many PyTorch threads; their number decides the last bits of every sum."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def numpy_threads() -> int:
    """How many threads NumPy's matrix products may take here, as the environment or :func:`blas_threads` says."""
    from threadpoolctl import threadpool_info

    counts = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return min(available_cores(), max(counts, default=1))


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """NumPy's matrix products take so many threads inside this block: threads that each start four are slow."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count, user_api="blas"):
        yield


@contextmanager
def opencv_threads(count: int) -> Iterator[None]:
    """OpenCV computes with so many threads inside this block."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
