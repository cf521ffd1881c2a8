"""List the public names of the library: what `from grad import *` gives, and Tensor's attributes.

tests/public_names.txt pins them, so that no name appears or vanishes unnoticed; the architecture
test compares. After a change that is meant, `python -m tools.public_names` writes the file anew:
the diff is then part of the review.
"""

from __future__ import annotations

from pathlib import Path

import grad

NAMES_FILE = Path(__file__).resolve().parent.parent / "tests" / "public_names.txt"


def public_names() -> list[str]:
    """Return the sorted names, as ``grad.name`` and ``grad.Tensor.name``."""
    tensor_names = [name for name in dir(grad.Tensor) if not name.startswith("_")]
    return sorted(
        {f"grad.{name}" for name in grad.__all__} | {f"grad.Tensor.{name}" for name in tensor_names}
    )


def main() -> None:
    names = public_names()
    NAMES_FILE.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    print(f"{NAMES_FILE}: {len(names)} names")


if __name__ == "__main__":
    main()
