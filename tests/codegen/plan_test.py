"""What plans of matrix products choose for a processor: tiles that need few loads, and packing.

Problems are made for a processor with 32 registers of 512 bits, whatever the tests run on; the code
of such plans is tested in contraction_test.py.
"""

from __future__ import annotations

import pytest

from grad.codegen.llvm.contraction.pieces import step_cycles
from grad.codegen.llvm.contraction.plan import choose
from grad.codegen.llvm.contraction.problem import Problem

FEATURES = frozenset({"sse2", "avx", "avx2", "fma", "avx512f"})
L2_BYTES = 1280 << 10


def problem(m: int, k: int, n: int, a_transposed: bool = False) -> Problem:
    a_strides = (1, m) if a_transposed else (k, 1)
    return Problem.on(FEATURES, 64, L2_BYTES, "float", (m, n, k), a_strides, (n, 1), cores=2)


@pytest.mark.parametrize(
    ("m", "k", "n", "vectors"),
    [
        (512, 512, 512, (4,)),
        (1024, 1024, 1024, (4,)),
        (768, 512, 128, (4,)),
        (128, 128, 128, (4,)),
        (768, 128, 384, (3,)),
        (128, 768, 3072, (3,)),
        (1024, 384, 1536, (3,)),
    ],
)
def test_panels_divide_the_columns(m: int, k: int, n: int, vectors: tuple[int, ...]) -> None:
    """Three vectors or four, whichever leaves no panel of two, whose tiles wait for loads."""
    assert choose(problem(m, k, n)).structure.vectors == vectors


def test_steps_wait_for_multiply_adds_or_loads() -> None:
    """A step of few vectors takes as long as its loads, more than its multiply-adds."""
    any_size = problem(512, 512, 512)
    for rows, vectors in ((14, 1), (9, 2), (14, 2)):
        assert step_cycles(any_size, rows, vectors) > rows + vectors > rows * vectors / 2
    for rows, vectors in ((9, 3), (6, 4)):
        assert rows * vectors / 2 < step_cycles(any_size, rows, vectors) < rows * vectors / 2 + 2


@pytest.mark.parametrize(
    ("m", "k", "packs"), [(128, 64, False), (200, 100, False), (768, 128, True)]
)
def test_a_transposed_operand_is_packed_where_it_reaches_far(m: int, k: int, packs: bool) -> None:
    assert choose(problem(m, k, 512, a_transposed=True)).structure.pack_a is packs


def test_rows_of_several_pieces_read_short_rows_in_place() -> None:
    """Their tiles cannot pack B on the way, and rows of a page or so are read well as they are."""
    for transposed in (False, True):
        assert choose(problem(1000, 512, 384, transposed)).structure.pack_b
        assert not choose(problem(2000, 512, 384, transposed)).structure.pack_b
        assert choose(problem(2000, 512, 3072, transposed)).structure.pack_b
