"""Layers against their formulas in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import grad
import grad.nn.functional as F
from grad import nn
from grad.dtype import dtypes
from grad.tensor import Tensor

X = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32) * 3


def tensor(array) -> Tensor:
    return grad.tensor(np.asarray(array))


ACTIVATIONS = [
    (nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    (nn.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    (nn.ELU(1.5), lambda x: np.where(x > 0, x, 1.5 * np.expm1(x))),
    (nn.GELU(), lambda x: x * special.ndtr(x)),
    (
        nn.GELU("tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    (nn.SiLU(), lambda x: x * special.expit(x)),
    (nn.Softplus(2.0, 4.0), lambda x: np.where(2 * x > 4, x, np.log1p(np.exp(2 * x)) / 2)),
    (nn.Sigmoid(), special.expit),
    (nn.LogSigmoid(), lambda x: np.log(special.expit(x))),
    (nn.Tanh(), np.tanh),
    (nn.Hardtanh(-2, 1), lambda x: np.clip(x, -2, 1)),
    (nn.Softmax(dim=1), lambda x: special.softmax(x, axis=1)),
    (nn.LogSoftmax(dim=0), lambda x: special.log_softmax(x, axis=0)),
    (nn.Identity(1, two=2), lambda x: x),
]


@pytest.mark.parametrize(("layer", "reference"), ACTIVATIONS, ids=lambda v: type(v).__name__)
def test_activation(layer, reference):
    expected = reference(X.astype(np.float64))
    np.testing.assert_allclose(layer(tensor(X)).numpy(), expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("layer", [nn.ReLU(inplace=True), nn.ELU(inplace=True)])
def test_inplace_activation_writes_its_input(layer):
    x = tensor(X)
    result = layer(x)
    assert result is x
    np.testing.assert_allclose(x.numpy(), type(layer)()(tensor(X)).numpy())


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize(("shape", "axis"), [((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 2), 0)])
def test_axis_of_softmax_that_is_not_given(name, shape, axis):
    x = grad.randn(shape)
    function = getattr(F, name)
    module = {"softmax": nn.Softmax, "log_softmax": nn.LogSoftmax, "softmin": nn.Softmin}[name]()
    for call in (function, module):
        with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name}") as seen:
            found = call(x)
        assert [warning.filename for warning in seen] == [__file__]
        assert found.tolist() == function(x, dim=axis).tolist()


def test_hardsigmoid_is_flat_at_nan():
    x = grad.tensor([math.nan, -3.0, 0.0, 3.0], requires_grad=True)
    y = F.hardsigmoid(x)
    y.sum().backward()
    np.testing.assert_allclose(y.detach().numpy(), [math.nan, 0, 0.5, 1])
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, 1 / 6, 0])


def test_linear():
    layer = nn.Linear(5, 3)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    np.testing.assert_allclose(
        layer(tensor(X)).detach().numpy(), X @ weight.T + bias, rtol=1e-5, atol=1e-5
    )
    assert tuple(layer(Tensor.zeros(2, 7, 5)).shape) == (2, 7, 3)
    assert tuple(layer(Tensor.zeros(5)).shape) == (3,)
    assert nn.Linear(5, 3, bias=False).bias is None
    assert nn.Linear(2, 2, dtype=dtypes.float64).weight.dtype is dtypes.float64
    with pytest.raises(RuntimeError):
        layer(Tensor.zeros(4, 6))


def test_linear_starts_as_in_pytorch():
    grad.manual_seed(0)
    layer = nn.Linear(100, 400)
    # Allowed: five standard errors of the deviation of so many uniform numbers.
    for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert abs(values).max() <= 0.1 and abs(values).max() > 0.097
        assert abs(values.std() * math.sqrt(3) / 0.1 - 1) < 5 * math.sqrt(0.2 / values.size)


def test_embedding():
    layer = nn.Embedding(7, 3, padding_idx=-1)
    assert layer.padding_idx == 6 and layer.weight[6].tolist() == [0.0] * 3
    numbers = np.array([[1, 6], [1, 0]])
    result = layer(tensor(numbers))
    np.testing.assert_array_equal(result.detach().numpy(), layer.weight.detach().numpy()[numbers])
    result.sum().backward()
    assert layer.weight.grad[:, 0].tolist() == [1.0, 2.0, 0, 0, 0, 0, 0]
    for wrong in (7, -1):
        with pytest.raises(IndexError, match=f"index {wrong} is out of range"):
            layer(tensor(np.array([wrong])))
    with pytest.raises(RuntimeError, match="count, size"):
        nn.functional.embedding(tensor(numbers), layer.weight[0])
    with pytest.raises(ValueError, match="padding_idx"):
        nn.Embedding(3, 1, padding_idx=3)


def test_embedding_of_no_numbers_and_twice_differentiated():
    table = tensor(X[:, :3]).requires_grad_(True)
    assert nn.functional.embedding(grad.zeros(0, 2, dtype=grad.int64), table).shape == (0, 2, 3)
    index = tensor(np.array([[2, 0], [2, 2]]))
    rows = nn.functional.embedding(index, table, padding_idx=0)
    (first,) = grad.autograd.grad((rows**2).sum(), table, create_graph=True)
    x = table.detach().numpy()
    counts = np.array([0, 0, 3, *[0] * (len(x) - 3)])[:, None]
    np.testing.assert_allclose(first.detach().numpy(), 2 * x * counts, rtol=1e-5)
    (second,) = grad.autograd.grad(first.sum(), table)
    np.testing.assert_allclose(second.numpy(), np.broadcast_to(2.0 * counts, x.shape), rtol=1e-5)


def test_layer_norm():
    layer = nn.LayerNorm(5)
    with grad.no_grad():
        layer.weight.copy_(tensor(X[0]))
        layer.bias.copy_(tensor(X[1]))
    x = X.astype(np.float64)
    normal = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    expected = normal * X[0] + X[1]
    np.testing.assert_allclose(layer(tensor(X)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(RuntimeError, match="normalized_shape"):
        layer(Tensor.zeros(5, 4))
    plain = nn.LayerNorm((4, 5), elementwise_affine=False)
    assert plain.weight is None and abs(plain(tensor(X)).mean().item()) < 1e-6


def test_rms_norm():
    x = X.astype(np.float64)
    expected = x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-3)
    result = nn.RMSNorm(5, eps=1e-3)(tensor(X))
    np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("shape", "axes"), [((4, 5), 1), ((2, 3, 2), 2), ((6,), 1)])
def test_normalizations_have_gradients_of_their_gradients(shape, axes, affine):
    numbers = np.random.default_rng(4)
    last = shape[len(shape) - axes :]
    x = tensor(numbers.standard_normal(shape)).requires_grad_()
    factors = [tensor(numbers.standard_normal(last)).requires_grad_() for _ in range(2 * affine)]

    def layer(x, weight=None, bias=None):
        return F.layer_norm(x, last, weight, bias)

    def root(x, weight=None, bias=None):
        return F.rms_norm(x, last, weight)

    for function, inputs in ((layer, [x, *factors]), (root, [x, *factors[:1]])):
        assert grad.autograd.gradcheck(function, inputs)
        assert grad.autograd.gradgradcheck(function, inputs)


def test_layer_norm_of_halves_gives_halves():
    x = tensor(X).to(grad.float16).requires_grad_()
    weight = Tensor.ones(5, dtype=grad.float16).requires_grad_()
    result = F.layer_norm(x, (5,), weight)
    for found in (result, *grad.autograd.grad(result.sum(), [x, weight])):
        assert found.dtype is grad.float16
    with pytest.raises(RuntimeError, match="weight and bias must have the shape"):
        F.layer_norm(x, (5,), weight[:1])


def test_normalize_and_one_hot():
    expected = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(F.normalize(tensor(X)).numpy(), expected, rtol=1e-5)
    cubic = X / (abs(X) ** 3).sum(1, keepdims=True) ** (1 / 3)
    np.testing.assert_allclose(F.normalize(tensor(X), p=3.0).numpy(), cubic, rtol=1e-5)
    assert F.one_hot(tensor(np.array([1, 0])), 3).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_flatten_and_unflatten():
    x = Tensor.zeros(2, 3, 4, 5)
    assert tuple(nn.Flatten()(x).shape) == (2, 60)
    assert tuple(nn.Flatten(1, 2)(x).shape) == (2, 12, 5)
    assert tuple(nn.Unflatten(2, (2, -1))(x).shape) == (2, 3, 2, 2, 5)


def test_dropout_scales_what_it_keeps():
    grad.manual_seed(3)
    layer = nn.Dropout(0.25)
    x = Tensor.ones(100, 100, requires_grad=True)
    result = layer(x)
    values = result.detach().numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((values == 0).mean() - 0.25) < 0.02
    result.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)


def test_dropout_draws_afresh_and_follows_the_seed():
    layer, x = nn.Dropout(), Tensor.ones(64)
    grad.manual_seed(1)
    first, second = layer(x).tolist(), layer(x).tolist()
    grad.manual_seed(1)
    assert first != second and layer(x).tolist() == first


def test_dropout_off():
    x = tensor(X)
    assert nn.Dropout(0.5).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert not nn.Dropout(1.0)(x).numpy().any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(1.5)


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_tables_that_are_given(kind):
    table = grad.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])
    frozen = kind.from_pretrained(table)
    assert not frozen.weight.requires_grad and frozen.weight.shape == (3, 2)
    numbers = grad.tensor([[1, 1]])
    assert frozen(numbers).reshape(-1).tolist()[:2] == [3, 5]
    learned = kind.from_pretrained(table, freeze=False, padding_idx=-1)
    assert learned.weight.requires_grad and learned.padding_idx == 2
    assert learned.weight.tolist() == table.tolist()
    with pytest.raises(AssertionError, match="2-dimensional"):
        kind.from_pretrained(table[0])
    with pytest.raises(AssertionError, match="Shape of weight"):
        kind(4, 2, _weight=table)


def test_kernels_of_attention_that_are_asked_for():
    query = grad.ones(1, 2, 3, 4)
    expected = F.scaled_dot_product_attention(query, query, query)
    with nn.attention.sdpa_kernel([nn.attention.SDPBackend.MATH]):
        assert grad.equal(F.scaled_dot_product_attention(query, query, query), expected)
    with pytest.raises(AssertionError), nn.attention.sdpa_kernel("math"):
        pass


def test_arguments_that_are_refused():
    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        nn.CircularPad1d(1)(grad.ones(2, 3, 4, 5))
    with pytest.raises(ValueError, match="eps must be positive"):
        nn.BatchNorm1d(3, eps=0.0)(grad.ones(4, 3))
    with pytest.raises(ValueError, match="eps must be non-negative"):
        nn.BatchNorm1d(3, eps=-1.0).eval()(grad.ones(4, 3))
    with pytest.raises(AssertionError, match="max_val"):
        nn.Hardtanh(1.0, -1.0)
    assert nn.Hardtanh(min_value=-2.0, max_value=3.0).max_val == 3.0
    assert repr(nn.ModuleDict(None)) == "ModuleDict()"


def test_a_bias_adds_no_columns():
    with pytest.raises(RuntimeError, match="out_features"):
        F.linear(grad.ones(3, 3), grad.ones(1, 3), grad.ones(3))
    with pytest.raises(RuntimeError, match="out_features"):
        F.linear(grad.ones(3), grad.ones(2, 3), grad.ones(4, 2))
    added = F.linear(grad.ones(2, 3), grad.ones(2, 3), grad.ones(1))
    assert added.tolist() == [[4, 4], [4, 4]]


def test_a_group_of_one_element_is_refused():
    with pytest.raises(ValueError, match="more than 1 value"):
        F.group_norm(grad.ones(1, 2), 2)
    assert F.group_norm(grad.ones(2, 2), 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_without_numbers_have_a_gradient(mode):
    table = grad.ones(3, 2, requires_grad=True)
    nothing = grad.zeros(0, dtype=grad.int64)
    bags = F.embedding_bag(nothing, table, grad.zeros(2, dtype=grad.int64), mode=mode)
    assert bags.tolist() == [[0, 0], [0, 0]]
    bags.sum().backward()
    assert table.grad.tolist() == [[0, 0]] * 3


def test_celu_leaves_large_numbers_alone():
    x = grad.tensor([3e38, 1e-45, 0.1, float("inf")])
    for alpha in (0.3, 0.5, -2.0):
        assert F.celu(x, alpha).tolist() == x.tolist()
    with pytest.raises(RuntimeError, match="alpha"):
        F.celu(x, 0.0)
