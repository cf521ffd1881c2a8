"""PyTorch's format, open files, mapped files, locations: what `save` and `load` do besides.

What PyTorch itself reads and writes is compared in tests/peers/files_peer_test.py.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import stat
import threading
import zipfile
import zlib
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest
import safetensors.numpy

import grad
from grad import nn, optim
from grad.dtype import dtypes
from grad.tensor import Tensor


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


# What torch.save (2.13) wrote, compressed; in the present format, and in that before 1.6.
WRITTEN_BY_TORCH = [
    (
        "c-o~^&u<$=6rQ!$cDjJ`gCA*A2rW=>pmn^vjyG=FI9<y2uo9$ORke_i+1S%~#m4sA9lL5!q)5eu2reLmdg_%w0q$"
        "Hl^a5vYoH+F#pi*aM9cOnV$4WEu?yN`ed*3&2-g~odCPjoMCeWcVg=UcL)tgQaFE(sq=R04yhMq;AN5*bq2T-m`e"
        "V`57#~{>6n}YJSE^%C6s(E;$>$r^?!7ab-)q08qiCnIlq4qwtv^Oy%1Bhg}ZJXQ*79|j?0<|eXs+y#8z0-xXDH6!"
        "sG?6LxVZs#paB8n!Z@Vt86Q|wsrO&(u_Hg66QzsHg3l_XY;AIP5;p%!0z6aSRC2uC1Vl&m`?j~=Vf|=;U6mvJd*J"
        "P*}0<T)|S~bD;bQfL^Fawb~S1Ff<I^W<rWtgQ71p=p;KI-cXd(8z7&k}gkg15L~7v{%ANR{C21H$|uO498Xx!=K!"
        "A@4cvPJ#23H$mVX%Db=-@Vz_G+I3n~sRZv4xM0Ei9MFLeM(}rR&)&iWdlKaK!^9yfEChS|knhbD9>Pb#bTQz&L?C"
        "a$;&=Q{;aiX`P^u|@!ZyL6^7Y~lELBg@#Tq5CSwcZ+2ec|nHCWz(GS7(~_I!GlaM=`m-{0W;Em-*iuH;PN#+n$U="
        "BE$gD&~37z&%(UY?ppJbsCw<Fk{yGaLodppQOJH9}f&~Ios6iI!mKZ`e0aaqnlqhGZTOO|26rO+OlVTWL?Z6byye"
        "qyKQgFCbfZVLtl)Q$Jik=;@_VB^MLJ?J)?=|kaj>kNQ;{7I-9L6+#-gq9+#VqQjrO$+=KsEkP=4<m`0VMfQ|bEw^"
        "_Xz`pS#&?hn@?#KlZQ|LVVI(v&5Aq=qb7jdZ2Of}vkNfq=m4ZiT+q=x>cF`Tp#e7p8azJX%RHszf&Q!m*X?Rv6>n"
        "uUDRokAD{FQAWkkS5FdrIx>jyFMsnW`vUyx$@y8_nSvi4Kf1%JTRc+1WGDlNHFu)?Qzgd!*W=CG<M%(0l!F4~0r0"
        "Ws&<fnP*#%T{8it-frWm=PY0D)=Q_5Poyu4JDOUja5Tq=|`t)!Gns;VlQTrOx#<um=x-#Mxy$5jeU>`-U8cTF8q9"
        ">2%q=x_s?jUZ1a(Wq`0cM@(Qa}g&$hMgShTya0)Mlc=mGb5tI4JZx|S8p}~|3yTx-Vw)!>oAHvmx^KKI5u2EQS47"
        "~tP;nDvp<TRNyo5i92?Hv$q4r65O&0wg;Q!iN}NGsl6~Dwr!Vf8M)J}SDaGaoiD3Rc6U-FHzg7kY!L64{2N;Rl2e"
        "!`voSSf0"
    ),
    (
        "c-n<i*>2N76tx|fP(w@EDQnpimXM~-QnrRtS|p1?T_O3UvRr3qjEtRQPlBivDK9B4-@pg(YkUF{58ScS6hsgs%gg"
        "nhv&@|7DPJ`I=hx*QGw;8>nJ)B{SKl*q??TF1Q<5aLqL7Df=-V9@#a<XdrUq+*{`el}KC@ZS@SFh3uBB0te`+y1_"
        "O@A!Oc!d-8lz&|3?q&)L$NaS<pmsv4AoKvMi^`%YpCt^KBuT|Ix&On@-T9n1-s2XKi2GsZMHqXVRIJ5VPtno8kAh"
        "l$_jkybha2W=@f0*4;{Xq7B#5WB=yYem2$aKtLXZCO)p|Bk>a-6Ldq&fcFm9swU5Jw+{gHyOOAc!axxriucHQwSY"
        "yd^xdtt7;t0o46BCKnj>kS?vPn{!ndV5UW6hLeYR!-hrH|u+;>2E4Af4nmW#Y7@2-oj$CdC=pSWJA(R)$W_9>AC9"
        "3A>~hi#SK{GQm#^2ZVfH+%BZ>7dbAOxNONZt&J=HS<yKSGY9mA!K!L+1F@-%p^B@2sHp0tTCIp{q(UJT*GWY_pR("
        "T=_-NCP&sH?t<hW(xcA}<*+&|Q`oXGjWIEyso|6W#NtW>Kdy@opj-**$=hP;D&>EnLNUf_6OqPUxU%zj46#9W$2?"
        "r;V@sh7K`SmRW*iPC8}+(EUAnne`}^Ibel^0goRM}{27@n&Kmz~c=($r<uWUBrOK>JFZ=BvuX9!NR~iy?ZXLT74L"
        "}XMHT1c%JNeyp5$n<2oH04KG9pm-|>T@lu?L4RIz$xR*z5f-))}nNgWkSwWVDqpl2IveJIFx1dVDkKTglqpSW4F2"
        ")+b"
    ),
]


@pytest.mark.parametrize("data", WRITTEN_BY_TORCH)
def test_what_pytorch_wrote(data):
    found = grad.load(io.BytesIO(zlib.decompress(base64.b85decode(data))))
    assert found["base"].tolist() == [0, 1, 2, 3] and found["bf"].dtype is dtypes.bfloat16
    assert found["u"].item() == 7 and found["u"].dtype is dtypes.uint16
    assert isinstance(found["p"], nn.Parameter) and found["p"].tolist() == [[2.0]]
    assert found["n"] == [1, (2.5, None)] and found["dev"] == "cpu" and found["sz"] == (4,)
    assert type(found["sz"]) is grad.Size
    assert found["state"]._metadata == {"": {"version": 1}}
    found["base"][1] = 5.0
    assert found["view"].tolist() == [5, 2]


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_sizes_stay_sizes(tmp_path, name):
    size = Tensor.zeros(2, 3).shape
    grad.save({"size": size, "again": [size, (2, 3)]}, tmp_path / name)
    back = grad.load(tmp_path / name)
    assert back == {"size": (2, 3), "again": [(2, 3), (2, 3)]}
    assert type(back["size"]) is type(back["again"][0]) is grad.Size
    assert type(back["again"][1]) is tuple


def test_sizes_are_keys(tmp_path):
    grad.save({Tensor.zeros(2).shape: 1}, tmp_path / "x.pt")
    assert grad.load(tmp_path / "x.pt") == {(2,): 1}


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.bin", "x"])
def test_the_format_goes_by_the_ending(tmp_path, name):
    path = tmp_path / name
    grad.save({"x": Tensor([1.0])}, path)
    assert zipfile.is_zipfile(path)
    grad.save({"x": Tensor([1.0])}, str(path), format="safetensors")
    assert list(safetensors.numpy.load_file(path)) == ["x"]
    assert grad.load(str(path))["x"].item() == 1
    with pytest.raises(ValueError, match="format"):
        grad.save({}, path, format="json")


@pytest.mark.parametrize("format", ["torch", "safetensors"])
def test_open_files(tmp_path, format):
    obj = {"x": Tensor.arange(5), "y": Tensor([]), "z": Tensor(3.0)}
    memory = io.BytesIO()
    grad.save(obj, memory, format=format)
    memory.seek(0)
    with open(tmp_path / "x", "wb") as file:
        file.write(b"before")
        grad.save(obj, file, format=format)
    with open(tmp_path / "x", "rb") as file:
        assert file.read(6) == b"before"
        for opened in (memory, file):
            back = grad.load(opened)
            assert [back[name].tolist() for name in obj] == [[0, 1, 2, 3, 4], [], 3]
    with pytest.raises(TypeError, match="rb"):
        grad.load(io.StringIO("text"))
    with pytest.raises(ValueError, match="path"):
        grad.load(memory, mmap=True)


def test_archives_are_the_same_each_time_and_aligned(tmp_path):
    obj = {"a": Tensor.ones(3), "b": Tensor.arange(100), "c": [1, "text"]}
    files = []
    for _ in range(2):
        files.append(io.BytesIO())
        grad.save(obj, files[-1])
    assert files[0].getvalue() == files[1].getvalue()
    data = files[0].getvalue()
    assert data.index(np.arange(100).tobytes()) % 64 == 0


def test_memory_stays_shared():
    base = Tensor.arange(6)
    obj = [base, base.view(2, 3), base.view(2, 3).T, base[1::2], base, base.flip(0), base + 0]
    file = io.BytesIO()
    grad.save(obj, file)
    file.seek(0)
    back = grad.load(file)
    assert [x.tolist() for x in back] == [x.tolist() for x in obj]
    assert back[0] is back[4]
    back[0][1] = 9.0
    assert back[1][0, 1].item() == back[2][1, 0].item() == back[3][0].item() == 9
    assert back[5].tolist() == [5, 4, 3, 2, 1, 0] and back[6].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_mapped_tensors_are_the_file_and_leave_it_alone(tmp_path, name):
    path = tmp_path / name
    obj = {"x": Tensor.arange(100), "odd": Tensor.ones(3, dtype=dtypes.uint8), "y": Tensor.ones(7)}
    grad.save(obj, path)
    before = path.read_bytes()
    back = grad.load(path, mmap=True)
    held = grad.get_buffer_memory_stats()["in_use_bytes"]
    assert back["x"]._storage.node.buffer.is_external
    y = back["x"] * 2  # lazy as ever
    assert not y.node.is_realized
    back["x"][3] = -1.0
    back["y"].add_(1).realize()
    assert y[3].item() == 6 and back["x"][3].item() == -1 and back["y"].tolist() == [2] * 7
    grad.save(back, path)  # the mapping goes on showing the file that was
    assert back["odd"].tolist() == [1] * 3 and path.read_bytes() != before
    assert grad.load(path)["x"][3].item() == -1
    del back, y, obj
    assert grad.get_buffer_memory_stats()["in_use_bytes"] <= held + 4096


def test_a_compiled_step_trains_mapped_parameters(tmp_path):
    """In-place updates of a replay write to memory of their own."""
    path = tmp_path / "x.pt"
    grad.save(nn.Linear(4, 2).state_dict(), path)
    before = path.read_bytes()
    weights = []
    for mapped in (False, True):
        layer = nn.Linear(4, 2)
        layer.load_state_dict(grad.load(path, mmap=mapped), assign=True)
        optimizer = optim.SGD(layer.parameters(), lr=0.1)

        @grad.compile
        def step(x, layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()

        for _ in range(4):
            step(Tensor.ones(3, 4))
        weights.append(layer.weight.tolist())
    assert weights[0] == weights[1] and path.read_bytes() == before


def test_locations(path):
    grad.save({"x": Tensor([1.0])}, path)
    grad.save({"x": Tensor([1.0])}, path.with_suffix(".pt"))
    data = path.with_suffix(".pt").read_bytes()
    elsewhere = path.with_suffix(".gpu")
    # The same length, and no checksum.
    with zipfile.ZipFile(path.with_suffix(".pt")) as old, zipfile.ZipFile(elsewhere, "w") as new:
        for name in old.namelist():
            new.writestr(
                name, old.read(name).replace(b"\x03\x00\x00\x00cpu", b"\x06\x00\x00\x00cuda:0")
            )
    assert data != elsewhere.read_bytes()
    with pytest.raises(RuntimeError, match="map_location='cpu'"):
        grad.load(elsewhere)
    seen = []
    for target in ("cpu", grad.device("cpu"), {"cuda:0": "cpu"}, lambda storage, _: storage.cpu()):
        assert grad.load(elsewhere, target)["x"].item() == 1
    grad.load(elsewhere, lambda storage, place: seen.append((storage.nbytes(), place)) or storage)
    assert seen == [(4, "cuda:0")]
    with pytest.raises(RuntimeError, match=r"map_location=.* raised AttributeError"):
        grad.load(elsewhere, lambda storage, place: storage.cuda())
    for target in ({"cuda:1": "cpu"}, lambda storage, place: None, "cuda"):
        with pytest.raises(RuntimeError, match="cuda"):
            grad.load(elsewhere, map_location=target)
    for file in (path, path.with_suffix(".pt")):
        assert grad.load(file, map_location=lambda storage, place: None)["x"].item() == 1
        with pytest.raises(RuntimeError, match="cuda"):
            grad.load(file, map_location="cuda:0")


def test_empty_files_raise_as_in_pytorch(path):
    path.touch()
    with pytest.raises(EOFError):
        grad.load(path)


@pytest.mark.skipif(os.name != "posix", reason="links, permissions and pipes of POSIX")
def test_links_permissions_and_pipes(tmp_path):
    (tmp_path / "folder").mkdir()
    link, real = tmp_path / "link.pt", tmp_path / "folder" / "real.pt"
    link.symlink_to(real)
    grad.save([1], link)
    assert link.is_symlink() and grad.load(real) == [1]
    real.chmod(0o600)
    grad.save([2], link)
    assert stat.S_IMODE(real.stat().st_mode) == 0o600 and grad.load(link) == [2]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=grad.save, args=([3], pipe))
    writer.start()
    assert grad.load(pipe) == [3]
    writer.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_more_than_state_dicts():
    obj = {
        "bytes": (b"", b"\x00\xff", bytearray(b"a")),
        "set": {1, "a"},
        "complex": 1 - 2j,
        "device": grad.device("cpu"),
        "big": [2**31, -(2**70), 2**5000],
        "state": OrderedDict(a=Tensor([1.0])),
        "default": defaultdict(list, a=[1]),
        "leaf": Tensor([1.0], requires_grad=True),
        "shared": [(1, 2)] * 2,
    }
    file = io.BytesIO()
    grad.save(obj, file)
    file.seek(0)
    back = grad.load(file)
    for name in ("bytes", "set", "complex", "device", "big", "default"):
        assert back[name] == obj[name]
    assert type(back["state"]) is OrderedDict and type(back["default"]) is dict
    assert back["leaf"].requires_grad and back["shared"][0] is back["shared"][1]
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for format in ("torch", "safetensors"):
        with pytest.raises(RuntimeError, match="deep"):
            grad.save(deep, io.BytesIO(), format=format)


def test_all_keys_that_are_saved_can_be_loaded():
    keys = [((1, (2,)), "x"), 1j, 2**2000, b"a", None, True, 0.5, grad.float32, grad.Size([2])]
    x = Tensor([1.0])
    file = io.BytesIO()
    grad.save([dict.fromkeys(keys), set(keys), {x: x}, Counter(keys)], file)
    file.seek(0)
    names, elements, by_tensor, counts = grad.load(file)
    assert list(names) == keys and elements == set(keys) and counts == Counter(keys)
    ((key, value),) = by_tensor.items()
    assert key is value and value.item() == 1


def test_a_tuple_within_itself():
    inner: list = []
    inner.append((inner,))
    file = io.BytesIO()
    grad.save(inner[0], file)
    file.seek(0)
    back = grad.load(file)
    assert type(back) is tuple and back[0][0] is back


class PartialWriter(io.RawIOBase):
    """As a pipe, or a raw file and more than two gigabytes: `write` takes a part."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data[:10]
        return min(len(data), 10)


@pytest.mark.parametrize("format", ["torch", "safetensors"])
def test_files_that_take_a_part_or_never_go_back(tmp_path, format):
    obj = {"a": Tensor.arange(100), "b": Tensor.arange(3)}
    writer = PartialWriter()
    grad.save(obj, writer, format=format)
    with gzip.open(tmp_path / "x.gz", "wb") as file:
        grad.save(obj, file, format=format)
    for data in (bytes(writer.data), gzip.decompress((tmp_path / "x.gz").read_bytes())):
        back = grad.load(io.BytesIO(data))
        assert back["a"].tolist() == list(range(100)) and back["b"].tolist() == [0, 1, 2]
    writer.write = lambda data: 0
    with pytest.raises(OSError, match="took 0 of"):
        grad.save(obj, writer, format=format)


def test_what_is_no_file_raises_as_in_pytorch(path):
    with pytest.raises(AttributeError, match="path or a file"):
        grad.save(str(path), {"a": 1})
    with pytest.raises(AttributeError, match="path or a file"):
        grad.load(3)


def test_the_flag_of_the_old_format_is_accepted(path):
    grad.save({"a": 1}, path.with_suffix(".pt"), _use_new_zipfile_serialization=False)
    assert grad.load(path.with_suffix(".pt")) == {"a": 1}


def test_modules_are_not_pickled(tmp_path):
    with pytest.raises(RuntimeError, match="state_dict"):
        grad.save(nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(RuntimeError, match=r"a\.0 is a numpy.*item"):
        grad.save({"a": [np.float32(1)]}, tmp_path / "model.pt")
    assert not os.listdir(tmp_path)


def test_records_beyond_four_gigabytes(monkeypatch):
    """Their sizes are in fields of their own, which also must leave the data aligned."""
    small = io.BytesIO()
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 500)
    grad.save({"a": Tensor.arange(100), "b": Tensor.arange(3)}, small)
    data = small.getvalue()
    assert data.index(np.arange(100).tobytes()) % 64 == 0
    assert b"\x01\x00\x10\x00" + (800).to_bytes(8, "little") * 2 in data
    back = grad.load(io.BytesIO(data))
    assert back["a"].tolist() == list(range(100)) and back["b"].tolist() == [0, 1, 2]
