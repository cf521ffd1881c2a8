"""`grad.save` and `grad.load`: what goes in comes out, and nothing half-written stays."""

from __future__ import annotations

import math
import os
import pickle
import stat

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import grad
from grad import nn, optim
from grad.dtype import ALL_DTYPES, dtypes
from grad.tensor import Tensor


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_every_dtype_comes_back_to_the_bit(path, dtype, shape):
    array = np.asarray(np.arange(1, math.prod(shape) + 1).reshape(shape), dtype.numpy)
    grad.save({"x": grad.from_numpy(array)}, path)
    back = grad.load(path)["x"]
    assert back.dtype is dtype and tuple(back.shape) == shape
    assert back.numpy().tobytes() == array.tobytes()


def test_special_values(path):
    bits = np.array([0, 0x80000000, 1, 0x7F800000, 0xFF800000, 0x7FC00001], np.uint32)
    grad.save({"x": grad.from_numpy(bits.view(np.float32))}, path)
    np.testing.assert_array_equal(grad.load(path)["x"].numpy().view(np.uint32), bits)


def test_views_and_pending_values_are_saved_as_they_look(path):
    x = Tensor.arange(6).view(2, 3)
    grad.save(
        {"t": x.T, "slice": x[:, 1:], "sum": (x + 1).sum(), "wide": Tensor.ones(1).expand(4)}, path
    )
    back = grad.load(path)
    assert back["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert back["slice"].tolist() == [[1, 2], [4, 5]]
    assert back["sum"].item() == 21 and back["wide"].tolist() == [1, 1, 1, 1]


def test_a_flat_dictionary_is_an_ordinary_file(path):
    layer = nn.Linear(3, 2)
    grad.save(layer.state_dict(), path)
    arrays = safetensors.numpy.load_file(path)
    assert sorted(arrays) == ["bias", "weight"]
    np.testing.assert_array_equal(arrays["weight"], layer.weight.detach().numpy())
    twin = nn.Linear(3, 2)
    twin.load_state_dict(grad.load(path))
    np.testing.assert_array_equal(twin.weight.detach().numpy(), arrays["weight"])


def test_a_file_of_another_tool(path):
    arrays = {"a": np.arange(3), "b": np.array([1.5], ml_dtypes.bfloat16)}
    safetensors.numpy.save_file(arrays, path, {"author": "somebody"})
    back = grad.load(path)
    assert back["a"].tolist() == [0, 1, 2] and back["b"].dtype is dtypes.bfloat16


def test_structure_comes_back(path):
    obj = {
        "numbers": [1, -2.5, math.inf, True, None, 2**70, "text"],
        "pair": (Tensor([1.0]), {"x": Tensor([2.0])}),
        3: {None: dtypes.float16, (1.5): []},
        "": {},
        "a.b": Tensor([3.0]),
        "a": {"b": Tensor([4.0])},
        "__metadata__": Tensor([5.0]),
    }
    grad.save(obj, path)
    back = grad.load(path)
    assert list(back) == list(obj) and back["numbers"] == obj["numbers"]
    assert type(back["numbers"][3]) is bool and back["pair"][1]["x"].item() == 2
    assert back[3] == obj[3] and back["a.b"].item() == 3 and back["a"]["b"].item() == 4
    assert isinstance(back["pair"], tuple) and back["__metadata__"].item() == 5
    grad.save(Tensor([1.0, 2.0]), path)
    assert grad.load(path).tolist() == [1.0, 2.0]
    grad.save({}, path)
    assert grad.load(path) == {}


def test_a_checkpoint_resumes_training(path):
    def run(net, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            net(Tensor.ones(2, 3)).sum().backward()
            optimizer.step()

    net = nn.Linear(3, 1)
    optimizer = optim.Adam(net.parameters())
    run(net, optimizer, 2)
    grad.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 2}, path)
    run(net, optimizer, 2)

    checkpoint = grad.load(path)
    twin = nn.Linear(3, 1)
    twin.load_state_dict(checkpoint["net"])
    resumed = optim.Adam(twin.parameters())
    resumed.load_state_dict(checkpoint["optimizer"])
    assert checkpoint["epoch"] == 2
    run(twin, resumed, 2)
    np.testing.assert_array_equal(twin.weight.detach().numpy(), net.weight.detach().numpy())


@pytest.mark.parametrize(
    ("obj", "match"),
    [
        ({"a": {"b": np.ones(2)}}, r"a\.b is a numpy\.ndarray"),
        ({"a": [1, {2, 3}]}, r"a\.1 is a builtins\.set"),
        ({("x",): 1}, "key"),
        (nn.Linear(1, 1), "state_dict"),
        ({"x": np.float32(1)}, "item"),
    ],
)
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(path, obj, match):
    grad.save({"old": Tensor([1.0])}, path)
    with pytest.raises(RuntimeError, match=match):
        grad.save(obj, path)
    assert grad.load(path)["old"].item() == 1
    assert os.listdir(path.parent) == [path.name]


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        grad.save({"x": Tensor([1.0])}, tmp_path / "folder")
    with pytest.raises(FileNotFoundError, match=r"none/file'$"):
        grad.save({"x": Tensor([1.0])}, tmp_path / "none" / "file")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_are_those_of_any_new_file(path):
    other = path.parent / "other"
    other.touch()
    grad.save({"x": Tensor([1.0])}, path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_damaged_files_raise(path):
    grad.save({"x": Tensor.ones(64), "y": 3}, path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:5], whole[:40], whole[:-1], b"\xff" * 64, pickle.dumps([1] * 99)):
        path.write_bytes(damaged)
        with pytest.raises(RuntimeError, match=r"load: .*file"):
            grad.load(path)
    path.write_bytes(whole.replace(b'{\\"tensor\\": \\"x\\"}', b'{\\"tensor\\": \\"z\\"}'))
    with pytest.raises(RuntimeError, match="description"):
        grad.load(path)


def test_files_of_other_formats_say_what_to_do(path):
    np.save(path.with_suffix(".npy"), np.ones(3))
    with pytest.raises(RuntimeError, match=r"numpy\.load"):
        grad.load(path.with_suffix(".npy"))
    path.write_text("a text of some length")
    with pytest.raises(RuntimeError, match="no format"):
        grad.load(path)
    np.savez(path.with_suffix(".npz"), np.ones(3))
    with pytest.raises(RuntimeError, match="zip"):
        grad.load(path.with_suffix(".npz"))


def test_missing_file(path):
    with pytest.raises(FileNotFoundError):
        grad.load(path)
    with pytest.raises(OSError):
        grad.load(path.parent)
