"""What a compiled function reads besides its arguments is seen to change, wherever it is.

Each case makes a function and a change; the function is called before and after the change,
compiled and as it is, and must give the same.
"""

from __future__ import annotations

import argparse
import array
import collections
import contextvars
import ctypes
import datetime
import enum
import functools
import operator
import os
import queue
import sys
import tempfile
import threading
import types
import uuid
import warnings
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.utils.checkpoint import checkpoint

Case = tuple[Callable[[Any], Any], Callable[[], Any]]
CASES: dict[str, Callable[[], Case]] = {}


def case(make: Callable[[], Case]) -> Callable[[], Case]:
    CASES[make.__name__] = make
    return make


def vector(first: float = 1.0) -> Any:
    return grad.tensor([first, 2.0])


# -- by detours ------------------------------------------------------------------------------------
class Changing:
    """Something whose factor changes."""

    factor = 2.0

    def get(self) -> float:
        return self.factor


@case
def behind_a_weak_reference() -> Case:
    held = Changing()
    reference: Any = weakref.ref(held)
    # The change keeps the object.
    return lambda x: x * reference().factor, lambda: setattr(held, "factor", 3.0)


@case
def behind_an_attrgetter() -> Case:
    outer = types.SimpleNamespace(inner=Changing())
    get = operator.attrgetter("inner.factor")
    return lambda x: x * get(outer), lambda: setattr(outer.inner, "factor", 3.0)


@case
def behind_a_methodcaller() -> Case:
    changing, call = Changing(), operator.methodcaller("get")
    return lambda x: x * call(changing), lambda: setattr(changing, "factor", 3.0)


@case
def behind_a_proxy() -> Case:
    values = {"factor": 2.0}
    proxy = types.MappingProxyType(values)
    return lambda x: x * proxy["factor"], lambda: values.update(factor=3.0)


@case
def behind_a_view_of_a_dictionary() -> Case:
    values = {"factor": 2.0, "other": 1.0}
    view = values.values()
    return lambda x: x * sum(view), lambda: values.update(factor=3.0)


@case
def a_partial_method() -> Case:
    class Scaled:
        factor = 2.0

        def scaled(self, x: Any, more: float) -> Any:
            return x * self.factor * more

        doubled = functools.partialmethod(scaled, more=2.0)

    scaled = Scaled()
    return lambda x: scaled.doubled(x), lambda: setattr(Scaled, "factor", 3.0)


def partial() -> Any:
    return functools.partial(lambda x, more=1.0: x * more, more=2.0)


@case
def the_keywords_of_a_partial_function() -> Case:
    scaled = partial()
    return lambda x: scaled(x), lambda: scaled.keywords.update(more=3.0)


@case
def a_partial_function_that_is_compiled() -> Case:
    scaled = partial()
    return scaled, lambda: scaled.keywords.update(more=3.0)


@case
def a_partial_function_that_becomes_another() -> Case:
    scaled = partial()
    return lambda x: scaled(x), lambda: scaled.__setstate__((lambda x: x * 3, (), {}, {}))


@case
def a_buffer_of_bytes() -> Case:
    factors = bytearray((2,))
    return lambda x: x * factors[0], lambda: factors.__setitem__(0, 3)


@case
def a_buffer_of_bytes_that_grows() -> Case:
    factors = bytearray((2,))
    return lambda x: x * len(factors), lambda: factors.append(3)


@case
def an_array_of_the_standard_library() -> Case:
    factors = array.array("f", (2.0,))
    return lambda x: x * factors[0], lambda: factors.__setitem__(0, 3.0)


@case
def a_function_that_is_chosen_by_type() -> Case:
    factors = [2.0]

    @functools.singledispatch
    def scaled(x: Any) -> Any:
        raise TypeError

    @scaled.register(grad.Tensor)
    def _(x: Any) -> Any:
        return x * factors[0]

    return lambda x: scaled(x), lambda: factors.__setitem__(0, 3.0)


@case
def a_property_of_a_metaclass() -> Case:
    class Meta(type):
        hidden: float

        @property
        def factor(cls) -> float:
            return cls.hidden

    class Settings(metaclass=Meta):
        hidden = 2.0

    return lambda x: x * Settings.factor, lambda: setattr(Settings, "hidden", 3.0)


@case
def an_attribute_of_a_member_of_an_enumeration() -> Case:
    class Kind(enum.Enum):
        LARGE = 1

    Kind.LARGE.factor = 2.0  # type: ignore[attr-defined]

    def function(x: Any, kind: Any = Kind.LARGE) -> Any:
        return x * kind.factor

    return function, lambda: setattr(Kind.LARGE, "factor", 3.0)


@case
def a_module_that_is_imported_inside() -> Case:
    module: Any = types.ModuleType("of_a_test")
    module.factor = 2.0

    code = """
def function(x):
    from of_a_test import factor
    return x * factor
"""
    scope: dict[str, Any] = {"__name__": __name__}
    exec(code, scope)
    sys.modules["of_a_test"] = module
    return scope["function"], lambda: setattr(module, "factor", 3.0)


@case
def an_attribute_that_is_missing_at_first() -> Case:
    changing: Any = types.SimpleNamespace()

    def function(x: Any) -> Any:
        try:
            return x * changing.factor
        except AttributeError:
            return x

    return function, lambda: setattr(changing, "factor", 3.0)


@case
def a_global_that_is_missing_at_first() -> Case:
    scope: dict[str, Any] = {"__name__": __name__}
    code = """
def function(x):
    try:
        return x * factor
    except NameError:
        return x
"""
    exec(code, scope)
    return scope["function"], lambda: scope.update(factor=3.0)


@case
def a_global_that_is_read_by_name() -> Case:
    scope: dict[str, Any] = {"__name__": __name__, "factor": 2.0}
    exec("def function(x): return x * globals()['factor']", scope)
    return scope["function"], lambda: scope.update(factor=3.0)


def shadowed(body: str) -> Case:
    scope: dict[str, Any] = {"__name__": __name__}
    exec(f"def function(x): return {body}", scope)
    return scope["function"], lambda: scope.update(sum=lambda numbers: 7)


@case
def a_builtin_that_a_global_shadows() -> Case:
    return shadowed("x * sum((1, 2))")


@case
def a_builtin_inside_of_a_function_that_a_global_shadows() -> Case:
    return shadowed("(lambda: x * sum(number for number in (1, 2)))()")


@case
def a_builtin_that_is_no_longer_shadowed() -> Case:
    function, _ = shadowed("x * sum((1, 2))")
    scope = function.__globals__  # type: ignore[attr-defined]
    scope["sum"] = lambda numbers: 7
    return function, lambda: scope.pop("sum")


@case
def a_builtin_that_is_replaced() -> Case:
    scope: dict[str, Any] = {"__builtins__": {"sum": sum}}
    exec("def function(x): return x * sum((1, 2))", scope)
    return scope["function"], lambda: scope["__builtins__"].update(sum=lambda numbers: 7)


# -- classes ---------------------------------------------------------------------------------------
@case
def a_list_of_a_class() -> Case:
    class Settings:
        factors: ClassVar[list[float]] = [2.0]

    return lambda x: x * Settings.factors[0], lambda: setattr(Settings, "factors", [3.0])


@case
def a_tensor_of_a_class() -> Case:
    class Settings:
        factor = vector()

    return lambda x: x * Settings.factor, lambda: setattr(Settings, "factor", vector(3.0))


@case
def a_method_that_is_replaced() -> Case:
    class Double:
        def apply(self, x: Any) -> Any:
            return x * 2

    double = Double()
    return lambda x: double.apply(x), lambda: setattr(Double, "apply", lambda self, x: x * 3)


@case
def the_forward_of_a_module_that_is_replaced() -> Case:
    class Double(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2

    return Double(), lambda: setattr(Double, "forward", lambda self, x: x * 3)


@case
def an_attribute_of_a_subclass_in_front_of_that_of_its_base() -> Case:
    class Base:
        factor = 2.0

    class Derived(Base):
        pass

    derived = Derived()
    return lambda x: x * derived.factor, lambda: setattr(Derived, "factor", 3.0)


@case
def a_property_that_is_replaced() -> Case:
    class Settings:
        factor = property(lambda self: 2.0)

    settings = Settings()
    change = property(lambda self: 3.0)
    return lambda x: x * settings.factor, lambda: setattr(Settings, "factor", change)


@case
def what_the_constructor_of_an_object_made_inside_reads() -> Case:
    factors = [2.0]

    class Scaled:
        def __init__(self, x: Any) -> None:
            self.value = x * factors[0]

    return lambda x: Scaled(x).value, lambda: factors.__setitem__(0, 3.0)


class Special:
    """An object that answers by methods that Python calls by itself."""

    def __init__(self) -> None:
        self.hidden = 2

    def __getitem__(self, index: int) -> int:
        return self.hidden

    def __len__(self) -> int:
        return self.hidden

    def __bool__(self) -> bool:
        return self.hidden > 2

    def __float__(self) -> float:
        return float(self.hidden)

    def __iter__(self) -> Any:
        return iter([self.hidden])

    def __enter__(self) -> int:
        return self.hidden

    def __exit__(self, *error: object) -> None: ...


def _entered(special: Special, x: Any) -> Any:
    with special as factor:
        return x * factor


SPECIAL: dict[str, Callable[[Any, Any], Any]] = {
    "item": lambda special, x: x * special[0],
    "length": lambda special, x: x * len(special),
    "truth": lambda special, x: x * 2 if special else x,
    "number": lambda special, x: x * float(special),
    "iteration": lambda special, x: x * sum(special),
    "context": _entered,
}
for _name, _function in SPECIAL.items():

    def special_method(function: Callable[[Any, Any], Any] = _function) -> Case:
        special = Special()
        return lambda x: function(special, x), lambda: setattr(special, "hidden", 3)

    CASES[f"special method: {_name}"] = special_method


@case
def attributes_that_a_method_makes_up() -> Case:
    class Settings:
        def __init__(self) -> None:
            self.found = {"factor": 2.0}

        def __getattr__(self, name: str) -> Any:
            return self.found[name]

    settings = Settings()
    return lambda x: x * settings.factor, lambda: settings.found.__setitem__("factor", 3.0)


# -- objects ---------------------------------------------------------------------------------------
@case
def a_namespace() -> Case:
    settings = types.SimpleNamespace(factor=2.0)
    return lambda x: x * settings.factor, lambda: setattr(settings, "factor", 3.0)


@case
def arguments_of_a_program() -> Case:
    settings = argparse.Namespace(factor=vector())
    return lambda x: x * settings.factor, lambda: setattr(settings, "factor", vector(3.0))


@case
def a_namespace_as_an_argument() -> Case:
    settings = argparse.Namespace(factor=2.0)
    function = grad.compile(lambda x, settings: x * settings.factor)
    return lambda x: function(x, settings), lambda: setattr(settings, "factor", 3.0)


@case
def a_namespace_of_a_module() -> Case:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.settings = types.SimpleNamespace(factor=2.0)

        def forward(self, x: Any) -> Any:
            return x * self.settings.factor

    scale = Scale()
    return scale, lambda: setattr(scale.settings, "factor", 3.0)


@case
def what_each_thread_has_for_itself() -> Case:
    settings = threading.local()
    settings.factor = 2.0
    return lambda x: x * settings.factor, lambda: setattr(settings, "factor", 3.0)


@case
def a_variable_of_the_context() -> Case:
    factor = contextvars.ContextVar("factor", default=2.0)
    return lambda x: x * factor.get(), lambda: factor.set(3.0)


@case
def a_dictionary_of_the_library() -> Case:
    settings = collections.UserDict(factor=2.0)
    return lambda x: x * settings["factor"], lambda: settings.__setitem__("factor", 3.0)


@case
def several_dictionaries() -> Case:
    settings = collections.ChainMap({"factor": 2.0})
    return lambda x: x * settings["factor"], lambda: settings.__setitem__("factor", 3.0)


@case
def the_order_of_a_dictionary() -> Case:
    factors = {"first": 2.0, "second": 1.0}

    def function(x: Any) -> Any:
        for factor in factors.values():
            x = x * factor + 1
        return x

    return function, lambda: factors.__setitem__("first", factors.pop("first"))


class Empty:
    pass


@case
def an_attribute_by_its_name() -> Case:
    settings, name = Empty(), "factor"
    settings.factor = 2.0  # type: ignore[attr-defined]
    return lambda x: x * getattr(settings, name), lambda: setattr(settings, "factor", 3.0)


@case
def an_attribute_by_a_name_that_is_made() -> Case:
    settings = Empty()
    settings.factor1 = [2.0]  # type: ignore[attr-defined]
    return (
        lambda x: x * getattr(settings, f"factor{1}")[0],
        lambda: settings.factor1.__setitem__(0, 3.0),  # type: ignore[attr-defined]
    )


@case
def all_attributes() -> Case:
    settings = Empty()
    settings.factor = 2.0  # type: ignore[attr-defined]
    return lambda x: x * vars(settings)["factor"], lambda: setattr(settings, "factor", 3.0)


@case
def whether_there_is_an_attribute() -> Case:
    settings = Empty()
    return (
        lambda x: x * 2 if hasattr(settings, "factor") else x,
        lambda: setattr(settings, "factor", 3.0),
    )


def test_attributes_that_are_not_read_may_change() -> None:
    settings = types.SimpleNamespace(factor=2.0, calls=0)
    compiled = grad.compile(lambda x: x * getattr(settings, "factor", 1.0))
    for calls in range(6):
        settings.calls = calls
        assert compiled(vector()).tolist() == [2.0, 4.0]
    assert compiled.recordings == 1


@case
def a_function_with_a_cache_that_is_cleared() -> Case:
    factors = [2.0]

    @functools.lru_cache
    def factor(number: int) -> float:
        return factors[0] * number

    function = grad.compile(lambda x: x * factor(1))  # in both runs, for the calls before
    function(vector())
    factors[0] = 3.0
    return lambda x: x * factor(1), factor.cache_clear


@case
def an_object_that_gets_another_class() -> Case:
    held, other = numbered()(), numbered()
    other.inner = 3.0
    return lambda x: x * held.inner, lambda: setattr(held, "__class__", other)


@case
def a_module_that_gets_another_class() -> Case:
    class Double(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2

    class Triple(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 3

    module = Double()
    return lambda x: module(x), lambda: setattr(module, "__class__", Triple)


@case
def a_class_that_gets_another_base() -> Case:
    class Other:
        inner = 3.0

    kind = type("Kind", (type("Base", (), {"inner": 2.0}),), {})
    held: Any = kind()
    return lambda x: x * held.inner, lambda: setattr(kind, "__bases__", (Other,))


@case
def an_array_of_ctypes() -> Case:
    factor = ctypes.c_float(2.0)
    return lambda x: x * factor.value, lambda: setattr(factor, "value", 3.0)


@case
def a_queue() -> Case:
    waiting: Any = queue.Queue()
    return lambda x: x * waiting.qsize(), lambda: waiting.put(1)


@case
def a_list_of_a_module_of_the_standard_library() -> Case:
    length = len(sys.path)
    # The change is one for both runs.
    return lambda x: x * (len(sys.path) - length), lambda: sys.path.append("of_a_test")


@case
def a_file_that_is_read() -> Case:
    path = os.path.join(tempfile.mkdtemp(), "factor")

    def write(factor: str) -> None:
        with open(path, "w") as file:
            file.write(factor)

    def function(x: Any) -> Any:
        with open(path) as file:
            return x * float(file.read())

    write("2")
    return function, lambda: write("3")


# -- by names that are made up ---------------------------------------------------------------------
class Numbered:
    """Has attributes and methods with numbers."""

    factor1 = 2.0

    def get1(self) -> float:
        return self.inner  # type: ignore[attr-defined]


def numbered() -> Any:
    return type("Numbered", (Numbered,), {"inner": 2.0})


@case
def a_class_attribute_by_a_name_that_is_made_up() -> Case:
    kind, number = numbered(), 1
    return lambda x: x * getattr(kind, f"factor{number}"), lambda: setattr(kind, "factor1", 3.0)


@case
def an_attribute_of_a_class_by_a_name_that_is_made_up() -> Case:
    kind, number = numbered(), 1
    held = kind()
    return lambda x: x * getattr(held, f"factor{number}"), lambda: setattr(kind, "factor1", 3.0)


@case
def a_method_by_a_name_that_is_made_up() -> Case:
    kind, number = numbered(), 1
    held = kind()
    return lambda x: x * getattr(held, f"get{number}")(), lambda: setattr(kind, "inner", 3.0)


@case
def a_class_attribute_that_is_missing_at_first() -> Case:
    kind, number = numbered(), 2
    held = kind()
    return (
        lambda x: x * getattr(held, f"factor{number}", 1.0),
        lambda: setattr(kind, "factor2", 3.0),
    )


@case
def the_dictionary_of_a_class() -> Case:
    kind = numbered()
    return lambda x: x * kind.__dict__["inner"], lambda: setattr(kind, "inner", 3.0)


@case
def vars_of_a_class() -> Case:
    kind = numbered()
    return lambda x: x * vars(kind)["inner"], lambda: setattr(kind, "inner", 3.0)


@case
def the_names_of_a_class() -> Case:
    kind = numbered()
    return lambda x: x * len(dir(kind)), lambda: setattr(kind, "other", 3.0)


@case
def a_global_of_a_module_by_a_name_that_is_made_up() -> Case:
    module, number = types.ModuleType("of_a_test"), 1
    module.factor1 = 2.0  # type: ignore[attr-defined]
    return lambda x: x * getattr(module, f"factor{number}"), lambda: setattr(module, "factor1", 3.0)


@case
def vars_of_a_module() -> Case:
    module = types.ModuleType("of_a_test")
    module.factor = 2.0  # type: ignore[attr-defined]
    return lambda x: x * vars(module)["factor"], lambda: setattr(module, "factor", 3.0)


# -- functions -------------------------------------------------------------------------------------
@case
def the_code_of_a_function() -> Case:
    def inner(x: Any) -> Any:
        return x * 2

    def other(x: Any) -> Any:
        return x * 3

    return lambda x: inner(x), lambda: setattr(inner, "__code__", other.__code__)


@case
def the_defaults_of_a_function() -> Case:
    def inner(x: Any, factor: float = 2.0) -> Any:
        return x * factor

    return lambda x: inner(x), lambda: setattr(inner, "__defaults__", (3.0,))


@case
def an_attribute_of_a_function() -> Case:
    def inner(x: Any) -> Any:
        return x * inner.factor  # type: ignore[attr-defined]

    inner.factor = 2.0  # type: ignore[attr-defined]
    return inner, lambda: setattr(inner, "factor", 3.0)


@case
def what_a_decorator_reads() -> Case:
    factors = [2.0]

    def scaled(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(x: Any) -> Any:
            return function(x) * factors[0]

        return wrapper

    @scaled
    def inner(x: Any) -> Any:
        return x + 1

    return lambda x: inner(x), lambda: factors.__setitem__(0, 3.0)


@case
def what_a_compiled_function_inside_reads() -> Case:
    factors = [2.0]
    inner = grad.compile(lambda x: x * factors[0])
    return lambda x: inner(x) + 1, lambda: factors.__setitem__(0, 3.0)


# -- tensors ---------------------------------------------------------------------------------------
@case
def an_attribute_of_a_tensor() -> Case:
    parameter = vector()
    parameter.factor = 2.0
    return lambda x: x * parameter * parameter.factor, lambda: setattr(parameter, "factor", 3.0)


@case
def the_shape_of_a_tensor() -> Case:
    weight = grad.arange(4.0).reshape(2, 2)
    return lambda x: x @ weight, lambda: weight.t_()


@case
def an_axis_of_a_tensor() -> Case:
    weight = grad.arange(2.0)
    return lambda x: x * weight, lambda: weight.unsqueeze_(1)


@case
def the_scale_of_gradients() -> Case:
    scaler = grad.amp.GradScaler("cpu", init_scale=2.0)
    return lambda x: x * scaler.get_scale(), lambda: scaler.update(8.0)


@case
def a_setting_of_autocast() -> Case:
    lower = grad.autocast("cpu")

    def function(x: Any) -> Any:
        with lower:
            return (x * 1.001 @ x).float()

    return function, lambda: setattr(lower, "enabled", False)


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen(name: str) -> None:
    found = []
    for wrap in (grad.compile, lambda function: function):
        function, change = CASES[name]()
        function = wrap(function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it runs uncompiled, perhaps
            before = [function(vector()).tolist() for _ in range(4)]
            change()
            after = [function(vector()).tolist() for _ in range(4)]
        assert before[-1] != after[0]
        found.append(before + after)
    assert found[0] == found[1]


@pytest.mark.parametrize("read", ["param_groups", "get_last_lr", "last_epoch"])
def test_rates_that_the_function_reads(read: str) -> None:
    optimizer = optim.SGD([vector().requires_grad_()], lr=0.5)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    functions: dict[str, Callable[[], float]] = {
        "param_groups": lambda: optimizer.param_groups[0]["lr"],
        "get_last_lr": lambda: schedule.get_last_lr()[0],
        "last_epoch": lambda: schedule.last_epoch,
    }
    number = functions[read]
    compiled = grad.compile(lambda x: x * number())
    for _ in range(5):
        assert compiled(grad.ones(())).item() == number()
        optimizer.step()
        schedule.step()


def test_a_rate_that_the_function_sets() -> None:
    def train(make: Callable[..., Any]) -> list[Any]:
        parameter = vector().requires_grad_()
        optimizer = optim.SGD([parameter], lr=0.5)

        def step(x: Any) -> None:
            optimizer.zero_grad()
            (parameter * x).sum().backward()
            optimizer.step()
            optimizer.param_groups[0]["lr"] *= 0.5

        step, found = make(step), []
        for _ in range(6):
            step(grad.tensor(1.0))
            found.append(parameter.tolist())
        return found

    assert train(grad.compile) == train(lambda function: function)


def test_warnings_that_become_errors() -> None:
    def function(x: Any) -> Any:
        try:
            warnings.warn("of a test", RuntimeWarning, stacklevel=2)
        except RuntimeWarning:
            return x * 2
        return x

    compiled = grad.compile(function)
    for action in ("ignore", "error", "ignore"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)  # type: ignore[arg-type]
            for _ in range(4):
                assert compiled(vector()).tolist() == function(vector()).tolist()


def test_a_function_of_the_library_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = grad.compile(lambda x: nn.functional.relu(x))
    for _ in range(4):
        assert compiled(vector()).tolist() == [1.0, 2.0]
    monkeypatch.setattr(nn.functional, "relu", lambda x: x * 3)
    for _ in range(4):
        assert compiled(vector()).tolist() == [3.0, 6.0]


# -- where tensors lie -----------------------------------------------------------------------------
PLACES: dict[str, Callable[[Any], Any]] = {
    "offset": lambda x: x + x.storage_offset(),
    "of a view": lambda x: x + x[1:].storage_offset(),
    "as_strided": lambda x: x.as_strided((2,), (1,), 1) * 1,
    "written to": lambda x: x.mul_(1) * x._version,
    "retained": lambda x: x * (2 if x.retains_grad else 3),
}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_value_and_differs_from_call_to_call(name: str) -> None:
    function = PLACES[name]
    found = []
    for call in (grad.compile(function), function):
        memory = grad.arange(8.0)
        kept = grad.ones(2).requires_grad_() * 1
        kept.retain_grad()
        given = [memory[:2], memory[2:4], memory[4:6]]
        if name == "retained":
            given = [grad.ones(2).requires_grad_() * 1, kept]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append([call(x).tolist() for x in given for _ in range(4)])
    assert found[0] == found[1]


def test_a_view_that_would_leave_its_memory() -> None:
    compiled, memory = grad.compile(lambda x: x.as_strided((4,), (1,)) * 1), grad.arange(8.0)
    for _ in range(4):
        assert compiled(memory[:2]).tolist() == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(grad.errors.ShapeError):
        compiled(memory[6:])


# -- arguments -------------------------------------------------------------------------------------
def test_attributes_of_an_argument() -> None:
    compiled = grad.compile(lambda x: x * x.factor)
    for factor in (2.0, 2.0, 2.0, 3.0, 4.0):
        x = vector()
        x.factor = factor
        assert compiled(x).tolist() == (x * factor).tolist()


def test_whether_an_argument_is_a_leaf() -> None:
    compiled = grad.compile(lambda x: x * 2 if x.is_leaf else x * 3)
    for _ in range(4):
        x = vector().requires_grad_()
        assert compiled(x).tolist() == [2.0, 4.0]
        assert compiled(x * 1).tolist() == [3.0, 6.0]


def test_checks_of_a_call_that_is_not_recorded() -> None:
    def hooks(x: Any, index: Any) -> Any:
        result = x[index]
        x.register_hook(lambda slope: None)
        return result

    def keeps(x: Any, index: Any) -> Any:
        result = x[index]
        result.retain_grad()
        return result

    def switches(x: Any, index: Any) -> Any:
        result = x[index]
        grad.set_grad_enabled(True)
        grad.set_default_dtype(grad.float64)
        return result

    for function in (hooks, keeps, switches):
        compiled = grad.compile(function)
        try:
            for index in (0, 5, 1, 7):
                x = vector().requires_grad_()
                if index < 2:
                    assert compiled(x, grad.tensor([index])).item() == index + 1
                else:
                    with pytest.raises(IndexError):
                        compiled(x, grad.tensor([index]))
                grad.set_default_dtype(grad.float32)
        finally:
            grad.set_default_dtype(grad.float32)


# -- where and when the program runs ---------------------------------------------------------------
@pytest.mark.parametrize(
    "read",
    [
        lambda: os.environ["OF_A_TEST"],
        lambda: os.environ.get("OF_A_TEST", ""),
        lambda: os.getenv("OF_A_TEST", ""),
    ],
)
def test_a_variable_of_the_environment(
    read: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = grad.compile(lambda x: x * float(read()))
    for number in range(6):
        monkeypatch.setenv("OF_A_TEST", str(1 + number // 3))
        assert compiled(vector()).tolist() == (vector() * (1 + number // 3)).tolist()


@pytest.mark.parametrize(
    "number",
    [lambda: datetime.datetime.now().microsecond, lambda: uuid.uuid4().int % 1_000_003],
)
def test_what_is_another_number_each_time(number: Callable[[], int]) -> None:
    compiled = grad.compile(lambda x: x * number())
    with pytest.warns(UserWarning, match="uncompiled"):
        assert len({compiled(vector())[0].item() for _ in range(8)}) > 2


def test_a_parameter_and_a_tensor_are_other_calls() -> None:
    compiled = grad.compile(lambda x: x * 2 if isinstance(x, nn.Parameter) else x * 3)
    parameter, tensor = nn.Parameter(vector()), vector().requires_grad_()
    for _ in range(3):
        for _ in range(3):
            assert compiled(parameter).tolist() == [2.0, 4.0]
        for _ in range(3):
            assert compiled(tensor).tolist() == [3.0, 6.0]


# -- saved tensors ---------------------------------------------------------------------------------
@pytest.mark.filterwarnings("error")
def test_asserts_that_pytest_rewrote() -> None:
    """They mention functions of pytest that look at files: only when they fail."""

    @grad.compile
    def doubled(x: Any) -> Any:
        assert x.shape == (2,), "two elements"
        return x * 2

    for first in range(4):
        np.testing.assert_allclose(doubled(vector(first)).numpy(), [2 * first, 4])
    with pytest.raises(AssertionError, match="two elements"):
        doubled(grad.ones(3))


def test_inside_a_checkpoint() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Dropout(0.5))
    compiled = grad.compile(layers)
    for number in range(5):
        found = []
        for function in (compiled, layers):
            grad.manual_seed(number)
            x = grad.arange(6.0).reshape(2, 3).requires_grad_()
            checkpoint(function, x, use_reentrant=False).sin().sum().backward()
            found.append(x.grad.tolist())
        assert found[0] == found[1]


def test_hooks_of_saved_tensors() -> None:
    compiled, seen = grad.compile(lambda x: (x.exp() * x).sum()), []
    for _ in range(5):
        with grad.autograd.graph.saved_tensors_hooks(seen.append, lambda _: grad.zeros(2)):
            x = vector().requires_grad_()
            compiled(x).backward()
        assert seen and x.grad.tolist() == [0.0, 0.0]
        seen.clear()


# -- results and arguments that are no tensors -----------------------------------------------------
class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value


RESULTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "object": (lambda x: Holder(x * 2), lambda result: result.value),
    "function": (lambda x: lambda: x * 2, lambda result: result()),
    "generator": (lambda x: (x * n for n in range(3)), lambda result: sum(result)),
    "mapping": (lambda x: collections.UserDict(value=x * 2), lambda result: result["value"]),
    "inside a list": (lambda x: [Holder(x * 2)], lambda result: result[0].value),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_results_that_hold_tensors(kind: str) -> None:
    function, read = RESULTS[kind]
    compiled = grad.compile(function)
    for number in range(5):
        x = vector(number)
        assert read(compiled(x)).tolist() == read(function(x)).tolist()


def test_results_that_are_changed_afterwards() -> None:
    compiled = grad.compile(lambda x: (x * 2, {1, 2}, np.zeros(2)))
    for _ in range(5):
        _, numbers, array = compiled(vector())
        assert numbers == {1, 2} and not array.any()
        numbers.add(3)
        array += 1


def test_arguments_that_are_filled() -> None:
    def fill(x: Any, found: list[Any], named: dict[str, Any]) -> None:
        found.append(x * 2)
        named["x"] = x * 3

    compiled = grad.compile(fill)
    for number in range(5):
        x, found, named = vector(number), [], {}
        compiled(x, found, named)
        assert found[0].tolist() == (x * 2).tolist() and named["x"].tolist() == (x * 3).tolist()


def test_an_argument_that_is_replaced_in_its_container() -> None:
    def replace(batch: dict[str, Any]) -> None:
        batch["x"] = batch["x"] * 2

    compiled = grad.compile(replace)
    for number in range(5):
        batch = {"x": vector(number)}
        compiled(batch)
        assert batch["x"].tolist() == [2.0 * number, 4.0]
