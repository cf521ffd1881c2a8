"""Decide how an attention is computed: which code, which blocks, which pieces of work.

Keys are taken in blocks that fill half the second-level cache together with what belongs to them.
Rows of a head are one piece of work unless there are few heads. Everything follows from shapes and
the machine, never from the number of threads, so results are the same on any number of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

from grad.codegen.llvm.attention import ROW_BLOCK
from grad.codegen.llvm.attention_structure import ELEMENT_BYTES, Choice, Code, Mask
from grad.codegen.llvm.contraction_plan import TILE_ROWS, TILE_ROWS_WITHOUT_FMA
from grad.codegen.llvm.instructions import element_type
from grad.dtype import dtypes
from grad.graph.attention import LOG2_E
from grad.kernel.cost import attention_operations
from grad.kernel.ir import Attention, Rows

ALIGNMENT = 64
PIECES = 16  # enough for 8 threads that do not run evenly
PIECE_ROWS = 4 * ROW_BLOCK  # fewer rows would not pay for packing the keys again
GRAIN_OPERATIONS = 500_000


def choose(s: Attention, features: frozenset[str], vector_bytes: int, l2_bytes: int) -> Choice:
    """The code for `s`, and its integers."""
    operands = dict(s.operands)
    code = _code(s, operands, features, vector_bytes)
    query, value = operands["query"], operands["value"]
    batch, length = math.prod(query.shape[:-2]), query.shape[-2]
    keys = value.shape[-2]
    size, value_size = query.shape[-1], value.shape[-1]
    chunks = max(1, min(-(-PIECES // max(batch, 1)), length // PIECE_ROWS))
    chunk_rows = _up(-(-length // chunks), ROW_BLOCK)
    chunks = -(-length // chunk_rows)
    sizes = {
        "length": length,
        "keys": keys,
        "size": size,
        "value_size": value_size,
        "padded_size": _up(size, code.lanes),
        "padded_value_size": _up(value_size, code.lanes),
        "batch": batch,
        "factor": _bits(code, s.how.scale * LOG2_E),
        "scale": _bits(code, s.how.scale),
        "chunks": chunks,
        "chunk_rows": chunk_rows,
    }
    sizes |= _scratch(code, sizes, l2_bytes)
    sizes |= _strides(code, operands)
    items = batch * chunks if length else 0
    each = attention_operations(s) / max(items, 1)
    return Choice(
        code,
        items,
        max(1, int(GRAIN_OPERATIONS / max(each, 1))),
        sizes["scratch_bytes"],
        tuple(sizes[name] for name in code.integers),
    )


def _code(
    s: Attention, operands: Mapping[str, Rows], features: frozenset[str], vector_bytes: int
) -> Code:
    element = element_type(s.dtype)
    lanes = vector_bytes // ELEMENT_BYTES[element]
    registers = 32 if "avx512f" in features or "neon" in features else 16
    table = TILE_ROWS[registers]
    if "fma" not in features and "neon" not in features:
        table = TILE_ROWS_WITHOUT_FMA
    mask = Mask.NONE
    if "mask" in operands:
        mask = Mask.BOOL if operands["mask"].dtype is dtypes.bool else Mask.FLOAT
    packed = operands["key" if "slope" in operands else "value"]
    return Code(
        element,
        lanes,
        table[max(table)],
        max(table),
        len(operands["query"].shape) - 2,
        s.how.is_causal,
        mask,
        s.how.dropout > 0,
        packed.shape[-1] % lanes != 0,
        tuple(operands),
        tuple(name for name, _ in s.results),
    )


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _bits(code: Code, number: float) -> int:
    """The bits of a number of the code's type."""
    form = "<f" if code.element == "float" else "<d"
    return int.from_bytes(struct.pack(form, number), "little")


def _strides(code: Code, operands: Mapping[str, Rows]) -> dict[str, int]:
    found = {}
    for name, rows in operands.items():
        found[f"{name}_row"] = rows.strides[-2]
        for axis, step in enumerate(rows.strides[:-2]):
            found[f"{name}_batch{axis}"] = step
            found[f"batch_size{axis}"] = rows.shape[axis]
    return found


def _scratch(code: Code, sizes: Mapping[str, int], l2_bytes: int) -> dict[str, int]:
    """The block of keys, and where everything lies in a worker's scratch."""
    size, value_size = sizes["size"], sizes["padded_value_size"]
    each = size + value_size + ROW_BLOCK  # elements that belong to one key
    fitting = max(l2_bytes // 2 // (each * code.size) // code.panel, 1) * code.panel
    blocks = -(-sizes["keys"] // fitting)
    block = _up(-(-sizes["keys"] // blocks), code.panel)
    rows = ROW_BLOCK if blocks == 1 else _up(sizes["chunk_rows"], ROW_BLOCK)
    # Rows that are a power of two apart share the few places of a cache set.
    scores_row = block + code.lanes
    slack = code.lanes * code.panel  # a transpose writes up to so much past the end
    pieces = {
        "key_at": block * size + slack,
        "value_at": block * value_size + slack if code.packs_rows else 0,
        "query_at": ROW_BLOCK * sizes["padded_size"],
        "scores_at": ROW_BLOCK * scores_row,
        "output_at": rows * value_size,
        "peaks_at": rows,
        "totals_at": rows,
    }
    found = {
        "key_block": block,
        "scores_row": scores_row,
        "output_step": 0 if blocks == 1 else ROW_BLOCK * value_size,
    }
    return found | _places(pieces, code.size)


def _places(pieces: Mapping[str, int], element_bytes: int) -> dict[str, int]:
    """Where each piece begins, whole cache lines apart, and the bytes of all."""
    found, place = {}, 0
    for name, elements in pieces.items():
        found[name] = place
        place += _up(elements * element_bytes, ALIGNMENT) // element_bytes
    return found | {"scratch_bytes": place * element_bytes}
