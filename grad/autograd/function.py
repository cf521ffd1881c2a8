"""Function: one differentiable operation, built in or written by a user.

A subclass has a static `forward(ctx, ...)` and `backward(ctx, *grads)`, as in PyTorch.
`Function.apply` runs `forward`; when an operand requires a gradient, the context it was given
becomes the graph node that `tensor.grad_fn` shows: it holds the edges to the operands' own
functions and what was saved (graph.py). Read `apply`, then `record_call`, then `Context`.
`remembered.py` takes over calls that were seen before; `engine.py` walks the contexts backward.

What is saved are graph nodes, which never change: writing to a tensor later cannot corrupt a
gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from grad.autograd.anomaly import anomaly, origin
from grad.autograd.graph import packed, packed_by_hook, unpacked
from grad.autograd.modes import mode, no_grad
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.dtype import DType
from grad.engine.recording import recording, tell_of_hooks
from grad.errors import GradientError

Hooks = dict[int, Callable[..., Any]]


class OutputInfo(NamedTuple):
    """What the gradient of one output must look like."""

    shape: tuple[int, ...]
    dtype: DType


# A named tuple without the detour by its Python constructor.
_new_tuple = tuple.__new__


class _Never(tuple[bool, ...]):
    """Says False for every argument."""

    def __getitem__(self, index: Any) -> Any:
        return False


class Light:
    """The context of a call that is not recorded: takes attributes and forgets what is saved."""

    needs_input_grad: tuple[bool, ...] = _Never()
    saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        pass

    def mark_dirty(self, *tensors: Any) -> None:
        pass

    def mark_non_differentiable(self, *tensors: Any) -> None:
        pass

    def set_materialize_grads(self, value: bool) -> None:
        pass


class Context:
    """A recorded call: what `forward` saved, and the edges that `backward` sends gradients along.

    There is one subclass per Function, named after it: `<MulBackward>`. Any attribute may be set.

    Attributes:
        function: the Function class.
        edges: for each positional argument, where its gradient goes (None: nowhere).
        outputs: shape and type of each output.
        needs_input_grad: for each positional argument, whether `backward` must give its gradient.
    """

    function: ClassVar[type[Function]]

    if TYPE_CHECKING:
        # Any attribute may be set.
        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    # Defaults live on the class, so that a context costs only what it uses.
    edges: tuple[Edge | None, ...] = ()
    outputs: tuple[OutputInfo | None, ...] = ()
    needs_input_grad: tuple[bool, ...] = ()
    remembered: Any = None  # see remembered.py
    origin: Any = None  # see anomaly.py
    _saved: tuple[Any, ...] | None = ()
    _dirty: tuple[Any, ...] = ()
    _non_differentiable: tuple[Any, ...] = ()
    _materialize = True
    # Tensor hooks by output; tensors that keep their gradient by output (weak); hooks of the
    # function.
    _tensor_hooks: dict[int, Hooks] | None = None
    _retained: dict[int, Any] | None = None
    _pre_hooks: Hooks | None = None
    _post_hooks: Hooks | None = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep the values of `tensors` (or of anything else) for `backward`."""
        self._saved = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Say which arguments `forward` wrote to."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say which outputs have no gradient (integer outputs never have one)."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """With False, `backward` gets None for an output without gradient, in place of zeros."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved, as of then. Raises GradientError once it has been freed."""
        saved = self._saved
        if saved is None:
            raise GradientError(
                f"{type(self).__name__}: trying to backward through the graph a second time, after "
                "its saved values were freed. Say backward(retain_graph=True) the first time."
            )
        return tuple([unpacked(entry, self) for entry in saved])

    def _pack(self, outputs: tuple[Any, ...]) -> None:
        """Replace the saved tensors by their values of now."""
        pack = packed if mode.saved_hooks is None else packed_by_hook
        self._saved = tuple([pack(value, outputs) for value in self._saved or ()])

    def release(self) -> None:
        """Free what was saved."""
        if self._saved:
            self._saved = None

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The functions that the gradients go to next, with output numbers."""
        return tuple(
            (None, 0) if edge is None else (as_function(edge[0]), edge[1]) for edge in self.edges
        )

    def name(self) -> str:
        return type(self).__name__

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHook:
        """Call ``hook(grad_inputs, grad_outputs)`` after `backward`; a result replaces
        `grad_inputs`.
        """
        tell_of_hooks(self)
        self._post_hooks = self._post_hooks or {}
        return RemovableHook(self._post_hooks, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHook:
        """Call ``hook(grad_outputs)`` before `backward`; a result replaces `grad_outputs`."""
        tell_of_hooks(self)
        self._pre_hooks = self._pre_hooks or {}
        return RemovableHook(self._pre_hooks, hook)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class AccumulateGrad:
    """What a leaf looks like to someone who walks `next_functions`."""

    __slots__ = ("variable",)
    next_functions = ()

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def name(self) -> str:
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def as_function(target: Any) -> Any:
    """The target of an edge as users see it."""
    return AccumulateGrad(target) if isinstance(target, Variable) else target


class RemovableHook:
    """Handle of a registered hook; `remove()` takes it out, as leaving a ``with`` block does."""

    __slots__ = ("_hooks", "_key")
    _count = 0

    def __init__(self, hooks: Hooks, hook: Callable[..., Any]) -> None:
        RemovableHook._count += 1
        self._hooks, self._key = hooks, RemovableHook._count
        hooks[self._key] = hook

    def remove(self) -> None:
        self._hooks.pop(self._key, None)

    def __enter__(self) -> RemovableHook:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.remove()


class Function:
    """One operation with its gradient.

    Example:
        >>> class Double(Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return x * 2
        ...
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         return grad * 2
        >>> Double.apply(x)
    """

    _context: ClassVar[type[Context]]
    _call: ClassVar[Callable[..., Any]]
    # ``forward(ctx, ...)``, whichever way the subclass is written.
    _forward: ClassVar[Callable[..., Any]]

    # PyTorch's second way: ``forward(...)``, and then ``setup_context(ctx, inputs, output)``.
    setup_context: ClassVar[Callable[..., None] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._context = type(f"{cls.__name__}Backward", (Context,), {"function": cls})
        cls._forward = cls.forward if cls.setup_context is None else _in_two_steps(cls)
        cls._call = staticmethod(cls._caller(record_call))

    @staticmethod
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs: a tensor or a tuple of tensors."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *args).")

    @staticmethod
    def backward(ctx: Any, *grads: Any, **_: Any) -> Any:  # `**_`: subclasses may name them
        """The gradient of each positional argument (or None), from those of the outputs."""
        raise GradientError(f"{type(ctx).__name__}: this operation has no gradient.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`, and record the call when some positional tensor requires a gradient."""
        return cls._call(*args, **kwargs)

    @classmethod
    def _caller(cls, record: Callable[..., Any]) -> Callable[..., Any]:
        """What `apply` does, with the class looked up once: it is called for every operation.

        ``record(cls, args, kwargs)`` is for calls that need a gradient.
        """
        forward = cls._forward

        def call(*args: Any, **kwargs: Any) -> Any:
            if mode.enabled:
                for arg in args:
                    if isinstance(arg, Variable) and (
                        arg._requires_grad or (arg._base is not None and arg._base._requires_grad)
                    ):
                        return record(cls, args, kwargs)
            return forward(Light(), *args, **kwargs)

        return call


def _in_two_steps(function: type[Function]) -> Callable[..., Any]:
    """The usual form of a `forward` that leaves the context to `setup_context`."""

    def forward(ctx: Any, *args: Any) -> Any:
        output = function.forward(*args)
        function.setup_context(ctx, args, output)  # type: ignore[misc]
        return output

    return staticmethod(forward)


def record_call(function: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    context = function._context()
    if recording.recorder is not None:
        recording.recorder.linked(context)
    if anomaly.enabled:
        context.origin = origin()
    edges: list[Edge | None] = []
    for arg in args:
        edge = None
        if isinstance(arg, Variable):
            edge = arg._edge
            if edge is None or arg._base is not None:
                edge = gradient_edge(arg)
        edges.append(edge)
    context.edges = tuple(edges)
    context.needs_input_grad = tuple([edge is not None for edge in edges])
    mode.enabled = False
    try:
        result = function._forward(context, *args, **kwargs)
    finally:
        mode.enabled = True
    if isinstance(result, Variable):
        result = _linked(context, result, 0, args)
        outputs: tuple[Any, ...] = (result,)
        context.outputs = (_info(result),)
    elif isinstance(result, tuple):
        outputs = tuple(_linked(context, value, i, args) for i, value in enumerate(result))
        # A named tuple, such as max(dim), stays one.
        result = outputs if type(result) is tuple else type(result)(*outputs)
        context.outputs = tuple([_info(output) for output in outputs])
    else:
        return result
    if context._saved:
        context._pack(outputs)
    if context._dirty or context._non_differentiable:
        # They were needed for linking only, and hold tensors.
        context._dirty = context._non_differentiable = ()
    return result


def _info(output: Any) -> OutputInfo | None:
    if not isinstance(output, Variable):
        return None
    return _new_tuple(OutputInfo, (output._shape, output.dtype))


def _linked(context: Context, output: Any, index: int, args: tuple[Any, ...]) -> Any:
    """`output` as the `index`-th output of `context`."""
    if not isinstance(output, Variable) or output.dtype.kind != "f":
        return output
    if context._non_differentiable and _among(output, context._non_differentiable):
        return output
    if context._dirty and _among(output, context._dirty):
        rebase(output, (context, index))
        return output
    if output._edge is not None or _among(output, args):
        # Handed through: the caller's tensor keeps its own history, the result is a new handle.
        base = output if output._base is None else output._base
        output = output._alias(output._path, output._shape, output._layout)
        output._base = base
    output._edge = (context, index)
    output._requires_grad = True
    output._edge_version = output._storage.version
    return output


def _among(value: Any, candidates: tuple[Any, ...]) -> bool:
    # By identity; `in` would compare tensors element by element.
    return any(candidate is value for candidate in candidates)


def rebase(tensor: Any, edge: Edge | None) -> None:
    """After a write to the whole of `tensor`, which is no view: its gradient goes to `edge`."""
    if tensor._base is not None:
        raise GradientError(
            "mark_dirty: the argument is a view; write to its base, or return a new tensor."
        )
    tensor._edge = edge
    tensor._requires_grad = edge is not None
    tensor._edge_version = tensor._storage.version


class _DifferentiatedOnce(Function):
    """Hands on what a backward gave, which may not be differentiated."""

    @staticmethod
    def forward(ctx: Context, result: Any, *grads: Any) -> Any:
        return result.detach()

    @staticmethod
    def backward(ctx: Context, *grads: Any) -> Any:
        raise GradientError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a `backward` that is not made of differentiable operations: what it gives raises
    GradientError when it is differentiated.
    """

    @functools.wraps(backward)
    def once(ctx: Context, *grads: Any) -> Any:
        with no_grad():
            results = backward(ctx, *grads)
        if not mode.enabled:
            return results
        several = isinstance(results, tuple)
        marked = tuple(
            _DifferentiatedOnce.apply(result, *grads) if isinstance(result, Variable) else result
            for result in (results if several else (results,))
        )
        return marked if several else marked[0]

    return once
