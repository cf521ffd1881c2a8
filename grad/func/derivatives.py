"""Gradients as functions of functions: `grad`, `grad_and_value` and `vjp`.

The function runs on inputs of a level of its own (level.py); the backward pass is that of
`grad/autograd`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from grad.autograd.variable import Variable
from grad.errors import GradientError
from grad.func.level import Level
from grad.func.tree import flatten, mapped, unflatten

Argnums = int | tuple[int, ...]


def chosen_arguments(args: Sequence[Any], argnums: Any) -> tuple[int, ...]:
    """The positions that `argnums` names, counted from the front."""
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    if not isinstance(numbers, tuple):
        raise GradientError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    if not numbers:
        raise GradientError("argnums must be non-empty")
    for number in numbers:
        if not isinstance(number, int):
            raise GradientError(f"argnum must be int, got: {type(number)}")
        if not -len(args) <= number < len(args):
            raise GradientError(f"Got argnum={number}, but only {len(args)} positional inputs")
    found = tuple([number % len(args) for number in numbers])
    if len(set(found)) != len(found):
        raise GradientError(f"argnums elements must be unique, got {argnums}")
    return found


def with_auxiliary(name: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    """The result of a function, and what it returns besides."""
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise GradientError(
            f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return result


def grad_and_value(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives the gradient of `func` and its value, as ``torch.func.grad_and_value``.

    Args:
        func: returns a tensor without dimensions; with `has_aux` a pair of that and anything else.
        argnums: which arguments (of any nested structure) the gradient is for.

    Returns:
        A function that returns ``(gradient, value)``, or ``(gradient, (value, aux))``.

    Raises:
        RuntimeError: when called, if `func` returns something else, or `argnums` do not fit.

    Example:
        >>> import grad
        >>> grad.func.grad_and_value(lambda x: x**2)(grad.tensor(3.0))
        (tensor(6.), tensor(9.))
    """

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = chosen_arguments(args, argnums)
        level = Level()
        given = list(args)
        for number in numbers:
            given[number] = mapped(level.enter, args[number])
        with level.running():
            result = func(*given, **kwargs)
        name = "grad_and_value(f)(*args)"
        output, aux = with_auxiliary(name, result, has_aux)
        if not isinstance(output, Variable):
            raise GradientError(f"{name}: Expected f(*args) to return a Tensor, got {type(output)}")
        if output.shape:
            raise GradientError(
                f"{name}: Expected f(*args) to return a scalar tensor, got tensor with "
                f"{len(output.shape)} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
        leaves, structure = flatten(tuple(given[number] for number in numbers))
        found = unflatten(level.gradients([(output, None)], leaves), structure)
        slopes = found[0] if isinstance(argnums, int) else found
        value = level.leave(output)
        return slopes, (value, mapped(level.leave, aux)) if has_aux else value

    return wrapped


def grad(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives the gradient of `func`, as ``torch.func.grad``.

    Calls may be nested, for gradients of any order, and mapped over by `vmap`, for gradients of
    each sample.

    Args:
        func: returns a tensor without dimensions; with `has_aux` a pair of that and anything else.
        argnums: which arguments (of any nested structure) the gradient is for.

    Returns:
        A function that returns the gradient: of the structure of the argument, a tuple for a tuple
        of `argnums`. With `has_aux` a pair of that and what `func` returned besides.

    Example:
        >>> import grad
        >>> grad.func.grad(grad.func.grad(grad.sin))(grad.tensor(1.0))
        tensor(-0.8415)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        slopes, value = both(*args, **kwargs)
        return (slopes, value[1]) if has_aux else slopes

    return wrapped


class Pullback:
    """A function that was run once, and goes backward from its results for any gradients."""

    def __init__(self, name: str, func: Callable[..., Any], args: Sequence[Any], has_aux: bool):
        self.level = Level()
        given = [mapped(self.level.enter, arg) for arg in args]
        with self.level.running():
            result = func(*given)
        output, aux = with_auxiliary(f"{name}(f, *primals)", result, has_aux)
        self.inputs, self.input_structure = flatten(tuple(given))
        self.outputs, self.structure = flatten(output)
        require_tensors(name, self.outputs)
        self.aux = mapped(self.level.leave, aux)

    def value(self) -> Any:
        """What the function returned."""
        return unflatten([self.level.leave(x) for x in self.outputs], self.structure)

    def gradients(self, number: int, seed: Any) -> list[Any]:
        """Of all inputs, for a gradient of one output."""
        return self.level.gradients([(self.outputs[number], seed)], self.inputs)

    def pull(self, cotangents: Any) -> Any:
        """The gradients of the inputs, for gradients of all outputs."""
        seeds, structure = flatten(cotangents)
        if structure != self.structure:
            raise GradientError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {structure}, primal output: {self.structure}"
            )
        for seed, output in zip(seeds, self.outputs):
            if tuple(seed.shape) != tuple(output.shape):
                raise GradientError(
                    f"Mismatch in shape: cotangent has a shape of {seed._shape} and the output has "
                    f"a shape of {output._shape}."
                )
        found = self.level.gradients(list(zip(self.outputs, seeds)), self.inputs)
        return unflatten(found, self.input_structure)


def require_tensors(name: str, outputs: Sequence[Any]) -> None:
    """Raise GradientError unless there are outputs, and all are tensors."""
    if not outputs:
        raise GradientError(
            f"{name}: Expected f to be a function that has non-empty output (got output = ())"
        )
    for output in outputs:
        if not isinstance(output, Variable):
            raise GradientError(
                f"{name}: expected f(*primals) to return only tensors, got unsupported type "
                f"{type(output)}"
            )


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The result of ``func(*primals)``, and the function from its gradient to theirs, as
    ``torch.func.vjp``.

    Args:
        func: returns tensors, in any structure; with `has_aux` a pair of that and anything else.
        primals: arguments, of any structure of tensors.

    Returns:
        ``(output, vjp_fn)``, with `has_aux` ``(output, vjp_fn, aux)``. ``vjp_fn(*cotangents)``
        takes what is like the output and gives a tuple with the gradient of each argument. It may
        be called again, and mapped over.

    Example:
        >>> import grad
        >>> output, vjp_fn = grad.func.vjp(grad.sin, grad.zeros(2))
        >>> vjp_fn(grad.tensor([1.0, 3.0]))
        (tensor([1., 3.]),)
    """
    run = Pullback("vjp", func, primals, has_aux)

    def vjp_fn(*cotangents: Any, retain_graph: bool = True, create_graph: Any = None) -> Any:
        return run.pull(cotangents[0] if len(cotangents) == 1 else cotangents)

    return (run.value(), vjp_fn, run.aux) if has_aux else (run.value(), vjp_fn)
