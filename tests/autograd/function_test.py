"""Functions that users write, with the same promises as PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad import Tensor, autograd, dtypes
from grad.autograd import Function, gradcheck, gradgradcheck, ops
from grad.autograd.function import once_differentiable


def leaf(*values: float, dtype: Any = dtypes.float64) -> Tensor:
    return Tensor(list(values), dtype=dtype, requires_grad=True)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 3 * x * x


class ScaledParts(Function):
    """Several outputs, a number among the arguments, an attribute on the context."""

    @staticmethod
    def forward(ctx, x, factor, y):
        ctx.factor = factor
        ctx.save_for_backward(x, y)
        return x * y, x * factor

    @staticmethod
    def backward(ctx, grad_product, grad_scaled):
        x, y = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False, y.requires_grad)
        return grad_product * y + grad_scaled * ctx.factor, None, grad_product * x


def test_gradients_of_any_order() -> None:
    x = leaf(1, -2, 3)
    assert gradcheck(Cube.apply, x) and gradgradcheck(Cube.apply, x)
    y = Cube.apply(x)
    assert repr(y.grad_fn) == "<CubeBackward>"
    for factor in ([3, 12, 27], [6, -12, 18], [6, 6, 6]):
        (y,) = autograd.grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.detach().numpy(), factor)


def test_several_outputs() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    product, scaled = ScaledParts.apply(x, 10, y)
    (product.sum() + scaled.sum()).backward()
    assert x.grad.tolist() == [13.0, 14.0] and y.grad.tolist() == [1.0, 2.0]
    _, scaled = ScaledParts.apply(x, 10, y.detach())
    x.grad = None
    scaled.sum().backward()
    assert x.grad.tolist() == [10.0, 10.0]
    assert gradgradcheck(lambda a, b: ScaledParts.apply(a, 2, b), (x, y))


def test_the_context_set_up_apart() -> None:
    class Square(Function):
        @staticmethod
        def forward(x, factor):
            return x * x * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.factor = inputs
            ctx.save_for_backward(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 2 * x * ctx.factor, None

    assert gradgradcheck(lambda x: Square.apply(x, 3), leaf(1, 2))
    assert Square.apply(Tensor([2.0]), 3).tolist() == [12.0]


def test_outputs_without_gradient() -> None:
    class MaxWithIndex(Function):
        @staticmethod
        def forward(ctx, x):
            index = x.argmax()
            ctx.mark_non_differentiable(index)
            ctx.set_materialize_grads(False)
            ctx.index = index.item()
            return x[index], index, x * 2

        @staticmethod
        def backward(ctx, grad, grad_index, grad_double):
            assert grad_index is None and grad_double is None
            result = grad.new_zeros(3)
            result[ctx.index] = grad
            return result

    x = leaf(1, 5, 2)
    value, index, _ = MaxWithIndex.apply(x)
    assert not index.requires_grad and value.requires_grad
    value.backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_saved_output_and_no_cycle() -> None:
    class Exponential(Function):
        @staticmethod
        def forward(ctx, x):
            result = x.exp()
            ctx.save_for_backward(result)
            return result

        @staticmethod
        def backward(ctx, grad):
            (result,) = ctx.saved_tensors
            return grad * result

    assert gradgradcheck(Exponential.apply, leaf(0.1, 0.2))


def test_dirty_arguments() -> None:
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = leaf(1, 2)
    y = x * 3
    result = Double.apply(y)
    assert result is y and y.tolist() == [6.0, 12.0]
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 6.0]


def test_argument_handed_through() -> None:
    class Identity(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 7

    x = leaf(1)
    y = Identity.apply(x)
    assert y is not x
    y.sum().backward()
    assert x.grad.item() == 7


def test_what_backward_returns_is_checked() -> None:
    def returning(*results: Any) -> type[Function]:
        class Broken(Function):
            @staticmethod
            def forward(ctx, x, y):
                return x + y

            @staticmethod
            def backward(ctx, grad):
                return results if len(results) != 1 else results[0]

        return Broken

    for results in (
        (Tensor([1.0]),),
        (Tensor.ones(3), None),
        (5, None),
        (None,) * 2 + (Tensor([1.0]),),
    ):
        with pytest.raises(RuntimeError):
            returning(*results).apply(leaf(1, 2), leaf(3, 4)).sum().backward()


def test_a_function_without_gradient_says_so() -> None:
    class OneWay(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    y = OneWay.apply(leaf(1))
    with pytest.raises(RuntimeError, match="no gradient"):
        y.sum().backward()


def test_not_recorded_when_nothing_requires_grad() -> None:
    assert not Cube.apply(Tensor([1.0])).requires_grad
    with grad.no_grad():
        assert not Cube.apply(leaf(1)).requires_grad


def test_gradcheck_finds_a_wrong_gradient() -> None:
    class Wrong(Cube):
        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 2 * x

    with pytest.raises(RuntimeError, match="Jacobian"):
        gradcheck(Wrong.apply, leaf(1, 2))
    assert not gradcheck(Wrong.apply, leaf(1, 2), raise_exception=False)

    class WrongSecond(Cube):
        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 3 * (x * x).detach()

    assert gradcheck(WrongSecond.apply, leaf(1, 2))
    with pytest.raises(RuntimeError, match="Jacobian"):
        gradgradcheck(WrongSecond.apply, leaf(1, 2))


def test_built_in_functions_have_names() -> None:
    for name in ("Add", "Sub", "Mul", "Div", "Pow", "Neg", "Exp", "MatMul", "Reshape", "Sum"):
        assert issubclass(getattr(ops, name), Function)
    assert ops.Add.apply(Tensor([1.0]), Tensor([2.0])).tolist() == [3.0]


def test_once_differentiable() -> None:
    class Cube(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3 * ctx.saved_tensors[0] ** 2

    x = grad.tensor(2.0, requires_grad=True)
    Cube.apply(x).backward()
    assert x.grad is not None and x.grad.item() == 12.0
    (slope,) = grad.autograd.grad(Cube.apply(x), x, create_graph=True)
    assert slope.item() == 12.0 and not slope.requires_grad
    seed = grad.tensor(1.0, requires_grad=True)
    (slope,) = grad.autograd.grad(Cube.apply(x), x, seed, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        slope.backward()
