"""Decide where the tiles of a matrix product read its operands: where they are, or packed.

`place` answers for `plan.py`, which decides on tiles and pieces after that. Packing copies what a
block of tiles reads again and again to one run of memory, in the nearer caches; B may be packed by
the first tile that reads it, on its way.
"""

from __future__ import annotations

from typing import NamedTuple

from grad.codegen.llvm.contraction.problem import Problem, ceil_div, round_up
from grad.codegen.llvm.contraction.structure import Layout

EMULATED_MASK_BYTES = 32  # masked loads of shorter vectors are many instructions
FAR_SHARE = 8  # of the second-level cache: a larger B that is read in place lies far away
DEPTH_LIMIT = 512  # elements of k in a block: 6 rows of it stay in the first-level cache
DEPTH_STEP = 16
DEPTH_IN_PLACE = 64  # shorter blocks of k would spend their time on partial sums
ROWS_IN_ONE_OR_TWO_TILES = 12  # B, in place, is hardly read again
ROWS_IN_PIECE = 1024  # at most, so that partial sums of several blocks of k stay near
ROWS_IN_PLACE = 96  # more rows pay for packing B
# The same where most vectors of B lie across two cache lines: with 16 registers, and with 32 where
# tiles can pack a B that lies far away.
UNALIGNED_ROWS_IN_PLACE, UNALIGNED_ROWS_TO_PACK = 64, 31
# Of the second-level cache: rows of B that are not worth packing for a few rows, and for many.
SHORT_ROW_SHARE, SHORT_ROW_SHARE_OF_MANY = 640, 800
COLUMNS_SHARE = 12  # of the second-level cache: columns of a transposed A read in place


class Places(NamedTuple):
    """Where tiles read A and B.

    Attributes:
        pack_a, pack_b: whether they are packed. in_tiles: whether tiles can pack B on their way.
        far: whether B is read in place and lies in farther caches, or in memory.
        depth: elements of k in a block.
    """

    pack_a: bool
    pack_b: bool
    in_tiles: bool
    far: bool
    depth: int


def place(problem: Problem, depth_limit: int, pack_b: bool | None) -> Places:
    """Where the tiles of `problem` read its operands.

    Args:
        depth_limit: elements of k in a block, at most.
        pack_b: whether B is packed where it may be read in place; None lets the rules decide.
    """
    k, typical = problem.k, problem.typical
    pack_a = problem.converts_a or not _a_in_place(typical)
    readable = _readable_in_place(problem)
    depth_in_place = _depth_in_place(problem, depth_limit, pack_b) if readable else 0
    packs = depth_in_place == 0
    far = not packs and is_far(typical, typical.k * typical.n)
    depth, blocks = k, ceil_div(k, depth_in_place or depth_limit)
    if blocks > 1:
        depth = round_up(ceil_div(k, blocks), DEPTH_STEP)
    return Places(pack_a, packs, packs and readable, far, depth)


def is_far(problem: Problem, elements: int) -> bool:
    """Whether an operand of so many elements lies in farther caches, or in memory."""
    return elements * problem.size > problem.l2_bytes // FAR_SHARE


def _a_in_place(problem: Problem) -> bool:
    """Whether tiles read A where it is: along k, or by columns where those of a block of k, of
    which a tile reads a line each, are near each other.
    """
    if problem.a_layout is Layout.ROW_CONTIGUOUS:
        reach = abs(problem.a_strides[-1]) * min(problem.k, DEPTH_LIMIT) * problem.size
        return reach <= problem.l2_bytes // COLUMNS_SHARE
    return problem.a_layout is Layout.K_CONTIGUOUS


def _readable_in_place(problem: Problem) -> bool:
    """Whether tiles can read B where it is."""
    masked = problem.has_partial_vector
    emulated = masked and problem.lanes * problem.size < EMULATED_MASK_BYTES
    columns = problem.b_layout is Layout.COLUMN_CONTIGUOUS
    return columns and not problem.converts_b and not emulated


def _depth_in_place(problem: Problem, depth_limit: int, pack_b: bool | None) -> int:
    """Elements of k in a block if B, which can be, is best read where it is; 0 if it is better
    packed.

    So many whole rows of B must fit in half the second-level cache: addresses a power of two apart
    share the few places of a cache set, and more of them would throw each other out.

    Numbers of rows are compared as they are: a plan for open sizes holds for as many, or as few.
    """
    if pack_b is not None:
        return 0 if pack_b else depth_limit
    typical = problem.typical
    row_bytes = max(1, abs(typical.b_strides[-2])) * problem.size
    fitting = problem.l2_bytes // 2 // row_bytes // DEPTH_STEP * DEPTH_STEP
    short = problem.registers == 32 and row_bytes <= problem.l2_bytes // SHORT_ROW_SHARE
    if _worth_packing(problem, row_bytes):
        return 0
    if short or typical.k <= min(fitting, depth_limit):
        return depth_limit
    few = problem.m <= ROWS_IN_ONE_OR_TWO_TILES
    if problem.m > ROWS_IN_PLACE or (fitting < DEPTH_IN_PLACE and not few):
        return 0
    return min(max(fitting, DEPTH_IN_PLACE), 2 * DEPTH_IN_PLACE if few else depth_limit)


def _worth_packing(problem: Problem, row_bytes: int) -> bool:
    """Whether B, whose rows have so many bytes, is packed, though it can be read in place: small
    tiles read it often, and where it is far away, tiles that pack it on their way find it near.
    Where each of several blocks of rows would pack it, short rows are not worth that.
    """
    typical = problem.typical
    unaligned = typical.k > 1 and typical.b_strides[-2] % problem.lanes != 0
    if problem.registers < 32:
        return unaligned and problem.m > UNALIGNED_ROWS_IN_PLACE
    if not is_far(typical, typical.k * typical.n):
        return False
    if unaligned:
        return problem.m > UNALIGNED_ROWS_TO_PACK
    short = row_bytes <= problem.l2_bytes // SHORT_ROW_SHARE_OF_MANY
    return problem.m > ROWS_IN_PLACE and not (short and problem.m > ROWS_IN_PIECE)
