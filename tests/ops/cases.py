"""What the tests of operations share: tensors of every layout, comparison, finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.ops.registry import Op, Sample, registry

Array = np.ndarray[Any, Any]

# Allowed error relative to the size of the numbers: a few roundings of each type.
TOLERANCE = {
    dtypes.float64: 1e-9,
    dtypes.float32: 2e-5,
    dtypes.float16: 6e-3,
    dtypes.bfloat16: 4e-2,
}

LAYOUTS = ("contiguous", "transposed", "sliced", "broadcast")


def samples(wanted: Callable[[Op, Sample], bool] = lambda op, sample: True) -> list[Any]:
    """Every op with a reference, times its samples, as pytest parameters."""
    return [
        pytest.param(op, sample, id=f"{op.name}-{number}-{sample}")
        for op in registry()
        for number, sample in enumerate(op.samples)
        if op.reference is not None and wanted(op, sample)
    ]


def tensor(array: Array, requires_grad: bool = False) -> Any:
    """A contiguous tensor of the array's own type."""
    made = grad.tensor(array)
    return made.requires_grad_() if requires_grad else made


def laid_out(array: Array, layout: str) -> tuple[Array, Any]:
    """A tensor with the given layout in memory, and the array it shows (`array`, but for
    broadcasts).
    """
    if layout == "contiguous" or array.ndim == 0:
        return array, tensor(array)
    if layout == "transposed":
        return array, tensor(np.ascontiguousarray(array.T)).permute(*reversed(range(array.ndim)))
    if layout == "sliced":
        large = np.zeros([2 * size + 1 for size in array.shape], array.dtype)
        window = tuple(slice(1, None, 2) for _ in array.shape)
        large[window] = array
        return array, tensor(large)[window]
    assert layout == "broadcast"
    row = array[:1]
    return np.ascontiguousarray(np.broadcast_to(row, array.shape)), tensor(row).expand(array.shape)


def numpy_of(value: Any) -> Array:
    """A tensor's values; bfloat16 as float64, for NumPy's comparisons."""
    return (
        value.detach().to(dtypes.float64 if value.dtype is dtypes.bfloat16 else value.dtype).numpy()
    )


def outputs_of(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def expected_of(op: Op, sample: Sample, arrays: Sequence[Array]) -> Array:
    """The reference in float64 for floating operands, in the operands' own type for others."""
    assert op.reference is not None
    exact = [a if a.dtype.kind in "biu" else a.astype(np.float64) for a in arrays]
    with np.errstate(all="ignore"):
        return np.asarray(op.reference(*exact, *sample.args, **sample.kwargs))


def assert_close(actual: Any, expected: Array, tolerance: float) -> None:
    """Equal shapes, and values equal to `tolerance` relative to their size and to 1."""
    found = numpy_of(actual)
    assert found.shape == expected.shape
    np.testing.assert_allclose(
        found.astype(np.float64), expected.astype(np.float64), rtol=tolerance, atol=tolerance
    )


def slope(f: Callable[[list[Array]], float], point: list[Array], direction: list[Array]) -> float:
    """The derivative of `f` at `point` along `direction`: central differences of fourth order."""
    step = 1e-3

    def at(multiple: float) -> float:
        return f(
            [np.asarray(x + multiple * step * d) for x, d in zip(point, direction, strict=True)]
        )

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def weights_for(tensors: Sequence[Any], seed: int) -> list[Array]:
    random = np.random.default_rng(seed)
    return [
        np.asarray(random.uniform(0.5, 1.5, t.shape) * random.choice([-1, 1], t.shape))
        for t in tensors
    ]
