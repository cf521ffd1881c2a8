"""Ordinary mistakes: each raises PyTorch's type of exception, in words that say what was given and
what to write instead, and names no exception that came before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import nn, optim
from grad.utils.data import DataLoader


class Listed:
    """A data set of what it is given."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def ones(*shape: int, **options: Any) -> Any:
    return grad.ones(*shape, **options)


def whole(*shape: int) -> Any:
    return grad.ones(*shape, dtype=grad.int64)


def leaf(*shape: int) -> Any:
    return grad.ones(*shape, requires_grad=True)


def twice() -> None:
    loss = leaf(3).exp().sum()
    loss.backward()
    loss.backward()


def data_of_a_list() -> None:
    ones(2).data = [1]


# NumPy's words, and the shape of a mask.
UNABLE = "Unable to allocate"
SQUARE = f"shape ({2**32}, {2**32})"

Mistake = tuple[Callable[[], Any], type[Exception], str]

MISTAKES: list[Mistake] = [
    # -- products ------------------------------------------------------------------------------
    (lambda: ones(2, 3) @ ones(2, 3), RuntimeError, "matmul: shapes (2, 3) and (2, 3) do not fit"),
    (lambda: ones(2, 3) @ ones(()), RuntimeError, "shapes (2, 3) and ()"),
    (lambda: ones(2, 3) @ 2, TypeError, "y must be a Tensor, not an int"),
    (lambda: 2 @ ones(2), TypeError, "x must be a Tensor, not an int"),
    (lambda: ones(2, 3) @ whole(3, 2), RuntimeError, "use y.to(x.dtype)"),
    (lambda: ones(2, 3, 4) @ ones(3, 4, 2), RuntimeError, "(2, 3, 4) and (3, 4, 2)"),
    (lambda: ones(2).dot(ones(3)), RuntimeError, "dot: shapes (2,) and (3,)"),
    (lambda: nn.Linear(3, 4)(ones(2, 5)), RuntimeError, "last size of the input is 5"),
    (lambda: F.linear(ones(2, 3), ones(3, 4)), RuntimeError, "use input @ weight"),
    (lambda: nn.Linear(3, 4)(whole(2, 3)), RuntimeError, "use input.to(weight.dtype)"),
    (lambda: nn.Linear(3, 4)(np.ones((2, 3))), TypeError, "input must be a Tensor, not an ndarray"),
    (lambda: nn.Conv2d(3, 4, 3)(ones(1, 1, 8, 8)), RuntimeError, "input with 3 channels"),
    (lambda: grad.linalg.inv(ones(2, 3)), RuntimeError, "A must be batches of square matrices"),
    (lambda: grad.linalg.inv(grad.zeros(2, 2)), np.linalg.LinAlgError, "singular"),
    # -- joining, moving, indexing -------------------------------------------------------------
    (lambda: grad.cat([ones(2, 3), ones(2, 4)]), RuntimeError, "shapes (2, 3) and (2, 4)"),
    (lambda: grad.cat([ones(2, 3), ones(2)]), RuntimeError, "the number of axes"),
    (lambda: grad.cat([1, 2]), TypeError, "got an int, needs a Tensor."),
    (lambda: grad.stack([ones(2), ones(2), ones(3)]), RuntimeError, "tensor 2 (3,)"),
    (lambda: ones(2, 3).view(4, 2), RuntimeError, "shape (4, 2) is invalid"),
    (lambda: ones(2, 3).T.view(6), RuntimeError, "Use x.reshape(...)"),
    (lambda: ones(4).view(grad.float64), RuntimeError, "view: float32 and float64 differ"),
    (lambda: ones(2).to("cuda"), RuntimeError, "ask grad.cuda.is_available()"),
    (lambda: ones(2, 3).expand(4, 3), RuntimeError, "(2, 3) does not expand to (4, 3)"),
    (lambda: ones(2, 3)[2], IndexError, "index 2 is out of range for axis 0 of size 2"),
    (lambda: ones(2, 3)[1.0], IndexError, "got a float"),
    (lambda: ones(3, 2).index_add(0, whole(2), ones(3, 2)), RuntimeError, "needs (2, 2)"),
    (lambda: ones(3, 2).index_add(0, whole(1), ones(1, 1)), RuntimeError, "needs (1, 2)"),
    (lambda: ones(3).index_add(0, whole(1), ones(())), RuntimeError, "needs (1,)"),
    (lambda: ones(2).scatter(0, whole(2), ones(1)), RuntimeError, "shape (2,), which"),
    (lambda: F.one_hot(grad.tensor([-1])), RuntimeError, "index -1 is out of range"),
    (lambda: list(grad.tensor(1.0)), TypeError, "cannot be iterated over"),
    # -- types and numbers ---------------------------------------------------------------------
    (lambda: whole(3).mean(), RuntimeError, "use x.float()"),
    (lambda: grad.tensor([True]) - grad.tensor([False]), RuntimeError, "use x ^ y"),
    (lambda: ones(2) << 1, RuntimeError, "use x.int()."),
    (lambda: ones(2) & 1, RuntimeError, "x.logical_and(y)"),
    (lambda: ones(2) + None, TypeError, "got None, needs a Tensor or a number"),
    (lambda: grad.tensor([None]), TypeError, "cannot hold None"),
    (lambda: grad.where(ones(2) > 0, 1), TypeError, "give two values"),
    (lambda: grad.rand(2, 3, size=(2,)), TypeError, "give one of them"),
    (data_of_a_list, TypeError, "not a list"),
    # -- names and numbers of arguments --------------------------------------------------------
    (lambda: ones(2, 3).sum(dims=1), TypeError, "sum(): got an unexpected keyword argument 'dims'"),
    (lambda: ones(2, 3).sum(dims=1), TypeError, "it takes (x, dim=None, keepdim=False"),
    (
        lambda: ones(2, 3).transpose(0),
        TypeError,
        "missing a required argument: 'dim1'",
    ),
    (lambda: ones(2).exp(1), TypeError, "exp(): too many positional arguments; it takes (x)"),
    (lambda: grad.relu([1.0]), TypeError, "must be a Tensor, not a list"),
    (lambda: grad.exp(np.ones(2)), TypeError, "exp: x must be a Tensor, not an ndarray"),
    (lambda: grad.mean(np.ones(2)), TypeError, "mean: x must be a Tensor, not an ndarray"),
    (lambda: grad.roll(np.ones(2), 1), TypeError, "roll: x must be a Tensor, not an ndarray"),
    (lambda: F.gelu(np.ones(2)), TypeError, "gelu: x must be a Tensor, not an ndarray"),
    (lambda: F.softmax(np.ones(2), 0), TypeError, "softmax: x must be a Tensor, not an ndarray"),
    (lambda: nn.ReLU()([1.0]), TypeError, "relu: x must be a Tensor, not a list"),
    (lambda: F.logsigmoid(1.5), TypeError, "logsigmoid: x must be a Tensor, not a float"),
    (lambda: F.dropout([1.0]), TypeError, "dropout: input must be a Tensor, not a list"),
    (lambda: F.layer_norm(np.ones(2), (2,)), TypeError, "input must be a Tensor, not an ndarray"),
    (lambda: F.layer_norm(ones(2), (2,), [1, 1]), TypeError, "must be a Tensor, not a list"),
    (lambda: F.rms_norm([1.0], (1,)), TypeError, "rms_norm: input must be a Tensor, not a list"),
    (lambda: F.batch_norm(ones(2, 3), [0] * 3, ones(3)), TypeError, "running_mean must be a"),
    (lambda: F.batch_norm(whole(2, 3), None, None, training=True), RuntimeError, "use x.float()"),
    (lambda: F.layer_norm(whole(2).to(grad.uint8), (2,)), RuntimeError, "use x.float()"),
    (lambda: F.rms_norm(whole(2).to(grad.uint8), (2,)), RuntimeError, "use x.float()"),
    (lambda: F.one_hot(whole(2), -2), RuntimeError, "num_classes is -2"),
    (lambda: F.glu(ones(())), RuntimeError, "glu: got a number"),
    (lambda: ones(4).unfold(0, 1.5, 1), TypeError, "unfold: size must be an int, got a float"),
    (lambda: ones(4).unfold(0, 2, 0.5), TypeError, "unfold: step must be an int, got a float"),
    (lambda: grad.histogram(ones(3), 2.5), TypeError, "bins must be an int, got a float"),
    (lambda: F.kl_div(ones(2), None), TypeError, "kl_div: target must be a Tensor, not None"),
    (lambda: F.poisson_nll_loss(None, ones(2)), TypeError, "input must be a Tensor, not None"),
    (lambda: F.multi_margin_loss(ones(2, 3), [0, 1]), TypeError, "must be a Tensor, not a list"),
    (lambda: F.multilabel_margin_loss(ones(2, 3), None), TypeError, "target must be a Tensor"),
    (lambda: F.multilabel_soft_margin_loss([1], ones(1)), TypeError, "input must be a Tensor"),
    (
        lambda: F.binary_cross_entropy_with_logits(ones(2), np.ones(2)),
        TypeError,
        "target must be a Tensor, not an ndarray",
    ),
    (lambda: F.cross_entropy(ones(2, 3), whole(2), 5), TypeError, "weight must be a Tensor"),
    (
        lambda: F.grid_sample(ones(1, 1, 2, 2), None, align_corners=False),
        TypeError,
        "grid must be a Tensor, not None",
    ),
    (lambda: F.affine_grid([1], (1, 1, 2, 2), False), TypeError, "theta must be a Tensor"),
    (lambda: grad.full_like([1.0], 2), TypeError, "full_like: input must be a Tensor"),
    (lambda: grad.hstack([ones(2), None]), TypeError, "hstack: got None"),
    (lambda: grad.linalg.cholesky([[1.0]]), TypeError, "cholesky: A must be a Tensor, not a list"),
    (lambda: grad.linalg.lstsq(ones(2, 2), [1, 2]), TypeError, "lstsq: B must be a Tensor"),
    (lambda: grad.linalg.diagonal([[1.0]]), TypeError, "diagonal: A must be a Tensor"),
    (lambda: grad.count_nonzero(None), TypeError, "count_nonzero: x must be a Tensor, not None"),
    (
        lambda: F.conv2d(ones(1, 2, 3, 3), ones(2, 1, 1, 1), groups=2.0),
        TypeError,
        "conv2d: groups must be an int, got a float",
    ),
    # -- diagonals -----------------------------------------------------------------------------
    (lambda: ones(3).diag(1.5), TypeError, "diag: diagonal must be an int, got a float"),
    (lambda: ones(3, 3).diag(1.5), TypeError, "diag: diagonal must be an int, got a float"),
    (lambda: ones(3, 3).diagonal(0.5), TypeError, "diagonal: offset must be an int, got a float"),
    (lambda: ones(3).diag_embed(1.5), TypeError, "diag_embed: offset must be an int, got a float"),
    (lambda: ones(3).diagflat("1"), TypeError, "diagflat: offset must be an int, got a str"),
    (lambda: ones(3, 3).triu(1.5), TypeError, "triu: diagonal must be an int, got a float"),
    (lambda: ones(3, 3).diag(math.nan), TypeError, "diag: diagonal must be an int, got a float"),
    # -- gradients -----------------------------------------------------------------------------
    (lambda: ones(3).sum().backward(), RuntimeError, "nothing it was computed from has"),
    (lambda: leaf(3).mul(2).backward(), RuntimeError, "Use x.sum().backward()"),
    (twice, RuntimeError, "trying to backward through the graph a second time"),
    (lambda: leaf(3).sum().backward(1.0), TypeError, "not a float; use grad.full_like"),
    (lambda: grad.autograd.grad(3, leaf(2)), TypeError, "output 0 must be a Tensor, not an int"),
    (lambda: leaf(3).add_(1), RuntimeError, "a leaf tensor that requires grad"),
    (lambda: leaf(3).numpy(), RuntimeError, "use x.detach().numpy()"),
    # -- sizes ----------------------------------------------------------------------------------
    (lambda: F.interpolate(ones(1, 1, 4), size=2**62), RuntimeError, f"shape (1, 1, {2**62})"),
    (lambda: F.interpolate(ones(1, 1, 4), size=2**50), MemoryError, f"interpolate: {UNABLE}"),
    (
        lambda: F.interpolate(ones(1, 1, 4), size=2**62, mode="area"),
        RuntimeError,
        "more than any memory",
    ),
    (lambda: grad.tril_indices(2**32, 2**32), RuntimeError, f"tril_indices: a tensor of {SQUARE}"),
    (lambda: grad.triu_indices(2**32, 2**32), RuntimeError, f"triu_indices: a tensor of {SQUARE}"),
    (lambda: grad.tril_indices(2**27, 2**27), MemoryError, f"tril_indices: {UNABLE}"),
    # -- losses, modules, optimisers, data ------------------------------------------------------
    (lambda: F.cross_entropy(ones(4, 3), ones(4)), RuntimeError, "target.long()"),
    (lambda: F.cross_entropy(ones(2, 3), [0, 1]), TypeError, "target must be a Tensor, not a list"),
    (lambda: F.nll_loss(ones(2, 3), [0, 1]), TypeError, "target must be a Tensor, not a list"),
    (lambda: F.mse_loss(ones(2), None), TypeError, "target must be a Tensor, not None"),
    (lambda: nn.Embedding(3, 4)([1, 2]), TypeError, "input must be a Tensor, not a list"),
    (lambda: nn.Sequential([nn.ReLU()]), TypeError, "Sequential(*modules)"),
    (lambda: nn.Sequential(F.relu), TypeError, "functions have modules"),
    (lambda: nn.Sequential(nn.ReLU), TypeError, "ReLU(...)"),
    (lambda: nn.Linear(2, 3).load_state_dict({}), RuntimeError, "Missing key(s) in state_dict"),
    (lambda: optim.SGD([], lr=0.1), ValueError, "empty parameter list"),
    (lambda: optim.SGD(nn.Linear(2, 2), lr=0.1), TypeError, "write model.parameters()"),
    (lambda: optim.SGD(nn.Linear(2, 2).parameters, lr=0.1), TypeError, "got a method"),
    (
        lambda: list(DataLoader(Listed(ones(2), ones(3)), batch_size=2)),
        RuntimeError,
        "A collate_fn of your own",
    ),
]


@pytest.mark.parametrize(("mistake", "expected", "words"), MISTAKES)
def test_a_mistake_is_told_in_its_own_words(
    mistake: Callable[[], Any], expected: type[Exception], words: str
) -> None:
    with pytest.raises(expected) as caught:
        mistake()
    assert words in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "torch.Size" not in str(caught.value)


def test_a_name_that_is_missing_is_told_as_python_tells_it() -> None:
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'sumn'"):
        grad.ones(2).sumn()
