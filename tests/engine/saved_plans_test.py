"""Plans kept on disk: what a later process finds, what it does not, what the key tells apart."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import grad
from grad.device import open_backend
from grad.dtype import dtypes
from grad.engine import saved_plans
from grad.engine.assembly import compile_program
from grad.engine.realize import cache
from grad.graph import primitives
from grad.graph.primitives import Primitive
from grad.schedule.program import Program, program_of, walk
from grad.settings import settings

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
import numpy as np
import grad
grad.manual_seed(0)
model = grad.nn.Sequential(grad.nn.Linear(8, 16), grad.nn.ReLU(), grad.nn.Linear(16, 3))
optimizer = grad.optim.AdamW(model.parameters(), lr=0.01)
x, labels = grad.randn(5, 8), grad.tensor([0, 1, 2, 1, 0])
for _ in range(3):
    optimizer.zero_grad()
    loss = grad.nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
print(loss.item().hex(), *[float(p.sum().item()).hex() for p in model.parameters()])
print("loaded" if "grad.engine.assembly" in sys.modules else "not loaded")
print("loaded" if "grad.codegen.llvm.phases" in sys.modules else "not loaded")
"""


def run(directory: Path, **variables: str) -> list[str]:
    """The values, and whether the compiler and the code generator were loaded."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRAD_CACHE_DIR": str(directory), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert not found.stderr
    return found.stdout.splitlines()


def files(directory: Path, suffix: str) -> list[Path]:
    return sorted(directory.rglob(f"*{suffix}"))


def test_a_later_process_never_loads_the_compiler(tmp_path):
    values, *loaded = run(tmp_path, GRAD_VERIFY="0")
    assert loaded == ["loaded", "loaded"]
    assert run(tmp_path, GRAD_VERIFY="0") == [values, "not loaded", "not loaded"]
    # Scratch is for a number of workers, so their number is part of the key.
    count = len(files(tmp_path, ".plan"))
    assert run(tmp_path, GRAD_VERIFY="0", GRAD_NUM_THREADS="1")[:2] == [values, "loaded"]
    assert len(files(tmp_path, ".plan")) > count
    # Whoever looks at how plans are made sees them made.
    assert run(tmp_path, GRAD_VERIFY="1")[:2] == [values, "loaded"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _change])
@pytest.mark.parametrize("suffix", [".plan", ".o"])
def test_what_is_damaged_is_compiled_again(tmp_path, damage, suffix):
    values, *_ = run(tmp_path, GRAD_VERIFY="0")
    for path in files(tmp_path, suffix):
        damage(path)
    assert run(tmp_path, GRAD_VERIFY="0")[:2] == [values, "loaded"]
    assert run(tmp_path, GRAD_VERIFY="0") == [values, "not loaded", "not loaded"]


def product_program(rows: int = 6, factor: float = 2.0) -> Program:
    """A program with a constant, two leaves and two outputs."""
    a, b = grad.tensor(np.ones((rows, 4))), grad.tensor(np.ones((4, 5)))
    return program_of(walk([((a @ b) * factor).relu().node, a.sum(0).node]))


def test_decoding_gives_what_was_encoded():
    backend = open_backend("cpu")
    plan = compile_program(product_program(), backend)
    data = saved_plans._encoded(plan)
    assert data is not None
    # The arguments of phases are in the launches by now.
    bare = [
        [replace(launch, phase=replace(launch.phase, arguments=())) for launch in step]
        for step in plan.launches
    ]
    assert saved_plans._decoded(data, backend) == plan._replace(launches=tuple(map(tuple, bare)))


def test_keys_tell_programs_apart(monkeypatch):
    backend = open_backend("cpu")

    def key(program: Program) -> str:
        found = saved_plans._key(program, backend)
        assert found is not None
        return found

    program = product_program()
    assert key(program) == key(product_program())
    others = [
        product_program(rows=7),
        product_program(factor=2.5),
        product_program(factor=-0.0),
        product_program(factor=0.0),
        product_program(factor=float("nan")),
        replace(program, outputs=program.outputs[::-1]),
        replace(program, donated=frozenset({0})),
        replace(program, donated=frozenset({1})),
        replace(program, replaced=((0, 1),)),
        replace(program, checked=(1,)),
    ]
    keys = {key(program), *map(key, others)}
    assert len(keys) == 1 + len(others)
    for name, value in [("source_identity", lambda: "edited"), ("sys", _OtherPython)]:
        with monkeypatch.context() as patch:
            patch.setattr(saved_plans, name, value)
            keys.add(key(program))
    with monkeypatch.context() as patch:
        patch.setattr(backend, "machine", replace(backend.machine, l2_bytes=1 << 18))
        keys.add(key(program))
    assert len(keys) == 4 + len(others)


class _OtherPython:
    version = "another"


def test_sources_that_changed_since_they_were_loaded_have_no_identity(monkeypatch):
    identity = saved_plans.source_identity.__wrapped__
    assert "saved_plans.py" in identity()
    assert "/ops/" not in identity()
    with monkeypatch.context() as patch:
        patch.setattr(saved_plans, "LOADED_AT_NANOSECONDS", 0)
        assert identity() == ""
    with monkeypatch.context() as patch:
        patch.setattr(saved_plans, "PACKAGE", ROOT / "nowhere")
        assert identity() == ""


def test_names_of_primitives_are_different():
    found = [p for p in vars(primitives).values() if isinstance(p, Primitive)]
    assert len({p.name for p in found}) == len(found)


def test_arguments_that_are_no_plain_values_are_refused():
    class Record(NamedTuple):
        size: int

    @dataclass(frozen=True)
    class Other:
        size: int

    plain: Any = saved_plans._plain
    different = [1, 1.0, True, "1", None, (1,), ((1,),), dtypes.int8, Record(1), Other(1)]
    assert len({repr(plain(value)) for value in different}) == len(different)
    for value in (np.int64(1), [1], object(), (1, np.float32(1)), Record(np.int64(1)), len):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="no plain value"):
            plain(value)


def test_plans_from_disk_compute_the_same(tmp_path):
    """In this process, with everything that is kept in memory put aside."""
    random = np.random.default_rng(0)
    image = random.normal(size=(2, 3, 9, 9)).astype(np.float32)
    weight = random.normal(size=(4, 3, 3, 3)).astype(np.float32)

    def values() -> list[np.ndarray]:
        w = grad.tensor(weight).requires_grad_()
        y = grad.nn.functional.conv2d(grad.tensor(image), w, padding=1).softmax(1)
        (y * y).sum().backward()
        assert w.grad is not None
        w.grad.mul_(3.0)
        return [y.detach().numpy().copy(), w.grad.numpy().copy()]

    with settings.override(verify=False, cache_directory=tmp_path):
        with cache.apart():
            expected = values()
        made = len(files(tmp_path, ".plan"))
        assert made
        with cache.apart():
            found = values()
        assert len(files(tmp_path, ".plan")) == made
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_files_where_nothing_is_to_be_kept(tmp_path):
    with settings.override(verify=False, cache=False, cache_directory=tmp_path), cache.apart():
        assert (grad.ones(3) * 1.25).sum().item() == 3.75
    assert not list(tmp_path.iterdir())
