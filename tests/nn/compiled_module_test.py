"""`Module.compile`: calls recorded in place, names in the state dict unchanged; and the modules
that `grad.compile` makes, which pass attributes on and can be copied.
"""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn
from grad.compile import Compiled
from grad.optim.swa_utils import AveragedModel


def model():
    grad.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def test_compile_in_place():
    net = model()
    names = list(net.state_dict())
    x = grad.ones(5, 3)
    expected = net(x)
    assert net.compile() is None
    for _ in range(4):
        result = net(x)
        np.testing.assert_allclose(result.detach().numpy(), expected.detach().numpy(), rtol=1e-6)
        result.sum().backward()
    assert net._compiled_call_impl.recordings == 1
    assert list(net.state_dict()) == names and repr(net) == repr(model())
    np.testing.assert_allclose(
        net[2].bias.grad.numpy(), [20, 20], err_msg="four gradients of five samples"
    )
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin._compiled_call_impl is None
        np.testing.assert_allclose(twin(x).detach().numpy(), expected.detach().numpy(), rtol=1e-6)


def test_hooks_and_parts_that_are_compiled():
    net = model()
    net[0].compile()
    net.compile()
    seen = []
    net.register_forward_hook(lambda module, args, result: seen.append(1) or result * 2)
    x = grad.ones(5, 3)
    expected = model()(x).detach().numpy() * 2
    for _ in range(4):
        np.testing.assert_allclose(net(x).detach().numpy(), expected, rtol=1e-6)
    with grad.no_grad():
        net[2].bias.add_(1)
    np.testing.assert_allclose(net(x).detach().numpy(), expected + 2, rtol=1e-6)


# -- what grad.compile makes of a module -----------------------------------------------------------
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        grad.manual_seed(0)
        self.fc, self.scale = nn.Linear(4, 3), 1.0
        self.drop = nn.Dropout(0.5)
        self.register_buffer("shift", grad.zeros(1))

    @property
    def doubled(self):
        return self.scale * 2

    @doubled.setter
    def doubled(self, value):
        self.scale = value / 2

    def forward(self, x):
        return self.drop(self.fc(x)) * self.scale + self.shift


class Holder(nn.Module):
    """Has a compiled part, and a compiled method of its own."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.part = grad.compile(Scaled().eval())
        self.fast = grad.compile(self.slow)

    def slow(self, x):
        return self.fc(x) + self.part(x)

    def forward(self, x):
        return self.fast(x)


@grad.compile
def add_one(x):
    return x + 1


def add_two(x):
    return x + 2


def input_of(rows=2):
    return grad.arange(4.0 * rows).reshape(rows, 4)


def call_often(call, x=None, times=4):
    """The result of several calls, which are all alike."""
    x = input_of() if x is None else x
    results = [call(x).detach().numpy() for _ in range(times)]
    for result in results:
        np.testing.assert_allclose(result, results[0], rtol=1e-6)
    return results[0]


def test_attributes_are_the_original_ones():
    model = Scaled().eval()
    compiled = grad.compile(model)
    before = call_often(compiled)
    compiled.scale = 3.0
    assert model.scale == 3.0 and "scale" not in compiled.__dict__
    np.testing.assert_allclose(call_often(compiled), before * 3, rtol=1e-6)
    compiled.doubled = 4.0
    assert model.scale == 2.0
    compiled.shift = grad.ones(1)
    assert model.shift.item() == 1
    np.testing.assert_allclose(call_often(compiled), before * 2 + 1, rtol=1e-6)
    compiled.fc = nn.Linear(4, 5)
    assert model.fc is compiled.fc and call_often(compiled).shape == (2, 5)
    assert list(compiled.state_dict()) == [f"_orig_mod.{name}" for name in model.state_dict()]
    compiled.extra = nn.Parameter(grad.ones(2))
    assert "extra" in dict(model.named_parameters())
    assert {"extra", "doubled", "fc", "train"} <= set(dir(compiled))
    for name in ("extra", "scale", "fc"):
        delattr(compiled, name)
        assert not hasattr(model, name) and not hasattr(compiled, name)
    for use in (lambda: compiled.missing, lambda: delattr(compiled, "missing")):
        with pytest.raises(AttributeError, match="'Scaled' object has no attribute 'missing'"):
            use()


def test_mode_is_the_original_one():
    model = Scaled()
    compiled = grad.compile(model)
    assert compiled.training and "training" not in compiled.__dict__
    assert compiled.eval() is compiled
    assert not model.training and not model.drop.training and not compiled.training
    model.train()
    assert compiled.training
    compiled.training = False
    assert not model.training and model.drop.training


def test_what_is_its_own():
    model = Scaled().eval()
    compiled = grad.compile(model)
    expected = call_often(model)
    compiled.register_buffer("own", grad.ones(1))
    compiled.own = grad.zeros(1)
    assert list(compiled._buffers) == ["own"] and compiled.own.item() == 0
    assert not hasattr(model, "own")
    compiled.register_forward_hook(lambda module, args, result: result + 1)
    np.testing.assert_allclose(call_often(compiled), expected + 1, rtol=1e-6)
    compiled.forward = lambda x: x
    np.testing.assert_allclose(compiled(input_of()), input_of().numpy() + 1)
    del compiled.forward
    other = Scaled().eval()
    other.scale = 2.0
    compiled._orig_mod = other
    np.testing.assert_allclose(call_often(compiled), expected * 2 + 1, rtol=1e-6)
    np.testing.assert_allclose(call_often(model), expected, rtol=1e-6)


CONTAINERS: dict[str, Callable[[], Any]] = {
    "sequential": lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
    "list": lambda: nn.ModuleList([nn.Linear(4, 4), nn.ReLU()]),
    "dictionary": lambda: nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.ReLU()}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_have_a_length_and_nothing_more(name):
    """PyTorch's compiled ones do not either; their methods are the original's."""
    compiled = grad.compile(CONTAINERS[name]())
    assert len(compiled) == 2 and compiled
    uses = (iter, reversed, lambda c: c[0], lambda c: "a" in c, lambda c: c + c)
    for use in uses:
        with pytest.raises(TypeError):
            use(compiled)
    if name == "dictionary":
        assert list(compiled.keys()) == ["a", "b"] and compiled.__contains__("a")
        compiled.clear()
    else:
        assert compiled.append(nn.ReLU()) is compiled._orig_mod and len(compiled) == 3
        del compiled._orig_mod[:]
    assert len(compiled) == 0 and not compiled


def test_others_have_no_length():
    compiled = grad.compile(Scaled())
    assert compiled, "PyTorch's raise here"
    with pytest.raises(TypeError, match=r"Scaled does not support len\(\)"):
        len(compiled)


# -- copies ----------------------------------------------------------------------------------------
COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda it, n=n: pickle.loads(pickle.dumps(it, n)) for n in range(6)},
}
EVERY_COPY = pytest.mark.parametrize("way", COPIES)


@EVERY_COPY
def test_copies_of_a_compiled_module(way):
    compiled = grad.compile(Scaled().eval())
    expected = call_often(compiled)
    twin = COPIES[way](compiled)
    assert type(twin) is type(compiled) and twin._orig_mod is not compiled._orig_mod
    assert twin.__dict__["_compiled_orig_mod"].function is twin._orig_mod
    assert twin.__dict__["_compiled_orig_mod"].recordings == 0
    assert list(twin.state_dict()) == list(compiled.state_dict())
    np.testing.assert_allclose(call_often(twin), expected, rtol=1e-6)
    assert twin.__dict__["_compiled_orig_mod"].recordings == 1
    optimizer = grad.optim.SGD(twin.parameters(), 0.1)
    for _ in range(4):
        optimizer.zero_grad()
        twin(input_of()).sum().backward()
        optimizer.step()
    assert all(parameter.grad is None for parameter in compiled.parameters())
    assert abs(call_often(twin) - expected).max() > 1
    np.testing.assert_allclose(call_often(compiled), expected, rtol=1e-6)
    twin.scale = 5.0
    assert compiled.scale == 1.0


def test_copy_that_is_not_deep():
    compiled = grad.compile(Scaled().eval())
    expected = call_often(compiled)
    twin = copy.copy(compiled)
    assert twin._orig_mod is compiled._orig_mod
    assert twin.__dict__["_compiled_orig_mod"].recordings == 0
    twin.register_forward_hook(lambda module, args, result: result + 1)
    np.testing.assert_allclose(call_often(twin), expected + 1, rtol=1e-6)
    np.testing.assert_allclose(call_often(compiled), expected, rtol=1e-6)
    twin._orig_mod = Scaled()
    assert twin._orig_mod is not compiled._orig_mod


@EVERY_COPY
def test_copies_of_what_holds_compiled_parts(way):
    holder = Holder()
    expected = call_often(holder)
    twin = COPIES[way](holder)
    assert isinstance(twin.fast, Compiled) and twin.fast.function.__self__ is twin
    assert twin.fast.recordings == 0
    np.testing.assert_allclose(call_often(twin), expected, rtol=1e-6)
    with grad.no_grad():
        twin.fc.bias.add_(1)
        twin.part.fc.bias.add_(2)
    np.testing.assert_allclose(call_often(twin), expected + 3, rtol=1e-5)
    np.testing.assert_allclose(call_often(holder), expected, rtol=1e-6)
    method = COPIES[way](holder.fast)
    assert method.function.__self__.fast is method is not holder.fast
    np.testing.assert_allclose(call_often(method), expected, rtol=1e-6)


@EVERY_COPY
def test_copies_of_compiled_functions(way):
    assert COPIES[way](add_one) is add_one, "under its name, as functions are"
    compiled = grad.compile(add_two)
    call_often(compiled)
    twin = COPIES[way](compiled)
    assert twin is not compiled and twin.function is add_two and twin.recordings == 0
    assert twin.__name__ == "add_two" and twin.__wrapped__ is add_two
    np.testing.assert_allclose(call_often(twin), input_of().numpy() + 2)


def test_what_cannot_be_pickled():
    compiled = grad.compile(lambda x: x * 3)
    twin = copy.deepcopy(compiled)
    np.testing.assert_allclose(call_often(twin), input_of().numpy() * 3)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(compiled)


def test_averages_of_a_compiled_model():
    compiled = grad.compile(Scaled().eval())
    averaged = AveragedModel(compiled)
    before = call_often(averaged)
    averaged.update_parameters(compiled)
    with grad.no_grad():
        compiled.fc.bias.add_(2)
    averaged.update_parameters(compiled)
    np.testing.assert_allclose(call_often(averaged), before + 1, rtol=1e-5)
    np.testing.assert_allclose(call_often(compiled), before + 2, rtol=1e-5)


def test_copies_in_threads():
    compiled = grad.compile(Scaled().eval())
    expected = call_often(compiled)
    twins = [copy.deepcopy(compiled) for _ in range(3)]
    found: list[Any] = [None] * len(twins)

    def work(number):
        with grad.no_grad():
            twins[number].fc.bias.fill_(number)
        found[number] = call_often(twins[number], times=10)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(twins))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bias = compiled.fc.bias.detach().numpy()
    for number, result in enumerate(found):
        np.testing.assert_allclose(result, expected - bias + number, rtol=1e-5, atol=1e-5)
