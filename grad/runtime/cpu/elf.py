"""Read a relocatable object: the ELF files that LLVM emits for x86-64.

`read_object` gives what loader.py needs: the sections that are to be in memory, the symbols, and
the places to fill in. Other kinds of file, and whatever kernels have no use for (thread-local
variables, constructors, common blocks), give None.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

MAGIC = b"\x7fELF\x02\x01\x01"  # 64 bits, the lowest byte first
RELOCATABLE = 1
X86_64 = 62

# Kinds of section.
PROGRAM_BITS = 1
SYMBOL_TABLE = 2
RELOCATIONS = 4
NO_BITS = 8
UNWIND = 0x7000_0001  # tables for exceptions, of which there are none
# Flags of sections.
WRITABLE = 1
ALLOCATED = 2
THREAD_LOCAL = 0x400

UNDEFINED = 0
COMMON = 0xFFF2

_HEADER = struct.Struct("<7s9xHHI8x8xQI6xHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QIIq")


class Section(NamedTuple):
    """What is to be in memory: `data`, or `size` zeros."""

    data: bytes
    size: int
    alignment: int
    writable: bool


class Symbol(NamedTuple):
    """A name for a place in a section, which may be one that is not in memory (the name of the
    source file has such a place), or `UNDEFINED`: in another object.
    """

    name: str
    section: int
    offset: int


class Relocation(NamedTuple):
    """A place in a section that depends on where things are in memory; `kind` says how."""

    section: int
    offset: int
    kind: int
    symbol: int
    addend: int


class ObjectFile(NamedTuple):
    """Sections by their number in the file, symbols in order."""

    sections: dict[int, Section]
    symbols: Sequence[Symbol]
    relocations: Sequence[Relocation]


def read_object(data: bytes) -> ObjectFile | None:
    """The object in `data`; None for what is no such object, or has parts that are not known."""
    if len(data) < _HEADER.size or data[: len(MAGIC)] != MAGIC:
        return None
    _, kind, machine, _, table, _, size, count, _ = _HEADER.unpack_from(data)
    if (kind, machine, size) != (RELOCATABLE, X86_64, _SECTION.size):
        return None
    rows = [_SECTION.unpack_from(data, table + number * size) for number in range(count)]
    sections: dict[int, Section] = {}
    for number, (_, sort, flags, _, start, length, _, _, alignment, _) in enumerate(rows):
        if not flags & ALLOCATED or sort == UNWIND:
            continue
        if sort not in (PROGRAM_BITS, NO_BITS) or flags & THREAD_LOCAL:
            return None
        content = data[start : start + length] if sort == PROGRAM_BITS else b""
        sections[number] = Section(content, length, max(alignment, 1), bool(flags & WRITABLE))
    symbols: list[Symbol] = []
    relocations: list[Relocation] = []
    for _, sort, _, _, start, length, link, target, _, _ in rows:
        content = data[start : start + length]
        if sort == SYMBOL_TABLE:
            names = rows[link]
            symbols = _symbols(content, data[names[4] : names[4] + names[5]])
            if any(symbol.section == COMMON for symbol in symbols):
                return None
        elif sort == RELOCATIONS and target in sections:
            relocations.extend([Relocation(target, *row) for row in _relocations(content)])
    return ObjectFile(sections, symbols, relocations)


def _symbols(content: bytes, names: bytes) -> list[Symbol]:
    found = []
    for name, _, _, section, value, _ in _SYMBOL.iter_unpack(content):
        found.append(Symbol(names[name : names.index(0, name)].decode(), section, value))
    return found


def _relocations(content: bytes) -> list[tuple[int, int, int, int]]:
    # The kind is the lower half of a word, the symbol the upper one.
    return list(_RELOCATION.iter_unpack(content))
