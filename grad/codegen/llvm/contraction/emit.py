"""Matrix products: `choose` a plan for a shape, `emit` the code of its structure.

The emitted function is ``void NAME(ptr %args, i64 %begin, i64 %end, i64 %worker)`` and computes the
pieces of work begin .. end - 1 of

    ``out[batch..., m, n] = epilogue(sum_k A[batch..., m, k] * B[batch..., k, n])``

From slot `first_argument` of ``args`` (8 bytes each) on it reads: pointer to A, pointer to B,
pointer to the scratch of all workers (64-byte aligned, worker w uses the w-th
`Choice.scratch_bytes`), then `Choice.arguments`.

To read on: `plan.py` (what is decided and why), `structure.py` (what is
handed over), `tile_loops.py` with `microkernel.py` and `packing.py`, `vector_product.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.inputs import SLOT_BYTES, Inputs, minimum
from grad.codegen.llvm.contraction.microkernel import Ask, Epilogue
from grad.codegen.llvm.contraction.operands import Prologues, matrix
from grad.codegen.llvm.contraction.plan import choose
from grad.codegen.llvm.contraction.problem import Problem
from grad.codegen.llvm.contraction.structure import (
    ELEMENT_BYTES,
    Choice,
    Contraction,
    Kind,
    Layout,
)
from grad.codegen.llvm.contraction.tile_functions import TileFunctions
from grad.codegen.llvm.contraction.tile_loops import TiledPiece
from grad.codegen.llvm.contraction.vector_product import Piece, vector_product
from grad.codegen.llvm.functions import attributes
from grad.codegen.llvm.open_sizes import OpenSizes

__all__ = [
    "Choice",
    "Contraction",
    "Epilogue",
    "Kind",
    "Layout",
    "Problem",
    "choose",
    "emit",
    "store_epilogue",
]


def emit(
    structure: Contraction,
    name: str,
    features: frozenset[str],
    vector_bytes: int,
    epilogue: Epilogue,
    first_argument: int = 0,
    prologues: Prologues = (None, None),
    open_sizes: OpenSizes | None = None,
    ask: Ask | None = None,
) -> str:
    """The text of a module that defines `name` for `structure`.

    `epilogue(b, batch, row, column, accumulator, mask)` emits what becomes of one vector of sums
    (lanes along n from `column` on; `mask` tells the lanes that exist, None means all) or, in
    swapped vector products, of one scalar sum. It stores the result itself; its own pointers are in
    other slots of ``%args``. `prologues` compute the operands, the first and the second one, whose
    elements are not just those in memory. ``ask(b, batch, row, column, width)`` emits prefetches of
    what the epilogue reads and writes; tiles have it run while their sums are computed.
    """
    if structure.swapped:
        prologues = (prologues[1], prologues[0])
    b = Builder(features, vector_bytes, open_sizes)
    inputs = Inputs(b, structure, first_argument)
    texts: list[str] = []
    if structure.kind is Kind.TILED:
        functions = TileFunctions(structure, name, b, epilogue, prologues, ask)
        texts = functions.texts

        def one_piece(piece: Value, _: list[Value]) -> None:
            TiledPiece(b, structure, inputs, functions, piece).emit()
    else:

        def one_piece(piece: Value, _: list[Value]) -> None:
            _vector_piece(b, structure, inputs, epilogue, prologues, piece)

    b.loop(Value("%begin", "i64"), Value("%end", "i64"), 1, one_piece)
    main = b.function(name, "ptr %args, i64 %begin, i64 %end, i64 %worker")
    return b.preamble() + "".join(texts) + main + attributes(vector_bytes)


def store_epilogue(
    element: str, slot: int, apply: Callable[[Builder, Value, Value, Value], Value] | None = None
) -> Epilogue:
    """An epilogue that stores to an output whose columns are contiguous.

    Slot `slot` holds the output's pointer, the next ones its row stride and its batch strides, in
    elements. ``apply(b, row, column, accumulator)`` may change the value first.
    """
    size = ELEMENT_BYTES[element]

    def epilogue(
        b: Builder,
        batch: list[Value],
        row: Value,
        column: Value,
        accumulator: Value,
        mask: Value | None,
    ) -> None:
        base, row_stride, *batch_strides = (
            b.load(kind, b.gep("i64", Value("%args", "ptr"), slot + i), SLOT_BYTES)
            for i, kind in enumerate(["ptr", "i64", *["i64"] * len(batch)])
        )
        place = b.gep(element, b.gep(element, base, b.mul(row, row_stride)), column)
        for index, stride in zip(batch, batch_strides, strict=True):
            place = b.gep(element, place, b.mul(index, stride))
        value = accumulator if apply is None else apply(b, row, column, accumulator)
        if mask is None:
            b.store(value, place, size)
        else:
            b.masked_store(value, place, size, mask)

    return epilogue


def _vector_piece(
    b: Builder,
    structure: Contraction,
    inputs: Inputs,
    epilogue: Epilogue,
    prologues: Prologues,
    piece: Value,
) -> None:
    n = inputs.integers
    block = b.binary("urem", piece, n["column_blocks"])
    batch, a, wide_start = inputs.batch(b, structure, b.binary("udiv", piece, n["column_blocks"]))
    first = b.mul(block, n["columns_per_block"])
    count = minimum(b, b.sub(n["n"], first), n["columns_per_block"])
    start = b.gep(structure.b_storage, wide_start, b.mul(first, n["b_column_stride"]))
    here = {"outer": first, **{f"batch{axis}": index for axis, index in enumerate(batch)}}
    narrow, wide = (prologue and prologue(b) for prologue in prologues)
    operands = (
        matrix(structure, structure.a_memory, narrow, {**here, "outer": b.const("i64", 0)}),
        matrix(structure, structure.b_memory, wide, here),
    )
    data = Piece(a, start, *operands, inputs.scratch, first, count, batch, n)
    vector_product(b, structure, data, epilogue)
