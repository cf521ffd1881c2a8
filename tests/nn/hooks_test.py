"""Hooks around calls, gradients, saving and loading."""

from __future__ import annotations

import copy

import pytest

import grad
from grad import nn
from grad.nn import hooks
from grad.tensor import Tensor


class Two(nn.Module):
    """Two inputs, two results."""

    def forward(self, x, y):
        return x * 2, y * 3


def test_backward_hooks_see_gradients_and_replace_them():
    seen: list[object] = []
    layer = Two()
    layer.register_full_backward_pre_hook(lambda m, out: seen.append(("pre", out)))
    layer.register_full_backward_hook(lambda m, inside, out: seen.append(("full", inside, out)))
    layer.register_full_backward_hook(lambda m, inside, out: (inside[0] * 10, None))
    x, y = Tensor([1.0], requires_grad=True), Tensor([5.0])
    first, second = layer(x, y)
    (first + second).sum().backward()
    (pre, out), (full, inside, out_again) = seen
    assert (pre, full) == ("pre", "full") and inside[1] is None and inside[0].tolist() == [2.0]
    assert [g if g is None else g.tolist() for g in out] == [[1.0], None]
    assert out_again is out
    assert x.grad.tolist() == [20.0]


def test_backward_pre_hook_replaces_what_comes_back():
    layer = nn.Linear(2, 1, bias=False)
    handle = layer.register_full_backward_pre_hook(lambda m, out: (out[0] * 3,))
    layer(Tensor([[1.0, 2.0]])).sum().backward()
    assert layer.weight.grad.tolist() == [[3.0, 6.0]]
    handle.remove()
    layer.zero_grad()
    layer(Tensor([[1.0, 2.0]])).sum().backward()
    assert layer.weight.grad.tolist() == [[1.0, 2.0]]


def test_backward_hook_without_gradients_of_inputs():
    seen: list[object] = []
    layer = nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda m, inside, out: seen.append((inside, len(out))))
    layer(Tensor([[1.0, 2.0]])).sum().backward()
    assert seen == [((None,), 1)]
    with grad.no_grad():
        layer(Tensor([[1.0, 2.0]]))
    layer.register_full_backward_hook(lambda m, inside, out: (out[0],))
    with pytest.raises(RuntimeError, match="no input requires gradient"):
        layer(Tensor([[1.0, 2.0]])).sum().backward()


def test_backward_hook_in_gradients_of_gradients():
    layer = nn.Linear(2, 1, bias=False)
    layer.register_full_backward_hook(lambda m, inside, out: (inside[0] * 2,))
    x = Tensor([[1.0, 1.0]], requires_grad=True)
    (g,) = grad.autograd.grad(layer(x * x).sum(), x, create_graph=True)
    g.sum().backward()
    expected = (layer.weight * 4).detach().numpy()
    assert (abs(x.grad.numpy() - expected) < 1e-6).all()


def test_hook_that_is_always_called():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    seen: list[object] = []
    layer = Broken()
    layer.register_forward_hook(lambda m, a, r: seen.append("never"))
    layer.register_forward_hook(lambda m, a, r: seen.append(r), always_call=True)
    layer.register_forward_hook(lambda m, a, r: 1 / 0, always_call=True)
    with pytest.raises(ValueError, match="broken"), pytest.warns(UserWarning, match="silenced"):
        layer(1)
    assert seen == [None]


def test_hooks_of_all_modules():
    seen: list[str] = []
    handles = [
        hooks.register_module_forward_pre_hook(lambda m, a: seen.append("before")),
        hooks.register_module_forward_hook(lambda m, a, r: r * 2),
        hooks.register_module_full_backward_hook(lambda m, i, o: seen.append("backward")),
        hooks.register_module_full_backward_pre_hook(lambda m, o: seen.append("pre")),
        hooks.register_module_parameter_registration_hook(lambda m, n, p: seen.append(n)),
        hooks.register_module_module_registration_hook(lambda m, n, p: seen.append(n)),
        hooks.register_module_buffer_registration_hook(lambda m, n, p: seen.append(n)),
    ]
    try:
        x = Tensor([1.0], requires_grad=True)
        result = nn.Identity()(x)
        assert result.tolist() == [2.0]
        result.sum().backward()
        assert seen == ["before", "pre", "backward"]
        seen.clear()
        made = nn.Module()
        made.part = nn.Module()
        made.weight = nn.Parameter(Tensor([1.0]))
        made.register_buffer("mean", Tensor([1.0]))
        assert seen == ["part", "weight", "mean"]
    finally:
        for handle in handles:
            handle.remove()
    assert not hooks.EVERYWHERE.calls
    assert nn.Identity()(Tensor([1.0])).tolist() == [1.0]


def test_recorded_calls_notice_hooks():
    layer = nn.Linear(2, 2)
    call = grad.compile(lambda x: layer(x))
    x = Tensor.ones(1, 2)
    plain = [call(x).tolist() for _ in range(3)][-1]
    for register in (layer.register_forward_hook, hooks.register_module_forward_hook):
        with register(lambda m, a, r: r * 0):
            assert call(x).tolist() == [[0.0, 0.0]]
        assert call(x).tolist() == plain


def test_state_dict_hooks():
    layer = nn.Linear(2, 2)
    seen: list[object] = []
    layer.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))

    def shorten(module, state, prefix, metadata):
        del state[prefix + "bias"]

    layer.register_state_dict_post_hook(shorten)
    net = nn.Sequential(layer)
    assert list(net.state_dict(keep_vars=True)) == ["0.weight"] and seen == [("0.", True)]
    layer.register_state_dict_post_hook(lambda m, state, prefix, meta: state)
    with pytest.raises(RuntimeError, match="must return None"):
        net.state_dict()


def test_load_state_dict_hooks():
    layer = nn.Linear(2, 2)

    def rename(module, state, prefix, *rest):
        state[prefix + "weight"] = state.pop(prefix + "w")

    def forgive(module, keys):
        assert layer.weight.tolist() == [[7.0, 7.0], [7.0, 7.0]]
        keys.missing_keys.clear()

    layer.register_load_state_dict_pre_hook(rename)
    layer.register_load_state_dict_post_hook(forgive)
    net = copy.deepcopy(nn.Sequential(layer))
    assert len(net[0]._load_state_dict_pre_hooks) == 1
    result = nn.Sequential(layer).load_state_dict({"0.w": Tensor.full((2, 2), 7.0)})
    assert repr(result) == "<All keys matched successfully>"
