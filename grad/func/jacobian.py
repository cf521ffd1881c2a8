"""Whole derivatives: `jacrev`, `jacfwd` and `hessian`.

The function is run once; rows (or columns) are the gradients (or directions) for each unit vector,
all of them at once by `vmap`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from grad.errors import ArgumentError
from grad.func.derivatives import Argnums, Pullback, chosen_arguments
from grad.func.forward import Pushforward
from grad.func.level import filled
from grad.func.tree import Structure, unflatten
from grad.func.vmap import vmap
from grad.ops.creators import CREATORS


def jacrev(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function that gives the Jacobian of `func` by reverse mode, as ``torch.func.jacrev``.

    Costs about one backward pass for each element of the result; best where that is smaller than
    the arguments.

    Args:
        func: returns tensors, in any structure; with `has_aux` a pair of that and anything else.
        argnums: which arguments the derivative is for.
        chunk_size: so many rows are computed at a time.

    Returns:
        A function that gives, for each output and each argument, a tensor of shape
        ``(*output.shape, *argument.shape)``, in the structure of the output, then that of the
        argument, a tuple for a tuple of `argnums`. With `has_aux` a pair of that and the rest.

    Example:
        >>> import grad
        >>> grad.func.jacrev(grad.square)(grad.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ArgumentError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = chosen_arguments(args, argnums)
        run = Pullback("jacrev", *_of_arguments(func, args, kwargs, numbers), has_aux)
        rows: list[list[Any]] = []
        for number, output in enumerate(run.outputs):
            if output.numel() == 1:
                found = run.gradients(number, filled(output, 1))
            else:
                found = vmap(functools.partial(run.gradients, number), chunk_size=chunk_size)(
                    _units(output)
                )
            rows.append([g.reshape((*output.shape, *x.shape)) for g, x in zip(found, run.inputs)])
        result = _nested(rows, run, isinstance(argnums, int))
        return (result, run.aux) if has_aux else result

    return wrapped


def jacfwd(
    func: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Callable[..., Any]:
    """A function that gives the Jacobian of `func` by forward mode, as ``torch.func.jacfwd``.

    Costs about one forward pass for each element of the arguments; best where these are smaller
    than the result. Arguments and results are those of `jacrev`. The function is run once, so that
    random numbers are the same for all columns.

    Example:
        >>> import grad
        >>> grad.func.jacfwd(grad.square)(grad.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = chosen_arguments(args, argnums)
        run = Pushforward("jacfwd", *_of_arguments(func, args, kwargs, numbers), has_aux)
        columns: list[list[Any]] = []
        for number, x in enumerate(run.inputs):
            push = functools.partial(_pushed, run, number)
            found = vmap(push, out_dims=-1, randomness=randomness)(_units(x))
            columns.append(
                [d.reshape((*out.shape, *x.shape)) for d, out in zip(found, run.outputs)]
            )
        rows = [list(row) for row in zip(*columns)]
        result = _nested(rows, run, isinstance(argnums, int))
        return (result, run.aux) if has_aux else result

    return wrapped


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that gives the second derivatives of `func`, as ``torch.func.hessian``: forward
    over reverse mode, ``jacfwd(jacrev(func))``.

    Example:
        >>> import grad
        >>> grad.func.hessian(lambda x: (x**3).sum())(grad.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def _of_arguments(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Any, numbers: Sequence[int]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """`func` as a function of some of its arguments, and these."""

    def partial(*chosen: Any) -> Any:
        given = list(args)
        for number, value in zip(numbers, chosen):
            given[number] = value
        return func(*given, **kwargs)

    return partial, tuple([args[number] for number in numbers])


def _units(like: Any) -> Any:
    """All tensors of the shape of `like` that are 1 at one place and 0 elsewhere."""
    count = like.numel()
    return CREATORS["eye"](count, dtype=like.dtype).reshape((count, *like.shape))


def _pushed(run: Pushforward, number: int, direction: Any) -> list[Any]:
    return run.push([direction if other == number else None for other in range(len(run.inputs))])


def _nested(rows: Sequence[Sequence[Any]], run: Pullback, single: bool) -> Any:
    """Derivatives by output and input, in the structures that the function has."""
    structure: Structure = run.input_structure.parts[0] if single else run.input_structure
    return unflatten([unflatten(row, structure) for row in rows], run.structure)
