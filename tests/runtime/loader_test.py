"""Objects put into memory without LLVM: values, what they refer to, protection, and refusals."""

from __future__ import annotations

import ctypes
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grad.runtime.cpu import host as host_module
from grad.runtime.cpu import loader
from grad.runtime.cpu.assembler import assemble, process_names
from grad.runtime.cpu.elf import read_object
from grad.runtime.cpu.host import host, other_host
from grad.settings import settings

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not loader.IS_SUPPORTED or host().architecture != "x86_64", reason="Linux on x86-64"
)

# Constants, a counter that is written, zeros that are written, a function of the C library, one
# given as an address, and data elsewhere.
TEXT = """
@counter = internal global i64 40, align 64
@zeros = internal global [1024 x i64] zeroinitializer, align 64
@elsewhere = external global i64
declare double @cbrt(double)
define i64 @count(i64 %step) {
  %before = load i64, ptr @counter
  %after = add i64 %before, %step
  store i64 %after, ptr @counter
  %at = getelementptr i64, ptr @zeros, i64 %step
  %zero = load i64, ptr %at
  store i64 %after, ptr %at
  %sum = add i64 %after, %zero
  ret i64 %sum
}
define double @root(double %x) {
  %y = call double @cbrt(double %x)
  %z = fadd double %y, 0.3333
  ret double %z
}
define ptr @function() {
  ret ptr @cbrt
}
define i64 @other(i64 %x) {
  %v = load i64, ptr @elsewhere
  %y = call i64 @count(i64 %v)
  ret i64 %y
}
"""
NAMES = ("count", "root", "function", "other")
ELSEWHERE = ctypes.c_int64(2)


def address_of(name: str) -> int | None:
    if name == "elsewhere":
        return ctypes.addressof(ELSEWHERE)
    if name == "cbrt":
        return ctypes.cast(ctypes.CDLL("libm.so.6").cbrt, ctypes.c_void_p).value
    return None


def function(address: int, result: object, *arguments: object) -> Callable[..., object]:
    return ctypes.CFUNCTYPE(result, *arguments)(address)  # type: ignore[arg-type]


def access(address: int) -> str:
    """What the system allows at an address: ``"r-xp"``."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, end, allowed = re.match(r"(\w+)-(\w+) (\S+)", line).groups()  # type: ignore[union-attr]
        if int(first, 16) <= address < int(end, 16):
            return allowed
    return ""


def test_code_data_and_what_is_elsewhere():
    found = loader.load(assemble(TEXT, host()), NAMES, address_of)
    assert found is not None
    addresses, pages = found
    count = function(addresses["count"], ctypes.c_int64, ctypes.c_int64)
    assert [count(1), count(1), count(7)] == [41, 42 + 41, 49]
    root = function(addresses["root"], ctypes.c_double, ctypes.c_double)
    assert root(27.0) == pytest.approx(3.3333, rel=1e-15)
    assert function(addresses["function"], ctypes.c_void_p)() == address_of("cbrt")
    assert function(addresses["other"], ctypes.c_int64)() == 51
    assert access(addresses["root"]) == "r-xp"
    assert access(ctypes.addressof(ctypes.c_char.from_buffer(pages)) + len(pages) - 1) == "rw-p"
    # Each object has data of its own.
    again = loader.load(assemble(TEXT, host()), NAMES, address_of)
    assert again is not None
    assert function(again[0]["count"], ctypes.c_int64, ctypes.c_int64)(1) == 41


def test_a_child_of_a_fork_has_data_of_its_own():
    found = loader.load(assemble(TEXT, host()), NAMES, address_of)
    assert found is not None
    count = function(found[0]["count"], ctypes.c_int64, ctypes.c_int64)
    child = os.fork()
    if not child:
        count(5)
        os._exit(0)
    os.waitpid(child, 0)
    assert count(1) == 41


@pytest.mark.parametrize(
    "text",
    [
        "declare void @nobody()\ndefine void @f() {\n  call void @nobody()\n  ret void\n}\n",
        "define void @g() {\n  ret void\n}\n",
        "@x = thread_local global i64 1\ndefine ptr @f() {\n  ret ptr @x\n}\n",
        "@x = common global i64 0\ndefine ptr @f() {\n  ret ptr @x\n}\n",
    ],
    ids=["nowhere", "not there", "thread-local", "common"],
)
def test_what_is_not_known_is_left_to_llvm(text):
    assert loader.load(assemble(text, host()), ["f"], address_of) is None


def test_other_files_are_no_objects():
    data = assemble(TEXT, host())
    assert read_object(data) is not None
    assert read_object(assemble(TEXT, other_host("aarch64-unknown-linux-gnu"))) is None
    assert read_object(Path(sys.executable).read_bytes()) is None
    for other in (b"", data[:20], b"not an object" * 10, b"\x7fELF" + b"\x01" * 100):
        assert read_object(other) is None


def test_memory_that_may_not_run_is_left_to_llvm(monkeypatch):
    monkeypatch.setattr(loader, "_protect", lambda base, size: False)
    assert loader.load(assemble(TEXT, host()), NAMES, address_of) is None


SCRIPT = """
import sys
import grad
print(((grad.arange(5.0) * 3).exp().sum()).item().hex(), "llvmlite.binding" in sys.modules)
"""


def test_a_process_whose_code_is_on_disk_never_loads_llvm(tmp_path):
    variables = {"PYTHONPATH": str(ROOT), "GRAD_CACHE_DIR": str(tmp_path), "GRAD_VERIFY": "0"}
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert not done.stderr
        found.append(done.stdout.split())
    assert found[0][1:] == ["True"]
    assert found[1] == [found[0][0], "False"]
    assert float.fromhex(found[0][0]) == pytest.approx(sum(math.exp(3 * i) for i in range(5)))


def test_the_names_of_the_cpu_are_kept_by_what_the_system_says(tmp_path, monkeypatch):
    with settings.override(cache_directory=tmp_path):
        assert host_module._process_names() == process_names()
        (path,) = tmp_path.rglob("*.cpu")
        assert host_module._process_names() == process_names()
        path.write_bytes(path.read_bytes()[:-1])
        assert host_module._process_names() == process_names()
        text = host_module.CPU_INFORMATION.read_text()
        other = tmp_path / "cpuinfo"
        monkeypatch.setattr(host_module, "CPU_INFORMATION", other)
        other.write_text(re.sub(r"cpu MHz.*", "cpu MHz : 1", text))
        host_module._process_names()
        assert len(list(tmp_path.rglob("*.cpu"))) == 1
        other.write_text(text.replace(" sse2 ", " "))
        host_module._process_names()
        assert len(list(tmp_path.rglob("*.cpu"))) == 2
        other.write_text("no such lines")
        assert host_module._process_names() == process_names()
        assert len(list(tmp_path.rglob("*.cpu"))) == 2
