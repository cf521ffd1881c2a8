"""Files go back and forth between PyTorch and this library."""

from __future__ import annotations

import gzip
import io
import warnings
from collections import Counter, OrderedDict

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.dtype import ALL_DTYPES

torch = pytest.importorskip("torch")


def to_torch(obj, **options):
    file = io.BytesIO()
    grad.save(obj, file)
    file.seek(0)
    return torch.load(file, weights_only=True, **options)


def from_torch(obj, map_location=None, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    file.seek(0)
    return grad.load(file, map_location)


BOTH_WAYS = pytest.mark.parametrize(
    ("source", "target", "convert"),
    [(grad, torch, to_torch), (torch, grad, from_torch)],
    ids=["to PyTorch", "from PyTorch"],
)
LEGACY = [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}]


def bits(tensor):
    """The bits of a tensor of either library."""
    if isinstance(tensor, torch.Tensor):
        return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return np.ascontiguousarray(tensor.detach().numpy()).tobytes()


@BOTH_WAYS
@pytest.mark.parametrize("name", [dtype.name for dtype in ALL_DTYPES])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (3,), (2, 3)])
def test_types_and_shapes(source, target, convert, name, shape):
    x = source.arange(int(np.prod(shape))).reshape(shape).to(getattr(source, name))
    back = convert({"x": x})["x"]
    assert back.dtype == getattr(target, name) and tuple(back.shape) == shape
    assert bits(back) == bits(x)


@BOTH_WAYS
def test_views_share_memory(source, target, convert):
    base = source.arange(12.0)
    back = convert(
        {
            "base": base,
            "matrix": base.view(3, 4),
            "transposed": base.view(3, 4).T,
            "slice": base[2:10:3],
            "wide": base[:1].expand(5),
            "empty": base[12:],
            "again": base,
        }
    )
    assert back["base"] is back["again"]
    assert back["transposed"].stride() == (1, 4) and back["slice"].storage_offset() == 2
    assert back["wide"].tolist() == [0] * 5 and back["empty"].shape == (0,)
    back["base"][5] = -1.0
    assert back["matrix"][1, 1].item() == back["transposed"][1, 1].item() == -1
    assert back["slice"].tolist() == [2, -1, 8]
    back["matrix"][0, 0] = 7.0
    assert back["wide"].tolist() == [7] * 5


@BOTH_WAYS
def test_containers_and_values(source, target, convert):
    shared = [1]
    obj = {
        "numbers": [0, -1, 255, 256, 65535, 65536, -(2**31), 2**31, 2**63, -(2**70), 2**2000],
        "floats": [1.5, float("inf"), -0.0],
        "others": (None, True, False, "", "text äß€", "\ud800", b"", b"\x00\xff", bytearray(b"xy")),
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "nested": [{"a": {1: [2, (3, {"b": None})]}}, OrderedDict(x=1, y=OrderedDict())],
        "complex": 1 - 2j,
        "set": {1, "two", 3.0},
        "counter": Counter("abca"),
        (1, "key"): "tuple",
        ((1, (2,)), 1j): "tuples in a tuple",
        2**2000: "long",
        None: 0.5,
        True: "bool",
        "shared": [shared, shared],
        "a" * 300: list(range(1000)),
        "dtype": source.bfloat16,
        "device": source.device("cpu"),
        "size": source.zeros(2, 3).shape,
    }
    back = convert(obj)
    assert list(back) == list(obj)
    assert back.pop("dtype") == target.bfloat16 and back.pop("device") == target.device("cpu")
    size = back.pop("size")
    assert type(size) is target.Size and size == (2, 3)
    for key, value in back.items():
        assert repr(value) == repr(obj[key])
        assert type(value) is type(obj[key])
    assert back["shared"][0] is back["shared"][1]
    recursive = []
    recursive.append(recursive)
    again = convert(recursive)
    assert again[0] is again


@BOTH_WAYS
def test_parameters_and_gradients(source, target, convert):
    p = source.nn.Parameter(source.ones(2, 3).T)
    frozen = source.nn.Parameter(source.ones(1, dtype=source.int64), requires_grad=False)
    leaf = source.ones(2, requires_grad=True)
    marked = source.ones(2)
    marked.note = "kept"
    p_marked = source.nn.Parameter(source.ones(1))
    p_marked.note = {"a": 1}
    back = convert([p, frozen, leaf, leaf * 2, marked, p_marked])
    assert [type(x) is target.nn.Parameter for x in back] == [True, True, False, False, False, True]
    assert [x.requires_grad for x in back] == [True, False, True, True, False, True]
    assert back[0].stride() == (1, 3) and back[3].is_leaf
    assert back[4].note == "kept" and back[5].note == {"a": 1}


@pytest.mark.parametrize("options", LEGACY, ids=str)
def test_files_of_every_kind_from_torch(options):
    base = torch.arange(6.0)
    obj = {
        "base": base,
        "view": base[2:4],
        "half": torch.ones(2, 2, dtype=torch.bfloat16),
        "p": torch.nn.Parameter(torch.ones(1)),
        "set": {1},
        "state": torch.nn.BatchNorm1d(2).state_dict(),
        "empty": torch.zeros(0),
    }
    back = from_torch(obj, **options)
    assert back["view"].tolist() == [2, 3] and back["half"].dtype is grad.bfloat16
    back["base"][2] = 9
    assert back["view"].tolist() == [9, 3] and back["set"] == {1}
    assert isinstance(back["p"], nn.Parameter) and back["empty"].shape == (0,)
    assert list(back["state"]) == list(obj["state"])
    assert back["state"]._metadata == obj["state"]._metadata


class Net:
    """The same network in either library."""

    @staticmethod
    def of(library):
        layers = library.nn
        return layers.Sequential(
            layers.Conv2d(1, 4, 3),
            layers.BatchNorm2d(4),
            layers.ReLU(),
            layers.Flatten(),
            layers.Linear(4 * 6 * 6, 3),
        )


@pytest.mark.parametrize("file_name", ["model.pt", "model.bin", "model.pth"])
def test_a_trained_model_goes_to_torch_and_back(tmp_path, file_name):
    path = tmp_path / file_name
    images = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    ours, theirs = Net.of(grad), Net.of(torch)
    optimizer = optim.Adam(ours.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        ours(grad.tensor(images)).square().mean().backward()
        optimizer.step()
    grad.save({"model": ours.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 2}, path)

    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["epoch"] == 2
    theirs.load_state_dict(checkpoint["model"])
    their_optimizer = torch.optim.Adam(theirs.parameters(), lr=0.1)
    their_optimizer.load_state_dict(checkpoint["optimizer"])
    assert their_optimizer.param_groups[0]["lr"] == 0.01
    ours.eval(), theirs.eval()
    expected = ours(grad.tensor(images)).detach().numpy()
    np.testing.assert_allclose(theirs(torch.tensor(images)).detach(), expected, 1e-5, 1e-6)

    torch.save({"model": theirs.state_dict(), "optimizer": their_optimizer.state_dict()}, path)
    checkpoint = grad.load(path)
    twin = Net.of(grad)
    twin.load_state_dict(checkpoint["model"])
    optim.Adam(twin.parameters()).load_state_dict(checkpoint["optimizer"])
    twin.eval()
    np.testing.assert_array_equal(twin(grad.tensor(images)).detach().numpy(), expected)


def test_mapped_by_torch_and_here(tmp_path):
    path = tmp_path / "x.pt"
    obj = {"a": grad.arange(7, dtype=grad.uint8), "b": grad.arange(1000.0)}
    grad.save(obj, path)
    assert torch.load(path, mmap=True, weights_only=True)["b"].sum() == 499500
    torch.save({"a": torch.arange(3, dtype=torch.uint8), "b": torch.arange(1000.0)}, path)
    back = grad.load(path, mmap=True)
    assert back["b"].sum().item() == 499500 and back["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("obj", "match"),
    [
        (lambda: torch.nn.Linear(1, 1), "state_dict"),
        (lambda: {"f": torch.zeros(1, dtype=torch.complex64)}, "complex64|ComplexFloat"),
        (lambda: torch.zeros(2).to_sparse(), "sparse"),
        (lambda: {"x": np.float64(1)}, "numpy"),
    ],
)
def test_what_there_is_not_here_is_named(obj, match):
    for weights_only in (None, True, False):
        file = io.BytesIO()
        torch.save(obj(), file)
        file.seek(0)
        with pytest.raises(RuntimeError, match=match):
            grad.load(file, weights_only=weights_only)


def test_scripts_are_refused():
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), file)
    file.seek(0)
    with pytest.raises(RuntimeError, match="TorchScript"):
        grad.load(file)


def test_numpy_numbers_go_both_ways_when_they_are_declared(tmp_path):
    declared = [np.dtype, np.dtypes.Float64DType, np.float64(0).__reduce__()[0]]
    with torch.serialization.safe_globals(declared), grad.serialization.safe_globals(declared):
        for convert in (to_torch, from_torch):
            back = convert({"loss": np.float64(1.5)})["loss"]
            assert type(back) is np.float64 and back == 1.5


@pytest.mark.parametrize("zipped", [True, False])
def test_storages_by_themselves_are_refused(tmp_path, zipped):
    file, tensor = tmp_path / "storage.pt", torch.arange(4.0)
    storage = torch.ones(2).untyped_storage()
    for alone in (storage, [tensor, tensor[1:], storage]):
        torch.save(alone, file, _use_new_zipfile_serialization=zipped)
        with pytest.raises(grad.errors.FileFormatError, match="storage by itself"):
            grad.load(file)


def test_torch_reads_what_never_went_back(tmp_path):
    with gzip.open(tmp_path / "x.gz", "wb") as file:
        grad.save({"a": grad.arange(100)}, file)
    data = gzip.decompress((tmp_path / "x.gz").read_bytes())
    assert torch.load(io.BytesIO(data), weights_only=True)["a"].tolist() == list(range(100))


def test_without_checksums():
    torch.serialization.set_crc32_options(False)
    try:
        assert from_torch([torch.arange(3)])[0].tolist() == [0, 1, 2]
    finally:
        torch.serialization.set_crc32_options(True)


def test_safetensors_of_both(tmp_path):
    peer = pytest.importorskip("safetensors.torch")
    path = tmp_path / "x.safetensors"
    obj = {name: torch.ones(3).to(getattr(torch, name)) for name in ("bool", "bfloat16", "uint16")}
    peer.save_file(obj, path)
    for mapped in (False, True):
        back = grad.load(path, mmap=mapped)
        assert {name: bits(x) for name, x in back.items()} == {n: bits(x) for n, x in obj.items()}
    grad.save(back, path)
    again = peer.load_file(path)
    assert {name: bits(x) for name, x in again.items()} == {n: bits(x) for n, x in obj.items()}
