"""Random bits of a key and a counter: Threefry-2x32 with 20 rounds, in words of 32 bits.

`grad.graph.reference.threefry` is the definition. The primitive (`instructions.py`) and dropout in
attention (`attention/dropout.py`) write it with this.
"""

from __future__ import annotations

from typing import TypeAlias

from grad.codegen.llvm.builder import Builder, Value
from grad.graph.reference import THREEFRY_ROTATIONS

Words: TypeAlias = tuple[Value, Value]  # low, high: i32 of the same number of lanes


def halves(b: Builder, value: Value) -> Words:
    """The words of an i64."""
    high = b.convert("trunc", b.binary("lshr", value, 32), "i32")
    return b.convert("trunc", value, "i32"), high


def threefry(b: Builder, key: Words, counter: Words) -> Words:
    """64 random bits for a key and a counter, lane by lane."""
    keys = [*key, b.binary("xor", b.binary("xor", *key), 0x1BD11BDA)]
    x0, x1 = b.add(counter[0], keys[0]), b.add(counter[1], keys[1])
    for block in range(5):
        for bits in THREEFRY_ROTATIONS[4 * (block % 2) : 4 * (block % 2) + 4]:
            x0 = b.add(x0, x1)
            x1 = b.binary("xor", b.intrinsic("fshl", x1, x1, bits), x0)
        x0 = b.add(x0, keys[(block + 1) % 3])
        x1 = b.add(b.add(x1, keys[(block + 2) % 3]), block + 1)
    return x0, x1
