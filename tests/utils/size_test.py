"""`Size` is a tuple of numbers whose slices, sums and multiples are sizes, as in PyTorch."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import Size

SIZES = {
    "of a list": (lambda: Size([2, 3]), (2, 3)),
    "of nothing": (lambda: Size(), ()),
    "of an iterator": (lambda: Size(n for n in (2, 3)), (2, 3)),
    "of NumPy's numbers": (lambda: Size([np.int64(2)]), (2,)),
    "of tensors": (lambda: Size([grad.tensor(2)]), (2,)),
    "slice": (lambda: Size((2, 3, 4))[1:], (3, 4)),
    "negative slice": (lambda: Size((2, 3, 4))[::-1], (4, 3, 2)),
    "sum": (lambda: Size((2,)) + (3,), (2, 3)),
    "sum of two": (lambda: Size((2,)) + Size((3,)), (2, 3)),
    "reflected sum": (lambda: (2,) + Size((3,)), (2, 3)),
    "multiple": (lambda: Size((2, 3)) * 2, (2, 3, 2, 3)),
    "reflected multiple": (lambda: 2 * Size((2, 3)), (2, 3, 2, 3)),
    "pickled": (lambda: pickle.loads(pickle.dumps(Size((2, 3)))), (2, 3)),
    "copied": (lambda: copy.copy(Size((2, 3))), (2, 3)),
    "copied deeply": (lambda: copy.deepcopy(Size((2, 3))), (2, 3)),
    "shape": (lambda: grad.zeros(2, 3).shape, (2, 3)),
    "shape of a view": (lambda: grad.zeros(2, 3).T.shape, (3, 2)),
    "shape of a parameter": (lambda: grad.nn.Linear(3, 2).weight.shape, (2, 3)),
    "size": (lambda: grad.zeros(2, 3).size(), (2, 3)),
    "broadcast_shapes": (lambda: grad.broadcast_shapes((2, 1), (3,)), (2, 3)),
}


@pytest.mark.parametrize(("make", "expected"), SIZES.values(), ids=list(SIZES))
def test_it_is_a_size(make: Callable[[], Any], expected: tuple[int, ...]) -> None:
    found = make()
    assert type(found) is Size and found == expected and hash(found) == hash(expected)
    assert all(type(size) is int for size in found)


def test_it_counts_elements() -> None:
    assert (Size((2, 3)).numel(), Size(()).numel(), Size((2, 0)).numel()) == (6, 1, 0)


def test_it_is_printed_as_pytorch_prints_it() -> None:
    assert repr(Size((2, 3))) == str(Size((2, 3))) == f"{Size((2, 3))}" == "torch.Size([2, 3])"


def test_single_sizes_are_numbers() -> None:
    assert type(Size((2, 3))[0]) is int and type(grad.zeros(2, 3).size(-1)) is int


REFUSED = {
    "a fraction": (lambda: Size([2, 1.5]), r"takes an iterable of 'int' \(item 1 is 'float'\)"),
    "a string": (lambda: Size(["a"]), r"item 0 is 'str'"),
    "a tensor of a fraction": (lambda: Size([grad.tensor(1.5)]), r"item 0 is 'Tensor'"),
    "a number": (lambda: Size(5), "not iterable"),
    "two numbers": (lambda: Size(2, 3), "argument"),
    "a list to add": (lambda: Size((2,)) + [3], r"can only concatenate tuple \(not list\)"),
    "to add to a list": (lambda: [3] + Size((2,)), "list"),
    "a fraction to add": (lambda: Size((2,)) + (1.5,), r"item 1 is 'float'"),
    "a fraction of it": (lambda: Size((2,)) * 1.5, "operand"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_size_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_a_shape_cannot_be_set() -> None:
    with pytest.raises(AttributeError):
        grad.zeros(2).shape = (1, 2)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Size((2,)).name = 1  # type: ignore[attr-defined]


def test_sizes_are_sizes_everywhere() -> None:
    size = grad.zeros(2, 3).shape
    for made in (grad.ones(size), grad.rand(size), grad.arange(6).reshape(size)):
        assert made.shape == size
    assert grad.ones(4, *size).view(-1, *size[1:]).shape == (8, 3)
    assert np.zeros(size).shape == (2, 3) and np.prod(size) == 6
    assert grad.zeros(2, 3, 4)[size[:0]].shape == (2, 3, 4)


def test_compiled_functions_take_and_give_sizes() -> None:
    @grad.compile
    def function(x: grad.Tensor, size: Size) -> tuple[grad.Tensor, Size]:
        return x.reshape(size) * 2, x.shape

    x = grad.arange(6.0)
    for _ in range(4):
        result, size = function(x, Size((2, 3)))
        assert result.tolist() == [[0, 2, 4], [6, 8, 10]]
        assert type(size) is Size and size == (6,)
    assert function(x, Size((3, 2)))[0].shape == (3, 2)


def test_inside_shapes_are_plain_tuples() -> None:
    """They are quicker, and plans are saved with them."""
    x = grad.arange(6.0).reshape(2, 3)
    size = x.shape
    for made in (
        grad.ones(size), x.view(size), x.T.reshape(size), grad.ones(3).expand(size), x.clone(),
        grad.zeros(size).uniform_(), grad.zeros_like(x), grad.rand(size), grad.randn_like(x),
        x.new_zeros(size), grad.nn.Linear(*size).weight, x.sum(0).broadcast_to(size), x + x.exp(),
    ):  # fmt: skip
        assert type(made._shape) is type(made.node.shape) is tuple
        assert type(made.shape) is Size
