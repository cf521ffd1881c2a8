"""A Plan: everything needed to compute the outputs of a program again and again.

`make_plan` simplifies and groups the program, lowers and compiles each group, puts independent
kernels into one step, and lays temporaries out in one arena; `Plan.run` takes buffers and numbers
and gives the output buffers back. Slots of a plan, in order: leaf buffers, scalars, output buffers,
the arena, the scratch. `realize.py` keeps plans and feeds them.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from grad.buffer import Buffer
from grad.codegen.backend import SCRATCH, Backend, CompiledPhase, Launch, Runnable
from grad.dtype import DType
from grad.engine.memory import Span, lay_out
from grad.engine.words import word_packer
from grad.graph.primitives import ARGUMENT, BUFFER
from grad.kernel.cost import operations
from grad.kernel.lower import Lowered, lower_all
from grad.kernel.verify import verify
from grad.schedule.demand import Grouping
from grad.schedule.early import sum_early
from grad.schedule.explain import explain
from grad.schedule.facts import renumbered
from grad.schedule.group import group
from grad.schedule.program import Leaf, Program
from grad.schedule.simplify import simplify
from grad.schedule.split import split_deep_products
from grad.schedule.verify import verify_grouping, verify_program
from grad.settings import settings

ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Output:
    """Where the values of one output are: a fresh buffer (`slot`) or a leaf's memory (`leaf`).

    `copy`: the memory is somebody else's too (a leaf's, another output's), and every value must
    have its own, since it may be lent to NumPy.
    """

    nbytes: int
    slot: int
    leaf: int = -1
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What one phase of a kernel does, for reports: bytes it must move at least, and operations."""

    label: str
    nbytes: int
    operations: float


class Memory(NamedTuple):
    """The memory of one run: fresh outputs, copies of outputs, temporaries, scratch."""

    fresh: list[Buffer]
    copies: list[Buffer]
    arena: Buffer | None
    scratch: Buffer | None


# A function of C: after a kernel, what Python touches comes from far caches.
_address = attrgetter("address")


@dataclass(frozen=True, slots=True)
class Plan:
    """Compiled steps and the layout of their slots.

    Attributes:
        steps: the kernels of each step, for people.
        kernel_count: how often a run starts kernels. Independent kernels start together and count
            once; the second phase of a kernel does not count.
        plain: whether each output is the fresh buffer of its number.
    """

    native: Runnable
    packers: tuple[Callable[[float | int | bool], int], ...]
    outputs: tuple[Output, ...]
    fresh: tuple[int, ...]
    arena_bytes: int
    scratch_bytes: int
    steps: tuple[tuple[Work, ...], ...]
    kernel_count: int
    plain: bool

    def run(self, leaves: Sequence[Leaf], scalars: Sequence[float | int | bool]) -> list[Buffer]:
        """Compute; gives one buffer for each output. Inputs are read, never written."""
        # All memory is taken before anything is overwritten: running out of it changes nothing.
        memory = self.reserve()
        found = self.execute([leaf.address for leaf in leaves], self.words(scalars), memory)
        return [
            buffer or _memory_of(leaves[output.leaf])
            for buffer, output in zip(found, self.outputs, strict=True)
        ]

    def words(self, scalars: Sequence[float | int | bool]) -> tuple[int, ...]:
        """The scalars as the code gets them."""
        return tuple([pack(n) for pack, n in zip(self.packers, scalars, strict=True)])

    def reserve(self) -> Memory:
        """Take the memory of one run."""
        return Memory(
            list(map(Buffer, self.fresh)),
            [] if self.plain else [Buffer(o.nbytes) for o in self.outputs if o.copy],
            Buffer(self.arena_bytes) if self.arena_bytes else None,
            Buffer(self.scratch_bytes) if self.scratch_bytes else None,
        )

    def execute(
        self, leaves: Sequence[int], words: Sequence[int], memory: Memory
    ) -> Sequence[Buffer | None]:
        """Compute in `memory` from leaves at these addresses, with `words` for scalars.

        Gives one buffer for each output, or None where it is a leaf that was overwritten.
        """
        fresh, copies, arena, scratch = memory
        slots = (
            *leaves,
            *words,
            *map(_address, fresh),
            0 if arena is None else arena.address,
            0 if scratch is None else scratch.address,
        )
        if settings.debug >= 2:
            self.run_timed(slots)
        else:
            self.native.run(slots)
        if self.plain:
            return fresh
        return self.output_buffers(slots, fresh, copies)

    def output_buffers(
        self, slots: Sequence[int], fresh: Sequence[Buffer], copies: list[Buffer]
    ) -> list[Buffer | None]:
        """The buffers of the outputs; fills `copies`."""
        found: list[Buffer | None] = []
        unused = iter(copies)
        for output in self.outputs:
            buffer = None if output.leaf >= 0 else fresh[output.slot]
            if output.copy:
                address = slots[output.leaf] if buffer is None else buffer.address
                buffer = next(unused)
                ctypes.memmove(buffer.address, address, output.nbytes)
            found.append(buffer)
        return found

    def run_timed(self, slots: Sequence[int]) -> None:
        """Run step by step and print the time, the bandwidth and the rate of each."""
        for number, works in enumerate(self.steps):
            start = time.perf_counter()
            self.native.run_step(number, slots)
            elapsed = max(time.perf_counter() - start, 1e-9)
            moved = sum(work.nbytes for work in works)
            rate = sum(work.operations for work in works) / elapsed
            print(
                f"grad: {elapsed * 1e6:10.1f} us {moved / elapsed / 1e9:8.2f} GB/s "
                f"{rate / 1e9:8.2f} GFLOP/s  {' | '.join(work.label for work in works)}",
                file=sys.stderr,
            )


def _memory_of(leaf: Leaf) -> Buffer:
    buffer = leaf.source.buffer
    assert buffer is not None
    return buffer


def make_plan(program: Program, backend: Backend) -> Plan:
    """Compile `program` for `backend`."""
    leaf_count = sum(entry.op is BUFFER for entry in program.entries)
    scalars = sorted(
        (e.arg, e.dtype) for e in program.entries if e.op is ARGUMENT and e.arg is not None
    )
    program = sum_early(simplify(split_deep_products(program)))
    grouping = group(program)
    if settings.debug >= 3:
        print(program, *explain(program, grouping), sep="\n", file=sys.stderr)
    if settings.verify:
        verify_program(program)
        verify_grouping(program, grouping)
    lowered = lower_all(program, grouping)
    if settings.verify:
        for low in lowered:
            verify(low.kernel)
    if settings.debug >= 4:
        for low in lowered:
            print(low.kernel, file=sys.stderr)
    return _Assembly(
        program, grouping, lowered, backend, leaf_count, [d for _, d in scalars]
    ).plan()


class _Assembly:
    """Puts compiled kernels together: order, memory, slots."""

    def __init__(
        self,
        program: Program,
        grouping: Grouping,
        lowered: Sequence[Lowered],
        backend: Backend,
        leaf_count: int,
        scalars: Sequence[DType],
    ) -> None:
        self.program = program
        self.grouping = grouping
        self.lowered = lowered
        self.backend = backend
        self.leaf_count = leaf_count
        self.scalars = scalars
        # An alias comes after what it is an alias of.
        self.roots: dict[int, int] = {}
        for number, target in sorted(grouping.aliases.items()):
            self.roots[number] = self.roots.get(target, target)
        self.compiled = [backend.compile(low.kernel) for low in lowered]
        self.starts = self.levels()
        self.outputs, self.fresh = self.output_slots()
        self.first_output = leaf_count + len(scalars)
        self.arena_slot = self.first_output + len(self.fresh)
        self.scratch_slot = self.arena_slot + 1

    # -- order -------------------------------------------------------------------------------------
    def levels(self) -> list[int]:
        """The step in which each group's first phase runs: as early as what it reads allows."""
        ready: dict[int, int] = {}
        starts = []
        for found, low, phases in zip(
            self.grouping.groups, self.lowered, self.compiled, strict=True
        ):
            start = 0
            for sort, number in low.bindings:
                if sort == "memory" and number not in found.stored:
                    start = max(start, ready.get(number, 0))
            starts.append(start)
            for number in found.stored:
                ready[number] = start + len(phases)
        return starts

    # -- memory ------------------------------------------------------------------------------------
    def root_of(self, number: int) -> int:
        """The entry whose memory entry `number` has: itself, or what it renumbers or overwrites."""
        return self.roots.get(number, number)

    def nbytes(self, number: int) -> int:
        entry = self.program.entries[number]
        size = entry.dtype.itemsize
        for axis in entry.shape:
            size *= axis
        return size

    def output_slots(self) -> tuple[tuple[Output, ...], dict[int, int]]:
        """The outputs, and a number for each entry that needs a fresh buffer."""
        outputs, fresh, taken = [], {}, set()
        for output in self.program.outputs:
            number = self.root_of(output)
            entry = self.program.entries[number]
            nbytes = self.nbytes(number)
            if entry.op is BUFFER:
                # Only what was overwritten in place takes its leaf's memory over.
                plain = renumbered(self.program, output) == number
                outputs.append(Output(nbytes, -1, entry.arg, copy=plain or number in taken))
            else:
                slot = fresh.setdefault(number, len(fresh))
                outputs.append(Output(nbytes, slot, copy=number in taken))
            taken.add(number)
        return tuple(outputs), fresh

    def spans(self) -> list[Span]:
        """Life times (in steps) and sizes of everything that is not an output."""
        first: dict[tuple[str, int], int] = {}
        last: dict[tuple[str, int], int] = {}
        sizes: dict[tuple[str, int], int] = {}
        for group_number, (found, low, phases) in enumerate(
            zip(self.grouping.groups, self.lowered, self.compiled, strict=True)
        ):
            start = self.starts[group_number]
            for parameter, (sort, number) in zip(low.kernel.parameters, low.bindings, strict=True):
                if sort in ("scalar", "scratch") or (
                    sort == "memory" and not self.is_temporary(number)
                ):
                    continue
                if sort == "temporary":
                    key = (f"temporary{group_number}", number)
                    sizes[key] = number * parameter.dtype.itemsize
                else:
                    key = (sort, self.root_of(number))
                    sizes[key] = self.nbytes(number)
                first.setdefault(key, start)
                last[key] = max(last.get(key, 0), start + len(phases) - 1)
            for number in found.stored:
                if self.is_temporary(number):
                    key = ("memory", self.root_of(number))
                    sizes.setdefault(key, self.nbytes(number))
                    first[key] = min(start, first.get(key, start))
                    last[key] = max(last.get(key, 0), start + len(phases) - 1)
        return [Span(key, sizes[key], first[key], last[key]) for key in sizes]

    def is_temporary(self, number: int) -> bool:
        """Whether the entry's memory is in the arena: neither a leaf's nor an output's."""
        number = self.root_of(number)
        return self.program.entries[number].op is not BUFFER and number not in self.fresh

    # -- the plan ----------------------------------------------------------------------------------
    def plan(self) -> Plan:
        places, arena_bytes = lay_out(self.spans(), ALIGNMENT)
        count = max(
            (start + len(p) for start, p in zip(self.starts, self.compiled, strict=True)), default=0
        )
        steps: list[list[Launch]] = [[] for _ in range(count)]
        works: list[list[Work]] = [[] for _ in range(count)]
        scratch = [0] * count
        workers = self.backend.workers()
        for number, (low, phases) in enumerate(zip(self.lowered, self.compiled, strict=True)):
            for offset, phase in enumerate(phases):
                step = self.starts[number] + offset
                words = self.words(number, low, phase, places, scratch[step])
                scratch[step] += _aligned(phase.scratch_bytes * workers)
                steps[step].append(Launch(phase, words, low.kernel.name))
                works[step].append(self.work(low, offset))
        slot_count = self.scratch_slot + 1
        native = self.backend.link(steps, slot_count)
        return Plan(
            native,
            tuple(word_packer(dtype) for dtype in self.scalars),
            self.outputs,
            tuple(self.nbytes(number) for number in self.fresh),
            arena_bytes,
            max(scratch, default=0),
            tuple(tuple(step) for step in works),
            len(set(self.starts)),
            self.outputs == tuple(Output(self.nbytes(n), i) for i, n in enumerate(self.fresh)),
        )

    def work(self, low: Lowered, offset: int) -> Work:
        touched = {number for sort, number in low.bindings if sort == "memory"}
        done = operations(low.kernel.phases[offset])
        return Work(low.kernel.name, sum(self.nbytes(number) for number in touched), done)

    def words(
        self,
        group_number: int,
        low: Lowered,
        phase: CompiledPhase,
        places: dict[tuple[str, int], int],
        scratch: int,
    ) -> tuple[tuple[int, int], ...]:
        """The slot and offset of each argument word of a phase."""
        words = []
        for parameter, offset in phase.arguments:
            if parameter == SCRATCH:
                words.append((self.scratch_slot, scratch + offset))
            elif parameter < 0:
                words.append((-1, offset))
            else:
                slot, base = self.slot_of(group_number, *low.bindings[parameter], places)
                words.append((slot, base + offset))
        return tuple(words)

    def slot_of(
        self, group_number: int, sort: str, number: int, places: dict[tuple[str, int], int]
    ) -> tuple[int, int]:
        if sort == "scalar":
            return self.leaf_count + self.program.entries[number].arg, 0
        if sort == "temporary":
            return self.arena_slot, places[(f"temporary{group_number}", number)]
        number = self.root_of(number)
        entry = self.program.entries[number]
        if entry.op is BUFFER:
            return entry.arg, 0
        if number in self.fresh:
            return self.first_output + self.fresh[number], 0
        return self.arena_slot, places[("memory", number)]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
