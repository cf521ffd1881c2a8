"""Turn a Group into a Kernel.

A group's root says which elements there are; `writer.py` answers what they are. The order of loops
is a choice: `nest.py` writes a group in several ways, `join.py` and `keep.py` improve each,
`cost.py` prices it, and the cheapest is kept. Named operations are in `lower_named.py`.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

from grad.graph.primitives import (
    ATTENTION,
    ATTENTION_GRADIENT,
    BUFFER,
    CONTRACT,
    CONVOLVE,
    CONVOLVE_WEIGHT,
    HOST,
    RECURRENCE,
    RECURRENCE_GRADIENT,
    SCAN,
    SCATTER,
    UPDATE,
)
from grad.kernel.cost import kernel_cost
from grad.kernel.ir import Kernel, Statement
from grad.kernel.join import join_loops
from grad.kernel.keep import keep_values
from grad.kernel.lower_attention import lower_attention
from grad.kernel.lower_columns import lower_columns, walks_rows_once
from grad.kernel.lower_contraction import lower_contraction
from grad.kernel.lower_convolution import lower_convolution, lower_convolution_weight
from grad.kernel.lower_host import lower_host
from grad.kernel.lower_named import lower_scatter, lower_update
from grad.kernel.lower_recurrence import lower_recurrence
from grad.kernel.lower_scan import lower_scan
from grad.kernel.nest import Candidate, loop_candidates
from grad.kernel.pieces import cut_phases
from grad.kernel.streams import stream_stores
from grad.kernel.writer import InMemory, Writer
from grad.schedule.demand import Group, Grouping
from grad.schedule.program import Program

PRODUCTS = {CONTRACT: lower_contraction, CONVOLVE: lower_convolution}
NAMED = {
    SCATTER: lower_scatter,
    UPDATE: lower_update,
    CONVOLVE_WEIGHT: lower_convolution_weight,
    HOST: lower_host,
    ATTENTION: lower_attention,
    ATTENTION_GRADIENT: lower_attention,
    RECURRENCE: lower_recurrence,
    RECURRENCE_GRADIENT: lower_recurrence,
}


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel and what to hand it.

    Attributes:
        kernel: the IR.
        bindings: for each parameter what it is: ("memory" | "scalar", entry), ("temporary",
            elements) or ("scratch", parameter).
    """

    kernel: Kernel
    bindings: tuple[tuple[str, int], ...]


def lower_all(program: Program, grouping: Grouping) -> list[Lowered]:
    """The kernels of all groups, in order."""
    buffers = (number for number, entry in enumerate(program.entries) if entry.op is BUFFER)
    everywhere = frozenset(grouping.home).union(buffers)
    lowered = [
        lower(program, group, InMemory(everywhere, frozenset(group.stored)))
        for group in grouping.groups
    ]
    pairs = list(zip(grouping.groups, lowered, strict=True))
    read = {
        number
        for group, low in pairs
        for sort, number in low.bindings
        if sort == "memory" and number not in group.stored
    }
    return [_streamed(group, low, read) for group, low in pairs]


def _streamed(group: Group, low: Lowered, read: Container[int]) -> Lowered:
    """The kernel with its large results stored past the caches; others `read` some of them."""
    if group.overwrites is not None or group.contraction is not None:
        return low
    kernel = low.kernel
    again = {p for p, (_, number) in enumerate(low.bindings) if number in read}
    phases = stream_stores(kernel.phases, kernel.parameters, again)
    return replace(low, kernel=replace(kernel, phases=tuple(tuple(phase) for phase in phases)))


def lower(program: Program, group: Group, in_memory: Container[int]) -> Lowered:
    """The kernel of `group`, which reads the entries `in_memory` and computes the others."""
    root = program.entries[group.root]
    if group.contraction is not None:
        lower_product = PRODUCTS[program.entries[group.contraction].op]
        writer, phases = lower_product(program, group, in_memory)
    elif root.op in NAMED:
        writer, phases = NAMED[root.op](program, group, in_memory)
    elif walks_rows_once(program, group):
        writer, phases = _cheapest(iter([lower_columns(program, group, in_memory)]))
    elif root.op is SCAN:
        writer, phases = _cheapest(lower_scan(program, group, in_memory))
    else:
        writer, phases = _cheapest(loop_candidates(program, group, in_memory))
    return finish(program, group, writer, phases)


def finish(
    program: Program, group: Group, writer: Writer, phases: Sequence[Sequence[Statement]]
) -> Lowered:
    parameters = tuple(writer.parameters.values())
    names = [program.entries[n].op.name for n in sorted(group.inlined | {group.root})]
    words = [
        n
        for n in dict.fromkeys(names)
        if n not in ("const", "reshape", "expand", "permute", "argument", "barrier")
    ]
    size = "x".join(map(repr, program.entries[group.root].shape)) or "scalar"
    name = "_".join([*(words[-6:] or ["copy"]), size])
    kept = tuple(tuple(phase) for phase in phases)
    return Lowered(Kernel(name, parameters, kept), tuple(writer.parameters))


def _cheapest(candidates: Iterator[Candidate]) -> Candidate:
    """The candidate of least cost; the first of equals."""
    best: Candidate | None = None
    least = math.inf
    for writer, written in candidates:
        phases = cut_phases([keep_values(writer, join_loops(phase)) for phase in written])
        price = kernel_cost(Kernel("", (), tuple(tuple(p) for p in phases)))
        if price < least:
            best, least = (writer, phases), price
    assert best is not None
    return best
