"""Half-precision parameters with float32 masters train as float32 ones do."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.tensor import Tensor

CASES = [
    (optim.SGD, {"lr": 1e-4}),
    (optim.SGD, {"lr": 1e-4, "momentum": 0.9}),
    (optim.Adam, {"lr": 1e-5}),
    (optim.AdamW, {"lr": 1e-5, "amsgrad": True}),
    (optim.Adadelta, {"lr": 1e-2}),
    (optim.Adafactor, {"lr": 1e-5}),
    (optim.Adagrad, {"lr": 1e-5}),
    (optim.Adamax, {"lr": 1e-5}),
    (optim.ASGD, {"lr": 1e-4}),
    (optim.Muon, {"lr": 1e-5}),
    (optim.NAdam, {"lr": 1e-5}),
    (optim.RAdam, {"lr": 1e-5}),
    (optim.RMSprop, {"lr": 1e-5, "centered": True, "momentum": 0.9}),
    (optim.Rprop, {"lr": 1e-6, "step_sizes": (1e-8, 1e-5)}),
]


def trained(kind, settings, dtype, steps=60, compiled=False, **more):
    """A parameter and its optimiser after `steps` of the same small gradients."""
    parameter = nn.Parameter(grad.linspace(0.5, 2, 8).reshape(2, 4).to(dtype))
    optimizer = kind([parameter], **settings, **more)

    def step():
        optimizer.zero_grad()
        (parameter * 2).sum().backward()
        optimizer.step()

    call = grad.compile(step) if compiled else step
    for _ in range(steps):
        call()
    return parameter, optimizer


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_small_steps_are_not_lost(kind, settings, compiled):
    start = grad.linspace(0.5, 2, 8).reshape(2, 4).to(grad.bfloat16).float().numpy()
    exact = nn.Parameter(grad.tensor(start))
    optimizer = kind([exact], **settings)
    for _ in range(60):
        optimizer.zero_grad()
        (exact * 2).sum().backward()
        optimizer.step()
    expected = exact.detach().numpy()
    parameter, optimizer = trained(
        kind, settings, grad.bfloat16, compiled=compiled, master_weights=True
    )
    state = optimizer.state[parameter]
    assert all(v.dtype is grad.float32 for v in state.values() if isinstance(v, Tensor))
    np.testing.assert_allclose(state["master_param"].numpy(), expected, rtol=1e-6)
    rounded = grad.tensor(expected).to(grad.bfloat16)
    assert parameter.dtype is grad.bfloat16 and (parameter == rounded).all()
    if kind is optim.Adam:  # without masters nothing changes at all
        lost, _ = trained(kind, settings, grad.bfloat16)
        np.testing.assert_array_equal(lost.detach().float().numpy(), start)


def test_what_is_written_elsewhere_counts():
    parameter, optimizer = trained(optim.SGD, {"lr": 1e-4}, grad.bfloat16, master_weights=True)
    with grad.no_grad():
        parameter[0, 0] = 5.0
    master = optimizer.state[parameter]["master_param"].numpy().copy()
    optimizer.step()
    after = optimizer.state[parameter]["master_param"].numpy()
    assert after[0, 0] == pytest.approx(5.0 - 2e-4)
    np.testing.assert_allclose(after.flat[1:], master.flat[1:] - 2e-4, rtol=1e-6)


def test_state_dict_keeps_float32():
    parameter, optimizer = trained(optim.Adam, {"lr": 1e-5}, grad.bfloat16, master_weights=True)
    saved = copy.deepcopy(optimizer.state_dict())
    assert saved["state"][0]["master_param"].dtype is grad.float32
    twin = nn.Parameter(parameter.detach().clone())
    other = optim.Adam([twin], lr=1e-5, master_weights=True)
    other.load_state_dict(saved)
    for one, its in ((parameter, optimizer), (twin, other)):
        its.zero_grad()
        (one * 2).sum().backward()
        its.step()
    for name in ("master_param", "exp_avg", "exp_avg_sq"):
        assert other.state[twin][name].tolist() == optimizer.state[parameter][name].tolist()


def test_only_where_it_is_wanted():
    parameter, optimizer = trained(optim.Adam, {"lr": 1e-5}, grad.float32, 2, master_weights=True)
    assert "master_param" not in optimizer.state[parameter]
    plain = optim.Adam([parameter])
    assert "master_weights" not in plain.state_dict()["param_groups"][0]
    half = nn.Parameter(Tensor.ones(2, dtype=grad.float16))
    grouped = optim.RMSprop([{"params": [half], "master_weights": True}])
    half.sum().backward()
    grouped.step()
    assert grouped.state[half]["master_param"].dtype is grad.float32
    for kind, _ in CASES:
        assert "master_weights" not in kind([grad.ones(2, 2, requires_grad=True)]).defaults
    with pytest.raises(RuntimeError, match="differentiable"):
        optim.SGD([parameter], master_weights=True, differentiable=True)
