"""`Module.compile`: calls recorded in place, names in the state dict unchanged."""

from __future__ import annotations

import copy
import pickle

import numpy as np

import grad
from grad import nn


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
