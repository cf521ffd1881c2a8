"""Every registered operation under `vmap`, on its samples: what a loop gives, and its gradients.

On the reference backend, so that nothing is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.errors import GradientError
from grad.func import jvp, vmap
from grad.ops.registry import Op, Sample
from grad.settings import settings
from tests.ops.cases import samples

pytestmark = pytest.mark.slow

SIZE = 2
# The shape of the result depends on the values.
BY_VALUE = {"bincount", "nonzero", "unique", "unique_consecutive", "masked_select", "argwhere"}

# Their backward takes the logarithm of what arrives: `jvp`, which is made of it, refuses that.
BACKWARD_ONLY = {"logcumsumexp"}


def batch_of(array: Any) -> Any:
    """Items of the same values in other orders, on the second axis if there is one."""
    random = np.random.default_rng(1)
    items = [array, *[random.permutation(array.ravel()).reshape(array.shape)] * (SIZE - 1)]
    return np.stack(items, 1 if array.ndim else 0)


def tensors_of(result: Any) -> tuple[Any, ...]:
    if isinstance(result, tuple | list):
        return tuple(x for part in result for x in tensors_of(part))
    return (result,) if isinstance(result, grad.Tensor) else ()


def close(actual: Any, expected: Any) -> None:
    assert actual.shape == expected.shape
    pair = [x.detach().to(grad.float64).numpy() for x in (actual, expected)]
    np.testing.assert_allclose(*pair, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("op", "sample"), samples(lambda op, _: op.name not in BY_VALUE))
def test_a_batch_is_a_loop(op: Op, sample: Sample) -> None:
    dtype = dtypes.float64 if dtypes.float64 in op.dtypes else op.dtypes[0]
    arrays = [batch_of(array) for array in sample.arrays(dtype)]
    if not arrays:
        pytest.skip("no tensors")

    def function(*given: Any) -> Any:
        return tensors_of(op(*given, *sample.args, **sample.kwargs))

    dims = tuple(1 if array.ndim > 1 else 0 for array in arrays)
    with settings.override(backend="reference"):
        given = [grad.tensor(array) for array in arrays]
        differentiable = op.gradient and sample.gradient and dtype is dtypes.float64
        for x in given:
            x.requires_grad_(differentiable and x.dtype is dtypes.float64)
        items = [[x.select(dim, i).clone() for x, dim in zip(given, dims)] for i in range(SIZE)]
        looped = [function(*item) for item in items]
        mapped = vmap(function, dims)(*given)
        expected = [grad.stack(parts) for parts in zip(*looped)]
        for actual, wanted in zip(mapped, expected, strict=True):
            close(actual, wanted)
        leaves = [x for x in given if x.requires_grad]
        slopes = []
        for results in (mapped, expected):
            smooth = [(x.sin() * (i + 1)).sum() for i, x in enumerate(results) if x.requires_grad]
            if smooth and leaves:
                slopes.append(grad.autograd.grad(sum(smooth), leaves, materialize_grads=True))
        for actual, wanted in zip(*slopes) if slopes else ():
            close(actual, wanted)
        if slopes and op.name in BACKWARD_ONLY:
            with pytest.raises(GradientError, match="not linear"):
                _directions(function, items[1])
        elif slopes:
            _directions(function, items[1])


def _directions(function: Any, item: list[Any]) -> None:
    """The derivative along a direction belongs to the gradient."""
    chosen = [i for i, x in enumerate(item) if x.requires_grad]
    random = np.random.default_rng(2)

    def of_chosen(*some: Any) -> Any:
        given = list(item)
        for i, x in zip(chosen, some):
            given[i] = x
        return tuple(x for x in function(*given) if x.dtype is dtypes.float64)

    primals = tuple(item[i].detach().requires_grad_() for i in chosen)
    directions = tuple(grad.tensor(random.normal(size=x.shape)) for x in primals)
    _, pushed = jvp(of_chosen, primals, directions)
    results = of_chosen(*primals)
    weights = [grad.tensor(random.normal(size=x.shape)) for x in results]
    total = sum((x * w).sum() for x, w in zip(results, weights))
    pulled = grad.autograd.grad(total, primals, materialize_grads=True)
    close(
        sum((t * w).sum() for t, w in zip(pushed, weights)),
        sum((g * d).sum() for g, d in zip(pulled, directions)),
    )
