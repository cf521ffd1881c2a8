"""Where results go and when: which wishes for a leaf's memory are granted."""

from __future__ import annotations

from typing import Any

import numpy as np

import grad
from grad.buffer import Buffer
from grad.device import open_backend
from grad.engine.assembly import make_plan
from grad.engine.plan import Plan
from grad.graph.node import Node
from grad.schedule.program import Walk, program_of, walk
from grad.settings import settings


def numbers(*shape: int, seed: int = 0) -> Any:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return grad.tensor(values).realize()


def planned(
    roots: list[Any], wishes: list[tuple[int, Any]], checked: tuple[int, ...] = ()
) -> tuple[Plan, Walk]:
    """A plan for `roots`, where (position, tensor) wishes for the memory of the tensor."""
    found = walk([root.node for root in roots])
    leaves = {leaf.source: n for n, leaf in enumerate(found.leaves) if leaf.layout is None}
    replaced = tuple((position, leaves[tensor.node]) for position, tensor in wishes)
    slices = [(n, leaf) for n, leaf in enumerate(found.leaves) if leaf.layout is not None]
    parts = tuple(
        (whole, n) for _, whole in replaced for n, s in slices if leaves[s.source] == whole
    )
    found = found._replace(
        replaced=replaced,
        checked=checked,
        donated=tuple(leaf for _, leaf in replaced if not parts),
        parts=parts,
    )
    return make_plan(program_of(found), open_backend(settings.backend)), found


def placed(plan: Plan) -> list[bool]:
    """For each output, whether it is in a leaf's memory."""
    return [output.leaf >= 0 and not output.copy for output in plan.outputs]


def run(plan: Plan, found: Walk) -> list[np.ndarray]:
    """The outputs, computed in copies of the leaves."""
    copies: dict[Node, Buffer] = {}
    for leaf in found.leaves:
        buffer = leaf.source.buffer
        assert buffer is not None
        copies[leaf.source] = copy = Buffer(buffer.nbytes)
        copy.memory[:] = buffer.memory
    starts = [
        copies[leaf.source].address + leaf.offset * leaf.node.dtype.itemsize
        for leaf in found.leaves
    ]
    words = plan.words([node.arg for node in found.arguments])
    buffers = plan.execute(starts, words, plan.reserve())
    results = []
    for number, output, buffer in zip(found.outputs, plan.outputs, buffers, strict=True):
        memory = copies[found.leaves[output.leaf].source] if buffer is None else buffer
        node = found.nodes[number]
        results.append(np.frombuffer(memory.memory, node.dtype.numpy).reshape(node.shape).copy())
    return results


def compare(plan: Plan, found: Walk, *expected: np.ndarray) -> None:
    for got, wanted in zip(run(plan, found), expected, strict=False):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_a_plain_update_is_granted() -> None:
    w, g = numbers(40, 30), numbers(40, 30, seed=1)
    plan, found = planned([w - g * 0.1], [(0, w)])
    assert placed(plan) == [True] and plan.fresh == ()
    compare(plan, found, w.numpy() - g.numpy() * 0.1)


def test_readers_run_before_the_writer() -> None:
    w, g = numbers(64, 64), numbers(64, 64, seed=1)
    plan, found = planned([w - g * 0.1, (w @ g).sum(0), w.T @ w], [(0, w)])
    assert placed(plan)[0]
    a, b = w.numpy(), g.numpy()
    compare(plan, found, a - b * 0.1, (a @ b).sum(0), a.T @ a)


def test_readers_of_slices_run_before_the_writer() -> None:
    w, g = numbers(64, 64), numbers(64, 64, seed=1)
    plan, found = planned([w - g * 0.1, w[:16] @ g, (w[16:, ::2] * 2).sum(0)], [(0, w)])
    assert placed(plan)[0]
    a, b = w.numpy(), g.numpy()
    compare(plan, found, a - b * 0.1, a[:16] @ b, (a[16:, ::2] * 2).sum(0))


def test_what_is_read_by_a_slice_elsewhere_is_left_alone() -> None:
    """Turns of the loop would see what others have written, and the slice is an output itself."""
    w, g = numbers(64, 64), numbers(64, 64, seed=1)
    rows = planned([w - g + w[:1]], [(0, w)])
    output = planned([w - g, w[3:7].contiguous()], [(0, w)])
    assert placed(rows[0]) == [False]
    a, b = w.numpy(), g.numpy()
    compare(*rows, a - b + a[:1])
    compare(*output, a - b, a[3:7])


def test_a_value_that_depends_on_the_new_one_and_reads_the_old_one() -> None:
    """Its kernel would have to run before and after the writer."""
    w, g = numbers(64, 64), numbers(64, 64, seed=1)
    new = w - g * 0.1
    plan, found = planned([new, new @ w], [(0, w)])
    a = w.numpy()
    b = a - g.numpy() * 0.1
    compare(plan, found, b, b @ a)


def test_of_two_wishes_that_make_a_circle_one_is_granted() -> None:
    a, b = numbers(64, 64), numbers(64, 64, seed=1)
    products, differences = (
        planned(roots, [(0, a), (1, b)]) for roots in ([a @ b, b @ a.T], [a - b.T, b - a.T])
    )
    assert not all(placed(products[0])) and not all(placed(differences[0]))
    x, y = a.numpy(), b.numpy()
    compare(*products, x @ y, y @ x.T)
    compare(*differences, x - y.T, y - x.T)


def test_what_is_also_an_output_is_left_alone() -> None:
    w = numbers(8, 8)
    plan, found = planned([w * 2, w.T.contiguous()], [(0, w)])
    compare(plan, found, w.numpy() * 2, w.numpy().T)


def test_another_size_is_refused() -> None:
    w = numbers(8, 8)
    plan, found = planned([w.sum(0)], [(0, w)])
    assert placed(plan) == [False]
    compare(plan, found, w.numpy().sum(0))


def test_checks_come_before_writes() -> None:
    index = grad.tensor([3, 1, 2]).realize()
    w, g = numbers(40, 30), numbers(40, 30, seed=1)
    roots = [w - g * 0.1, index.min(), index.max()]
    plan, found = planned(roots, [(0, w)], checked=(1, 2))
    assert placed(plan)[0] and 0 < plan.first_write < len(plan.steps)
    memory = plan.reserve()
    slots = plan.slots([leaf.address for leaf in found.leaves], (), memory)
    before = w.numpy().copy()
    plan.start(slots, 0, plan.first_write)
    lowest, highest = plan.results(slots, memory)[1:]
    assert lowest is not None and highest is not None
    assert np.frombuffer(lowest.memory, np.int64)[0] == 1
    assert np.frombuffer(highest.memory, np.int64)[0] == 3
    np.testing.assert_array_equal(w.numpy(), before)


def test_a_check_of_what_is_computed_from_the_new_value_is_told() -> None:
    w = numbers(64, 64)
    new = w * 2
    plan, _ = planned([new, (new @ new).sum()], [(0, w)], checked=(1,))
    assert not placed(plan)[0] or plan.first_write == -1


def test_an_update_of_a_leaf_that_ends_elsewhere_is_told() -> None:
    w = numbers(6, 4)
    index, ones = grad.tensor([0, 1]).realize(), grad.ones(2, 4).realize()
    plan, _ = planned([(w.index_add(0, index, ones) * 2).flip(0)], [(0, w)])
    assert plan.first_write == -1
