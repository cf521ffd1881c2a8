"""Functions inside a module of LLVM IR: parameter lists, calls with operands by name, attributes.

The hand-made kernels (contraction, attention, convolution) are several functions that call each
other. Each has a table from the names of its parameters to their types.
"""

from __future__ import annotations

from collections.abc import Mapping

from grad.codegen.llvm.builder import Builder, Value

# LLVM orders instructions by a model of the processor. By those of most AVX-512 processors so many
# operands are loaded ahead that the sums of a tile no longer fit the 32 registers: they go to the
# stack in the innermost loop, at a third of the speed. By this model they never do.
AVX512_BYTES = 64
AVX512_ORDER = '"tune-cpu"="haswell" '


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


def attributes(vector_bytes: int) -> str:
    """The attribute group ``#0`` that every kernel function carries."""
    width = f'"prefer-vector-width"="{vector_bytes * 8}"'
    order = AVX512_ORDER if vector_bytes == AVX512_BYTES else ""
    return f'attributes #0 = {{ nounwind {width} {order}"no-builtins" "frame-pointer"="none" }}\n'
