"""Gradients against finite differences: `gradcheck` and, for second derivatives, `gradgradcheck`.

For a function of tensors, every entry of the Jacobian is computed twice: by `backward`, and by
central differences ``(f(x + h) - f(x - h)) / 2h``. Use float64 inputs; in float32 the differences
are noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grad.autograd.engine import gradients
from grad.autograd.modes import no_grad
from grad.autograd.variable import Variable
from grad.errors import GradientError

Array = np.ndarray[Any, Any]


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    *,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of `func` at `inputs` (one tensor, or a tuple) are those of its values.

    Only inputs that require gradients are checked; others, tensors or not, are passed on. The
    arguments after `raise_exception` are PyTorch's, without effect: every entry is compared.

    Raises:
        GradientError: an entry differs by more than ``atol + rtol * |numerical|`` (unless
            `raise_exception` is False), or no input requires a gradient.
    """
    arguments = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    checked = [x for x in arguments if isinstance(x, Variable) and x._needs_grad]
    if not checked:
        raise GradientError("gradcheck: no input requires a gradient; pass requires_grad=True.")
    outputs = _outputs(func(*arguments))
    for number, output in enumerate(outputs):
        if not output._needs_grad:
            continue
        analytical = _by_backward(output, checked)
        for position, x in enumerate(checked):
            numerical = _by_differences(func, arguments, x, number, eps)
            if np.allclose(analytical[position], numerical, rtol, atol, equal_nan=True):
                continue
            if not raise_exception:
                return False
            raise GradientError(
                f"gradcheck: the Jacobian of output {number} for input {position} is wrong.\n"
                f"backward:\n{analytical[position]}\ndifferences:\n{numerical}"
            )
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    *,
    gen_non_contig_grad_outputs: bool = False,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradient of `func` itself has the right gradient, also for `grad_outputs`.

    The arguments that `gradcheck` does not explain are PyTorch's, without effect.
    """
    arguments = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    checked = [i for i, x in enumerate(arguments) if isinstance(x, Variable) and x._needs_grad]
    outputs = [y for y in _outputs(func(*arguments)) if y._needs_grad]
    if grad_outputs is None:
        seeds = [_seed_like(y, number) for number, y in enumerate(outputs)]
    else:
        seeds = list(_outputs(grad_outputs))

    def first_derivative(*values: Any) -> tuple[Any, ...]:
        given = values[: len(arguments)]
        results = [y for y in _outputs(func(*given)) if y._needs_grad]
        return gradients(
            results,
            [given[i] for i in checked],
            values[len(arguments) :],
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )

    return gradcheck(
        first_derivative, (*arguments, *seeds), eps, atol, rtol, raise_exception=raise_exception
    )


def _outputs(result: Any) -> Sequence[Any]:
    found = result if isinstance(result, tuple | list) else (result,)
    return [y for y in found if isinstance(y, Variable) and y.dtype.is_floating_point]


def _seed_like(output: Any, number: int) -> Any:
    values = np.random.default_rng(number).standard_normal(output.shape)
    return _tensor(values, output).requires_grad_()


def _tensor(values: Array, like: Any) -> Any:
    return like.detach().new_tensor(values)


def _by_backward(output: Any, inputs: Sequence[Any]) -> list[Array]:
    """The Jacobian for each input, of shape (elements of input, elements of output)."""
    count = output.numel()
    jacobians = [np.zeros((x.numel(), count)) for x in inputs]
    for row in range(count):
        seed = np.zeros(count)
        seed[row] = 1
        found = gradients(
            output,
            inputs,
            _tensor(seed.reshape(output.shape), output),
            retain_graph=True,
            allow_unused=True,
        )
        for jacobian, gradient in zip(jacobians, found):
            if gradient is not None:
                jacobian[:, row] = np.asarray(gradient.detach().numpy(), np.float64).reshape(-1)
    return jacobians


def _by_differences(
    func: Callable[..., Any], arguments: Sequence[Any], x: Any, number: int, eps: float
) -> Array:
    origin = np.array(x.detach().numpy(), np.float64)
    rows = []
    for position in range(origin.size):
        sides = []
        for step in (eps, -eps):
            moved = origin.copy()
            moved.reshape(-1)[position] += step
            replaced = _tensor(moved, x)
            sides.append(_value(func, arguments, x, replaced, number))
        rows.append((sides[0] - sides[1]) / (2 * eps))
    return np.array(rows) if rows else np.zeros((0, 1))


def _value(
    func: Callable[..., Any], arguments: Sequence[Any], x: Any, replaced: Any, number: int
) -> Array:
    # Functions that use gradients themselves need their inputs to require them.
    given = [
        (replaced if a is x else a.detach().clone()).requires_grad_(a._needs_grad)
        if isinstance(a, Variable)
        else a
        for a in arguments
    ]
    output = _outputs(func(*given))[number].detach()
    with no_grad():
        return np.array(output.numpy(), np.float64).reshape(-1)
