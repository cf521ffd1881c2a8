"""Optimisers against their formulas in NumPy, and what they keep, save and refuse."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import engine, nn, optim
from grad.dtype import dtypes
from grad.optim import optimizer as optimizer_module
from grad.optim.numbers import SharedNumbers
from grad.tensor import Tensor

START = np.array([1.0, -2.0, 3.0])
STEPS = 5


def gradients() -> list[np.ndarray]:
    return list(np.random.default_rng(1).normal(size=(STEPS, 3)))


def sgd(p, g, s, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False, **_):
    g = g + weight_decay * p
    if momentum:
        s["v"] = g if "v" not in s else momentum * s["v"] + (1 - dampening) * g
        g = g + momentum * s["v"] if nesterov else s["v"]
    return p - lr * g


def adam(
    p, g, s, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, decoupled=False, **_
):
    if decoupled:
        p = p * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * p
    s["t"] = t = s.get("t", 0) + 1
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    s["top"] = np.maximum(s.get("top", 0), s["v"])
    v = s["top"] if amsgrad else s["v"]
    return p - lr * (s["m"] / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def adamw(p, g, s, lr, weight_decay=1e-2, **settings):
    return adam(p, g, s, lr, weight_decay=weight_decay, decoupled=True, **settings)


def rmsprop(p, g, s, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, **_):
    g = g + weight_decay * p
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    s["m"] = alpha * s.get("m", 0) + (1 - alpha) * g
    v = s["v"] - s["m"] ** 2 if centered else s["v"]
    s["b"] = momentum * s.get("b", 0) + g / (np.sqrt(v) + eps)
    return p - lr * s["b"]


CASES: list[tuple[type[optim.Optimizer], Callable[..., Any], dict[str, Any]]] = [
    (optim.SGD, sgd, {"lr": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "weight_decay": 0.2, "maximize": True}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (optim.Adam, adam, {"lr": 0.1}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.6), "eps": 0.01, "weight_decay": 0.3}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.6), "amsgrad": True, "maximize": True}),
    (optim.AdamW, adamw, {"lr": 0.1}),
    (optim.AdamW, adamw, {"lr": 0.1, "weight_decay": 0.5}),
    (optim.RMSprop, rmsprop, {"lr": 0.1}),
    (optim.RMSprop, rmsprop, {"lr": 0.1, "alpha": 0.5, "momentum": 0.9, "weight_decay": 0.1}),
    (optim.RMSprop, rmsprop, {"lr": 0.1, "alpha": 0.5, "centered": True, "eps": 0.1}),
]
IDS = [f"{kind.__name__}-{'-'.join(map(str, settings))}" for kind, _, settings in CASES]


@pytest.mark.parametrize(("kind", "formula", "settings"), CASES, ids=IDS)
def test_steps_follow_the_formula(kind, formula, settings):
    parameter = nn.Parameter(grad.tensor(START))
    optimizer = kind([parameter], **settings)
    expected, memory = START, {}
    sign = -1 if settings.get("maximize") else 1
    for number, gradient in enumerate(gradients()):
        settings = {**settings, "lr": settings["lr"] / (number + 1)}
        optimizer.param_groups[0]["lr"] = settings["lr"]
        parameter.grad = grad.tensor(gradient)
        optimizer.step()
        expected = formula(expected, sign * gradient, memory, **settings)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-10)
        np.testing.assert_array_equal(parameter.grad.numpy(), gradient)


@pytest.mark.parametrize(("kind", "formula", "settings"), CASES, ids=IDS)
def test_resumed_from_a_state_dict_goes_on_the_same(kind, formula, settings):
    def run(steps, parameter, optimizer):
        for gradient in steps:
            parameter.grad = grad.tensor(gradient)
            optimizer.step()

    first = nn.Parameter(grad.tensor(START))
    optimizer = kind([first], **settings)
    run(gradients()[:3], first, optimizer)
    state = optimizer.state_dict()
    second = nn.Parameter(first.detach().clone())
    resumed = kind([second], **{**settings, "lr": 99.0})
    resumed.load_state_dict(state)
    assert resumed.param_groups[0]["lr"] == settings["lr"]
    run(gradients()[3:], first, optimizer)
    run(gradients()[3:], second, resumed)
    np.testing.assert_array_equal(second.detach().numpy(), first.detach().numpy())


def test_everything_is_computed_after_a_step():
    layer = nn.Linear(3, 2)
    optimizer = optim.Adam(layer.parameters())
    assert all(parameter.node.is_realized for parameter in layer.parameters())
    loss = layer(Tensor.ones(4, 3)).sum()
    loss.backward()
    assert not layer.weight.grad.node.is_realized
    optimizer.step()
    state = optimizer.state[layer.weight]
    for tensor in (layer.weight, layer.bias, layer.weight.grad, state["exp_avg"]):
        assert tensor.node.is_realized
    assert layer.weight.is_leaf and layer.weight.requires_grad


def test_a_changed_rate_is_an_argument_of_the_graph():
    shared = {"lr": 0.5}
    numbers = SharedNumbers([{"lr": 0.25, "momentum": 0.25}, shared, shared, {"lr": 0.5}])
    found = numbers.of(0, dtypes.float32)
    first = found["lr"]
    assert first.node.op.name == "argument" and first.item() == 0.25
    # Equal by chance: kept apart, or the graph would change when they stop being equal.
    assert found["momentum"] is not first
    second = numbers.of(1, dtypes.float32)["lr"]
    assert second is not first and second is numbers.of(2, dtypes.float32)["lr"]
    assert numbers.of(3, dtypes.float32)["lr"] is not second
    assert numbers.of(0, dtypes.float64)["lr"].dtype is dtypes.float64


@pytest.mark.parametrize(("kind", "formula", "settings"), CASES, ids=IDS)
def test_new_numbers_compile_nothing(kind, formula, settings):
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.2), nn.Linear(4, 2))
    optimizer = kind(net.parameters(), **settings)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    misses = []
    for _ in range(5):
        optimizer.zero_grad()
        net(Tensor.ones(4, 3)).sum().backward()
        optimizer.step()
        schedule.step()
        misses.append(engine.cache.misses)
    # The second step may differ from the first, which makes the state; no later one may.
    assert misses[1:] == [misses[1]] * 4


@pytest.mark.parametrize("dtype", [dtypes.float16, dtypes.bfloat16])
def test_half_precision_is_updated_in_float32(dtype):
    parameter = nn.Parameter(Tensor([1.0], dtype=dtype))
    optimizer = optim.SGD([parameter], lr=1e-3)
    parameter.grad = Tensor([8.0], dtype=dtype)
    optimizer.step()
    assert parameter.dtype is dtype
    expected = Tensor([1 - 8e-3]).to(dtype)
    assert parameter.tolist() == expected.tolist()


def test_parameters_without_gradient_are_left_alone():
    used, unused = nn.Parameter(Tensor([1.0])), nn.Parameter(Tensor([1.0]))
    optimizer = optim.Adam([used, unused], lr=0.1)
    used.grad = Tensor([1.0])
    optimizer.step()
    assert unused.tolist() == [1.0] and unused not in optimizer.state
    assert used.item() == pytest.approx(0.9)


def test_closure_is_called_with_gradients_on():
    parameter = nn.Parameter(Tensor([2.0]))
    optimizer = optim.SGD([parameter], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (parameter * parameter).sum()
        loss.backward()
        return loss

    with grad.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 4.0 and parameter.item() == 1.0


def test_groups_have_their_own_settings():
    a, b = nn.Parameter(Tensor([1.0])), nn.Parameter(Tensor([1.0]))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    c = nn.Parameter(Tensor([1.0]))
    optimizer.add_param_group({"params": iter([c]), "lr": 0.25})
    for parameter in (a, b, c):
        parameter.grad = Tensor([1.0])
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == pytest.approx([0.9, 0.5, 0.75])
    assert optimizer.state_dict()["param_groups"][2]["params"] == [2]
    assert "Parameter Group 2" in repr(optimizer) and "lr: 0.25" in repr(optimizer)


def test_zero_grad():
    parameter = nn.Parameter(Tensor([1.0]))
    optimizer = optim.SGD([parameter])
    parameter.grad = Tensor([1.0])
    optimizer.zero_grad(set_to_none=False)
    assert parameter.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert parameter.grad is None


P = [nn.Parameter(Tensor([1.0]))]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: optim.SGD(P, lr=-1.0), ValueError, "Invalid learning rate: -1.0"),
        (lambda: optim.SGD(P, momentum=-1.0), ValueError, "Invalid momentum value"),
        (lambda: optim.SGD(P, weight_decay=-1.0), ValueError, "Invalid weight_decay value"),
        (lambda: optim.SGD(P, nesterov=True), ValueError, "Nesterov"),
        (lambda: optim.Adam(P, lr=math.nan), ValueError, "learning rate"),
        (lambda: optim.Adam(P, betas=(1.0, 0.9)), ValueError, "beta parameter at index 0"),
        (lambda: optim.AdamW(P, eps=-1.0), ValueError, "Invalid epsilon value"),
        (lambda: optim.RMSprop(P, alpha=-1.0), ValueError, "Invalid alpha value"),
        (lambda: optim.SGD([]), ValueError, "empty parameter list"),
        (lambda: optim.SGD(P[0]), TypeError, "iterable"),
        (lambda: optim.SGD([1]), TypeError, "only optimize Tensors"),
        (
            lambda: optim.SGD([{"params": P}, {"params": P[0]}]),
            ValueError,
            "more than one parameter group",
        ),
        (lambda: optim.SGD([P[0] * 2]), ValueError, "non-leaf"),
        (lambda: optim.SGD([{"params": {P[0]}}]), TypeError, "sets"),
        (
            lambda: optim.SGD(P).load_state_dict({"state": {}, "param_groups": []}),
            ValueError,
            "number",
        ),
        (
            lambda: optim.SGD(P).load_state_dict({"state": {}, "param_groups": [{"params": []}]}),
            ValueError,
            "size",
        ),
    ],
)
def test_misuse_raises(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_training_reduces_the_loss():
    grad.manual_seed(0)
    random = np.random.default_rng(0)
    x = grad.tensor(random.normal(size=(64, 4)).astype(np.float32))
    y = (x[:, 0] * x[:, 1]).unsqueeze(1)
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.Adam(net.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_settings_that_change_between_steps_count() -> None:
    """Updates are remembered by what decides them, so a new setting is a new update."""
    torch = pytest.importorskip("torch")
    changes: list[dict[str, Any]] = [{}, {}, {}, {"weight_decay": 0.1}, {}, {}, {"maximize": True}]
    changes += [
        {},
        {"lr": 0.5},
        {"weight_decay": 0, "betas": (0.5, 0.6)},
        {},
        {},
        {"amsgrad": False},
    ]
    values = []
    for library in (grad, torch):
        x = library.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = library.optim.Adam([x], lr=0.1)
        for number, change in enumerate(changes):
            optimizer.param_groups[0].update(change)
            x.grad = library.tensor([1.0, 2.0, float(number)])
            optimizer.step()
        values.append(x.tolist())
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5)


KINDS = [optim.SGD, optim.Adam, optim.AdamW, optim.NAdam, optim.Rprop, optim.ASGD, optim.Adagrad]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickled_optimizer_goes_on(kind) -> None:
    x = grad.tensor([1.0, 2.0], requires_grad=True)
    optimizer = kind([("x", x)], lr=0.1)
    optimizer.register_step_pre_hook(lambda *given: None)
    x.grad = grad.ones(2)
    optimizer.step()
    copied_x, copied = pickle.loads(pickle.dumps((x.detach(), optimizer)))
    (copied_x,) = copied.param_groups[0]["params"]
    assert copied.param_groups[0]["param_names"] == ["x"]
    for tensor, other in ((x, optimizer), (copied_x, copied)):
        tensor.grad = grad.ones(2) * 0.5
        other.step()
    assert copied_x.tolist() == x.tolist()


def test_named_parameters() -> None:
    layer = nn.Linear(2, 1)
    optimizer = optim.SGD(layer.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="with/without names"):
        optimizer.add_param_group({"params": [nn.Parameter(Tensor([1.0]))]})
    with pytest.raises(ValueError, match="names are missing"):
        optim.SGD([("a", nn.Parameter(Tensor([1.0]))), nn.Parameter(Tensor([1.0]))])
    unnamed = optim.SGD(layer.parameters(), lr=0.1)
    optimizer.load_state_dict(unnamed.state_dict())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


def test_a_group_stays_the_dictionary_that_was_given() -> None:
    group = {"params": [nn.Parameter(Tensor([1.0]))], "lr": 0.5}
    optimizer = optim.SGD([group])
    group["lr"] = 0.25
    group["params"][0].grad = Tensor([1.0])
    optimizer.step()
    assert group["params"][0].item() == 0.75


def test_duplicates_in_a_group_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="duplicate"):
        optim.SGD([P[0], P[0]])


def test_hooks_run_in_order() -> None:
    parameter = nn.Parameter(Tensor([1.0]))
    optimizer = optim.SGD([parameter], lr=0.5)
    seen: list[str] = []

    def note(text: str, result: Any = None) -> Any:
        return lambda *given: (seen.append(text), result)[1]

    handles = [
        optimizer_module.register_optimizer_step_pre_hook(note("every pre")),
        optimizer_module.register_optimizer_step_post_hook(note("every post")),
        optimizer.register_step_pre_hook(note("pre")),
        optimizer.register_step_post_hook(note("post")),
    ]
    parameter.grad = Tensor([1.0])
    optimizer.step()
    assert seen == ["every pre", "pre", "post", "every post"] and parameter.item() == 0.5
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 4

    def closure() -> Tensor:
        return Tensor([7.0])

    with optimizer.register_step_pre_hook(lambda o, args, kwargs: ((*args, closure), {})):
        assert optimizer.step().item() == 7.0
    with (
        optimizer.register_step_pre_hook(lambda *given: 3),
        pytest.raises(RuntimeError, match="must return None or a tuple"),
    ):
        optimizer.step()


def test_hooks_of_state_dicts() -> None:
    optimizer = optim.SGD([nn.Parameter(Tensor([1.0]))], lr=0.5)
    seen: list[str] = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("second"))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 1})
    saved = optimizer.state_dict()
    assert seen == ["first", "second"] and saved["note"] == 1
    quicker = {**saved, "param_groups": [{**saved["param_groups"][0], "lr": 4.0}]}
    optimizer.register_load_state_dict_pre_hook(lambda o, state: quicker)
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 4.0 and seen[-1] == "loaded"


class Sign(optim.Optimizer):
    """An optimiser as users write them."""

    def __init__(self, params: Any, lr: Any = optimizer_module.required) -> None:
        super().__init__(params, {"lr": lr})

    @grad.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["step"] = state.get("step", 0) + 1
                    state.setdefault("sum", grad.zeros_like(p)).add_(p.grad)
                    p.add_(p.grad.sign(), alpha=-group["lr"] / state["step"])


def test_an_optimizer_of_the_users() -> None:
    with pytest.raises(ValueError, match="required"):
        Sign([nn.Parameter(Tensor([1.0]))])
    parameter = nn.Parameter(Tensor([1.0, -1.0]))
    optimizer = Sign([parameter], lr=0.5)
    seen: list[Any] = []
    optimizer.register_step_post_hook(lambda *given: seen.append(given))

    def step() -> None:
        optimizer.zero_grad()
        (parameter**2).sum().backward()
        optimizer.step()

    step()
    np.testing.assert_allclose(parameter.detach().numpy(), [0.5, -0.5])
    assert len(seen) == 1
    second = Sign([parameter], lr=0.5)
    second.load_state_dict(optimizer.state_dict())
    assert second.state[parameter]["step"] == 1
    assert second.state[parameter]["sum"].tolist() == [2.0, -2.0]
    # Compiled, its Python counts still: 0.5 / 2, 0.5 / 3 ...
    compiled, expected = grad.compile(step), 0.5
    for number in range(2, 8):
        compiled()
        expected -= math.copysign(0.5 / number, expected)
        np.testing.assert_allclose(parameter.detach().numpy()[0], expected, rtol=1e-5)


def test_a_differentiable_step() -> None:
    """The gradient of what comes after the step, by its start and by what the gradient was made
    of.
    """
    start = grad.tensor([1.0, 2.0], requires_grad=True)
    scale = grad.tensor(3.0, requires_grad=True)
    x = start.clone()
    optimizer = optim.SGD([x], lr=0.1, momentum=0.9, differentiable=True)
    x.grad = scale * start
    optimizer.step()
    x.sum().backward()
    np.testing.assert_allclose(start.grad.numpy(), [1 - 0.1 * 3] * 2, rtol=1e-6)
    assert scale.grad.item() == pytest.approx(-0.1 * 3)
    with pytest.raises(RuntimeError, match="not support"):
        optim.SGD([x], lr=grad.tensor(0.1, requires_grad=True), differentiable=True).step()
    with pytest.raises(RuntimeError, match="`fused`"):
        optim.SGD([start], fused=True, differentiable=True)


def test_steps_have_a_name_in_profiles() -> None:
    parameter = nn.Parameter(Tensor([1.0]))
    optimizer = optim.SGD([parameter], lr=0.5)
    parameter.grad = Tensor([1.0])
    with grad.profiler.profile() as profile:
        optimizer.step()
    assert "Optimizer.step#SGD.step" in [event.name for event in profile.events()]


def test_a_copied_optimizer_goes_on() -> None:
    x = grad.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1, momentum=0.9)
    for _ in range(4):
        x.grad = grad.ones(2)
        optimizer.step()
    copied_x, copied = copy.deepcopy((x, optimizer))
    for pair in ((x, optimizer), (copied_x, copied)):
        for _ in range(4):
            pair[0].grad = grad.ones(2)
            pair[1].step()
    assert copied_x.tolist() == x.tolist()


@pytest.mark.parametrize(
    ("settings", "later"),
    [
        ({"momentum": 0.9, "dampening": 0.3}, {}),
        ({"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1, "maximize": True}, {}),
        ({}, {"momentum": 0.9}),
        ({"momentum": 0.9}, {"dampening": 0.5}),
    ],
)
def test_parameters_alike_start_their_state_each(
    settings: dict[str, Any], later: dict[str, Any]
) -> None:
    """Updates of shapes that were seen before: the one that starts a state is kept for none."""
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).normal(size=(5, 3))
    ours = [grad.tensor(row.copy(), requires_grad=True) for row in start]
    theirs = [torch.tensor(row.copy(), requires_grad=True) for row in start]
    optimizer = optim.SGD(ours, lr=0.1, **settings)
    expected = torch.optim.SGD(theirs, lr=0.1, **settings)
    for step, gradient in enumerate(gradients()):
        if step == 2:
            optimizer.param_groups[0].update(later)
            expected.param_groups[0].update(later)
        for number, (own, other) in enumerate(zip(ours, theirs)):
            own.grad = grad.tensor(gradient * number)
            other.grad = torch.tensor(gradient * number)
        optimizer.step()
        expected.step()
    for own, other in zip(ours, theirs):
        np.testing.assert_allclose(own.detach().numpy(), other.detach().numpy(), rtol=1e-12)


def test_betas_are_of_one_kind():
    parameter = grad.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="either both floats or both Tensors"):
        grad.optim.Adam([parameter], betas=(0.9, grad.tensor(0.99)))
    with pytest.raises(ValueError, match=r"betas\[0\] as a Tensor"):
        grad.optim.AdamW([parameter], betas=(grad.tensor(0.9), grad.tensor(0.99)), foreach=True)
