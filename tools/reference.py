"""Write the reference of the public interface, from the docstrings, as one Markdown page.

`make docs` runs `python -m tools.reference build/docs/reference.md`. The interface is what
`grad.__all__`, `grad.Tensor` and the submodules in `SUBMODULES` show; nothing is listed by hand.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import grad
import grad.autograd
import grad.nn
import grad.nn.functional
import grad.optim

SUBMODULES: tuple[ModuleType, ...] = (
    grad.autograd,
    grad.nn,
    grad.nn.functional,
    grad.optim,
)


def public_members(owner: object) -> list[str]:
    """Return `__all__` where there is one, else the attributes without underscore, sorted."""
    names = getattr(owner, "__all__", None) or [n for n in dir(owner) if not n.startswith("_")]
    return sorted(names)


def entry(owner: object, name: str, prefix: str) -> str | None:
    """Return the paragraph of one function, class or method; None for anything else."""
    member = inspect.getattr_static(owner, name, None)
    value = getattr(owner, name)
    if isinstance(value, ModuleType) or not (callable(value) or isinstance(member, property)):
        return None
    try:
        signature = str(inspect.signature(value)) if callable(value) else ""
    except ValueError:  # builtins without a text signature
        signature = "(...)"
    documented = member if isinstance(member, property) else value
    docstring = inspect.getdoc(documented) or "*Not documented.*"
    return f"### `{prefix}.{name}{signature}`\n\n```text\n{docstring}\n```\n"


def sections() -> Iterator[tuple[str, list[str]]]:
    """Yield each section's title and entries."""
    owners = [("grad", grad), ("grad.Tensor", grad.Tensor)]
    owners += [(module.__name__, module) for module in SUBMODULES]
    for title, owner in owners:
        entries = (entry(owner, name, title) for name in public_members(owner))
        yield title, [text for text in entries if text is not None]


def main(destination: Path) -> None:
    parts = ["# Reference\n"]
    for title, entries in sections():
        parts.append(f"## {title}\n")
        parts.extend(entries)
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_text("\n".join(parts), encoding="utf-8")
    undocumented = sum("*Not documented.*" in part for part in parts)
    print(f"{destination}: {len(parts)} entries, {undocumented} without a docstring")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
