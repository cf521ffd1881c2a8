"""``python -m grad.as_torch``: run a script, or a module, with `grad` in the place of torch."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from grad.as_torch.hook import install


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m grad.as_torch",
        description="Run a PyTorch program with micrograd in PyTorch's place.",
        usage="%(prog)s [-h] (script.py | -m module) [arguments ...]",
    )
    made.add_argument("-m", dest="module", action="store_true", help="run a module, by its name")
    made.add_argument("program", help="the file, or the module")
    made.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program is given")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; what it raises is raised here too.

    Gives 2 when there is no such file.
    """
    options = parser().parse_args(arguments)
    if not options.module and not Path(options.program).exists():
        print(f"python -m grad.as_torch: there is no file {options.program}", file=sys.stderr)
        return 2
    install()
    sys.argv = [options.program, *options.arguments]
    if options.module:
        sys.path.insert(0, "")
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(options.program).resolve().parent)
        runpy.run_path(options.program, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
