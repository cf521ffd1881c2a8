"""What a function's code mentions: names of globals and attributes, texts, modules.

An attribute or global that no code within reach mentions is not read, unless by a name that is a
text. reach.py looks at what is found under these names.
"""

from __future__ import annotations

import dis
import types
from typing import Any, NamedTuple

from grad.compile.guards import Unguarded

_WRITES = frozenset(("STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL"))
_READS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"))
# Whoever mentions these reads attributes whose names are texts: those within reach count as names,
# and all attributes where texts are made up as well.
BY_NAME = frozenset(("getattr", "hasattr", "setattr", "delattr", "attrgetter"))
ALL = "__dict__"
_MAKING_TEXTS = frozenset(("format", "join", "str"))
_TEXTS = frozenset(("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "BUILD_STRING"))
# Functions that read globals whose names are texts.
_READING_ALL = frozenset(("globals", "eval", "exec"))


class Mentions(NamedTuple):
    """What code, and code inside of it, mentions.

    Attributes:
        names: of anything; with `ALL`, all attributes. written: those that are assigned to.
        global_names: of globals and builtins. imported: modules.
        texts: constants that may be names.
    """

    names: frozenset[str]
    written: frozenset[str]
    global_names: frozenset[str]
    imported: tuple[str, ...]
    texts: tuple[Any, ...]


def mentions(code: types.CodeType) -> Mentions:
    """What `code` mentions.

    Raises:
        Unguarded: globals are read whose names cannot be known.
    """
    names: set[str] = set()
    written: set[str] = set()
    global_names: set[str] = set()
    imported: list[str] = []
    texts: list[Any] = []
    codes = [code]
    while codes:
        code = codes.pop()
        made_up = not _MAKING_TEXTS.isdisjoint(code.co_names)
        names.update(code.co_names)
        for instruction in dis.get_instructions(code):
            if instruction.opname in _WRITES:
                written.add(instruction.argval)
            if instruction.opname in _READS:
                global_names.add(instruction.argval)
            if instruction.opname == "IMPORT_NAME":
                imported.append(instruction.argval)
            made_up = made_up or instruction.opname in _TEXTS
        codes.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
        if not BY_NAME.isdisjoint(code.co_names):
            texts.extend(c for c in code.co_consts if isinstance(c, str | tuple))
            if made_up:
                names.add(ALL)
    for name in sorted(global_names & _READING_ALL):
        raise Unguarded(f"it calls {name}")
    parts = frozenset(names), frozenset(written), frozenset(global_names)
    return Mentions(*parts, tuple(imported), tuple(texts))
