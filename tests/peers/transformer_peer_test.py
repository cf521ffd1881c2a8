"""Attention modules and transformers beside PyTorch's: values, weights, gradients and messages."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")

RANDOM = np.random.default_rng(0)


def both(shape, requires_grad=True):
    values = RANDOM.normal(size=shape).astype(np.float32)
    return (
        grad.tensor(values, requires_grad=requires_grad),
        torch.tensor(values, requires_grad=requires_grad),
    )


def masks(array):
    return grad.tensor(array), torch.tensor(array)


def close(actual, expected, tolerance=3e-5):
    assert tuple(actual.shape) == tuple(expected.shape)
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance
    )


def pair(text):
    """The same module of both libraries, with PyTorch's weights."""
    theirs = eval(f"nn.{text}", {"nn": torch.nn, "torch": torch})
    ours = eval(f"nn.{text}", {"nn": nn, "torch": grad})
    assert repr(ours) == repr(theirs)
    state = theirs.state_dict()
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in state.items()
    ]
    for value in state.values():  # biases start as zeros, which would hide mistakes
        value.add_(torch.tensor(RANDOM.normal(size=value.shape).astype(np.float32)) * 0.2)
    ours.load_state_dict({k: grad.tensor(v.numpy()) for k, v in state.items()})
    return ours, theirs


def compare_gradients(ours, theirs, results, inputs):
    """Gradients of all parameters and inputs, of a sum with weights."""
    total, expected = 0, 0
    for actual, wanted in results:
        close(actual, wanted)
        weight, their_weight = both(tuple(wanted.shape), False)
        total, expected = total + (actual * weight).sum(), expected + (wanted * their_weight).sum()
    total.backward()
    expected.backward()
    for actual, wanted in inputs:
        close(actual.grad, wanted.grad, 2e-4)
    for (name, actual), (their_name, wanted) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == their_name
        assert (actual.grad is None) == (wanted.grad is None), name
        if wanted.grad is not None:
            close(actual.grad, wanted.grad, 3e-4)


PADDING = np.array([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], bool)
ACROSS = np.random.default_rng(1).random((4, 5)) > 0.7
PER_HEAD = np.random.default_rng(2).random((6, 4, 5)) > 0.8
ACROSS[:, 0] = PER_HEAD[:, :, 0] = False
ADDED = np.where(ACROSS, -np.inf, 0.5).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("MultiheadAttention(8, 2)", {}),
        ("MultiheadAttention(8, 2)", {"average_attn_weights": False}),
        ("MultiheadAttention(8, 2)", {"need_weights": False}),
        ("MultiheadAttention(8, 2, bias=False)", {"key_padding_mask": PADDING}),
        ("MultiheadAttention(8, 2)", {"key_padding_mask": PADDING, "need_weights": False}),
        ("MultiheadAttention(8, 2)", {"attn_mask": ACROSS, "key_padding_mask": PADDING}),
        ("MultiheadAttention(8, 2)", {"attn_mask": PER_HEAD, "need_weights": False}),
        ("MultiheadAttention(8, 2)", {"attn_mask": ADDED, "need_weights": False}),
        ("MultiheadAttention(8, 2, kdim=6, vdim=7)", {"attn_mask": ADDED}),
        ("MultiheadAttention(8, 2, add_bias_kv=True)", {"key_padding_mask": PADDING}),
        ("MultiheadAttention(8, 2, add_zero_attn=True)", {"attn_mask": ACROSS}),
        (
            "MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True, kdim=6)",
            {"attn_mask": ADDED, "need_weights": False},
        ),
        ("MultiheadAttention(8, 2, batch_first=True)", {"attn_mask": ACROSS}),
    ],
)
def test_multihead_attention(text, call):
    ours, theirs = pair(text)
    shapes = [(4, 3, 8), (5, 3, ours.kdim), (5, 3, ours.vdim)]
    if ours.batch_first:
        shapes = [(b, length, size) for length, b, size in shapes]
    inputs = [both(shape) for shape in shapes]
    settings = [
        {k: masks(v)[i] if isinstance(v, np.ndarray) else v for k, v in call.items()}
        for i in range(2)
    ]
    actual = ours(*(one for one, _ in inputs), **settings[0])
    expected = theirs(*(one for _, one in inputs), **settings[1])
    assert (actual[1] is None) == (expected[1] is None)
    results = [(a, e) for a, e in zip(actual, expected) if e is not None]
    compare_gradients(ours, theirs, results, inputs)


def test_self_attention_without_a_batch():
    ours, theirs = pair("MultiheadAttention(8, 4)")
    x, y = both((5, 8))
    padding = masks(np.array([0, 0, 0, 1, 1], bool))
    actual, expected = ours(x, x, x, padding[0]), theirs(y, y, y, padding[1])
    compare_gradients(ours, theirs, list(zip(actual, expected)), [(x, y)])


def test_causal_attention():
    ours, theirs = pair("MultiheadAttention(8, 2)")
    x, y = both((5, 3, 8))
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    expected_mask = torch.nn.Transformer.generate_square_subsequent_mask(5)
    assert mask.tolist() == expected_mask.tolist()
    for weights in (True, False):
        actual = ours(x, x, x, attn_mask=mask, is_causal=True, need_weights=weights)[0]
        close(actual, theirs(y, y, y, attn_mask=expected_mask, need_weights=weights)[0])


@pytest.mark.parametrize(
    "settings",
    [
        "",
        ", norm_first=True",
        ", activation='gelu', batch_first=True",
        ", activation=torch.tanh, bias=False",
        ", batch_first=True, norm_first=True, layer_norm_eps=0.01",
    ],
)
def test_transformer(settings):
    ours, theirs = pair(f"Transformer(8, 2, 2, 2, 16, 0.0{settings})")
    lengths = [(5, 3, 8), (4, 3, 8)]
    if ours.batch_first:
        lengths = [(b, length, size) for length, b, size in lengths]
    inputs = [both(shape) for shape in lengths]
    causal = [
        library.nn.Transformer.generate_square_subsequent_mask(4) for library in (grad, torch)
    ]
    padding = masks(np.where(PADDING, -np.inf, 0).astype(np.float32))
    calls = [
        {
            "tgt_mask": causal[i],
            "tgt_is_causal": True,
            "src_key_padding_mask": padding[i],
            "memory_key_padding_mask": padding[i],
        }
        for i in range(2)
    ]
    actual = ours(*(one for one, _ in inputs), **calls[0])
    expected = theirs(*(one for _, one in inputs), **calls[1])
    compare_gradients(ours, theirs, [(actual, expected)], inputs)


def test_initial_distributions():
    for text in ("MultiheadAttention(64, 4)", "TransformerEncoderLayer(64, 4, 128)"):
        ours = dict(eval(f"nn.{text}", {"nn": nn}).named_parameters())
        theirs = dict(eval(f"nn.{text}", {"nn": torch.nn}).named_parameters())
        for name, expected in theirs.items():
            actual = ours[name].detach().numpy()
            bound = float(expected.detach().abs().max())
            assert abs(np.abs(actual).max() - bound) <= 0.05 * bound + 1e-9, name


def zeros(*shape):
    return lambda library: library.zeros(shape)


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("MultiheadAttention(8, 3)", None),
        ("MultiheadAttention(0, 3)", None),
        ("TransformerEncoderLayer(8, 2, 16, activation='tanh')", None),
        ("MultiheadAttention(8, 2)", [(8,), (8,), (8,)]),
        ("MultiheadAttention(8, 2)", [(2, 1, 7), (2, 1, 7), (2, 1, 7)]),
        ("MultiheadAttention(8, 2)", [(2, 1, 8), (2, 8), (2, 8)]),
        ("MultiheadAttention(8, 2)", [(2, 1, 8), (3, 1, 8), (4, 1, 8)]),
        ("MultiheadAttention(8, 2)", [(2, 1, 8), (3, 1, 8), (3, 1, 8), (1, 4)]),
        ("Transformer(8, 2, 1, 1, 16)", [(2, 1, 8), (2, 2, 8)]),
        ("Transformer(8, 2, 1, 1, 16)", [(2, 1, 7), (2, 1, 7)]),
        ("Transformer(8, 2, 1, 1, 16)", [(2, 1, 8), (3, 8)]),
    ],
)
def test_errors(text, inputs):
    raised = []
    for library in (grad, torch):
        with pytest.raises((ValueError, AssertionError, RuntimeError)) as found:
            module = eval(f"nn.{text}", {"nn": library.nn})
            module(*(library.zeros(shape) for shape in inputs))
        raised.append(found)
    messages = [str(one.value).replace("torch.Size([", "(").split(",")[0][:40] for one in raised]
    assert messages[0] == messages[1]
    assert isinstance(raised[0].value, raised[1].type)
