"""Accuracy and special values of the elementary functions that the code generator writes.

The claims are docs/elementary-functions.md: its table is read here, and each function must stay
within the ulps it states, on a sample of all bit patterns and a denser one of ordinary sizes,
against float64 (for float32), or the x87's long double or mpmath (for float64).
elementary_kernels.py compiles the functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy import special

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary import ELEMENTARY
from tests.codegen.elementary_kernels import KINDS, compiled, ulps, with_mpmath

pytestmark = pytest.mark.slow  # kept out of `make check`

DOCUMENT = Path(__file__).parents[2] / "docs" / "elementary-functions.md"
CHUNK = 1 << 18
# Distances between the bit patterns tried; primes, so that every exponent meets all kinds of
# mantissas.
STRIDES = {"host512": 997, "avx2": 2003, "scalar": 20011, "wide_portable": 20021}
INFINITY, NAN = np.inf, np.nan


def sigmoid(x: np.ndarray) -> np.ndarray:
    t = np.exp(-np.abs(x))
    return np.where(x < 0, t, 1) / (1 + t)


REFERENCES: dict[str, Callable[..., np.ndarray]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "sigmoid": sigmoid,
    "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "pow": np.power,
    "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "atan2": np.arctan2,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "erf": special.erf, "erfc": special.erfc,
}  # fmt: skip
BINARY = ("pow", "atan2")
UNARY = [name for name in REFERENCES if name not in BINARY]
# SciPy has these in float64 only, which is no reference for float64: mpmath is.
DOUBLE = [name for name in UNARY if name not in ("erf", "erfc")]


def stated_ulps(column: int) -> dict[str, float]:
    """The figures of a column of the document's table."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", DOCUMENT.read_text(), re.MULTILINE)
    return {row[0]: float(row[column]) for row in rows}


FLOAT_ULPS, DOUBLE_ULPS = stated_ulps(1), stated_ulps(2)


def test_document_names_every_function() -> None:
    assert set(FLOAT_ULPS) == set(ELEMENTARY) == set(REFERENCES)
    assert max(FLOAT_ULPS.values()) <= 2


def check(
    name: str,
    element: str,
    kind: str,
    *operands: np.ndarray,
    reference: Callable[..., np.ndarray] | None = None,
) -> None:
    """Assert that the results are within the stated ulps of `reference` (NumPy's or SciPy's
    function unless given), and have its signs."""
    reference = reference or REFERENCES[name]
    wide = {"float": np.float64, "double": np.longdouble}[element]
    limit = {"float": FLOAT_ULPS, "double": DOUBLE_ULPS}[element][name]
    function = compiled(name, element, kind, len(operands))
    for start in range(0, len(operands[0]), CHUNK):
        chunk = [operand[start : start + CHUNK] for operand in operands]
        actual = function(*chunk)
        with np.errstate(all="ignore"):
            expected = reference(*(operand.astype(wide) for operand in chunk))
            error = ulps(actual, expected)
        wrong_sign = (np.signbit(actual) != np.signbit(expected)) & ~np.isnan(expected)
        worst = int(np.where(wrong_sign, np.inf, error).argmax())
        given = [operand[worst] for operand in chunk]
        assert not wrong_sign.any() and error.max() <= limit, (
            f"{name}{tuple(given)}: {actual[worst]!r}, not {expected[worst]!r}: {error[worst]} ulp"
        )


def float32_sample(stride: int) -> np.ndarray:
    """Every stride-th bit pattern, and as many again of sizes 2**-14 to 2**8 (at most a
    million)."""
    patterns = np.arange(0, 1 << 32, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)
    count = min(len(patterns), 1 << 20)
    generator = np.random.default_rng(stride)
    sizes = np.exp2(generator.uniform(-14, 8, count)) * generator.choice([-1, 1], count)
    return np.concatenate([patterns, sizes.astype(np.float32)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", UNARY)
def test_float32_accuracy(name: str, kind: str) -> None:
    check(name, "float", kind, float32_sample(STRIDES[kind]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BINARY)
def test_float32_accuracy_of_two_operands(name: str, kind: str) -> None:
    generator = np.random.default_rng(1)
    count = CHUNK if kind in ("host512", "avx2") else CHUNK // 8

    def patterns() -> np.ndarray:
        return (
            generator.integers(0, 1 << 32, count, dtype=np.uint64)
            .astype(np.uint32)
            .view(np.float32)
        )

    def sizes(low: float, high: float) -> np.ndarray:
        signs = generator.choice([-1, 1], count)
        return (np.exp2(generator.uniform(low, high, count)) * signs).astype(np.float32)

    integers = generator.integers(-40, 40, count).astype(np.float32)
    for pair in (
        (patterns(), patterns()),
        (np.abs(sizes(-10, 10)), sizes(-6, 4)),
        (sizes(-3, 3), integers),
        (sizes(-20, 20), sizes(-20, 20)),
        (1 + sizes(-24, -5), sizes(0, 30)),
    ):
        check(name, "float", kind, *pair)


needs_long_double = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63,
    reason="long double is no wider than double here: there is no reference",
)


@needs_long_double
@pytest.mark.parametrize("kind", ["host512", "avx2", "scalar"])
@pytest.mark.parametrize("name", DOUBLE)
def test_float64_accuracy(name: str, kind: str) -> None:
    generator = np.random.default_rng(2)
    count = 30_000
    patterns = generator.integers(0, 1 << 64, count, dtype=np.uint64).view(np.float64)
    if name in ("sin", "cos", "tan"):
        # The x87's sine and cosine reduce by a 66-bit pi: beyond some size they are no reference.
        patterns = patterns[~(np.abs(patterns) > 2.0**40)]
    sizes = np.exp2(generator.uniform(-30, 10, count)) * generator.choice([-1, 1], count)
    check(name, "double", kind, np.concatenate([patterns, sizes]))


# Intervals between which the code or the size of the result changes; the last ends at underflow.
ERROR_INTERVALS = {
    "erf": ((1e-300, 1e-3), (1e-3, 0.5), (0.5, 0.92), (0.92, 1.2), (1.2, 2), (2, 4), (4, 6.2)),
    "erfc": ((-6, 0), (0, 0.1), (0.1, 0.4), (0.4, 1), (1, 4), (4, 10), (10, 26.5), (26.5, 27.3)),
}


@needs_long_double
@pytest.mark.parametrize("name", ERROR_INTERVALS)
def test_float64_error_functions(name: str) -> None:
    generator = np.random.default_rng(3)
    parts = [generator.uniform(low, high, 2000) for low, high in ERROR_INTERVALS[name]]
    x = np.concatenate(parts)
    # The reference is slow: once for all kinds.
    expected = with_mpmath(getattr(mpmath, name))(x)
    for kind in KINDS:
        for sign in (1, -1) if name == "erf" else (1,):
            error = ulps(compiled(name, "double", kind, 1)(x * sign), expected * sign)
            worst = error.argmax()
            assert error[worst] <= DOUBLE_ULPS[name], f"{kind}: {name}({x[worst] * sign!r})"


@needs_long_double
@pytest.mark.parametrize("kind", KINDS)
def test_float64_power(kind: str) -> None:
    """Results of all sizes down to subnormal ones, and bases near 1, where log2 is small."""
    generator = np.random.default_rng(4)
    count = 2000

    def sizes(low: float, high: float) -> np.ndarray:
        return np.exp2(generator.uniform(low, high, count))

    def signs() -> np.ndarray:
        return generator.choice([-1, 1], count)

    wide, near = sizes(-1000, 1000), 1 + sizes(-40, -5) * signs()
    beside = generator.uniform(0.75, 1.5, count)
    logarithms = generator.uniform(-1074, 1024, (3, count))
    for x, y in (
        (sizes(-10, 10), sizes(-6, 4) * signs()),
        (wide, logarithms[0] / np.log2(wide)),
        (near, logarithms[1] / np.log2(near)),
        (beside, logarithms[2] / np.log2(beside)),
        (sizes(-1073, -1022), generator.uniform(-0.9, 0.9, count)),
        (sizes(-6, 6) * signs(), generator.integers(-40, 40, count).astype(np.float64)),
    ):
        check("pow", "double", kind, x, y, reference=with_mpmath(mpmath.power))


@needs_long_double
@pytest.mark.parametrize("kind", KINDS)
def test_float64_power_of_any_bit_pattern(kind: str) -> None:
    """Mostly overflow, underflow, negative bases and NaN; NumPy's long double decides."""
    generator = np.random.default_rng(5)
    x, y = generator.integers(0, 1 << 64, (2, 30_000), dtype=np.uint64).view(np.float64)
    check("pow", "double", kind, x, y)


@needs_long_double
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_float64_huge_angles(name: str) -> None:
    """Up to the largest float64, and the one that lies nearest to a multiple of pi/2."""
    generator = np.random.default_rng(6)
    x = np.exp2(generator.uniform(17, 1024, 1500)) * generator.choice([-1, 1], 1500)
    limits = [2.0**17, np.nextafter(2.0**17, 2.0**18), np.finfo(np.float64).max]
    x = np.concatenate([x, limits, [6381956970095103 * 2.0**797]])
    expected = with_mpmath(getattr(mpmath, name))(x)
    for kind in KINDS:
        error = ulps(compiled(name, "double", kind, 1)(x), expected)
        worst = error.argmax()
        assert error[worst] <= DOUBLE_ULPS[name], f"{kind}: {name}({x[worst]!r})"


# Each row: a function, an operand and what C99's annex F says it gives.
SPECIAL = (
    ("exp", -INFINITY, 0.0), ("exp", INFINITY, INFINITY), ("exp", 0.0, 1.0), ("exp", -0.0, 1.0),
    ("exp", 89.0, INFINITY), ("exp", -104.0, 0.0), ("exp", -103.0, 2.0**-149),
    ("exp2", -149.0, 2.0**-149), ("exp2", 127.0, 2.0**127), ("exp2", 128.0, INFINITY),
    ("exp2", 10.0, 1024.0), ("exp2", -INFINITY, 0.0), ("expm1", -INFINITY, -1.0),
    ("expm1", INFINITY, INFINITY), ("expm1", -0.0, -0.0), ("expm1", 0.0, 0.0),
    ("expm1", 1e-45, 1e-45), ("sigmoid", -INFINITY, 0.0), ("sigmoid", INFINITY, 1.0),
    ("sigmoid", 0.0, 0.5), ("log", 0.0, -INFINITY), ("log", -0.0, -INFINITY), ("log", 1.0, 0.0),
    ("log", -1.0, NAN), ("log", INFINITY, INFINITY), ("log", -INFINITY, NAN),
    ("log", -1e-45, NAN), ("log2", 2.0**-149, -149.0), ("log2", 2.0**127, 127.0),
    ("log2", 0.0, -INFINITY), ("log10", 1.0, 0.0), ("log10", -0.0, -INFINITY),
    ("log10", INFINITY, INFINITY), ("log1p", -1.0, -INFINITY), ("log1p", -2.0, NAN),
    ("log1p", -0.0, -0.0), ("log1p", INFINITY, INFINITY), ("log1p", -INFINITY, NAN),
    ("log1p", 1e-45, 1e-45), ("sqrt", -0.0, -0.0), ("sqrt", -1.0, NAN),
    ("sqrt", INFINITY, INFINITY), ("rsqrt", 0.0, INFINITY), ("rsqrt", -0.0, -INFINITY),
    ("rsqrt", INFINITY, 0.0), ("rsqrt", -1.0, NAN), ("rsqrt", 4.0, 0.5), ("sin", 0.0, 0.0),
    ("sin", -0.0, -0.0), ("sin", INFINITY, NAN), ("sin", -INFINITY, NAN), ("sin", 1e-45, 1e-45),
    ("cos", 0.0, 1.0), ("cos", INFINITY, NAN), ("tan", -0.0, -0.0), ("tan", -INFINITY, NAN),
    ("tan", 1e-45, 1e-45), ("asin", -0.0, -0.0), ("asin", 1.5, NAN), ("asin", INFINITY, NAN),
    ("asin", 1e-45, 1e-45), ("acos", 1.0, 0.0), ("acos", -1.5, NAN), ("acos", -INFINITY, NAN),
    ("atan", -0.0, -0.0), ("atan", INFINITY, np.pi / 2), ("atan", -INFINITY, -np.pi / 2),
    ("sinh", -0.0, -0.0), ("sinh", INFINITY, INFINITY), ("sinh", -INFINITY, -INFINITY),
    ("sinh", 1e-45, 1e-45), ("cosh", 0.0, 1.0), ("cosh", -INFINITY, INFINITY),
    ("tanh", -0.0, -0.0), ("tanh", INFINITY, 1.0), ("tanh", -INFINITY, -1.0),
    ("tanh", 1e-45, 1e-45), ("erf", -0.0, -0.0), ("erf", INFINITY, 1.0), ("erf", -INFINITY, -1.0),
    ("erf", 0.0, 0.0), ("erfc", INFINITY, 0.0), ("erfc", -INFINITY, 2.0),
)  # fmt: skip
SPECIAL_PAIRS = (
    ("pow", 0.0, 0.0, 1.0), ("pow", NAN, 0.0, 1.0), ("pow", 1.0, NAN, 1.0),
    ("pow", NAN, 1.0, NAN), ("pow", 2.0, NAN, NAN), ("pow", 0.0, NAN, NAN),
    ("pow", INFINITY, NAN, NAN), ("pow", -1.0, INFINITY, 1.0), ("pow", -1.0, -INFINITY, 1.0),
    ("pow", -1.0, NAN, NAN), ("pow", 0.5, INFINITY, 0.0), ("pow", 0.5, -INFINITY, INFINITY),
    ("pow", 2.0, INFINITY, INFINITY), ("pow", -2.0, INFINITY, INFINITY),
    ("pow", -0.5, INFINITY, 0.0), ("pow", -0.0, -INFINITY, INFINITY),
    ("pow", 0.0, -1.0, INFINITY), ("pow", -0.0, -1.0, -INFINITY), ("pow", -0.0, -2.0, INFINITY),
    ("pow", -0.0, 3.0, -0.0), ("pow", -0.0, 2.5, 0.0), ("pow", -0.0, -2.5, INFINITY),
    ("pow", INFINITY, -1.0, 0.0), ("pow", -INFINITY, 3.0, -INFINITY),
    ("pow", -INFINITY, -3.0, -0.0), ("pow", -INFINITY, 2.5, INFINITY),
    ("pow", -INFINITY, 2.0, INFINITY), ("pow", -8.0, 0.5, NAN), ("pow", -2.0, 3.0, -8.0),
    ("pow", -2.0, 2.0, 4.0), ("pow", -1.0, 2.0**24, 1.0), ("pow", -1.0, 2.0**24 - 1, -1.0),
    ("pow", 2.0, -149.0, 2.0**-149), ("pow", 2.0, 128.0, INFINITY), ("atan2", 0.0, 0.0, 0.0),
    ("atan2", -0.0, 0.0, -0.0), ("atan2", 0.0, -0.0, np.pi), ("atan2", -0.0, -0.0, -np.pi),
    ("atan2", -0.0, 1.0, -0.0), ("atan2", -0.0, -1.0, -np.pi), ("atan2", 1.0, 0.0, np.pi / 2),
    ("atan2", -1.0, -0.0, -np.pi / 2), ("atan2", INFINITY, INFINITY, np.pi / 4),
    ("atan2", -INFINITY, INFINITY, -np.pi / 4), ("atan2", INFINITY, -INFINITY, 3 * np.pi / 4),
    ("atan2", -INFINITY, -INFINITY, -3 * np.pi / 4), ("atan2", 1.0, INFINITY, 0.0),
    ("atan2", -1.0, INFINITY, -0.0), ("atan2", 1.0, -INFINITY, np.pi),
    ("atan2", INFINITY, 1.0, np.pi / 2), ("atan2", NAN, 1.0, NAN), ("atan2", 1.0, NAN, NAN),
    ("atan2", NAN, INFINITY, NAN), ("atan2", 0.0, NAN, NAN),
)  # fmt: skip
# At the limits of float64.
SPECIAL_DOUBLE = (
    ("pow", 2.0, -1074.0, 2.0**-1074), ("pow", 2.0, -1076.0, 0.0), ("pow", 2.0, 1023.0, 2.0**1023),
    ("pow", 2.0, 1024.0, INFINITY), ("pow", -2.0, 1025.0, -INFINITY), ("pow", -2.0, -1077.0, -0.0),
    ("pow", -1.0, 2.0**53 - 1, -1.0), ("pow", -1.0, 2.0**53, 1.0), ("pow", -3.0, 1e300, INFINITY),
    ("pow", 1 + 2.0**-52, 1e300, INFINITY), ("pow", 1 - 2.0**-53, 1e300, 0.0),
    ("pow", 1.0, 1e300, 1.0), ("pow", 5e-324, -1.0, INFINITY), ("pow", 5e-324, 0.5, 2.0**-537),
    ("pow", 1e308, 1e308, INFINITY), ("pow", 1e308, -1e308, 0.0), ("pow", 10.0, 5e-324, 1.0),
    ("erf", 5e-324, 5e-324), ("erf", 6.0, 1.0), ("erfc", 27.3, 0.0), ("erfc", 1e300, 0.0),
    ("erfc", -6.0, 2.0), ("erfc", 5e-324, 1.0),
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("element", ["float", "double"])
def test_special_values(element: str, kind: str) -> None:
    dtype = {"float": np.float32, "double": np.float64}[element]
    rows = [*SPECIAL, *SPECIAL_PAIRS, *((name, NAN, NAN) for name in UNARY)]
    for name, *operands, expected in rows:
        if element == "double" and name.startswith("exp") and abs(operands[0]) > 80:
            continue  # float32's limits
        if element == "double" and name == "pow" and abs(operands[1]) > 100:
            continue
        arrays = [np.full(3, operand, dtype) for operand in operands]
        actual = compiled(name, element, kind, len(arrays))(*arrays)
        assert_special(name, operands, actual, dtype(expected), rtol=4e-7)


def assert_special(
    name: str, operands: list[float], actual: np.ndarray, expected: np.floating, rtol: float
) -> None:
    """Assert that all of `actual` is `expected`, with its sign."""
    assert np.allclose(actual, expected, rtol=rtol, atol=0, equal_nan=True), (
        f"{name}{tuple(operands)} is {actual[0]}, not {expected}"
    )
    if not np.isnan(expected):
        assert np.all(np.signbit(actual) == np.signbit(expected)), (
            f"{name}{tuple(operands)} has the wrong sign"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_special_values_of_float64_alone(kind: str) -> None:
    for name, *operands, expected in SPECIAL_DOUBLE:
        arrays = [np.full(3, operand) for operand in operands]
        actual = compiled(name, "double", kind, len(arrays))(*arrays)
        assert_special(name, operands, actual, np.float64(expected), rtol=0)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_near_multiples_of_half_pi(name: str) -> None:
    """Where the reduction cancels most: the float32 nearest to each multiple, small and large."""
    multiples = np.concatenate([np.arange(-200_000, 200_000), 2.0 ** np.arange(0, 120)])
    x = (multiples * (np.pi / 2)).astype(np.float32)
    check(name, "float", "host512", x)


def test_lanes_do_not_influence_each_other() -> None:
    """A huge angle sends the whole vector through the branch; its neighbours keep their results."""
    x = np.linspace(-3, 3, 64, dtype=np.float32)
    alone = compiled("sin", "float", "host512", 1)(x)
    mixed = x.copy()
    mixed[::5] = 1e30
    together = compiled("sin", "float", "host512", 1)(mixed)
    keep = np.arange(64) % 5 != 0
    assert np.array_equal(alone[keep], together[keep])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["exp", "exp2"])
def test_powers_that_vanish(name: str, kind: str) -> None:
    """Zeros beside subnormal and normal results, lane by lane, down to half the least number."""
    places = np.linspace(-1.02, -0.82, 61, dtype=np.float32) * (104 if name == "exp" else 150)
    x = np.concatenate([places, [-np.inf, np.nan, 0]]).astype(np.float32)
    np.random.default_rng(3).shuffle(x)
    exact = getattr(np, name)(x.astype(np.float64))
    actual = compiled(name, "float", kind, 1)(x)
    np.testing.assert_allclose(actual, exact, rtol=2.0**-22, atol=0.51 * 2.0**-149)
    assert not actual[exact < 0.49 * 2.0**-149].any()


@pytest.mark.parametrize("type_name", ["<16 x float>", "<8 x double>"])
@pytest.mark.parametrize("name", ELEMENTARY)
def test_portable_form_names_no_target(name: str, type_name: str) -> None:
    """Without features the code has no intrinsic of one CPU, so that any LLVM target can take
    it."""
    b = Builder()
    operands = [Value(f"%x{k}", type_name) for k in range(2 if name in BINARY else 1)]
    ELEMENTARY[name](b, *operands)
    assert not [declared for declared in b.declarations if declared.startswith("llvm.x86")]
