"""The one way to compile a kernel: scalar loops in a fixed order, no fastmath, no threads, same bits every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
A = TypeVar("A", bound=np.ndarray[Any, Any])

Signature: TypeAlias = str | tuple[Any, ...]

_kernels: list[tuple[Any, Signature | None]] = []


def types_of(*examples: object) -> Signature:
    """Signature of a kernel that is called with arguments like these."""
    typeof: Any = numba.typeof  # numba ships no types
    return tuple(typeof(example) for example in examples)


def read_only(array: A) -> A:
    """Let an array be read alone, as kernels ask for it that are given views of messages.

    >>> read_only(np.zeros(2)).flags.writeable
    False
    """
    array.flags.writeable = False
    return array


def njit(signature: Signature | None = None, *, inline: bool = False) -> Callable[[F], F]:
    """Compile a function on its first call, or by `compile_all` when it has a signature.

    With `inline` it becomes part of the kernels that call it: a call hands rows over as views, and counts owners of each.

    Machine code is cached where `NUMBA_CACHE_DIR` said before numba was imported, else beside the source;
    a tree that can't be written costs the cache, not the import. Numba sees changes of a kernel's own file
    only: a kernel therefore calls kernels of its own file, or small ones of `stats` that are settled.

    >>> @njit("f8(f8)")
    ... def twice(x: float) -> float:
    ...     return x + x
    >>> twice(2.0)
    4.0
    """

    def compiled(function: F) -> F:
        try:
            kernel: Any = numba.njit(cache=True, error_model="numpy", forceinline=inline)(function)
        except RuntimeError:  # numba: no locator available, nothing here is writable
            kernel = numba.njit(error_model="numpy", forceinline=inline)(function)
        _kernels.append((kernel, signature))
        typed: F = kernel
        return typed

    return compiled


def compile_all() -> int:
    """Compile every imported kernel that has a signature (start-up, before `/readyz` says yes); how many."""
    normalized: Any = numba.core.sigutils.normalize_signature  # numba ships no types
    found = [(kernel, signature) for kernel, signature in _kernels if signature is not None]
    for kernel, signature in found:
        # the types alone, as a first call would ask for: numba keeps what it compiled under what it was asked for
        kernel.compile(normalized(signature)[0])
    return len(found)
