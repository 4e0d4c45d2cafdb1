"""Machine code by numba: compiled at the first call, kept on disk, run without the interpreter's lock.

Without ``fastmath`` LLVM neither reorders nor contracts: additions, multiplications, divisions and square roots are
those of IEEE 754, so that ids and depth have the same bits on every processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function as machine code; divisions by zero give inf or NaN, as in NumPy."""
    return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: Function) -> Function:
    """The same, written out wherever a compiled function calls it: arrays cost no count of references then."""
    return cast("Function", numba.njit(inline="always", nogil=True, error_model="numpy")(function))
