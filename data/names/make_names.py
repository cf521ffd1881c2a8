"""Make names.txt: first names of the United States census of 1990, from the Python package names.

`pip install names==0.3.0` first. README.md says where the names come from.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

LISTS = ("dist.female.first", "dist.male.first")


def main() -> None:
    names: set[str] = set()
    for file in LISTS:
        lines = files("names").joinpath(file).read_text(encoding="ascii").splitlines()
        names.update(line.split()[0].lower() for line in lines)
    target = Path(__file__).resolve().parent / "names.txt"
    target.write_text("\n".join(sorted(names)) + "\n", encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
