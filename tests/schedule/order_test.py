"""Barriers: what is read through them is another value, and is computed later."""

from __future__ import annotations

import numpy as np

from grad.codegen.llvm.cpu import open_backend
from grad.engine import realize
from grad.engine.assembly import make_plan
from grad.engine.plan import Plan
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import ADD, BARRIER, EXP, NEG, SIN
from grad.schedule.early import sum_early
from grad.schedule.group import group
from grad.schedule.order import detach_waits, waits
from grad.schedule.program import Program, program_of, walk
from grad.schedule.simplify import simplify
from tests.engine.exact_graphs import leaf, values_of


def program(*roots: Node) -> Program:
    return detach_waits(sum_early(simplify(program_of(walk(roots)))))


def plan(*roots: Node) -> Plan:
    return make_plan(program_of(walk(roots)), open_backend())


def product(x: Node) -> Node:
    """A kernel of its own."""
    return graph.contract(x, x)


def square() -> Node:
    return leaf(np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32))


def test_equal_values_are_merged_but_for_barriers() -> None:
    x, other = square(), graph.pointwise(SIN, square())
    first = graph.pointwise(EXP, x)
    for source, count in ((x, 1), (graph.barrier(x, [other]), 2)):
        again = graph.pointwise(EXP, source)
        found = program(first, again, other)
        assert sum(entry.op is EXP for entry in found.entries) == count


def test_a_barrier_after_values_that_are_there_is_none() -> None:
    x = square()
    assert graph.barrier(x, [square()]) is x


def test_a_group_waits_for_what_it_does_not_read() -> None:
    x, y = square(), square()
    awaited = product(product(product(y)))
    at_once, later = product(x), product(graph.barrier(x, [awaited]))
    assert [len(step) for step in plan(at_once, awaited, product(y)).steps] == [2, 1, 1]
    assert [len(step) for step in plan(later, awaited).steps] == [1, 1, 1, 1]


def test_what_is_awaited_need_not_be_stored() -> None:
    x, y = square(), square()
    inline = graph.pointwise(ADD, product(product(y)), y)
    later = product(graph.barrier(x, [graph.pointwise(SIN, inline)]))
    found = program(later, product(inline))
    order = waits(found, group(found))
    assert any(found.entries[n].op.name in ("contract", "add") for n in order[found.outputs[0]])


def test_it_waits_for_what_a_barrier_below_waits_for() -> None:
    x, y = square(), square()
    first = product(product(y))
    middle = graph.pointwise(NEG, graph.barrier(x, [first]))
    found = program(product(graph.barrier(y, [middle])), first)
    assert any(entry.op is BARRIER for entry in found.entries)
    assert found.outputs[1] in waits(found, group(found))[found.outputs[0]]


def test_waiting_changes_no_value() -> None:
    x, y = square(), square()
    awaited = product(y)
    through = graph.barrier(x, [awaited])
    roots = [through, graph.slice_axes(through, ((2, 1, 5), (0, 1, 32))), product(through), awaited]
    expected = [values_of(node).copy() for node in (x, x)]
    realize(roots)
    assert np.array_equal(values_of(roots[0]), expected[0])
    assert np.array_equal(values_of(roots[1]), expected[1][2:7])
    assert roots[0].buffer is not None and x.buffer is not None
    assert roots[0].buffer.address != x.buffer.address
