"""The products of a block of attention, tile by tile, without what no row of a tile attends to.

Each is a grid of the tiles of `tiles.py`, for the blocks and operands of `heads.py`; while they
compute, tiles ask for memory (`requests.py`). In a second attempt at a piece, what is masked is
left out weight by weight (`exclusion.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grad.codegen.llvm.attention.dots import DOTS, dots
from grad.codegen.llvm.attention.heads import Block, Heads, Lines
from grad.codegen.llvm.attention.requests import Request
from grad.codegen.llvm.builder import Value

DEPTH = 128  # keys at a time in the product with the values, so that these stay in the first cache


def scores(
    heads: Heads,
    block: Block,
    left: Lines,
    right: Value,
    size: Value,
    target: Value,
    request: Request,
) -> None:
    """``left @ packed right.T``, no further than some row of a tile may attend to.

    Rows of `left` have `size` elements.
    """
    b, code = heads.b, heads.code
    values = {
        "a": left[0],
        "b": right,
        "c": target,
        "a_stride": left[1],
        "b_stride": b.const("i64", code.panel),
        "c_stride": heads.n["scores_row"],
        "depth": size,
        "accumulate": b.const("i1", 0),
        "tiles": block.tiles,
        "vectors": heads.vectors(block.keys),
        "panel_stride": b.mul(size, code.panel),
    }
    if not code.is_causal:
        heads.module.grid(b, values, request=request)
        return
    whole = heads.limited(block.limit, 0, block.keys)
    panels = b.binary("sdiv", whole, b.const("i64", code.panel))
    vectors = b.mul(panels, code.tile_vectors)
    heads.module.grid(b, {**values, "vectors": vectors}, request=request)
    right = b.gep(code.element, right, b.mul(panels, values["panel_stride"]))
    target = b.gep(code.element, target, b.mul(panels, code.panel))

    def tile(index: Value, _: list[Value]) -> None:
        row = b.mul(index, code.tile_rows)
        reach = heads.vectors(_tile_limit(heads, block, row))
        mine = {
            **values,
            "a": heads.place(left[0], row, left[1]),
            "b": right,
            "c": heads.place(target, row, heads.n["scores_row"]),
            "tiles": b.const("i64", 1),
            "vectors": b.sub(reach, vectors),
        }
        heads.module.grid(b, mine, request=request.after(b, row))

    b.loop(0, block.tiles, 1, tile)


def scores_of_few_rows(heads: Heads, block: Block, left: Lines, target: Value) -> None:
    """``query @ key.T`` for few rows, of keys where they are."""
    n = heads.n
    values = {
        "query": left[0],
        "key": left[1],
        "target": target,
        "query_row": n["padded_size"],
        "key_row": n["key_row"],
        "scores_row": n["scores_row"],
        "rows": block.rows,
        "keys": block.keys,
        "size": n["size"],
    }
    heads.module.call(heads.b, "dots", DOTS, lambda i, p: dots(heads.code, i, p), values)


def apply(
    heads: Heads,
    block: Block,
    operands: Mapping[str, Value],
    weights: Value,
    right: Lines,
    target: Lines,
    first: Value,
    request: Request,
) -> None:
    """``target (+)= weights @ right``; in a second attempt without what is masked.

    `first` says that the target is new.
    """
    b = heads.b

    def left_out() -> None:
        count = b.mul(block.rows, target[1])
        values = {"target": target[0], "count": count}
        b.branch(first, lambda: heads.module.clear(b, values))
        _exactly(heads, block, operands, weights, right, target)

    def in_tiles() -> None:
        _apply_tiles(heads, block, weights, right, target, first, request)

    _either(heads, left_out, in_tiles)


def apply_transposed(
    heads: Heads,
    block: Block,
    operands: Mapping[str, Value],
    weights: Value,
    right: Lines,
    target: Lines,
    request: Request,
) -> None:
    """``target += weights.T @ right``; in a second attempt without what is masked."""
    _either(
        heads,
        lambda: _exactly(heads, block, operands, weights, right, target, transposed=True),
        lambda: _apply_transposed_tiles(heads, block, weights, right, target, request),
    )


def _either(heads: Heads, left_out: Callable[[], None], in_tiles: Callable[[], None]) -> None:
    """`left_out` in the second attempt at a piece (exclusion.py), else `in_tiles`."""
    if heads.exact is None:
        in_tiles()
        return
    heads.b.branch(heads.exact, left_out)
    heads.b.branch(heads.b.binary("xor", heads.exact, 1), in_tiles)


def _exactly(
    heads: Heads,
    block: Block,
    operands: Mapping[str, Value],
    weights: Value,
    right: Lines,
    target: Lines,
    transposed: bool = False,
) -> None:
    """``target += weights @ right``, or ``weights.T @ right``, without what is masked."""
    mask, mask_row = heads.mask_at(operands, block, weights)
    values = {
        "weights": weights,
        "right": right[0],
        "target": target[0],
        "weights_row": heads.n["scores_row"],
        "right_row": right[1],
        "target_row": target[1],
        "rows": block.rows,
        "keys": block.keys,
        "limit": block.limit,
        "mask": mask,
        "mask_row": mask_row,
    }
    heads.module.exact(heads.b, values, transposed)


def _apply_tiles(
    heads: Heads,
    block: Block,
    scores: Value,
    right: Lines,
    target: Lines,
    first: Value,
    request: Request,
) -> None:
    """``target (+)= scores @ right``, some keys at a time, tile by tile."""
    b, code = heads.b, heads.code
    last_tile = b.mul(b.sub(block.tiles, 1), code.tile_rows)

    def depth_block(start: Value, _: list[Value]) -> None:
        beginning = b.binary("and", first, b.icmp("eq", start, 0))

        def tile(index: Value, _: list[Value]) -> None:
            row = b.mul(index, code.tile_rows)
            reach = b.sub(_tile_limit(heads, block, row), start)
            left = heads.place(scores, row, heads.n["scores_row"])
            values = {
                "a": b.gep(code.element, left, start),
                "b": heads.place(right[0], start, right[1]),
                "c": heads.place(target[0], row, target[1]),
                "a_stride": heads.n["scores_row"],
                "b_stride": right[1],
                "c_stride": target[1],
                "depth": b.intrinsic("smin", reach, b.const("i64", DEPTH)),
                "accumulate": b.binary("xor", beginning, 1),
                "tiles": b.const("i64", 1),
                "vectors": heads.vectors(target[1]),
                "panel_stride": b.const("i64", code.panel),
            }
            asked = request.after(b, row)
            b.branch(b.icmp("sgt", reach, 0), lambda: heads.module.grid(b, values, request=asked))

        b.loop(0, block.tiles, 1, tile)

    b.loop(0, _tile_limit(heads, block, last_tile), DEPTH, depth_block)


def _apply_transposed_tiles(
    heads: Heads, block: Block, weights: Value, right: Lines, target: Lines, request: Request
) -> None:
    """``target += weights.T @ right`` of whole tiles; rows before a tile are left out."""
    b, n, code = heads.b, heads.n, heads.code
    values = {
        "a": weights,
        "b": right[0],
        "c": target[0],
        "a_stride": n["scores_row"],
        "b_stride": right[1],
        "c_stride": target[1],
        "depth": block.rows,
        "accumulate": b.const("i1", 1),
        "tiles": heads.ceil(block.keys, code.tile_rows),
        "vectors": heads.vectors(target[1]),
        "panel_stride": b.const("i64", code.panel),
    }
    if not code.is_causal:
        heads.module.grid(b, values, True, request)
        return
    limit, keys = block.limit, block.keys
    # Tiles whose first key all rows attend to, then those that only later rows do.
    whole = heads.ceil(heads.limited(limit, 0, keys), code.tile_rows)
    heads.module.grid(b, {**values, "tiles": whole}, True, request)
    reach = heads.limited(b.sub(b.add(limit, block.rows), 1), 0, keys)

    def tile(index: Value, _: list[Value]) -> None:
        key = b.mul(index, code.tile_rows)
        skipped = b.add(b.sub(key, limit), 1)
        start = b.add(b.mul(skipped, n["scores_row"]), key)
        mine = {
            **values,
            "a": b.gep(code.element, weights, start),
            "b": heads.place(right[0], skipped, right[1]),
            "c": heads.place(target[0], key, target[1]),
            "depth": b.sub(block.rows, skipped),
            "tiles": b.const("i64", 1),
        }
        heads.module.grid(b, mine, True, request.after(b, key))

    b.loop(whole, heads.ceil(reach, code.tile_rows), 1, tile)


def _tile_limit(heads: Heads, block: Block, row: Value) -> Value:
    """Keys of the block that the last row of the tile at `row` may attend to."""
    if not heads.code.is_causal:
        return block.keys
    last = heads.b.add(heads.b.add(block.limit, row), heads.code.tile_rows - 1)
    return heads.limited(last, 0, block.keys)
