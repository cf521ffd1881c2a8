"""Which weights dropout keeps: a random number for each place of the scores, the same each time.

The number of a weight is that of its head, row and column, counted as `uniform_node` in
ops/random_numbers.py counts elements, so that every kernel draws what the definition would: nothing
is stored between forward and backward. rows.py calls `kept_lanes` for each vector of weights.
"""

from __future__ import annotations

import math

import numpy as np

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.threefry import halves, threefry

FRACTION_BITS = 24  # of the random numbers that are compared with the probability

# What a group of rows needs besides its scores.
DROPOUT = {
    "random": "i64",  # the key
    "counter": "i64",  # the number of the first row's first weight
    "counter_row": "i64",
    "threshold": "i32",  # random numbers from here on keep a weight
    "kept_factor": "ELEMENT",  # of the weights that are kept
}


def threshold(probability: float) -> int:
    """The least random number, a multiple of ``2 ** -FRACTION_BITS``, that is not below."""
    return math.ceil(float(np.float32(probability)) * 2**FRACTION_BITS)


def kept_factor(probability: float) -> float:
    """What keeps the mean of the weights."""
    return 1 / (1 - probability) if probability < 1 else 0.0


def kept_lanes(b: Builder, key: Value, first: Value, limit: Value, lanes: int) -> Value:
    """Which of the weights with numbers from `first` on are kept."""
    low, high = halves(b, first)
    start = b.splat(low, lanes)
    words = b.add(start, b.vector("i32", range(lanes)))
    carry = b.convert("zext", b.icmp("ult", words, start), "i32")
    counter = words, b.add(b.splat(high, lanes), carry)
    low_key, high_key = (b.splat(word, lanes) for word in halves(b, key))
    _, bits = threefry(b, (low_key, high_key), counter)
    return b.icmp("uge", b.binary("lshr", bits, 32 - FRACTION_BITS), b.splat(limit, lanes))
