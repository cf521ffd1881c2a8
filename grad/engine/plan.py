"""A Plan: everything needed to compute the outputs of a program again and again.

`Plan.run` takes buffers and numbers and gives the output buffers back. Slots of a plan, in order:
leaf buffers, scalars, output buffers, the arena, the scratch. `assembly.py` makes plans,
`realize.py` keeps and feeds them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from grad.buffer import Buffer
from grad.engine.observe import now, stepped
from grad.engine.uses import Uses
from grad.schedule.program import Leaf
from grad.settings import settings

if TYPE_CHECKING:
    from grad.codegen.backend import Runnable


class Output(NamedTuple):
    """Where the values of one output are: a fresh buffer (`slot`) or a leaf's memory (`leaf`).

    `copy`: the memory is somebody else's too (a leaf's, another output's), and every value must
    have its own, since it may be lent to NumPy.
    """

    nbytes: int
    slot: int
    leaf: int = -1
    copy: bool = False


class Work(NamedTuple):
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


# A named tuple without the detour by its Python constructor.
_memory = tuple.__new__
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
        first_write: the first step that stores an output or writes to the memory of a leaf, where
            the program has outputs that are to be looked at before (`Program.checked`): they are
            there by then. -1 when they are not, or when a leaf's memory was written to and holds no
            output. uses: how often it is to be used, where another one would be faster.
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
    first_write: int = 0
    uses: Uses | None = None

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
        return _memory(
            Memory,
            (
                [Buffer(nbytes) for nbytes in self.fresh],
                [] if self.plain else [Buffer(o.nbytes) for o in self.outputs if o.copy],
                Buffer(self.arena_bytes) if self.arena_bytes else None,
                Buffer(self.scratch_bytes) if self.scratch_bytes else None,
            ),
        )

    def execute(
        self, leaves: Sequence[int], words: Sequence[int], memory: Memory
    ) -> Sequence[Buffer | None]:
        """Compute in `memory` from leaves at these addresses, with `words` for scalars.

        Gives one buffer for each output, or None where it is a leaf that was overwritten.
        """
        slots = self.slots(leaves, words, memory)
        self.start(slots)
        return self.results(slots, memory)

    def slots(self, leaves: Sequence[int], words: Sequence[int], memory: Memory) -> tuple[int, ...]:
        """The values of all slots."""
        fresh, _, arena, scratch = memory
        return (
            *leaves,
            *words,
            *map(_address, fresh),
            0 if arena is None else arena.address,
            0 if scratch is None else scratch.address,
        )

    def start(self, slots: Sequence[int], first: int = 0, end: int | None = None) -> None:
        """Run the steps from `first` to before `end`."""
        if settings.timed:
            self.run_timed(slots, first, end)
        elif first == 0 and end is None:
            self.native.run(slots)
        else:
            self.native.run_steps(first, len(self.steps) if end is None else end, slots)

    def results(self, slots: Sequence[int], memory: Memory) -> Sequence[Buffer | None]:
        """The buffers of the outputs after a run; fills the copies in `memory`."""
        fresh, copies, _, _ = memory
        if self.plain:
            return fresh
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

    def run_timed(self, slots: Sequence[int], first: int = 0, end: int | None = None) -> None:
        """Run step by step, and tell of each (observe.py)."""
        for number, works in enumerate(self.steps[first:end], first):
            start = now()
            self.native.run_steps(number, number + 1, slots)
            stepped(works, start, now())


def _memory_of(leaf: Leaf) -> Buffer:
    buffer = leaf.source.buffer
    assert buffer is not None
    return buffer
