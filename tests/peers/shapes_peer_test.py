"""Operations on shapes against PyTorch itself: one expression, evaluated with both.

`EXPRESSIONS` are values, shapes, types and gradients; `REFUSED` what must raise, and as what;
`WRITES` what a write through a view does to its base.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

_RANDOM = np.random.default_rng(0)
_ARRAYS = {
    "x": _RANDOM.standard_normal((3, 4)),
    "y": _RANDOM.standard_normal((3, 4)),
    "t": _RANDOM.standard_normal((2, 3, 4)),
    "v": _RANDOM.standard_normal(4),
    "w": _RANDOM.standard_normal(3),
    "s": np.array(2.5),
    "image": _RANDOM.standard_normal((2, 4, 5, 6)),
    "columns": _RANDOM.standard_normal((2, 12, 6)),
    "empty": np.zeros((0, 3)),
    "i": np.arange(12).reshape(3, 4),
    "b": np.array([[True, False, True, True]] * 3),
    "row": np.array([True, False, True, False]),
    "places": np.array([[0, 2, 1, 0], [1, 1, 0, 2], [0, 0, 0, 0]]),
    "index": np.array([2, 0, -1]),
    "front": np.array([2, 0, 2]),
}

EXPRESSIONS = """
torch.hstack((x, y))
torch.hstack((v, w, s))
torch.vstack((x, v))
torch.row_stack((v, v))
torch.dstack((x, y))
torch.dstack((v, v))
torch.column_stack((w, x, s.reshape(1).expand(3)))
torch.atleast_1d(s)
torch.atleast_2d(v, s, t)
torch.atleast_3d([x, v, s])
torch.block_diag(x, v, s, i)
x.tensor_split(3, dim=1)
x.tensor_split((1, 3), 1)
t.tensor_split([2, -1, 7], -1)
torch.tensor_split(x, torch.tensor([0, 2]))
x.hsplit(2)
v.hsplit([1, 3])
x.vsplit([1])
t.dsplit(2)
x.split_with_sizes([1, 3], 1)
torch.meshgrid(v, w)
torch.meshgrid(v, w, s, indexing="xy")
torch.meshgrid([v, w], indexing="ij")
torch.cartesian_prod(v, w)
torch.cartesian_prod(v)
torch.combinations(v, 3)
torch.combinations(v, r=2, with_replacement=True)
torch.combinations(v, 5)
torch.vander(w.detach())
torch.vander(v.detach(), 2, increasing=True)
torch.vander(front, N=3)
torch.tril_indices(3, 4, 1)
torch.triu_indices(4, 3, -1)
torch.tril_indices(3, 3, dtype=torch.int32)
torch.logspace(0, 2, 5)
torch.logspace(0, 4, 5, base=2, dtype=torch.int64)
torch.unravel_index(front, (3, 2))
torch.broadcast_shapes((3, 1), (4,), 1)
x.rot90()
t.rot90(-1, (2, 0))
x.fliplr()
t.flipud()
x.T.ravel()
t.adjoint()
x.H
t.mH
torch.diag(v, 1)
torch.diag(x, -1)
t.diagonal(1, -1, 0)
torch.diagonal(x, 9)
torch.diag_embed(x, -1, 0, 2)
torch.diagflat(x, 2)
x.diagonal_scatter(w)
t.diagonal_scatter(x[:2, :2], -1, 1, 2)
x.select_scatter(w, 1, -1)
x.slice_scatter(x[:, :2] * 2, 1, 0, 4, 2)
t.slice_scatter(t[:1], end=1)
x.unfold(1, 2, 1)
t.unfold(-2, 2, 2)
s.unfold(0, 1, 1)
torch.nn.functional.unfold(image, (2, 3), padding=1, stride=(2, 1), dilation=(1, 2))
torch.nn.functional.unfold(image[0], 3)
torch.nn.functional.fold(columns, (3, 4), 2)
torch.nn.functional.fold(columns[:, :, :4], (5, 5), 2, 2, 1, (4, 3))
torch.nn.functional.pixel_shuffle(image, 2)
torch.pixel_unshuffle(image[..., :4, :], 2)
torch.channel_shuffle(image, 2)
torch.nn.PixelShuffle(2)(image)
torch.nn.Fold((3, 4), 2)(columns)
torch.nn.Unfold(2, stride=2)(image)
torch.nn.ChannelShuffle(2)(image)
x.repeat_interleave(2)
x.repeat_interleave(2, dim=0)
x.repeat_interleave(front, dim=0)
x.repeat_interleave(torch.tensor([3]), 1)
torch.repeat_interleave(front)
x.take(index)
x.take(places)
x.put(index, w)
x.put(torch.tensor([1, 1, -1]), w, accumulate=True)
x.index_put((front, front), w, accumulate=True)
x.index_put((index, torch.tensor([0, 1, 2])), w)
x.masked_scatter(b, y)
x.masked_scatter(row, y)
x.scatter_reduce(0, places, y, "sum")
x.scatter_reduce(0, places, y, "prod")
x.scatter_reduce(0, places, y, "mean")
x.scatter_reduce(0, places, y, "amax")
x.scatter_reduce(0, places, y, "amin")
x.scatter_reduce(0, places, y, "sum", include_self=False)
x.scatter_reduce(0, places, y, "prod", include_self=False)
x.scatter_reduce(0, places, y, "mean", include_self=False)
x.scatter_reduce(0, places, y, "amax", include_self=False)
(x * (x > 0)).scatter_reduce(0, places, y * (y > 0), "prod")
i.scatter_reduce(0, places, i - 5, "mean")
b.scatter_reduce(0, places, ~b, "sum")
x.index_reduce(0, front, y, "mean")
x.index_reduce(0, front, y, "prod", include_self=False)
x.index_reduce(1, torch.tensor([3, 0]), y[:, :2], "amax")
x.as_strided((2, 2), (1, 3), 2)
x[1:].as_strided((3,), (2,))
x.T.diff()
x.diff(2, 0, x[:1], y)
b.diff()
x.diff(0)
torch.trapezoid(x, dx=0.5)
torch.trapezoid(x, w, dim=0)
torch.trapz(t, v)
torch.cumulative_trapezoid(x, y)
i.sum_to_size(3, 1)
torch.linalg.diagonal(t, offset=1)
torch.fill(x, 3)
empty.diagonal()
empty.repeat_interleave(2, 1)
torch.block_diag(empty, v)
x.argwhere()
x.take_along_dim(index.reshape(3, 1), 1)
torch.nn.functional.pad(image, (3, -2, -1, 2), "reflect")
torch.nn.functional.pad(image, (-6, 7, 1, -2), "replicate")
torch.nn.functional.pad(image, (-1, 2, 3, 0), "circular")
torch.nn.functional.pad(image, (-1, 2, 0, 0, 1, 1), value=2.5)
torch.arange(-8.5, 2, dtype=torch.int64)
torch.linspace(-3.7, 9.2, 5, dtype=torch.int32)
""".strip().splitlines()

REFUSED = """
x.diagonal(0, 1, 1)
v.diagonal()
t.diag()
x.unfold(1, 5, 1)
x.unfold(2, 1, 1)
x.unfold(0, 1, 0)
x.rot90(1, (0,))
v.rot90()
v.fliplr()
s.flipud()
x.hsplit(3)
s.hsplit(1)
v.vsplit(1)
x.dsplit(1)
x.tensor_split(0)
torch.meshgrid(x)
torch.meshgrid(v, front)
torch.combinations(x)
torch.hstack((x, t))
x.take(v)
x.take(torch.tensor([12]))
x.put(index, v)
x.masked_scatter(b, v)
x.masked_scatter(i, y)
x.scatter_reduce(0, places, y, "median")
x.scatter_reduce(0, places.int() + 3, y, "sum")
x.scatter_reduce(0, places, i, "sum")
x.index_reduce(0, front, x[:2], "mean")
x.select_scatter(v, 1, 0)
x.slice_scatter(y, 1, 0, 2)
x.diagonal_scatter(v)
x.repeat_interleave(torch.tensor([1, 2]), 0)
x.repeat_interleave(-1)
x.diff(-1)
torch.trapezoid(x, w)
x.as_strided((20,), (1,))
torch.nn.functional.unfold(image, 9)
torch.nn.functional.fold(columns, 3, 2)
torch.pixel_shuffle(image, 3)
torch.channel_shuffle(image, 3)
x[..., torch.tensor([True, False])]
x.roll((1, 2), 0)
x.index_put((front,), i[0])
""".strip().splitlines()

WRITES = """
x.diagonal(1).zero_()
x.T.diagonal(-1).mul_(3)
x[1:, ::2].diagonal().add_(1)
t.diagonal(0, 2, 1)[1].copy_(w)
x.unfold(1, 2, 2)[:, 1].mul_(-1)
x.T.unfold(0, 2, 2).sub_(1)
x.tensor_split(2, 1)[1].fill_(7)
torch.atleast_3d(x).neg_()
x.H[0].zero_()
x.as_strided((2, 2), (5, 1), 1).add_(10)
x[1:].as_strided((3,), (2,)).add_(10)
x.fill_diagonal_(4)
x.put_(index, w)
x.T.put_(index, w)
x.masked_scatter_(b, y)
x.index_reduce_(0, front, y, "amin")
x.scatter_reduce_(0, places, y, "prod")
x.T.index_put_((index,), w, accumulate=True)
torch.meshgrid(v, w)[0].sum()
""".strip().splitlines()


def names(module: Any) -> dict[str, Any]:
    values = {name: module.tensor(array) for name, array in _ARRAYS.items()}
    return {"torch": module, **values}


def listed(result: Any, kind: type) -> list[Any]:
    if isinstance(result, kind):
        return [result]
    return list(result) if isinstance(result, tuple | list) else [result]


def assert_same(ours: Any, theirs: Any) -> None:
    if not isinstance(theirs, torch.Tensor):
        assert ours == theirs
        return
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.dtype.name == str(theirs.dtype).rpartition(".")[2]
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-9)


def gradients(module: Any, expression: str) -> tuple[list[Any], dict[str, Any]]:
    """The results, and the gradient of each floating operand from weighted sums of them."""
    known = names(module)
    floating = {k: x for k, x in known.items() if k != "torch" and x.dtype is module.float64}
    for value in floating.values():
        value.requires_grad_()
    results = listed(eval(expression, dict(known)), module.Tensor)
    random = np.random.default_rng(1)
    total = None
    for result in results:
        if isinstance(result, module.Tensor) and result.requires_grad:
            weight = module.tensor(random.standard_normal(tuple(result.shape)))
            part = (result * weight).sum()
            total = part if total is None else total + part
    if total is not None:
        total.backward()
    return results, {name: value.grad for name, value in floating.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_values_and_gradients(expression: str) -> None:
    ours, found = gradients(grad, expression)
    theirs, expected = gradients(torch, expression)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine, other)
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None or not found[name].numpy().any()
        else:
            assert_same(found[name], gradient)


def test_second_gradient_of_a_product_with_several_zeros_is_refused() -> None:
    x = grad.tensor([2.0], requires_grad=True)
    source = grad.tensor([0.0, 0.0], requires_grad=True)
    product = x.scatter_reduce(0, grad.tensor([0, 0]), source, "prod")
    (first,) = grad.autograd.grad(product.sum(), source, create_graph=True)
    assert first.tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="no second one"):
        grad.autograd.grad(first.sum(), source)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("expression", REFUSED)
def test_bad_arguments(expression: str) -> None:
    with pytest.raises(Exception) as theirs:
        eval(expression, names(torch))
    kind = RuntimeError if theirs.type is NotImplementedError else theirs.type
    known = names(grad)
    with pytest.raises(kind):
        eval(expression, known)
    for name, array in _ARRAYS.items():
        np.testing.assert_array_equal(known[name].numpy(), array)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("statement", WRITES)
def test_writes_reach_the_base(statement: str) -> None:
    ours, theirs = names(grad), names(torch)
    eval(statement, ours)
    eval(statement, theirs)
    for name in _ARRAYS:
        assert_same(ours[name], theirs[name])


@pytest.mark.parametrize("name", ["tril_indices", "triu_indices"])
def test_places_of_triangles(name: str) -> None:
    for rows, columns, offset in itertools.product(range(5), range(5), range(-6, 7)):
        ours, theirs = (getattr(m, name)(rows, columns, offset) for m in (grad, torch))
        assert ours.shape == tuple(theirs.shape)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
