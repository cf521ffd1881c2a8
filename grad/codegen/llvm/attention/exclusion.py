"""What a row may not attend to never reaches it: not even ``0 * NaN``, of a key far behind it.

The products take whole tiles, in which a weight of zero meets keys, values and rows that the mask
or `is_causal` leaves out. That is right while these are finite, which nobody looks at beforehand:
a NaN or infinity that was met leaves NaN in the product, for all rows of the tile. So a piece of
work has two attempts. When `inspect` finds a NaN in what the first one is about to store, whoever
caused it, the second makes the products one weight at a time (`exact`) and leaves out what is
masked. Sums run in the same order, so results that no NaN belongs to have the bits they would have
without it.

`emit.py` calls `attempts`; `Heads.either` chooses between the two forms of a product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grad.codegen.llvm.attention.structure import Code, Mask
from grad.codegen.llvm.builder import Builder, Value, mangled, vector_type

INFINITY = float("inf")

EXACT = {
    "weights": "ptr noalias",  # of rows, or gradients of their scores
    "right": "ptr noalias",
    "target": "ptr noalias",
    "weights_row": "i64",
    "right_row": "i64",
    "target_row": "i64",  # whole vectors
    "rows": "i64",
    "keys": "i64",  # in this block
    "limit": "i64",  # keys that the first row may attend to, from the block's first key on
    "mask": "ptr noalias",
    "mask_row": "i64",
}
INSPECT = {
    "target": "ptr noalias",
    "rows": "i64",
    "width": "i64",  # of a row, and from one to the next: whole vectors
    "fault": "ptr noalias",
}


def attempts(b: Builder, piece: Callable[[Value, Value, Value], None]) -> None:
    """Run ``piece(number, exact, fault)`` for all pieces, exactly again where it found a NaN.

    `fault` is the address of the byte in which `inspect` says so.
    """
    fault = b.alloca("i8", 1)

    def turn(index: Value, _: list[Value]) -> None:
        second = b.icmp("ne", b.binary("and", index, 1), 0)
        failed = b.icmp("ne", b.load("i8", fault, 1), 0)
        wanted = b.binary("or", b.binary("xor", second, 1), failed)
        b.branch(wanted, lambda: attempt(b.binary("lshr", index, 1), second))

    def attempt(number: Value, second: Value) -> None:
        b.store(b.const("i8", 0), fault, 1)
        piece(number, second, fault)

    b.store(b.const("i8", 0), fault, 1)
    begin, end = (b.mul(Value(name, "i64"), 2) for name in ("%begin", "%end"))
    b.loop(begin, end, 1, turn)


def inspect(code: Code, b: Builder, p: Mapping[str, Value]) -> None:
    """Set the byte `fault` if rows of a product have a NaN or infinity.

    One row a tile tells: all of them met the same keys, be it with weights of zero.
    """
    vector = vector_type(code.element, code.lanes)
    bits = f"i{8 * code.size}"

    def row(index: Value, seen: list[Value]) -> list[Value]:
        line = b.gep(code.element, p["target"], b.mul(index, p["width"]))

        def column(j: Value, seen: list[Value]) -> list[Value]:
            x = b.load(vector, b.gep(code.element, line, j), code.size)
            # Bits other than the sign are set for NaN alone; additions would wait for each other.
            return [b.binary("or", seen[0], b.convert("bitcast", b.fmul(x, 0.0), bits))]

        return b.loop(0, p["width"], code.lanes, column, seen)

    start = b.const(vector_type(bits, code.lanes), 0)
    (seen,) = b.loop(0, p["rows"], code.tile_rows, row, [start])
    lanes = b.fcmp("uno", b.convert("bitcast", seen, code.element), 0.0)
    found = b.call("i1", f"llvm.vector.reduce.or.{mangled(lanes.type)}", lanes)
    b.branch(found, lambda: b.store(b.const("i8", 1), p["fault"], 1))


def exact(code: Code, b: Builder, p: Mapping[str, Value], transposed: bool) -> None:
    """``target += weights @ right``, or ``weights.T @ right``, of what rows may attend to."""
    element, size = code.element, code.size
    vector = vector_type(element, code.lanes)

    def add(place: Value, source: Value, target: Value) -> None:
        weight = b.splat(b.load(element, place, size), code.lanes)

        def column(j: Value, _: list[Value]) -> None:
            x, total = (b.load(vector, b.gep(element, q, j), size) for q in (source, target))
            b.store(b.intrinsic("fmuladd", weight, x, total), b.gep(element, target, j), size)

        b.loop(0, p["target_row"], code.lanes, column)

    def row(r: Value, _: list[Value]) -> None:
        weights = b.gep(element, p["weights"], b.mul(r, p["weights_row"]))
        end = p["keys"]
        if code.is_causal:
            end = b.intrinsic("smin", b.add(p["limit"], r), end)

        def key(k: Value, _: list[Value]) -> None:
            read, written = (r, k) if transposed else (k, r)
            place = b.gep(element, weights, k)
            source = b.gep(element, p["right"], b.mul(read, p["right_row"]))
            target = b.gep(element, p["target"], b.mul(written, p["target_row"]))
            if code.mask is Mask.NONE:
                add(place, source, target)
            else:
                b.branch(_allowed(code, b, p, r, k), lambda: add(place, source, target))

        b.loop(0, end, 1, key)

    b.loop(0, p["rows"], 1, row)


def _allowed(code: Code, b: Builder, p: Mapping[str, Value], row: Value, key: Value) -> Value:
    """Whether the mask lets a row attend to a key."""
    place = b.add(b.mul(row, p["mask_row"]), key)
    if code.mask is Mask.BOOL:
        return b.icmp("ne", b.load("i8", b.gep("i8", p["mask"], place), 1), 0)
    mask = b.load(code.element, b.gep(code.element, p["mask"], place), code.size)
    return b.fcmp("une", mask, -INFINITY)
