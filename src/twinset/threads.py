"""How many cores there are, and how many of them PyTorch, BLAS and OpenCV take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """NumPy's matrix products take so many threads inside this block: threads that each start four are slow."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

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
