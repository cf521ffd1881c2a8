"""The registry: one row per operation, from which everything else is a loop.

An op is a `Function` class under the decorator `op`. `grad/tensor.py` binds methods and operators,
`grad/__init__.py` functions, `tools/stubs.py` writes their types, and one test module runs every
row over its `samples`. Read `Sample`, `Op`, then `op`. `callable_of` makes what the user calls: it
is the one place where keyword arguments by NumPy's names (`axis`, `keepdims`) become PyTorch's.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType, MethodType
from typing import Any, NamedTuple

import numpy as np

from grad.dtype import ALL_DTYPES, DType, dtypes
from grad.errors import ShapeError
from grad.ops.autocast import autocasts
from grad.ops.calls import explain_call
from grad.ops.out import in_its_type, put_into, refuse_gradients

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

ALL: tuple[DType, ...] = ALL_DTYPES
FLOATING = tuple(dtype for dtype in ALL_DTYPES if dtype.kind == "f")
INTEGRAL = tuple(dtype for dtype in ALL_DTYPES if dtype.kind in "iu")
SIGNED = tuple(dtype for dtype in ALL_DTYPES if dtype.kind in "if")
NUMERIC = tuple(dtype for dtype in ALL_DTYPES if dtype.kind != "b")
BITS = (dtypes.bool, *INTEGRAL)


@dataclass(frozen=True)
class Sample:
    """One example call of an op, which can make its operands for any element type.

    Attributes:
        shapes: shape of each tensor operand.
        args: positional arguments after the tensors.
        kwargs: keyword arguments.
        low, high: range of the values; integers are drawn from the whole numbers inside it.
        make: ``make(random, dtype) -> sequence of arrays``, in place of uniform numbers.
        tolerance: allowed relative error in float32 (None: the test's own).
        gradient: whether gradients may be compared with finite differences here.
        name: what the test is called by.
    """

    shapes: tuple[Shape, ...] = ((3, 4),)
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    low: float = -4
    high: float = 4
    make: Callable[[np.random.Generator, DType], Sequence[Any]] | None = None
    tolerance: float | None = None
    gradient: bool = True
    name: str = ""

    def arrays(self, dtype: DType, seed: int = 0) -> list[Array]:
        """The tensor operands as NumPy arrays of `dtype`; the same for the same seed."""
        random = np.random.default_rng(seed)
        if self.make is not None:
            return [np.asarray(array) for array in self.make(random, dtype)]
        return [self._draw(random, shape, dtype) for shape in self.shapes]

    def _draw(self, random: np.random.Generator, shape: Shape, dtype: DType) -> Array:
        if dtype.kind == "b":
            return random.random(shape) < 0.5
        if dtype.kind == "f":
            return np.asarray(random.uniform(self.low, self.high, shape)).astype(dtype.numpy)
        low = max(math.ceil(self.low), 0) if dtype.kind == "u" else math.ceil(self.low)
        high = max(math.floor(self.high), low)
        return random.integers(low, high, shape, endpoint=True).astype(dtype.numpy)

    def __str__(self) -> str:
        words = [*map(str, self.shapes), *map(str, self.args)]
        words += [f"{key}={value}" for key, value in self.kwargs.items()]
        return self.name or "-".join(words).replace(" ", "")


class Failure(NamedTuple):
    """A call that must raise: operands as in `Sample`, the exception, and a word of its message."""

    shapes: tuple[Shape, ...]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    error: type[Exception] = ShapeError
    match: str = ""
    dtype: DType = dtypes.float32


Samples = Sequence[Sample] | Callable[[], Sequence[Sample]]


@dataclass(frozen=True, eq=False)
class Op:
    """One row of the registry.

    Attributes:
        name: the name it is registered by: the method, else the function.
        definition: the class (or, for a composite, its `forward`).
        method, function: names of the Tensor method and of the function ``grad.<name>`` (None:
        none).
        aliases: further names of both.
        inplace: whether there is a method with a trailing underscore too; that of a view changes
            the tensor's shape.
        operator, reflected: dunder names. inplace_operator: ``__iadd__`` and the like.
        reference: the NumPy form, called with arrays and the sample's arguments.
        view: whether the result shares memory with the first operand.
        gradient: whether it can be differentiated.
        composite: whether `forward` is made of Tensor methods and recorded through them.
        call: the function that users call. positional: the same without keywords, for operators.
    """

    name: str
    definition: type
    method: str | None
    function: str | None
    aliases: tuple[str, ...]
    inplace: bool
    operator: str | None
    reflected: str | None
    reference: Callable[..., Any] | None
    samples: tuple[Sample, ...]
    errors: tuple[Failure, ...]
    dtypes: tuple[DType, ...]
    view: bool
    gradient: bool
    composite: bool
    call: Callable[..., Any]
    positional: Callable[..., Any]

    @cached_property
    def parameters(self) -> tuple[inspect.Parameter, ...]:
        """What `call` takes."""
        return _parameters(self.definition, self.composite)

    @property
    def inplace_operator(self) -> str | None:
        return f"__i{self.operator[2:]}" if self.inplace and self.operator else None

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.definition) or ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


REGISTRY: dict[str, Op] = {}


def registry() -> Iterable[Op]:
    """All rows, in the order of their definition."""
    return REGISTRY.values()


def op(
    method: str | None = None,
    function: bool | str = True,
    *,
    reference: Callable[..., Any] | None = None,
    samples: Samples = (),
    errors: Sequence[Failure] = (),
    aliases: Sequence[str] = (),
    inplace: bool = False,
    operator: str | None = None,
    reflected: str | None = None,
    view: bool = False,
    dtypes: Sequence[DType] = FLOATING,
    gradient: bool = True,
    composite: bool = False,
) -> Callable[[type], type]:
    """Register a `Function` class as an operation; the arguments are the attributes of `Op`.

    `function` is True (named as the method), a name, or False. A composite is any class with a
    static `forward(x, ...)`: no context, no `backward`.

    Example:
        >>> @op(method="exp", reference=np.exp, samples=[Sample(low=-4, high=4)], inplace=True)
        ... class Exp(Function): ...
    """

    def register(definition: type) -> type:
        function_name = method if function is True else function or None
        name = method or function_name
        if name is None:
            raise ValueError(f"op {definition.__name__} has neither a method nor a function name")
        if name in REGISTRY:
            raise ValueError(f"op {name!r} is defined twice, second in {definition.__module__}")
        REGISTRY[name] = Op(
            name=name,
            definition=definition,
            method=method,
            function=function_name,
            aliases=tuple(aliases),
            inplace=inplace,
            operator=operator,
            reflected=reflected,
            reference=reference,
            samples=tuple(samples() if callable(samples) else samples),
            errors=tuple(errors),
            dtypes=tuple(dtypes),
            view=view,
            gradient=gradient,
            composite=composite,
            call=callable_of(definition, name, composite, view),
            positional=target_of(definition, name, composite),
        )
        return definition

    return register


def _parameters(definition: Any, composite: bool) -> tuple[inspect.Parameter, ...]:
    parameters = tuple(inspect.signature(definition.forward).parameters.values())
    return parameters if composite else parameters[1:]


# NumPy's word, PyTorch's word: either is understood where an op has the other. (PyTorch's bounds of
# random numbers cannot be names of parameters.)
_SYNONYMS = (
    ("axis", "dim"),
    ("axes", "dim"),
    ("axis", "dims"),
    ("keepdims", "keepdim"),
    ("shape", "size"),
    ("from", "low"),
    ("to", "high"),
)


# What PyTorch calls the sizes or axes that may be given one by one.
_VARIADIC = {"dims", "dim", "size", "sizes", "shape", "repeats"}


def renames(parameters: Sequence[inspect.Parameter]) -> dict[str, str]:
    """Which keyword names a caller may use for which parameter."""
    names = [parameter.name for parameter in parameters]
    found: dict[str, str] = {}
    for first, second in _SYNONYMS:
        for given, known in ((first, second), (second, first)):
            if known in names and given not in names:
                found[given] = known
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            found.update(dict.fromkeys(_VARIADIC - set(names), parameter.name))
    if names and "input" not in names:
        found["input"] = names[0]
    if len(names) > 1 and "other" not in names and names[1] == "y":
        found["other"] = names[1]
    return found


def target_of(definition: Any, name: str, composite: bool) -> Callable[..., Any]:
    """What a call comes to when its keywords are sorted out."""
    return autocasts(definition.forward if composite else definition._call, name)


@cache  # worked out when somebody asks: doing it for all would take a tenth of the import
def _keywords(
    definition: Any, composite: bool, view: bool
) -> tuple[tuple[inspect.Parameter, ...], dict[str, str], bool]:
    """Parameters of an op, the names that stand for others, and whether it takes ``out=``."""
    parameters = _parameters(definition, composite)
    takes_out = not view and all(parameter.name != "out" for parameter in parameters)
    return parameters, renames(parameters), takes_out


def callable_of(
    definition: Any,
    name: str,
    composite: bool,
    view: bool = False,
) -> Callable[..., Any]:
    """The function that users call: positions go straight through, keywords are sorted out, and
    ``out=`` is taken by what gives no view.
    """
    target = target_of(definition, name, composite)

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            parameters, synonyms, takes_out = _keywords(definition, composite, view)
            out = kwargs.pop("out", None) if takes_out else None
            if out is not None:
                kwargs = in_its_type(out, args, kwargs, parameters)
            args, kwargs = _arranged(name, args, kwargs, synonyms, parameters)
            if out is not None:
                refuse_gradients(name, (*args, *kwargs.values()))
                return put_into(name, out, target(*args, **kwargs))
        try:
            return target(*args, **kwargs)
        except (TypeError, AttributeError) as error:
            explain_call(name, definition.forward, not composite, args, kwargs, error)
            raise

    call.__name__ = call.__qualname__ = name
    call.__doc__ = definition.__doc__
    # Where `inspect.signature` finds the parameters: those of `forward`, of which a method of
    # something has no context.
    call.__wrapped__ = (  # type: ignore[attr-defined]
        definition.forward if composite else MethodType(definition.forward, definition)
    )
    return call


def _arranged(
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    synonyms: dict[str, str],
    parameters: Sequence[inspect.Parameter],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Keywords moved to their positions, since `Function.apply` links only positional tensors."""
    given: dict[str, Any] = {}
    for key, value in kwargs.items():
        key = synonyms.get(key, key)
        if key == "out" and value is None:
            continue  # ``np.sum(tensor)`` says so
        if key in given:
            raise TypeError(f"{name}() got the argument {key!r} under two names.")
        given[key] = value
    order = [p for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    arranged = list(args)
    for parameter in order[len(args) :]:
        if not any(p.name in given for p in order[len(arranged) :]):
            break
        if parameter.name in given:
            arranged.append(given.pop(parameter.name))
        elif parameter.default is not inspect.Parameter.empty:
            arranged.append(parameter.default)
        else:
            raise TypeError(f"{name}() is missing the argument {parameter.name!r}.")
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and parameter.name in given:
            arranged.append(given.pop(parameter.name))
    return tuple(arranged), given
