"""Values of a matrix and sums over its rows come out of one kernel, which walks the rows once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import Tensor
from grad.engine import kernel_count
from grad.runtime.cpu.threads import get_num_threads, set_num_threads

Arrays = tuple[np.ndarray, ...]
# At least LEAST_ELEMENTS of schedule/columns.py, in numbers that vectors and chunks do not divide.
SHAPES = [(4096, 128), (4099, 131), (7, 599, 131), (601, 1009), (17, 31013), (32771, 16)]


def random(*shapes: Sequence[int]) -> Arrays:
    generator = np.random.default_rng(3)
    return tuple(generator.standard_normal(shape).astype(np.float32) for shape in shapes)


def kernels_of(tensors: Sequence[Tensor]) -> int:
    """How many kernels computing the tensors takes; they are computed."""
    return kernel_count([tensor._storage.node for tensor in tensors])


def layer_norm_reference(x: np.ndarray, weight: np.ndarray, slope: np.ndarray) -> Arrays:
    """The gradients of layer norm, in float64."""
    x, weight, slope = (a.astype(np.float64) for a in (x, weight, slope))
    rows = tuple(range(x.ndim - 1))
    scale = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    normal = (x - x.mean(-1, keepdims=True)) * scale
    inner = slope * weight
    both = normal * (inner * normal).mean(-1, keepdims=True) + inner.mean(-1, keepdims=True)
    return (inner - both) * scale, (slope * normal).sum(rows), slope.sum(rows)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_layer_norm(shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    x, slope, weight, bias = random(shape, shape, shape[-1:], shape[-1:])
    tensors = [grad.tensor(array, requires_grad=True) for array in (x, weight, bias)]
    y = F.layer_norm(tensors[0], shape[-1:], tensors[1], tensors[2])
    found = grad.autograd.grad(y, [tensors[o] for o in order], grad.tensor(slope))
    assert kernels_of((y, *found)) <= 2
    expected = layer_norm_reference(x, weight, slope)
    for which, gradient in zip(order, found, strict=True):
        scale = np.abs(expected[which]).max()
        np.testing.assert_allclose(gradient.numpy() / scale, expected[which] / scale, atol=2e-6)


def test_gradients_of_a_layer_below_do_not_come_between() -> None:
    """The weights of the first layer need the gradient that the sums of the second belong to."""
    layers = [grad.nn.LayerNorm(160) for _ in range(2)]
    model = grad.nn.Sequential(layers[0], grad.nn.GELU(), layers[1])
    x = grad.tensor(random((4096, 160))[0])
    (model(x) ** 3).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    # Forward, down to the first normal values: two. Backward: one for each layer.
    assert kernels_of(gradients) <= 5
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert gradient.shape == parameter.shape


POINTWISE: list[Callable[[Tensor, Tensor], tuple[Tensor, ...]]] = [
    lambda x, y: (x * y, (x * y).sum(0)),
    lambda x, y: (grad.where(x > 0, y, 0.0), grad.where(x > 0, y, 0.0).sum(0), y.sum(0)),
    lambda x, y: (x * y, x.amax(0), x.amin(0)),
    lambda x, y: (x - x.sum(1, keepdim=True), y + x, (x - y).sum(0), x.sum(0)),
    lambda x, y: ((x * x).mean(1), x * (x * x).mean(1, keepdim=True), (x * y).sum(0)),
    lambda x, y: (x.abs().sum(0), x / x.abs().sum(0), x * 2.0),
    lambda x, y: (x.exp(), x.exp().sum(0).log(), x.exp() * y.sum(0)),
]


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("function", POINTWISE)
def test_values_and_sums(
    function: Callable[[Tensor, Tensor], tuple[Tensor, ...]], special: bool
) -> None:
    """The same as when each result is computed by itself, with NaN and infinities too."""
    x, y = random((4099, 131), (4099, 131))
    if special:
        x[5, 7], x[17, 8], y[4000, 9] = np.nan, np.inf, -np.inf
    tensors = grad.tensor(x), grad.tensor(y)
    together = function(*tensors)
    kernels_of(together)
    for place, result in enumerate(together):
        alone = function(*tensors)[place].numpy()
        scale = np.abs(alone[np.isfinite(alone)]).max()
        np.testing.assert_allclose(result.numpy() / scale, alone / scale, atol=3e-6)


def test_values_and_sums_share_a_kernel() -> None:
    x, y = (grad.tensor(a) for a in random((4099, 131), (4099, 131)))
    assert kernels_of(POINTWISE[0](x, y)) == 1
    assert kernels_of(POINTWISE[1](x, y)) == 1
    assert kernels_of(POINTWISE[3](x, y)) == 1


def test_the_number_of_threads_does_not_matter() -> None:
    x, y = (grad.tensor(a) for a in random((4099, 131), (4099, 131)))
    before = get_num_threads()
    found = []
    for threads in (1, 2):
        set_num_threads(threads)
        results = POINTWISE[4](x, y)
        kernels_of(results)
        found.append([result.numpy() for result in results])
    set_num_threads(before)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_small_matrices_are_left_to_several_kernels() -> None:
    x, y = (grad.tensor(a) for a in random((64, 131), (64, 131)))
    assert kernels_of(POINTWISE[0](x, y)) == 2


def test_a_row_value_is_stored_by_the_first_kernel_that_walks_the_rows() -> None:
    (array,) = random((300, 70))
    x = grad.tensor(array)
    scale = (x.var(1, keepdim=True) + 1e-5).rsqrt()
    narrow, transposed = x * scale, (x.exp() * scale).transpose(0, 1).contiguous()
    assert kernels_of((narrow, transposed)) == 2
    expected = 1 / np.sqrt(array.astype(np.float64).var(1, ddof=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(narrow.numpy(), array * expected, rtol=1e-5)
    np.testing.assert_allclose(transposed.numpy(), (np.exp(array) * expected).T, rtol=1e-5)
