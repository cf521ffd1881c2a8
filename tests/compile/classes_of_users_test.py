"""Changes that a compiled function must see where they are hard to see.

What it reads is reached by methods in C, by classes that users derive from containers and numbers,
by names that are made up, or is outside of the program.

Each case makes a function and a change, as in reach_test.py; called before and after the change, it
must give the same compiled and as it is.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import os
import pathlib
import types
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import grad
from grad import nn, optim

Case = tuple[Callable[[Any], Any], Callable[[], Any]]
CASES: dict[str, Callable[[], Case]] = {}


def case(make: Callable[[], Case]) -> Callable[[], Case]:
    CASES[make.__name__] = make
    return make


def vector() -> Any:
    return grad.tensor([1.0, 2.0])


class Object:
    """Something with attributes."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


# -- methods in C ----------------------------------------------------------------------------------
def bound(make: Callable[[], tuple[Any, Callable[[], Any], Callable[[], Any]]]) -> None:
    """A case of a method and what changes its object."""

    def made() -> Case:
        _, read, change = make()
        return lambda x: x * read(), change

    CASES[make.__name__] = made


@bound
def the_get_of_a_dictionary() -> Any:
    values = {"factor": 2.0}
    get = values.get
    return values, lambda: get("factor"), lambda: values.update(factor=3.0)


@bound
def the_items_of_a_dictionary() -> Any:
    values = {"factor": 2.0}
    get = values.__getitem__
    return values, lambda: get("factor"), lambda: values.update(factor=3.0)


@bound
def the_length_of_a_list() -> Any:
    values = [1, 1]
    length = values.__len__
    return values, lambda: length(), lambda: values.append(1)


@bound
def the_count_of_a_list() -> Any:
    values = [1, 1]
    count = values.count
    return values, lambda: count(1), lambda: values.append(1)


@bound
def the_item_of_an_array() -> Any:
    array = np.array(2.0)
    item = array.item
    return array, lambda: item(), lambda: array.fill(3.0)


@bound
def a_partial_method_in_c() -> Any:
    values = {"factor": 2.0}
    get = functools.partial(values.get, "factor")
    return values, lambda: get(), lambda: values.update(factor=3.0)


@bound
def the_rate_of_an_optimizer() -> Any:
    optimizer = optim.SGD(nn.Linear(2, 2).parameters(), lr=2.0)
    get = optimizer.param_groups[0].get
    return optimizer, lambda: get("lr"), lambda: optimizer.param_groups[0].update(lr=3.0)


# -- elements and keys -----------------------------------------------------------------------------
@case
def objects_in_a_set() -> Case:
    held = Object(factor=2.0)
    among = {held}
    return lambda x: x * sum(o.factor for o in among), lambda: setattr(held, "factor", 3.0)


@case
def functions_in_a_set() -> Case:
    factors = [2.0]
    functions = {lambda x: x * factors[0]}
    return lambda x: next(f(x) for f in functions), lambda: factors.__setitem__(0, 3.0)


@case
def objects_as_keys() -> Case:
    held = Object(factor=2.0)
    among = {(held, 1): 1}
    return lambda x: x * sum(o.factor for o, _ in among), lambda: setattr(held, "factor", 3.0)


@case
def objects_in_an_array() -> Case:
    held = Object(factor=2.0)
    array = np.array([held], dtype=object)
    return lambda x: x * array[0].factor, lambda: setattr(held, "factor", 3.0)


@case
def a_number_of_another_type_in_a_set() -> Case:
    whole, values = grad.tensor([1, 2]), {2}

    def change() -> None:
        values.clear()
        values.add(2.5 - 0.5)  # type: ignore[arg-type]

    return lambda x: whole * sum(values) + 0 * len(x), change


@case
def a_key_of_another_type() -> Case:
    whole, values = grad.tensor([1, 2]), {2: 0}

    def change() -> None:
        values.clear()
        values[2.5 - 0.5] = 0  # type: ignore[index]

    return lambda x: whole * sum(values) + 0 * len(x), change


@case
def a_range_of_the_same_numbers() -> Case:
    held = Object(numbers=range(0, 3, 2))
    return lambda x: x * held.numbers.stop, lambda: setattr(held, "numbers", range(0, 4, 2))


# -- classes derived from containers and numbers ---------------------------------------------------
def derived(kind: type, *args: Any) -> None:
    """A case of an attribute of an object whose class is derived from `kind`."""

    def made() -> Case:
        value = type("Derived", (kind,), {})(*args)
        value.factor = 2.0
        return lambda x: x * value.factor, lambda: setattr(value, "factor", 3.0)

    CASES[f"an_attribute_of_a_{kind.__name__}"] = made


for kind in (list, dict, set, frozenset, collections.deque, int, float, complex, str, bytes):
    derived(kind)
derived(np.ndarray, (2,))


@case
def a_method_of_a_named_tuple() -> Case:
    factors = {"factor": 2.0}

    class Scale(NamedTuple):
        first: float = 1.0

        def get(self) -> float:
            return self.first * factors["factor"]

        @property
        def now(self) -> float:
            return self.get()

    scale = Scale()
    return lambda x: x * scale.now * scale.get(), lambda: factors.update(factor=3.0)


@case
def a_method_of_a_number() -> Case:
    factors = [2.0]

    class Number(int):
        def get(self) -> float:
            return factors[0]

    number = Number(1)
    return lambda x: x * number.get(), lambda: factors.__setitem__(0, 3.0)


@case
def what_a_dictionary_gives_for_a_missing_key() -> Case:
    factors = [2.0]

    class Table(dict[str, float]):
        def __missing__(self, key: str) -> float:
            return factors[0]

    table = Table()
    return lambda x: x * table["factor"], lambda: factors.__setitem__(0, 3.0)


@case
def what_a_dictionary_makes_by_default() -> Case:
    factors = [2.0]
    table: Any = collections.defaultdict(lambda: factors[0])

    def scaled(x: Any) -> Any:
        result = x * table["factor"]
        del table["factor"]
        return result

    return scaled, lambda: factors.__setitem__(0, 3.0)


@case
def a_number_that_describes_itself_alike() -> Case:
    class Number(float):
        def __repr__(self) -> str:
            return "a number"

    held = Object(factor=Number(2.0))
    return lambda x: x * held.factor, lambda: setattr(held, "factor", Number(3.0))


# -- names that are made up ------------------------------------------------------------------------
def getting(name: str, make: Callable[[], str]) -> None:
    """A case of an attribute that is got by the name that `make` makes."""

    def made() -> Case:
        held = Object(factor=2.0, other=1.0)
        return lambda x: x * getattr(held, make()), lambda: setattr(held, "factor", 3.0)

    CASES[f"a_name_{name}"] = made


class Name(enum.Enum):
    FACTOR = "factor"


prefix, suffix = "fac", "tor"
getting("of_two_parts", lambda: prefix + suffix)
getting("of_a_pattern", lambda: "%stor" % prefix)  # noqa: UP031
getting("in_small_letters", lambda: "FACTOR".lower())
getting("that_is_cut", lambda: "a factor"[2:])
getting("that_is_split", lambda: f"{prefix}tor other".split()[0])
getting("of_an_enumeration", lambda: Name.FACTOR.value)
getting("that_is_a_key", lambda: next(name for name in {"factor": 1}))


@case
def a_name_that_is_an_argument() -> Case:
    held = Object(factor=2.0)
    read = grad.compile(lambda x, name: x * getattr(held, name))
    return lambda x: read(x, "factor"), lambda: setattr(held, "factor", 3.0)


@case
def a_name_without_getattr() -> Case:
    held = Object(factor=2.0)
    name = prefix + suffix
    read = object.__getattribute__
    return lambda x: x * read(held, name), lambda: setattr(held, "factor", 3.0)


@case
def an_object_by_a_name() -> Case:
    held = Object(first=Object(factor=2.0))
    return (
        lambda x: x * getattr(held, "fir" + "st"[:]).factor,
        lambda: setattr(held.first, "factor", 3.0),
    )


@case
def a_slot_by_a_name() -> Case:
    class Slotted:
        __slots__ = ("factor",)

        def __init__(self) -> None:
            self.factor = 2.0

    held = Slotted()
    return lambda x: x * getattr(held, prefix + suffix), lambda: setattr(held, "factor", 3.0)


@case
def the_configuration_of_a_module() -> Case:
    class Scaled(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.settings, self.name = Object(scale_first=2.0), name

        def forward(self, x: Any) -> Any:
            return x * getattr(self.settings, "scale_" + self.name)

    module = Scaled("first")
    return module, lambda: setattr(module.settings, "scale_first", 3.0)


# -- functions that say they are others ------------------------------------------------------------
def wrapping(other: Callable[..., Any]) -> None:
    """A case of a function that `functools.wraps` dresses as `other`."""

    def made() -> Case:
        factors = [2.0]

        @functools.wraps(other)
        def scaled(x: Any) -> Any:
            return x * factors[0]

        return lambda x: scaled(x), lambda: factors.__setitem__(0, 3.0)

    CASES[f"a_function_dressed_as_{other.__qualname__}"] = made


wrapping(nn.functional.relu)
wrapping(grad.Tensor.relu)
wrapping(sum)


@case
def a_method_of_a_module_that_is_replaced() -> Case:
    factors, module = [2.0], nn.ReLU()
    before = module.forward

    @functools.wraps(before)
    def scaled(x: Any) -> Any:
        return before(x) * factors[0]

    module.forward = scaled  # type: ignore[method-assign]
    return module, lambda: factors.__setitem__(0, 3.0)


@case
def a_method_of_a_class_that_a_function_made() -> Case:
    factors = [2.0]
    made = dataclasses.make_dataclass(
        "Made", ["first"], namespace={"get": lambda self: self.first * factors[0]}
    )(1.0)
    return lambda x: x * made.get(), lambda: factors.__setitem__(0, 3.0)


@case
def a_default_of_a_keyword() -> Case:
    def scaled(x: Any, *, factor: float = 2.0) -> Any:
        return x * factor

    defaults: Any = scaled.__kwdefaults__
    return scaled, lambda: defaults.update(factor=3.0)


@case
def what_a_module_gives_for_a_missing_name() -> Case:
    module: Any = types.ModuleType("module_of_a_user")
    factors = [2.0]

    def missing(name: str) -> float:
        return factors[0]

    module.__getattr__ = missing
    return lambda x: x * module.anything, lambda: factors.__setitem__(0, 3.0)


# -- settings of the library -----------------------------------------------------------------------
@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    precision = grad.get_float32_matmul_precision()
    yield
    grad.set_float32_matmul_precision(precision)


@case
def the_seed() -> Case:
    grad.manual_seed(2)
    return lambda x: x * grad.initial_seed(), lambda: grad.manual_seed(3)


@case
def the_precision() -> Case:
    return (
        lambda x: x * len(grad.get_float32_matmul_precision()),
        lambda: grad.set_float32_matmul_precision("high"),
    )


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen(name: str) -> None:
    found = []
    for wrap in (grad.compile, lambda function: function):
        function, change = CASES[name]()
        function = wrap(function)
        before = [function(vector()) for _ in range(4)]
        change()
        after = [function(vector()) for _ in range(4)]
        grad.set_float32_matmul_precision("highest")
        values = [(x.dtype, x.tolist()) for x in (*before, *after)]
        assert values[3] != values[4]
        found.append(values)
    assert found[0] == found[1]


def test_names_that_are_constants_leave_others_alone() -> None:
    """Attributes that nobody can mean may change, and the function is not recorded again."""
    held = Object(factor=2.0, other=1.0)
    compiled = grad.compile(lambda x: x * getattr(held, "factor") * getattr(held, "none", 1.0))  # noqa: B009
    for number in range(6):
        held.other = float(number)
        assert compiled(vector()).tolist() == [2.0, 4.0]
    assert compiled.recordings == 1
    held.none = 3.0
    assert compiled(vector()).tolist() == [6.0, 12.0]


@pytest.mark.parametrize("number", [2.0, 3.0, 2.0])
def test_numbers_of_a_class_as_arguments(number: float) -> None:
    class Number(float):
        def __repr__(self) -> str:
            return "a number"

    def scaled(x: Any, factor: Any) -> Any:
        return x * factor * getattr(factor, "more", 1.0)

    compiled = grad.compile(scaled)
    for value in (2.0, 2.0, 2.0, number, number + 1):
        for more in (1.0, 1.0, 1.0, 5.0):
            given: Any = Number(value)
            given.more = more
            assert compiled(vector(), given).tolist() == scaled(vector(), given).tolist()


def test_attributes_that_an_argument_has_later() -> None:
    compiled = grad.compile(lambda x: x * getattr(x, "factor", 1.0))
    plain, other = vector(), vector()
    other.factor = 3.0
    for _ in range(4):
        assert compiled(plain).tolist() == [1.0, 2.0]
    for factor in (3.0, 3.0, 3.0, 4.0):
        other.factor = factor
        assert compiled(other).tolist() == [factor, 2 * factor]
        assert compiled(plain).tolist() == [1.0, 2.0]


# -- outside of the program ------------------------------------------------------------------------
def test_files_and_directories(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, array = tmp_path / "number", tmp_path / "number.npy"
    functions: list[Callable[[Any], Any]] = [
        lambda x: x * float(text.read_text()),
        lambda x: x * float(np.load(array)),
        lambda x: x * len(os.getcwd()),
        lambda x: x * os.path.exists(tmp_path / "new"),
        lambda x: x * len([*tmp_path.iterdir()]),
        lambda x: x * len(os.listdir(tmp_path)),
    ]
    for number, function in enumerate(functions):
        compiled = grad.compile(function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for turn in range(8):
                text.write_text(str(turn))
                np.save(array, turn)
                if turn == 4:
                    (tmp_path / f"directory{number}").mkdir()
                    (tmp_path / "new").touch()
                    monkeypatch.chdir(tmp_path / f"directory{number}")
                assert compiled(vector()).tolist() == function(vector()).tolist()
        (tmp_path / "new").unlink()


def test_attributes_with_the_names_of_functions_that_read_files() -> None:
    """`load` and `exists` are names like others."""
    held = Object(load=2.0, exists=1.0, stat=1.0)
    compiled = grad.compile(lambda x: np.float64(held.load) * x * held.exists * held.stat)
    for factor in (2.0, 2.0, 2.0, 3.0):
        held.load = factor
        assert compiled(vector()).tolist() == (vector() * factor).tolist()
