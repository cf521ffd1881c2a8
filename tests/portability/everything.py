"""Results of a bit of everything, to be compared between CPUs, levels of features and processes.

`results` runs every op of the registry with its gradients, matrix products of every kind, the
elementary functions and reductions at lengths that fill vectors and do not. As a program it
compares what it gets, at the level of ``GRAD_CPU_FEATURES``, with a file that `save` wrote,
for every STEP-th op:

    GRAD_CPU_FEATURES=avx2 .venv/bin/python -m tests.portability.everything FILE STEP
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import grad
from grad.dtype import DType, dtypes
from grad.ops.registry import Op, Sample, registry
from grad.runtime.cpu.host import host
from tests.ops.cases import TOLERANCE, numpy_of, outputs_of, tensor

Array = np.ndarray[Any, Any]

OPS = list(registry())
DTYPES = (dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.float16, dtypes.int32)
# Rows, depth, columns and batch of products of every kind: tiled, streaming, dots, many batches.
PRODUCTS = ((1, 300, 400, 1), (3, 500, 70, 1), (70, 90, 110, 1), (130, 600, 200, 1), (9, 17, 13, 6))
TRANSPOSED = ((False, False), (True, False), (False, True), (True, True))
LENGTHS = (1, 13, 64, 1003)
FUNCTIONS = (
    "exp", "exp2", "expm1", "sigmoid", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "sin",
    "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "erf", "erfc",
)  # fmt: skip
REDUCTIONS = ("sum", "mean", "prod", "max", "argmin", "cumsum", "logsumexp")


def cases(op: Op) -> list[tuple[Sample, DType]]:
    """All samples of an op in float32, the first in other types as well."""
    return [
        (sample, dtype)
        for sample in op.samples
        for dtype in DTYPES
        if dtype in op.dtypes and (dtype is dtypes.float32 or sample is op.samples[0])
    ]


def run(op: Op, sample: Sample, dtype: DType) -> list[Any]:
    """The outputs of an op, and its gradients where it has them, computed."""
    leaves = [tensor(array) for array in sample.arrays(dtype)]
    differentiable = op.gradient and sample.gradient
    if differentiable:
        leaves = [x.requires_grad_() if x.dtype.is_floating_point else x for x in leaves]
    outputs = outputs_of(op(*leaves, *sample.args, **sample.kwargs))
    followed = [output for output in outputs if output.requires_grad]
    if differentiable and followed:
        grad.autograd.backward([output.sum() for output in followed])
    values = [*outputs, *(leaf.grad for leaf in leaves if leaf.grad is not None)]
    for value in values:
        value.realize()
    return values


def product(
    m: int, k: int, n: int, batch: int, transposed: tuple[bool, bool], dtype: DType
) -> tuple[Any, Array]:
    """A matrix product with a bias and a ReLU, and what it should be."""
    random = np.random.default_rng(m)
    a, b = random.normal(size=(batch, m, k)), random.normal(size=(batch, k, n))
    bias = random.normal(size=n)
    operands = [
        tensor(np.ascontiguousarray(x.swapaxes(1, 2)) if flip else x).to(dtype)
        for x, flip in zip((a, b), transposed, strict=True)
    ]
    x, y = (t.transpose(1, 2) if f else t for t, f in zip(operands, transposed, strict=True))
    return (x @ y + tensor(bias).to(dtype)).relu(), np.maximum(a @ b + bias, 0)


def _elementary(length: int, dtype: DType) -> Iterator[tuple[str, list[Any]]]:
    """Each function of ordinary, huge, tiny and special numbers."""
    random = np.random.default_rng(length)
    x = random.normal(size=length) * np.exp2(random.integers(-20, 12, length))
    x[::7] = np.resize([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, 1e-40], len(x[::7]))
    given = tensor(x).to(dtype)
    for name in FUNCTIONS:
        yield name, [getattr(grad, name)(given)]
    yield "gelu", [grad.nn.functional.gelu(given)]


def _reductions(length: int, dtype: DType) -> Iterator[tuple[str, list[Any]]]:
    x = tensor(np.random.default_rng(length).uniform(0.5, 1.5, (7, length))).to(dtype)
    index = tensor(np.random.default_rng(1).integers(0, length, (7, 2 * length)))
    for name in REDUCTIONS:
        for axis in (0, 1):
            yield f"{name} {axis}", outputs_of(getattr(x, name)(axis))
    yield "gather", [x.gather(1, index)]
    yield "scatter_add", [x.scatter_add(1, index, x.gather(1, index))]


def results(step: int = 1) -> Iterator[tuple[str, DType, list[Any]]]:
    """A label, the element type and the tensors of everything that is run here, but of every
    `step`-th op only."""
    for op in OPS[::step]:
        for number, (sample, dtype) in enumerate(cases(op)):
            yield f"{op.name} {number} {sample} {dtype.name}", dtype, run(op, sample, dtype)
    for dtype in (dtypes.float32, dtypes.float64):
        for shape in PRODUCTS:
            for transposed in TRANSPOSED:
                value = product(*shape, transposed, dtype)[0] / shape[1] ** 0.5
                yield f"product {shape} {transposed} {dtype.name}", dtype, [value]
        for length in LENGTHS:
            for values in (_elementary, _reductions):
                for name, tensors in values(length, dtype):
                    yield f"{name} of {length} {dtype.name}", dtype, tensors


def arrays_of(tensors: Sequence[Any]) -> list[Array]:
    return [numpy_of(value) for value in tensors]


def save(path: Path) -> int:
    """Write all results to a file; how many there are."""
    found = {
        f"{label}/{number}": array
        for label, _, tensors in results()
        for number, array in enumerate(arrays_of(tensors))
    }
    np.savez(path, **found)
    return len(found)


def compare(path: Path, step: int) -> list[str]:
    """What differs from the file, by more than a few roundings."""
    differences = []
    with np.load(path) as expected:
        for label, dtype, tensors in results(step):
            tolerance = 2 * TOLERANCE.get(dtype, 0)
            for number, array in enumerate(arrays_of(tensors)):
                wanted = expected[f"{label}/{number}"]
                if array.shape != wanted.shape or not np.allclose(
                    array, wanted, tolerance, tolerance, equal_nan=True
                ):
                    differences.append(f"{label}, {number}: {array!r} is not {wanted!r}")
    return differences


def main() -> int:
    differences = compare(Path(sys.argv[1]), int(sys.argv[2]))
    print(host().vector_bytes, "bytes a vector,", len(differences), "differences")
    print("\n".join(differences[:5]))
    return bool(differences)


if __name__ == "__main__":
    sys.exit(main())
