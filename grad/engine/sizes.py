"""Plans that hold for many sizes.

A dimension that changes from call to call (a last batch, a sequence that grows) would make a plan
each time. `Structures` remembers which sizes graphs of one structure have come with
(schedule/sizes.py). The first few get plans of their own, so whatever has fixed sizes is compiled
for them. From then on the sizes that vary are symbols (graph/sizes.py): one `Template` is planned
and compiled, and a plan for other sizes is made of it by computing its numbers again. A template
knows for which sizes it is right; where it is not, another one is made. Sizes that are used again
and again get plans of their own after all, where these are faster (uses.py).
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from grad.device import open_compiler
from grad.engine.plan import Plan
from grad.engine.uses import uses_for
from grad.errors import GradError
from grad.graph.assumptions import Assumptions
from grad.graph.primitives import CONTRACT, HOST
from grad.graph.sizes import FixedSizesError, concrete, symbol
from grad.schedule.program import Walk, program_of
from grad.schedule.sizes import sized_with, structure_of
from grad.settings import settings

if TYPE_CHECKING:
    from grad.codegen.backend import Backend
    from grad.engine.assembly import Assembly

STRUCTURES = 1024
# What code raises that has never heard of sizes that are not fixed.
UNKNOWING = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, GradError)
# So many sizes get plans of their own first: those of training and of a last, smaller batch.
FIXED_PLANS = 2
# So many get them later, since they are used often: machine code is kept for ever.
OFTEN_USED_PLANS = 16
# Operations whose kernels are planned for fixed sizes only.
FIXED = frozenset((HOST,))
# Where more templates than this are made, or so many first ones hold for one size alone, sizes are
# better fixed.
MOST_TEMPLATES = 16
USELESS_TEMPLATES = 4
# A template holds between two of these: what is best for a few elements is not for thousands.
BORDERS = (2, 32, 512, 8192, 1 << 17, 1 << 21, 1 << 62)


class Sample(NamedTuple):
    """What one walk had for sizes, and for constants."""

    sizes: tuple[int, ...]
    constants: tuple[Any, ...]


class Template(NamedTuple):
    """A plan of which sizes are left open.

    Attributes:
        sizes: every size of the structure, fixed or made of symbols. symbols: where these are.
        varying: numbers of constants that are arguments. constants: the others' values.
        slower: whether plans with sizes of their own are faster.
    """

    assembly: Assembly
    assumptions: Assumptions
    sizes: tuple[int, ...]
    symbols: tuple[int, ...]
    varying: frozenset[int]
    constants: tuple[Any, ...]
    slower: bool

    def values(self, sample: Sample) -> list[int] | None:
        """The values of everything that is open, None where the template does not fit."""
        if fixed_of(sample.constants, self.varying) != self.constants:
            return None
        found = self.assumptions.values([sample.sizes[place] for place in self.symbols])
        if found is None:
            return None
        for size, wanted in zip(self.sizes, sample.sizes, strict=True):
            if concrete(size, found) != wanted:
                return None
        return found

    def plan(self, values: Sequence[int]) -> Plan:
        plan = self.assembly.plan(lambda size: concrete(size, values))
        if not self.slower:
            return plan
        return replace(plan, uses=uses_for(plan.steps, plan.kernel_count))


@dataclass(slots=True)
class Structure:
    """Graphs that differ in their sizes alone: what they came with, and the templates."""

    samples: list[Sample]
    templates: list[Template] = field(default_factory=list)
    useless: int = 0
    fixed: bool = False
    often_used: int = 0

    def add(self, template: Template) -> None:
        """Keep a template for other sizes, if there are others that it holds for."""
        if template.assumptions.is_pinned():
            self.useless += 1
        else:
            self.templates.append(template)
        few = not self.templates and self.useless >= USELESS_TEMPLATES
        self.fixed = few or len(self.templates) + self.useless >= MOST_TEMPLATES


def fixed_of(constants: Sequence[Any], varying: frozenset[int]) -> tuple[Any, ...]:
    """The values of the constants that are no arguments."""
    return tuple([value for n, value in enumerate(constants) if n not in varying])


class Structures:
    """All structures that were seen, the oldest forgotten first."""

    def __init__(self) -> None:
        self.known: OrderedDict[Any, Structure] = OrderedDict()

    @property
    def templates(self) -> int:
        """How many templates there are."""
        return sum(len(structure.templates) for structure in self.known.values())

    @staticmethod
    def _key(found: Walk, backend: Backend) -> tuple[Any, tuple[int, ...]]:
        """Of a structure, and the sizes that a walk has there."""
        key, sizes = structure_of(found)
        return (backend.name, backend.workers(), key), sizes

    def gets_own(self, found: Walk, backend: Backend) -> bool:
        """Whether the sizes of a walk, whose plan has been used often, get a plan of their own; it
        counts as one of the few.
        """
        structure = self.known.get(self._key(found, backend)[0])
        if structure is None or structure.often_used >= OFTEN_USED_PLANS:
            return False
        structure.often_used += 1
        return True

    def find(
        self, found: Walk, varying: frozenset[int], backend: Backend
    ) -> tuple[Plan, frozenset[int]] | None:
        """A plan for a walk and which of its constants are arguments, `varying` among them; None
        where sizes are better fixed.
        """
        key, sizes = self._key(found, backend)
        sample = Sample(sizes, found.values)
        structure = self.known.get(key)
        if structure is None:
            self.known[key] = Structure([sample])
            if len(self.known) > STRUCTURES:
                self.known.popitem(last=False)
            return None
        for template in structure.templates:
            values = template.values(sample) if varying <= template.varying else None
            if values is not None:
                return template.plan(values), template.varying
        known = [before.sizes for before in structure.samples]
        if structure.fixed or sizes in known:
            return None
        structure.samples.append(sample)
        if len(structure.samples) <= FIXED_PLANS:
            return None
        template = made_template(found, structure.samples, varying, backend)
        # Enough samples to see what varies; the first and the last few tell it.
        del structure.samples[1:-FIXED_PLANS]
        if template is None:
            structure.fixed = True
            return None
        structure.add(template)
        values = template.values(sample)
        assert values is not None
        return template.plan(values), template.varying


def made_template(
    found: Walk, samples: Sequence[Sample], varying: frozenset[int], backend: Backend
) -> Template | None:
    """A template for the last of the samples, `found`, and others that differ as the samples do;
    None where there can be none. Constants that differ are arguments, and those in `varying`.
    """
    if any(node.op in FIXED for node in found.nodes):
        return None
    assumptions = Assumptions()
    placed = placed_symbols(assumptions, [sample.sizes for sample in samples])
    if placed is None:
        return None
    sizes, symbols = placed
    columns = zip(*(sample.constants for sample in samples), strict=True)
    varying |= frozenset(n for n, column in enumerate(columns) if len({*column}) > 1)
    try:
        program = program_of(found, varying, sized_with(found, sizes))
        assembly = open_compiler().assembly_of(program, backend)
    except UNKNOWING as error:
        if settings.verify or settings.debug >= 1:
            print(f"grad: sizes stay fixed: {type(error).__name__}: {error}", file=sys.stderr)
        if settings.verify and not isinstance(error, FixedSizesError):
            raise
        return None
    constants = fixed_of(found.values, varying)
    slower = any(node.op is CONTRACT for node in found.nodes)
    return Template(assembly, assumptions, sizes, symbols, varying, constants, slower)


def placed_symbols(
    assumptions: Assumptions, samples: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The sizes of the last sample with symbols for those that vary, and the places of those that
    are symbols themselves; others are made of them. None where some may be negative.
    """
    columns = list(zip(*samples, strict=True))
    varying = [place for place, column in enumerate(columns) if len({*column}) > 1]
    # What varies least is the symbol; what varies as much is it plus something.
    varying.sort(key=lambda place: (max(columns[place]) - min(columns[place]), place))
    sizes = list(samples[-1])
    symbols: dict[int, int] = {}
    for place in varying:
        column = columns[place]
        for other, known in symbols.items():
            line = _line(columns[other], column)
            if line is not None:
                factor, shift = line
                sizes[place] = known * factor + shift
                break
        else:
            value = column[-1]
            if min(column) < BORDERS[0]:
                return None
            low = max(border for border in BORDERS if border <= value)
            high = min(border for border in BORDERS if border > value) - 1
            sizes[place] = symbols[place] = symbol(assumptions, value, low, high)
    return tuple(sizes), tuple(symbols)


def _line(base: Sequence[int], values: Sequence[int]) -> tuple[int, int] | None:
    """``values == base * factor + shift`` for whole numbers, if there are such."""
    first = next(n for n in range(1, len(base)) if base[n] != base[0])
    factor, rest = divmod(values[first] - values[0], base[first] - base[0])
    shift = values[0] - base[0] * factor
    fits = all(v == b * factor + shift for b, v in zip(base, values, strict=True))
    return (factor, shift) if not rest and factor > 0 and fits else None
