"""The tensor itself: making it, reading it, printing, converting, copying, and what it refuses."""

from __future__ import annotations

import copy
import pickle
import threading

import ml_dtypes
import numpy as np
import pytest

import grad
from grad import Tensor, dtypes
from grad.dtype import ALL_DTYPES
from grad.utils.fp16 import float16_bits_to_float, float_to_float16_bits

# -- making ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "shape", "inferred"),
    [
        (1, (), dtypes.int64), (1.5, (), dtypes.float32), (True, (), dtypes.bool), ([], (0,),
        dtypes.float32),
        ([1, 2], (2,), dtypes.int64), ([1, 2.5], (2,), dtypes.float32), ([True, False], (2,),
        dtypes.bool),
        ([[1], [2]], (2, 1), dtypes.int64), (((1, 2), (3, 4)), (2, 2), dtypes.int64), ([[]],
        (1, 0), dtypes.float32),
        (np.zeros((2, 3)), (2, 3), dtypes.float64), (np.arange(3, dtype=np.uint8), (3,),
        dtypes.uint8),
        (np.float16(2), (), dtypes.float16), (range(3), (3,), dtypes.int64),
    ],
    ids=str,
)  # fmt: skip
def test_from_data(data: object, shape: tuple, inferred: grad.DType) -> None:
    made = grad.tensor(data)
    assert made.shape == shape and made.dtype is inferred
    plain = Tensor(float(data) if type(data) is int else data)
    assert plain.shape == shape and plain.dtype is dtypes.float32
    expected = np.asarray(data)
    np.testing.assert_array_equal(made.numpy(), expected)
    np.testing.assert_array_equal(plain.numpy(), expected)


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [((), (0,)), ((5,), (5,)), ((0,), (0,)), ((2, 3), (2, 3)), ((1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
     ((np.int64(2), 1, 2, 3, 4, 5), (2, 1, 2, 3, 4, 5)), ((grad.Size([2, 3]),), (2, 3))],
)  # fmt: skip
def test_whole_numbers_are_sizes(sizes: tuple, shape: tuple) -> None:
    made = Tensor(*sizes)
    assert made.shape == shape and made.dtype is dtypes.float32 and not made.requires_grad
    old = grad.ones(1, dtype=dtypes.int16).new(*sizes)
    assert old.shape == shape and old.dtype is dtypes.int16


def test_data_are_no_sizes() -> None:
    assert Tensor((2, 3)).tolist() == [2, 3] and Tensor(2.0).tolist() == 2
    assert Tensor(3, dtype=dtypes.int64).tolist() == 3 and Tensor(True).tolist() == 1
    assert grad.ones(1).new([2, 3]).tolist() == [2, 3]
    assert grad.ones(1).new(grad.arange(3)).tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="not possible"):
        Tensor(2, -1)


def test_whole_numbers_are_never_rounded() -> None:
    for options in ({}, {"dtype": dtypes.int64}, {"dtype": dtypes.uint64}):
        with pytest.raises(TypeError, match="fits no type"):
            grad.tensor([[2**63, -1]], **options)
    assert grad.tensor([2**63, -1], dtype=dtypes.float64).tolist() == [2.0**63, -1]
    assert grad.tensor([1e20, -1]).dtype is dtypes.float32


def test_names_of_types() -> None:
    x = Tensor([1.5])
    assert x.type() == "torch.FloatTensor" and x.type("torch.LongTensor").dtype is dtypes.int64
    assert x.type(dtypes.bool).dtype is dtypes.bool
    with pytest.raises(ValueError, match="no type"):
        x.type("torch.WordTensor")


def test_from_tensors() -> None:
    x = Tensor([1.0, 2.0])
    y = grad.tensor(x)
    y += 1
    assert x.tolist() == [1.0, 2.0]
    assert grad.tensor([x[0], x[1], 5]).tolist() == [1.0, 2.0, 5.0]
    assert grad.tensor([x, x]).shape == (2, 2)
    assert grad.as_tensor(x) is x


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        ([[1, 2], [3]], ValueError, "ragged"), ([1, [2]], ValueError, "ragged"),
        ("abc", TypeError, "str"),
        (None, TypeError, "None"), (["a"], TypeError, "strings"),
        ({}, TypeError, "dict"), ([None], TypeError, "None"),
        ([1j], TypeError, "complex"), ([2**70], TypeError, "fit"), (object(), TypeError, "object"),
    ],
    ids=lambda value: type(value).__name__ if type(value) is object else str(value),
)  # fmt: skip
def test_from_wrong_data(data: object, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        grad.tensor(data)
    with pytest.raises(error, match=match):
        Tensor(data)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_every_dtype_goes_in_and_out(dtype: grad.DType) -> None:
    array = np.array([[0, 1, 2], [3, 1, 0]]).astype(dtype.numpy)
    x = grad.tensor(array)
    assert x.dtype is dtype and x.numpy().dtype == dtype.numpy
    np.testing.assert_array_equal(x.numpy(), array)
    assert x.T.tolist() == array.astype(np.float64).T.tolist()
    assert pickle.loads(pickle.dumps(x)).dtype is dtype
    assert repr(x).startswith("tensor([[")


@pytest.mark.parametrize("dtype", [d for d in ALL_DTYPES if d.kind == "f"], ids=str)
def test_special_values(dtype: grad.DType) -> None:
    tiny = float(ml_dtypes.finfo(dtype.numpy).smallest_subnormal)
    values = [
        np.nan,
        np.inf,
        -np.inf,
        -0.0,
        0.0,
        tiny,
        -tiny,
        float(ml_dtypes.finfo(dtype.numpy).max),
    ]
    x = grad.tensor(values, dtype=dtype)
    bits = f"u{dtype.itemsize}"
    expected = np.array(values).astype(dtype.numpy)
    np.testing.assert_array_equal(x.numpy().view(bits), expected.view(bits))
    np.testing.assert_array_equal(np.signbit(x.tolist()[1:]), np.signbit(values[1:]))


def test_creation() -> None:
    assert Tensor.zeros((2, 3)).tolist() == [[0.0] * 3] * 2
    assert Tensor.ones(2, dtype=dtypes.int32).tolist() == [1, 1]
    assert Tensor.full((2,), 7).dtype is dtypes.int64 and grad.full((2,), 1.5).tolist() == [
        1.5,
        1.5,
    ]
    assert Tensor.arange(5).tolist() == [0, 1, 2, 3, 4]
    assert grad.arange(1, 2, 0.25).tolist() == [1.0, 1.25, 1.5, 1.75]
    assert grad.arange(5, 0, -2).tolist() == [5, 3, 1]
    np.testing.assert_array_equal(grad.arange(0, 1, 0.1).numpy(), np.arange(0, 1, 0.1).astype("f4"))
    np.testing.assert_allclose(grad.linspace(-1, 2, 7).numpy(), np.linspace(-1, 2, 7), rtol=1e-6)
    assert grad.linspace(3, 9, 1).tolist() == [3.0] and grad.linspace(0, 1, 0).shape == (0,)
    assert grad.eye(2, 3).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    x = Tensor.zeros(2, 0, dtype=dtypes.float16)
    for like in (grad.zeros_like, grad.ones_like, grad.empty_like):
        assert like(x).shape == (2, 0) and like(x).dtype is dtypes.float16
    assert grad.full_like(grad.ones(2), 3).tolist() == [3.0, 3.0]
    assert x.new_zeros(3).dtype is dtypes.float16
    assert grad.zeros(3, requires_grad=True).requires_grad


@pytest.mark.parametrize(
    "make",
    [
        lambda: grad.zeros(-1), lambda: grad.ones((2, -3)), lambda: grad.zeros(2**40, 2**40),
        lambda: grad.arange(0, 5, 0), lambda: grad.arange(0, 5, -1),
        lambda: grad.linspace(0, 1, -1),
        lambda: grad.eye(-1), lambda: grad.empty(2**60), lambda: grad.full((-1,), 0),
    ],
)  # fmt: skip
def test_wrong_sizes(make: object) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        make()


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError):
        grad.zeros(1.5)
    with pytest.raises(TypeError):
        grad.tensor([300], dtype=dtypes.uint8)
    with pytest.raises(RuntimeError, match="floating"):
        grad.tensor([1], requires_grad=True)
    with pytest.raises(RuntimeError, match="no device"):
        grad.zeros(1, device="cuda")
    with pytest.raises(TypeError):
        grad.zeros(1, dtype="complex64")


# -- attributes and Python numbers -----------------------------------------------------------------


def test_attributes() -> None:
    x = Tensor.zeros(2, 3)
    assert (x.ndim, x.dim(), x.numel(), x.size(), x.size(-1)) == (2, 2, 6, (2, 3), 3)
    assert x.stride() == (3, 1) and x.T.stride() == (1, 3) and x.T.stride(0) == 1
    assert x.is_contiguous() and not x.T.is_contiguous() and x.T.contiguous().is_contiguous()
    assert x[1, 1:].storage_offset() == 4
    assert x.device == "cpu" and x.device.type == "cpu" and x.device == grad.device("cpu")
    assert (x.itemsize, x.nbytes, len(x)) == (4, 24, 2)
    assert Tensor.T(x).shape == x.T.shape == (3, 2) and x.mT.shape == (3, 2)
    assert Tensor.permute(x, 1, 0).shape == (3, 2)


def test_python_numbers() -> None:
    x = grad.tensor([[3]])
    assert (x.item(), int(x), float(x), bool(x), [10, 20, 30, 40][x[0, 0]]) == (3, 3, 3.0, True, 40)
    assert f"{grad.tensor(1.5):.2f}" == "1.50"
    assert 3 in x and 4 not in x
    assert [row.tolist() for row in grad.eye(2)] == [[1.0, 0.0], [0.0, 1.0]]
    with pytest.raises(ValueError, match="one value"):
        bool(grad.zeros(2))
    with pytest.raises(ValueError, match="one element"):
        grad.zeros(2).item()
    for wrong in (len, iter):
        with pytest.raises(TypeError):
            wrong(grad.tensor(1))


def test_tensors_as_dictionary_keys() -> None:
    x, y = grad.zeros(2), grad.zeros(2)
    assert {x: 1, y: 2}[x] == 1


# -- printing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (lambda: grad.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (lambda: grad.tensor(3), "tensor(3)"),
        (lambda: grad.tensor([[0.5, -1.25]]), "tensor([[ 0.5000, -1.2500]])"),
        (lambda: grad.tensor([True, False]), "tensor([ True, False])"),
        (lambda: grad.tensor([1, 200]), "tensor([  1, 200])"),
        (lambda: grad.tensor([1e-6, 1.0]), "tensor([1.0000e-06, 1.0000e+00])"),
        (lambda: grad.tensor([float("nan"), float("inf")]), "tensor([nan, inf])"),
        (lambda: grad.zeros(2, 0), "tensor([], size=(2, 0))"),
        (lambda: grad.ones(1, dtype=dtypes.float16), "tensor([1.], dtype=grad.float16)"),
        (lambda: grad.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: grad.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<MulBackward>)"),
        (lambda: grad.eye(2), "tensor([[1., 0.],\n        [0., 1.]])"),
    ],
)
def test_repr(x: object, text: str) -> None:
    assert repr(x()) == text


def test_repr_of_large_tensors_is_short() -> None:
    text = repr(grad.arange(10**6).view(1000, 1000))
    assert "..." in text and len(text.splitlines()) == 7
    assert "999999" in text


# -- conversion ------------------------------------------------------------------------------------


def test_numpy_shares_memory_both_ways() -> None:
    x = Tensor([1.0, 2.0, 3.0])
    a = x.numpy()
    a[0] = 10
    assert x.tolist() == [10.0, 2.0, 3.0]
    x += 1
    assert a.tolist() == [11.0, 3.0, 4.0]
    x[1:].zero_()
    assert a.tolist() == [11.0, 0.0, 0.0]
    assert np.asarray(x).tolist() == a.tolist() and np.array(x, dtype=np.int32).dtype == np.int32


def test_from_numpy_shares_memory_both_ways() -> None:
    a = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::-2]
    x = grad.from_numpy(a)
    np.testing.assert_array_equal(x.numpy(), a)
    assert np.shares_memory(x.numpy(), a)
    x[0, 0] = 100
    assert a[0, 0] == 100
    a[1, 1] = 200
    assert x[1, 1].item() == 200
    x.mul_(2)
    assert a[1, 1] == 400


def test_lending_memory_does_not_touch_values_that_others_hold() -> None:
    x = Tensor([1.0, 2.0])
    before, copy_of_x = x + 1, x.clone()
    y = grad.tensor(x)
    a = x.numpy()
    a[0] = 50
    x += 1
    assert (before.tolist(), copy_of_x.tolist(), y.tolist()) == ([2.0, 3.0], [1.0, 2.0], [1.0, 2.0])
    w = Tensor([2.0, 3.0], requires_grad=True)
    product = x * w
    x.zero_()
    assert a.tolist() == [0.0, 0.0]
    product.sum().backward()
    assert w.grad.tolist() == [51.0, 3.0]


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=str)
def test_dlpack_with_ourselves(dtype: grad.DType) -> None:
    x = grad.tensor(np.arange(6).reshape(2, 3).astype(dtype.numpy)).T
    y = grad.from_dlpack(x.__dlpack__())
    assert y.dtype is dtype and y.shape == (3, 2) and y.stride() == (1, 3)
    assert y.data_ptr() == x.data_ptr()
    y.fill_(1)
    assert x.tolist() == y.tolist()


def test_dlpack_with_numpy() -> None:
    a = np.arange(6.0).reshape(2, 3)
    x = grad.from_dlpack(a)
    assert np.shares_memory(x.numpy(), a)
    assert np.shares_memory(np.from_dlpack(x), a)
    del a
    assert x.sum().item() == 15
    with pytest.raises(TypeError):
        grad.from_dlpack("no array")
    capsule = x.__dlpack__()
    del capsule


def test_exporting_what_requires_grad_raises() -> None:
    x = grad.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        x.numpy()
    with pytest.raises(RuntimeError, match="detach"):
        x.__dlpack__()
    assert x.to_numpy().tolist() == [1.0, 1.0]


def test_casts() -> None:
    x = grad.tensor([1.7, -2.5, 0.0])
    assert x.int().tolist() == [1, -2, 0] and x.bool().tolist() == [True, True, False]
    assert x.half().dtype is dtypes.float16 and x.double().dtype is dtypes.float64
    assert x.to(dtypes.float32) is x and x.to("cpu") is x
    assert x.to(grad.ones(1, dtype=dtypes.bfloat16)).dtype is dtypes.bfloat16
    assert x.type(dtypes.int8).dtype is dtypes.int8 and x.type() == "torch.FloatTensor"
    assert grad.tensor([200]).to(dtypes.int8).tolist() == [-56]


# -- copies ----------------------------------------------------------------------------------------


def test_copies() -> None:
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    (x * x).sum().backward()
    deep = copy.deepcopy(x)
    assert deep.requires_grad and deep.grad.tolist() == x.grad.tolist()
    with grad.no_grad():
        deep += 1
    assert x.tolist() == [[1.0, 2.0]]
    shallow = copy.copy(x)
    with grad.no_grad():
        shallow += 1
    assert x.tolist() == [[2.0, 3.0]]
    loaded = pickle.loads(pickle.dumps(x))
    assert loaded.tolist() == x.tolist() and loaded.requires_grad
    with pytest.raises(RuntimeError, match="leaf"):
        copy.deepcopy(x * 2)
    with pytest.raises(RuntimeError, match="leaf"):
        pickle.dumps(x * 2)


def test_data() -> None:
    x = Tensor([1.0], requires_grad=True)
    x.data += 1
    assert x.tolist() == [2.0] and x.is_leaf
    x.data = Tensor([5.0, 6.0])
    assert x.tolist() == [5.0, 6.0] and x.requires_grad


def test_float16_bits_are_numpys() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    values = bits.view(np.float16).astype(np.float64)
    for number, value in zip(bits.tolist(), values.tolist()):
        back = float16_bits_to_float(number)
        assert back == value or (np.isnan(back) and np.isnan(value))
        if not np.isnan(value):
            assert float_to_float16_bits(value) == number
    random = np.random.default_rng(0)
    wide = random.standard_normal(5000) * 10.0 ** random.integers(-9, 6, 5000)
    with np.errstate(over="ignore"):
        expected = wide.astype(np.float16).view(np.uint16)
    assert [float_to_float16_bits(value) for value in wide.tolist()] == expected.tolist()


def test_many_threads() -> None:
    x = Tensor.arange(1000).float().requires_grad_()
    results: list[float] = []

    def work() -> None:
        y = (x.detach() * 2).requires_grad_()
        (y * y).sum().backward()
        results.append(y.grad.sum().item())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [4.0 * 999 * 500] * 8


def test_one_number_formats_as_a_number():
    assert f"{grad.tensor(1.5)} {grad.tensor(3)} {grad.tensor(0.125):.2f}" == "1.5 3 0.12"
    assert f"{grad.tensor(2.0, requires_grad=True).sum()}" == "2.0"
    assert f"{grad.tensor([1.5])}" == "tensor([1.5000])"
