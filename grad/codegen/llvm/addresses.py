"""Index expressions as LLVM values and pointers.

What of an index does not change inside a loop is computed before it (`prepare`), so that the body
adds only the loop's own variable. Along the lanes of a vector an index either stays the same, runs
along memory (one wide access) or jumps (one address a lane).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from grad.codegen.llvm.builder import Builder, Value, lanes_of
from grad.codegen.llvm.conversions import STORAGE, cast
from grad.dtype import DType, dtypes
from grad.graph.index import Atom, Dynamic, Index, Quotient, Remainder, Variable
from grad.graph.sizes import is_fixed
from grad.kernel.ir import Load, Loop, Statement, Store


def is_constant(value: Value) -> bool:
    """Whether `value` is a whole number, not negative, that is known now."""
    return value.text.isdigit()


@dataclass(slots=True)
class Lanes:
    """The vector loop being written: its variable, the scalar value of lane 0, the lane count, the
    mask, and whether lane 0 is always at a multiple of the lane count.
    """

    variable: Variable
    first: Value
    count: int
    mask: Value | None = None
    aligned: bool = False

    def numbers(self, b: Builder) -> Value:
        """0, 1, 2 ... one a lane."""
        return b.vector("i64", range(self.count))

    def alive(self, b: Builder, guard: Value | None) -> Value | None:
        """The lanes that are in the mask and for which `guard` holds; None for all."""
        if guard is None:
            return self.mask
        wide = b.splat(guard, self.count)
        return wide if self.mask is None else b.binary("and", wide, self.mask)

    def keep(self, b: Builder, begin: Value | None, stop: Value) -> None:
        """Mask all lanes but those of the turns from `begin` (None: any) up to `stop`."""
        if begin is None and is_constant(self.first) and is_constant(stop):
            left = int(stop.text) - int(self.first.text)
            self.mask = b.vector("i1", [number < left for number in range(self.count)])
            return
        left = b.splat(b.sub(stop, self.first), self.count)
        self.mask = b.icmp("slt", self.numbers(b), left)
        if begin is not None:
            before = b.splat(b.sub(begin, self.first), self.count)
            self.mask = b.binary("and", self.mask, b.icmp("sge", self.numbers(b), before))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an access goes: a pointer for lane 0 (the last lane, if the lanes lie backwards), and
    pointers for all lanes where they are not in a row.
    """

    pointer: Value
    varies: bool
    jumps: Value | None = None
    backwards: bool = False


class Addresses:
    """Turns indices into values; remembers what it computed for as long as it is valid."""

    def __init__(self, b: Builder, values: dict[int, Value], types: dict[int, DType]) -> None:
        self.b = b
        self.values = values
        self.types = types
        self.bases: dict[int, Value] = {}
        self.variables: dict[Variable, Value] = {}
        self.numbers: list[dict[Index, Value]] = [{}]
        self.pointers: list[dict[tuple[int, Index], Value]] = [{}]

    @contextmanager
    def inside(self, variable: Variable, value: Value) -> Iterator[None]:
        """Inside the loop over `variable`; what is computed here is forgotten after it."""
        self.variables[variable] = value
        self.numbers.append({})
        self.pointers.append({})
        yield
        self.numbers.pop()
        self.pointers.pop()
        del self.variables[variable]

    def prepare(self, loop: Loop, lanes: Lanes | None) -> None:
        """Compute, before `loop`, the parts of the addresses inside that it does not change."""
        stack: list[Statement] = list(loop.body)
        while stack:
            statement = stack.pop()
            if isinstance(statement, Loop):
                stack.extend(statement.body)
            elif isinstance(statement, Load | Store) and statement.parameter in self.bases:
                fixed, _ = self.split(statement.index, lanes)
                if isinstance(statement, Load):
                    self.pointer(statement.parameter, fixed, STORAGE[statement.dtype])

    def is_known(self, atom: Atom, lanes: Lanes | None) -> bool:
        """Whether the atom has one value now, the same for all lanes."""
        pending: list[Atom] = [atom]
        while pending:
            found = pending.pop()
            if isinstance(found, Variable):
                if found not in self.variables or (lanes is not None and found == lanes.variable):
                    return False
            elif isinstance(found, Dynamic):
                if found.value not in self.values or lanes_of(self.values[found.value].type) > 1:
                    return False
            else:
                pending.extend(a for a, _ in found.index.terms)
        return True

    def split(self, index: Index, lanes: Lanes | None) -> tuple[Index, Index]:
        """The part that is known and uniform now (with the constant), and the rest."""
        fixed = tuple(term for term in index.terms if self.is_known(term[0], lanes))
        rest = tuple(term for term in index.terms if term not in fixed)
        return Index(fixed, index.constant), Index(rest, 0)

    # -- numbers -----------------------------------------------------------------------------------
    def number(self, index: Index, lanes: Lanes | None) -> Value:
        """The index as i64: a scalar, or one a lane when it changes along the lanes."""
        fixed, rest = self.split(index, lanes)
        total = self.uniform(fixed)
        if not rest.terms:
            return total
        assert lanes is not None
        b = self.b
        total = b.splat(total, lanes.count)
        for atom, coefficient in rest.terms:
            value = self.varying(atom, lanes)
            total = b.add(total, value if coefficient == 1 else b.mul(value, coefficient))
        return total

    def uniform(self, index: Index) -> Value:
        """The value of an index whose atoms are all known scalars."""
        for known in reversed(self.numbers):
            if index in known:
                return known[index]
        b = self.b
        total: Value | None = None
        for atom, coefficient in index.terms:
            value = self.scalar_atom(atom)
            value = value if coefficient == 1 else b.mul(value, coefficient)
            total = value if total is None else b.add(total, value)
        if total is None:
            return b.size(index.constant)
        if index.constant:
            total = b.add(total, index.constant)
        self.numbers[-1][index] = total
        return total

    def scalar_atom(self, atom: Atom) -> Value:
        if isinstance(atom, Variable):
            return self.variables[atom]
        if isinstance(atom, Dynamic):
            return self.as_i64(atom.value)
        return self.divided(atom, self.uniform(atom.index))

    def varying(self, atom: Atom, lanes: Lanes) -> Value:
        if isinstance(atom, Variable):
            return self.b.add(self.b.splat(lanes.first, lanes.count), lanes.numbers(self.b))
        if isinstance(atom, Dynamic):
            return self.as_i64(atom.value)
        steps = _steps(atom, lanes)
        if steps is None:
            return self.divided(atom, self.number(atom.index, lanes))
        offsets = self.b.vector("i64", steps)
        if isinstance(atom, Remainder):
            return offsets
        first = self.b.binary("sdiv", lanes.first, atom.divisor)
        return self.b.add(self.b.splat(first, lanes.count), offsets)

    def as_i64(self, number: int) -> Value:
        """An integer that the kernel has computed."""
        return cast(self.b, self.values[number], self.types[number], dtypes.int64)

    def divided(self, atom: Quotient | Remainder, inner: Value) -> Value:
        """Division rounded down: a multiple of the divisor is added first so that nothing is
        negative.
        """
        b, divisor = self.b, atom.divisor
        lift = max(0, -(-max(-atom.index.low, 0) // divisor))
        if lift:
            inner = b.add(inner, lift * divisor)
        narrow = atom.index.high + lift * divisor < 2**31 and lanes_of(inner.type) > 1
        if narrow:
            inner = b.convert("trunc", inner, "i32")
        is_quotient = isinstance(atom, Quotient)
        if narrow and not is_fixed(divisor):
            result = _divided_open(b, inner, divisor)
            if not is_quotient:
                result = b.sub(inner, b.mul(result, divisor))
        else:
            result = b.binary("udiv" if is_quotient else "urem", inner, divisor)
        if narrow:
            result = b.convert("zext", result, "i64")
        return b.sub(result, lift) if lift and isinstance(atom, Quotient) else result

    # -- pointers ----------------------------------------------------------------------------------
    def pointer(self, parameter: int, fixed: Index, storage: str) -> Value:
        """Address of an element at a uniform index."""
        key = (parameter, fixed)
        for known in reversed(self.pointers):
            if key in known:
                return known[key]
        made = self.b.gep(storage, self.bases[parameter], self.uniform(fixed))
        self.pointers[-1][key] = made
        return made

    def place(self, parameter: int, index: Index, storage: str, lanes: Lanes | None) -> Place:
        """Where ``parameter[index]`` is, for all lanes."""
        outer = self.outer_part(index, lanes)
        inner = Index(tuple(t for t in index.terms if t not in outer.terms), 0)
        base = self.pointer(parameter, outer, storage)
        fixed, rest = self.split(inner, lanes)
        b = self.b
        if fixed.terms:
            base = b.gep(storage, base, self.uniform(fixed))
        if not rest.terms:
            return Place(base, varies=False)
        assert lanes is not None
        if len(rest.terms) == 1 and rest.terms[0] == (lanes.variable, 1):
            return Place(b.gep(storage, base, lanes.first), varies=True)
        if len(rest.terms) == 1 and rest.terms[0] == (lanes.variable, -1):
            last = b.sub(Value(str(1 - lanes.count), "i64"), lanes.first)
            return Place(b.gep(storage, base, last), varies=True, backwards=True)
        base, offsets = self.jumps(base, rest, storage, lanes)
        kind = f"<{lanes.count} x ptr>"
        pointers = b.emit(
            kind, f"getelementptr {storage}, ptr {base.text}, {offsets.type} {offsets.text}"
        )
        return Place(base, varies=True, jumps=pointers)

    def jumps(self, base: Value, rest: Index, storage: str, lanes: Lanes) -> tuple[Value, Value]:
        """The address of lane 0 as far as it is linear, and the offsets of all lanes from there.

        What is linear along the lanes becomes constant offsets, so that a loop has only its address
        to compute.
        """
        b = self.b
        linear = next((c for atom, c in rest.terms if atom == lanes.variable), 0)
        others = Index(tuple(t for t in rest.terms if t[0] != lanes.variable), 0)
        low, high = others.low, others.high
        offsets: Value | None = None
        if others.terms:
            offsets = self.number(others, lanes)
        if linear:
            base = b.gep(storage, base, b.mul(lanes.first, linear))
            steps = self.multiples(linear, lanes)
            offsets = steps if offsets is None else b.add(offsets, steps)
            reach = (lanes.count - 1) * linear
            low, high = low + min(reach, 0), high + max(reach, 0)
        assert offsets is not None
        if low >= -(2**31) and high < 2**31:
            offsets = b.convert("trunc", offsets, "i32")
        return base, offsets

    def multiples(self, step: int, lanes: Lanes) -> Value:
        """0, `step`, twice that ... one a lane."""
        if is_fixed(step):
            return self.b.vector("i64", [lane * step for lane in range(lanes.count)])
        return self.b.mul(lanes.numbers(self.b), step)

    def outer_part(self, index: Index, lanes: Lanes | None) -> Index:
        """The part that does not change in the innermost loop: `prepare` has made its pointer
        already.
        """
        fixed, _ = self.split(index, lanes)
        innermost = next(reversed(self.variables), None)
        kept = tuple(t for t in fixed.terms if not _mentions(t[0], innermost))
        return Index(kept, index.constant)


def _steps(atom: Quotient | Remainder, lanes: Lanes) -> list[int] | None:
    """What `atom` is in each lane, a quotient as far as it is more than that of lane 0 without its
    constant; None where that differs from vector to vector.
    """
    index, divisor = atom.index, atom.divisor
    if index.terms != ((lanes.variable, 1),) or not lanes.aligned:
        return None
    if not (is_fixed(divisor) and is_fixed(index.constant)) or lanes.count % divisor:
        return None
    numbers = range(index.constant, index.constant + lanes.count)
    if isinstance(atom, Remainder):
        return [number % divisor for number in numbers]
    return [number // divisor for number in numbers]


def _divided_open(b: Builder, dividend: Value, divisor: int) -> Value:
    """Lanes of 32 bits divided by a number that is not fixed.

    Processors have no such instruction. In floating-point numbers of 64 bits, half more than the
    dividend is so far from any whole number of divisors that rounding does not matter.
    """
    one, half = b.const("double", 1.0), 0.5
    factor = b.fdiv(one, b.convert("uitofp", b.size(divisor), "double"))
    numbers = b.fadd(b.convert("uitofp", dividend, "double"), half)
    return b.convert("fptoui", b.fmul(numbers, b.splat(factor, lanes_of(numbers.type))), "i32")


def _mentions(atom: Atom, variable: Variable | None) -> bool:
    if variable is None:
        return False
    if isinstance(atom, Variable):
        return atom == variable
    if isinstance(atom, Dynamic):
        return True
    return variable in atom.index.variables()


def past_a_multiple(
    b: Builder,
    addresses: Addresses,
    stored: tuple[Store, DType],
    variable: Variable,
    start: Value,
    many: int,
) -> Value:
    """How many elements a store, in the turn `start` of the loop over `variable`, is past the last
    multiple of so `many`, a power of two.
    """
    store, dtype = stored
    with addresses.inside(variable, start):
        place = addresses.pointer(store.parameter, store.index, STORAGE[dtype])
    address = b.convert("ptrtoint", place, "i64")
    return b.binary("and", b.binary("udiv", address, dtype.itemsize), many - 1)
