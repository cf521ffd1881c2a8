"""What a workload is: sizes, inputs, one function for each family of frameworks, cost and targets.

A workload is data: workloads/ declares them, adapters/ turn one into a call of a framework. All
frameworks get the same inputs, made by NumPy from a seed. `shaken` and `tiny` give other sizes of
the same workload: for showing that nothing is tuned to the sizes declared, and for tests.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Sizes = Mapping[str, int]
Arrays = dict[str, np.ndarray]

OURS = ("grad", "grad.compile")
PEERS = ("torch", "torch.compile", "jax", "tinygrad")


@dataclass(frozen=True, slots=True)
class Cost:
    """The least work there is: what any implementation has to do.

    Attributes:
        operations: floating-point operations; a multiplication and an addition are two, and an
            elementary function is `ELEMENTARY` of them.
        read, written: bytes to move if nothing is moved twice.
    """

    operations: float
    read: float
    written: float


# A range reduction and a polynomial of degree 8 or so.
ELEMENTARY = 20
FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach.

    Attributes:
        reach: at most this many times the best of `peers`; at most this, where there are none.
        quantity: "time" (seconds a call), "cold" or "warm" (seconds of the first call in a new
            process, with an empty and with a full cache on disk), "peak" (bytes of memory).
        ours, peers: the frameworks that count; the best of each side does.
        label: what to add to the workload's name in the table.
    """

    reach: float
    quantity: str = "time"
    ours: tuple[str, ...] = OURS
    peers: tuple[str, ...] = PEERS
    label: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """Something to time.

    Attributes:
        name: what the table calls it.
        sizes: named sizes; those in `fixed` are structure (a stride, a head count) and never vary.
        inputs: sizes and a random generator to arrays by name.
        functions: by family ("torch" is ours too, "jax", "tinygrad", "numpy"): the framework's
            module and the inputs, as its tensors and by name, to the output or outputs.
        cost: sizes to the least work.
        differentiate: names of inputs. If there are any, the input "gradient" is that of the
            output, and the call computes the output and the gradients of these inputs.
        steps: the functions get the module, the sizes and the arrays, and return a function without
            arguments that keeps its own state and returns a result: a training step, a decode loop.
        compiled: whether the columns of compilers make sense (they do not where values are read).
        startup: whether to time first calls in new processes as well.
        tolerance: largest difference to the reference, relative to the result and its mean size.
        check_calls: how many calls the results to compare are of.
        precision: of float32 convolutions, for libraries that can be told.
    """

    name: str
    sizes: Sizes
    inputs: Callable[[Sizes, np.random.Generator], Arrays]
    functions: Mapping[str, Callable[..., Any]]
    cost: Callable[[Sizes], Cost]
    targets: tuple[Target, ...]
    differentiate: tuple[str, ...] = ()
    steps: bool = False
    compiled: bool = True
    startup: bool = False
    fixed: frozenset[str] = field(default_factory=frozenset)
    tolerance: float = 1e-4
    check_calls: int = 1
    precision: str = "highest"

    def arrays(self, sizes: Sizes, seed: int = 0) -> Arrays:
        """The inputs: the same for the same sizes and seed."""
        return self.inputs(sizes, np.random.default_rng([seed, zlib.crc32(self.name.encode())]))


def shaken(workload: Workload, seed: int) -> dict[str, int]:
    """Sizes up to a tenth smaller or larger, half of them made odd or prime."""
    random = np.random.default_rng([seed, zlib.crc32(workload.name.encode())])
    return {
        name: size if name in workload.fixed else _shake(size, random)
        for name, size in workload.sizes.items()
    }


def _shake(size: int, random: np.random.Generator) -> int:
    changed = max(1, round(size * random.uniform(0.9, 1.1)))
    form = random.choice(("any", "any", "odd", "prime"))
    if form == "any" or changed < 3:
        return changed
    changed |= 1
    while form == "prime" and any(changed % n == 0 for n in range(3, math.isqrt(changed) + 1, 2)):
        changed -= 2
    return changed


def tiny(workload: Workload, most: int = 5) -> dict[str, int]:
    """Sizes of at most `most`, and two layers, for tests."""
    return {
        name: size if name in workload.fixed else min(size, 2 if name == "layers" else most)
        for name, size in workload.sizes.items()
    }


def normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Normally distributed numbers in float32."""
    return np.asarray(random.standard_normal(shape, dtype=np.float32))
