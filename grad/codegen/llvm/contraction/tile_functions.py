"""The internal functions of a tiled matrix product: each size of micro-kernel, and the packing.

`tile_loops.py` calls them by the names that are kept here.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder
from grad.codegen.llvm.contraction.microkernel import Ask, Epilogue, micro_kernel
from grad.codegen.llvm.contraction.operands import Prologues
from grad.codegen.llvm.contraction.packing import pack_a_function, pack_b_function
from grad.codegen.llvm.contraction.structure import Contraction


class TileFunctions:
    """The internal functions of the module, by the size that they are written for."""

    def __init__(
        self,
        structure: Contraction,
        name: str,
        b: Builder,
        epilogue: Epilogue,
        prologues: Prologues,
        ask: Ask | None = None,
    ) -> None:
        self.texts: list[str] = []
        self.kernel: dict[tuple[int, int], str] = {}
        self.packing: dict[tuple[int, int], str] = {}  # the same of tiles that pack B
        self.pack_a, self.pack_b = f"{name}.pack_a", f"{name}.pack_b"
        for vectors in structure.vectors:
            for rows in structure.rows:
                kernel = self.kernel[rows, vectors] = f"{name}.tile{rows}x{vectors}"
                self.texts.append(
                    micro_kernel(
                        structure, kernel, rows, vectors, b.sibling(), epilogue, False, ask
                    )
                )
            for rows in structure.packing_rows:
                kernel = self.packing[rows, vectors] = f"{name}.packing{rows}x{vectors}"
                self.texts.append(
                    micro_kernel(structure, kernel, rows, vectors, b.sibling(), epilogue, True, ask)
                )
        if structure.pack_b and not structure.packing_rows:
            self.texts.append(pack_b_function(structure, self.pack_b, b.sibling(), prologues[1]))
        if structure.pack_a:
            self.texts.append(pack_a_function(structure, self.pack_a, b.sibling(), prologues[0]))
