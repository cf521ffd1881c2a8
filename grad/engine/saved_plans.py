"""Plans kept on disk between processes, so that a program that was compiled once starts at once.

`plan_of` is how realize.py gets a plan. The key is the program, written out as plain values, with
all that compiling it depends on: what the backend says of itself, the number of threads, versions,
and the source files of the compiler, as the file system tells them apart. The plan refers to the
code of its kernels by their own keys on disk (grad/runtime/cpu/compiler.py). Whatever is missing,
cut short, or not made of plain values is compiled, as if nothing were kept. With a plan and its
code on disk the compiler is never loaded.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from grad.codegen.backend import Backend, CompiledPhase, Launch
from grad.device import open_compiler
from grad.dtype import DType, by_name
from grad.engine.linking import UnlinkedPlan, linked
from grad.engine.plan import Output, Plan, Work
from grad.runtime.disk_cache import DiskCache, digest
from grad.schedule.program import Entry, Program
from grad.settings import LOADED_AT_NANOSECONDS, settings
from grad.utils.size import Size

PACKAGE = Path(__file__).resolve().parents[1]
# What decides how a program is compiled: these layers, and the modules beside them.
COMPILER_LAYERS = ("runtime", "graph", "schedule", "kernel", "codegen", "engine")
# Of the versions of marshal's format the last in which equal values are written equally, whether or
# not they are the same objects.
FORMAT = 2


def plan_of(program: Program, backend: Backend) -> Plan:
    """The plan of `program`, whose sizes are fixed: from disk, or compiled and kept there."""
    key = _key(program, backend) if _may_be_kept() else None
    if key is None:
        return open_compiler().make_plan(program, backend)
    disk = _disk(settings.cache_directory)
    data = disk.load(key)
    unlinked = None if data is None else _decoded(data, backend)
    if unlinked is None:
        unlinked = open_compiler().compile_program(program, backend)
        data = _encoded(unlinked)
        if data is not None:
            disk.store(key, data)
    return linked(unlinked, backend)


def _may_be_kept() -> bool:
    """Whether plans are to be had from disk: not where somebody wants to see how they are made."""
    watched = settings.verify or settings.observed or settings.debug >= 3
    return settings.cache and not watched and not settings.search


@cache
def _disk(directory: str | os.PathLike[str]) -> DiskCache:
    return DiskCache(directory, ".plan", settings.cache_bytes)


# -- the key ---------------------------------------------------------------------------------------
def _key(program: Program, backend: Backend) -> str | None:
    """Everything that decides what the plan is; None where that cannot be told."""
    made_with, made_by = backend.identity(), source_identity()
    if made_with is None or not made_by:
        return None
    marks = (
        program.outputs,
        tuple(sorted(program.donated)),
        program.replaced,
        program.checked,
        program.parts,
    )
    try:
        plain = marshal.dumps((tuple(map(_plain_entry, program.entries)), marks), FORMAT)
    except (TypeError, ValueError):
        return None  # something in it is no plain value
    python = sys.version, np.__version__
    workers = str(backend.workers())
    return digest(plain, backend.name, workers, made_by, *python, *made_with)


def _plain_entry(entry: Entry) -> tuple[Any, ...]:
    op, sources, arg, shape, dtype = entry
    return op.name, sources, _plain(arg), tuple(shape), dtype.name


def _plain(value: Any) -> Any:
    """An argument of a primitive as values that marshal writes, or refuses with a ValueError.

    Records are told apart by their class, and element types from their names.
    """
    kind = type(value)
    if value is None or kind is int or kind is float or kind is str or kind is bool:
        return value
    if kind is tuple or kind is Size:
        return tuple(map(_plain, value))
    if kind is DType:
        return "dtype", value.name
    if isinstance(value, tuple):
        return kind.__qualname__, *map(_plain, value)
    if is_dataclass(value):
        parts = [_plain(getattr(value, field.name)) for field in fields(value)]
        return kind.__qualname__, *parts
    raise ValueError(f"{kind.__qualname__} is no plain value.")


@cache
def source_identity() -> str:
    """The compiler's source files: sizes and times of change; empty where there are no files, or
    where they may not be what this process runs.
    """
    found = sorted(_files(PACKAGE, COMPILER_LAYERS))
    changed = any(max(times) >= LOADED_AT_NANOSECONDS for _, _, *times in found)
    return "" if changed or not found else repr(found)


def _files(directory: str | Path, below: tuple[str, ...] | None) -> Iterator[tuple[Any, ...]]:
    """Marks of each source file in `directory` and, with `below`, in these directories only."""
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return  # the library is not in plain files: nothing is kept then
    for entry in entries:
        if entry.name.endswith(".py"):
            status = entry.stat()
            yield entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        elif entry.is_dir() and (below is None or entry.name in below):
            yield from _files(entry.path, None)


# -- the plan --------------------------------------------------------------------------------------
def _encoded(plan: UnlinkedPlan) -> bytes | None:
    """The plan in marshal's format; None where code of it cannot be had again."""
    if not all(launch.phase.code_key for step in plan.launches for launch in step):
        return None
    return marshal.dumps(
        (
            tuple(tuple(map(_plain_launch, step)) for step in plan.launches),
            tuple(tuple((w.label, w.nbytes, w.operations) for w in step) for step in plan.works),
            plan.slot_count,
            tuple(dtype.name for dtype in plan.scalars),
            tuple((o.nbytes, o.slot, o.leaf, o.copy) for o in plan.outputs),
            plan.fresh,
            plan.arena_bytes,
            plan.scratch_bytes,
            plan.kernel_count,
            plan.first_write,
        ),
        FORMAT,
    )


def _plain_launch(launch: Launch) -> tuple[Any, ...]:
    phase = launch.phase
    shares = phase.items, phase.grain, phase.scratch_bytes, phase.nanoseconds
    return phase.code_key, shares, launch.arguments, launch.label


def _decoded(data: bytes, backend: Backend) -> UnlinkedPlan | None:
    """What `_encoded` wrote; None where the code of a kernel is not on disk any more."""
    launches, works, slot_count, scalars, outputs, *rest = marshal.loads(data)
    entries = {key: backend.reopened(key) for key in {key for step in launches for key, *_ in step}}
    if None in entries.values():
        return None
    return UnlinkedPlan(
        tuple(tuple(_launch(row, entries[row[0]]) for row in step) for step in launches),
        tuple(tuple(Work(*work) for work in step) for step in works),
        slot_count,
        tuple(map(by_name, scalars)),
        tuple(Output(*output) for output in outputs),
        *rest,
    )


def _launch(row: tuple[Any, ...], entry: object) -> Launch:
    key, (items, grain, scratch_bytes, nanoseconds), arguments, label = row
    phase = CompiledPhase(entry, (), items, grain, scratch_bytes, nanoseconds, key)
    return Launch(phase, arguments, label)
