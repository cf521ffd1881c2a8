"""Names that programs for older PyTorch use."""

from __future__ import annotations

import numpy as np
import pytest

import grad


def test_tensors_by_type():
    assert grad.FloatTensor(2, 3).shape == (2, 3)
    assert grad.FloatTensor(grad.Size([2, 3])).shape == (2, 3)
    assert grad.FloatTensor((2, 3)).tolist() == [2, 3]
    assert grad.FloatTensor().shape == (0,)
    assert grad.LongTensor(np.array([1.5, 2.0])).tolist() == [1, 2]
    assert grad.ByteTensor([1, 255]).dtype is grad.uint8
    assert grad.arange(2).type(grad.DoubleTensor).dtype is grad.float64
    assert isinstance(grad.ones(2), grad.FloatTensor)
    assert not isinstance(grad.arange(2), grad.FloatTensor)


def test_a_tensor_of_the_type_shares_its_memory():
    x = grad.ones(2)
    grad.FloatTensor(x).fill_(5)
    assert x.tolist() == [5, 5]


@pytest.mark.parametrize("data", [3.0, True, grad.arange(2)])
def test_what_is_no_sequence_is_refused(data: object):
    with pytest.raises(TypeError, match=r"must be a sequence|expected a tensor of float32"):
        grad.FloatTensor(data)


def test_variable():
    x = grad.autograd.Variable(grad.ones(2), requires_grad=True)
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert isinstance(x, grad.autograd.Variable)
    with pytest.raises(TypeError, match="has to be a tensor"):
        grad.autograd.Variable([1.0])


def test_range_includes_its_end():
    assert grad.range(0, 3).tolist() == [0, 1, 2, 3]
    assert grad.range(1, 2, 0.5).tolist() == [1, 1.5, 2]
    assert grad.range(3, 1, -1, dtype=grad.int64).tolist() == [3, 2, 1]
    with pytest.raises(RuntimeError, match="nonzero"):
        grad.range(0, 1, 0)
    with pytest.raises(RuntimeError, match="step sign"):
        grad.range(3, 0)


def test_the_default_type_by_a_class():
    try:
        grad.set_default_tensor_type(grad.DoubleTensor)
        assert grad.tensor(1.0).dtype is grad.float64
    finally:
        grad.set_default_tensor_type("torch.FloatTensor")
    with pytest.raises(TypeError):
        grad.set_default_tensor_type(grad.LongTensor)


def test_data_parallel_is_a_wrapper():
    model = grad.nn.DataParallel(grad.nn.Linear(2, 3))
    assert list(model.state_dict()) == ["module.weight", "module.bias"]
    x = grad.ones(4, 2)
    assert model(x).tolist() == model.module(x).tolist()
