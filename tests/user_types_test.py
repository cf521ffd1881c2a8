"""What a type checker infers of a user's code: `make check` runs pyright over this file, and pytest
shows that the code runs.
"""

from __future__ import annotations

from typing import assert_type

import grad
from grad import Tensor, nn, optim
from grad.tensor import Tensor as TensorClass
from grad.utils.data import DataLoader, Dataset, Subset, TensorDataset, random_split


class Numbers(Dataset[tuple[Tensor, int]]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return grad.ones(3), index


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).relu()


def test_tensors_and_what_operations_give() -> None:
    x = grad.randn(4, 3)
    assert_type(x.shape[0], int)
    assert_type(x.max(), Tensor)
    assert_type(x.max(1).values, Tensor)
    assert_type(x.max(axis=1).indices, Tensor)
    assert_type(grad.median(x, dim=0).values, Tensor)
    values, positions = x.sort(dim=1)
    assert_type(values, Tensor)
    assert_type(positions, Tensor)
    assert_type(x.topk(2).indices, Tensor)
    assert_type(grad.from_numpy(x.numpy()), Tensor)
    assert Tensor is TensorClass


def test_decorators_keep_the_type_of_what_they_decorate() -> None:
    @grad.no_grad()
    def mean(x: Tensor) -> Tensor:
        return x.mean()

    @grad.compile
    def total(x: Tensor) -> Tensor:
        return x.sum()

    @grad.inference_mode()
    def count(x: Tensor) -> int:
        return len(x)

    x = grad.ones(2)
    assert_type(mean(x), Tensor)
    assert_type(total(x), Tensor)
    assert_type(count(x), int)
    assert_type(grad.compile(Block(3)), Block)
    with grad.no_grad():
        assert not grad.is_grad_enabled()


def test_datasets_hand_on_the_type_of_their_samples() -> None:
    train, _ = random_split(Numbers(), [3, 1])
    assert_type(train, Subset[tuple[Tensor, int]])
    loader = DataLoader(train, batch_size=2)
    assert_type(loader, DataLoader[tuple[Tensor, int]])
    assert len(list(loader)) == 2
    plain: DataLoader[int] = DataLoader([1, 2, 3])
    assert len(plain) == 3
    assert DataLoader[int] is not None
    assert_type(DataLoader(TensorDataset(grad.ones(2))), DataLoader[tuple[Tensor, ...]])


def test_functions_of_ones_own_may_name_their_gradients() -> None:
    class Double(grad.autograd.Function):
        @staticmethod
        def forward(ctx: grad.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: grad.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
            return gradient * 2

    x = grad.ones(2, requires_grad=True)
    optimizer = optim.SGD([x], lr=1.0)
    Double.apply(x).sum().backward()
    optimizer.step()
    assert x.tolist() == [-1.0, -1.0]
