"""Scores of few rows: inner products with the rows of key as they lie in memory.

With few rows, one when a network writes a text token by token, reading keys and values takes all
the time, and packing keys for `product` would cost more than the products. So each vector of scores
is made of as many rows of key, one accumulator each, whose lanes are added up together at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grad.codegen.llvm.attention.structure import Code
from grad.codegen.llvm.builder import Builder, Value, lanes_of, vector_type
from grad.codegen.llvm.lanes import lanes_below

BLOCK_BYTES = 16  # lanes that one cheap instruction shuffles among themselves
TOGETHER = 8  # rows of key whose addresses fit the general registers

DOTS = {
    "query": "ptr noalias",  # rows padded with zeros
    "key": "ptr noalias",
    "target": "ptr noalias",
    "query_row": "i64",
    "key_row": "i64",
    "scores_row": "i64",
    "rows": "i64",
    "keys": "i64",
    "size": "i64",
}


def dots(code: Code, b: Builder, p: Mapping[str, Value]) -> None:
    """Scores of all rows, in whole vectors: past the last key they repeat it."""
    element, lanes = code.element, code.lanes
    last = b.sub(p["keys"], 1)

    def keys(first: Value, _: list[Value]) -> None:
        numbers = [b.intrinsic("smin", b.add(first, i), last) for i in range(lanes)]
        lines = [b.gep(element, p["key"], b.mul(number, p["key_row"])) for number in numbers]

        def row(number: Value, _: list[Value]) -> None:
            query = b.gep(element, p["query"], b.mul(number, p["query_row"]))
            sums: list[Value] = []
            for start in range(0, lanes, TOGETHER):
                sums += _products(code, b, query, lines[start : start + TOGETHER], p["size"])
            place = b.add(b.mul(number, p["scores_row"]), first)
            b.store(totals(b, sums, code.size), b.gep(element, p["target"], place), code.size)

        b.loop(0, p["rows"], 1, row)

    b.loop(0, p["keys"], lanes, keys)


def _products(
    code: Code, b: Builder, query: Value, lines: Sequence[Value], size: Value
) -> list[Value]:
    """``query * line`` for each line, summed up to one vector each."""
    element, lanes = code.element, code.lanes
    vector = vector_type(element, lanes)
    zero = b.const(vector, 0)

    def column(j: Value, sums: list[Value]) -> list[Value]:
        x = b.load(vector, b.gep(element, query, j), code.size)
        loaded = [b.load(vector, b.gep(element, line, j), code.size) for line in lines]
        return [b.intrinsic("fmuladd", x, y, s) for y, s in zip(loaded, sums, strict=True)]

    whole = b.binary("and", size, -lanes)
    sums = b.loop(0, whole, lanes, column, [zero] * len(lines))
    rest = b.sub(size, whole)

    def tail() -> list[Value]:
        mask = lanes_below(b, rest, lanes)
        x = b.load(vector, b.gep(element, query, whole), code.size)
        places = [b.gep(element, line, whole) for line in lines]
        loaded = [b.masked_load(vector, place, code.size, mask, zero) for place in places]
        return [b.intrinsic("fmuladd", x, y, s) for y, s in zip(loaded, sums, strict=True)]

    return b.either(b.icmp("ne", rest, 0), tail, lambda: sums)


def totals(b: Builder, vectors: Sequence[Value], element_bytes: int) -> Value:
    """A vector whose lane i is the sum of the lanes of vector i, of as many as there are lanes.

    Neighbours are added, of two vectors at a time: lanes inside their blocks first, then blocks.
    """
    lanes = lanes_of(vectors[0].type)
    block = min(BLOCK_BYTES // element_bytes, lanes)
    found = list(vectors)
    while len(found) > 1:
        inside = len(found) * block > lanes
        unit, span = (1, block) if inside else (block, lanes)
        even, odd = (_every_other(lanes, unit, span, which) for which in (0, 1))
        pairs = zip(found[::2], found[1::2], strict=True)
        found = [b.fadd(b.shuffle(x, y, even), b.shuffle(x, y, odd)) for x, y in pairs]
    return found[0]


def _every_other(lanes: int, unit: int, span: int, which: int) -> list[int]:
    """Lanes of two vectors: of each `span` of both, every second run of `unit` lanes."""
    found = []
    for start in range(0, lanes, span):
        for offset in (0, lanes):
            for run in range(which * unit, span, 2 * unit):
                found.extend(range(offset + start + run, offset + start + run + unit))
    return found
