"""Machine code by numba: compiled at the first call, kept on disk, mostly run without the interpreter's lock.

Without ``fastmath`` LLVM neither reorders nor contracts: additions, multiplications, divisions and square roots are
those of IEEE 754, so that ids and depth have the same bits on every processor.

numba keeps what it compiled until the function's own file changes, and the functions and constants that went into it
lie in others: code of before would meet arrays of now. What is kept is therefore stamped by all files beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import numba
from llvmlite.ir import FunctionType, IRBuilder, Value  # type: ignore[import-untyped]
from numba.core.types.abstract import Type
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., object])

# Its stubs do not know of wrappers.
_njit = cast("Callable[..., Callable[[Callable[..., object]], object]]", numba.njit)

Stamp = tuple[tuple[str, int, int], ...]


def stamp_of(folder: Path) -> Stamp:
    """Name, size and time of change (ns) of every Python file in a folder."""
    found = ((path.name, path.stat()) for path in sorted(folder.glob("*.py")))
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)


STAMP = stamp_of(Path(__file__).parent)


def _kept(function: Function, **options: bool) -> Function:
    """Compiled, and kept on disk under :data:`STAMP`, which numba has no public way to say."""
    made = _njit(cache=True, error_model="numpy", no_cfunc_wrapper=True, **options)(function)
    if (file := getattr(getattr(made, "_cache", None), "_cache_file", None)) is not None:
        file._source_stamp = STAMP
    return cast("Function", made)


def compiled(function: Function) -> Function:
    """The function as machine code; divisions by zero give inf or NaN, as in NumPy."""
    return _kept(function, nogil=True)


def inner(function: Function) -> Function:
    """The same, for compiled functions alone to call: without an entry from Python there is less to compile."""
    return _kept(function, nogil=True, no_cpython_wrapper=True)


def brief(function: Function) -> Function:
    """The same, for what takes microseconds: it keeps the interpreter's lock, which else had to be waited for again."""
    return _kept(function)


def inlined(function: Function) -> Function:
    """The same, written out wherever a compiled function calls it: arrays cost no count of references then."""
    return cast("Function", _njit(inline="always", nogil=True, error_model="numpy")(function))


def _larger(_typing_context: object, first: Type, second: Type) -> tuple[Signature, Callable[..., Value]]:
    def code(_context: object, builder: IRBuilder, _signature: Signature, values: Sequence[Value]) -> Value:
        kind = values[0].type
        function = builder.module.declare_intrinsic("llvm.maxnum", [kind], FunctionType(kind, [kind, kind]))
        return builder.call(function, values, fastmath=("nnan", "nsz"))

    return first(first, second), code


larger = cast("Callable[..., float]", intrinsic(_larger))
"""The larger of two floats of one kind that are no NaN, in compiled code.

Of a comparison and a choice LLVM makes a store by mask where the result goes back to memory, which AMD's processors are
slow at.
"""
