"""Whole derivatives by the names of ``torch.autograd.functional``.

The functions of `grad.func` with the other interface: arguments as a tensor or a tuple of them,
results that are cut off from the graph unless `create_graph`. Nothing is computed row by row, so
`vectorize` and the strategies are taken for PyTorch's sake and decide between reverse and forward
mode only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from grad.autograd.modes import set_grad_enabled
from grad.autograd.variable import Variable, gradient_edge
from grad.errors import GradientError
from grad.func import derivatives, forward
from grad.func.jacobian import jacfwd, jacrev
from grad.func.level import filled

STRATEGIES = {"reverse-mode": jacrev, "forward-mode": jacfwd}
ALONE = "The vector v can only be None if the {} a single Tensor with a single element."


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func` at `inputs`, as ``torch.autograd.functional.jacobian``.

    Args:
        func: takes tensors, returns one or a tuple of them.
        inputs: a tensor or a tuple of them.
        create_graph: the result can be differentiated.
        strict: an output that does not depend on the inputs is an error, rather than zeros.
        strategy: "reverse-mode" or "forward-mode".

    Returns:
        A tensor of shape ``(*output.shape, *input.shape)``; tuples of them for tuples of outputs,
        and inside these for tuples of inputs.

    Raises:
        TypeError: inputs or outputs are no tensors. RuntimeError: under `strict`.

    Example:
        >>> import grad
        >>> grad.autograd.functional.jacobian(grad.square, grad.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    given = _Given("jacobian", func, inputs, strict)
    transform = _strategy(strategy)
    with set_grad_enabled(create_graph):
        rows = transform(given, given.all)(*given.inputs)
    rows = tuple(given.like_inputs(row) for row in rows)
    return rows if given.several else rows[0]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of `func`, which returns one element, as
    ``torch.autograd.functional.hessian``.

    Returns:
        A tensor of shape ``(*input.shape, *input.shape)``; a tuple of tuples for a tuple of inputs.

    Example:
        >>> import grad
        >>> grad.autograd.functional.hessian(lambda x: (x**3).sum(), grad.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    given = _Given("hessian", func, inputs, strict)
    transform = _strategy(outer_jacobian_strategy)
    with set_grad_enabled(create_graph):
        rows = transform(given.slopes, given.all, has_aux=True)(*given.inputs)[0]
    return given.like_inputs(tuple(given.like_inputs(row) for row in rows))


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """What `func` returns, and `v` times its Jacobian, as ``torch.autograd.functional.vjp``.

    Args:
        v: of the shape of the outputs; may be left out for one element.

    Example:
        >>> import grad
        >>> grad.autograd.functional.vjp(grad.square, grad.tensor([1.0, 2.0]), grad.ones(2))
        (tensor([1., 4.]), tensor([2., 4.]))
    """
    given = _Given("vjp", func, inputs, strict)
    with set_grad_enabled(create_graph):
        outputs, pull = derivatives.vjp(given, *given.inputs)
        cotangents = _vector(v, outputs, given.several, "user-provided function returns")
        found = pull(cotangents)
    return outputs if given.several else outputs[0], given.like_inputs(found)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """What `func` returns, and its Jacobian times `v`, as ``torch.autograd.functional.jvp``.

    Args:
        v: of the shape of the inputs; may be left out for one element.

    Example:
        >>> import grad
        >>> grad.autograd.functional.jvp(grad.square, grad.tensor([1.0, 2.0]), grad.ones(2))
        (tensor([1., 4.]), tensor([2., 4.]))
    """
    given = _Given("jvp", func, inputs, strict)
    with set_grad_enabled(create_graph):
        outputs, found = forward.jvp(given, given.inputs, given.vector(v))
    return (outputs, found) if given.several else (outputs[0], found[0])


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """What `func` returns (one element), and its second derivatives times `v`, as
    ``torch.autograd.functional.hvp``.

    Example:
        >>> import grad
        >>> x = grad.tensor([1.0, 2.0])
        >>> grad.autograd.functional.hvp(lambda x: (x**3).sum(), x, grad.ones(2))
        (tensor(9.), tensor([ 6., 12.]))
    """
    given = _Given("hvp", func, inputs, strict)
    with set_grad_enabled(create_graph):
        vector = given.vector(v)
        _, found, output = forward.jvp(given.slopes, given.inputs, vector, has_aux=True)
    return output, given.like_inputs(found)


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """What `func` returns (one element), and `v` times its second derivatives, as
    ``torch.autograd.functional.vhp``; cheaper than `hvp`, and the same where they are continuous.

    Example:
        >>> import grad
        >>> x = grad.tensor([1.0, 2.0])
        >>> grad.autograd.functional.vhp(lambda x: (x**3).sum(), x, grad.ones(2))
        (tensor(9.), tensor([ 6., 12.]))
    """
    given = _Given("vhp", func, inputs, strict)
    with set_grad_enabled(create_graph):
        vector = given.vector(v)
        _, pull, output = derivatives.vjp(given.slopes, *given.inputs, has_aux=True)
        found = pull(vector)
    return output, given.like_inputs(found)


# -- arguments -------------------------------------------------------------------------------------
class _Given:
    """A function with its inputs, both in the form of tuples.

    Attributes:
        inputs: the tensors; single: whether one was given by itself. all: their positions.
        several: whether the function returns a tuple, once it has run.
    """

    def __init__(self, name: str, func: Callable[..., Any], inputs: Any, strict: bool) -> None:
        self.name, self.func, self.strict = name, func, strict
        self.single = not isinstance(inputs, tuple)
        self.inputs = _tensors(inputs, "inputs", name)
        self.all = tuple(range(len(self.inputs)))
        self.several = False

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        result = self.func(*inputs)
        self.several = isinstance(result, tuple)
        outputs = _tensors(result, "outputs of the user-provided function", self.name)
        if self.strict:
            _require_dependent(outputs, inputs, "The output of the user-provided function")
        return outputs

    def slopes(self, *inputs: Any) -> tuple[tuple[Any, ...], Any]:
        """The gradient of a function of one element, and its value."""
        found, value = derivatives.grad_and_value(self._one, self.all)(*inputs)
        if self.strict:
            _require_dependent(found, inputs, "The jacobian of the user-provided function")
        return found, value

    def _one(self, *inputs: Any) -> Any:
        outputs = self(*inputs)
        if self.several or outputs[0].numel() != 1:
            raise GradientError(
                f"The function given to {self.name} should return a single Tensor with a single "
                f"element."
            )
        return outputs[0].reshape(())

    def like_inputs(self, found: Sequence[Any]) -> Any:
        """A tuple, or what is in it if the input was one tensor."""
        return found[0] if self.single else tuple(found)

    def vector(self, v: Any) -> tuple[Any, ...]:
        return _vector(v, self.inputs, not self.single, "input to the user-provided function is")


def _tensors(value: Any, what: str, name: str) -> tuple[Any, ...]:
    found = value if isinstance(value, tuple) else (value,)
    for number, entry in enumerate(found):
        if not isinstance(entry, Variable):
            which = f"value at index {number}" if isinstance(value, tuple) else f"given {what}"
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the "
                f"{which} has type {type(entry)}."
            )
    return found


def _vector(v: Any, like: Sequence[Any], several: bool, where: str) -> tuple[Any, ...]:
    """`v` for tensors `like`; 1 where it was left out for a single element."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise GradientError(ALONE.format(where))
        return (filled(like[0], 1),)
    found = _tensors(v, "v", "the function")
    if len(found) != len(like):
        raise GradientError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(found)}."
            if several
            else "The given v should contain a single Tensor."
        )
    for number, (entry, other) in enumerate(zip(found, like)):
        if entry.shape != other.shape:
            start = f"Entry {number} in " if several else ""
            raise GradientError(
                f"{start}v has invalid size: should be {other._shape} but got {entry._shape}."
            )
    return found


def _strategy(name: str) -> Callable[..., Any]:
    if name not in STRATEGIES:
        raise GradientError(
            f'Expected strategy to be either "forward-mode" or "reverse-mode", got {name!r}. If '
            f'your function has more outputs than inputs, "forward-mode" tends to be faster.'
        )
    return STRATEGIES[name]


def _require_dependent(outputs: Iterable[Any], inputs: Sequence[Any], what: str) -> None:
    """Raise GradientError unless every output can be differentiated, and all inputs are used."""
    stack = []
    for number, output in enumerate(outputs):
        edge = gradient_edge(output)
        if edge is None:
            raise GradientError(
                f"Output {number} of the user-provided function does not require gradients. The "
                f"outputs must be computed in a differentiable manner from the input when running "
                f"in strict mode."
            )
        stack.append(edge[0])
    seen: set[Any] = set()
    while stack:
        target = stack.pop()
        if target not in seen:
            seen.add(target)
            if not isinstance(target, Variable):
                stack.extend(edge[0] for edge in target.edges if edge is not None)
    for number, x in enumerate(inputs):
        edge = gradient_edge(x)
        if edge is None or edge[0] not in seen:
            raise GradientError(
                f"{what} is independent of input {number}. This is not allowed in strict mode."
            )
