"""Machine code by numba: compiled at the first call, kept on disk, mostly run without the interpreter's lock.

Without ``fastmath`` LLVM neither reorders nor contracts: additions, multiplications, divisions and square roots are
those of IEEE 754, so that ids and depth have the same bits on every processor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import numba
from llvmlite.ir import FunctionType, IRBuilder, Value  # type: ignore[import-untyped]
from numba.core.types.abstract import Type
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., object])

# Its stubs do not know of wrappers.
_njit = cast("Callable[..., Callable[[Callable[..., object]], object]]", numba.njit)


def compiled(function: Function) -> Function:
    """The function as machine code; divisions by zero give inf or NaN, as in NumPy."""
    return cast("Function", _njit(cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function))


def inner(function: Function) -> Function:
    """The same, for compiled functions alone to call: without an entry from Python there is less to compile."""
    wrappers = {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}
    return cast("Function", _njit(cache=True, nogil=True, error_model="numpy", **wrappers)(function))


def brief(function: Function) -> Function:
    """The same, for what takes microseconds: it keeps the interpreter's lock, which else had to be waited for again."""
    return cast("Function", _njit(cache=True, error_model="numpy", no_cfunc_wrapper=True)(function))


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
