"""DLPack, NumPy conversion and printing next to PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

NAMES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_memory_goes_both_ways(name: str) -> None:
    theirs = torch.tensor([[0, 1], [1, 0], [1, 1]]).to(getattr(torch, name)).t()
    ours = grad.from_dlpack(theirs)
    assert ours.dtype is getattr(grad, name) and ours.stride() == theirs.stride()
    assert ours.data_ptr() == theirs.data_ptr() and ours.tolist() == theirs.tolist()
    ours[0, 1] = 0
    assert theirs[0, 1].item() == 0
    back = torch.from_dlpack(ours)
    assert back.dtype is theirs.dtype and back.data_ptr() == theirs.data_ptr()

    made = grad.ones(2, 3, dtype=getattr(grad, name))
    seen = torch.from_dlpack(made[:, 1:])
    made[:, 1] = 0
    assert seen.tolist() == made[:, 1:].tolist()
    del made, ours
    assert back.tolist() == theirs.tolist()


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.5, -3.0], [[1, -2], [30, 4]], [1e10, 1.0], [0.001, 0.5], [1e-5, 0.5],
        [123456.0, 1.0],
        [float("nan"), 1.5], [float("inf"), 2.0], [True, False], 3.25, [], [[[1.0, 2.0],
        [3.0, 4.5]]],
        list(range(100)), [100000000.0, 2.0], [0.1] * 20,
    ],
    ids=str,
)  # fmt: skip
def test_repr(values: object) -> None:
    assert repr(grad.tensor(values)) == repr(torch.tensor(values))


@pytest.mark.parametrize("shape", [(2000,), (40, 50), (12, 9, 11), (1001, 1)])
def test_repr_of_large_tensors(shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape))
    assert repr(grad.arange(count).view(shape)) == repr(torch.arange(count).view(shape))
    assert repr(grad.arange(count).view(shape) / 4) == repr(torch.arange(count).view(shape) / 4)


@pytest.mark.parametrize(
    "data",
    [1, 1.5, True, [1, 2], [1, 2.5], [True, 2], [True, 2.5], [[]], [], np.float32(1)],
    ids=str,
)
def test_inferred_types(data: object) -> None:
    assert str(grad.tensor(data).dtype)[5:] == str(torch.tensor(data).dtype)[6:]
    assert grad.tensor(data).shape == tuple(torch.tensor(data).shape)
