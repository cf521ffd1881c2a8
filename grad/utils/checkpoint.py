"""Trade time for memory: what a function computes is computed again for its gradient, not kept.

As in ``torch.utils.checkpoint``. While the function runs, everything that its operations save for
backward is replaced by a number (`autograd/graph.py`); only the arguments are kept. When a backward
pass needs the first of these values, the function is run again for all of them, under the same
random keys (`ops/keys.py`). The graph is lazy and would see that the same is computed twice: so the
second run reads its arguments through barriers (`graph.node.barrier`), which wait for the gradients
that have arrived. That also tells the scheduler when to compute it: not before.
docs/design/021-checkpoint.md has the reasons. Read `checkpoint`, then `_Call`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from grad.autograd.graph import saved_tensors_hooks
from grad.autograd.modes import enable_grad, mode
from grad.autograd.variable import Variable, gradient_edge
from grad.compile.tree import put_together, with_places
from grad.errors import ArgumentError, CheckpointError
from grad.graph.node import Node, barrier
from grad.ops.keys import Drawn, keys_again, keys_noted

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]

Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]


def noop_context_fn() -> Contexts:
    """Nothing around the first run, nothing around the second."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = False,
    preserve_rng_state: bool = True,
    context_fn: Callable[[], Contexts] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, whose intermediate values are computed again for backward.

    Values and gradients are those of the plain call, to the bit. Nested calls, arguments that are
    no tensors, gradients of gradients and `grad.compile` all work. The function must do the same
    when it is called again: what it reads besides its arguments must not have changed (a parameter
    that has been written to is noticed). Running statistics of normalisations move once.

    Args:
        function: any callable; its result may be any structure of tensors.
        use_reentrant: taken for PyTorch's sake; both ways are the one that does not reenter.
        preserve_rng_state: False draws fresh random numbers the second time.
        context_fn: gives two contexts, for the first run and for the second.
        determinism_check: "default" compares shapes and types of what the two runs save, "none"
            does not.
        debug: taken for PyTorch's sake.

    Raises:
        CheckpointError: in the backward pass, when the second run differs from the first.

    Example:
        >>> block = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))
        >>> y = checkpoint(block, grad.randn(4, 8), use_reentrant=False)
        >>> y.sum().backward()
    """
    if determinism_check not in ("default", "none"):
        raise ArgumentError(
            f"checkpoint: determinism_check={determinism_check!r}; it is 'default' or 'none'."
        )
    if not mode.enabled:
        return function(*args, **kwargs)
    first, second = context_fn()
    call = _Call(function, args, kwargs, second, determinism_check == "default")
    with ExitStack() as stack:
        stack.enter_context(saved_tensors_hooks(call.pack, call.unpack))
        if preserve_rng_state:
            call.keys = stack.enter_context(keys_noted())
        stack.enter_context(first)
        result = function(*args, **kwargs)
    call.watch(result)
    return result


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = False,
    **kwargs: Any,
) -> Any:
    """`input` through all of `functions` in turn, in `segments` parts of which all but the last
    are checkpointed.

    Args:
        functions: an `nn.Sequential`, or any sequence of modules or functions of one argument.
        segments: how many parts; at least 1.
        kwargs: `preserve_rng_state`.

    Example:
        >>> y = checkpoint_sequential(model, 4, x, use_reentrant=False)
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ArgumentError(f"checkpoint_sequential: unexpected arguments {', '.join(kwargs)}.")
    functions = list(functions)
    if not 1 <= segments <= max(len(functions), 1):
        raise ArgumentError(
            f"checkpoint_sequential: segments={segments} of {len(functions)} functions; it must be "
            f"from 1 to their number."
        )
    size = len(functions) // segments
    for start in range(0, size * (segments - 1), size):
        part = _in_turn(functions[start : start + size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return _in_turn(functions[size * (segments - 1) :])(input)


def _in_turn(functions: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(value: Any) -> Any:
        for function in functions:
            value = function(value)
        return value

    return run


class _Call:
    """One checkpointed call: what it takes to run it again, and what that gave.

    What the functions of the graph saved refers to it, so it is freed with them.

    Attributes:
        arguments: of the call, with places for the tensors; tensors: how these are found again.
        keys: of the random numbers of the first run; None: it is not to draw the same.
        kinds: shape and type of each saved tensor. parameters: leaves that were saved, as of then.
        again: saved values that have been computed again, by number, until they are asked for.
        arrived, results: gradients that have arrived, and results; whoever has them holds them.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        second: AbstractContextManager[Any],
        strict: bool,
    ) -> None:
        self.function = function
        tensors: list[Any] = []
        self.arguments = with_places((args, kwargs), tensors)
        self.tensors = [_Kept(tensor) for tensor in tensors]
        self.given = {id(tensor) for tensor in tensors}
        self.second, self.strict = second, strict
        self.keys: list[Drawn] | None = None
        self.autocast = mode.autocast
        self.kinds: list[Any] = []
        self.parameters: list[tuple[Any, int]] = []
        self.again: dict[int, Node] = {}
        self.arrived: list[weakref.ref[Node]] = []
        self.results: list[weakref.ref[Node]] = []
        self.finished = False

    # -- the first run -----------------------------------------------------------------------------
    def pack(self, tensor: Any) -> int:
        """The number that stands for a tensor that was saved."""
        self.kinds.append((tensor.shape, tensor.dtype))
        if tensor._requires_grad and tensor._edge is None and id(tensor) not in self.given:
            self.parameters.append((tensor, tensor._storage.version))
        return len(self.kinds) - 1

    def watch(self, result: Any) -> None:
        """Note the gradients of the results as they arrive."""
        self.finished = True
        self.given.clear()
        tensors: list[Any] = []
        with_places(result, tensors)
        # The results outlive what was saved, and must not keep it.
        reference = weakref.ref(self)

        def arrives(gradient: Any) -> None:
            call = reference()
            if call is not None and gradient is not None:
                call.arrived.append(weakref.ref(gradient.node))

        for tensor in tensors:
            self.results.append(weakref.ref(tensor.node))
            if gradient_edge(tensor) is not None:
                tensor.register_hook(arrives)

    # -- the second --------------------------------------------------------------------------------
    def unpack(self, number: int) -> Any:
        """The saved tensor of this number, computed again."""
        if number not in self.again:
            self.run_again()
        return Variable._wrap(self.again.pop(number))

    def run_again(self) -> None:
        """Fill `again`."""
        self.require_same_parameters()
        after = list(_alive((*self.arrived, *self.results)))
        self.arrived.clear()
        values: list[Any] = []

        def note(tensor: Any) -> Any:
            values.append((tensor.shape, tensor.dtype, tensor.node))
            return tensor

        args, kwargs = put_together(self.arguments, [kept.tensor(after) for kept in self.tensors])
        before = mode.recomputing, mode.autocast
        mode.recomputing, mode.autocast = True, self.autocast
        try:
            with ExitStack() as stack:
                stack.enter_context(enable_grad())
                stack.enter_context(saved_tensors_hooks(note, lambda tensor: tensor))
                if self.keys is not None:
                    stack.enter_context(keys_again(self.keys, lambda key: barrier(key, after)))
                stack.enter_context(self.second)
                self.function(*args, **kwargs)
        finally:
            mode.recomputing, mode.autocast = before
        self.require_same_kinds([(shape, dtype) for shape, dtype, _ in values])
        self.again = {number: node for number, (_, _, node) in enumerate(values)}

    def require_same_parameters(self) -> None:
        for tensor, version in self.parameters:
            if tensor._storage.version != version:
                raise CheckpointError(
                    f"checkpoint: a tensor of shape {tensor._shape} that the function reads has "
                    f"been written to since, so that running it again gives other values. Go "
                    f"backward before optimizer.step(), or pass the tensor as an argument."
                )

    def require_same_kinds(self, kinds: list[Any]) -> None:
        """Raise CheckpointError when another number of tensors was saved, or others."""
        compared = self.kinds if self.strict else self.kinds[: len(kinds)]
        if len(kinds) < len(compared) or (self.finished and len(kinds) > len(self.kinds)):
            raise CheckpointError(
                f"checkpoint: the function saved {len(self.kinds)} tensors for backward the first "
                f"time and {len(kinds)} the second; it must depend on its arguments alone."
            )
        for number, (first, second) in enumerate(zip(compared, kinds)):
            if self.strict and first != second:
                raise CheckpointError(
                    f"checkpoint: saved tensor number {number} was {first[1].name} of shape "
                    f"{first[0]} the first time and {second[1].name} of shape {second[0]} the "
                    f"second; the function must depend on its arguments alone "
                    f"(determinism_check='none' lets it)."
                )


class _Kept:
    """An argument as it was: its value, kept by the hooks of an enclosing checkpoint if there is
    one.
    """

    def __init__(self, tensor: Any) -> None:
        self.requires_grad = tensor._needs_grad
        hooks = mode.saved_hooks
        self.unpack = None if hooks is None else hooks[1]
        self.value = tensor.node if hooks is None else hooks[0](tensor)

    def tensor(self, after: Sequence[Node]) -> Any:
        """A leaf of this value, to be read when `after` have been computed."""
        node = self.value if self.unpack is None else self.unpack(self.value).node
        # The bounds of indices are checked by looking at them: they are not put off.
        floating = node.dtype.kind == "f"
        result = Variable._wrap(barrier(node, after) if floating else node)
        result._requires_grad = self.requires_grad
        return result


def _alive(references: Iterable[weakref.ref[Node]]) -> Iterable[Node]:
    for reference in references:
        node = reference()
        if node is not None:
            yield node
