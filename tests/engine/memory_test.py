"""The arena: values that are alive together never share memory, and what can share does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grad.engine.memory import Span, lay_out

ALIGNMENT = 64
spans = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 20), st.integers(0, 8)), min_size=0, max_size=30
)


@given(spans)
def test_live_values_do_not_overlap(rows: list[tuple[int, int, int]]) -> None:
    found = [
        Span(("memory", n), size, first, first + life) for n, (size, first, life) in enumerate(rows)
    ]
    offsets, total = lay_out(found, ALIGNMENT)
    assert set(offsets) == {span.key for span in found}
    for number, span in enumerate(found):
        start = offsets[span.key]
        assert start % ALIGNMENT == 0
        assert start + span.nbytes <= total
        for other in found[:number]:
            if span.first <= other.last and other.first <= span.last:
                begin = offsets[other.key]
                assert start + span.nbytes <= begin or begin + other.nbytes <= start


def test_a_chain_takes_the_memory_of_two() -> None:
    chain = [Span(("memory", n), 640, n, n + 1) for n in range(10)]
    _, total = lay_out(chain, ALIGNMENT)
    assert total == 2 * 640


def test_nothing_takes_nothing() -> None:
    assert lay_out([], ALIGNMENT) == ({}, 0)
