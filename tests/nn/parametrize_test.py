"""Parametrized parameters, and weights by norms, against NumPy."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.nn import utils
from grad.nn.utils import parametrizations, parametrize
from grad.tensor import Tensor


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T

    def right_inverse(self, x):
        return x.triu()


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2


def values(tensor) -> np.ndarray:
    return tensor.detach().numpy()


def test_registering_reading_assigning_removing():
    layer = nn.Linear(3, 3)
    bias = layer.bias
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    np.testing.assert_array_equal(values(layer.weight), values(layer.weight).T)
    layer.weight = Tensor.ones(3, 3)
    original = layer.parametrizations.weight.original
    np.testing.assert_array_equal(values(original), np.triu(np.ones((3, 3))))
    layer(Tensor.ones(1, 3)).sum().backward()
    np.testing.assert_array_equal(values(original.grad), [[1, 2, 2], [0, 1, 2], [0, 0, 1]])
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert (values(layer.weight) == 2).all() and len(layer.parametrizations.weight) == 2
    with pytest.raises(RuntimeError, match="does not implement right_inverse"):
        layer.weight = Tensor.ones(3, 3)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is original and layer.bias is bias
    assert (values(layer.weight) == 2).all() and list(layer.state_dict()) == ["bias", "weight"]


def test_repr_shows_parametrizations():
    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert repr(layer) == (
        "ParametrizedLinear(\n  in_features=2, out_features=2, bias=True\n"
        "  (parametrizations): ModuleDict(\n    (weight): ParametrizationList(\n"
        "      (0): Symmetric()\n    )\n  )\n)"
    )


def test_cached_computes_once():
    layer = parametrizations.orthogonal(nn.Linear(3, 3))
    assert layer.weight is not layer.weight
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


def test_copies_are_independent():
    layer = nn.Linear(3, 3)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    twin = copy.deepcopy(layer)
    np.testing.assert_array_equal(values(twin.weight), values(layer.weight))
    parametrize.remove_parametrizations(twin, "weight", leave_parametrized=False)
    assert type(twin) is nn.Linear and parametrize.is_parametrized(layer, "weight")
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(layer)


def test_misuse_raises():
    class Half(nn.Module):
        def forward(self, x):
            return x[:1]

    layer = nn.Linear(3, 3)
    with pytest.raises(ValueError, match="may not change the shape"):
        parametrize.register_parametrization(layer, "weight", Half())
    with pytest.raises(ValueError, match="does not have a parameter"):
        parametrize.register_parametrization(layer, "wait", Half())
    with pytest.raises(ValueError, match="does not have a parametrization"):
        parametrize.remove_parametrizations(layer, "weight")
    parametrizations.weight_norm(layer)
    with pytest.raises(ValueError, match="sequence of tensors"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    with pytest.raises(ValueError, match="matrix"):
        parametrizations.orthogonal(nn.Linear(3, 3), "bias")
    with pytest.raises(ValueError, match="orthogonal_map"):
        parametrizations.orthogonal(nn.Linear(3, 3), orthogonal_map="polar")


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_in_both_forms(dim):
    grad.manual_seed(0)
    older, newer = nn.Linear(3, 4), nn.Linear(3, 4)
    start = values(older.weight).copy()
    utils.weight_norm(older, dim=dim)
    parametrizations.weight_norm(newer, dim=dim)
    newer.load_state_dict(older.state_dict())
    with grad.no_grad():
        older.weight_g.mul_(2)
        newer.parametrizations.weight.original0.mul_(2)
    x = Tensor.ones(1, 3)
    assert older(x).tolist() == newer(x).tolist()
    np.testing.assert_allclose(values(older.weight), 2 * start, rtol=1e-5)
    older(x).sum().backward()
    direction = values(older.weight_v)
    over = {0: 1, 1: 0, None: (0, 1)}[dim]
    unit = direction / np.sqrt((direction**2).sum(over, keepdims=True))
    np.testing.assert_allclose(
        values(older.weight_g.grad),
        unit.sum(over, keepdims=dim is not None).squeeze()
        if dim is None
        else unit.sum(over, keepdims=True),
        rtol=1e-5,
        atol=1e-6,
    )
    utils.remove_weight_norm(older)
    assert list(older.state_dict()) == ["bias", "weight"]
    with pytest.raises(ValueError, match="not found"):
        utils.remove_weight_norm(older)


@pytest.mark.parametrize("kind", [utils.spectral_norm, parametrizations.spectral_norm])
def test_spectral_norm_divides_by_the_largest_singular_value(kind):
    grad.manual_seed(0)
    layer = nn.Linear(5, 4)
    weight = values(layer.weight).copy()
    kind(layer)
    for _ in range(40):
        layer(Tensor.ones(1, 5))
    expected = weight / np.linalg.svd(weight)[1][0]
    np.testing.assert_allclose(values(layer.weight), expected, rtol=1e-3, atol=1e-5)
    layer.eval()
    assert layer(Tensor.ones(1, 5)).tolist() == layer(Tensor.ones(1, 5)).tolist()


@pytest.mark.parametrize("shape", [(4, 4), (6, 4), (4, 6)])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
def test_orthogonal(kind, shape):
    grad.manual_seed(0)
    layer = parametrizations.orthogonal(nn.Linear(shape[1], shape[0]), orthogonal_map=kind)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    before = values(layer.weight).copy()
    for _ in range(3):
        optimizer.zero_grad()
        layer(Tensor.ones(2, shape[1])).square().sum().backward()
        optimizer.step()
    weight = values(layer.weight)
    assert abs(weight - before).max() > 1e-3
    small = weight @ weight.T if shape[0] < shape[1] else weight.T @ weight
    np.testing.assert_allclose(small, np.eye(4), atol=1e-5)
    target = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    if shape != (4, 4):
        target = target[: shape[0], : shape[1]] if shape[0] > 4 else target.T[:4]
        layer.weight = grad.tensor(target.astype(np.float32))
        np.testing.assert_allclose(values(layer.weight), target, atol=1e-5)


def test_recorded_steps_train_parametrizations():
    def losses(compiled: bool) -> list[float]:
        grad.manual_seed(0)
        net = nn.Sequential(
            parametrizations.weight_norm(nn.Linear(3, 4)),
            parametrizations.spectral_norm(nn.Linear(4, 4)),
            utils.weight_norm(nn.Linear(4, 2)),
        )
        optimizer = optim.SGD(net.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = (net(x) - 1).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        call = grad.compile(step) if compiled else step
        return [call(Tensor.ones(2, 3)).item() for _ in range(5)]

    eager, recorded = losses(False), losses(True)
    np.testing.assert_allclose(recorded, eager, rtol=1e-5)
    assert eager[-1] < eager[0]


@pytest.mark.parametrize("transposed", [False, True])
def test_fused_batch_norm(transposed):
    grad.manual_seed(0)
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    pair = nn.Sequential(kind(3, 4, 2, bias=transposed), nn.BatchNorm2d(4))
    x = Tensor.randn(4, 3, 5, 5)
    pair(x)
    with pytest.raises(RuntimeError, match="eval"):
        utils.fuse_conv_bn_eval(*pair)
    pair.eval()
    fused = utils.fuse_conv_bn_eval(*pair, transposed)
    np.testing.assert_allclose(values(fused(x)), values(pair(x)), rtol=1e-4, atol=1e-5)
    line = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    line(Tensor.randn(8, 3))
    line.eval()
    x = Tensor.randn(2, 3)
    fused = utils.fuse_linear_bn_eval(*line)
    np.testing.assert_allclose(values(fused(x)), values(line(x)), rtol=1e-4, atol=1e-5)


def test_skip_init_draws_nothing():
    grad.manual_seed(0)
    expected = Tensor.randn(3).tolist()
    grad.manual_seed(0)
    assert tuple(utils.skip_init(nn.Linear, 5, 2).weight.shape) == (2, 5)
    assert Tensor.randn(3).tolist() == expected
    with pytest.raises(RuntimeError, match="Expected a Module"):
        utils.skip_init(3)
