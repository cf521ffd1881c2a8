"""Files that want to do harm: they raise, run nothing, and cost no more than they are long."""

from __future__ import annotations

import copyreg
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grad
from grad.errors import FileFormatError, UnsafeFileError
from grad.io.unpickler import Builder

ran: list[str] = []


def harm(*args, **kwargs):
    """What an attacker would like to have called."""
    ran.append("harm")


class Harm:
    """A class that notices everything that is done to it."""

    def __new__(cls, *args):
        ran.append("new")
        return object.__new__(cls)

    def __setstate__(self, state):
        ran.append("state")


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch):
    ran.clear()
    monkeypatch.setattr(os, "system", harm)
    yield
    assert not ran


def archive(data, **records):
    """An archive of PyTorch's with this pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("archive/data.pkl", data)
        for name, content in records.items():
            target.writestr(f"archive/{name.replace('_', '/')}", content)
    return io.BytesIO(file.getvalue())


def legacy(data):
    """A file before PyTorch 1.6 with this pickle."""
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
    return io.BytesIO(b"".join([*head, data, pickle.dumps([], 2)]))


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


BUILTIN_GETATTR = b"cbuiltins\ngetattr\n"
ME = __name__.encode()
ATTACKS = {
    "REDUCE": b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R.",
    "posix": b"\x80\x02cposix\nsystem\n" + text("true") + b"\x85R.",
    "STACK_GLOBAL": b"\x80\x04" + text("os") + text("system") + b"\x93" + text("x") + b"\x85R.",
    "INST": b"\x80\x02(" + text("true") + b"ios\nsystem\n.",
    "OBJ": b"\x80\x02(cos\nsystem\n" + text("true") + b"o.",
    "NEWOBJ": b"\x80\x02c" + ME + b"\nHarm\n)\x81.",
    "NEWOBJ_EX": b"\x80\x04c" + ME + b"\nHarm\n)}\x92.",
    "eval": b"\x80\x02cbuiltins\neval\n" + text("1") + b"\x85R.",
    "getattr": BUILTIN_GETATTR + b"ccollections\nOrderedDict\n" + text("fromkeys") + b"\x86R.",
    "nested name": b"\x80\x04" + text("collections") + text("OrderedDict.fromkeys") + b"\x93)R.",
    "module as name": b"\x80\x04" + text("collections.OrderedDict") + text("fromkeys") + b"\x93)R.",
    "submodule": b"\x80\x02ctorch\nserialization.os.system\n)R.",
    "import": b"\x80\x02cbuiltins\n__import__\n" + text("os") + b"\x85R.",
    "BUILD on a type": b"\x80\x02ctorch\nTensor\n}" + text("a") + b"K\x01sb.",
    "BUILD on a list": b"\x80\x02]}b.",
    "BUILD shadows a method": b"\x80\x02ccollections\nOrderedDict\n)R}"
    + text("items")
    + b"K\x01sb.",
    "BUILD with class": b"\x80\x02ccollections\nOrderedDict\n)R}"
    + text("__class__")
    + b"ctorch\nTensor\nsb.",
    "EXT": b"\x80\x02\x82\x01)R.",
    "EXT2": b"\x80\x02\x83\x01\x00)R.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00)R.",
    "PERSID": b"\x80\x02Pname\n.",
    "BINPERSID": b"\x80\x02" + text("storage") + b"Q.",
    "text opcodes": b"I1\n.",
    "REDUCE of a value": b"\x80\x02K\x01)R.",
    "REDUCE of a type": b"\x80\x02ctorch\nTensor\n)R.",
    "REDUCE of a storage": b"\x80\x02ctorch\nFloatStorage\n)R.",
    "arguments": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "another maker": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n("
    b"ccollections\nOrderedDict\nctorch\nTensor\n)}tR.",
    "protocol": b"\x80\x09N.",
    "nothing": b"\x80\x02.",
    "mark": b"\x80\x02(.",
    "memo": b"\x80\x02h\x05.",
    "numpy": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.",
}


@pytest.mark.parametrize("container", [archive, legacy])
@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_raise_and_run_nothing(attack, weights_only, container):
    copyreg.add_extension(__name__, "harm", 1)
    try:
        with pytest.raises(FileFormatError, match=r"^load: "):
            grad.load(container(ATTACKS[attack]), weights_only=weights_only)
    finally:
        copyreg.remove_extension(__name__, "harm", 1)


class _Reduces:
    def __reduce__(self):
        return harm, ("x",)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_any_protocol_are_refused(protocol, tmp_path):
    path = tmp_path / "x.pt"
    for data in (pickle.dumps(_Reduces(), protocol), pickle.dumps(Harm, protocol)):
        for content in (data, archive(data).getvalue(), legacy(data).getvalue()):
            path.write_bytes(content)
            with pytest.raises(FileFormatError):
                grad.load(path)


def test_what_is_not_allowed_is_an_unpickling_error():
    """As in PyTorch."""
    with pytest.raises(pickle.UnpicklingError, match=r"os\.system"):
        grad.load(archive(ATTACKS["REDUCE"]))


def test_builders_cannot_be_called():
    """One that a file leaves in its result is of no use."""
    (value,) = grad.load(archive(b"\x80\x02ccollections\nOrderedDict\n\x85."))
    assert isinstance(value, Builder) and not callable(value)


# -- sizes -----------------------------------------------------------------------------------------
MOST_BYTES = 4_000_000  # that tensors may take in these tests


def peak_bytes(file):
    """How much memory loading takes at its peak, without that of tensors, which has a limit; the
    file may also be refused.
    """
    in_use = grad.get_buffer_memory_stats()["in_use_bytes"]
    grad.configure_buffer_pool(limit_bytes=in_use + MOST_BYTES)
    tracemalloc.start()
    try:
        grad.load(file)
    except (FileFormatError, grad.errors.DeviceError):
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        grad.configure_buffer_pool(memory_fraction=0.9)
    return peak


def storage(count, kind="FloatStorage", key="0"):
    return (
        b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
        + b"\x8a\x09" + count.to_bytes(9, "little", signed=True) + b"tQ"
    )  # fmt: skip


def tensor(count, offset=0, size=(1,), strides=(1,), key="0"):
    def numbers(values):
        parts = [b"\x8a\x09" + v.to_bytes(9, "little", signed=True) for v in values]
        return b"(" + b"".join(parts) + b"t"

    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage(count, key=key)
        + numbers([offset])[1:-1] + numbers(size) + numbers(strides) + b"\x89}tR."
    )  # fmt: skip


def repeated_copies():
    """A long text that is turned into bytes again and again."""
    long = text("a" * 100_000) + b"q\x00"
    step = (
        b"c_codecs\nencode\nq\x01"
        + b"("
        + b"".join([b"h\x01h\x00" + text("latin1") + b"\x86R"] * 20_000)
    )
    return b"\x80\x02" + long + step + b"t."


# Lists of lists, each twice in the next: little memory, and a text without end.
LAUGHS = b"]q\x00" + b"(h\x00h\x00lq\x00" * 60
BOMBS = {
    "text": b"\x80\x02X\xff\xff\xff\xff" + b"a.",
    "bytes8": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a.",
    "bytearray8": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"a.",
    "long": b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    "negative long": b"\x80\x02\x8b\xff\xff\xff\xff1.",
    "memo": b"\x80\x02Nr\xff\xff\xff\xff.",
    "copies": repeated_copies(),
    "bytearray": b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.",
    "depth": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "depth of tuples": b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "hash": b"\x80\x02}N" + b"2\x86" * 100 + b"Ns.",
    "hash of a deep key": b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.",
    "long numbers": b"\x80\x02}" + b"\x8b\x00\x00\x10\x00" + b"\x01" * 2**20 + b"q\x00"
    + b"Ns" + b"h\x00Ns" * 10_000 + b".",
    "long keys": b"\x80\x02}q\x01(" + b"N" * 20_000 + b"tq\x000h\x01" + b"h\x00Ns" * 20_000 + b".",
    "endless text": b"\x80\x02ctorch._utils\n_rebuild_tensor\n(" + LAUGHS + b"h\x00}}tR.",
    "endless list": b"\x80\x02N.\x80\x02" + LAUGHS + b".",  # of storages, in the old format
    "elements": tensor(2**50),
    "negative count": tensor(-4),
    "no record": tensor(1, key="1"),
    "offset": tensor(4, 4),
    "negative offset": tensor(4, -1),
    "size": tensor(4, 0, (2**40,)),
    "negative size": tensor(4, 0, (-1,)),
    "overflow": tensor(4, 0, (2**33, 2**33), (0, 0)),
    "negative stride": tensor(4, 3, (2,), (-1,)),
    "outside by stride": tensor(4, 0, (2, 2), (3, 1)),
    "axes": tensor(4, 0, (1,) * 5, (1,) * 4),
    "many axes": tensor(4, 0, (1,) * 100, (1,) * 100),
    "path": tensor(4, key="../../0"),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("container", [archive, legacy])
def test_memory_is_bounded_by_the_file(bomb, container):
    records = {"data_0": np.zeros(4, np.float32).tobytes()} if container is archive else {}
    file = container(BOMBS[bomb], **records)
    assert peak_bytes(file) < 250 * len(file.getvalue()) + 200_000


HARMLESS = {"memo", "depth", "depth of tuples", "endless list"}


@pytest.mark.parametrize("name", sorted(BOMBS.keys() - HARMLESS))
def test_nonsense_raises(name):
    with pytest.raises(FileFormatError):
        grad.load(archive(BOMBS[name], data_0=np.zeros(4, np.float32).tobytes()))


def test_a_huge_view_of_little_memory_costs_nothing():
    """It is what `expand` makes, so it is no error."""
    x = grad.load(archive(tensor(4, 0, (2**40,), (0,)), data_0=bytes(16)))
    assert x.shape == (2**40,) and x.stride() == (0,)


# -- archives --------------------------------------------------------------------------------------
def test_compressed_archives_are_refused(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("archive/data.pkl", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(FileFormatError, match="compressed"):
        grad.load(path)
    with open(path, "rb") as file:
        assert peak_bytes(file) < 2_000_000


def test_records_that_overlap_are_refused():
    """So a small file cannot show the same bytes many times."""
    content = bytes(2000)
    file = archive(pickle.dumps(None, 2), data_0=content, data_1=content)
    data = bytearray(file.getvalue())
    begin = data.rindex(b"PK\x01\x02")
    # The directory says of the last record that it is where the one before it is.
    first = data.index(b"PK\x03\x04", 1)
    data[begin + 42 : begin + 46] = struct.pack("<I", first)
    with pytest.raises(FileFormatError, match="overlap"):
        grad.load(io.BytesIO(data))


def test_records_outside_of_the_file_and_twins_are_refused():
    file = archive(pickle.dumps(None, 2), data_0=bytes(100)).getvalue()
    begin = file.rindex(b"PK\x01\x02")
    for position, value in ((begin + 42, 2**31), (begin + 20, 2**31), (begin + 20, 10**6)):
        damaged = bytearray(file)
        damaged[position : position + 4] = struct.pack("<I", value)
        with pytest.raises(FileFormatError):
            grad.load(io.BytesIO(damaged))
    twins = io.BytesIO()
    with zipfile.ZipFile(twins, "w") as target, pytest.warns(UserWarning):
        target.writestr("archive/data.pkl", pickle.dumps(1, 2))
        target.writestr("archive/data.pkl", pickle.dumps(2, 2))
    with pytest.raises(FileFormatError, match="twice"):
        grad.load(io.BytesIO(twins.getvalue()))


def test_names_in_archives_lead_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("archive/data.pkl", pickle.dumps({"a": 1}, 2))
        target.writestr("../../escaped", b"x")
        target.writestr("/tmp/escaped", b"x")
    assert grad.load(io.BytesIO(file.getvalue())) == {"a": 1}
    assert not os.listdir(tmp_path)


# -- safetensors -----------------------------------------------------------------------------------
def safetensors(header, data=b"", length=None):
    body = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(body) if length is None else length) + body + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


BAD_HEADERS = {
    "longer than the file": safetensors({}, length=2**40),
    "longer than any": safetensors({}, length=2**63),
    "negative": safetensors({}, length=2**64 - 1),
    "no JSON": safetensors(b"{nonsense"),
    "no object": safetensors(b"[1]"),
    "deep": safetensors(b'{"a":' * 100_000),
    "twice": safetensors(b'{"a":1,"a":2}'),
    "no facts": safetensors({"x": 1}),
    "type": safetensors({"x": entry("F8")}, bytes(8)),
    "type of type": safetensors({"x": entry([1])}, bytes(8)),
    "negative size": safetensors({"x": entry(shape=(-2,))}, bytes(8)),
    "fraction": safetensors({"x": entry(shape=(2.0,))}, bytes(8)),
    "bool": safetensors({"x": entry(shape=(True, 2))}, bytes(8)),
    "huge": safetensors({"x": entry(shape=(2**62, 4))}, bytes(8)),
    "other size": safetensors({"x": entry(shape=(3,))}, bytes(8)),
    "outside": safetensors({"x": entry(offsets=(8, 16))}, bytes(8)),
    "backward": safetensors({"x": entry(offsets=(8, 0))}, bytes(8)),
    "three offsets": safetensors({"x": entry(offsets=(0, 4, 8))}, bytes(8)),
    "cut off": safetensors({"x": entry()}, bytes(7)),
    "too long": safetensors({"x": entry()}, bytes(9)),
    "gap": safetensors({"x": entry(offsets=(4, 12))}, bytes(12)),
    "overlap": safetensors({"x": entry(), "y": entry(offsets=(4, 12))}, bytes(12)),
    "same place": safetensors({"x": entry(), "y": entry()}, bytes(8)),
    "metadata": safetensors({"__metadata__": {"a": 1}}),
    "structure": safetensors({"__metadata__": {"grad.structure": '{"eval": "1"}'}}),
    "structure list": safetensors({"__metadata__": {"grad.structure": "[[]]"}}),
    "deep structure": safetensors({"__metadata__": {"grad.structure": '{"list": [' * 5000}}),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_HEADERS)
@pytest.mark.parametrize("mapped", [False, True])
def test_bad_safetensors_raise(name, mapped, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(BAD_HEADERS[name])
    with pytest.raises(FileFormatError, match=r"^load: .*x\.safetensors"):
        grad.load(path, mmap=mapped)
    assert peak_bytes(path) < 100 * len(BAD_HEADERS[name]) + 200_000


def test_good_safetensors_load():
    """What the table above changes is what makes it raise."""
    file = io.BytesIO(safetensors({"x": entry(), "y": entry(offsets=(8, 16))}, bytes(16)))
    assert grad.load(file)["y"].tolist() == [0, 0]


# -- damage at random ------------------------------------------------------------------------------
def _samples():
    obj = {
        "weights": grad.arange(40.0).view(5, 8),
        "view": grad.arange(12)[3:7],
        "half": grad.ones(3, dtype=grad.bfloat16),
        "nested": [1, 2.5, (None, True, "text"), {"a": {1: -5}}],
        "odd": grad.ones(3, dtype=grad.uint16),
    }
    for options in ({"format": "torch"}, {"format": "safetensors"}):
        file = io.BytesIO()
        grad.save(obj, file, **options)
        yield file.getvalue()
    yield legacy(pickle.dumps({"a": [1, (2.5, "x")], "b": {1: None}}, 2)).getvalue()


SAMPLES = [*_samples()]


@pytest.fixture(scope="module")
def everything_is_open():
    """Modules that are imported with the first file of a kind are not what a damaged file takes."""
    for sample in SAMPLES:
        grad.load(io.BytesIO(sample))


@pytest.mark.usefixtures("everything_is_open")
@settings(max_examples=400)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0, 1) | st.just(1.0),
)
def test_random_damage_loads_or_raises(sample, changes, kept):
    """Bytes that are changed anywhere, and files cut off anywhere."""
    data = bytearray(sample[: round(len(sample) * kept)])
    for position, value in changes:
        if data:
            data[int(position * len(data))] = value
    assert peak_bytes(io.BytesIO(data)) < 2_000_000


def test_damaged_contents_are_noticed():
    """The checksums of archives are compared."""
    data = bytearray(SAMPLES[0])
    position = data.index(np.arange(40, dtype=np.float32).tobytes())
    data[position + 50] ^= 1
    with pytest.raises(FileFormatError, match="damaged"):
        grad.load(io.BytesIO(data))


@pytest.mark.parametrize("sample", SAMPLES, ids=["torch", "safetensors", "legacy"])
def test_every_cut_raises(sample):
    for length in range(0, len(sample), 7):
        with pytest.raises(FileFormatError):
            grad.load(io.BytesIO(sample[:length]))


# -- the user's own classes ------------------------------------------------------------------------
@dataclass
class Settings:
    width: int = 64
    names: list = field(default_factory=list)


class Color(Enum):
    RED = 1


class Slotted:
    __slots__ = ("x",)


def test_classes_declared_safe_are_saved_and_loaded():
    slotted = Slotted()
    slotted.x = 3
    obj = {"settings": Settings(3, ["a"]), "color": Color.RED, "kind": Settings, "slotted": slotted}
    file = io.BytesIO()
    with pytest.raises(FileFormatError, match="settings is a"):
        grad.save(obj, file)
    with grad.serialization.safe_globals([Settings, Color, Slotted]):
        assert Settings in grad.serialization.get_safe_globals()
        grad.save(obj, file)
        file.seek(0)
        back = grad.load(file)
        assert back["settings"] == obj["settings"] and back["color"] is Color.RED
        assert back["kind"] is Settings and back["slotted"].x == 3
    file.seek(0)
    with pytest.raises(UnsafeFileError, match="add_safe_globals"):
        grad.load(file)
    grad.serialization.add_safe_globals([(Settings, f"{__name__}.Settings"), Color, Slotted])
    file.seek(0)
    assert grad.load(file)["settings"] == obj["settings"]
    grad.serialization.clear_safe_globals()
    assert not grad.serialization.get_safe_globals()


class Point(NamedTuple):
    x: int
    y: object


class Names(list):
    pass


DECLARED = {
    "keys": ({Color.RED: 1, Point(1, (2,)): 2, Settings: 3}, [Color, Point, Settings]),
    "deque": (deque([1, 2], 5), [deque]),
    "list": (Names([1, 2]), [Names]),
    "names of Python 2": ([range(3), frozenset([1]), int], [range, frozenset, int]),
    "default": (defaultdict(list, a=[1]), [defaultdict, list]),
    "numpy": (
        np.float32(1.5),
        [np.dtype, np.dtypes.Float32DType, np.float32(0).__reduce__()[0]],
    ),
}


@pytest.mark.parametrize("name", DECLARED)
def test_what_is_saved_of_safe_classes_can_be_loaded(name):
    obj, declared = DECLARED[name]
    file = io.BytesIO()
    with grad.serialization.safe_globals(declared):
        grad.save([obj], file)
        file.seek(0)
        back = grad.load(file)[0]
    assert type(back) is type(obj) and back == obj


def test_safe_classes_have_the_names_of_python_2_in_old_protocols():
    with grad.serialization.safe_globals([range, frozenset]):
        for obj in (range(3), frozenset([1, 2])):
            assert grad.load(archive(pickle.dumps(obj, protocol=2))) == obj
    with pytest.raises(UnsafeFileError):
        grad.load(archive(pickle.dumps(range(3), protocol=2)))


def test_one_safe_class_does_not_open_the_others():
    with grad.serialization.safe_globals([Settings]):
        for attack in ATTACKS.values():
            with pytest.raises(FileFormatError):
                grad.load(archive(attack))
