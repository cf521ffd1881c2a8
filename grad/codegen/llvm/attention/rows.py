"""What attention does to rows of scores between its products: softmax, and the gradient of it.

Scores come in units of log2(e), so that their exponential is a power of two. A group of rows is
done at once, because each is a chain of instructions that wait for each other. Columns that a row
may not attend to become -inf here (masks, columns after the row, padding) and weigh nothing then;
they are written up to `stop`, since the products after this read whole tiles.

With more keys than one block, a row's maximum and sum are kept from block to block, and what has
been summed so far is scaled when the maximum grows (Milakov, Gimelshein, "Online normalizer
calculation for softmax", 2018).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grad.codegen.llvm.attention.dropout import kept_lanes
from grad.codegen.llvm.attention.structure import Code, Mask
from grad.codegen.llvm.builder import Builder, Value, element_of, mangled, vector_type
from grad.codegen.llvm.elementary.coefficients import EXP2_SLOPE
from grad.codegen.llvm.elementary.parts import nearest_integer, polynomial, scale
from grad.codegen.llvm.lanes import lanes_below
from grad.graph.attention import LOG2_E

GROUP = 4  # rows at once
INFINITY = float("inf")
LEAST_POWER = {"float": -126.0, "double": -1022.0}  # of normal numbers
LOWEST = {"float": float(np.finfo(np.float32).min), "double": float(np.finfo(np.float64).min)}

# What both directions need to know of a group of rows.
SCORES = {
    "scores": "ptr noalias",
    "scores_row": "i64",
    "limit": "i64",  # columns that the first row may attend to, from the block's first key on
    "keys": "i64",  # in this block
    "stop": "i64",  # whole vectors
    "live": "i64",  # rows that exist: those behind them repeat the last one's mask
    "mask": "ptr noalias",
    "mask_row": "i64",
}
SOFTMAX = {
    **SCORES,
    "peaks": "ptr noalias",
    "totals": "ptr noalias",
    "output": "ptr noalias",
    "output_row": "i64",
    "first": "i1",
}


def power_of_two(b: Builder, x: Value) -> Value:
    """``2 ** x`` for x at most 0, or NaN; 0 where that is not a normal number.

    Beside the largest weight, 1, so little is nothing; but an instruction whose result is
    subnormal, or underflows, takes more than a hundred cycles, and every -inf would.
    """
    element = element_of(x.type)
    low = LEAST_POWER[element]
    counts = b.fcmp("uge", x, low)
    x = b.select(b.fcmp("olt", x, low), low, x)
    n, _ = nearest_integer(b, x, 1.0)
    r = b.fsub(x, n)
    power = scale(b, b.fma(polynomial(b, r, EXP2_SLOPE[element]), r, 1.0), n)
    return b.select(counts, power, 0.0)


class RowGroup:
    """The rows of one group: where they are and how many of their columns count."""

    def __init__(self, code: Code, b: Builder, p: Mapping[str, Value]) -> None:
        self.code, self.b, self.p = code, b, p
        self.vector = vector_type(code.element, code.lanes)
        self.scores = [self.row(p["scores"], p["scores_row"], r) for r in range(code.group)]
        self.limits = [p["keys"]] * code.group
        if code.is_causal:
            self.limits = [self._limit(r) for r in range(code.group)]
        self.common = b.binary("and", self.limits[0], -code.lanes)
        if code.mask is not Mask.NONE:
            self.mask_element = "i8" if code.mask is Mask.BOOL else code.element
            self.masks = [self._mask_row(r) for r in range(code.group)]

    def _limit(self, r: int) -> Value:
        b = self.b
        below = b.intrinsic("smin", b.add(self.p["limit"], r), self.p["keys"])
        return b.intrinsic("smax", below, b.const("i64", 0))

    def row(self, pointer: Value, stride: Value, r: int) -> Value:
        return self.b.gep(self.code.element, pointer, self.b.mul(stride, r))

    def _mask_row(self, r: int) -> Value:
        b = self.b
        number = b.intrinsic("smin", b.const("i64", r), b.sub(self.p["live"], 1))
        return b.gep(self.mask_element, self.p["mask"], b.mul(number, self.p["mask_row"]))

    def load(self, pointer: Value, column: Value) -> Value:
        b = self.b
        return b.load(self.vector, b.gep(self.code.element, pointer, column), self.code.size)

    def store(self, value: Value, pointer: Value, column: Value) -> None:
        self.b.store(value, self.b.gep(self.code.element, pointer, column), self.code.size)

    def alive(self, r: int, column: Value) -> Value:
        """Which lanes from `column` on count."""
        return lanes_below(self.b, self.b.sub(self.limits[r], column), self.code.lanes)

    def score(self, r: int, column: Value, alive: Value | None) -> tuple[Value, Value | None]:
        """The scores of a row with the mask applied, -inf where they do not count; which count."""
        b, x, counts = self.b, self.load(self.scores[r], column), alive
        if self.code.mask is not Mask.NONE:
            x, counts = self._masked(r, column, x, alive)
            counts = counts if alive is None else b.binary("and", counts, alive)
        return x if counts is None else b.select(counts, x, -INFINITY), counts

    def _masked(self, r: int, column: Value, x: Value, alive: Value | None) -> tuple[Value, Value]:
        """The scores plus the mask, and which ones it lets count."""
        b, code = self.b, self.code
        kind = vector_type(self.mask_element, code.lanes)
        place = b.gep(self.mask_element, self.masks[r], column)
        align = 1 if code.mask is Mask.BOOL else code.size
        if alive is None:
            mask = b.load(kind, place, align)
        else:
            mask = b.masked_load(kind, place, align, alive, b.const(kind, 0))
        if code.mask is Mask.BOOL:
            return x, b.icmp("ne", mask, 0)
        # What is finite stays finite: the least number means "not at all", but -inf only if alone.
        added = b.fmul(mask, LOG2_E)
        lowest = LOWEST[code.element]
        added = b.select(b.fcmp("olt", added, lowest), lowest, added)
        return b.fadd(x, added), b.fcmp("une", mask, -INFINITY)

    def kept(self, r: int, column: Value) -> Value:
        """Which of a vector of weights dropout keeps."""
        b, p = self.b, self.p
        first = b.add(b.add(p["counter"], b.mul(p["counter_row"], r)), column)
        return kept_lanes(b, p["random"], first, p["threshold"], self.code.lanes)

    def splat(self, scalar: Value) -> Value:
        return self.b.splat(scalar, self.code.lanes)

    def total(self, x: Value) -> Value:
        zero = self.b.const(self.code.element, 0)
        name = f"llvm.vector.reduce.fadd.{mangled(x.type)}"
        return self.b.call(self.code.element, name, zero, x, flags="reassoc")

    def largest(self, x: Value) -> Value:
        """Of lanes none of which is NaN."""
        name = f"llvm.vector.reduce.fmax.{mangled(x.type)}"
        return self.b.call(self.code.element, name, x, flags="nnan")


def softmax(code: Code, b: Builder, p: Mapping[str, Value]) -> None:
    """Scores to weights that are not divided by their sum yet; peaks and totals brought up to
    date."""
    group = RowGroup(code, b, p)
    before = _peaks_before(code, b, p)
    peaks = _largest(group, before)
    shifts = [_finite(b, peak) for peak in peaks]
    sums = _powers(group, shifts)
    negation = b.binary("xor", p["first"], 1)
    b.branch(negation, lambda: _rescale(group, before, shifts))
    for r in range(code.group):
        place = b.gep(code.element, p["totals"], r)
        earlier = b.select(p["first"], 0.0, b.load(code.element, place, code.size))
        b.store(b.fadd(earlier, group.total(sums[r])), place, code.size)
        b.store(peaks[r], b.gep(code.element, p["peaks"], r), code.size)


def _peaks_before(code: Code, b: Builder, p: Mapping[str, Value]) -> list[Value]:
    found = []
    for r in range(code.group):
        kept = b.load(code.element, b.gep(code.element, p["peaks"], r), code.size)
        found.append(b.select(p["first"], -INFINITY, kept))
    return found


def _finite(b: Builder, peak: Value) -> Value:
    """The peak to subtract: 0 for a row that attends to nothing so far."""
    return b.select(b.fcmp("oeq", peak, -INFINITY), 0.0, peak)


def _largest(group: RowGroup, before: list[Value]) -> list[Value]:
    """The largest score of each row; scores that a mask or limit changes are stored."""
    b, code = group.b, group.code

    def turn(column: Value, peaks: list[Value], whole: bool) -> list[Value]:
        found = []
        for r in range(code.group):
            x, _ = group.score(r, column, None if whole else group.alive(r, column))
            if not whole or code.mask is not Mask.NONE:
                group.store(x, group.scores[r], column)
            found.append(b.select(b.fcmp("ogt", x, peaks[r]), x, peaks[r]))
        return found

    peaks = [group.splat(peak) for peak in before]
    peaks = b.loop(0, group.common, code.lanes, lambda j, s: turn(j, s, True), peaks)
    peaks = b.loop(group.common, group.p["stop"], code.lanes, lambda j, s: turn(j, s, False), peaks)
    return [group.largest(peak) for peak in peaks]


def _powers(group: RowGroup, shifts: list[Value]) -> list[Value]:
    """Scores to powers of two, and the sums of these, one a lane."""
    b = group.b
    wide = [group.splat(shift) for shift in shifts]

    def turn(column: Value, sums: list[Value]) -> list[Value]:
        found = []
        for r in range(group.code.group):
            x = power_of_two(b, b.fsub(group.load(group.scores[r], column), wide[r]))
            weight = x
            if group.code.dropout:  # of the weights, not of their sum
                weight = b.select(group.kept(r, column), x, 0.0)
            group.store(weight, group.scores[r], column)
            found.append(b.fadd(sums[r], x))
        return found

    zeros = [b.const(group.vector, 0)] * group.code.group
    return b.loop(0, group.p["stop"], group.code.lanes, turn, zeros)


def _rescale(group: RowGroup, before: list[Value], shifts: list[Value]) -> None:
    """Make what was summed in earlier blocks relative to the new peaks."""
    b, code, p = group.b, group.code, group.p
    for r in range(code.group):
        factor = power_of_two(b, b.fsub(before[r], shifts[r]))
        place = b.gep(code.element, p["totals"], r)
        b.store(b.fmul(b.load(code.element, place, code.size), factor), place, code.size)
        output, wide = group.row(p["output"], p["output_row"], r), group.splat(factor)

        def turn(column: Value, _: list[Value], output: Value = output, wide: Value = wide) -> None:
            group.store(b.fmul(group.load(output, column), wide), output, column)

        b.loop(0, p["output_row"], code.lanes, turn)


# -- backward --------------------------------------------------------------------------------------
SLOPES = {
    **SCORES,
    "slopes": "ptr noalias",  # rows as far apart as the scores'
    "summary": "ptr noalias",  # peak and 1 / total of each row
    "summary_row": "i64",
    "inner": "ptr noalias",
}


def slopes(code: Code, b: Builder, p: Mapping[str, Value]) -> None:
    """Scores to weights, and gradients of the weights to gradients of the scores."""
    group = RowGroup(code, b, p)
    lines = [group.row(p["slopes"], p["scores_row"], r) for r in range(code.group)]
    peaks, inverses, inner = [], [], []
    for r in range(code.group):
        number = b.intrinsic("smin", b.const("i64", r), b.sub(p["live"], 1))
        place = b.gep(code.element, p["summary"], b.mul(number, p["summary_row"]))
        peaks.append(group.splat(b.load(code.element, place, code.size)))
        second = b.gep(code.element, place, 1)
        inverses.append(group.splat(b.load(code.element, second, code.size)))
        place = b.gep(code.element, p["inner"], number)
        inner.append(group.splat(b.load(code.element, place, code.size)))

    def turn(column: Value, _: list[Value], whole: bool) -> None:
        for r in range(code.group):
            alive = None if whole else group.alive(r, column)
            score, counts = group.score(r, column, alive)
            weight = b.fmul(power_of_two(b, b.fsub(score, peaks[r])), inverses[r])
            slope = group.load(lines[r], column)
            if code.dropout:
                kept, factor = group.kept(r, column), group.splat(p["kept_factor"])
                slope = b.select(kept, b.fmul(slope, factor), 0.0)
            slope = b.fmul(b.fsub(slope, inner[r]), weight)
            if code.dropout:
                weight = b.select(kept, b.fmul(weight, factor), 0.0)
            if counts is not None:
                weight, slope = b.select(counts, weight, 0.0), b.select(counts, slope, 0.0)
            group.store(weight, group.scores[r], column)
            group.store(slope, lines[r], column)

    b.loop(0, group.common, code.lanes, lambda j, s: turn(j, s, True))
    b.loop(group.common, p["stop"], code.lanes, lambda j, s: turn(j, s, False))
