"""List the public names of PyTorch, for the table of coverage (tools/coverage.py).

Needs the PyTorch of the extra `bench`; writes tools/torch_names.txt, so that nothing else needs it.
Run ``python -m tools.torch_names`` for a new version; the diff says what PyTorch has added.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES_FILE = Path(__file__).resolve().parent / "torch_names.txt"
NAMESPACES = (
    "torch",
    "torch.Tensor",
    "torch.nn",
    "torch.nn.attention",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.utils",
    "torch.nn.utils.parametrizations",
    "torch.nn.utils.parametrize",
    "torch.nn.utils.prune",
    "torch.nn.utils.rnn",
    "torch.linalg",
    "torch.special",
    "torch.fft",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.optim.swa_utils",
    "torch.func",
    "torch.autograd",
    "torch.autograd.functional",
    "torch.autograd.forward_ad",
    "torch.utils.checkpoint",
    "torch.utils.data",
    "torch.distributions",
    "torch.distributions.constraints",
    "torch.testing",
)
# What modules import for themselves comes from here, or from outside PyTorch.
_HELPERS = ("torch._jit_internal", "torch.overrides", "torch.utils._", "torch._prims_common")

_IMPORTED = ("Optimizer", "Tensor", "inf")


def is_public(owner: Any, name: str) -> bool:
    """Whether users are meant to see `name`: no modules, texts, or what a module imported."""
    value = getattr(owner, name, None)
    if name.startswith("_") or isinstance(value, ModuleType | str | dict | list):
        return False
    if name in (getattr(owner, "__all__", None) or ()) or not isinstance(owner, ModuleType):
        return True
    origin = getattr(value, "__module__", None) or "torch"
    if isinstance(value, int) or (
        name in _IMPORTED and owner.__name__ not in ("torch", "torch.optim")
    ):
        return False  # constants of C++; what others import of those two
    return origin.split(".")[0] == "torch" and not origin.startswith(_HELPERS)


def public_names(namespace: str) -> list[str]:
    module, _, attribute = namespace.rpartition(".")
    owner: Any
    if attribute == "Tensor":
        owner = getattr(importlib.import_module(module), attribute)
    else:
        owner = importlib.import_module(namespace)
    return sorted(f"{namespace}.{name}" for name in dir(owner) if is_public(owner, name))


def main() -> None:
    torch = importlib.import_module("torch")
    version = torch.__version__.partition("+")[0]
    lines = [f"# Public names of PyTorch {version}, written by `python -m tools.torch_names`."]
    for namespace in NAMESPACES:
        lines += ["", *public_names(namespace)]
    NAMES_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{NAMES_FILE}: {len(lines)} lines")


if __name__ == "__main__":
    main()
