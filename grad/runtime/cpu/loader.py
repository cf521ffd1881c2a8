"""Put an object into memory and make it run: what a linker does, for what kernels need.

LLVM can do it too, for any object (assembler.py). This is for the common case on Linux: it spares a
process whose code is on disk LLVM itself, 50 MB of memory and 50 ms. An object becomes one image:
sections that are only read and the code, a table of addresses and of jumps to functions elsewhere,
and, on pages of their own, sections that are written. elf.py reads the object.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from grad.runtime.cpu.elf import UNDEFINED, ObjectFile, Symbol, read_object

IS_SUPPORTED = sys.platform == "linux" and sys.maxsize > 1 << 32

# Relocations of x86-64, of which S is the symbol's address, A the addend, P the place, G the
# address of the symbol's entry in the table.
ABSOLUTE_64 = 1  # S + A
RELATIVE_32 = 2  # S + A - P
CALL_32 = 4  # as RELATIVE_32, where a jump to S will do
TABLE_32 = frozenset((9, 41, 42))  # G + A - P
RELATIVE_64 = 24  # S + A - P
WIDE = frozenset((ABSOLUTE_64, RELATIVE_64))

WORD = 8
WORD_MASK = (1 << 64) - 1
ENTRY = 2 * WORD
# jmp *offset(%rip) to the word before it, and two bytes that are never reached.
JUMP_LENGTH = 6
JUMP = b"\xff\x25" + (-WORD - JUMP_LENGTH).to_bytes(4, "little", signed=True) + b"\xcc\xcc"

_c = ctypes.CDLL(None) if IS_SUPPORTED else None


class Layout(NamedTuple):
    """Where things are in an image.

    Attributes:
        starts: of each section. table: an address and a jump to it, for each symbol.
        writable: where the pages begin that may be written. size: of it all.
    """

    starts: dict[int, int]
    table: int
    writable: int
    size: int


def load(
    data: bytes, names: Sequence[str], address_of: Callable[[str], int | None]
) -> tuple[dict[str, int], mmap.mmap] | None:
    """Load an object; gives the addresses of the symbols `names`, and the memory, which must live
    as long as anything may run.

    `address_of` tells where what the object refers to is; None where that is nowhere. None also
    where this machine or the object is not of the sort that is known here: LLVM's linker will do,
    or say what is wrong.
    """
    found = read_object(data) if IS_SUPPORTED else None
    if found is None or any(s.alignment > mmap.PAGESIZE for s in found.sections.values()):
        return None
    layout = _layout(found)
    pages = mmap.mmap(-1, layout.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    base = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    addresses = [_address(symbol, base, layout, address_of) for symbol in found.symbols]
    for number, section in found.sections.items():
        start = layout.starts[number]
        pages[start : start + len(section.data)] = section.data
    for number, address in enumerate(addresses):
        entry = layout.table + ENTRY * number
        pages[entry : entry + WORD] = (address or 0).to_bytes(WORD, "little")
        pages[entry + WORD : entry + ENTRY] = JUMP
    if not _relocate(found, pages, base, layout, addresses):
        return None
    defined = {
        symbol.name: address
        for symbol, address in zip(found.symbols, addresses, strict=True)
        if symbol.section != UNDEFINED and address is not None
    }
    if any(name not in defined for name in names) or not _protect(base, layout.writable):
        return None
    return {name: defined[name] for name in names}, pages


def _address(
    symbol: Symbol, base: int, layout: Layout, address_of: Callable[[str], int | None]
) -> int | None:
    """Where a symbol is; None where it is nowhere."""
    if symbol.section == UNDEFINED:
        return address_of(symbol.name) if symbol.name else None
    start = layout.starts.get(symbol.section)
    return None if start is None else base + start + symbol.offset


def _layout(found: ObjectFile) -> Layout:
    """What is only read and run comes first, then what is written."""
    starts: dict[int, int] = {}

    def place(writable: bool, end: int) -> int:
        for number, section in found.sections.items():
            if section.writable == writable:
                starts[number] = -(-end // section.alignment) * section.alignment
                end = starts[number] + section.size
        return end

    table = -(-place(False, 0) // WORD) * WORD
    first_writable = _whole_pages(table + ENTRY * len(found.symbols))
    size = _whole_pages(place(True, first_writable))
    return Layout(starts, table, first_writable, size)


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def _relocate(
    found: ObjectFile,
    pages: mmap.mmap,
    base: int,
    layout: Layout,
    addresses: Sequence[int | None],
) -> bool:
    """Fill in all places; False where one is of a kind that is not known, out of reach, or refers
    to what is nowhere.
    """
    for section, offset, kind, number, addend in found.relocations:
        place = layout.starts[section] + offset
        target, size = addresses[number], 4
        if target is None:
            return False
        is_elsewhere = found.symbols[number].section == UNDEFINED
        entry = base + layout.table + ENTRY * number
        if kind in TABLE_32:
            target = entry
        elif kind == CALL_32:
            target = entry + WORD if is_elsewhere else target
        elif kind in WIDE:
            size = 8
        elif kind != RELATIVE_32:
            return False
        value = target + addend - (0 if kind == ABSOLUTE_64 else base + place)
        if size == 4 and not -(1 << 31) <= value < 1 << 31:
            return False
        pages[place : place + size] = (value & WORD_MASK).to_bytes(WORD, "little")[:size]
    return True


def _protect(base: int, size: int) -> bool:
    """Have the first `size` bytes read and run, and no longer written."""
    assert _c is not None
    allowed = mmap.PROT_READ | mmap.PROT_EXEC
    return _c.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(size), allowed) == 0
