"""Derivatives along a direction: `jvp` and `linearize`.

Forward mode is derived from the backward rules of the operations, which are the one place where
derivatives are declared: a backward pass is linear in the gradient that arrives, so the backward
pass of that pass takes a direction forward. The gradient that arrives is a stand-in
(standing.py): its value is never asked for, and as the graph is lazy, what depends on it alone is
never computed. What remains is the function with its derivative beside it. So forward mode agrees
with reverse mode wherever that has a choice (`detach`, ties, a Function of the user's), and both
compose. docs/design/027 has the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grad.autograd.engine import run
from grad.autograd.modes import enable_grad, mode
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.errors import GradientError
from grad.func.derivatives import Pullback
from grad.func.level import filled
from grad.func.standing import StandIns, standing_for
from grad.func.tree import flatten, unflatten


class Pushforward(Pullback):
    """A function that was run once, and takes any directions of its inputs forward."""

    def __init__(self, name: str, func: Callable[..., Any], args: Sequence[Any], has_aux: bool):
        super().__init__(name, func, args, has_aux)
        starts: list[tuple[Edge, Any]] = []
        # For each output the edge where its direction comes out.
        self.ends: list[Edge | None] = []
        for output in self.outputs:
            edge = gradient_edge(output)
            end = None
            if edge is not None and output.dtype.kind == "f":
                arriving = standing_for(tuple(output.shape), output.dtype, True)
                starts.append((edge, arriving))
                end = arriving._edge
                self.level.keep(end[0])
            self.ends.append(end)
        self.recorder = StandIns([seed for _, seed in starts])
        edges: list[Any] = [gradient_edge(x) for x in self.inputs]
        with self.recorder.active(), enable_grad():
            found = run(starts, True, True, dict.fromkeys(edges))
            self.products = [self._linear(found[edge]) for edge in edges]

    def _linear(self, product: Any) -> Any:
        """The gradient of an input, if it depends on the outputs' gradient as it should."""
        if product is None or product._needs_grad:
            return product
        if self.recorder.depends(product.node):
            raise GradientError(
                "jvp: a backward of the function has no derivative for the gradient that arrives; "
                "write it in operations that are recorded (no detach, no values)."
            )
        return None

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """The direction of each output, for directions of the inputs (None: 0)."""
        roots: list[tuple[Edge, Any]] = []
        for product, tangent in zip(self.products, tangents):
            edge = None if product is None else gradient_edge(product)
            if edge is not None and tangent is not None:
                roots.append((edge, tangent))
        create_graph = mode.enabled and (
            any(tangent._needs_grad for _, tangent in roots)
            or self.level.leads_outside(self.outputs)
        )
        ends: list[Any] = [end for end in self.ends if end is not None]
        recorder = self.recorder.continued([])
        with recorder.active():
            found = run(roots, True, create_graph, dict.fromkeys(ends)) if ends else {}
            if any(value is not None and recorder.depends(value.node) for value in found.values()):
                raise GradientError(
                    "jvp: a backward of the function is not linear in the gradient that arrives."
                )
        results = []
        for output, end in zip(self.outputs, self.ends):
            value = None if end is None else found[end]
            results.append(filled(output, 0) if value is None else self.level.leave(value))
        return results


def jvp(
    func: Callable[..., Any],
    primals: Any,
    tangents: Any,
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """The result of ``func(*primals)`` and its derivative along `tangents`, as ``torch.func.jvp``.

    Args:
        func: returns tensors, in any structure; with `has_aux` a pair of that and anything else.
        primals: tuple of arguments. tangents: of the same structure, shapes and types.
        strict: an output that does not depend on the arguments is an error.

    Returns:
        ``(output, tangent)``, with `has_aux` ``(output, tangent, aux)``.

    Raises:
        RuntimeError: the structures, shapes or types differ.

    Example:
        >>> import grad
        >>> grad.func.jvp(grad.sin, (grad.zeros(2),), (grad.tensor([1.0, 3.0]),))
        (tensor([0., 0.]), tensor([1., 3.]))
    """
    name = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise GradientError(
            f"{name}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    leaves, structure = flatten(primals)
    directions, other = flatten(tangents)
    if structure != other:
        raise GradientError(
            f"{name}: Expected primals and tangents to have the same python structure. For "
            f"example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {structure} and tangents with structure {other}"
        )
    _require_directions(name, "primals", leaves)
    _require_directions(name, "tangents", directions)
    _require_alike(leaves, directions)
    run = Pushforward("jvp", func, primals, has_aux)
    if strict and any(end is None for end in run.ends):
        raise GradientError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. "
            "This is not allowed with strict=True."
        )
    result = unflatten(run.push(directions), run.structure)
    return (run.value(), result, run.aux) if has_aux else (run.value(), result)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The result of ``func(*primals)``, and its derivative as a function, as
    ``torch.func.linearize``.

    `func` is run once, however often the derivative is called, or mapped over.

    Returns:
        ``(output, jvp_fn)``; ``jvp_fn(*tangents)`` gives the derivative along `tangents`.

    Example:
        >>> import grad
        >>> output, jvp_fn = grad.func.linearize(grad.sin, grad.zeros(2))
        >>> jvp_fn(grad.tensor([1.0, 3.0]))
        tensor([1., 3.])
    """
    leaves, structure = flatten(primals)
    _require_directions("linearize", "primals", leaves)
    run = Pushforward("linearize", func, primals, False)

    def jvp_fn(*tangents: Any) -> Any:
        directions, other = flatten(tangents)
        if other != structure:
            raise GradientError(
                f"Expected the tangents {other} to have the same argspec as the primals {structure}"
            )
        _require_alike(leaves, directions)
        return unflatten(run.push(directions), run.structure)

    return run.value(), jvp_fn


def _require_directions(name: str, which: str, leaves: Sequence[Any]) -> None:
    if not leaves:
        raise GradientError(f"{name}: Expected {which} to contain at least one Tensor.")
    for leaf in leaves:
        if not isinstance(leaf, Variable):
            raise GradientError(
                f"{name}: Expected {which} to only contain Tensors, got {type(leaf)}"
            )


def _require_alike(primals: Sequence[Any], tangents: Sequence[Any]) -> None:
    for number, (x, direction) in enumerate(zip(primals, tangents)):
        if x.shape != direction.shape:
            raise GradientError(
                f"tangent:{number} with shape {direction._shape} in flattened pytree doesn't match "
                f"the shape {x._shape} of the corresponding primal."
            )
        if x.dtype is not direction.dtype:
            raise GradientError(
                f"tangent:{number} with dtype {direction.dtype} in flattened pytree doesn't match "
                f"the dtype {x.dtype} of the corresponding primal."
            )
