"""In which order the operands of an einsum are multiplied, two at a time.

The cost of a product is the number of its multiplications: the product of the sizes of all labels
in it. Up to `EXACT` operands the cheapest order of all is found over subsets (as for a chain of
matrices, but for any labels); of orders that cost the same, that with the smallest sums on the way,
since products of which nothing is summed can be part of the kernel that reads them. For more
operands, the pair whose result is smallest next to what it replaces goes first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

# 3 ** EXACT ways to split are looked at, once for an equation and its shapes.
EXACT = 7

Pair = tuple[int, int]


def order_of(
    terms: Sequence[frozenset[str]], output: frozenset[str], sizes: Mapping[str, int]
) -> list[Pair]:
    """The pairs to multiply; each result gets the next number after those of the operands."""
    if len(terms) <= 2:
        return [(0, 1)] if len(terms) == 2 else []
    if len(terms) <= EXACT:
        return _cheapest(terms, output, sizes)
    return _greedy(terms, output, sizes)


def cost(labels: frozenset[str], sizes: Mapping[str, int]) -> int:
    """How many combinations the labels have."""
    return math.prod([sizes[label] for label in labels])


def _cheapest(
    terms: Sequence[frozenset[str]], output: frozenset[str], sizes: Mapping[str, int]
) -> list[Pair]:
    count = len(terms)
    everything = (1 << count) - 1
    inside = [frozenset[str]()] * (everything + 1)
    for subset in range(1, everything + 1):
        lowest = subset & -subset
        inside[subset] = inside[subset ^ lowest] | terms[lowest.bit_length() - 1]
    # What is left of a product of a subset: what the others or the result need.
    left = [inside[s] & (output | inside[everything ^ s]) for s in range(everything + 1)]
    # The price of each subset (multiplications, elements of sums on the way), and its best split.
    best: dict[int, tuple[tuple[int, int], int]] = {1 << n: ((0, 0), 0) for n in range(count)}
    for subset in sorted(range(1, everything + 1), key=int.bit_count):
        if subset in best:
            continue
        part = (subset - 1) & subset
        found: tuple[tuple[int, int], int] | None = None
        while part:
            rest = subset ^ part
            if part > rest:  # each split once
                labels = left[part] | left[rest]
                products = best[part][0][0] + best[rest][0][0] + cost(labels, sizes)
                sums = best[part][0][1] + best[rest][0][1]
                if labels != left[subset]:
                    sums += cost(left[subset], sizes)
                if found is None or (products, sums) < found[0]:
                    found = ((products, sums), part)
            part = (part - 1) & subset
        assert found is not None
        best[subset] = found
    return _pairs(best, count)


def _pairs(best: Mapping[int, tuple[tuple[int, int], int]], count: int) -> list[Pair]:
    """The splits of `best` from the whole down, as pairs from the operands up."""
    whole = (1 << count) - 1
    splits = [whole]
    for subset in splits:
        part = best[subset][1]
        splits += [s for s in (part, subset ^ part) if part and s & (s - 1)]
    numbers = {1 << n: n for n in range(count)}
    pairs = []
    for subset in reversed(splits):
        part = best[subset][1]
        first, second = numbers[part], numbers[subset ^ part]
        pairs.append((min(first, second), max(first, second)))
        numbers[subset] = count + len(pairs) - 1
    return pairs


def _greedy(
    terms: Sequence[frozenset[str]], output: frozenset[str], sizes: Mapping[str, int]
) -> list[Pair]:
    pending = dict(enumerate(terms))
    pairs = []
    while len(pending) > 1:
        best: tuple[tuple[int, int], Pair, frozenset[str]] | None = None
        for i in pending:
            for j in pending:
                if i >= j:
                    continue
                rest = output.union(*[t for n, t in pending.items() if n not in (i, j)])
                kept = (pending[i] | pending[j]) & rest
                grown = cost(kept, sizes) - cost(pending[i], sizes) - cost(pending[j], sizes)
                price = (grown, cost(pending[i] | pending[j], sizes))
                if best is None or price < best[0]:
                    best = price, (i, j), kept
        assert best is not None
        _, pair, kept = best
        for n in pair:
            del pending[n]
        pending[len(terms) + len(pairs)] = kept
        pairs.append(pair)
    return pairs
