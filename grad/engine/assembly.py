"""Make a Plan of a program: passes, kernels, order and memory.

`compile_program` simplifies and groups the program, lowers and compiles each group, puts
independent kernels into one step, and lays temporaries out in one arena. linking.py says what comes
out of it, and makes a Plan of that.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from grad.codegen.backend import SCRATCH, Backend, CompiledPhase, Launch
from grad.dtype import DType
from grad.engine.draft import Draft
from grad.engine.linking import UnlinkedPlan, linked
from grad.engine.memory import Span, lay_out
from grad.engine.observe import Made, now, planned
from grad.engine.placement import place
from grad.engine.plan import Output, Plan, Work
from grad.graph.primitives import ARGUMENT, BUFFER
from grad.graph.sizes import hint, is_fixed
from grad.kernel.cost import operations
from grad.kernel.lower import Lowered, lower_all
from grad.kernel.verify import verify
from grad.schedule.early import sum_early
from grad.schedule.facts import renumbered
from grad.schedule.group import group
from grad.schedule.order import detach_waits
from grad.schedule.program import Program
from grad.schedule.simplify import simplify
from grad.schedule.split import split_deep_products
from grad.schedule.verify import verify_grouping, verify_program
from grad.settings import settings

ALIGNMENT = 64


def make_plan(program: Program, backend: Backend) -> Plan:
    """Compile `program`, all of whose sizes are fixed, for `backend`."""
    return linked(compile_program(program, backend), backend)


def compile_program(program: Program, backend: Backend) -> UnlinkedPlan:
    """As `make_plan`, but for linking."""
    begun = now()
    assembly = assembly_of(program, backend)
    plan = assembly.unlinked_plan()
    made = Made(assembly.draft, tuple(assembly.starts), assembly.works, plan, backend)
    planned(made, begun, now())
    return plan


def assembly_of(program: Program, backend: Backend) -> Assembly:
    """Compile the kernels of `program` for `backend`."""
    leaf_count = sum(entry.op is BUFFER for entry in program.entries)
    scalars = sorted(
        (e.arg, e.dtype) for e in program.entries if e.op is ARGUMENT and e.arg is not None
    )
    program = detach_waits(sum_early(simplify(split_deep_products(program))))
    draft = Draft(program, group(program), ())
    if settings.debug >= 3:
        print(draft.layout(), file=sys.stderr)
    if settings.verify:
        verify_program(program)
        verify_grouping(program, draft.grouping)
    draft = replace(draft, lowered=tuple(lower_all(program, draft.grouping)))
    if settings.verify:
        for low in draft.lowered:
            verify(low.kernel)
    if settings.debug >= 4:
        print(*(low.kernel for low in draft.lowered), sep="\n", file=sys.stderr)
    return Assembly(draft, backend, leaf_count, [d for _, d in scalars])


class Assembly:
    """Puts compiled kernels together: memory and slots (placement.py has the order).

    Where sizes are not fixed (grad/graph/sizes.py), `plan` makes a plan for each choice of them.
    """

    def __init__(
        self, draft: Draft, backend: Backend, leaf_count: int, scalars: Sequence[DType]
    ) -> None:
        self.draft = draft
        self.program = program = draft.program
        self.grouping = grouping = draft.grouping
        self.lowered = lowered = draft.lowered
        self.backend = backend
        self.leaf_count = leaf_count
        self.scalars = scalars
        # An alias comes after what it is an alias of.
        self.roots: dict[int, int] = {}
        for number, target in sorted(grouping.aliases.items()):
            self.roots[number] = self.roots.get(target, target)
        self.compiled = [backend.compile(low.kernel) for low in lowered]
        lengths = [len(phases) for phases in self.compiled]
        self.placement = place(program, grouping, lowered, self.roots, lengths)
        self.starts, self.placed = self.placement.starts, self.placement.placed
        self.operations = [[operations(p) for p in low.kernel.phases] for low in lowered]
        self.known: Callable[[int], int] = hint
        self.bytes_of = [e.dtype.itemsize * math.prod(e.shape) for e in program.entries]
        _, self.fresh = self.output_slots()
        self.first_output = leaf_count + len(scalars)
        self.arena_slot = self.first_output + len(self.fresh)
        self.scratch_slot = self.arena_slot + 1

    # -- memory ------------------------------------------------------------------------------------
    def root_of(self, number: int) -> int:
        """The entry whose memory entry `number` has: itself, or what it renumbers or overwrites."""
        return self.roots.get(number, number)

    def nbytes(self, number: int) -> int:
        return self.known(self.bytes_of[number])

    def output_slots(self) -> tuple[tuple[Output, ...], dict[int, int]]:
        """The outputs, and a number for each entry that needs a fresh buffer."""
        outputs, fresh, taken = [], {}, set()
        for output in self.program.outputs:
            number = self.root_of(output)
            entry = self.program.entries[number]
            nbytes = self.nbytes(number)
            if number in self.placed:
                leaf = self.program.entries[self.placed[number]].arg
                outputs.append(Output(nbytes, -1, leaf))
            elif entry.op is BUFFER:
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
                    sizes[key] = self.known(number) * parameter.dtype.itemsize
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
        if number in self.fresh or number in self.placed:
            return False
        return self.program.entries[number].op is not BUFFER

    # -- the plan ----------------------------------------------------------------------------------
    def plan(self, known: Callable[[int], int] = hint) -> Plan:
        """The plan where sizes that are not fixed are what `known` says."""
        return linked(self.unlinked_plan(known), self.backend)

    def unlinked_plan(self, known: Callable[[int], int] = hint) -> UnlinkedPlan:
        """As `plan`, but for linking."""
        self.known = known
        outputs, _ = self.output_slots()
        places, arena_bytes = lay_out(self.spans(), ALIGNMENT)
        count = max(
            (start + len(p) for start, p in zip(self.starts, self.compiled, strict=True)), default=0
        )
        steps: list[list[Launch]] = [[] for _ in range(count)]
        works: list[list[Work]] = [[] for _ in range(count)]
        scratch = [0] * count
        workers = self.backend.workers()
        for number, (low, phases) in enumerate(zip(self.lowered, self.compiled, strict=True)):
            for offset, phase in enumerate(map(self.known_phase, phases)):
                step = self.starts[number] + offset
                words = self.words(number, low, phase, places, scratch[step])
                scratch[step] += _aligned(phase.scratch_bytes * workers)
                steps[step].append(Launch(phase, words, low.kernel.name))
                works[step].append(self.work(number, offset))
        return UnlinkedPlan(
            launches=tuple(map(tuple, steps)),
            works=tuple(map(tuple, works)),
            slot_count=self.scratch_slot + 1,
            scalars=tuple(self.scalars),
            outputs=outputs,
            fresh=tuple(self.nbytes(number) for number in self.fresh),
            arena_bytes=arena_bytes,
            scratch_bytes=max(scratch, default=0),
            kernel_count=len(set(self.starts)),
            first_write=self.placement.first_write,
        )

    def known_phase(self, phase: CompiledPhase) -> CompiledPhase:
        """The phase with plain numbers for what depends on sizes."""
        known = self.known
        numbers = (phase.items, phase.grain, phase.scratch_bytes)
        if all(map(is_fixed, (*numbers, *(offset for _, offset in phase.arguments)))):
            return phase
        return replace(
            phase,
            arguments=tuple([(parameter, known(offset)) for parameter, offset in phase.arguments]),
            items=known(phase.items),
            grain=known(phase.grain),
            scratch_bytes=known(phase.scratch_bytes),
        )

    @property
    def works(self) -> tuple[tuple[Work, ...], ...]:
        """What each phase of each group does."""
        return tuple(
            tuple(self.work(number, offset) for offset in range(len(phases)))
            for number, phases in enumerate(self.compiled)
        )

    def work(self, group_number: int, offset: int) -> Work:
        low = self.lowered[group_number]
        touched = {number for sort, number in low.bindings if sort == "memory"}
        done = self.operations[group_number][offset]
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
        entry = self.program.entries[self.placed.get(number, number)]
        if entry.op is BUFFER:
            return entry.arg, 0
        if number in self.fresh:
            return self.first_output + self.fresh[number], 0
        return self.arena_slot, places[("memory", number)]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
