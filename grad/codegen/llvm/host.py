"""Functions of NumPy among the phases of a plan: no code, but a function for `Callback` to call.

`grad/runtime/cpu/callbacks.py` makes the callback; the words that it is handed are the addresses of
the operands and of the result.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grad.codegen.backend import CompiledPhase
from grad.graph.host import call
from grad.kernel.ir import HostCall, Rows

# A thread takes items of so many elements at a time.
GRAIN_ELEMENTS = 1 << 16


@dataclass(frozen=True, slots=True)
class HostFunction:
    """Computes some items of `statement`, from the addresses of its arrays."""

    statement: HostCall

    @property
    def words(self) -> int:
        """How many argument words it reads."""
        s = self.statement
        return 1 + max(rows.parameter for rows in (*s.operands, s.result))

    def __call__(self, words: Sequence[int], begin: int, end: int) -> None:
        s = self.statement
        arrays = [
            _array(rows, words[rows.parameter])[begin:end] for rows in (*s.operands, s.result)
        ]
        call(s.call, arrays[:-1], arrays[-1])

    def __str__(self) -> str:
        return f"; a function of NumPy: {self.statement.call.name}"


def host_phase(statement: HostCall, words: tuple[tuple[int, int], ...]) -> CompiledPhase:
    """The phase of a function that takes arrays at `words`."""
    each = max(math.prod(rows.shape[1:]) for rows in (*statement.operands, statement.result))
    grain = -(-GRAIN_ELEMENTS // max(each, 1))
    return CompiledPhase(HostFunction(statement), words, statement.items, grain)


def _array(rows: Rows, address: int) -> np.ndarray[Any, Any]:
    """The array of an operand or result, which lies in order at `address`."""
    dtype = rows.dtype.numpy
    memory: Any = (ctypes.c_char * (math.prod(rows.shape) * dtype.itemsize)).from_address(address)
    return np.ndarray(rows.shape, dtype, memory)
