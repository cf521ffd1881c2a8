"""Write the reference of the public interface, from the docstrings, as one Markdown page.

`make docs` runs `python -m tools.reference build/docs/reference.md`. The interface is what
`grad.__all__`, `grad.Tensor` and the submodules in `SUBMODULES` show; nothing is listed by hand.
The table of coverage (tools/coverage.py) is its last part.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import grad
import grad.autograd
import grad.distributions
import grad.nn
import grad.nn.functional
import grad.nn.init
import grad.nn.utils
import grad.optim
import grad.optim.lr_scheduler
import grad.testing
import grad.utils.data
from tools import coverage

SUBMODULES: tuple[ModuleType, ...] = (
    grad.autograd,
    grad.distributions,
    grad.nn,
    grad.nn.functional,
    grad.nn.init,
    grad.nn.utils,
    grad.optim,
    grad.optim.lr_scheduler,
    grad.testing,
    grad.utils.data,
)


class Annotation(str):
    """The text of an annotation, shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


def public_members(owner: object) -> list[str]:
    """Return `__all__` where there is one, else the attributes without underscore, sorted.

    Of a module without `__all__`, only what it defines itself.
    """
    declared = getattr(owner, "__all__", None)
    if declared is not None:
        return sorted(declared)
    names = [name for name in dir(owner) if not name.startswith("_")]
    if isinstance(owner, ModuleType):
        own = owner.__name__
        names = [n for n in names if getattr(getattr(owner, n), "__module__", None) == own]
    return names


def signature(value: Callable[..., object]) -> str:
    """Return the signature of `value`, annotations as they are written in its source."""
    try:
        found = inspect.signature(value)
    except ValueError:  # builtins without a text signature
        return "(...)"
    parameters = [p.replace(annotation=_shown(p.annotation)) for p in found.parameters.values()]
    returned = _shown(found.return_annotation)
    return str(found.replace(parameters=parameters, return_annotation=returned))


def _shown(annotation: object) -> object:
    return Annotation(annotation) if isinstance(annotation, str) else annotation


def entry(owner: object, name: str, prefix: str) -> str | None:
    """Return the paragraph of one function, class or method; None for anything else."""
    member = inspect.getattr_static(owner, name, None)
    value = getattr(owner, name)
    if isinstance(value, ModuleType) or not (callable(value) or isinstance(member, property)):
        return None
    parameters = signature(value) if callable(value) else ""
    documented = member if isinstance(member, property) else value
    docstring = inspect.getdoc(documented) or "*Not documented.*"
    return f"### `{prefix}.{name}{parameters}`\n\n```text\n{docstring}\n```\n"


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
    parts.append(coverage.page())
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_text("\n".join(parts), encoding="utf-8")
    undocumented = sum("*Not documented.*" in part for part in parts)
    print(f"{destination}: {len(parts)} entries, {undocumented} without a docstring")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
