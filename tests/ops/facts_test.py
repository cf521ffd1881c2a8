"""What tensors say of themselves, memory of given strides and formats, functions of Python."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.errors import BroadcastError, DeviceError, GradientError, InplaceError, ShapeError


def test_facts() -> None:
    x = grad.zeros(2, 3)
    assert x.is_cpu and not (x.is_cuda or x.is_sparse or x.is_quantized or x.is_meta)
    assert x.is_signed() and not grad.is_signed(grad.zeros(1, dtype=grad.uint8))
    assert not (grad.is_complex(x) or x.is_conj() or x.is_neg() or x.is_pinned())
    assert x.ndimension() == 2 and x.get_device() == -1 and x.pin_memory() is x
    assert grad.typename(x) == "torch.FloatTensor" and grad.typename(3) == "int"
    assert x.is_set_to(x.detach()) and not x.is_set_to(x[:1])
    assert grad.ones(1).is_nonzero()


def test_strides_can_be_asked_for() -> None:
    assert grad.empty_strided((2, 3), (1, 2)).stride() == (1, 2)
    assert grad.zeros(2).new_empty_strided((2, 2), (3, 1)).stride() == (3, 1)
    x = grad.empty_permuted((2, 3, 4), (0, 2, 1))
    assert x.stride() == (12, 1, 3) and x.dim_order() == (0, 2, 1)
    with pytest.raises(ShapeError):
        grad.empty_strided((2,), (1, 1))
    with pytest.raises(ShapeError):
        grad.empty_permuted((2, 3), (0, 0))


def test_memory_formats_change_strides_alone() -> None:
    x = grad.arange(24.0).reshape(1, 2, 3, 4).requires_grad_()
    last = x.to(memory_format=grad.channels_last)
    assert last.stride() == (24, 1, 8, 2) and last.tolist() == x.tolist()
    assert last.is_contiguous(memory_format=grad.channels_last) and not last.is_contiguous()
    assert last.contiguous(memory_format=grad.channels_last) is last
    (last * 2).sum().backward()
    assert x.grad.sum().item() == 48
    assert not grad.zeros(2).is_contiguous(memory_format=grad.channels_last)
    with pytest.raises(ShapeError, match="rank 4"):
        grad.zeros(2, 3).contiguous(memory_format=grad.channels_last)


def test_functions_of_python() -> None:
    x = grad.tensor([1, 2])
    assert x.apply_(lambda element: element * 2) is x and x.tolist() == [2, 4]
    assert x.map_(grad.tensor([10]), lambda a, b: a + b).tolist() == [12, 14]
    assert x.map2_(x, x, lambda a, b, c: a + b + c).tolist() == [36, 42]
    with pytest.raises(BroadcastError):
        x.map_(grad.tensor([[1]]), lambda a, b: a)
    with pytest.raises(GradientError):
        grad.zeros(2, requires_grad=True).apply_(abs)
    with pytest.raises(InplaceError):
        grad.zeros(1).expand(3).apply_(abs)


def test_nonzero_of_a_fixed_size() -> None:
    x = grad.tensor([[0, 5], [7, 0]])
    assert grad.nonzero_static(x, size=3).tolist() == [[0, 1], [1, 0], [-1, -1]]
    assert x.nonzero_static(size=1, fill_value=9).tolist() == [[0, 1]]


def test_windows() -> None:
    for ours, theirs in (
        (grad.hann_window, np.hanning),
        (grad.hamming_window, np.hamming),
        (grad.blackman_window, np.blackman),
        (grad.bartlett_window, np.bartlett),
    ):
        for length in (0, 1, 2, 7):
            whole = theirs(length + 1)[:length] if length > 1 else np.ones(length)
            np.testing.assert_allclose(ours(length).numpy(), whole, atol=1e-6)
            symmetric = ours(length, periodic=False, dtype=grad.float64)
            np.testing.assert_allclose(symmetric.numpy(), theirs(length), atol=1e-12)
    kaiser = grad.kaiser_window(6, False, 5.0, dtype=grad.float64)
    np.testing.assert_allclose(kaiser.numpy(), np.kaiser(6, 5.0))


def test_switches_remember() -> None:
    assert not grad.are_deterministic_algorithms_enabled()
    grad.use_deterministic_algorithms(True, warn_only=True)
    assert grad.get_deterministic_debug_mode() == 1
    grad.set_deterministic_debug_mode("default")
    assert not grad.are_deterministic_algorithms_enabled()
    with pytest.raises(ValueError, match="none of"):
        grad.set_float32_matmul_precision("low")
    with pytest.raises(DeviceError):
        grad.set_default_device("cuda")
    assert grad.get_default_device() == "cpu" and grad.get_num_interop_threads() == 1


def test_where_and_how_new_tensors_lie():
    assert isinstance(grad.strided, grad.layout)
    assert grad.ones(2).layout is grad.strided
    for made in (
        grad.zeros(2, layout=grad.strided, pin_memory=False),
        grad.empty(2, memory_format=grad.contiguous_format),
        grad.rand(2, layout=grad.strided, device="cpu"),
        grad.arange(2, layout=None),
        grad.ones(3).new_tensor([1, 2], device="cpu", requires_grad=True),
        grad.ones(3).new_full((2,), 1, layout=grad.strided),
    ):
        assert made.shape == (2,)
    image = grad.empty(1, 2, 3, 4, memory_format=grad.channels_last, requires_grad=True)
    assert image.stride() == (24, 1, 8, 2)
    assert image.is_leaf
    with pytest.raises(TypeError, match="layout"):
        grad.zeros(2, layout="strided")
