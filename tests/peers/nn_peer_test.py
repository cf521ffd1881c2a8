"""Networks, losses and optimisers beside PyTorch's: values, gradients, names and messages."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.optim import lr_scheduler

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(6, 5)) * 3
CUBES = RANDOM.normal(size=(2, 5, 4))


def both(array):
    return grad.tensor(array), torch.tensor(array)


def same(actual, expected, rtol=1e-6, atol=1e-7):
    assert str(actual.dtype).split(".")[1] == str(expected.dtype).split(".")[1]
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), rtol=rtol, atol=atol
    )


LAYERS = [
    "ReLU()",
    "ReLU6()",
    "LeakyReLU(0.2)",
    "ELU(0.7)",
    "GELU()",
    "GELU(approximate='tanh')",
    "SELU()",
    "GLU(dim=0)",
    "SiLU()",
    "Mish()",
    "Hardsigmoid()",
    "Hardswish()",
    "Softsign()",
    "Softplus()",
    "Softplus(beta=3, threshold=5)",
    "Sigmoid()",
    "LogSigmoid()",
    "Tanh()",
    "Hardtanh(-0.5, 2)",
    "CELU(0.7)",
    "PReLU()",
    "PReLU(5, init=0.1)",
    "RReLU()",
    "RReLU(0.1, 0.2, inplace=True)",
    "Threshold(0.1, 20)",
    "Hardshrink()",
    "Hardshrink(0.3)",
    "Softshrink(0.3)",
    "Tanhshrink()",
    "Softmin(dim=1)",
    "Softmax(dim=-1)",
    "Softmax()",
    "LogSoftmax(dim=1)",
    "Flatten()",
    "Identity()",
    "Unflatten(1, (5, 1))",
    "Dropout(0.3)",
    "LayerNorm(5, elementwise_affine=False)",
    "LayerNorm((6, 5), eps=0.1)",
    "RMSNorm(5)",
    "Linear(5, 3)",
    "Linear(5, 3, bias=False)",
    "Embedding(6, 2, padding_idx=1)",
    "Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 2)))",
    "CrossEntropyLoss()",
    "BCEWithLogitsLoss()",
    "ModuleDict({'a': nn.ReLU(), 'b': nn.Linear(1, 1)})",
]
CALLED = [
    text
    for text in LAYERS
    if not text.startswith(("Emb", "Cross", "BCE", "ModuleD")) and "inplace" not in text
]


def build(text, package, float_type):
    return eval(f"nn.{text}", {"nn": package}).to(float_type)


def pair_of_layers(text):
    """The same layer in both, with the same weights."""
    ours, theirs = build(text, nn, grad.float64), build(text, torch.nn, torch.float64)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({n: grad.tensor(v.numpy()) for n, v in theirs.state_dict().items()})
    return ours.eval(), theirs.eval()


@pytest.mark.parametrize("text", LAYERS)
def test_repr(text):
    assert repr(build(text, nn, grad.float32)) == repr(build(text, torch.nn, torch.float32))


@pytest.mark.filterwarnings("ignore:Implicit dimension")
@pytest.mark.parametrize("text", CALLED)
def test_layer(text):
    ours, theirs = pair_of_layers(text)
    x, y = both(ROWS)
    actual, expected = ours(x.requires_grad_()), theirs(y.requires_grad_())
    same(actual, expected)
    (actual * actual).sum().backward()
    (expected * expected).sum().backward()
    same(x.grad, y.grad)
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters()):
        assert tuple(p.grad.shape) == tuple(q.grad.shape), name
        same(p.grad, q.grad)


def test_softmax_of_channels():
    images = RANDOM.normal(size=(2, 3, 4, 2))
    ours, theirs = both(images)
    same(nn.Softmax2d()(ours), torch.nn.Softmax2d()(theirs))
    same(nn.Softmax2d()(ours[0]), torch.nn.Softmax2d()(theirs[0]))
    with pytest.raises(ValueError, match="3D or 4D"):
        nn.Softmax2d()(ours[0, 0])


def test_default_dim_of_softmax():
    with pytest.warns(UserWarning, match="Implicit"):
        expected = torch.nn.Softmax()(torch.tensor(CUBES))
    with pytest.warns(UserWarning, match="Implicit"):
        same(nn.Softmax()(grad.tensor(CUBES)), expected)


CLASSES = RANDOM.integers(0, 5, 6)
PROBABILITIES = RANDOM.dirichlet(np.ones(5), 6)
UNIT = RANDOM.uniform(0.01, 0.99, (6, 5))
W = RANDOM.uniform(0.5, 2, 5)
LOSSES = [
    ("cross_entropy", ROWS, CLASSES, {}),
    ("cross_entropy", ROWS, CLASSES, {"weight": W, "label_smoothing": 0.2, "ignore_index": 1}),
    ("cross_entropy", ROWS, PROBABILITIES, {"weight": W, "label_smoothing": 0.2}),
    ("cross_entropy", CUBES, RANDOM.integers(0, 5, (2, 4)), {"weight": W, "ignore_index": 2}),
    ("cross_entropy", ROWS[0], np.array(3), {}),
    ("nll_loss", ROWS, CLASSES, {"weight": W}),
    ("nll_loss", CUBES, RANDOM.integers(0, 5, (2, 4)), {}),
    ("mse_loss", ROWS, UNIT, {}),
    ("l1_loss", ROWS, UNIT, {}),
    ("smooth_l1_loss", ROWS, UNIT, {"beta": 2.0}),
    ("huber_loss", ROWS, UNIT, {"delta": 2.0}),
    ("binary_cross_entropy", UNIT, PROBABILITIES, {"weight": W}),
    ("binary_cross_entropy", np.array([0.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.0]), {}),
    ("binary_cross_entropy_with_logits", ROWS * 20, UNIT, {"pos_weight": W, "weight": W}),
    ("kl_div", ROWS, PROBABILITIES, {}),
    ("kl_div", ROWS, ROWS, {"log_target": True}),
]


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("name", "x", "y", "options"), LOSSES)
def test_loss(name, x, y, options, reduction):
    x, x_peer = both(x)
    y, y_peer = both(y)
    arrays = {k: both(v) if isinstance(v, np.ndarray) else (v, v) for k, v in options.items()}
    ours = getattr(nn.functional, name)(
        x.requires_grad_(), y, reduction=reduction, **{k: v[0] for k, v in arrays.items()}
    )
    theirs = getattr(torch.nn.functional, name)(
        x_peer.requires_grad_(), y_peer, reduction=reduction, **{k: v[1] for k, v in arrays.items()}
    )
    same(ours, theirs)
    ours.sum().backward()
    theirs.sum().backward()
    same(x.grad, x_peer.grad)


OPTIMIZERS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"betas": (0.5, 0.9), "eps": 1e-3}),
    ("AdamW", {"lr": 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {}),
]


@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS)
def test_optimizer(name, settings):
    p, q = nn.Parameter(grad.tensor(ROWS)), torch.nn.Parameter(torch.tensor(ROWS))
    ours = getattr(optim, name)([p], **settings)
    theirs = getattr(torch.optim, name)([q], **settings)
    for step in range(4):
        gradient = RANDOM.normal(size=ROWS.shape) * (step != 2)
        p.grad, q.grad = both(gradient)
        ours.step()
        theirs.step()
        same(p, q, rtol=1e-9, atol=1e-12)
    state, state_peer = ours.state_dict(), theirs.state_dict()
    assert set(state["state"][0]) <= set(state_peer["state"][0])
    assert set(state["param_groups"][0]) <= set(state_peer["param_groups"][0])


SCHEDULES = [
    ("StepLR", {"step_size": 2, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [2, 3], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.7}),
    ("LinearLR", {"total_iters": 4}),
    ("ConstantLR", {"total_iters": 3}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.01}),
]


@pytest.mark.filterwarnings("ignore:Detected call")
@pytest.mark.parametrize(("name", "settings"), SCHEDULES)
def test_schedule(name, settings):
    ours = optim.SGD([nn.Parameter(grad.tensor(ROWS))], lr=0.4)
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.tensor(ROWS))], lr=0.4)
    schedule = getattr(lr_scheduler, name)(ours, **settings)
    peer = getattr(torch.optim.lr_scheduler, name)(theirs, **settings)
    for _ in range(8):
        assert schedule.get_last_lr() == pytest.approx(peer.get_last_lr(), rel=1e-9)
        schedule.step()
        peer.step()


def test_key_errors_read_the_same():
    state = {"weight": [[0.0] * 4], "extra": [1.0]}
    with pytest.raises(RuntimeError) as ours:
        nn.Linear(3, 2).load_state_dict({n: grad.tensor(v) for n, v in state.items()})
    with pytest.raises(RuntimeError) as theirs:
        torch.nn.Linear(3, 2).load_state_dict({n: torch.tensor(v) for n, v in state.items()})

    def plain(error):
        return str(error.value).replace("torch.Size([", "(").replace("])", ")").split()

    assert plain(ours) == plain(theirs)


def test_our_files_load_in_pytorch_and_the_other_way_round(tmp_path):
    peer = pytest.importorskip("safetensors.torch")
    layer = nn.Linear(3, 2)
    grad.save(layer.state_dict(), tmp_path / "ours.safetensors")
    theirs = torch.nn.Linear(3, 2)
    theirs.load_state_dict(peer.load_file(tmp_path / "ours.safetensors"))
    same(layer.weight, theirs.weight)
    peer.save_file(
        {"x": torch.tensor([1.5, -2.0], dtype=torch.bfloat16)}, tmp_path / "theirs.safetensors"
    )
    assert grad.load(tmp_path / "theirs.safetensors")["x"].tolist() == [1.5, -2.0]
