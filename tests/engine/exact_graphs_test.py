"""Random exact graphs (`exact_graphs.py`): compiled values are the oracle's to the bit.

Several values of each graph are asked for at once, some of them twice or as reshapes of each other
and of leaves, which is what makes groups store along, share and alias. A failure names its seed.
"""

from __future__ import annotations

import numpy as np
import pytest

from grad.engine import realize
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import BUFFER
from grad.settings import settings
from tests.engine.exact_graphs import ExactGrower, values_of

pytestmark = pytest.mark.slow  # kept out of `make check`

SIZES = {
    "common": (1, 1, 2, 3, 5, 7, 16, 33),
    "empty": (0, 1, 2, 3, 17),
    "large": (1, 2, 64, 131),
    "long": (1, 3, 2111),
}


def roots_of(grower: ExactGrower) -> list[Node]:
    """What is asked for: the last value, some others, and renumberings of them."""
    chosen = [grower.nodes[-1], *grower.random.sample(grower.nodes, min(3, len(grower.nodes)))]
    for node in list(chosen):
        if grower.random.random() < 0.3:
            flat = graph.reshape(node, (node.size,))
            grower.oracle[flat] = grower.oracle[node].reshape(-1)
            chosen.append(flat)
    if grower.random.random() < 0.2:
        chosen.append(chosen[0])
    return chosen


def expectations(seed: int, sizes: str, count: int) -> tuple[list[Node], list[np.ndarray]]:
    """Values to compute and half of the leaves, each with what it must hold afterwards.

    Nobody holds the rest of the graph any more, so that its memory may be written over.
    """
    grower = ExactGrower(seed, SIZES[sizes])
    grower.grow(count)
    roots = roots_of(grower)
    leaves = [n for n in grower.oracle if n.op is BUFFER and grower.random.random() < 0.5]
    checked = [*roots, *leaves]
    return checked, [grower.oracle[node] for node in checked]


def check(seed: int, backend: str, sizes: str = "common", count: int = 18) -> None:
    """Grow the graph of `seed`, compute some of its values, compare."""
    nodes, expected = expectations(seed, sizes, count)
    with settings.override(backend=backend, verify=True):
        realize(nodes)
    for node, array in zip(nodes, expected, strict=True):
        label = f"seed {seed} sizes {sizes} {node.dtype.name}"
        np.testing.assert_array_equal(values_of(node), array, err_msg=label, strict=True)


@pytest.mark.parametrize("block", range(8))
def test_compiled_values_are_exact(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        check(seed, "cpu")


@pytest.mark.parametrize("sizes", ["empty", "large", "long"])
def test_unusual_sizes(sizes: str) -> None:
    for seed in range(2000, 2012):
        check(seed, "cpu", sizes)


def test_long_chains_become_several_kernels() -> None:
    for seed in range(3000, 3004):
        check(seed, "cpu", count=150)


@pytest.mark.parametrize("sizes", ["common", "empty"])
def test_interpreted_values_are_exact(sizes: str) -> None:
    for seed in range(1000, 1012):
        check(seed, "reference", sizes)


def test_graphs_that_once_failed() -> None:
    for seed in (120, 256, 361, 4017, 4477, 6300, 20278, 20593, 20669, 20955, 21250, 21798, 23072):
        check(seed, "cpu")
    check(500, "cpu", "large")
