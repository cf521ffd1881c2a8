"""The backward pass: what it computes, what it keeps, and what it refuses."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import grad
from grad import Tensor, autograd, dtypes
from grad.autograd import Function


def leaf(*values: float) -> Tensor:
    return Tensor(list(values), requires_grad=True)


def test_values() -> None:
    x, y = leaf(1, 2, 3), leaf(4, 5, 6)
    (x * y + x / y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [4 + 1 / 4, 5 + 1 / 5, 6 + 1 / 6], rtol=1e-6)
    np.testing.assert_allclose(y.grad.numpy(), [1 - 1 / 16, 2 - 2 / 25, 3 - 3 / 36], rtol=1e-6)


def test_broadcasting_and_casts_are_undone() -> None:
    x = Tensor([[1.0], [2.0]], requires_grad=True)
    y = Tensor([1.0, 2.0, 3.0], dtype=dtypes.float64, requires_grad=True)
    z = Tensor(2.0, dtype=dtypes.float16, requires_grad=True)
    (x * y * z).sum().backward()
    assert x.grad.tolist() == [[12.0], [12.0]] and x.grad.dtype is dtypes.float32
    assert y.grad.tolist() == [6.0, 6.0, 6.0] and y.grad.dtype is dtypes.float64
    assert z.grad.item() == 18.0 and z.grad.dtype is dtypes.float16


def test_gradients_add_up_in_the_same_tensor() -> None:
    x = leaf(1, 2)
    (x * 2).sum().backward()
    held = x.grad
    (x * 3).sum().backward()
    assert held is x.grad and held.tolist() == [5.0, 5.0]


def test_gradients_of_different_leaves_do_not_alias() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    (x + y).sum().backward()
    x.grad.zero_()
    assert y.grad.tolist() == [1.0, 1.0]


def test_one_tensor_used_in_many_ways() -> None:
    x = leaf(2)
    y = x * x
    z = y * x + y
    (z + z).sum().backward()
    assert x.grad.item() == 2 * (3 * 4 + 2 * 2)


def test_long_chains() -> None:
    x = leaf(1, 2)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    assert y.tolist() == [100_001.0, 100_002.0]
    del y


def test_wide_fans() -> None:
    x = leaf(1)
    sum((x * i for i in range(2000)), start=Tensor([0.0])).sum().backward()
    assert x.grad.item() == 2000 * 1999 / 2


# -- what backward asks for ------------------------------------------------------------------------


def test_refusals() -> None:
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match="one element"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        Tensor([1.0]).backward()
    with pytest.raises(RuntimeError, match="shape"):
        (x * 2).backward(Tensor([1.0]))
    with pytest.raises(RuntimeError, match="floating"):
        grad.arange(3).requires_grad_()
    with pytest.raises(RuntimeError, match="leaves"):
        (x * 2).requires_grad_(False)
    with grad.no_grad():
        y = (x * x).sum()
    with pytest.raises(RuntimeError):
        y.backward()
    with pytest.raises(RuntimeError, match="shape"):
        x.grad = Tensor([1.0])


def test_twice() -> None:
    x = leaf(3)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    assert x.grad.item() == 6
    z = (x * x).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert x.grad.item() == 18


def test_gradient_argument() -> None:
    x = leaf(1, 2)
    (x * x).backward(Tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2.0, 40.0]
    autograd.backward([(x * 2).sum(), (x * 3).sum()])
    assert x.grad.tolist() == [7.0, 45.0]


def test_backward_into_some_inputs() -> None:
    x, y = leaf(1), leaf(2)
    (x * y).sum().backward(inputs=[x])
    assert x.grad.item() == 2 and y.grad is None


# -- autograd.grad ---------------------------------------------------------------------------------


def test_grad_leaves_grad_alone() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    z = x * y
    total = (z * z).sum()
    dx, dz = autograd.grad(total, (x, z))
    np.testing.assert_allclose(dx.numpy(), [18.0, 64.0])
    np.testing.assert_allclose(dz.numpy(), [6.0, 16.0])
    assert x.grad is None and y.grad is None


def test_unused_inputs() -> None:
    x, y = leaf(1), leaf(2)
    with pytest.raises(RuntimeError, match="allow_unused"):
        autograd.grad((x * 2).sum(), (x, y))
    assert autograd.grad((x * 2).sum(), (x, y), allow_unused=True)[1] is None
    assert autograd.grad((x * 2).sum(), (x, y), materialize_grads=True)[1].tolist() == [0.0]


def test_gradients_of_a_batch_of_gradients():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    unused = Tensor([1.0], requires_grad=True)
    y = x**2 * x.sum()
    seeds = grad.eye(3)
    rows, nothing = autograd.grad(
        y, (x, unused), seeds, create_graph=True, is_grads_batched=True, allow_unused=True
    )
    assert nothing is None
    one_by_one = [autograd.grad(y, x, seed, retain_graph=True)[0] for seed in seeds]
    assert rows.tolist() == grad.stack(one_by_one).tolist()
    assert rows.tolist() == autograd.functional.jacobian(lambda x: x**2 * x.sum(), x).tolist()
    (second,) = autograd.grad((rows * rows).sum(), x, retain_graph=True)
    (again,) = autograd.grad(
        sum((autograd.grad(y, x, seed, create_graph=True)[0] ** 2).sum() for seed in seeds), x
    )
    assert grad.testing.assert_close(second, again) is None


def test_arguments_are_those_of_pytorch():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = Tensor([1.0], requires_grad=True)
    two = (x * 2).sum()
    (found,) = autograd.grad(two, x, None, True, False, True)
    assert found.tolist() == [2, 2]
    assert autograd.grad(two, y, None, True, False, True, True) == (None,)
    with pytest.raises(ValueError, match="allow_unused=False"):
        autograd.grad(two, y, allow_unused=False, materialize_grads=True)
    with pytest.raises(ValueError, match=r"tensor of shape \(batch\)"):
        autograd.grad(two, x, is_grads_batched=True)
    with pytest.raises(RuntimeError, match=r"tensor of shape \(batch, 2\)"):
        autograd.grad(x * 2, x, (None,), is_grads_batched=True)
    with pytest.raises(RuntimeError, match="2 tensors and 1 gradients"):
        autograd.grad((two, x * 2), x, (Tensor([1.0]),), is_grads_batched=True)
    with pytest.raises(RuntimeError, match="first dimension of each grad_output"):
        autograd.grad(x * 2, x, Tensor([1.0, 1.0]), is_grads_batched=True)
    autograd.backward([x * 3], grad_tensors=[Tensor([1.0, 2.0])])
    assert x.grad.tolist() == [3, 6]
    autograd.backward([x * 3], None, None, False, [Tensor([1.0, 0.0])], inputs=[x])
    assert x.grad.tolist() == [6, 6]
    with pytest.raises(RuntimeError, match="grad_variables"):
        autograd.backward(two, Tensor(1.0), grad_variables=Tensor(1.0))
    wide = Tensor([1.0, 2.0], dtype=grad.float64, requires_grad=True)
    assert autograd.gradcheck(lambda x: x.exp(), wide, nondet_tol=1e-5, fast_mode=True)
    assert autograd.gradgradcheck(lambda x: x.exp(), wide, gen_non_contig_grad_outputs=True)


def test_only_the_way_to_the_inputs_is_walked() -> None:
    class Forbidden(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            raise AssertionError("this gradient was not asked for")

    x, y = leaf(1), leaf(2)
    (found,) = autograd.grad((Forbidden.apply(x) * y).sum(), y)
    assert found.item() == 1


def test_gradients_of_any_order() -> None:
    x = leaf(0.5)
    y = x.sin()
    expected = [np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin, np.cos]
    for derivative in expected:
        (y,) = autograd.grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.item(), derivative(0.5), rtol=1e-5)


def test_create_graph_in_backward() -> None:
    x = leaf(3)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.item() == 27 and x.grad.requires_grad
    x.grad.sum().backward()
    assert x.grad.item() == 27 + 18


# -- modes -----------------------------------------------------------------------------------------


def test_modes() -> None:
    x = leaf(1)
    with grad.no_grad():
        assert not (x * 2).requires_grad and not grad.is_grad_enabled()
        with grad.enable_grad():
            assert (x * 2).requires_grad
    with grad.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    grad.set_grad_enabled(False)
    assert not grad.is_grad_enabled()
    grad.set_grad_enabled(True)
    with grad.inference_mode():
        assert grad.is_inference_mode_enabled() and not (x * 2).requires_grad

    @grad.no_grad()
    def with_parentheses() -> Tensor:
        return x * 2

    @grad.no_grad
    def without() -> Tensor:
        return x * 2

    @grad.no_grad()
    def generate():
        yield x * 2
        yield x * 3

    assert not with_parentheses().requires_grad and not without().requires_grad
    for value in generate():
        assert not value.requires_grad and (x * 2).requires_grad
    assert grad.is_grad_enabled()
    with pytest.raises(KeyError), grad.no_grad():
        raise KeyError
    assert grad.is_grad_enabled()


def test_modes_belong_to_threads() -> None:
    seen: list[bool] = []
    with grad.no_grad():
        thread = threading.Thread(target=lambda: seen.append(grad.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_failing_forward_leaves_the_mode_alone() -> None:
    class Failing(Function):
        @staticmethod
        def forward(ctx, x):
            raise ValueError("no")

    with pytest.raises(ValueError):
        Failing.apply(leaf(1))
    assert grad.is_grad_enabled()


# -- hooks and graph -------------------------------------------------------------------------------


def test_hooks() -> None:
    x = leaf(1, 2)
    y = x * 3
    seen: list = []
    y.retain_grad()
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    (y * 2).sum().backward(retain_graph=True)
    assert seen == [[2.0, 2.0], [61.0, 61.0]]
    assert y.grad.tolist() == [20.0, 20.0] and y.retains_grad
    handle.remove()
    seen.clear()
    y.sum().backward()
    assert seen == [[92.0, 92.0]]


def test_hooks_of_functions() -> None:
    x = leaf(2)
    y = x * x
    calls = []
    y.grad_fn.register_prehook(lambda outputs: (outputs[0] * 2,))
    y.grad_fn.register_hook(lambda inputs, outputs: calls.append((len(inputs), len(outputs))))
    y.sum().backward()
    assert x.grad.item() == 8 and calls == [(2, 1)]


def test_the_graph_can_be_looked_at() -> None:
    x = leaf(1)
    y = x * 2
    assert repr(y.grad_fn) == "<MulBackward>" and y.grad_fn.name() == "MulBackward"
    (accumulate, index), *_ = y.grad_fn.next_functions
    assert accumulate.variable is x and index == 0
    assert x.is_leaf and x.grad_fn is None and not y.is_leaf
    assert not y.detach().requires_grad and y.detach().is_leaf
    z = y.detach_()
    assert z is y and y.is_leaf


def test_graphs_are_freed_without_the_collector() -> None:
    gc.disable()
    try:
        x = leaf(1, 2)
        y = (x.exp() * x).sum()
        function = weakref.ref(y.grad_fn)
        y.backward()
        del y
        assert function() is None
    finally:
        gc.enable()


# -- in place --------------------------------------------------------------------------------------


def test_in_place_never_corrupts_a_gradient() -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    y = x * 1
    product = y * w
    y.zero_()
    with grad.no_grad():
        w.mul_(100)
    product.sum().backward()
    assert x.grad.tolist() == [3.0, 4.0] and w.grad.tolist() == [1.0, 2.0]


def test_in_place_refusals() -> None:
    x = leaf(1, 2)
    for write in (lambda: x.add_(1), lambda: x.__setitem__(0, 5), lambda: x[:1].mul_(2), x.zero_):
        with pytest.raises(RuntimeError, match="leaf"):
            write()
    with grad.no_grad():
        view = x[:1]
        view += 1
    assert x.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="no_grad"):
        view.mul_(2)
    whole = grad.arange(3)
    with pytest.raises(RuntimeError, match="float32"):
        whole += 0.5
    with pytest.raises(RuntimeError, match="never the tensor"):
        whole += grad.ones(2, 3, dtype=dtypes.int64)
    assert whole.tolist() == [0, 1, 2] and x.tolist() == [2.0, 2.0]


def test_views_follow_their_base() -> None:
    base, w = Tensor.zeros(4), leaf(1, 2, 3, 4)
    view = base[:2]
    base.mul_(0).add_(w)
    assert view.requires_grad and repr(view.grad_fn) == "<ThroughBackward>"
    view.mul_(3)
    base.sum().backward()
    assert w.grad.tolist() == [3.0, 3.0, 1.0, 1.0]


def test_augmented_assignment_writes_once() -> None:
    x, w = Tensor.zeros(3), leaf(5)
    x[1:2] += w
    assert x._version == 1 and x.tolist() == [0.0, 5.0, 0.0]
    x[[0]] += w
    (x * x).sum().backward()
    assert w.grad.tolist() == [20.0]


def test_version_counts_writes() -> None:
    x = Tensor.zeros(3)
    view = x[1:]
    view += 1
    x.zero_()
    assert x._version == view._version == 2


def test_roots_that_are_outputs_of_one_function() -> None:
    """What is below it is reached once, however many of its outputs the pass starts from."""

    class Both(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2, x * 3

        @staticmethod
        def backward(ctx: Any, first: Any, second: Any) -> Any:
            return first * 2 + second * 3

    x = leaf(1.0)
    first, second = Both.apply(x * 1)
    assert grad.autograd.grad([first, second], x, [first, second])[0].item() == 2 * 2 + 3 * 3
    first, second = Both.apply(x * 1)
    grad.autograd.backward([first, second])
    assert x.grad.item() == 5
