"""What a function's code mentions: names of globals and attributes, modules.

An attribute or global that no code within reach mentions is not read, unless by a name that is a
text: ``getattr(x, "scale")`` mentions `scale`, and any other name may be that of any attribute.
reach.py looks at what is found under these names.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from grad.compile.guards import Unguarded

_WRITES = frozenset(("STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL"))
_READS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"))
# Functions whose second argument is the name of an attribute, and all that take names.
_BUILTIN = frozenset(("getattr", "hasattr", "setattr", "delattr"))
_OTHERS = frozenset(("attrgetter", "__getattribute__", "__setattr__", "getattr_static"))
BY_NAME = _BUILTIN | _OTHERS
ALL = "__dict__"
_VARIABLES = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_FAST")
_ATTRIBUTES = frozenset(("LOAD_ATTR", "LOAD_METHOD"))
_CALL = "PRECALL" if "PRECALL" in dis.opmap else "CALL"  # what all arguments are there for
_JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))
# Functions that read globals whose names are texts.
_READING_ALL = frozenset(("globals", "eval", "exec"))


class Mentions(NamedTuple):
    """What code, and code inside of it, mentions.

    Attributes:
        names: of anything; with `ALL`, all attributes. written: those that are assigned to, or that
            there may not be yet.
        global_names: of globals and builtins. imported: modules.
        chains: what stands in a variable, and attributes of it: ``os.path`` is ("os", "path").
    """

    names: frozenset[str]
    written: frozenset[str]
    global_names: frozenset[str]
    imported: tuple[str, ...]
    chains: frozenset[tuple[str, ...]]


def mentions(code: types.CodeType) -> Mentions:
    """What `code` mentions.

    Raises:
        Unguarded: globals are read whose names cannot be known.
    """
    names: set[str] = set()
    written: set[str] = set()
    global_names: set[str] = set()
    imported: list[str] = []
    chains: set[tuple[str, ...]] = set()
    codes = [code]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        instructions = [*dis.get_instructions(code)]
        for instruction in instructions:
            if instruction.opname in _WRITES:
                written.add(instruction.argval)
            if instruction.opname in _READS:
                global_names.add(instruction.argval)
            if instruction.opname == "IMPORT_NAME":
                imported.append(instruction.argval)
        codes.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
        chains |= _chains(instructions)
        texts = _texts(instructions)
        if texts is None or not _OTHERS.isdisjoint(code.co_names):
            names.add(ALL)
        else:
            names |= texts
            written |= texts
    for name in sorted(global_names & _READING_ALL):
        raise Unguarded(f"it calls {name}")
    parts = frozenset(names), frozenset(written), frozenset(global_names)
    return Mentions(*parts, tuple(imported), frozenset(chains))


def _chains(instructions: Iterable[dis.Instruction]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    chain: tuple[str, ...] = ()
    for instruction in instructions:
        if instruction.opname.startswith(_VARIABLES):
            name = instruction.argval
            chain = (name[-1] if isinstance(name, tuple) else name,)  # some load two at once
        elif chain and instruction.opname in _ATTRIBUTES:
            chain = (*chain, instruction.argval)
        else:
            chain = ()
        if chain:
            found.add(chain)
    return found


def _texts(instructions: Sequence[dis.Instruction]) -> set[str] | None:
    """The names in calls of `getattr` and the like; None if not all of them are constants."""
    found = set()
    for number, instruction in enumerate(instructions):
        if instruction.argval in _BUILTIN:
            name = None
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                name = _second_argument(instructions[number + 1 :])
            if name is None:
                return None
            found.add(name)
    return found


def _second_argument(instructions: Sequence[dis.Instruction]) -> str | None:
    """The second argument of the call that follows a function, if it is a text in the code.

    Arguments are pushed one after another, so what leaves two of them computed the second.
    """
    depth, last = 0, None
    for instruction in instructions:
        if instruction.opname == _CALL and instruction.arg == depth:
            value = last.argval if last is not None and last.opname == "LOAD_CONST" else None
            return value if isinstance(value, str) else None
        if instruction.opcode in _JUMPS:
            return None
        takes_argument = instruction.opcode >= dis.HAVE_ARGUMENT
        depth += dis.stack_effect(instruction.opcode, instruction.arg if takes_argument else None)
        if depth == 2:
            last = instruction
    return None
