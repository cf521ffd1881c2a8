"""The sums of a tile stay in registers while it is computed, whatever model of the processor LLVM
orders instructions by: the innermost loops that multiply store no vector to the stack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import grad
import grad.nn.functional as F
from grad.codegen.llvm.cpu import CpuBackend
from grad.runtime.cpu.assembler import assembly_text
from grad.runtime.cpu.host import Host, other_host

# Fewer multiply-adds belong to other loops than a tile's: epilogues, functions.
LEAST_OF_A_TILE = 12

FEATURES = {
    64: ["avx", "avx2", "fma", "f16c", "bmi2", "avx512f", "avx512vl", "avx512bw", "avx512dq"],
    32: ["avx", "avx2", "fma", "f16c", "bmi2"],
}
PROCESSORS = [
    *((64, name) for name in ("skylake-avx512", "icelake-server", "sapphirerapids")),
    *((64, name) for name in ("znver4", "znver5", "x86-64-v4")),
    *((32, name) for name in ("haswell", "znver3", "alderlake", "x86-64-v3")),
]


def _convolution(filters: int, kernel: int, **options: int) -> grad.Tensor:
    return F.conv2d(grad.randn(2, 64, 40, 40), grad.randn(filters, 64, kernel, kernel), **options)


def _convolution_gradient() -> grad.Tensor:
    image = grad.randn(2, 64, 40, 40)
    weight = grad.randn(64, 64, 3, 3).requires_grad_()
    F.conv2d(image, weight, padding=1).sum().backward()
    assert weight.grad is not None
    return weight.grad


TILES: dict[str, Callable[[], grad.Tensor]] = {
    "product": lambda: grad.randn(300, 500) @ grad.randn(500, 700),
    "product of a transposed matrix": lambda: grad.randn(500, 300).T @ grad.randn(500, 700),
    "3x3 convolution": lambda: _convolution(64, 3, padding=1),
    "3x3 convolution of stride 2": lambda: _convolution(64, 3, padding=1, stride=2),
    "3x3 convolution to few channels": lambda: _convolution(8, 3),
    "1x1 convolution": lambda: _convolution(64, 1),
    "gradient of a 3x3 convolution": _convolution_gradient,
}


def _processor(vector_bytes: int, name: str) -> Host:
    features = FEATURES[vector_bytes]
    return replace(
        other_host("x86_64-unknown-linux-gnu", name),
        features=frozenset(features),
        feature_string=",".join(f"+{feature}" for feature in features),
        vector_bytes=vector_bytes,
    )


def _innermost_loops(assembly: str) -> Iterator[list[str]]:
    """The lines from each label to the first jump back to it, if no other such jump is between."""
    lines = assembly.splitlines()
    labels: dict[str, int] = {}
    last_end = -1
    for number, line in enumerate(lines):
        if label := re.match(r"(\.LBB\w+):", line):
            labels[label[1]] = number
        jump = re.match(r"\s+j\w+\s+(\.LBB\w+)", line)
        if jump and last_end < labels.get(jump[1], -1):
            last_end = number
            yield lines[labels[jump[1]] : number + 1]


@pytest.mark.parametrize("case", TILES)
@pytest.mark.parametrize(("vector_bytes", "name"), PROCESSORS)
def test_no_sum_waits_on_the_stack(case: str, vector_bytes: int, name: str) -> None:
    machine = _processor(vector_bytes, name)
    backend = CpuBackend(machine)
    tiles = 0
    for kernel in grad.explain(TILES[case]).kernels:
        for phase in backend.generate(kernel._kernel):
            assert isinstance(phase.entry, str)
            for loop in _innermost_loops(assembly_text(phase.entry, machine)):
                if sum("vfmadd" in line for line in loop) < LEAST_OF_A_TILE:
                    continue
                tiles += 1
                stored = [line for line in loop if re.search(r"%[yz]mm\d+, [-\d]*\(%rsp", line)]
                assert not stored, "\n".join(loop)
    assert tiles
