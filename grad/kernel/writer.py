"""Write kernel IR by asking values "what are you at these indices?".

`Writer.value` is the question. Pointwise values pass it to their sources, movements rewrite the
indices, values in memory answer with a load, reductions with a loop. Every answer is put into the
outermost loop it depends on, so what is the same for a whole row is computed once a row. `lower.py`
opens the loops and stores the answers.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

from grad.dtype import DType, dtypes
from grad.graph.index import Index, Variable, dynamic, variable
from grad.graph.movement import Move
from grad.graph.positions import (
    Guard,
    Position,
    broadcast_position,
    flatten,
    moved_index,
    unflatten,
)
from grad.graph.primitives import (
    ARGUMENT,
    CONST,
    CONTIGUOUS,
    IOTA,
    PAD,
    TAKE,
    WHERE,
    Kind,
    Primitive,
)
from grad.kernel.ir import (
    Accumulate,
    Count,
    Declare,
    Let,
    Load,
    Loop,
    Number,
    Parameter,
    Scalar,
    Statement,
    Store,
    Test,
)
from grad.schedule.program import Program

Key = tuple[int, Position, tuple[Guard, ...]]


class InMemory:
    """The entries that a group reads from memory: leaves, and what other groups store.

    Args:
        everywhere: leaves, and what any group stores. own: what this group stores itself.
    """

    __slots__ = ("everywhere", "own")

    def __init__(self, everywhere: frozenset[int], own: frozenset[int]) -> None:
        self.everywhere = everywhere
        self.own = own

    def __contains__(self, number: object) -> bool:
        return number in self.everywhere and number not in self.own


class Writer:
    """A kernel under construction.

    Args:
        program: whose values are asked for.
        in_memory: entries that are loaded rather than computed here.
        flat: whether the axes of a reduction become one loop.
        vector_reductions: whether reduction loops are the ones that run in lanes.
        nesting: reductions whose loops have other reductions inside, and run one by one.
    """

    def __init__(
        self,
        program: Program,
        in_memory: Container[int],
        flat: bool = True,
        vector_reductions: bool = True,
        nesting: frozenset[int] = frozenset(),
    ) -> None:
        self.entries = program.entries
        self.in_memory = in_memory
        self.flat = flat
        self.vector_reductions = vector_reductions
        self.nesting = nesting
        self.parameters: dict[tuple[str, int], Parameter] = {}
        self.bodies: list[list[Statement]] = [[]]
        self.levels: dict[int, int] = {}
        self.variable_levels: dict[Variable, int] = {}
        self.memo: dict[Key, int] = {}
        self.given: dict[int, int] = {}
        self._values = 0
        self._variables = 0

    # -- parameters --------------------------------------------------------------------------------
    def parameter(self, sort: str, number: int, dtype: DType, written: bool = False) -> int:
        """The parameter for ("memory" | "scalar" | "temporary", entry number), made at its first
        use.
        """
        key = (sort, number)
        found = self.parameters.get(key)
        if found is None:
            found = Parameter(
                len(self.parameters), dtype, sort == "scalar", written or sort == "temporary"
            )
            self.parameters[key] = found
        return found.number

    def scratch(self, elements: int, dtype: DType) -> int:
        """A new parameter that is scratch of each worker."""
        number = len(self.parameters)
        self.parameters[("scratch", number)] = Parameter(
            number, dtype, written=True, elements=elements
        )
        return number

    # -- statements --------------------------------------------------------------------------------
    def fresh_value(self, level: int) -> int:
        self._values += 1
        self.levels[self._values] = level
        return self._values

    def emit(self, statement: Statement, level: int) -> None:
        self.bodies[level].append(statement)

    def level_of(self, index: Index) -> int:
        level = 0
        for found in index.variables():
            level = max(level, self.variable_levels[found])
        for value in index.dynamics():
            level = max(level, self.levels[value])
        return level

    def level_of_position(self, position: Sequence[Index], guards: Sequence[Guard] = ()) -> int:
        levels = [self.level_of(index) for index in position]
        return max([0, *levels, *(self.level_of(guard.index) for guard in guards)])

    def let(self, op: Primitive, operands: tuple[int, ...], dtype: DType) -> int:
        level = max(self.levels[o] for o in operands)
        value = self.fresh_value(level)
        self.emit(Let(value, op, operands, dtype), level)
        return value

    def number(self, number: float | int | bool, dtype: DType) -> int:
        value = self.fresh_value(0)
        self.emit(Number(value, number, dtype), 0)
        return value

    def count(self, index: Index, dtype: DType) -> int:
        """An index expression as a number."""
        value = self.fresh_value(self.level_of(index))
        self.emit(Count(value, index, dtype), self.levels[value])
        return value

    def load(
        self, parameter: int, index: Index, dtype: DType, guards: tuple[Guard, ...] = ()
    ) -> int:
        level = self.level_of_position((index,), guards)
        value = self.fresh_value(level)
        self.emit(Load(value, parameter, index, dtype, guards), level)
        return value

    def store(
        self, parameter: int, index: Index, value: int, guards: tuple[Guard, ...] = ()
    ) -> None:
        """Store in the innermost loop that is open, which `index` or `value` must depend on."""
        self.emit(Store(parameter, index, value, guards=guards), len(self.bodies) - 1)

    # -- loops -------------------------------------------------------------------------------------
    @contextmanager
    def loop(
        self,
        size: int,
        *,
        vector: bool = False,
        parallel: bool = False,
        limit: Index | None = None,
        squares: bool = False,
    ) -> Iterator[Index]:
        """Open a loop over a fresh variable; yields the variable as an index."""
        self._variables += 1
        chosen = Variable(f"x{self._variables}", size)
        self.bodies.append([])
        self.variable_levels[chosen] = len(self.bodies) - 1
        yield variable(chosen.name, size)
        body = self.bodies.pop()
        if body:
            self.bodies[-1].append(Loop(chosen, tuple(body), parallel, vector, limit, squares))

    @contextmanager
    def at_level(self, level: int) -> Iterator[None]:
        """Write into the loop at `level`, before the loops that are open inside it."""
        inner = self.bodies[level + 1 :]
        del self.bodies[level + 1 :]
        yield
        self.bodies.extend(inner)

    @contextmanager
    def axes_loops(self, sizes: Sequence[int], vector: bool) -> Iterator[Position]:
        """Loops over several axes: one over their product if `flat`, else one each, the last in
        lanes.
        """
        shape = tuple(sizes)
        if self.flat or len(shape) <= 1:
            with self.loop(math.prod(shape), vector=vector) as index:
                yield unflatten(index, shape)
            return
        with self.loop(math.prod(shape[:-1])) as outer, self.loop(shape[-1], vector=vector) as last:
            yield (*unflatten(outer, shape[:-1]), last)

    # -- the question ------------------------------------------------------------------------------
    def value(self, entry: int, position: Position, guards: tuple[Guard, ...] = ()) -> int:
        """The number of the value that `entry` has at `position` (only asked where `guards`
        hold).
        """
        first = (entry, position, guards)
        work = [first]
        while work:
            key = work[-1]
            if key in self.memo:
                work.pop()
                continue
            needed = self.needed(key)
            if needed:
                work.extend(reversed(needed))
                continue
            work.pop()
            self.memo[key] = self.answer(key)
        return self.memo[first]

    def sources(self, key: Key) -> list[Key]:
        """The questions whose answers the answer to `key` is made of."""
        number, position, guards = key
        entry = self.entries[number]
        op = entry.op
        if (
            op.kind is Kind.LEAF
            or number in self.in_memory
            or number in self.given
            or op.kind is Kind.REDUCE
        ):
            return []
        if op.kind is Kind.POINTWISE:
            return [
                (s, broadcast_position(position, self.entries[s].shape), guards) for s in entry.src
            ]
        if op.kind is Kind.MOVEMENT:
            source = entry.src[0]
            moved, conditions = moved_index(
                Move(op, entry.arg), self.entries[source].shape, position
            )
            return [(source, moved, tuple(dict.fromkeys((*guards, *conditions))))]
        if op is TAKE:
            return self.take_sources(key)
        assert op is CONTIGUOUS, f"{op} has no value by itself"
        return [(entry.src[0], position, guards)]

    def take_sources(self, key: Key) -> list[Key]:
        number, position, guards = key
        entry = self.entries[number]
        source, *indices = entry.src
        questions = [
            (i, broadcast_position(position, self.entries[i].shape), guards) for i in indices
        ]
        if any(question not in self.memo for question in questions):
            return questions
        moved = list(position)
        shape = self.entries[source].shape
        for axis, question in zip(entry.arg, questions, strict=True):
            moved[axis] = dynamic(self.memo[question], shape[axis])
        return [*questions, (source, broadcast_position(tuple(moved), shape), guards)]

    def needed(self, key: Key) -> list[Key]:
        return [question for question in self.sources(key) if question not in self.memo]

    def answer(self, key: Key) -> int:
        number, position, guards = key
        entry = self.entries[number]
        op = entry.op
        if number in self.given:
            return self.given[number]
        if number in self.in_memory:
            memory = self.parameter("memory", number, entry.dtype)
            return self.load(memory, flatten(position, entry.shape), entry.dtype, guards)
        if op is CONST:
            return self.number(entry.arg, entry.dtype)
        if op is ARGUMENT:
            value = self.fresh_value(0)
            self.emit(Scalar(value, self.parameter("scalar", number, entry.dtype), entry.dtype), 0)
            return value
        if op is IOTA:
            return self.count(position[0], entry.dtype)
        if op.kind is Kind.REDUCE:
            return self.reduction(number, position)
        answers = [self.memo[question] for question in self.sources(key)]
        if op.kind is Kind.POINTWISE:
            return self.let(op, tuple(answers), entry.dtype)
        if op is PAD:
            return self.padded(entry.src[0], key, answers[0])
        return answers[-1]

    def padded(self, source: int, key: Key, inside: int) -> int:
        """The value where it exists, zero elsewhere."""
        number, position, _ = key
        entry = self.entries[number]
        _, conditions = moved_index(Move(entry.op, entry.arg), self.entries[source].shape, position)
        if not conditions:
            return inside
        asked = (-1, (), conditions)
        test = self.memo.get(asked)
        if test is None:
            level = self.level_of_position((), conditions)
            test = self.memo[asked] = self.fresh_value(level)
            self.emit(Test(test, conditions, dtypes.bool), level)
        return self.let(WHERE, (test, inside, self.number(0, entry.dtype)), entry.dtype)

    # -- reductions --------------------------------------------------------------------------------
    def reduction(self, number: int, position: Position) -> int:
        """A loop over the reduced axes, in the outermost loop that `position` allows."""
        level = self.level_of_position(position)
        entry = self.entries[number]
        with self.at_level(level):
            accumulator = self.accumulator(entry.op, entry.dtype)
            sizes = [self.entries[entry.src[0]].shape[axis] for axis in entry.arg]
            in_lanes = self.vector_reductions and number not in self.nesting
            with self.axes_loops(sizes, in_lanes) as inner:
                self.accumulate(accumulator, number, self.merged(number, position, inner))
        return accumulator

    def accumulator(self, op: Primitive, dtype: DType) -> int:
        level = len(self.bodies) - 1
        value = self.fresh_value(level)
        self.emit(Declare(value, op, dtype), level)
        return value

    def accumulate(self, accumulator: int, number: int, position: Position) -> None:
        value = self.value(self.entries[number].src[0], position)
        self.emit(Accumulate(accumulator, value), len(self.bodies) - 1)

    def merged(self, number: int, kept: Sequence[Index], reduced: Sequence[Index]) -> Position:
        """The position in the source of a reduction: its own position and the reduced axes,
        interleaved.
        """
        entry = self.entries[number]
        outer, inner = iter(kept), iter(reduced)
        rank = len(self.entries[entry.src[0]].shape)
        return tuple(next(inner) if axis in entry.arg else next(outer) for axis in range(rank))
