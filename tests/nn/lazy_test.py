"""Lazy modules become ordinary ones at their first call."""

from __future__ import annotations

import copy
import pickle

import pytest

import grad
from grad import nn, optim
from grad.tensor import Tensor

CASES = [
    (nn.LazyLinear, (3,), nn.Linear, (2, 5), "in_features", 5),
    (nn.LazyConv1d, (4, 3), nn.Conv1d, (2, 5, 8), "in_channels", 5),
    (nn.LazyConv2d, (4, 3), nn.Conv2d, (5, 8, 8), "in_channels", 5),
    (nn.LazyConv3d, (4, 3), nn.Conv3d, (2, 5, 4, 4, 4), "in_channels", 5),
    (nn.LazyConvTranspose1d, (4, 3), nn.ConvTranspose1d, (2, 5, 8), "in_channels", 5),
    (nn.LazyConvTranspose2d, (4, 3), nn.ConvTranspose2d, (2, 5, 8, 8), "in_channels", 5),
    (nn.LazyConvTranspose3d, (4, 3), nn.ConvTranspose3d, (2, 5, 4, 4, 4), "in_channels", 5),
    (nn.LazyBatchNorm1d, (), nn.BatchNorm1d, (2, 5, 8), "num_features", 5),
    (nn.LazyBatchNorm2d, (), nn.BatchNorm2d, (2, 5, 8, 8), "num_features", 5),
    (nn.LazyBatchNorm3d, (), nn.BatchNorm3d, (2, 5, 2, 2, 2), "num_features", 5),
    (nn.LazyInstanceNorm1d, (), nn.InstanceNorm1d, (2, 5, 8), "num_features", 5),
    (nn.LazyInstanceNorm2d, (), nn.InstanceNorm2d, (2, 5, 8, 8), "num_features", 5),
    (nn.LazyInstanceNorm3d, (), nn.InstanceNorm3d, (2, 5, 2, 2, 2), "num_features", 5),
]


@pytest.mark.parametrize(("lazy", "arguments", "kind", "shape", "name", "size"), CASES)
def test_first_call_decides(lazy, arguments, kind, shape, name, size):
    layer = lazy(*arguments)
    names = list(layer.state_dict())
    assert layer.has_uninitialized_params() and isinstance(layer, kind)
    x = Tensor.ones(*shape)
    result = layer(x)
    assert type(layer) is kind and getattr(layer, name) == size and not layer._forward_pre_hooks
    assert list(layer.state_dict()) == names
    assert all(type(p) is nn.Parameter and p.requires_grad for p in layer.parameters())
    first = arguments if name == "num_features" else arguments[1:]
    other = kind(size, *first) if name == "num_features" else kind(size, *arguments)
    if lazy.__name__.startswith("LazyInstance"):
        other = kind(size, affine=True, track_running_stats=True)
    other.load_state_dict(layer.state_dict())
    assert result.shape == other(x).shape


def test_without_a_shape_nothing_can_be_computed():
    layer = nn.LazyLinear(3)
    assert repr(layer) == "LazyLinear(in_features=0, out_features=3, bias=True)"
    assert repr(layer.weight) == "<UninitializedParameter>"
    for use in (lambda: layer.weight.shape, lambda: layer.weight * 2, lambda: len(layer.weight)):
        with pytest.raises(RuntimeError, match="uninitialized"):
            use()
    with pytest.raises(RuntimeError, match="unbatched"):
        nn.LazyConv2d(4, 3)(Tensor.ones(2, 2))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_lazy_too(duplicate):
    layer = nn.LazyLinear(3).double()
    twin = duplicate(layer)
    assert twin(Tensor.ones(1, 4, dtype=grad.float64)).dtype is grad.float64
    assert type(twin) is nn.Linear and type(layer) is nn.LazyLinear
    assert layer.weight.dtype is grad.float64


def test_loading_gives_shapes():
    full = nn.Linear(4, 3)
    layer = nn.LazyLinear(3)
    layer.load_state_dict(full.state_dict())
    assert not layer.has_uninitialized_params()
    x = Tensor.ones(2, 4)
    assert (layer(x) == full(x)).all() and type(layer) is nn.Linear and layer.in_features == 4
    with pytest.raises(RuntimeError, match="already initialized"):
        full.load_state_dict(nn.LazyLinear(3).state_dict())


def test_lazy_modules_train_after_their_first_call():
    net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
    net(Tensor.ones(1, 3))
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    x, losses = Tensor.ones(4, 3), []
    for _ in range(5):
        optimizer.zero_grad()
        loss = (net(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
