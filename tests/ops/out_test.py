"""``out=`` of functions: where results go, what types and shapes may, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.errors import DTypeError, GradientError


def test_the_result_is_written_to_the_tensor_that_is_given() -> None:
    x, y = grad.tensor([1.0, 2.0]), grad.tensor([3.0, 4.0])
    out = grad.zeros(2)
    lent, view = out.numpy(), out[:1]
    assert grad.add(x, y, out=out) is out
    assert out.tolist() == [4.0, 6.0] and lent.tolist() == [4.0, 6.0] and view.tolist() == [4.0]
    part = grad.zeros(4)
    grad.mul(x, y, out=part[1:3])
    assert part.tolist() == [0.0, 3.0, 8.0, 0.0]
    assert grad.exp(x, out=None).tolist() == x.exp().tolist()
    # An operand may be the output.
    grad.sub(y, x, out=x)
    assert x.tolist() == [2.0, 2.0]


def test_types_are_converted_where_that_loses_no_category() -> None:
    x = grad.tensor([1, 2])
    wide = grad.zeros(2, dtype=grad.float64)
    assert grad.add(x, x, out=wide).tolist() == [2.0, 4.0]
    half = grad.zeros(2, dtype=grad.float16)
    assert grad.mul(grad.tensor([0.5, 2.0]), 2, out=half).dtype is grad.float16
    with pytest.raises(DTypeError, match="can't be cast"):
        grad.add(x, 0.5, out=grad.zeros(2, dtype=grad.int64))


def test_what_has_a_type_of_its_own_computes_in_that_of_the_output() -> None:
    x = grad.tensor([60000.0, 60000.0, 0.25], dtype=grad.float16)
    wide = grad.zeros((), dtype=grad.float32)
    assert grad.sum(x, 0, out=wide) is wide and wide.item() == 120000.25
    assert grad.mean(x, 0, out=wide).item() == pytest.approx(40000.083)
    assert grad.prod(x, out=wide).item() == 9e8
    assert grad.nansum(x, dim=0, out=wide).item() == 120000.25
    line = grad.cumsum(x, 0, out=grad.zeros(3))
    assert line.tolist() == [60000.0, 120000.0, 120000.25]
    whole = grad.tensor([2**62, 2**62, 2**62])
    assert grad.sum(whole, 0, out=wide).item() == 3 * 2.0**62
    # A type that is asked for is what it is computed in.
    assert grad.sum(x, 0, dtype=grad.float16, out=wide).item() == np.inf
    with pytest.raises(DTypeError, match="can't be cast"):
        grad.sum(x, 0, out=whole)


def test_several_results() -> None:
    x = grad.tensor([[3.0, 1.0, 2.0]])
    values, indices = grad.zeros(1, 3), grad.zeros(1, 3, dtype=grad.int64)
    found = grad.sort(x, out=(values, indices))
    assert found.values is values and found.indices is indices
    assert values.tolist() == [[1.0, 2.0, 3.0]] and indices.tolist() == [[1, 2, 0]]
    with pytest.raises(TypeError, match="2 tensors"):
        grad.sort(x, out=values)


def test_an_output_of_another_shape_gets_the_shape_of_the_result() -> None:
    x = grad.ones(2, 3)
    empty = grad.empty(0)
    assert grad.sum(x, 0, out=empty) is empty and empty.tolist() == [2.0, 2.0, 2.0]
    with pytest.warns(UserWarning, match="gets that shape"):
        out = grad.add(x, 1, out=grad.zeros(5))
    np.testing.assert_array_equal(out.numpy(), np.full((2, 3), 2.0))


def test_gradients_are_refused() -> None:
    x = grad.ones(2, requires_grad=True)
    out = grad.zeros(2)
    with pytest.raises(GradientError, match="out="):
        grad.exp(x, out=out)
    with pytest.raises(GradientError, match="out="):
        grad.where(x > 0, x, out=out, other=0.0)
    with pytest.raises(GradientError, match="out="):
        grad.cat([x.detach(), x], out=grad.zeros(4))
    with grad.no_grad():
        grad.exp(x, out=out)
    np.testing.assert_allclose(out.numpy(), np.exp([1.0, 1.0]), rtol=1e-6)
    with pytest.raises(TypeError, match="Tensor"):
        grad.exp(x.detach(), out=np.zeros(2))


def test_what_makes_tensors_writes_in_the_type_of_the_output() -> None:
    whole = grad.empty(0, dtype=grad.int32)
    assert grad.arange(3, out=whole) is whole and whole.tolist() == [0, 1, 2]
    target = grad.ones(2, dtype=grad.float64)
    assert grad.zeros(2, out=target).dtype is grad.float64 and target.tolist() == [0.0, 0.0]
    with pytest.raises(DTypeError, match="leave dtype away"):
        grad.linspace(0, 1, 2, dtype=grad.float32, out=target)
    with pytest.raises(TypeError, match="Tensor"):
        grad.rand(2, out=np.zeros(2))
    with pytest.raises(TypeError):
        grad.tensor(2.0, out=target)


def test_linear_algebra_has_it() -> None:
    x = grad.tensor([[2.0, 0.0], [1.0, 4.0]])
    q, r = grad.empty(0), grad.empty(0)
    found = grad.linalg.qr(x, out=(q, r))
    assert found.Q is q and found.R is r
    np.testing.assert_allclose((q @ r).numpy(), x.numpy(), atol=1e-6)
    size = grad.zeros(())
    assert grad.linalg.det(x, out=size) is size and size.item() == pytest.approx(8)
    with pytest.raises(GradientError, match="out="):
        grad.linalg.inv(x.requires_grad_(), out=q)
