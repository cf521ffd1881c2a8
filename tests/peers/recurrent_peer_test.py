"""Recurrent layers, cells and packed sequences beside PyTorch's: values, gradients and messages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import grad
from grad import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")

RANDOM = np.random.default_rng(0)


def close(actual, expected, tolerance=2e-5):
    assert tuple(actual.shape) == tuple(expected.shape)
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance
    )


def pair(name, *arguments, **settings):
    """The same module of both libraries, with PyTorch's weights."""
    theirs = getattr(torch.nn, name)(*arguments, **settings)
    ours = getattr(nn, name)(*arguments, **settings)
    assert repr(ours) == repr(theirs)
    state = {k: grad.tensor(v.numpy()) for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)
    return ours, theirs


def leaves(shape, dtype=np.float32):
    values = RANDOM.normal(size=shape).astype(dtype)
    return grad.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)


def tensors(result):
    if isinstance(result, tuple | list):
        return [one for part in result for one in tensors(part)]
    return [result]


def compare(ours, theirs, results, expected, inputs, tolerance=2e-4, drop=()):
    """Results, and gradients of a weighted sum of those that are not dropped."""
    total, their_total = 0, 0
    for place, (a, e) in enumerate(zip(tensors(results), tensors(expected), strict=True)):
        close(a, e, tolerance / 10)
        if place in drop:
            continue
        weight = RANDOM.normal(size=tuple(e.shape)).astype(str(e.dtype).split(".")[1])
        total = total + (a * grad.tensor(weight)).sum()
        their_total = their_total + (e * torch.tensor(weight)).sum()
    total.backward()
    their_total.backward()
    for a, e in inputs:
        close(a.grad, e.grad, tolerance)
    for (name, a), (_, e) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert a.grad is not None, name
        close(a.grad, e.grad, tolerance)


SETTINGS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "bias": False, "batch_first": True},
    {"bidirectional": True, "batch_first": True, "bias": False},
]
KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {})]
CASES = [
    (*kind, more, given)
    for (kind, more), given in itertools.product(itertools.product(KINDS, SETTINGS), (False, True))
]
FORMS = ["batch", "single", "packed", "unsorted"]


def both_inputs(form, batch_first):
    """Input of both libraries in a form, and the leaves it is made of."""
    shape = {"single": (6, 4)}.get(form, (3, 6, 4) if batch_first else (6, 3, 4))
    leaf = leaves(shape)
    if form in ("batch", "single"):
        return leaf, leaf
    lengths = [6, 4, 1] if form == "packed" else [2, 6, 5]
    libraries = (nn.utils.rnn, torch.nn.utils.rnn)
    packed = tuple(
        library.pack_padded_sequence(x, lengths, batch_first, form == "packed")
        for library, x in zip(libraries, leaf)
    )
    return packed, leaf


@pytest.mark.parametrize("number", range(len(CASES)))
def test_layers(number):
    kind, own, more, given = CASES[number]
    form = FORMS[(number // 2 + number) % 4]
    ours, theirs = pair(kind, 4, 5, **own, **more)
    inputs, leaf = both_inputs(form, more.get("batch_first", False))
    lead = (ours.num_layers * (1 + ours.bidirectional), *([] if form == "single" else [3]))
    states = [leaves((*lead, 5)) for _ in range(1 + (kind == "LSTM"))] if given else []
    calls = []
    for side in range(2):
        own_states = tuple(state[side] for state in states)
        state = own_states if kind == "LSTM" else (own_states or (None,))[0]
        result = (ours, theirs)[side](inputs[side], *([state] if given else []))
        if form in ("packed", "unsorted"):
            result = (result[0].data, result[1])
        calls.append(result)
    compare(ours, theirs, *calls, [leaf, *states])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_projections(form, bidirectional, given):
    ours, theirs = pair("LSTM", 4, 5, 2, proj_size=3, bidirectional=bidirectional)
    inputs, leaf = both_inputs(form, False)
    lead = (2 * (1 + bidirectional), *([] if form == "single" else [3]))
    states = [leaves((*lead, size)) for size in (3, 5)] if given else []
    calls = []
    for side, module in enumerate((ours, theirs)):
        own = tuple(state[side] for state in states)
        calls.append(module(inputs[side], *([own] if given else [])))
    if form in ("packed", "unsorted"):
        calls = [(output.data, ends) for output, ends in calls]
    compare(ours, theirs, *calls, [leaf, *states])


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize(
    ("batch", "hidden", "dtype"),
    [(1, 1, "float32"), (1, 33, "float32"), (2, 16, "float64"), (3, 48, "float32")]
    + [(9, 20, "float32"), (33, 64, "float32"), (70, 7, "float32"), (17, 130, "float32")],
)
def test_sizes(kind, batch, hidden, dtype):
    ours, theirs = pair(kind, 3, hidden, bidirectional=True)
    if dtype == "float64":
        ours, theirs = ours.double(), theirs.double()
    leaf = leaves((4, batch, 3), dtype)
    calls = [module(x) for module, x in zip((ours, theirs), leaf)]
    compare(ours, theirs, *calls, [leaf], 4e-4)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("reverse", [False, True])
def test_many_packed_sequences(kind, reverse):
    """More than one piece of work, some of whose sequences end early."""
    ours, theirs = pair(kind, 3, 10, bidirectional=reverse)
    lengths = [7] * 5 + [6] * 8 + [3] * 12 + [1] * 5
    leaf = leaves((7, len(lengths), 3))
    inputs = [
        library.pack_padded_sequence(x, lengths)
        for library, x in zip((nn.utils.rnn, torch.nn.utils.rnn), leaf)
    ]
    calls = [module(x) for module, x in zip((ours, theirs), inputs)]
    compare(ours, theirs, *((output.data, ends) for output, ends in calls), [leaf])


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("drop", [(0,), (1,), (0, 1), (1, 2), (0, 2)])
def test_gradients_of_some_results(kind, drop):
    if kind != "LSTM" and drop not in ((0,), (1,)):
        pytest.skip("two results")
    ours, theirs = pair(kind, 4, 5)
    leaf = leaves((6, 3, 4))
    calls = [module(x) for module, x in zip((ours, theirs), leaf)]
    compare(ours, theirs, *calls, [leaf], drop=drop)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("form", ["batch", "packed"])
def test_second_order(kind, form):
    ours, theirs = pair(kind, 4, 5)
    inputs, leaf = both_inputs(form, False)
    slopes = []
    for module, x, given, library in zip((ours, theirs), inputs, leaf, (grad, torch)):
        output = module(x)[0]
        total = ((output if form == "batch" else output.data) ** 2).sum()
        wanted = [given, module.weight_hh_l0, module.bias_hh_l0]
        first = library.autograd.grad(total, wanted, create_graph=True)
        (sum((one**2).sum() for one in first)).backward()
        slopes.append([*first, given.grad, *(p.grad for p in module.parameters())])
    for a, e in zip(*slopes, strict=True):
        close(a, e, 2e-3)


CELLS = [
    ("RNNCell", {}),
    ("RNNCell", {"nonlinearity": "relu", "bias": False}),
    ("GRUCell", {}),
    ("LSTMCell", {"bias": False}),
]


@pytest.mark.parametrize(("kind", "settings"), CELLS)
@pytest.mark.parametrize("lead", [(3,), ()])
@pytest.mark.parametrize("given", [False, True])
def test_cells(kind, settings, lead, given):
    ours, theirs = pair(kind, 4, 5, **settings)
    leaf = leaves((*lead, 4))
    states = [leaves((*lead, 5)) for _ in range(1 + (kind == "LSTMCell"))] if given else []
    calls = []
    for side, module in enumerate((ours, theirs)):
        own = tuple(state[side] for state in states)
        state = own if kind == "LSTMCell" else (own or (None,))[0]
        first = module(leaf[side], *([state] if given else []))
        calls.append([first, module(leaf[side], first)])
    compare(ours, theirs, *calls, [leaf, *states])


def test_training_step_by_step():
    """20 steps of SGD on a classifier of the last state."""
    ours, theirs = pair("LSTM", 4, 8, 2, bidirectional=True)
    x, target = RANDOM.normal(size=(5, 6, 4)).astype(np.float32), RANDOM.normal(size=(6, 8))
    losses = []
    for library, module in ((grad, ours), (torch, theirs)):
        optimizer = library.optim.SGD(module.parameters(), lr=0.5, momentum=0.9)
        data, wanted = library.tensor(x), library.tensor(target.astype(np.float32))
        found = []
        for _ in range(20):
            optimizer.zero_grad()
            _, (state, _) = module(data)
            loss = ((state[-1] - wanted) ** 2).mean()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        losses.append(found)
    np.testing.assert_allclose(*losses, rtol=1e-4)


# -- packed sequences ------------------------------------------------------------------------------
def lengths_of(tensor):
    return None if tensor is None else tensor.tolist()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("lengths", "enforce"), [([4, 2, 1], True), ([2, 4, 4], False)])
def test_packing(batch_first, lengths, enforce):
    leaf = leaves((3, 5, 2) if batch_first else (5, 3, 2))
    libraries = (nn.utils.rnn, torch.nn.utils.rnn)
    given = (grad.tensor(lengths), torch.tensor(lengths))
    ours, theirs = (
        library.pack_padded_sequence(x, sizes, batch_first, enforce)
        for library, x, sizes in zip(libraries, leaf, given)
    )
    close(ours.data, theirs.data)
    for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        assert lengths_of(getattr(ours, name)) == lengths_of(getattr(theirs, name))
    results = [
        library.pad_packed_sequence(packed, batch_first, -1.5, 6)
        for library, packed in zip(libraries, (ours, theirs))
    ]
    close(results[0][0], results[1][0])
    assert results[0][1].tolist() == results[1][1].tolist()
    for padded, _ in results:
        (padded**2).sum().backward()
    close(leaf[0].grad, leaf[1].grad)
    unpacked = [library.unpack_sequence(p) for library, p in zip(libraries, (ours, theirs))]
    for a, e in zip(*unpacked, strict=True):
        close(a, e)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_padding(side, batch_first):
    leaf = [leaves((length, 2)) for length in (3, 1, 2)]
    ours = nn.utils.rnn.pad_sequence([a for a, _ in leaf], batch_first, 7.0, side)
    theirs = torch.nn.utils.rnn.pad_sequence([b for _, b in leaf], batch_first, 7.0, side)
    close(ours, theirs)
    if side == "right":
        found = nn.utils.rnn.unpad_sequence(ours, grad.tensor([3, 1, 2]), batch_first)
        for actual, (expected, _) in zip(found, leaf, strict=True):
            close(actual, expected)


# -- bad input -------------------------------------------------------------------------------------
ERRORS = [
    "nn.LSTM(3, 0)",
    "nn.LSTM(3, 4, 0)",
    "nn.LSTM(3, 4.5)",
    "nn.LSTM(3, 4, dropout=1.5)",
    "nn.LSTM(3, 4, bias=1)",
    "nn.LSTM(3, 4, proj_size=4)",
    "nn.LSTM(3, 4, proj_size=-1)",
    "nn.RNN(3, 4, proj_size=2)",
    "nn.GRU(3, 4, proj_size=2)",
    "nn.RNN(3, 4, nonlinearity='x')",
    "nn.LSTM(3, 4)(torch.zeros(3))",
    "nn.LSTM(3, 4)(torch.zeros(2, 2, 2, 3))",
    "nn.LSTM(3, 4)(torch.zeros(2, 2, 5))",
    "nn.LSTM(3, 4)(torch.zeros(2, 2, 3), (torch.zeros(1, 2, 5), torch.zeros(1, 2, 4)))",
    "nn.LSTM(3, 4)(torch.zeros(2, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(2, 2, 4)))",
    "nn.LSTM(3, 4)(torch.zeros(2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))",
    "nn.LSTM(3, 4)(torch.zeros(2, 2, 3), (torch.zeros(1, 4), torch.zeros(1, 4)))",
    "nn.LSTM(3, 4)(torch.zeros(2, 2, 3).double())",
    "nn.GRU(3, 4)(torch.zeros(0, 2, 3))",
    "nn.GRU(3, 4)(torch.zeros(2, 2, 3), torch.zeros(1, 3, 4))",
    "nn.GRU(3, 4)(torch.zeros(2, 3), torch.zeros(1, 3, 4))",
    "nn.GRU(3, 4)(torch.zeros(2, 2, 3), torch.zeros(1, 4))",
    "nn.LSTMCell(3, 4)(torch.zeros(2, 2, 3))",
    "nn.LSTMCell(3, 4)(torch.zeros(2, 5))",
    "nn.LSTMCell(3, 4)(torch.zeros(2, 3), (torch.zeros(3, 4), torch.zeros(3, 4)))",
    "nn.LSTMCell(3, 4)(torch.zeros(2, 3), (torch.zeros(1, 2, 4), torch.zeros(2, 4)))",
    "nn.RNNCell(3, 4)(torch.zeros(2, 3), torch.zeros(1, 2, 4))",
    "nn.RNNCell(3, 4, nonlinearity='q')(torch.zeros(2, 3))",
    "rnn.pack_padded_sequence(torch.zeros(4, 3, 2), [4, 2])",
    "rnn.pack_padded_sequence(torch.zeros(4, 3, 2), [2, 4, 1])",
    "rnn.pack_padded_sequence(torch.zeros(4, 3, 2), [4, 2, 0])",
    "rnn.pack_padded_sequence(torch.zeros(0, 3, 2), [0, 0, 0])",
    "rnn.pad_packed_sequence(rnn.pack_padded_sequence(torch.zeros(4, 3, 2), [4, 2, 1]), "
    "total_length=2)",
    "rnn.pack_sequence([torch.zeros(2), torch.zeros(3)])",
    "rnn.pad_sequence(3)",
    "rnn.pad_sequence([torch.zeros(2)], padding_side='x')",
    "rnn.pad_sequence([])",
]


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text):
    raised = []
    for library in (grad, torch):
        names = {"torch": library, "nn": library.nn, "rnn": library.nn.utils.rnn}
        with pytest.raises(Exception) as found:
            eval(text, names)
        raised.append(found)
    assert isinstance(raised[0].value, raised[1].type)
    messages = [str(one.value).split("`")[0].split("torch.")[0][:30] for one in raised]
    assert messages[1].startswith(messages[0][: len(messages[1])])


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_types_inside_autocast(kind):
    found = []
    for library in (grad, torch):
        layer, cell = getattr(library.nn, kind)(4, 5, 2), getattr(library.nn, f"{kind}Cell")(4, 5)
        with library.autocast("cpu", dtype=library.bfloat16):
            results = [layer(library.zeros(3, 2, 4)), layer(library.zeros(3, 2, 4).bfloat16())]
            results.append(cell(library.zeros(2, 4)))
        found.append([str(one.dtype).split(".")[1] for one in tensors(results)])
    assert found[0] == found[1]
