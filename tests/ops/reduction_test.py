"""Gradients of reductions where the values themselves are infinite, NaN or too large."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import grad
from grad.tensor import Tensor


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([math.inf, 1.0], [1.0, math.inf]),
        ([math.nan, 1.0], [1.0, math.nan]),
        ([1e30, 1e30], [1e30, 1e30]),
        ([1e-30, 1e-30], [1e-30, 1e-30]),
        ([0.0, 0.0, 2.0], [0.0, 0.0, 0.0]),
    ],
)
def test_gradient_of_prod_is_the_product_of_the_others(
    values: list[float], expected: list[float]
) -> None:
    x = Tensor(values, requires_grad=True)
    x.prod().backward()
    assert x.grad.tolist() == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_gradient_of_prod_with_all_that_cannot_be_divided_out() -> None:
    awkward = [0.0, math.inf, -math.inf, math.nan, 1.5, -2.0]
    lines = np.array(list(itertools.product(awkward, repeat=3)))
    with np.errstate(invalid="ignore"):
        expected = np.stack([np.prod(np.delete(lines, i, 1), 1) for i in range(3)], 1)
    for dim, shown in ((1, lines), (0, lines.T)):
        x = grad.tensor(shown, requires_grad=True)
        x.prod(dim).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), expected if dim else expected.T)


def test_second_gradient_of_prod_at_zeros() -> None:
    x = grad.tensor([[0.0, 2.0, -3.0], [0.0, 0.0, 5.0]], dtype=grad.float64, requires_grad=True)
    assert grad.autograd.gradgradcheck(lambda x: x.prod(1), (x,))
    assert grad.autograd.gradgradcheck(lambda x: x.prod(), (x,))


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_extrema_share_the_gradient(name: str) -> None:
    x = Tensor([1.0, math.nan, 2.0, math.nan], requires_grad=True)
    getattr(x, name)().backward()
    assert x.grad.tolist() == [0.0, 0.5, 0.0, 0.5]


@pytest.mark.parametrize("name", ["amax", "amin"])
@pytest.mark.parametrize("dtype", [grad.float32, grad.bfloat16])
def test_a_nan_extremum_makes_all_its_gradients_nan(name: str, dtype: Any) -> None:
    x = grad.tensor([[1.0, math.nan, 2.0], [3.0, 3.0, 3.0]], dtype=dtype, requires_grad=True)
    getattr(x, name)(1).sum().backward()
    assert all(map(math.isnan, x.grad[0].tolist()))
    assert x.grad[1].float().tolist() == pytest.approx([1 / 3] * 3, rel=4e-3)
    x.grad = None
    sum(x.aminmax()).backward()  # of all
    assert bool(x.grad.isnan().all())


@pytest.mark.parametrize("shape", [(1, 4), (4,), ()])
def test_products_of_one_element_hand_the_gradient_on(shape: tuple[int, ...]) -> None:
    values = np.array([math.nan, math.inf, -3.0, 2.0], np.float32)
    x = grad.tensor(np.resize(values, shape), requires_grad=True)
    x.reshape(1, *shape).cumprod(0).sum().backward()
    assert x.grad.tolist() == np.ones(shape).tolist()


def test_aminmax_is_amin_and_amax() -> None:
    x = Tensor([[3.0, 1.0, 2.0], [5.0, math.nan, 4.0]], requires_grad=True)
    found = x.aminmax(dim=1, keepdim=True)
    assert found.min.tolist()[0] == [1.0] and found.max.tolist()[0] == [3.0]
    assert math.isnan(found.min.tolist()[1][0]) and math.isnan(found.max.tolist()[1][0])
    whole = x[:1].aminmax()
    (whole.max - whole.min).backward()
    assert x.grad.tolist() == [[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30, 3e37])
def test_the_deviation_neither_overflows_nor_vanishes(scale: float) -> None:
    """Squares of these deviations are no numbers of float32."""
    values = (np.array([[1, 2, -3, 1.5], [0, 1, 1, 0]]) * scale).astype(np.float32)
    x = grad.tensor(values, requires_grad=True)
    found = x.std(1)
    found.sum().backward()
    expected = values.astype(np.float64).std(1, ddof=1)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-6)
    differences = values - values.astype(np.float64).mean(1, keepdims=True)
    np.testing.assert_allclose(
        np.asarray(x.grad), differences / (3 * expected[:, None]), rtol=1e-5, atol=1e-7
    )


def test_logcumsumexp_neither_overflows_nor_vanishes() -> None:
    x = Tensor([-math.inf, -1e4, 1e4, 1e4, math.inf])
    assert x.logcumsumexp(0).tolist() == pytest.approx(
        [-math.inf, -1e4, 1e4, 1e4 + math.log(2), math.inf]
    )
    y = Tensor([-1000.0, 0.0, 1000.0], requires_grad=True)
    y.logcumsumexp(0).sum().backward()
    assert y.grad.tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_details_that_pytorch_fixes() -> None:
    x = grad.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert [part.shape for part in grad.var_mean(x, True)] == [(), ()]
    hist, edges = grad.histogram(grad.full((3,), 2.0), 2)
    assert hist.tolist() == [0.0, 3.0] and edges.tolist() == [1.5, 2.0, 2.5]
    assert grad.histogram(grad.zeros(0), 2).bin_edges.tolist() == [0.0, 0.5, 1.0]
    assert grad.histogram(grad.ones(2), np.int64(1)).hist.tolist() == [2.0]
    q = grad.tensor([0.25], requires_grad=True)
    (slope,) = grad.autograd.grad(grad.tensor([1.0, 2.0, 6.0]).quantile(q).sum(), q)
    assert slope.tolist() == [2.0]
    with pytest.raises(IndexError, match="no elements"):
        grad.zeros(2, 0).amax(1)
    with pytest.raises(RuntimeError, match="each once"):
        grad.zeros(2, 3, 4).movedim((0, 0), (0, 1))
    for wrong in (x, [x, None]):
        with pytest.raises(TypeError, match="Tensor"):
            grad.cat(wrong)
