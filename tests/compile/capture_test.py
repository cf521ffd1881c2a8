"""The ways in which capturing a function has gone wrong elsewhere, one test for each.

Every test runs a function compiled and uncompiled side by side and compares; `Pair` also sees to it
that the compiled one really was replayed, so that a fallback does not pass for a success.
"""

from __future__ import annotations

import gc
import random as python_random
import sys
import threading
import weakref
from collections.abc import Callable
from random import gauss
from random import random as draw
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from numpy.random import normal

import grad
from grad import nn, optim
from grad.compile import Compiled
from grad.errors import CaptureError, IndexOutOfRangeError, OutOfMemoryError

RNG = np.random.default_rng(7)


def random(*shape: int, requires_grad: bool = False) -> grad.Tensor:
    values = RNG.standard_normal(shape).astype(np.float32)
    return grad.tensor(values).requires_grad_(requires_grad)


def replays(compiled: Compiled, *args: Any) -> bool:
    """Whether a call with `args` is replayed: the Python of the function does not run."""
    function, compiled.function = compiled.function, _must_not_run
    try:
        compiled(*args)
    except _RanError:
        return False
    finally:
        compiled.function = function
    return True


class _RanError(Exception):
    pass


def _must_not_run(*args: Any, **kwargs: Any) -> None:
    raise _RanError


def same(a: Any, b: Any) -> bool:
    return np.array_equal(a.detach().numpy(), b.detach().numpy(), equal_nan=True)


def check(function: Callable[..., Any], *calls: tuple[Any, ...]) -> Compiled:
    """The compiled function gives what the function gives, for all `calls`, three times over."""
    compiled = grad.compile(function)
    for _ in range(3):
        for args in calls:
            assert same(compiled(*args), function(*args))
    return compiled


# -- values ----------------------------------------------------------------------------------------
def test_new_values_in_the_same_shapes():
    def function(x, y):
        return (x * y).exp().sum(0)

    compiled = check(function, (random(5, 3), random(3)))
    for _ in range(3):
        x, y = random(5, 3), random(3)
        assert same(compiled(x, y), function(x, y))
    assert compiled.recordings == 1 and replays(compiled, x, y)


def test_other_shapes_dtypes_and_ranks_are_recorded_for_themselves():
    compiled = check(
        lambda x: x * 2 + 1, (random(4),), (random(7),), (random(2, 2).double(),), (random(0, 3),)
    )
    assert compiled.recordings == 4


def test_changed_python_arguments():
    compiled = check(lambda x, n: x * n, *[(random(3), n) for n in (1, 2, 2.0, True, -0.0, 0.0)])
    assert compiled.recordings == 6


def test_minus_zero_is_not_zero():
    compiled = grad.compile(lambda x, n: x * n)
    one = grad.ones(1)
    for _ in range(3):
        assert np.signbit(compiled(one, -0.0).numpy()[0])
        assert not np.signbit(compiled(one, 0.0).numpy()[0])


def test_keyword_and_nested_arguments():
    def function(pair, *, options):
        first, (second,) = pair
        return {"sum": first + second, "scaled": [first * options["by"]]}

    compiled = grad.compile(function)
    for _ in range(4):
        pair = (random(3), [random(3)])
        for by in (2, 3):
            got, wanted = (f(pair, options={"by": by}) for f in (compiled, function))
            assert same(got["sum"], wanted["sum"]) and same(got["scaled"][0], wanted["scaled"][0])


# -- stale constants -------------------------------------------------------------------------------
FACTOR = 2.0


def test_a_global_that_changes():
    compiled = check(lambda x: x * FACTOR, (random(3),))
    globals()["FACTOR"] = 5.0
    try:
        x = random(3)
        assert same(compiled(x), x * 5.0)
    finally:
        globals()["FACTOR"] = 2.0
    assert same(compiled(x), x * 2.0)


def test_a_closure_variable_that_changes():
    factor = 2.0

    def function(x):
        return x * factor

    compiled = check(function, (random(3),))
    factor = 3.0
    x = random(3)
    assert same(compiled(x), x * 3.0)


def test_an_attribute_that_changes():
    class Settings:
        scale = 1.5

        def __init__(self):
            self.shift = 1.0

    settings = Settings()
    compiled = check(lambda x: x * settings.scale + settings.shift, (random(3),))
    x = random(3)
    settings.shift = 4.0
    assert same(compiled(x), x * 1.5 + 4.0)
    settings.scale = 2.5
    assert same(compiled(x), x * 2.5 + 4.0)
    Settings.scale = 9.0  # hidden by the object's own
    assert same(compiled(x), x * 2.5 + 4.0)


def test_a_class_attribute_that_changes():
    class Settings:
        scale = 1.5

    compiled = check(lambda x: x * Settings.scale, (random(3),))
    Settings.scale = 2.0
    x = random(3)
    assert same(compiled(x), x * 2.0)


def test_a_list_captured_by_reference():
    factors = [1.0, 2.0]

    def function(x):
        return sum((x * factor for factor in factors), start=x)

    compiled = check(function, (random(3),))
    x = random(3)
    factors.append(3.0)
    assert same(compiled(x), function(x))
    factors[0] = 7.0
    assert same(compiled(x), function(x))


def test_a_dictionary_captured_by_reference():
    factors = {"a": 1.0}
    compiled = check(lambda x: x * factors["a"], (random(3),))
    factors["a"] = 2.0
    x = random(3)
    assert same(compiled(x), x * 2.0)


def test_a_function_that_it_calls_is_replaced():
    helpers = {"f": lambda x: x + 1}
    compiled = check(lambda x: helpers["f"](x), (random(3),))
    helpers["f"] = lambda x: x - 1
    x = random(3)
    assert same(compiled(x), x - 1)


def test_a_constant_inside_a_function_that_it_calls():
    state = {"n": 1.0}

    def helper(x):
        return x * state["n"]

    def function(x):
        return helper(x) + 1

    compiled = check(function, (random(3),))
    state["n"] = 4.0
    x = random(3)
    assert same(compiled(x), x * 4.0 + 1)


def test_a_numpy_array_captured_by_reference():
    factors = np.ones(3, np.float32)
    compiled = check(lambda x: x * grad.tensor(factors), (random(3),))
    factors[:] = 3.0
    x = random(3)
    assert same(compiled(x), x * 3.0)


def test_a_default_argument_object():
    def function(x, options={"by": 2.0}):  # noqa: B006
        return x * options["by"]

    compiled = check(function, (random(3),))
    function.__defaults__[0]["by"] = 5.0
    x = random(3)
    assert same(compiled(x), x * 5.0)


class Counter:
    def __init__(self):
        self.calls = 0

    def run(self, x):
        self.calls += 1
        return x * self.calls


class LastSeen:
    def run(self, x):
        self.last = x * 2
        return self.last + 1


class Slotted:
    __slots__ = ("scale",)


def test_an_object_that_counts_its_calls():
    counter, other = Counter(), Counter()
    compiled = grad.compile(counter.run)
    for _ in range(5):
        x = random(3)
        assert same(compiled(x), other.run(x))
    assert counter.calls == 5


def test_an_attribute_that_the_function_makes():
    holder, other = LastSeen(), LastSeen()
    compiled = grad.compile(holder.run)
    for _ in range(5):
        x = random(3)
        assert same(compiled(x), other.run(x)) and same(holder.last, other.last)


def test_an_attribute_in_a_slot():
    settings = Slotted()
    settings.scale = 2.0
    compiled = check(lambda x: x * settings.scale, (random(3),))
    settings.scale = 3.0
    x = random(3)
    assert same(compiled(x), x * 3.0)


def test_a_variable_that_the_function_counts_up():
    calls = 0

    def function(x):
        nonlocal calls
        calls += 1
        return x * calls

    compiled = grad.compile(function)
    for count in range(1, 6):
        x = random(3)
        assert same(compiled(x), x * count)


NUMBERS = iter(range(99))
GENERATOR, DRAWS = np.random.default_rng(0), python_random.Random(0)
BIG_ARRAY = np.zeros(99_999, np.float32)
UNGUARDED = {
    "iterator": lambda x: x * next(NUMBERS),
    "random module": lambda x: x * python_random.random(),
    "NumPy's random": lambda x: x * float(np.random.rand()),
    "NumPy array": lambda x: x + grad.tensor(BIG_ARRAY[:3]),
}


@pytest.mark.parametrize("reason", UNGUARDED)
def test_what_cannot_be_guarded_runs_uncompiled(reason):
    compiled = grad.compile(UNGUARDED[reason])
    with pytest.warns(UserWarning, match=reason):
        for _ in range(3):
            compiled(random(3))
    assert not replays(compiled, random(3))


def test_objects_that_come_and_go():
    class Settings:
        def __init__(self, scale):
            self.scale = scale

    compiled = grad.compile(lambda x, settings: x * settings.scale)
    for scale in (1.0, 2.0, 3.0, 4.0):
        settings = Settings(scale)
        for _ in range(3):
            x = random(2)
            assert same(compiled(x, settings), x * scale)
        del settings
        gc.collect()


UNSTEADY = {
    "NumPy's generator": lambda x: x * float(GENERATOR.normal()),
    "Python's generator": lambda x: x * DRAWS.random(),
    "a function of random": lambda x: x * gauss(0, 1),
    "a built-in function of random": lambda x: x * draw(),
    "a function of NumPy's random": lambda x: x * float(normal()),
    "a clock": lambda x: x * (perf_counter() % 1),
}


@pytest.mark.parametrize("source", UNSTEADY)
def test_what_gives_new_values_runs_uncompiled(source):
    compiled = grad.compile(UNSTEADY[source])
    x = random(3)
    compiled(x)
    with pytest.warns(UserWarning, match="module, whose values change"):
        compiled(x)
    assert not same(compiled(x), compiled(x))


# -- frozen branches -------------------------------------------------------------------------------
def test_train_and_eval():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    compiled = grad.compile(model)
    x = random(64, 4)
    with grad.no_grad():
        for _ in range(3):
            model.train()
            assert (compiled(x).numpy() == 0).any()
            model.eval()
            assert same(compiled(x), model(x))


def test_a_branch_on_a_python_value():
    flags = {"relu": True}

    def function(x):
        return x.relu() if flags["relu"] else x.tanh()

    compiled = check(function, (random(9),))
    flags["relu"] = False
    x = random(9)
    assert same(compiled(x), x.tanh())


def test_grad_mode_is_part_of_the_call():
    weight = random(3, requires_grad=True)
    compiled = grad.compile(lambda x: x * weight)
    x = random(3)
    for _ in range(3):
        assert compiled(x).requires_grad
        with grad.no_grad():
            assert not compiled(x).requires_grad


def test_branching_on_a_value_is_refused():
    def function(x):
        return x + 1 if x.sum() > 0 else x - 1

    compiled = grad.compile(function)
    compiled(random(3))
    with pytest.raises(CaptureError, match=r"capture_test.py:\d+ \(`return x \+ 1 if"):
        compiled(random(3))
    assert isinstance(CaptureError("x"), RuntimeError)


@pytest.mark.parametrize(
    "read", [lambda x: x.item(), lambda x: x.tolist(), lambda x: x.numpy(), repr, bool, float]
)
def test_reading_a_value_is_refused(read):
    def function(x):
        read(x.sum())
        return x

    compiled = grad.compile(function)
    compiled(random(1))
    with pytest.raises(CaptureError):
        compiled(random(1))


def test_an_exception_inside_leaves_nothing_half_done():
    total = grad.zeros(3)
    fail = [False]

    def function(x):
        total.add_(x)
        if fail[0]:
            raise KeyError("by hand")
        return total * 2

    compiled = grad.compile(function)
    x = grad.ones(3)
    compiled(x)
    fail[0] = True
    with pytest.raises(KeyError):
        compiled(x)
    fail[0] = False
    for count in range(3, 6):
        assert compiled(x).tolist() == [2.0 * count] * 3
        assert total.tolist() == [1.0 * count] * 3
    # The library itself runs as before: nothing is recorded any more.
    assert (grad.ones(2) + 1).tolist() == [2.0, 2.0]


# -- buffers and aliases ---------------------------------------------------------------------------
def test_results_are_fresh():
    compiled = grad.compile(lambda x: x + 1)
    found = [compiled(grad.full((3,), float(n))) for n in range(6)]
    assert [t.tolist()[0] for t in found] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_a_result_that_is_an_argument():
    compiled = grad.compile(lambda x, y: (x, y[1:], x.T))
    for _ in range(4):
        x, y = random(2, 3), random(5)
        first, second, third = compiled(x, y)
        assert first is x
        y[1] = 42.0
        assert second[0].item() == 42.0
        x[0, 0] = 7.0
        assert third[0, 0].item() == 7.0


def test_two_results_on_one_storage():
    def function(x):
        y = x * 2
        return y, y[0], y.T

    compiled = grad.compile(function)
    for _ in range(4):
        whole, row, turned = compiled(random(3, 3))
        whole.zero_()
        assert row.tolist() == [0.0] * 3 and turned.sum().item() == 0.0


def test_arguments_that_share_memory():
    def function(x, y):
        x.add_(1)
        return x + y

    compiled = grad.compile(function)
    for _ in range(4):
        x, y = random(3), random(3)
        a, b = x.clone(), y.clone()
        assert same(compiled(x, y), function(a, b)) and same(x, a)
    for _ in range(4):
        x = random(3)
        a = x.clone()
        assert same(compiled(x, x), function(a, a)) and same(x, a)
    for _ in range(4):
        x = random(6)
        a = x.clone()
        assert same(compiled(x[:3], x[2:5]), function(a[:3], a[2:5])) and same(x, a)


def test_views_of_one_memory_at_other_distances():
    def function(x, y):
        x.mul_(2)
        return x * 10 + y

    compiled, only_read = grad.compile(function), grad.compile(lambda x, y: x * 10 + y)
    values = random(9)
    for start in (1, 1, 1, 4, 0, 6, 6, 6, 4):
        a, b = values.clone(), values.clone()
        assert same(compiled(a[3:6], a[start : start + 3]), function(b[3:6], b[start : start + 3]))
        assert same(a, b)
        x, y = values[start : start + 3], values[2:5]
        assert same(only_read(x, y), x * 10 + y)
    assert replays(only_read, x, y)


def test_settings_that_the_function_changes():
    def function(x, enabled):
        grad.set_grad_enabled(enabled)
        return x * 2

    compiled = grad.compile(function)
    try:
        for _ in range(4):
            for enabled in (False, True):
                compiled(random(3), enabled)
                assert grad.is_grad_enabled() is enabled
    finally:
        grad.set_grad_enabled(True)


def test_an_argument_that_is_also_known_by_name():
    table = random(4)

    def function(x):
        return x * 2 + table

    compiled = check(function, (table,))
    other = random(4)
    for _ in range(3):
        assert same(compiled(other), other * 2 + table)
        assert same(compiled(table), table * 3)


def test_an_argument_that_is_written_under_another_name():
    total = grad.zeros(3)

    def function(x):
        total.add_(1)
        return x + total

    compiled = grad.compile(function)
    for _ in range(3):
        compiled(random(3))
    total.zero_()
    assert compiled(total).tolist() == [2.0] * 3
    assert compiled(grad.zeros(3)).tolist() == [2.0] * 3


def test_slices_of_a_data_set_compile_once():
    data = random(40, 3)
    compiled = grad.compile(lambda x: (x * 2).sum(0))
    for start in range(0, 40, 4):
        batch = data[start : start + 4]
        assert same(compiled(batch), (batch * 2).sum(0))
    assert compiled.recordings == 1


@pytest.mark.parametrize(
    "view", [lambda x: x.T, lambda x: x[::2], lambda x: x.flip(0), lambda x: x[:, 1]]
)
def test_strided_arguments(view):
    compiled = grad.compile(lambda x: x * 2 + 1)
    for _ in range(4):
        x = view(random(6, 4))
        assert same(compiled(x), x * 2 + 1)


def test_writes_to_views_of_an_argument():
    def function(x):
        x[1:3] += 10
        return x.sum()

    compiled = grad.compile(function)
    for start in (0, 4, 8, 2, 0):
        base = random(16)
        copy = base.clone()
        assert same(compiled(base[start : start + 4]), function(copy[start : start + 4]))
        assert same(base, copy)


def test_state_that_is_written_in_place():
    total = grad.zeros(3)

    def function(x):
        total.mul_(0.5).add_(x)
        return total * 2

    compiled = grad.compile(function)
    wanted = np.zeros(3, np.float32)
    for _ in range(6):
        x = random(3)
        wanted = wanted * np.float32(0.5) + x.numpy()
        assert np.array_equal(compiled(x).numpy(), wanted * 2)
        assert np.array_equal(total.numpy(), wanted)


def test_a_buffer_overwritten_by_an_argument():
    memory = grad.zeros(3)

    def function(x):
        memory.copy_(x)
        return x + 1

    compiled = grad.compile(function)
    for _ in range(5):
        x = random(3)
        compiled(x)
        assert same(memory, x)
        x.zero_()
        assert memory.abs().sum().item() > 0


def test_a_tensor_from_outside_is_read_through_its_storage():
    weight = random(3)
    compiled = check(lambda x: x * weight, (random(3),))
    x = random(3)
    weight.mul_(2)
    assert same(compiled(x), x * weight)
    weight.data = random(3)
    assert same(compiled(x), x * weight)


def test_a_tensor_from_outside_is_replaced():
    holder = {"weight": random(3)}
    compiled = check(lambda x: x * holder["weight"], (random(3),))
    holder["weight"] = random(3)
    x = random(3)
    assert same(compiled(x), x * holder["weight"])


def test_pending_arguments():
    compiled = grad.compile(lambda x: x * 2)
    for _ in range(4):
        x = random(3) + 1
        assert same(compiled(x + 1), (x + 1) * 2)


def test_memory_shared_with_numpy():
    array = np.ones(3, np.float32)
    tensor = grad.from_numpy(array)
    compiled = grad.compile(lambda x: x + tensor)
    for n in range(5):
        array[:] = n
        assert compiled(grad.zeros(3)).tolist() == [float(n)] * 3


def test_writes_to_memory_that_is_lent_to_numpy():
    total = grad.zeros(3)

    def function(x):
        return total.add_(x) * 1

    compiled = grad.compile(function)
    for _ in range(3):
        compiled(grad.ones(3))
    array = total.numpy()
    for count in range(4, 7):
        compiled(grad.ones(3))
        assert array.tolist() == [float(count)] * 3
    array[:] = 0
    assert compiled(grad.ones(3)).tolist() == [1.0] * 3
    del array
    assert compiled(grad.ones(3)).tolist() == [2.0] * 3


def test_nothing_is_kept_alive_but_what_is_needed():
    compiled = grad.compile(lambda x: (x * 2).exp().sum())
    for _ in range(3):
        x = random(100)
        compiled(x)
    reference = weakref.ref(x)
    del x
    gc.collect()
    assert reference() is None


# -- random numbers --------------------------------------------------------------------------------
def test_random_numbers_are_fresh_and_those_of_the_generator():
    def function(x):
        return x + grad.rand(4)

    compiled = grad.compile(function)
    x = grad.zeros(4)
    grad.manual_seed(3)
    found = [compiled(x).tolist() for _ in range(5)]
    grad.manual_seed(3)
    assert found == [function(x).tolist() for _ in range(5)]
    assert len({tuple(values) for values in found}) == 5


def test_random_numbers_that_are_thrown_away_still_count():
    def function(x):
        grad.rand(4)
        return x + grad.rand(4)

    compiled = grad.compile(function)
    x = grad.zeros(4)
    grad.manual_seed(3)
    found = [compiled(x).tolist() for _ in range(5)]
    grad.manual_seed(3)
    assert found == [function(x).tolist() for _ in range(5)]


# -- indices ---------------------------------------------------------------------------------------
def test_indices_are_checked_at_each_replay():
    table = random(5, 3)
    compiled = grad.compile(lambda i: nn.functional.embedding(i, table))
    for _ in range(4):
        index = grad.tensor(RNG.integers(0, 5, 7))
        assert same(compiled(index), table[index])
    for wrong in ([0, 5], [-6, 2], [2**40, 0]):
        full = grad.tensor([0] * 5 + wrong)
        with pytest.raises(IndexOutOfRangeError):
            compiled(full)
    assert same(compiled(index), table[index])


def test_a_failed_check_writes_nothing():
    table, count = random(5, 3), grad.zeros(1)

    def function(index):
        count.add_(1)
        return table[index]

    compiled = grad.compile(function)
    for _ in range(3):
        compiled(grad.tensor([0, 4, -5]))
    with pytest.raises(IndexError):
        compiled(grad.tensor([0, 0, 5]))
    assert count.item() == 3


def test_a_failed_check_in_the_recorded_call_writes_nothing():
    table, count = random(5, 3), grad.zeros(1)
    weight = grad.ones(3).requires_grad_()

    def function(index):
        count.add_(1)
        (table[index] * weight).sum().backward()
        return count * 1

    compiled = grad.compile(function)
    compiled(grad.tensor([0, 4]))
    kept = weight.grad
    before = kept.clone()
    with pytest.raises(IndexError):
        compiled(grad.tensor([0, 5]))
    assert count.item() == 1 and weight.grad is kept and same(kept, before)
    assert compiled(grad.tensor([0, 4])).item() == 2


def test_computed_indices():
    table = random(5, 3)
    compiled = grad.compile(lambda x: table[x.argmax(1)])
    for _ in range(4):
        x = random(6, 5)
        assert same(compiled(x), table[x.argmax(1)])


# -- nesting, threads ------------------------------------------------------------------------------
def test_compiled_inside_compiled():
    inner = grad.compile(lambda x: x * 2)
    outer = check(lambda x: inner(x) + inner(x + 1), (random(3),))
    assert replays(outer, random(3))


def test_recursion():
    @grad.compile
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    for _ in range(4):
        x = random(3)
        assert same(power(x, 3), x * (x * x))


def test_several_threads():
    compiled = grad.compile(lambda x: (x * 2 + 1).sum(1))
    inputs = [random(8, 5) for _ in range(6)]
    wanted = [(x * 2 + 1).sum(1).numpy() for x in inputs]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            if not np.array_equal(compiled(inputs[number]).numpy(), wanted[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_function_that_is_always_new_stops_being_recorded():
    settings = {"scale": 0}
    compiled = grad.compile(lambda x: x * settings["scale"])
    with pytest.warns(UserWarning, match="runs uncompiled from now on"):
        for n in range(100):
            settings["scale"] = n
            x = random(2)
            assert same(compiled(x), x * n)
    assert compiled.recordings < 50


def test_a_number_that_is_always_new_is_warned_of_and_costs_bounded_memory(monkeypatch):
    monkeypatch.setattr(sys.modules[Compiled.__module__], "MOST_KINDS", 16)
    compiled = grad.compile(lambda x, n: x * n)
    with pytest.warns(UserWarning, match="as tensors") as warned:
        for n in range(60):
            x = random(2)
            assert same(compiled(x, n), x * n)
    assert len(warned) == 1
    assert len(compiled._entries) <= 16
    for _ in range(2):
        compiled(random(3), 5)
    assert replays(compiled, random(3), 5)


def test_any_number_of_lengths_and_the_last_ones_are_replayed(monkeypatch):
    monkeypatch.setattr(sys.modules[Compiled.__module__], "MOST_KINDS", 40)
    compiled = grad.compile(lambda x: x * 2 + 1)

    def call_thrice(lengths):
        for _ in range(3):
            for length in lengths:
                x = random(length)
                assert same(compiled(x), x * 2 + 1)
        assert len(compiled._entries) <= 40

    with pytest.warns(UserWarning, match="pad what changes its shape"):
        call_thrice(range(2, 60))
    lengths = range(2, 40)
    call_thrice(lengths)
    assert all(replays(compiled, random(length)) for length in lengths)
    compiled(random(200)), compiled(random(2)), compiled(random(201)), compiled(random(202))
    assert replays(compiled, random(2))
    assert not replays(compiled, random(3))


def test_only_the_gradients_of_the_last_call_are_kept():
    weight = random(300, 300, requires_grad=True)  # more than is ever kept on purpose

    @grad.compile
    def step(x):
        weight.grad = None
        (x @ weight).sum().backward()

    batches = [random(size, 300) for size in (3, 5, 9)]
    expected = [np.repeat(batch.sum(0).numpy()[:, None], 300, 1) for batch in batches]
    seen = []
    for number in (0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 0, 0, 1, 2, 1, 0, 0, 0):
        step(batches[number])
        np.testing.assert_allclose(weight.grad.numpy(), expected[number], rtol=1e-5, atol=1e-5)
        seen.append(weakref.ref(weight.grad.node.buffer))
        gc.collect()
        alive = {id(buffer) for buffer in (found() for found in seen) if buffer is not None}
        assert len(alive) == 1
    held = weight.grad
    for number in (0, 1, 2, 1):
        step(batches[number])
        np.testing.assert_allclose(held.numpy(), expected[0], rtol=1e-5, atol=1e-5)


def test_out_of_memory_leaves_everything_as_it_was():
    total = grad.zeros(1 << 20)

    def function(x):
        total.add_(x)
        return total * 2

    compiled = grad.compile(function)
    x = grad.ones(1 << 20).realize()
    for _ in range(3):
        compiled(x)
    before = grad.get_buffer_memory_stats()
    grad.clear_buffer_cache()
    grad.configure_buffer_pool(limit_bytes=1 << 20)
    try:
        with pytest.raises(OutOfMemoryError):
            compiled(x)
    finally:
        grad.configure_buffer_pool(limit_bytes=before["limit_bytes"])
    assert total.sum().item() == 3 * (1 << 20)
    assert compiled(x).sum().item() == 8 * (1 << 20)


# -- gradients through a replay --------------------------------------------------------------------
def gradients(model: Any, x: grad.Tensor, module: nn.Module) -> list[np.ndarray]:
    result = model(x)
    (result * result).sum().backward()
    found = [p.grad.numpy().copy() for p in module.parameters()] + [x.grad.numpy().copy()]
    for tensor in (*module.parameters(), x):
        tensor.grad = None
    return found


def test_gradients_of_a_compiled_module():
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.LayerNorm(7), nn.Linear(7, 3))
    compiled = grad.compile(model)
    assert set(compiled.state_dict()) == {f"_orig_mod.{name}" for name in model.state_dict()}
    for _ in range(5):
        x = random(4, 5, requires_grad=True)
        for got, wanted in zip(
            gradients(compiled, x, model), gradients(model, x, model), strict=True
        ):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
        with grad.no_grad():
            for parameter in model.parameters():
                parameter.sub_(0.1)


def test_gradients_belong_to_the_values_of_their_call():
    weight = random(3, requires_grad=True)
    compiled = grad.compile(lambda x: (x * weight).exp())
    for _ in range(4):
        x = random(3)
        with grad.no_grad():
            wanted = (x * weight).exp() * x
        result = compiled(x)
        with grad.no_grad():
            weight.add_(1.0)  # after the call, before going backward
        result.sum().backward()
        np.testing.assert_allclose(weight.grad.numpy(), wanted.numpy(), rtol=1e-6)
        weight.grad = None


def test_gradients_keep_values_that_are_overwritten_in_lent_memory():
    weights = [grad.tensor([1.0, 2.0, 3.0]).requires_grad_() for _ in range(2)]
    calls = [lambda x: (x * weights[0]).exp(), grad.compile(lambda x: (x * weights[1]).exp())]
    lent = [weight.detach().numpy() for weight in weights]
    for _ in range(4):
        x = random(3, requires_grad=True)
        found = []
        for call, weight in zip(calls, weights, strict=True):
            result = call(x)
            with grad.no_grad():
                weight.add_(0.5)
            result.sum().backward()
            found.append((x.grad.numpy().copy(), weight.grad.numpy().copy()))
            x.grad = weight.grad = None
        for eager, compiled in zip(*found, strict=True):
            np.testing.assert_allclose(compiled, eager, rtol=1e-6)
    assert np.array_equal(*lent)


def test_a_frozen_parameter():
    model = nn.Linear(3, 2)
    compiled = grad.compile(model)
    x = random(4, 3)
    for frozen in (False, True, False, True):
        model.weight.requires_grad_(not frozen)
        for _ in range(3):
            compiled(x).sum().backward()
            assert (model.weight.grad is None) == frozen
            model.zero_grad()


def test_gradients_of_gradients_are_refused():
    weight = random(3, requires_grad=True)
    compiled = grad.compile(lambda x: (x * weight).exp())
    for _ in range(3):
        result = compiled(random(3))
    with pytest.raises(grad.errors.GradientError, match="compiled"):
        grad.autograd.grad(result.sum(), weight, create_graph=True)


def test_going_backward_twice_is_an_error_as_ever():
    weight = random(3, requires_grad=True)
    compiled = grad.compile(lambda x: (x * weight).exp().sum())
    for _ in range(3):
        result = compiled(random(3))
    result.backward()
    with pytest.raises(grad.errors.GradientError, match="second time"):
        result.backward()


# -- training steps --------------------------------------------------------------------------------
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "dampened": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1),
    "adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}


class Training:
    """A model with its step, compiled or not; the same seed gives the same run."""

    def __init__(self, make: Callable[[Any], Any], compiled: bool) -> None:
        grad.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
        self.optimizer = make(self.model.parameters())
        self.call: Any = grad.compile(self.step) if compiled else self.step

    def step(self, x: grad.Tensor, y: grad.Tensor) -> grad.Tensor:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self) -> list[np.ndarray]:
        tensors = [*self.model.parameters()]
        tensors += [p.grad for p in self.model.parameters()]
        for state in self.optimizer.state.values():
            tensors += [v for v in state.values() if isinstance(v, grad.Tensor)]
        return [t.detach().numpy().copy() for t in tensors]


def batches(count: int, size: int = 8) -> list[tuple[grad.Tensor, grad.Tensor]]:
    return [(random(size, 6), grad.tensor(RNG.integers(0, 3, size))) for _ in range(count)]


def compare(runs: list[Training], work: list[tuple[grad.Tensor, grad.Tensor]]) -> None:
    losses = []
    for run in runs:
        grad.manual_seed(5)
        losses.append([run.call(x, y).item() for x, y in work])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    for a, b in zip(*[run.state() for run in runs], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training(name):
    runs = [Training(OPTIMIZERS[name], compiled) for compiled in (False, True)]
    compare(runs, batches(6))
    for run in runs:
        run.optimizer.param_groups[0]["lr"] *= 0.5
    compare(runs, batches(4))
    assert runs[1].call.recordings <= 2
    assert replays(runs[1].call, *batches(1)[0])


def test_a_schedule_of_rates_records_nothing_new():
    runs = [Training(OPTIMIZERS["adam"], compiled) for compiled in (False, True)]
    schedules = [optim.lr_scheduler.CosineAnnealingLR(run.optimizer, 20) for run in runs]
    for _ in range(5):
        compare(runs, batches(3))
        for schedule in schedules:
            schedule.step()
    assert runs[1].call.recordings <= 2


def test_a_smaller_last_batch():
    runs = [Training(OPTIMIZERS["adam"], compiled) for compiled in (False, True)]
    for _ in range(3):
        compare(runs, [*batches(4), *batches(1, size=3)])
    assert runs[1].call.recordings <= 3


def test_optimiser_state_that_is_replaced():
    runs = [Training(OPTIMIZERS["adam"], compiled) for compiled in (False, True)]
    compare(runs, batches(4))
    for run in runs:
        run.optimizer.load_state_dict(run.optimizer.state_dict())
    compare(runs, batches(4))


def test_a_setting_of_the_optimiser_that_decides_a_branch():
    runs = [Training(OPTIMIZERS["adam"], compiled) for compiled in (False, True)]
    compare(runs, batches(4))
    for run in runs:
        run.optimizer.param_groups[0]["weight_decay"] = 0.1
    compare(runs, batches(4))


def test_parameters_that_are_loaded():
    runs = [Training(OPTIMIZERS["sgd"], compiled) for compiled in (False, True)]
    compare(runs, batches(4))
    state = {name: random(*value.shape) for name, value in runs[0].model.state_dict().items()}
    for run in runs:
        run.model.load_state_dict(state)
    compare(runs, batches(4))


def test_gradients_that_are_added_up():
    def accumulate(run: Training, x: grad.Tensor, y: grad.Tensor) -> grad.Tensor:
        loss = nn.functional.cross_entropy(run.model(x), y)
        loss.backward()
        return loss

    runs = [Training(OPTIMIZERS["sgd"], False) for _ in range(2)]
    runs[0].call = lambda x, y: accumulate(runs[0], x, y)
    runs[1].call = grad.compile(lambda x, y: accumulate(runs[1], x, y))
    compare(runs, batches(6))


def test_gradients_that_are_dropped_outside_now_and_then():
    weights = [grad.ones(3).requires_grad_() for _ in range(2)]

    def backward(weight: grad.Tensor, x: grad.Tensor) -> None:
        (x * weight).sum().backward()

    calls = [lambda x: backward(weights[0], x), grad.compile(lambda x: backward(weights[1], x))]
    for drop in (1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1):
        x = random(3)
        for call, weight in zip(calls, weights, strict=True):
            if drop:
                weight.grad = None
            call(x)
        assert same(weights[0].grad, weights[1].grad)


def test_a_kept_gradient_is_not_overwritten():
    run = Training(OPTIMIZERS["sgd"], True)
    kept = []
    for x, y in batches(6):
        run.call(x, y)
        gradient = run.model[0].weight.grad
        kept.append((gradient, gradient.numpy().copy()))
    assert len({id(gradient) for gradient, _ in kept}) == 6
    for gradient, values in kept:
        assert np.array_equal(gradient.numpy(), values)


def test_the_same_bits_from_run_to_run():
    found = []
    for _ in range(2):
        run = Training(OPTIMIZERS["adam"], True)
        rng = np.random.default_rng(3)
        for _ in range(5):
            x = grad.tensor(rng.standard_normal((8, 6)).astype(np.float32))
            run.call(x, grad.tensor(rng.integers(0, 3, 8)))
        found.append(run.state())
    for a, b in zip(*found, strict=True):
        assert np.array_equal(a, b)


def test_one_launch_per_step():
    run = Training(OPTIMIZERS["adam"], True)
    work = batches(4)
    for x, y in work:
        run.call(x, y)
    before = grad.engine.cache.hits + grad.engine.cache.misses
    run.call(*work[0])
    assert grad.engine.cache.hits + grad.engine.cache.misses == before


def test_gradients_of_handles_made_inside_on_memory_from_outside():
    """A detached argument is a leaf of the recording, whose gradient belongs to each call alone."""

    def gradient(x):
        leaf = x.detach().requires_grad_()
        (leaf * leaf).sum().backward()
        return leaf.grad

    compiled = grad.compile(gradient)
    for _ in range(5):
        x = grad.randn(7)
        assert same(compiled(x), 2 * x)
    assert compiled.recordings == 1 and replays(compiled, x)


@pytest.mark.parametrize(
    "make", [lambda x: x.detach().requires_grad_(), lambda x: x.clone().detach().requires_grad_()]
)
def test_a_leaf_that_is_returned_has_the_gradient_of_its_own_call(make):
    def leaf_of(x):
        leaf = make(x)
        (leaf * leaf).sum().backward()
        return leaf

    compiled = grad.compile(leaf_of)
    kept = []
    for _ in range(4):
        x = grad.randn(3)
        kept.append((x, compiled(x)))
    for x, leaf in kept:
        assert leaf.requires_grad
        assert same(leaf, x)
        assert same(leaf.grad, 2 * x)


# -- calls that look alike -------------------------------------------------------------------------
def test_a_recording_with_one_tensor_twice_is_not_for_two_tensors():
    f = grad.compile(lambda a, b: a * 2 + b)
    x, y = grad.tensor([1.0, 2.0]), grad.tensor([5.0, 7.0])
    for _ in range(4):
        assert f(x, x).tolist() == [3.0, 6.0]
    assert f(x, y).tolist() == [7.0, 11.0]
    assert f(y, x).tolist() == [11.0, 16.0]
    assert f(x, x).tolist() == [3.0, 6.0]


def test_a_recording_with_two_tensors_serves_one_tensor_twice():
    f = grad.compile(lambda a, b: a * 2 + b)
    x, y = grad.tensor([1.0, 2.0]), grad.tensor([5.0, 7.0])
    for _ in range(4):
        assert f(x, y).tolist() == [7.0, 11.0]
    assert f(x, x).tolist() == [3.0, 6.0]
    assert f(x[:], x).tolist() == [3.0, 6.0]


def test_views_of_another_kind_are_another_recording():
    f = grad.compile(lambda a: a + 1)
    table = grad.arange(24.0).reshape(4, 6)
    for start in (0, 1, 2, 1, 0):
        assert f(table[start : start + 2]).tolist() == (table[start : start + 2] + 1).tolist()
    assert f.recordings == 1
    assert f(table[::2]).tolist() == (table[::2] + 1).tolist()
    assert f(table.T[:2]).tolist() == (table.T[:2] + 1).tolist()
    square = grad.arange(4.0).reshape(2, 2)
    for view in (square, square.T, square, square.T, square[:, [1, 0]], square.flip(0)):
        assert f(view).tolist() == (view + 1).tolist()
