"""Index expressions: where a value is found, as arithmetic on loop variables.

An `Index` is a sum ``constant + coefficient * atom + ...``; atoms are loop variables, quotients and
remainders by constants, and integers read from memory (`Dynamic`). Sums are kept canonical, and
division is simplified with the known range of every atom, so that a reshape that changes nothing
disappears: ``(i * 4 + j) // 4`` is ``i``. `positions.py` has the index rule of each movement, made
of these. Nothing here knows about code.
"""

from __future__ import annotations

from typing import NamedTuple, Union

from grad.graph.sizes import common_divisor, hint, is_fixed, is_one, whole_part


class Variable(NamedTuple):
    """A loop variable, 0 <= name < size."""

    name: str
    size: int


class Dynamic(NamedTuple):
    """An integer computed by the kernel (value number), known to be 0 <= value < size."""

    value: int
    size: int


class Quotient(NamedTuple):
    index: Index
    divisor: int
    sign: str = (
        "//"  # tells a quotient from a remainder: named tuples compare by their fields alone
    )


class Remainder(NamedTuple):
    index: Index
    divisor: int
    sign: str = "%"


# Elements further apart are read one by one: the rows that hold them all would be too many.
LONGEST_STEP = 4
SHORTEST_RUN = 4

Atom = Union[Variable, Dynamic, Quotient, Remainder]  # noqa: UP007  (forward references)


class Index:
    """``constant + sum(coefficient * atom)``, canonical and hashable; `low` and `high` bound its
    values.
    """

    __slots__ = ("_hash", "constant", "high", "low", "terms")

    def __init__(self, terms: tuple[tuple[Atom, int], ...], constant: int) -> None:
        self.terms = terms
        self.constant = constant
        self._hash = hash((terms, constant))
        low = high = constant
        for atom, coefficient in terms:
            bottom, top = atom_range(atom)
            low += coefficient * (bottom if coefficient > 0 else top)
            high += coefficient * (top if coefficient > 0 else bottom)
        self.low = low
        self.high = high

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Index)
            and self._hash == other._hash
            and self.constant == other.constant
            and self.terms == other.terms
        )

    def __repr__(self) -> str:
        return show(self)

    def variables(self) -> set[Variable]:
        """All loop variables in it, also inside quotients and remainders."""
        found: set[Variable] = set()
        pending: list[Index] = [self]
        while pending:
            for atom, _ in pending.pop().terms:
                if isinstance(atom, Variable):
                    found.add(atom)
                elif not isinstance(atom, Dynamic):
                    pending.append(atom.index)
        return found

    def dynamics(self) -> set[int]:
        """Numbers of all computed values in it."""
        found: set[int] = set()
        pending: list[Index] = [self]
        while pending:
            for atom, _ in pending.pop().terms:
                if isinstance(atom, Dynamic):
                    found.add(atom.value)
                elif not isinstance(atom, Variable):
                    pending.append(atom.index)
        return found

    def coefficient(self, variable: Variable) -> int | None:
        """How the index grows with `variable`; None when not linearly (inside a quotient or
        remainder).
        """
        total = 0
        for atom, coefficient in self.terms:
            if atom == variable:
                total += coefficient
            elif isinstance(atom, Quotient | Remainder) and variable in atom.index.variables():
                return None
        return total


def repetition(index: Index, lanes: Variable) -> Quotient | None:
    """The quotient ``(lanes + constant) // divisor`` by a small power of two, if it is all of
    `index` that changes with `lanes`: then neighbours read the same. None if a number that the
    kernel computes is in the index: it may be another one in each lane.
    """
    if index.dynamics():
        return None
    changing = [
        (atom, coefficient)
        for atom, coefficient in index.terms
        if atom == lanes
        or (isinstance(atom, Quotient | Remainder) and lanes in atom.index.variables())
    ]
    if len(changing) != 1:
        return None
    atom, coefficient = changing[0]
    if not isinstance(atom, Quotient) or coefficient != 1:
        return None
    if not is_fixed(atom.divisor) or atom.divisor not in (2, 4, 8):
        return None
    return atom if atom.index.terms == ((lanes, 1),) else None


def short_step(index: Index, lanes: Variable) -> int | None:
    """How far apart neighbours along `lanes` read, if that is a few elements everywhere: 2 to
    `LONGEST_STEP`.
    """
    if index.dynamics():
        return None
    step = index.coefficient(lanes)
    return step if step is not None and is_fixed(step) and 2 <= step <= LONGEST_STEP else None


def run_length(index: Index, lanes: Variable, longest: int) -> int | None:
    """How many neighbours along `lanes`, from a multiple of so many on, read elements in a row: a
    power of two up to `longest`, at least `SHORTEST_RUN`. None if they do not, or do so everywhere.

    Such is ``32 * (lanes // 8) + lanes % 8``, which joins axes that are not side by side.
    """
    if index.coefficient(lanes) is not None or not is_fixed(lanes.size) or index.dynamics():
        return None
    length = longest
    while length >= SHORTEST_RUN:
        inside = Variable(f"{lanes.name} in its run", length)
        found = run_start(index, lanes, length, Index(((inside, 1),), 0))
        if found.coefficient(inside) == 1:
            return length
        length //= 2
    return None


def run_start(index: Index, lanes: Variable, length: int, inside: Index) -> Index:
    """`index` at lane `inside` of a run, whose number stands for `lanes`."""
    number = Variable(lanes.name, -(-lanes.size // length))
    return substitute(index, {lanes: add(scale(Index(((number, 1),), 0), length), inside)})


def atom_range(atom: Atom) -> tuple[int, int]:
    """Smallest and largest value of an atom."""
    if isinstance(atom, Variable | Dynamic):
        return 0, max(atom.size - 1, 0)
    if isinstance(atom, Quotient):
        return atom.index.low // atom.divisor, atom.index.high // atom.divisor
    return 0, atom.divisor - 1


def const(value: int) -> Index:
    return Index((), value)


ZERO = const(0)


def variable(name: str, size: int) -> Index:
    """The variable as an index; a variable of size 1 is always 0."""
    return ZERO if is_one(size) else Index(((Variable(name, size), 1),), 0)


def dynamic(value: int, size: int) -> Index:
    return Index(((Dynamic(value, size), 1),), 0)


def _order(term: tuple[Atom, int]) -> tuple[int, str]:
    """Large steps first, before them those that are not fixed: any order would do."""
    atom, coefficient = term
    if is_fixed(coefficient):
        return (-abs(coefficient), repr(atom))
    return (-1 << 62, f"{coefficient!r} {atom!r}")


def _build(terms: dict[Atom, int], constant: int) -> Index:
    """Canonical sum, with what division took apart put together again."""
    for atom in terms:
        if isinstance(atom, Remainder) and terms[atom]:
            found = _joined(atom, terms)
            if found is not None:
                partner, whole = found
                factor = terms[atom]
                kept = {a: c for a, c in terms.items() if a != atom and a != partner}
                return add(_build(kept, constant), scale(whole, factor))
    kept = sorted(((a, c) for a, c in terms.items() if c), key=_order)
    return Index(tuple(kept), constant)


def _joined(low: Remainder, terms: dict[Atom, int]) -> tuple[Atom, Index] | None:
    """The term that continues ``e % c`` upwards, and what both make together.

    ``(e // c) * c + e % c`` is ``e``, and ``(e // c % d) * c + e % c`` is ``e % (c * d)``.
    """
    quotient = floordiv(low.index, low.divisor)
    wanted = terms[low] * low.divisor
    if len(quotient.terms) == 1 and quotient.constant == 0 and quotient.terms[0][1] == 1:
        partner = quotient.terms[0][0]
        if terms.get(partner) == wanted:
            return partner, low.index
    for other, coefficient in terms.items():
        if coefficient == wanted and isinstance(other, Remainder) and other.index == quotient:
            return other, mod(low.index, low.divisor * other.divisor)
    return None


def add(a: Index, b: Index | int) -> Index:
    if not isinstance(b, Index):
        return a if b == 0 else Index(a.terms, a.constant + b)
    if not b.terms:
        return add(a, b.constant)
    if not a.terms:
        return add(b, a.constant)
    terms = dict(a.terms)
    for atom, coefficient in b.terms:
        terms[atom] = terms.get(atom, 0) + coefficient
    return _build(terms, a.constant + b.constant)


def scale(a: Index, factor: int) -> Index:
    if factor == 1:
        return a
    if factor == 0:
        return ZERO
    return Index(tuple((atom, c * factor) for atom, c in a.terms), a.constant * factor)


def _split(a: Index, divisor: int) -> tuple[Index, Index]:
    """``a == divisor * whole + rest`` with what divides evenly in `whole`."""
    whole: dict[Atom, int] = {}
    rest: dict[Atom, int] = {}
    for atom, coefficient in a.terms:
        quotient = _quotient(coefficient, divisor)
        whole[atom] = quotient
        rest[atom] = coefficient - quotient * divisor
    constant = whole_part(a.constant, divisor)
    return _build(whole, constant), _build(rest, a.constant - constant * divisor)


def _quotient(coefficient: int, divisor: int) -> int:
    """How often `divisor` goes into `coefficient`."""
    if is_fixed(coefficient) and is_fixed(divisor) and abs(coefficient) < 2**52:
        return int(coefficient / divisor)
    return whole_part(coefficient, divisor)


def _layers(a: Index, divisor: int) -> tuple[int, Index, Index] | None:
    """`step`, `above` and `below`, where ``a == step * above + below`` with ``0 <= below < step``
    and `step` divides `divisor`; None when there are no such.

    Then `below` never carries into the quotient: ``(4 * i + j) // 12``, ``j < 4``, is ``i // 3``.
    """
    steps = {common_divisor(divisor, c) for _, c in a.terms} - {1}
    for step in sorted(steps, key=hint, reverse=True):
        above, below = _split(a, step)
        if below.low >= 0 and below.high < step:
            return step, above, below
    return None


def floordiv(a: Index, divisor: int) -> Index:
    """``a // divisor``, simplified by what is known of the ranges."""
    if is_one(divisor):
        return a
    whole, rest = _split(a, divisor)
    if rest.low >= 0 and rest.high < divisor:
        return whole
    found = _layers(rest, divisor)
    if found is not None:
        step, above, _ = found
        return add(whole, floordiv(above, divisor // step))
    if len(rest.terms) == 1 and rest.constant == 0 and rest.terms[0][1] == 1:
        atom = rest.terms[0][0]
        if isinstance(atom, Quotient):
            return add(whole, floordiv(atom.index, atom.divisor * divisor))
    return add(whole, Index(((Quotient(rest, divisor), 1),), 0))


def mod(a: Index, divisor: int) -> Index:
    """``a % divisor`` (never negative), simplified by what is known of the ranges."""
    if is_one(divisor):
        return ZERO
    _, rest = _split(a, divisor)
    if rest.low >= 0 and rest.high < divisor:
        return rest
    found = _layers(rest, divisor)
    if found is not None:
        step, above, below = found
        return add(scale(mod(above, divisor // step), step), below)
    if len(rest.terms) == 1 and rest.constant == 0 and rest.terms[0][1] == 1:
        atom = rest.terms[0][0]
        if isinstance(atom, Remainder) and atom.divisor % divisor == 0:
            return mod(atom.index, divisor)
    return Index(((Remainder(rest, divisor), 1),), 0)


def substitute(a: Index, values: dict[Variable, Index]) -> Index:
    """`a` with variables replaced, simplified again."""
    result = const(a.constant)
    for atom, coefficient in a.terms:
        if isinstance(atom, Variable):
            replaced = values.get(atom)
            part = replaced if replaced is not None else Index(((atom, 1),), 0)
        elif isinstance(atom, Dynamic):
            part = Index(((atom, 1),), 0)
        elif isinstance(atom, Quotient):
            part = floordiv(substitute(atom.index, values), atom.divisor)
        else:
            part = mod(substitute(atom.index, values), atom.divisor)
        result = add(result, scale(part, coefficient))
    return result


def show(index: Index) -> str:
    """The expression in Python's notation."""
    parts = []
    for atom, coefficient in index.terms:
        if isinstance(atom, Variable):
            text = atom.name
        elif isinstance(atom, Dynamic):
            text = f"v{atom.value}"
        else:
            text = f"({show(atom.index)}) {atom.sign} {atom.divisor!r}"
            if coefficient != 1:
                text = f"({text})"
        parts.append(text if coefficient == 1 else f"{text} * {coefficient!r}")
    if index.constant or not parts:
        parts.append(repr(index.constant))
    return " + ".join(parts)
