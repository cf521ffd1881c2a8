"""Keep what several loops of a row compute: costly values go to scratch and are read back.

A kernel over rows walks each row several times: a softmax for its maximum, for the sum of its
exponentials, and for the quotients. `writer.py` writes what each loop needs as if it were alone.
Here values that a later loop would compute again are found by comparing what the loops compute;
where that is dearer than a store and a load, the first loop stores them in scratch that a worker
has for itself (`Parameter.elements`), small enough to stay in its cache, and the later ones load
them. In Halide's words: the value becomes *local*. `lower.py` calls this for each candidate before
it is priced.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from grad.dtype import DType
from grad.graph.index import Index, Variable, substitute, variable
from grad.graph.positions import Guard
from grad.graph.sizes import hint
from grad.kernel.cost import statement_cost
from grad.kernel.ir import (
    Count,
    Let,
    Load,
    Loop,
    Number,
    Scalar,
    Statement,
    Store,
    Test,
)
from grad.kernel.walk import operands_of
from grad.kernel.writer import Writer

# What a kernel keeps has to fit into the cache of a core that is big and near.
KEPT_BYTES = 1 << 18
# Up to this it is in the nearest one: a store and a load cost so much; from there on twice.
NEAR_BYTES = 1 << 14
ACCESS = 1.5

Defining = Let | Number | Scalar | Count | Test | Load


def keep_values(writer: Writer, statements: Sequence[Statement]) -> list[Statement]:
    """`statements` with values kept between loops that follow each other.

    `writer` gives the scratch its parameters.
    """
    result = []
    for statement in statements:
        # Loops nest no deeper than kernels nest them.
        if isinstance(statement, Loop) and not statement.vector:
            statement = replace(statement, body=tuple(keep_values(writer, statement.body)))
        result.append(statement)
    alike: dict[tuple[int, bool], list[int]] = {}
    for place, statement in enumerate(result):
        if isinstance(statement, Loop) and _is_plain(statement):
            alike.setdefault((statement.variable.size, statement.vector), []).append(place)
    for places in alike.values():
        if len(places) > 1:
            kept = _Rows(writer, [result[place] for place in places]).kept()  # type: ignore[misc]
            for place, loop in zip(places, kept, strict=True):
                result[place] = loop
    return result


def _is_plain(loop: Loop) -> bool:
    return (
        loop.limit is None
        and not loop.parallel
        and not any(isinstance(statement, Loop) for statement in loop.body)
    )


@dataclass(slots=True)
class _Row:
    """A loop, and for each value that it computes what it is: the same number for the same."""

    loop: Loop
    meanings: dict[int, int]
    stored: dict[int, int]
    loaded: dict[int, int]


class _Rows:
    """Loops over the same number of elements, one after another."""

    def __init__(self, writer: Writer, loops: Sequence[Loop]) -> None:
        self.writer = writer
        self.numbers: dict[Hashable, int] = {}
        self.written = {s.parameter for loop in loops for s in loop.body if isinstance(s, Store)}
        self.rows = [_Row(loop, self.meanings(loop), {}, {}) for loop in loops]
        self.kept_bytes = sum(
            hint(p.elements) * p.dtype.itemsize for p in writer.parameters.values() if p.elements
        )

    # -- which values are the same -----------------------------------------------------------------
    def meanings(self, loop: Loop) -> dict[int, int]:
        found: dict[int, int] = {}
        for statement in loop.body:
            if isinstance(statement, Defining):
                key = self.key(statement, loop.variable, found)
                if key is not None:
                    found[statement.value] = self.numbers.setdefault(key, len(self.numbers))
        return found

    def key(self, s: Defining, own: Variable, found: dict[int, int]) -> Hashable:
        """What `s` computes, the same for every loop; None where that cannot be told."""
        match s:
            case Let():
                # What the loop has not computed is from outside: the same value in each.
                operands = tuple(
                    (found[o],) if o in found else o if self.is_outside(o, own) else None
                    for o in s.operands
                )
                return None if None in operands else ("let", s.op, operands, s.dtype)
            case Load():
                if s.parameter in self.written or s.index.dynamics():
                    return None
                place = (_renamed(s.index, own), _renamed_guards(s.guards, own))
                return ("load", s.parameter, place, s.dtype)
            case Count():
                return None if s.index.dynamics() else ("count", _renamed(s.index, own), s.dtype)
            case Test():
                return ("test", _renamed_guards(s.guards, own))
            case Number():
                return ("number", repr(s.number), s.dtype)
            case Scalar():
                return ("scalar", s.parameter)

    def is_outside(self, value: int, own: Variable) -> bool:
        return self.writer.levels[value] < self.writer.variable_levels[own]

    # -- which of them are worth keeping -----------------------------------------------------------
    def kept(self) -> list[Loop]:
        """The loops, with what is worth it kept."""
        first: dict[int, tuple[_Row, int]] = {}
        for row in self.rows:
            for value in self.worth(row, first):
                source, there = first[row.meanings[value]]
                row.loaded[value] = self.scratch(source, there)
            for value, meaning in row.meanings.items():
                first.setdefault(meaning, (row, value))
        return [_rewritten(row) for row in self.rows]

    def scratch(self, source: _Row, value: int) -> int:
        """The scratch that `value` of row `source` is kept in."""
        found = source.stored.get(value, source.loaded.get(value))
        if found is None:
            dtype = _defined(source.loop)[value].dtype
            elements = source.loop.variable.size
            self.kept_bytes += hint(elements) * dtype.itemsize
            found = source.stored[value] = self.writer.scratch(elements, dtype)
        return found

    def worth(self, row: _Row, first: dict[int, tuple[_Row, int]]) -> list[int]:
        """The values of `row` to load rather than compute, dearest first."""
        defined = _defined(row.loop)
        shared = {v for v, meaning in row.meanings.items() if meaning in first}
        wanted = [v for v in _read_by(row.loop, lambda s: _value(s) not in shared) if v in shared]
        chosen: list[int] = []
        for value in sorted(wanted, key=lambda v: -self.price(defined, v, ())):
            source, there = first[row.meanings[value]]
            size = hint(row.loop.variable.size) * defined[value].dtype.itemsize
            is_kept = there in source.stored or there in source.loaded
            others = [v for v in wanted if v != value and v not in chosen]
            price = ACCESS * (1 if is_kept else 2) * (1 if size <= NEAR_BYTES else 2)
            fits = is_kept or self.kept_bytes + size <= KEPT_BYTES
            if fits and self.price(defined, value, others) > price:
                chosen.append(value)
        return chosen

    def price(self, defined: dict[int, Defining], value: int, others: Iterable[int]) -> float:
        """The cost of computing `value` where `others` are computed anyway."""
        spared = _closure(defined, (value,)) - _closure(defined, others)
        return sum(statement_cost(defined[v], None, None) for v in spared)


def _renamed(index: Index, own: Variable) -> Index:
    return substitute(index, {own: variable("row", own.size)})


def _renamed_guards(guards: Sequence[Guard], own: Variable) -> tuple[Guard, ...]:
    return tuple(guard._replace(index=_renamed(guard.index, own)) for guard in guards)


def _value(statement: Statement) -> int | None:
    return statement.value if isinstance(statement, Defining) else None


def _defined(loop: Loop) -> dict[int, Defining]:
    return {s.value: s for s in loop.body if isinstance(s, Defining)}


def _read_by(loop: Loop, chosen: Callable[[Statement], bool]) -> list[int]:
    """The values that the chosen statements of a loop read, each once."""
    return list(dict.fromkeys(v for s in loop.body if chosen(s) for v in operands_of(s)))


def _closure(defined: dict[int, Defining], values: Iterable[int]) -> set[int]:
    """`values` and everything of `defined` that they are made of."""
    found: set[int] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        if value in defined and value not in found:
            found.add(value)
            pending.extend(operands_of(defined[value]))
    return found


def _rewritten(row: _Row) -> Loop:
    """The loop with values stored and loaded as was decided, and without what nobody reads now."""
    if not row.stored and not row.loaded:
        return row.loop
    place = variable(row.loop.variable.name, row.loop.variable.size)
    body: list[Statement] = []
    for statement in row.loop.body:
        value = _value(statement)
        if value in row.loaded:
            dtype: DType = _defined(row.loop)[value].dtype
            statement = Load(value, row.loaded[value], place, dtype)
        body.append(statement)
        if value in row.stored:
            body.append(Store(row.stored[value], place, value))
    loop = replace(row.loop, body=tuple(body))
    used = _closure(_defined(loop), _read_by(loop, lambda s: _value(s) is None))
    alive = tuple(s for s in body if _value(s) is None or s.value in used)  # type: ignore[union-attr]
    return replace(loop, body=alive)
