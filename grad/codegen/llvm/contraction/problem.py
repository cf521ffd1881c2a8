"""A matrix product and the machine it is for: what `plan.py` decides by.

`Problem` holds sizes, strides and types, and answers for layouts; its `transposed` is the same
product with the operands exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from grad.codegen.llvm.contraction.structure import (
    BATCH_ARGUMENTS,
    ELEMENT_BYTES,
    ELEMENT_TYPES,
    Layout,
)
from grad.codegen.llvm.widths import vector_registers
from grad.dtype import DType
from grad.graph.sizes import hint, is_fixed


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def round_up(value: int, step: int) -> int:
    return ceil_div(value, step) * step


@dataclass(frozen=True, slots=True)
class Problem:
    """One matrix product on one machine, with names for what is asked of it again and again."""

    element: str
    lanes: int
    registers: int
    has_fma: bool
    batch_sizes: tuple[int, ...]
    m: int
    n: int
    k: int
    a_strides: tuple[int, ...]
    b_strides: tuple[int, ...]
    l2_bytes: int
    cores: int
    a_memory: DType
    b_memory: DType
    a_computed: bool
    b_computed: bool

    @property
    def typical(self) -> Problem:
        """The product with fixed sizes, for estimates: an example's where sizes are open."""
        return replace(
            self,
            batch_sizes=tuple(map(hint, self.batch_sizes)),
            m=hint(self.m),
            n=hint(self.n),
            k=hint(self.k),
            a_strides=tuple(map(hint, self.a_strides)),
            b_strides=tuple(map(hint, self.b_strides)),
        )

    @property
    def size(self) -> int:
        return ELEMENT_BYTES[self.element]

    @property
    def batch(self) -> int:
        return prod(self.batch_sizes)

    @property
    def vectors(self) -> int:
        """Vectors of a row of the result, at least one."""
        return ceil_div(self.n, self.lanes) or 1

    @property
    def operations(self) -> int:
        return 2 * self.batch * self.m * self.n * self.k

    @property
    def has_partial_vector(self) -> bool:
        """Whether columns may be no whole number of vectors."""
        return not is_fixed(self.n) or self.n % self.lanes != 0

    @property
    def converts_a(self) -> bool:
        """Whether A must be copied before the products of a tile can read it."""
        return self.a_computed or self.a_memory is not ELEMENT_TYPES[self.element]

    @property
    def converts_b(self) -> bool:
        """The same of B."""
        return self.b_computed or self.b_memory is not ELEMENT_TYPES[self.element]

    @property
    def a_layout(self) -> Layout:
        row_stride, k_stride = self.a_strides[-2:]
        if k_stride == 1 or self.k <= 1:
            return Layout.K_CONTIGUOUS
        return Layout.ROW_CONTIGUOUS if row_stride == 1 else Layout.STRIDED

    @property
    def b_layout(self) -> Layout:
        k_stride, column_stride = self.b_strides[-2:]
        if column_stride == 1 or self.n == 1:
            return Layout.COLUMN_CONTIGUOUS
        return Layout.K_CONTIGUOUS if k_stride == 1 else Layout.STRIDED

    @staticmethod
    def on(
        features: frozenset[str],
        vector_bytes: int,
        l2_bytes: int,
        element: str,
        sizes: Sequence[int],
        a_strides: Sequence[int],
        b_strides: Sequence[int],
        a_memory: DType | None = None,
        b_memory: DType | None = None,
        a_computed: bool = False,
        b_computed: bool = False,
        cores: int = 8,
    ) -> Problem:
        """The product of `sizes` (batch..., m, n, k) on a processor.

        Args:
            features: CPU features that are present; they decide the register tile.
            vector_bytes: bytes of a vector register.
            l2_bytes: second-level cache of one core.
            element: what sums are kept in: ``"float"``, ``"double"``, ``"i32"`` or ``"i64"``.
            a_strides: of A's axes (batch..., m, k) in elements; any sign, 0 where A is broadcast.
            b_strides: of B's axes (batch..., k, n).
            a_memory, b_memory: types of the operands in memory, `element`'s when None.
            a_computed, b_computed: whether elements are computed of those in memory.
            cores: how many threads should be equally busy, at most.
        """
        *batch, m, n, k = sizes
        return Problem(
            element,
            vector_bytes // ELEMENT_BYTES[element],
            vector_registers(features),
            element in ("float", "double") and ("fma" in features or "neon" in features),
            tuple(batch),
            m,
            n,
            k,
            tuple(a_strides),
            tuple(b_strides),
            l2_bytes,
            cores,
            a_memory or ELEMENT_TYPES[element],
            b_memory or ELEMENT_TYPES[element],
            a_computed,
            b_computed,
        )

    def transposed(self) -> Problem:
        """The product of the transposes, ``B.T @ A.T``."""
        return Problem(
            self.element,
            self.lanes,
            self.registers,
            self.has_fma,
            self.batch_sizes,
            self.n,
            self.m,
            self.k,
            (*self.b_strides[:-2], self.b_strides[-1], self.b_strides[-2]),
            (*self.a_strides[:-2], self.a_strides[-1], self.a_strides[-2]),
            self.l2_bytes,
            self.cores,
            self.b_memory,
            self.a_memory,
            self.b_computed,
            self.a_computed,
        )

    def arguments(self) -> dict[str, int]:
        """Sizes and strides, by the names of `Contraction.argument_names`."""
        return {
            "n": self.n,
            "k": self.k,
            "a_row_stride": self.a_strides[-2],
            "a_k_stride": self.a_strides[-1],
            "b_k_stride": self.b_strides[-2],
            "b_column_stride": self.b_strides[-1],
            **self._batch_arguments(),
        }

    def _batch_arguments(self) -> dict[str, int]:
        rows = zip(self.batch_sizes, self.a_strides, self.b_strides, strict=False)
        return {
            f"{name}{axis}": value
            for axis, row in enumerate(rows)
            for name, value in zip(BATCH_ARGUMENTS, row, strict=True)
        }
