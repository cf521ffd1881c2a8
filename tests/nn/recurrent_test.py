"""Recurrent layers and packed sequences against the formulas, alone and inside grad.compile."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import grad
from grad import nn
from grad.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    unpack_sequence,
)

RANDOM = np.random.default_rng(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(layer, x, suffix):
    """Outputs of one layer of a LSTM over ``(steps, size)``, in NumPy."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w, u, b, c = (getattr(layer, f"{name}_{suffix}").detach().numpy() for name in names)
    state, cell = np.zeros((2, u.shape[1]))
    found = []
    for row in x:
        enter, forget, candidate, leave = np.split(w @ row + b + u @ state + c, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        state = sigmoid(leave) * np.tanh(cell)
        found.append(state)
    return np.array(found)


def test_lstm_is_its_formula():
    layer = nn.LSTM(3, 5, 2, bidirectional=True)
    x = RANDOM.normal(size=(6, 3)).astype(np.float32)
    expected = x
    for depth in range(2):
        both = [
            lstm_by_hand(layer, expected, f"l{depth}"),
            lstm_by_hand(layer, expected[::-1], f"l{depth}_reverse")[::-1],
        ]
        expected = np.concatenate(both, -1)
    output, (state, _) = layer(grad.tensor(x))
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    last = np.stack([expected[-1, :5], expected[0, 5:]])
    np.testing.assert_allclose(state[2:].detach().numpy(), last, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layer_is_a_loop_of_its_cell(kind):
    layer, cell = getattr(nn, kind)(3, 5), getattr(nn, f"{kind}Cell")(3, 5)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = grad.tensor(RANDOM.normal(size=(4, 2, 3)).astype(np.float32))
    output, last = layer(x)
    state = None
    for step in range(4):
        state = cell(x[step], state)
        first = state[0] if kind == "LSTM" else state
        np.testing.assert_allclose(
            output[step].detach().numpy(), first.detach().numpy(), rtol=1e-4, atol=1e-6
        )
    ends = zip(last, state) if kind == "LSTM" else [(last, state)]
    for actual, expected in ends:
        np.testing.assert_allclose(
            actual[0].detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_packed_sequences_are_as_each_alone(kind):
    layer = getattr(nn, kind)(3, 5, bidirectional=True)
    sequences = [grad.tensor(RANDOM.normal(size=(n, 3)).astype(np.float32)) for n in (2, 5, 1, 5)]
    packed, last = layer(pack_sequence(sequences, enforce_sorted=False))
    state = last[0] if kind == "LSTM" else last
    for number, (output, x) in enumerate(zip(unpack_sequence(packed), sequences, strict=True)):
        alone, end = layer(x)
        np.testing.assert_allclose(
            output.detach().numpy(), alone.detach().numpy(), rtol=1e-4, atol=1e-6
        )
        expected = end[0] if kind == "LSTM" else end
        np.testing.assert_allclose(
            state[:, number].detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("packed", [False, True])
def test_compiled_training_gives_the_same_numbers(kind, packed):
    x = RANDOM.normal(size=(5, 3, 4)).astype(np.float32)
    losses = []
    for compiled in (False, True):
        grad.manual_seed(1)
        layer = getattr(nn, kind)(4, 6, 2, bidirectional=True)
        optimizer = grad.optim.SGD(layer.parameters(), lr=0.5)

        def step(data, layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            given = pack_padded_sequence(data, [5, 3, 2]) if packed else data
            output, _ = layer(given)
            loss = ((output.data if packed else output) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        run = grad.compile(step) if compiled else step
        losses.append([run(grad.tensor(x)).item() for _ in range(6)])
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:grad.compile")
def test_lengths_inside_a_recording():
    layer = nn.LSTM(4, 6)

    def run(data, lengths):
        return pad_packed_sequence(layer(pack_padded_sequence(data, lengths))[0])[0]

    compiled = grad.compile(run)
    for number in range(6):
        data = grad.randn(5, 3, 4)
        lengths = [5, 3, 2] if number < 3 else [5, 4, 1]
        for given in (lengths, grad.tensor(lengths)):
            expected = run(data, given).detach().numpy()
            np.testing.assert_allclose(compiled(data, given).detach().numpy(), expected, rtol=1e-6)
    assert "Replayed" in repr(compiled(data, lengths).grad_fn)


def test_packed_sequences_of_other_lengths_are_other_calls():
    layer = nn.GRU(4, 6)
    compiled = grad.compile(lambda packed: layer(packed)[0])
    for lengths in ([3, 2, 1], [3, 2, 1], [3, 2, 1], [2, 2, 2]):
        packed = pack_padded_sequence(grad.randn(3, 3, 4), lengths)
        found, expected = compiled(packed), layer(packed)[0]
        assert found.rows() == expected.rows()
        np.testing.assert_allclose(found.data.detach().numpy(), expected.data.detach().numpy())


def test_dropout_between_layers():
    grad.manual_seed(0)
    layer = nn.LSTM(4, 64, 2, dropout=0.5)
    x = grad.randn(3, 2, 4)
    first, second = layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy()
    assert not np.array_equal(first, second)
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy())
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1"):
        nn.GRU(4, 4, dropout=0.5)


def test_half_precision():
    layer = nn.GRU(4, 5).bfloat16()
    x = RANDOM.normal(size=(3, 2, 4)).astype(np.float32)
    output, state = layer(grad.tensor(x).bfloat16())
    assert output.dtype is grad.bfloat16
    assert state.dtype is grad.bfloat16
    expected = layer.float()(grad.tensor(x))[0].detach().numpy()
    np.testing.assert_allclose(output.float().detach().numpy(), expected, atol=0.03)


def test_parameters_start_uniformly():
    layer = nn.LSTM(20, 100)
    for parameter in layer.parameters():
        assert 0.095 < float(parameter.abs().max()) <= 0.1


def test_gradients_by_differences():
    for kind in ("RNN", "LSTM", "GRU"):
        layer = getattr(nn, kind)(2, 3).double()
        x = grad.tensor(RANDOM.normal(size=(3, 2, 2)), dtype=grad.float64, requires_grad=True)
        function = lambda x, layer=layer: layer(x)[0]  # noqa: E731
        assert grad.autograd.gradcheck(function, (x,))
        assert grad.autograd.gradgradcheck(function, (x,))


def test_transforms():
    layer = nn.GRU(2, 3)
    x = grad.tensor(RANDOM.normal(size=(4, 3, 2, 2)).astype(np.float32))
    expected = np.stack([layer(one)[0].detach().numpy() for one in x])
    found = grad.func.vmap(lambda one: layer(one)[0])(x)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-6)
    direction = grad.randn(3, 2, 2)
    _, slope = grad.func.jvp(lambda one: layer(one)[0], (x[0],), (direction,))
    step = 1e-2
    ahead, behind = (layer(x[0] + s * direction)[0] for s in (step, -step))
    near = (ahead - behind) / (2 * step)
    np.testing.assert_allclose(slope.detach().numpy(), near.detach().numpy(), atol=2e-3)


def test_copies_and_pickles():
    layer = nn.LSTM(3, 4)
    x = grad.randn(2, 1, 3)
    expected = layer(x)[0].detach().numpy()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(other(x)[0].detach().numpy(), expected)


def test_packed_sequence_is_a_tuple_with_conversions():
    packed = pack_padded_sequence(grad.arange(12).reshape(4, 3).float(), [2, 4, 1], False, False)
    assert packed.data.tolist() == [1, 0, 2, 4, 3, 7, 10]
    assert packed.batch_sizes.tolist() == [3, 2, 1, 1]
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    data, sizes, order, inverse = packed
    assert data is packed.data
    assert (sizes is packed.batch_sizes) and inverse.tolist() == order.tolist()
    again = PackedSequence(data, sizes, order)
    assert again.rows() == (3, 2, 1, 1)
    assert again.unsorted_indices.tolist() == [1, 0, 2]
    assert packed.double().data.dtype is grad.float64
    assert packed.to(grad.float32) is packed
    assert packed.int().rows() == packed.rows()
    assert invert_permutation(grad.tensor([2, 0, 1])).tolist() == [1, 2, 0]
    padded, lengths = pad_packed_sequence(packed, True, total_length=5)
    assert padded.shape == (3, 5)
    assert lengths.tolist() == [2, 4, 1]
