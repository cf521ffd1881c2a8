"""Decide how an attention is computed: which code, which blocks, which pieces of work.

Keys are taken in blocks that fill half the second-level cache together with what belongs to them.
Rows of a head are one piece of work unless there are few heads. Everything follows from shapes and
the machine, never from the number of threads, so results are the same on any number of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

from grad.codegen.llvm.attention.dropout import kept_factor, threshold
from grad.codegen.llvm.attention.heads import ROW_BLOCK
from grad.codegen.llvm.attention.rows import GROUP
from grad.codegen.llvm.attention.structure import ELEMENT_BYTES, Choice, Code, Mask
from grad.codegen.llvm.contraction.plan import TILE_ROWS, TILE_ROWS_WITHOUT_FMA
from grad.codegen.llvm.instructions import element_type
from grad.codegen.llvm.widths import vector_registers
from grad.dtype import dtypes
from grad.graph.attention import LOG2_E
from grad.graph.sizes import hint
from grad.kernel.cost import attention_operations
from grad.kernel.ir import Attention, Rows

ALIGNMENT = 64
PIECES = 16  # enough for 8 threads that do not run evenly
PIECE_ROWS = 4 * ROW_BLOCK  # fewer rows would not pay for packing the keys again
FEW_ROWS = 4  # more pay for packing the keys
FEW_ROWS_KEYS = 2048  # keys at a time for few rows: their scores stay in the first-level cache
ENOUGH_HEADS = 8  # for threads to share heads
GRAIN_OPERATIONS = 500_000


def choose(s: Attention, features: frozenset[str], vector_bytes: int, l2_bytes: int) -> Choice:
    """The code for `s`, and its integers."""
    operands = dict(s.operands)
    code = _code(s, operands, features, vector_bytes)
    query, value = operands["query"], operands["value"]
    batch, length = math.prod(value.shape[:-2]), query.shape[-2]
    keys = value.shape[-2]
    size, value_size = query.shape[-1], value.shape[-1]
    sizes = {
        "length": length,
        "keys": keys,
        "size": size,
        "value_size": value_size,
        "padded_size": _up(size, code.lanes),
        "padded_value_size": _up(value_size, code.lanes),
        "batch": batch,
        "group": s.how.group,
        "factor": _bits(code, s.how.scale * LOG2_E),
        "scale": _bits(code, s.how.scale),
        "threshold": threshold(s.how.dropout),
        "kept_factor": _bits(code, kept_factor(s.how.dropout)),
    }
    sizes |= _gradient_pieces(code, sizes) if code.is_gradient else _pieces(sizes)
    sizes |= _scratch(code, sizes, l2_bytes)
    sizes |= _strides(code, operands)
    items = batch * (sizes["chunks"] * sizes["member_chunks"] + sizes["key_chunks"])
    each = attention_operations(s) / max(hint(items), 1)
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
    registers = vector_registers(features)
    table = TILE_ROWS[registers]
    if "fma" not in features and "neon" not in features:
        table = TILE_ROWS_WITHOUT_FMA
    mask = Mask.NONE
    if "mask" in operands:
        mask = Mask.BOOL if operands["mask"].dtype is dtypes.bool else Mask.FLOAT
    packed = operands["key" if "slope" in operands else "value"]
    rows = operands["query"].shape[-2]
    # The first few rows of causal attention read few keys.
    few = rows <= FEW_ROWS and not s.how.is_causal and "slope" not in operands
    return Code(
        element,
        lanes,
        rows if few else table[max(table)],
        max(table),
        rows if few else GROUP,
        few,
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
    for axis, size in enumerate(operands["query"].shape[:-2]):
        found[f"batch_size{axis}"] = size
    return found


def _cut(name: str, size: int, wanted: int, least: int, step: int) -> dict[str, int]:
    """`wanted` pieces of about `size`, fewer if they would be shorter than `least`."""
    count = max(1, min(wanted, size // least))
    each = _up(-(-size // count), step)
    return {f"{name}s": -(-size // each), name: each}


def _pieces(sizes: Mapping[str, int]) -> dict[str, int]:
    """Forward: heads that share their keys, then rows."""
    wanted = -(-PIECES // max(sizes["batch"], 1))
    members = _cut("member", sizes["group"], wanted, 1, 1)
    wanted = -(-wanted // members["members"])
    cut = _cut("chunk", sizes["length"], wanted, PIECE_ROWS, ROW_BLOCK)
    return {
        "chunks": cut["chunks"],
        "chunk_rows": cut["chunk"],
        "member_chunks": members["members"],
        "members": members["member"],
        "key_chunks": 0,
    }


def _gradient_pieces(code: Code, sizes: Mapping[str, int]) -> dict[str, int]:
    """Backward: heads if there are enough of them, else keys and rows."""
    batch, length, keys = max(sizes["batch"], 1), sizes["length"], sizes["keys"]
    of_rows, of_keys = (
        not results.isdisjoint(code.results) for results in ({"query", "mask"}, {"key", "value"})
    )
    if of_rows and of_keys and batch >= ENOUGH_HEADS:
        return {
            "joint": 1,
            "key_chunks": 1,
            "key_chunk": keys,
            "chunks": 0,
            "chunk_rows": length,
            "member_chunks": 1,
            "members": sizes["group"],
        }
    wanted = -(-PIECES // batch)
    if of_rows and of_keys:
        wanted = -(-wanted // 2)
    found = {"joint": 0, "chunks": 0, "chunk_rows": length, "key_chunks": 0, "key_chunk": keys}
    found |= {"member_chunks": 1, "members": 1}
    if of_rows:
        found |= _pieces({**sizes, "batch": PIECES // wanted})
    if of_keys:
        found |= _cut("key_chunk", keys, wanted, PIECE_ROWS, code.panel)
    return found


def _scratch(code: Code, sizes: Mapping[str, int], l2_bytes: int) -> dict[str, int]:
    """The block of keys, and where everything lies in a worker's scratch."""
    size, value_size = sizes["padded_size"], sizes["padded_value_size"]
    each = size + value_size + ROW_BLOCK  # elements that belong to one key
    if code.is_gradient:
        each *= 2
    fitting = max(l2_bytes // 2 // (each * code.size) // code.panel, 1) * code.panel
    if code.few_rows:
        fitting = FEW_ROWS_KEYS
    keys = sizes["key_chunk"] if code.is_gradient else sizes["keys"]
    block = _up(-(-keys // -(-keys // fitting)), code.panel)
    # With more blocks of keys, all rows of a piece wait for the last one.
    rows = ROW_BLOCK
    if block < sizes["keys"]:
        rows = _up(sizes["chunk_rows"], ROW_BLOCK) * sizes["members"]
    # Rows that are a power of two apart share the few places of a cache set.
    scores_row = block + code.lanes
    slack = code.lanes * code.panel  # a transpose writes up to so much past the end
    result = size if code.is_gradient else value_size
    pieces = {
        "key_at": 0 if code.few_rows else block * size + slack,
        "query_at": ROW_BLOCK * size,
        "scores_at": ROW_BLOCK * scores_row,
        "output_at": rows * result,
    }
    if code.is_gradient:
        pieces |= {
            "value_at": block * value_size + slack,
            "key_rows_at": block * size + slack if code.packs_rows else 0,
            "slope_at": ROW_BLOCK * value_size,
            "slopes_at": ROW_BLOCK * scores_row,
            "inner_at": ROW_BLOCK,
            "key_gradient_at": _up(block, code.tile_rows) * size,
            "value_gradient_at": _up(block, code.tile_rows) * value_size,
        }
    else:
        pieces |= {
            "value_at": block * value_size + slack if code.packs_rows else 0,
            "peaks_at": rows,
            "totals_at": rows,
        }
    found = {
        "key_block": block,
        "scores_row": scores_row,
        "output_step": 0 if rows == ROW_BLOCK else ROW_BLOCK * result,
    }
    return found | _places(pieces, code.size)


def _places(pieces: Mapping[str, int], element_bytes: int) -> dict[str, int]:
    """Where each piece begins, whole cache lines apart, and the bytes of all."""
    found, place = {}, 0
    for name, elements in pieces.items():
        found[name] = place
        place += _up(elements * element_bytes, ALIGNMENT) // element_bytes
    return found | {"scratch_bytes": place * element_bytes}
