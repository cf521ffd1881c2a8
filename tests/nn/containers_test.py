"""Containers of modules behave as the lists and dictionaries they are."""

from __future__ import annotations

import pytest

from grad import nn
from grad.tensor import Tensor


def test_sequential_calls_in_order():
    net = nn.Sequential(nn.Flatten(), nn.Identity(), nn.Unflatten(1, (3, 2)))
    assert tuple(net(Tensor.zeros(4, 2, 3)).shape) == (4, 3, 2)


def test_sequential_indexing_and_slicing():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert isinstance(net[0], nn.ReLU) and isinstance(net[-1], nn.Sigmoid)
    part = net[1:]
    assert isinstance(part, nn.Sequential) and [type(m) for m in part] == [nn.Tanh, nn.Sigmoid]
    assert list(part._modules) == ["1", "2"]
    with pytest.raises(IndexError, match="out of range"):
        net[3]
    with pytest.raises(TypeError):
        nn.Sequential(3)


def test_sequential_changes():
    net = nn.Sequential(nn.ReLU())
    net.append(nn.Tanh()).insert(1, nn.Sigmoid())
    net[0] = nn.GELU()
    assert [type(m) for m in net] == [nn.GELU, nn.Sigmoid, nn.Tanh]
    del net[1]
    assert list(net._modules) == ["0", "1"]
    assert isinstance(net.pop(), nn.Tanh) and len(net) == 1
    assert len(net + nn.Sequential(nn.ReLU(), nn.ReLU())) == 3


def test_sequential_of_names():
    net = nn.Sequential({"first": nn.Linear(1, 1), "second": nn.ReLU()})
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    del net[0]
    assert [name for name, _ in net.named_children()] == ["second"]


def test_module_list():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    layers.extend([nn.ReLU()])
    layers += [nn.Tanh()]
    assert len(layers) == 5 and isinstance(layers[3:], nn.ModuleList)
    assert list(layers.state_dict())[:2] == ["0.weight", "0.bias"]
    with pytest.raises(NotImplementedError):
        layers(1)


def test_module_dict():
    parts = nn.ModuleDict({"a": nn.Linear(1, 1)})
    parts["b"] = nn.ReLU()
    assert list(parts) == ["a", "b"] and "a" in parts and len(parts) == 2
    assert isinstance(parts.pop("b"), nn.ReLU)
    del parts["a"]
    assert not list(parts.items())


def test_parameter_list():
    weights = nn.ParameterList([Tensor.ones(2), nn.Parameter(Tensor.zeros(1))])
    assert len(weights) == 2 and weights[-1].tolist() == [0.0]
    assert [name for name, _ in weights.named_parameters()] == ["0", "1"]
    weights[0] = Tensor.zeros(3)
    assert tuple(weights[0].shape) == (3,) and weights[0].requires_grad
