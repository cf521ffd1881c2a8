"""The compiler: values, sharing, the disk cache and its failures, refused code, CPU levels."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from grad.errors import CompileError
from grad.runtime.cpu import compiler
from grad.runtime.cpu.assembler import assemble
from grad.runtime.cpu.compiler import compile_ir, register_symbol
from grad.runtime.cpu.host import detect, host, other_host
from grad.runtime.disk_cache import DAY_SECONDS, FOLDERS, DiskCache, digest
from grad.settings import settings

ROOT = Path(__file__).parents[2]
SQUARE = "define i64 @square(i64 %x) {\n  %y = mul i64 %x, %x\n  ret i64 %y\n}\n"
SCRIPT = (
    "import ctypes\n"
    "from grad.runtime.cpu.compiler import compile_ir\n"
    f"address = compile_ir({SQUARE!r}, ['square'], 'square')['square']\n"
    "print(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(9))\n"
)


def call(address: int, value: int) -> int:
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(value)


def run_script(
    directory: Path, script: str = SCRIPT, **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = {"PYTHONPATH": str(ROOT), "GRAD_CACHE_DIR": str(directory), **environment}
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def constant_module(number: int) -> str:
    return f"define i64 @constant(i64 %x) {{\n  %y = add i64 %x, {number}\n  ret i64 %y\n}}\n"


def test_compiles_and_keeps():
    first = compile_ir(SQUARE, ["square"], "square")
    assert call(first["square"], -12) == 144
    assert compile_ir(SQUARE, ["square"], "another label") == first


def test_symbols_of_the_c_library_and_our_own():
    seven = ctypes.c_int64(7)
    register_symbol("grad_test_seven", ctypes.addressof(seven))
    text = (
        "@grad_test_seven = external global i64\n"
        "declare double @cbrt(double)\n"
        "define double @root(double %x) {\n  %y = call double @cbrt(double %x)\n"
        "  ret double %y\n}\n"
        "define i64 @seven(i64 %x) {\n  %v = load i64, ptr @grad_test_seven\n"
        "  %y = add i64 %v, %x\n  ret i64 %y\n}\n"
    )
    addresses = compile_ir(text, ["root", "seven"], "symbols")
    root = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(addresses["root"])
    assert root(27.0) == pytest.approx(3.0)
    assert call(addresses["seven"], 1) == 8
    seven.value = 70
    assert call(addresses["seven"], 1) == 71
    with pytest.raises(ValueError, match="grad_test_seven"):
        register_symbol("grad_test_seven", 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("define void @f( {", "error"),
        ("define void @f() {\n  %x = add i32 1, 2\n  ret i32 %x\n}\n", "ret"),
        ("declare void @nobody()\ndefine void @f() {\n  call void @nobody()\n  ret void\n}\n", "f"),
        ("define void @g() {\n  ret void\n}\n", "f"),
    ],
)
def test_refused_code_raises_and_is_written_down(text, reason):
    with pytest.raises(CompileError, match="LLVM refused the code of a bad kernel") as caught:
        compile_ir(text, ["f"], "a bad kernel")
    message = str(caught.value)
    assert reason in message
    path = Path(message.split("The code is in ")[1].split(". This is")[0])
    assert path.read_text() == text
    path.unlink()


CANNOT_SELECT = """declare i32 @llvm.x86.sse42.crc32.32.32(i32, i32)
define i32 @f(i32 %x) {
  %y = call i32 @llvm.x86.sse42.crc32.32.32(i32 %x, i32 %x)
  ret i32 %y
}
"""


@pytest.mark.skipif(host().architecture != "x86_64", reason="an instruction of x86")
@pytest.mark.skipif(sys.platform == "win32", reason="SIGABRT is handled as POSIX does it")
@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("option", ["-Xfaulthandler", "-Xutf8"])
def test_code_that_llvm_aborts_on_is_named_and_written_down(option, in_thread):
    script = (
        "import threading\n"
        "from grad.runtime.cpu.compiler import compile_ir\n"
        "from grad.runtime.cpu.host import detect\n"
        f"text = {CANNOT_SELECT!r}\n"
        "def compile():\n"
        f"    compile_ir({SQUARE!r}, ['square'], 'square')\n"
        "    compile_ir(text, ['f'], 'a bad kernel', machine=detect('generic'))\n"
    )
    script += "threading.Thread(target=compile).start()\n" if in_thread else "compile()\n"
    found = subprocess.run(
        [sys.executable, option, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRAD_CACHE": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == -signal.SIGABRT
    assert "LLVM refused the code of a bad kernel" in found.stderr
    assert ("Fatal Python error" in found.stderr) == (option == "-Xfaulthandler")
    path = Path(found.stderr.split("The code is in ")[1].split(". This is")[0])
    assert path.read_text() == CANNOT_SELECT
    path.unlink()


def test_handlers_of_aborts_are_put_back():
    """The one that faulthandler installs for pytest, say."""
    script = (
        "import faulthandler, os\n"
        "faulthandler.enable()\n"
        "from grad.runtime.cpu.compiler import compile_ir\n"
        f"compile_ir({SQUARE!r}, ['square'], 'square')\n"
        "os.abort()\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRAD_CACHE": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Fatal Python error: Aborted" in found.stderr
    assert "LLVM" not in found.stderr


def test_threads_compile_at_once():
    results = {}

    def compile_one(number: int) -> None:
        address = compile_ir(constant_module(number), ["constant"], f"constant {number}")
        results[number] = call(address["constant"], 1)

    callers = [threading.Thread(target=compile_one, args=(n % 5 + 100,)) for n in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == {number: number + 1 for number in range(100, 105)}


def test_a_second_process_reads_what_the_first_wrote(tmp_path):
    assert run_script(tmp_path).stdout == "81\n"
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.o")}
    assert files
    assert run_script(tmp_path).stdout == "81\n"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.o")} == files
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "foreign"])
def test_damaged_files_are_built_again(tmp_path, damage):
    run_script(tmp_path)
    (path,) = tmp_path.rglob("*.o")
    sound = path.read_bytes()
    path.write_bytes(
        {
            "cut": sound[: len(sound) // 2],
            "empty": b"",
            "flipped": sound[:-10] + bytes([sound[-10] ^ 1]) + sound[-9:],
            "foreign": b"not an object at all",
        }[damage]
    )
    result = run_script(tmp_path)
    assert (result.stdout, result.stderr) == ("81\n", "")
    assert path.read_bytes() == sound


def test_a_directory_that_cannot_be_written_is_reported_once(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the directory should be")
    with (
        settings.override(cache_directory=blocked),
        pytest.warns(RuntimeWarning, match="cannot be kept") as caught,
    ):
        for number in (201, 202):
            address = compile_ir(constant_module(number), ["constant"], "constant")
            assert call(address["constant"], 1) == number + 1
    assert len(caught) == 1


def test_a_directory_that_cannot_be_written_is_reported_once_a_process(tmp_path):
    """Code, plans and what is known of the CPU are kept by different objects."""
    blocked = tmp_path / "file"
    blocked.write_text("a file where the directory should be")
    script = "import grad\nprint((grad.arange(5.0) * 3 + 0.75).sum().item())\n"
    done = run_script(blocked, script)
    assert done.stdout == "33.75\n"
    assert done.stderr.count("cannot be kept") == 1


def test_a_full_disk_is_reported_once_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cache = DiskCache(tmp_path)
    cache.store("abcd", b"before")
    with (
        monkeypatch.context() as patch,
        pytest.warns(RuntimeWarning, match="No space left") as caught,
    ):
        patch.setattr(os, "replace", full)
        for _ in range(3):
            cache.store("abcd", b"after")
    assert len(caught) == 1
    assert not list(tmp_path.rglob("*.tmp"))
    assert cache.load("abcd") == b"before"


def test_the_cache_can_be_turned_off(tmp_path):
    assert run_script(tmp_path, GRAD_CACHE="0").stdout == "81\n"
    assert not list(tmp_path.iterdir())


WITHOUT_MEMORY = """
import resource
import grad
x = grad.ones(300, 300)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (96 << 20), -1))
try:
    x.sum().item()
except MemoryError as error:
    print(type(error).__name__, type(error.__cause__).__name__)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(x.sum().item())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_no_memory_for_llvm_is_no_memory(tmp_path):
    done = run_script(tmp_path, WITHOUT_MEMORY, GRAD_CACHE="0")
    assert done.stdout == "OutOfMemoryError OSError\n90000.0\n"


def test_disk_cache_keeps_bytes(tmp_path):
    cache = DiskCache(tmp_path / "deep" / "down")
    assert cache.load("abcd") is None
    for payload in (b"", b"x" * 100_000, b"replaced"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cache.store("abcd", payload)
        assert cache.load("abcd") == payload


def test_keys_tell_parts_apart():
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("abc", "")}) == 4


@pytest.mark.parametrize("level", ["native", "avx512", "avx2", "generic"])
def test_levels_restrict_the_host(level):
    machine = detect(level)
    native = detect("native")
    assert machine.features <= native.features
    assert machine.vector_bytes in (16, 32, 64)
    if level in ("avx2", "generic"):
        assert not any(name.startswith("avx512") for name in machine.features)
    if level == "generic":
        assert machine.vector_bytes == 16
        assert "avx" not in machine.features
    assert machine.l1_bytes <= machine.l2_bytes
    assert machine.cores >= 1
    with settings.override(cpu_features=level):
        assert host() == machine
        address = compile_ir(constant_module(300), ["constant"], "constant")
        assert call(address["constant"], 1) == 301


def test_levels_compile_to_different_code():
    """256-bit vectors are one instruction for AVX2 and two for the baseline."""
    if "avx2" not in detect("native").features:
        pytest.skip("this machine has no AVX2")
    text = (
        "define void @add8(ptr %a) {\n  %x = load <8 x float>, ptr %a, align 4\n"
        "  %y = fadd <8 x float> %x, %x\n  store <8 x float> %y, ptr %a, align 4\n  ret void\n}\n"
    )
    with settings.override(cache=False):
        wide = compiler._object_code("wide", text, detect("avx2"), 2)
        narrow = compiler._object_code("narrow", text, detect("generic"), 2)
    assert wide != narrow


def test_code_for_another_cpu_is_made_here():
    """Objects name their machine: 183 is AArch64 in an ELF header."""
    machine = other_host("aarch64-unknown-linux-gnu")
    assert (machine.architecture, machine.vector_bytes) == ("aarch64", 16)
    assert "neon" in machine.features
    data = assemble(SQUARE, machine)
    assert (data[:4], int.from_bytes(data[18:20], "little")) == (b"\x7fELF", 183)


def aged(cache: DiskCache, key: str, days: float) -> None:
    then = time.time() - days * DAY_SECONDS
    os.utime(cache.path(key), (then, then))


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit=FOLDERS * 3000)
    keys = [f"ab{number}" for number in range(6)]
    for number, key in enumerate(keys[:5]):
        cache.store(key, bytes(500))
        aged(cache, key, 9 - number)
    assert cache.load(keys[1]) is not None  # used now
    cache.store(keys[5], bytes(1000))
    assert [key for key in keys if cache.load(key)] == [keys[1], keys[3], keys[4], keys[5]]
    cache.store("cd0", bytes(5000))  # a file by itself is kept, and other folders are let alone
    assert cache.load("cd0") is not None and cache.load(keys[1]) is not None


def test_what_a_killed_process_began_to_write_is_deleted(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    cache.store("ab0", b"code")
    old, new = (tmp_path / "ab" / f"{name}.tmp" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half of")
    os.utime(old, (0, 0))
    cache.store("ab1", b"more")
    assert new.exists() and not old.exists()
