"""Run PyTorch programs as they are: ``python -m grad.as_torch script.py [arguments]``.

An import hook (hook.py) serves ``torch`` and its submodules from `grad`. Where a submodule of
PyTorch has no namesake in `grad`, answers.py says what it answers; modules.py lists which is which.
A name that is not there raises where it is used, and says where to look (missing.py). In a program
that one can change, ``import grad as torch`` does the same with less in between.
"""

from __future__ import annotations

from grad.as_torch.hook import install

__all__ = ["install"]
