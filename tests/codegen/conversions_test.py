"""Every pair of element types converted, with the values where conversions go wrong.

What a conversion means is said once, in `grad.graph.reference.cast`; the interpreter and the
machine code must agree with it to the bit.
"""

from __future__ import annotations

import numpy as np
import pytest

from grad.dtype import ALL_DTYPES, DType, dtypes
from grad.engine import realize
from grad.graph import node as graph
from grad.graph import reference
from grad.settings import settings
from tests.engine.exact_graphs import leaf, values_of

FLOATS = [
    0.0, -0.0, 0.5, -0.5, 0.99, -0.99, 1.5, 2.5, -2.5, 127.0, 128.0, -128.9, -129.0, 255.5, 256.0,
    32767.0, 32768.0, 65504.0, 65519.0, 65520.0, 65535.0, 65536.0, 1e-8, 6e-8, 5.9e-8, 2.0**24 + 1,
    2.0**31 - 1, 2.0**31, -(2.0**31), -(2.0**31) - 1, 2.0**32 - 1, 2.0**32, 2.0**53, 2.0**63,
    -(2.0**63), 2.0**63 * 1.5, 2.0**64, 1e30, -1e30, 3.4e38, 1e39, np.inf, -np.inf, np.nan,
    # Between two float16 (and bfloat16) values, by less than float32 can tell: rounding twice is
    # wrong here.
    1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-11, 1 + 2.0**-11 - 2.0**-40, 1 + 2.0**-8 + 2.0**-40, 1 +
    2.0**-8, 1 + 2.0**-8 - 2.0**-40, 2.0**-25 * (1 + 2.0**-30), 65520 * (1 - 2.0**-40),
    3.3961775292304957e38,
]  # fmt: skip
WHOLE = [
    0, 1, -1, 2, 127, 128, -128, -129, 255, 256, 257, 2049, 32767, 32768, -32769, 65535, 65536,
    2**24 + 1, 2**24 + 3, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**53 + 1, 2**53 + 3,
    -(2**53) - 1, 2**62 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**63 + 2**39, 2**63 + 2**39 +
    1, 65520, 65519, 2**54 + 2**30 + 1,
]  # fmt: skip


def samples(dtype: DType) -> np.ndarray:
    """Values of `dtype` that conversions find hard, repeated to fill whole vectors."""
    with np.errstate(all="ignore"):
        if dtype.kind == "f":
            found = np.array(FLOATS, np.float64).astype(dtype.numpy)
        elif dtype.kind == "b":
            found = np.array([True, False])
        else:
            limits = np.iinfo(dtype.numpy)
            fitting = [w for w in WHOLE if limits.min <= w <= limits.max]
            found = np.array([*fitting, limits.min, limits.max], dtype.numpy)
    return np.tile(found, 3)


def same(actual: np.ndarray, expected: np.ndarray, message: str) -> None:
    """Equal to the bit, all NaN counting as one."""
    assert actual.dtype == expected.dtype
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(actual, expected, err_msg=message)
        return
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_array_equal(a, e, err_msg=message)
    kept = ~np.isnan(e)
    np.testing.assert_array_equal(np.signbit(a[kept]), np.signbit(e[kept]), err_msg=message)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("source", ALL_DTYPES, ids=lambda d: d.name)
def test_casts(source: DType, backend: str) -> None:
    array = samples(source)
    nodes = [graph.cast(leaf(array), target) for target in ALL_DTYPES if target is not source]
    with settings.override(backend=backend):
        realize(nodes)
    for node in nodes:
        with np.errstate(all="ignore"):
            expected = reference.cast(array, node.dtype.numpy)
        same(values_of(node), expected, f"{source.name} to {node.dtype.name}")


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        (dtypes.int32, 3e9, 2**31 - 1),
        (dtypes.int32, -3e9, -(2**31)),
        (dtypes.int64, 1e30, 2**63 - 1),
        (dtypes.uint64, 1e30, 2**64 - 1),
        (dtypes.uint32, 2.0**32 - 1, 2**32 - 1),
        (dtypes.uint8, 257.9, 1),
        (dtypes.int8, -129.0, 127),
        (dtypes.uint8, 3e9, 255),
        (dtypes.int16, float("nan"), 0),
    ],
)
def test_floats_become_integers_as_documented(target: DType, value: float, expected: int) -> None:
    for backend in ("cpu", "reference"):
        node = graph.cast(leaf(np.array([value], np.float64)), target)
        with settings.override(backend=backend):
            realize([node])
        assert values_of(node)[0] == expected
    assert reference.cast(np.array([value]), target.numpy)[0] == expected


@pytest.mark.parametrize("target", [dtypes.float16, dtypes.bfloat16], ids=lambda d: d.name)
def test_doubles_are_rounded_once(target: DType) -> None:
    step = 2.0**-11 if target is dtypes.float16 else 2.0**-8
    above = np.array([1 + step + 2.0**-40])
    node = graph.cast(leaf(above), target)
    realize([node])
    assert float(values_of(node)[0]) == 1 + 2 * step


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("source", ALL_DTYPES, ids=lambda d: d.name)
def test_bitcasts(source: DType, backend: str) -> None:
    array = samples(source)
    targets = [t for t in ALL_DTYPES if t.itemsize == source.itemsize and t is not dtypes.bool]
    nodes = [graph.bitcast(leaf(array), target) for target in targets]
    with settings.override(backend=backend):
        realize(nodes)
    kept = array == array  # the bits of a NaN may become those of a quiet one
    for node in nodes:
        expected = array.view(node.dtype.numpy)
        same(values_of(node)[kept], expected[kept], f"{source.name} as {node.dtype.name}")
