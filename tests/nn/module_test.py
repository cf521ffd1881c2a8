"""`nn.Module`: what it files, finds, saves, loads, converts and prints."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import grad
from grad import nn
from grad.dtype import dtypes
from grad.tensor import Tensor


class Block(nn.Module):
    """A module with one of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.scale = nn.Parameter(Tensor.ones(2))
        self.register_parameter("absent", None)
        self.register_buffer("mean", Tensor.zeros(2))
        self.register_buffer("scratch", Tensor.zeros(1), persistent=False)
        self.count = 3

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.scale + self.mean


def test_members_are_filed_by_what_they_are():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == [
        "scale",
        "linear.weight",
        "linear.bias",
    ]
    assert [name for name, _ in block.named_buffers()] == ["mean", "scratch"]
    assert [name for name, _ in block.named_children()] == ["linear"]
    assert [name for name, _ in block.named_modules()] == ["", "linear"]
    assert block.absent is None and block.count == 3
    assert all(p.requires_grad and p.is_leaf for p in block.parameters())
    assert {"linear", "scale", "mean", "count"} <= set(dir(block))


def test_shared_members_are_found_once():
    first = nn.Linear(2, 2)
    net = nn.Sequential(first, nn.ReLU(), first)
    assert len(list(net.parameters())) == 2
    assert len(list(net.modules())) == 3
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    # A state dict has all names, as in PyTorch, so that it loads into a net that shares nothing.
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_assignment_replaces_and_moves_between_tables():
    block = Block()
    block.scale = nn.Parameter(Tensor.zeros(2))
    assert block.scale.tolist() == [0.0, 0.0]
    block.mean = Tensor.ones(2)
    assert block.state_dict()["mean"].tolist() == [1.0, 1.0]
    block.linear = None
    assert block.linear is None and "linear.weight" not in block.state_dict()
    block.count = nn.Parameter(Tensor.ones(1))
    assert "count" in dict(block.named_parameters()) and "count" not in block.__dict__
    del block.scale
    with pytest.raises(AttributeError, match="no attribute 'scale'"):
        block.scale


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda b: setattr(b, "scale", Tensor.ones(2)), TypeError, "nn.Parameter"),
        (lambda b: setattr(b, "linear", 3), TypeError, "child module"),
        (lambda b: setattr(b, "mean", 3), TypeError, "buffer"),
        (lambda b: b.register_buffer("a.b", Tensor.ones(1)), KeyError, "contain"),
        (lambda b: b.register_buffer("", Tensor.ones(1)), KeyError, "empty"),
        (lambda b: b.register_buffer("count", Tensor.ones(1)), KeyError, "already exists"),
        (lambda b: b.register_buffer("x", [1]), TypeError, "Tensor or None"),
        (lambda b: b.register_parameter("x", Tensor.ones(1)), TypeError, "nn.Parameter"),
        (lambda b: b.add_module("x", 3), TypeError, "Module"),
        (lambda b: b.train("yes"), ValueError, "boolean"),
        (lambda b: b.get_submodule("linear.no"), AttributeError, "no"),
        (lambda b: b.to(dtypes.int64), TypeError, "floating"),
        (lambda b: nn.Module()(1), NotImplementedError, "forward"),
    ],
)
def test_misuse_raises(call, error, match):
    with pytest.raises(error, match=match):
        call(Block())


def test_assignment_before_init_raises():
    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Identity()

    with pytest.raises(AttributeError, match="__init__"):
        Early()


def test_get_by_dotted_name():
    net = nn.Sequential(Block())
    assert net.get_submodule("0.linear") is net[0].linear
    assert net.get_parameter("0.linear.bias") is net[0].linear.bias
    assert net.get_submodule("") is net


def test_train_eval_requires_grad_apply():
    net = nn.Sequential(Block(), nn.Dropout())
    assert net.eval() is net and not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    seen: list[str] = []
    net.apply(lambda m: seen.append(type(m).__name__))
    assert sorted(seen) == ["Block", "Dropout", "Linear", "Sequential"] and seen[-1] == "Sequential"
    assert seen.index("Linear") < seen.index("Block")


def test_zero_grad():
    net = nn.Linear(2, 1)
    net(Tensor.ones(3, 2)).sum().backward()
    kept = net.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.weight.grad is kept and kept.tolist() == [[0.0, 0.0]]
    net.zero_grad()
    assert net.weight.grad is None


def test_state_dict_shares_memory_and_loads_back():
    source, target = Block(), Block()
    state = source.state_dict()
    assert list(state) == ["scale", "mean", "linear.weight", "linear.bias"]
    assert not any(value.requires_grad for value in state.values())
    weight = target.linear.weight
    result = target.load_state_dict(state)
    assert repr(result) == "<All keys matched successfully>"
    assert target.linear.weight is weight
    np.testing.assert_array_equal(weight.detach().numpy(), source.linear.weight.detach().numpy())
    with grad.no_grad():
        source.scale.fill_(7.0)
    assert state["scale"].tolist() == [7.0, 7.0]
    assert target.scale.tolist() == [1.0, 1.0]


def test_state_dict_prefix_and_keep_vars():
    block = Block()
    state = block.state_dict(prefix="net.", keep_vars=True)
    assert state["net.linear.weight"] is block.linear.weight


def test_load_state_dict_says_everything_and_changes_nothing():
    block = Block()
    before = {name: value.numpy().copy() for name, value in block.state_dict().items()}
    state = dict(Block().state_dict())
    del state["scale"]
    state["other"] = Tensor.ones(1)
    state["linear.weight"] = Tensor.ones(5, 5)
    state["mean"] = Tensor.full((2,), 9.0)
    with pytest.raises(RuntimeError) as caught:
        block.load_state_dict(state)
    message = str(caught.value)
    assert message.startswith("Error(s) in loading state_dict for Block:")
    assert 'Missing key(s) in state_dict: "scale"' in message
    assert 'Unexpected key(s) in state_dict: "other"' in message
    assert "size mismatch for linear.weight" in message and "(5, 5)" in message
    for name, value in block.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_load_state_dict_not_strict():
    block = Block()
    result = block.load_state_dict({"mean": Tensor.ones(2), "other": 3}, strict=False)
    assert result.unexpected_keys == ["other"]
    assert result.missing_keys == ["scale", "linear.weight", "linear.bias"]
    assert block.mean.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="expected Tensor"):
        block.load_state_dict({"mean": 3}, strict=False)
    with pytest.raises(TypeError, match="dict-like"):
        block.load_state_dict([1])


def test_load_state_dict_assign_takes_the_tensor():
    block = Block()
    given = Tensor.full((2,), 4.0, dtype=dtypes.float64)
    block.load_state_dict({"scale": given}, strict=False, assign=True)
    assert isinstance(block.scale, nn.Parameter) and block.scale.dtype is dtypes.float64
    assert block.scale.requires_grad


def test_to_converts_floating_members_in_place():
    block = Block()
    block.register_buffer("steps", Tensor.zeros(1, dtype=dtypes.int64))
    weight = block.linear.weight
    block(Tensor.ones(1, 3)).sum().backward()
    values = weight.detach().numpy().copy()
    assert block.double() is block
    assert block.linear.weight is weight and weight.dtype is dtypes.float64
    assert weight.grad.dtype is dtypes.float64 and weight.is_leaf and weight.requires_grad
    assert block.steps.dtype is dtypes.int64 and block.mean.dtype is dtypes.float64
    np.testing.assert_array_equal(weight.detach().numpy(), values.astype(np.float64))
    assert block.half().scale.dtype is dtypes.float16
    assert block.bfloat16().scale.dtype is dtypes.bfloat16
    assert block.to("cpu", dtypes.float32).scale.dtype is dtypes.float32
    assert block.to(Tensor.zeros(1, dtype=dtypes.float64)).scale.dtype is dtypes.float64


def test_hooks_see_and_replace():
    layer = nn.Identity()
    calls: list[str] = []

    def before(module, args):
        calls.append("before")
        return (args[0] * 2,)

    def after(module, args, result):
        calls.append("after")
        return result + 1

    first = layer.register_forward_pre_hook(before)
    second = layer.register_forward_hook(after)
    layer.register_forward_hook(lambda m, a, r: calls.append("first"), prepend=True)
    assert layer(Tensor([3.0])).tolist() == [7.0]
    assert calls == ["before", "first", "after"]
    first.remove()
    second.remove()
    second.remove()
    assert layer(Tensor([3.0])).tolist() == [3.0]


def test_hooks_with_keyword_arguments():
    class Plus(nn.Module):
        def forward(self, x, amount=0):
            return x + amount

    layer = Plus()
    layer.register_forward_pre_hook(lambda m, a, k: (a, {"amount": 5}), with_kwargs=True)
    seen: list[dict] = []
    layer.register_forward_hook(lambda m, a, k, r: seen.append(k), with_kwargs=True)
    assert layer(1, amount=2) == 6 and seen == [{"amount": 5}]


def test_repr_is_that_of_pytorch():
    net = nn.Sequential(nn.Linear(4, 2, bias=False), nn.Sequential(nn.ReLU(), nn.Dropout(0.1)))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=4, out_features=2, bias=False)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Dropout(p=0.1, inplace=False)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.Parameter(Tensor.ones(1))).startswith("Parameter containing:\n")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_independent(duplicate):
    block = Block()
    block.tied = block.linear
    twin = duplicate(block)
    assert isinstance(twin.linear.weight, nn.Parameter)
    assert twin.tied.weight is twin.linear.weight
    np.testing.assert_array_equal(
        twin.linear.weight.detach().numpy(), block.linear.weight.detach().numpy()
    )
    with grad.no_grad():
        twin.scale.fill_(5.0)
    assert block.scale.tolist() == [1.0, 1.0]


def test_parameters_are_tensors_whose_results_are_not_parameters():
    parameter = nn.Parameter(Tensor([1.0, 2.0]))
    assert isinstance(parameter, Tensor) and parameter.is_leaf
    for result in (parameter * 2, parameter.detach(), parameter[0], parameter.reshape(2, 1)):
        assert type(result) is Tensor
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter(grad.arange(3))
    assert not nn.Parameter(grad.arange(3), requires_grad=False).requires_grad
    frozen = nn.Parameter(Tensor([1.0]), requires_grad=False)
    assert not frozen.requires_grad
