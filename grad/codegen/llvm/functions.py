"""Functions inside a module of LLVM IR: their parameter lists, and calls with operands by name.

The hand-made kernels (contraction, attention, convolution) are several functions that call each
other. Each has a table from the names of its parameters to their types.
"""

from __future__ import annotations

from collections.abc import Mapping

from grad.codegen.llvm.builder import Builder, Value


def parameter_values(parameters: Mapping[str, str]) -> dict[str, Value]:
    """The parameters as operands inside the function that has them."""
    return {name: Value(f"%{name}", kind.split()[0]) for name, kind in parameters.items()}


def signature(parameters: Mapping[str, str]) -> str:
    """The parameter list of a definition."""
    return ", ".join(f"{kind} %{name}" for name, kind in parameters.items())


def call_internal(
    b: Builder, name: str, parameters: Mapping[str, str], values: Mapping[str, Value]
) -> None:
    """Call a function of the same module with `values` for its `parameters`, by name."""
    operands = ", ".join(f"{kind.split()[0]} {values[p].text}" for p, kind in parameters.items())
    b.line(f"call void @{name}({operands})")
