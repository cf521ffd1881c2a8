"""Shapes, joins and parts: values, gradients, keyword forms and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad import Tensor, dtypes, gradcheck, gradgradcheck
from grad.ops.registry import registry

X = np.arange(24.0).reshape(2, 3, 4)


def leaf(*shape: int) -> Tensor:
    values = np.random.default_rng(0).standard_normal(shape)
    return grad.tensor(values, requires_grad=True)


CASES = {
    "view": lambda x: x.view(4, -1),
    "reshape of a transpose": lambda x: x.transpose(0, 2).reshape(-1),
    "permute": lambda x: x.permute(2, 0, 1),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(-1, (2, -1)),
    "unsqueeze": lambda x: x.unsqueeze(1).squeeze(1)[None],
    "expand": lambda x: x[:1].expand(5, -1, 4),
    "expand in front": lambda x: x.expand(2, 2, 3, 4),
    "flip": lambda x: x.flip(0, -1),
    "movedim": lambda x: x.movedim((0, 1), (2, 0)),
    "narrow": lambda x: x.narrow(2, 1, 2),
    "select": lambda x: x.select(1, -1),
    "slice by steps": lambda x: x[:, ::2, 1::2],
    "slice backward": lambda x: x[::-1, ::-2, 3:0:-2],
    "empty slice": lambda x: x[:, 2:1],
    "as_strided": lambda x: x.as_strided((2, 3), (1, 2), 3),
    "clone": lambda x: x.clone(),
    "contiguous": lambda x: x.T.contiguous(),
    "cat": lambda x: grad.cat([x, x * 2, x[:, :1]], dim=1),
    "stack": lambda x: grad.stack([x, x.flip(0)], dim=-1),
    "split": lambda x: sum(part.sum(2) * i for i, part in enumerate(x.split([1, 3], 2))),
    "chunk": lambda x: grad.cat([part.exp() for part in x.chunk(2, 2)]),
    "unbind": lambda x: x.unbind(1)[0] * x.unbind(1)[2],
    "repeat": lambda x: x.repeat(2, 1, 2, 1),
    "roll": lambda x: x.roll((1, -1), (0, 2)) * 2,
    "broadcast_tensors": lambda x: grad.broadcast_tensors(x[:1], x)[0],
    "masked_select": lambda x: x.masked_select(grad.tensor(X % 2 == 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    assert gradcheck(lambda x: CASES[name](x) * CASES[name](x), leaf(2, 3, 4))
    assert gradgradcheck(lambda x: CASES[name](x) * CASES[name](x), leaf(2, 3, 4))


def test_joins() -> None:
    x, y = grad.tensor(X), grad.tensor(X + 100)
    np.testing.assert_array_equal(grad.cat((x, y), 1).numpy(), np.concatenate((X, X + 100), 1))
    np.testing.assert_array_equal(grad.stack((x, y), 3).numpy(), np.stack((X, X + 100), 3))
    assert grad.cat([x, grad.zeros(0)]).shape == x.shape
    assert grad.cat([grad.ones(2, dtype=dtypes.int32), grad.ones(1)]).dtype is dtypes.float32
    assert grad.cat([grad.ones(0, 2), grad.ones(3, 2)]).shape == (3, 2)
    assert [p.shape for p in x.split(3, 2)] == [(2, 3, 3), (2, 3, 1)]
    assert [p.shape[2] for p in x.chunk(3, 2)] == [2, 2]
    part = x.split(2, 2)[1]
    part.zero_()
    assert not x[:, :, 2:].numpy().any() and x[1, 2, 1].item() == 21


@pytest.mark.parametrize(
    "call",
    [
        lambda x: grad.cat([]), lambda x: grad.cat([x, x[0]]), lambda x: grad.cat([x, x[:, :1]]),
        lambda x: grad.stack([x, x.T]), lambda x: grad.stack([]), lambda x: grad.cat([x[0, 0, 0]]),
        lambda x: x.view(5, -1), lambda x: x.T.view(-1), lambda x: x.view(-1, -1),
        lambda x: x.view(-2),
        lambda x: x.split([1, 2], 2), lambda x: x.split(0), lambda x: x.chunk(0),
        lambda x: x.repeat(2), lambda x: x.permute(0, 1), lambda x: x.permute(0, 0, 1),
        lambda x: x.expand(2), lambda x: x.expand(3, 3, 4), lambda x: x.narrow(0, 1, 2),
        lambda x: x.as_strided((30,), (1,)), lambda x: x.flatten(2, 1), lambda x: x.t(),
        lambda x: x.unflatten(0, (3, 2)), lambda x: x.movedim((0, 1), (0,)), lambda x: x[0, 0].mT,
    ],
)  # fmt: skip
def test_refusals(call: object) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        call(grad.tensor(X))


@pytest.mark.parametrize(
    "call", [lambda x: x.transpose(0, 3), lambda x: x.squeeze(5), lambda x: x.flip(3)]
)
def test_axes_out_of_range(call: object) -> None:
    with pytest.raises(IndexError):
        call(grad.tensor(X))


def test_keyword_forms() -> None:
    x = grad.tensor(X)
    assert x.sum(axis=1, keepdims=True).shape == x.sum(dim=1, keepdim=True).shape == (2, 1, 4)
    assert grad.sum(input=x, dim=0).shape == np.sum(x, axis=0).shape == (3, 4)
    assert x.permute(dims=(2, 1, 0)).shape == x.permute((2, 1, 0)).shape == (4, 3, 2)
    assert x.transpose(dim0=0, dim1=2).shape == (4, 3, 2)
    assert x.view(size=(6, 4)).shape == x.reshape(shape=(6, 4)).shape == (6, 4)
    assert grad.cat(tensors=[x, x], axis=1).shape == (2, 6, 4)
    assert grad.add(input=x, other=x)[0, 0, 1].item() == 2
    w = leaf(3)
    grad.mul(input=grad.ones(3, dtype=dtypes.float64), other=w).sum().backward()
    assert w.grad.tolist() == [1.0] * 3
    with pytest.raises(TypeError, match="two names"):
        x.sum(dim=0, axis=0)
    with pytest.raises(TypeError):
        x.sum(nonsense=1)
    with pytest.raises(TypeError, match="missing"):
        x.transpose(dim1=0)


def test_every_view_op_says_so() -> None:
    x = Tensor.zeros(2, 3, 4)
    for row in registry():
        if row.view and row.method and len(row.parameters) == 1 and not row.composite:
            if row.name == "t":
                continue
            assert row(x)._storage is x._storage, row.name


def test_axes_are_named_once():
    x = grad.ones(1, 2)
    with pytest.raises(RuntimeError, match="names an axis twice"):
        x.flip(0, -2)
    with pytest.raises(RuntimeError, match="names an axis twice"):
        x.squeeze((0, -2))


def test_the_axis_of_a_number_stays():
    assert grad.tensor(2.0).movedim(0, -1).item() == 2
    assert grad.tensor(2.0).moveaxis((0,), (0,)).shape == ()
