"""The namespace against array-api-strict, the reference implementation: signatures, values, types.

`CALLS` has one or more calls for each function, written once and made with both libraries.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest

import grad
import grad.array_api as xp
from grad.errors import ArgumentError, DTypeError, ShapeError

# Not there, as docs/array-api.md says, or no part of the standard.
ABSENT = {"complex64", "complex128", "fft"}
NOT_STANDARD = {
    "ArrayAPIStrictFlags", "Device", "__version__", "get_array_api_strict_flags",
    "reset_array_api_strict_flags", "set_array_api_strict_flags",
    "broadcast_shapes", "isin",  # of the version after
}  # fmt: skip
# array-api-strict has a marker where the standard has None.
OWN_DEFAULTS = {"astype", "from_dlpack"}

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64")
NUMERIC = INTEGERS + FLOATS


@pytest.fixture(autouse=True)
def version() -> None:
    strict.set_array_api_strict_flags(api_version="2024.12")


@pytest.fixture
def default_of_strict() -> Iterator[None]:
    """float64 as the default type, as it is in array-api-strict."""
    before = grad.get_default_dtype()
    grad.set_default_dtype(grad.float64)
    yield
    grad.set_default_dtype(before)


def names(module: Any) -> list[str]:
    return sorted(set(module.__all__) - NOT_STANDARD - ABSENT)


# -- names and signatures --------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", names(strict) + [f"linalg.{name}" for name in names(strict.linalg)]
)
def test_signature(name: str) -> None:
    *extension, function = name.split(".")
    theirs, ours = (getattr(m, extension[0]) if extension else m for m in (strict, xp))
    theirs, ours = getattr(theirs, function), getattr(ours, function)
    if inspect.isfunction(theirs):
        expected = inspect.signature(theirs).parameters.values()
        found = inspect.signature(ours).parameters.values()
        assert [(p.name, p.kind) for p in found] == [(p.name, p.kind) for p in expected]
        if function not in OWN_DEFAULTS:
            assert [p.default for p in found] == [p.default for p in expected]


def test_what_is_absent_is_absent() -> None:
    assert not [name for name in ABSENT if hasattr(xp, name)]
    assert "complex floating" not in xp.__array_namespace_info__().default_dtypes()


# -- values and types ------------------------------------------------------------------------------
class Arrays:
    """Arrays of one library, the same in both for the same seed."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.random = np.random.default_rng(7)

    def __call__(self, *shape: int, dtype: str = "float32", low: int = -6, high: int = 6) -> Any:
        if dtype == "bool":
            return self.library.asarray(self.random.integers(0, 2, shape).astype(bool))
        if dtype.startswith("uint"):
            low = 0
        if dtype.startswith("float"):
            values = np.asarray(self.random.uniform(low, high, shape))
        else:
            values = np.asarray(self.random.integers(low, high, shape))
        return self.library.asarray(values.astype(dtype))


Call = Callable[[Any, Arrays], Any]


def in_all(dtypes: tuple[str, ...], make: Callable[[str], Call]) -> list[Call]:
    return [make(dtype) for dtype in dtypes]


def one(name: str, dtype: str, **range_: int) -> Call:
    return lambda xp, a: getattr(xp, name)(a(3, 5, dtype=dtype, **range_))


def two(name: str, first: str, second: str, **range_: int) -> Call:
    return lambda xp, a: getattr(xp, name)(
        a(3, 1, dtype=first, **range_), a(1, 4, dtype=second, **range_)
    )


def with_number(name: str, dtype: str, number: Any, **range_: int) -> Call:
    return lambda xp, a: getattr(xp, name)(a(3, 4, dtype=dtype, **range_), number)


def number_first(name: str, dtype: str, number: Any, **range_: int) -> Call:
    return lambda xp, a: getattr(xp, name)(number, a(3, 4, dtype=dtype, **range_))


def elementwise() -> dict[str, list[Call]]:
    calls: dict[str, list[Call]] = {}
    anywhere = (
        "abs ceil floor negative positive round sign square trunc isfinite isinf isnan conj real"
    )
    for name in anywhere.split():
        calls[name] = in_all(NUMERIC, lambda dtype, name=name: one(name, dtype))
    smooth = "atan asinh cos cosh exp expm1 sin sinh tan tanh signbit reciprocal"
    for name in smooth.split():
        calls[name] = in_all(FLOATS, lambda dtype, name=name: one(name, dtype))
    for name, low, high in [("acos", -1, 1), ("asin", -1, 1), ("atanh", -1, 1), ("acosh", 1, 9),
                            ("log", 0, 9), ("log1p", 0, 9), ("log2", 0, 9), ("log10", 0, 9),
                            ("sqrt", 0, 9)]:  # fmt: skip
        calls[name] = in_all(
            FLOATS,
            lambda dtype, name=name, low=low, high=high: one(name, dtype, low=low, high=high),
        )
    pairs = [("int8", "int32"), ("uint8", "int8"), ("uint16", "uint8"), ("uint16", "int32"),
             ("uint32", "int16"), ("uint64", "uint64"), ("float32", "float64"),
             ("float32", "float32")]  # fmt: skip
    for name in ["add", "subtract", "multiply", "maximum", "minimum", "equal", "not_equal", "less",
                 "less_equal", "greater", "greater_equal"]:  # fmt: skip
        calls[name] = [two(name, *pair, low=0) for pair in pairs]
        calls[name] += [with_number(name, dtype, 3) for dtype in ("int8", "uint32", "float32")]
        calls[name] += [number_first(name, dtype, 3) for dtype in ("int8", "uint32", "float32")]
        calls[name] += [with_number(name, "float64", 2.5), number_first(name, "float32", 2.5)]
    for name in ["floor_divide", "remainder", "pow"]:
        calls[name] = [two(name, *pair, low=1) for pair in pairs]
        calls[name] += [with_number(name, dtype, 3) for dtype in ("int8", "float32")]
        calls[name] += [number_first(name, dtype, 3, low=1) for dtype in ("int8", "float32")]
    for name in ["atan2", "copysign", "divide", "hypot", "logaddexp", "nextafter"]:
        calls[name] = [two(name, "float32", "float32"), two(name, "float64", "float64"),
                       with_number(name, "float32", 2.5), number_first(name, "float64", -1.5),
                       with_number(name, "float32", 3)]  # fmt: skip
    for name in ["bitwise_and", "bitwise_or", "bitwise_xor"]:
        calls[name] = [two(name, *pair) for pair in [*pairs[:-2], ("bool", "bool")]]
        calls[name] += [with_number(name, "int16", 5), number_first(name, "uint8", 5),
                        with_number(name, "bool", True)]  # fmt: skip
    for name in ["bitwise_left_shift", "bitwise_right_shift"]:
        calls[name] = [two(name, *pair, low=0) for pair in pairs[:-2]]
        calls[name] += [with_number(name, "int16", 2), number_first(name, "uint8", 5, low=0)]
    calls["bitwise_invert"] = in_all((*INTEGERS, "bool"), lambda d: one("bitwise_invert", d))
    calls["logical_not"] = [one("logical_not", "bool")]
    for name in ["logical_and", "logical_or", "logical_xor"]:
        calls[name] = [two(name, "bool", "bool"), with_number(name, "bool", True),
                       number_first(name, "bool", False)]  # fmt: skip
    calls["clip"] = [
        lambda xp, a: xp.clip(a(4, 5), -1.0, 2),
        lambda xp, a: xp.clip(a(4, 5), min=-1.0),
        lambda xp, a: xp.clip(a(4, 5), max=a(5)),
        lambda xp, a: xp.clip(a(4, 5, dtype="int8"), -1, 2),
        lambda xp, a: xp.clip(a(4, 5, dtype="uint8"), min=a(4, 1, dtype="uint8"), max=5),
        lambda xp, a: xp.clip(a(4, 5)),
    ]
    return calls


def reductions() -> dict[str, list[Call]]:
    calls: dict[str, list[Call]] = {}
    axes: list[dict[str, Any]] = [
        {},
        {"axis": 1},
        {"axis": (0, -1)},
        {"axis": ()},
        {"axis": (), "keepdims": True},
        {"axis": -2, "keepdims": True},
        {"keepdims": True},
    ]
    for name in ["sum", "prod", "max", "min", "count_nonzero"]:
        calls[name] = [
            lambda xp, a, name=name, options=options: getattr(xp, name)(
                a(2, 3, 4, low=-2, high=3), **options
            )
            for options in axes
        ]
        calls[name] += in_all(
            NUMERIC,
            lambda dtype, name=name: (
                lambda xp, a: getattr(xp, name)(a(2, 3, dtype=dtype, low=-2, high=3), axis=0)
            ),
        )
    for name in ["sum", "prod"]:
        calls[name] += [
            lambda xp, a, name=name: getattr(xp, name)(a(2, 3, dtype="int8"), dtype=xp.float64),
            lambda xp, a, name=name: getattr(xp, name)(a(2, 3), dtype=xp.float64, axis=1),
            lambda xp, a, name=name: getattr(xp, name)(a(2, 3, dtype="int8"), dtype=xp.int16),
            lambda xp, a, name=name: getattr(xp, name)(xp.zeros((0, 3)), axis=0),
        ]
    for name in ["mean", "std", "var"]:
        calls[name] = [
            lambda xp, a, name=name, options=options: getattr(xp, name)(a(2, 3, 4), **options)
            for options in axes
        ]
    for name in ["std", "var"]:
        calls[name] += [
            lambda xp, a, name=name: getattr(xp, name)(a(2, 5), correction=1),
            lambda xp, a, name=name: getattr(xp, name)(a(2, 5), axis=1, correction=0.5),
        ]
    for name in ["all", "any"]:
        calls[name] = [
            lambda xp, a, name=name, options=options: getattr(xp, name)(
                a(2, 3, 4, dtype="bool"), **options
            )
            for options in axes
        ]
        calls[name] += in_all(NUMERIC, lambda dtype, name=name: one(name, dtype))
    for name in ["cumulative_sum", "cumulative_prod"]:
        calls[name] = in_all(
            NUMERIC,
            lambda dtype, name=name: lambda xp, a: getattr(xp, name)(a(2, 4, dtype=dtype), axis=1),
        )
        calls[name] += [
            lambda xp, a, name=name: getattr(xp, name)(a(5)),
            lambda xp, a, name=name: getattr(xp, name)(a(3, 5), axis=-2, include_initial=True),
            lambda xp, a, name=name: getattr(xp, name)(
                a(5, dtype="int8"), dtype=xp.float64, include_initial=True
            ),
        ]
    for name in ["argmax", "argmin"]:
        calls[name] = [
            lambda xp, a, name=name: getattr(xp, name)(a(3, 4, dtype="int8", low=0, high=3)),
            lambda xp, a, name=name: getattr(xp, name)(a(3, 4), axis=1),
            lambda xp, a, name=name: getattr(xp, name)(a(3, 4), axis=0, keepdims=True),
            lambda xp, a, name=name: getattr(xp, name)(a(3, 4), keepdims=True),
            lambda xp, a, name=name: getattr(xp, name)(a(3, 4, dtype="uint64"), axis=-1),
        ]
    calls["diff"] = [
        lambda xp, a: xp.diff(a(3, 5)),
        lambda xp, a: xp.diff(a(3, 5, dtype="int16"), axis=0, n=2),
        lambda xp, a: xp.diff(a(3, 5), prepend=a(3, 2), append=a(3, 1)),
        lambda xp, a: xp.diff(a(5), n=0),
    ]
    return calls


def manipulation() -> dict[str, list[Call]]:
    return {
        "broadcast_arrays": [lambda xp, a: xp.broadcast_arrays(a(3, 1), a(4, dtype="int8"))],
        "broadcast_to": [lambda xp, a: xp.broadcast_to(a(3, 1), (2, 3, 4))],
        "concat": [
            lambda xp, a: xp.concat([a(2, 3), a(1, 3)]),
            lambda xp, a: xp.concat((a(2, 3), a(2, 1, dtype="float64")), axis=-1),
            lambda xp, a: xp.concat([a(2, 3, dtype="uint8"), a(4, dtype="int8")], axis=None),
        ],
        "expand_dims": [lambda xp, a, k=k: xp.expand_dims(a(2, 3), k) for k in (0, 1, 2, -1, -3)],
        "flip": [
            lambda xp, a: xp.flip(a(2, 3)),
            lambda xp, a: xp.flip(a(2, 3), axis=1),
            lambda xp, a: xp.flip(a(2, 3, 4), axis=(0, -1)),
            lambda xp, a: xp.flip(a()),
        ],
        "moveaxis": [
            lambda xp, a: xp.moveaxis(a(2, 3, 4), 0, -1),
            lambda xp, a: xp.moveaxis(a(2, 3, 4), (0, 1), (-1, 0)),
        ],
        "permute_dims": [lambda xp, a: xp.permute_dims(a(2, 3, 4), (2, 0, 1))],
        "repeat": [
            lambda xp, a: xp.repeat(a(2, 3), 2),
            lambda xp, a: xp.repeat(a(2, 3), 2, axis=1),
            lambda xp, a: xp.repeat(a(2, 3), xp.asarray([1, 0, 2]), axis=1),
            lambda xp, a: xp.repeat(a(3), xp.asarray([2])),
        ],
        "reshape": [
            lambda xp, a: xp.reshape(a(2, 6), (3, -1)),
            lambda xp, a: xp.reshape(a(2, 6), (12,), copy=True),
            lambda xp, a: xp.reshape(a(2, 6), (4, 3), copy=False),
        ],
        "roll": [
            lambda xp, a: xp.roll(a(2, 5), 2),
            lambda xp, a: xp.roll(a(2, 5), -1, axis=1),
            lambda xp, a: xp.roll(a(2, 5), (1, 2), axis=(0, 1)),
            lambda xp, a: xp.roll(a(2, 5), 1, axis=(0, 1)),
        ],
        "squeeze": [
            lambda xp, a: xp.squeeze(a(2, 1, 3), 1),
            lambda xp, a: xp.squeeze(a(1, 3, 1), (0, -1)),
        ],
        "stack": [
            lambda xp, a: xp.stack([a(2, 3), a(2, 3)]),
            lambda xp, a: xp.stack([a(2, 3), a(2, 3, dtype="float64")], axis=-1),
        ],
        "tile": [
            lambda xp, a: xp.tile(a(2, 3), (2,)),
            lambda xp, a: xp.tile(a(2, 3), (2, 1, 2)),
        ],
        "unstack": [lambda xp, a: xp.unstack(a(2, 3)), lambda xp, a: xp.unstack(a(2, 3), axis=-1)],
        "tril": [lambda xp, a: xp.tril(a(3, 4)), lambda xp, a: xp.tril(a(2, 3, 3), k=-1)],
        "triu": [lambda xp, a: xp.triu(a(3, 4)), lambda xp, a: xp.triu(a(2, 3, 3), k=1)],
        "meshgrid": [
            lambda xp, a: xp.meshgrid(a(3), a(4)),
            lambda xp, a: xp.meshgrid(a(3), a(4), a(2), indexing="ij"),
        ],
    }


def searching() -> dict[str, list[Call]]:
    whole = {"dtype": "int16", "low": 0, "high": 4}
    return {
        "argsort": [
            lambda xp, a: xp.argsort(a(3, 5)),
            lambda xp, a: xp.argsort(a(3, 9, **whole), axis=0),
            lambda xp, a: xp.argsort(a(9, **whole), descending=True),
        ],
        "sort": [
            lambda xp, a: xp.sort(a(3, 5)),
            lambda xp, a: xp.sort(a(3, 5, dtype="uint64"), axis=0, descending=True),
            lambda xp, a: xp.sort(a(3, 5, dtype="int8"), stable=False),
        ],
        "nonzero": [lambda xp, a: xp.nonzero(a(3, 4, **whole)),
                    lambda xp, a: xp.nonzero(a(5, dtype="bool"))],
        "searchsorted": [
            lambda xp, a: xp.searchsorted(xp.sort(a(9, **whole)), a(2, 4, **whole)),
            lambda xp, a: xp.searchsorted(xp.sort(a(9, **whole)), a(5, **whole), side="right"),
            lambda xp, a: xp.searchsorted(xp.asarray([3.0, 1.0, 2.0]), a(4),
                                          sorter=xp.asarray([1, 2, 0])),
        ],
        "where": [
            lambda xp, a: xp.where(a(3, 1, dtype="bool"), a(4), a(3, 4, dtype="float64")),
            lambda xp, a: xp.where(a(3, dtype="bool"), a(3), 0),
            lambda xp, a: xp.where(a(3, dtype="bool"), 1, a(3, dtype="int8")),
        ],
        "take": [
            lambda xp, a: xp.take(a(5), xp.asarray([0, -1, 2])),
            lambda xp, a: xp.take(a(2, 5, 3), xp.asarray([4, 0]), axis=1),
            lambda xp, a: xp.take(a(2, 5), xp.asarray([1], dtype=xp.int8), axis=-2),
        ],
        "take_along_axis": [
            lambda xp, a: xp.take_along_axis(a(2, 5), xp.argsort(a(2, 5))),
            lambda xp, a: xp.take_along_axis(a(3, 4), xp.asarray([[0], [-1], [2]]), axis=1),
            lambda xp, a: xp.take_along_axis(a(3, 4), xp.asarray([[0, 2, 1, 1]]), axis=0),
        ],
        "unique_all": [lambda xp, a: xp.unique_all(a(3, 6, **whole)),
                       lambda xp, a: xp.unique_all(xp.asarray([], dtype=xp.float32))],
        "unique_counts": [lambda xp, a: xp.unique_counts(a(20, **whole))],
        "unique_inverse": [lambda xp, a: xp.unique_inverse(a(3, 6, **whole))],
        "unique_values": [
            lambda xp, a: xp.unique_values(a(3, 6, **whole)),
            lambda xp, a: xp.unique_values(xp.asarray([2.0, float("nan"), float("nan"), -1.0])),
            lambda xp, a: xp.unique_values(a(9, dtype="bool")),
        ],
    }  # fmt: skip


def creation() -> dict[str, list[Call]]:
    return {
        "arange": [
            lambda xp, a: xp.arange(5),
            lambda xp, a: xp.arange(2, 9, 3),
            lambda xp, a: xp.arange(5, 1, -1),
            lambda xp, a: xp.arange(5, 1),
            lambda xp, a: xp.arange(0.0, 1.0, 0.25),
            lambda xp, a: xp.arange(3, dtype=xp.uint8),
            lambda xp, a: xp.arange(1, stop=4, step=2, dtype=xp.float64),
        ],
        "asarray": [
            lambda xp, a: xp.asarray(True),
            lambda xp, a: xp.asarray(3),
            lambda xp, a: xp.asarray([[1, 2], [3, 4]]),
            lambda xp, a: xp.asarray(((1.5, 2), (3, 4)), dtype=xp.float64),
            lambda xp, a: xp.asarray(a(3), copy=True),
            lambda xp, a: xp.asarray(a(3), dtype=xp.float64),
            lambda xp, a: xp.asarray(memoryview(np.arange(4, dtype=np.int16))),
        ],
        "empty": [lambda xp, a: xp.zeros_like(xp.empty((2, 3), dtype=xp.int8))],
        "empty_like": [lambda xp, a: xp.zeros_like(xp.empty_like(a(2, 3)))],
        "eye": [
            lambda xp, a: xp.eye(3),
            lambda xp, a: xp.eye(3, 4, k=1, dtype=xp.int16),
            lambda xp, a: xp.eye(4, 2, k=-2),
            lambda xp, a: xp.eye(2, k=5),
        ],
        "full": [
            lambda xp, a: xp.full((2, 3), 7),
            lambda xp, a: xp.full(4, 1.5),
            lambda xp, a: xp.full((), True),
            lambda xp, a: xp.full((2,), 7, dtype=xp.uint8),
        ],
        "full_like": [
            lambda xp, a: xp.full_like(a(2, 3), 1.5),
            lambda xp, a: xp.full_like(a(2, dtype="int8"), 3, dtype=xp.float64),
        ],
        "linspace": [
            lambda xp, a: xp.linspace(0, 1, 5),
            lambda xp, a: xp.linspace(-1.0, 2.0, 4, endpoint=False),
            lambda xp, a: xp.linspace(0, 8, num=5, dtype=xp.float64),
            lambda xp, a: xp.linspace(0, 1, 1),
            lambda xp, a: xp.linspace(0, 1, 0, endpoint=False),
        ],
        "ones": [lambda xp, a: xp.ones(3), lambda xp, a: xp.ones((2, 3), dtype=xp.bool)],
        "ones_like": [lambda xp, a: xp.ones_like(a(2)),
                      lambda xp, a: xp.ones_like(a(2), dtype=xp.int8)],
        "zeros": [lambda xp, a: xp.zeros((2, 0)), lambda xp, a: xp.zeros(2, dtype=xp.uint16)],
        "zeros_like": [lambda xp, a: xp.zeros_like(a(2, dtype="int16"))],
        "astype": [
            lambda xp, a: xp.astype(a(3, 4), xp.float64),
            lambda xp, a: xp.astype(a(3, 4), xp.int16),
            lambda xp, a: xp.astype(a(3, dtype="bool"), xp.float32),
            lambda xp, a: xp.astype(a(9, dtype="int8"), xp.bool),
        ],
    }  # fmt: skip


def positive_definite(xp: Any, a: Arrays, *stack: int) -> Any:
    x = a(*stack, 4, 4)
    return xp.matmul(x, xp.matrix_transpose(x)) + xp.eye(4)


def linear_algebra() -> dict[str, list[Call]]:
    calls: dict[str, list[Call]] = {
        "matmul": [
            lambda xp, a: xp.matmul(a(2, 3), a(3, 4)),
            lambda xp, a: xp.matmul(a(3), a(5, 3, 2, dtype="float64")),
            *in_all(
                INTEGERS, lambda d: lambda xp, a: xp.matmul(a(2, 3, dtype=d), a(3, 2, dtype=d))
            ),
        ],
        "matrix_transpose": [lambda xp, a: xp.matrix_transpose(a(5, 2, 3))],
        "tensordot": [
            lambda xp, a: xp.tensordot(a(2, 3, 4), a(3, 4, 5)),
            lambda xp, a: xp.tensordot(a(2, 3), a(4), axes=0),
            lambda xp, a: xp.tensordot(a(2, 3, 4), a(4, 2), axes=((0, 2), (1, 0))),
            lambda xp, a: xp.tensordot(a(2, 3, dtype="uint8"), a(3, dtype="uint8"), axes=1),
        ],
        "vecdot": [
            lambda xp, a: xp.vecdot(a(2, 3), a(3)),
            lambda xp, a: xp.vecdot(a(3, 2), a(3, 2, dtype="float64"), axis=-2),
            lambda xp, a: xp.vecdot(a(4, dtype="int8"), a(4, dtype="int8")),
        ],
        "linalg.cholesky": [
            lambda xp, a: xp.linalg.cholesky(positive_definite(xp, a)),
            lambda xp, a: xp.linalg.cholesky(positive_definite(xp, a, 2), upper=True),
        ],
        "linalg.cross": [
            lambda xp, a: xp.linalg.cross(a(2, 3), a(2, 3)),
            lambda xp, a: xp.linalg.cross(a(3, 2), a(3, 2), axis=-2),
        ],
        "linalg.det": [lambda xp, a: xp.linalg.det(a(2, 3, 3))],
        "linalg.diagonal": [
            lambda xp, a: xp.linalg.diagonal(a(2, 3, 4)),
            lambda xp, a: xp.linalg.diagonal(a(3, 4), offset=1),
        ],
        "linalg.eigvalsh": [lambda xp, a: xp.linalg.eigvalsh(positive_definite(xp, a, 2))],
        "linalg.inv": [lambda xp, a: xp.linalg.inv(positive_definite(xp, a, 2))],
        "linalg.matrix_power": [
            lambda xp, a, n=n: xp.linalg.matrix_power(positive_definite(xp, a), n)
            for n in (0, 1, 3, -1)
        ],
        "linalg.matrix_norm": [
            lambda xp, a, ord=ord: xp.linalg.matrix_norm(a(2, 3, 4), ord=ord)
            for ord in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf"))
        ],
        "linalg.matrix_rank": [
            lambda xp, a: xp.linalg.matrix_rank(xp.ones((2, 3, 3))),
            lambda xp, a: xp.linalg.matrix_rank(a(3, 4), rtol=1e-3),
        ],
        "linalg.outer": [lambda xp, a: xp.linalg.outer(a(3), a(4))],
        "linalg.pinv": [
            lambda xp, a: xp.linalg.pinv(a(2, 3, 4)),
            lambda xp, a: xp.linalg.pinv(a(4, 3), rtol=1e-3),
        ],
        "linalg.slogdet": [lambda xp, a: xp.linalg.slogdet(a(2, 3, 3))],
        "linalg.solve": [
            lambda xp, a: xp.linalg.solve(positive_definite(xp, a), a(4)),
            lambda xp, a: xp.linalg.solve(positive_definite(xp, a, 2), a(4)),
            lambda xp, a: xp.linalg.solve(positive_definite(xp, a, 4), a(4, 4)),
            lambda xp, a: xp.linalg.solve(positive_definite(xp, a, 2), a(2, 4, 3)),
        ],
        "linalg.svdvals": [lambda xp, a: xp.linalg.svdvals(a(2, 3, 4))],
        "linalg.trace": [
            lambda xp, a: xp.linalg.trace(a(2, 3, 4)),
            lambda xp, a: xp.linalg.trace(a(3, 3, dtype="int8"), offset=1),
            lambda xp, a: xp.linalg.trace(a(3, 3), dtype=xp.float64),
        ],
        "linalg.vector_norm": [
            *[
                lambda xp, a, ord=ord: xp.linalg.vector_norm(a(3, 4), axis=1, ord=ord)
                for ord in (0, 1, 2, 3, float("inf"), -float("inf"))
            ],
            lambda xp, a: xp.linalg.vector_norm(a(2, 3, 4), axis=(0, 2), keepdims=True),
            lambda xp, a: xp.linalg.vector_norm(a(2, 3)),
        ],
        # Up to signs, so what they are made of again is compared.
        "linalg.eigh": [lambda xp, a: recomposed_eigh(xp, positive_definite(xp, a, 2))],
        "linalg.qr": [
            lambda xp, a, mode=mode: recomposed_qr(xp, a(2, 4, 3), mode)
            for mode in ("reduced", "complete")
        ],
        "linalg.svd": [
            lambda xp, a, full=full: recomposed_svd(xp, a(2, 4, 3), full) for full in (True, False)
        ],
    }
    for name in ("matmul", "matrix_transpose", "tensordot", "vecdot"):
        calls[f"linalg.{name}"] = [
            lambda xp, a, name=name: xp.asarray(getattr(xp.linalg, name) is not None, dtype=xp.bool)
        ]
    return calls


def recomposed_eigh(xp: Any, x: Any) -> Any:
    values, vectors = xp.linalg.eigh(x)
    return values, vectors @ (xp.expand_dims(values, -1) * xp.matrix_transpose(vectors))


def recomposed_qr(xp: Any, x: Any, mode: str) -> Any:
    q, r = xp.linalg.qr(x, mode=mode)
    return q @ r, xp.matrix_transpose(q) @ q, xp.abs(r)


def recomposed_svd(xp: Any, x: Any, full: bool) -> Any:
    u, s, vh = xp.linalg.svd(x, full_matrices=full)
    return s, u[..., :3] * xp.expand_dims(s, -2) @ vh, xp.matrix_transpose(u) @ u


GROUPS = (elementwise, reductions, manipulation, searching, creation, linear_algebra)
CALLS = {name: calls for group in GROUPS for name, calls in group().items()}
# Functions whose arguments or results are no arrays are tested below.
ASKING = {
    "__array_namespace_info__", "can_cast", "finfo", "from_dlpack", "iinfo", "imag", "isdtype",
    "result_type",
}  # fmt: skip


def test_every_function_is_called() -> None:
    functions = {n for n in names(strict) if inspect.isfunction(getattr(strict, n))} | {
        f"linalg.{n}" for n in names(strict.linalg) if inspect.isfunction(getattr(strict.linalg, n))
    }
    assert functions - set(CALLS) - ASKING == set()


def as_arrays(result: Any) -> list[Any]:
    return list(result) if isinstance(result, list | tuple) else [result]


@pytest.mark.parametrize("name", CALLS)
def test_values(name: str, default_of_strict: None) -> None:
    with np.errstate(all="ignore"):
        for number, call in enumerate(CALLS[name]):
            expected = as_arrays(call(strict, Arrays(strict)))
            found = as_arrays(call(xp, Arrays(xp)))
            assert len(found) == len(expected)
            for ours, theirs in zip(found, expected):
                where = f"call {number} of {name}"
                reference = np.asarray(theirs._array)
                assert isinstance(ours, grad.Tensor), where
                assert ours.dtype.name == reference.dtype.name, where
                assert ours.shape == reference.shape, where
                tolerance = {"float32": 2e-5, "float64": 1e-12}.get(ours.dtype.name, 0)
                np.testing.assert_allclose(
                    ours.numpy(), reference, tolerance, 10 * tolerance, err_msg=where
                )


# -- types -----------------------------------------------------------------------------------------
STANDARD = ["bool", *NUMERIC]


@pytest.mark.parametrize("first", STANDARD)
def test_promotion(first: str) -> None:
    for second in STANDARD:
        try:
            expected = strict.result_type(getattr(strict, first), getattr(strict, second))
        except TypeError:
            continue  # of different kinds: left open
        ours = getattr(xp, first), getattr(xp, second)
        found = xp.result_type(*ours)
        assert found is getattr(xp, str(expected).rpartition(".")[2])
        assert xp.can_cast(*ours) == strict.can_cast(
            getattr(strict, first), getattr(strict, second)
        )
        if first != "bool":
            # An array without dimensions counts as much as any other.
            assert xp.add(xp.ones((), dtype=ours[0]), xp.ones(2, dtype=ours[1])).dtype is found


@pytest.mark.parametrize("kind", ["bool", "signed integer", "unsigned integer", "integral",
                                  "real floating", "complex floating", "numeric"])  # fmt: skip
def test_kinds(kind: str) -> None:
    for name in STANDARD:
        assert xp.isdtype(getattr(xp, name), kind) == strict.isdtype(getattr(strict, name), kind)


def test_kinds_together() -> None:
    assert xp.isdtype(xp.int8, ("bool", xp.int8)) and not xp.isdtype(xp.int8, (xp.int16, "bool"))
    assert xp.isdtype(xp.bfloat16, "real floating")
    with pytest.raises(ValueError, match="kind"):
        xp.isdtype(xp.int8, "float")


@pytest.mark.parametrize("name", FLOATS)
def test_limits_of_floats(name: str) -> None:
    ours, theirs = xp.finfo(getattr(xp, name)), strict.finfo(getattr(strict, name))
    for limit in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(ours, limit) == getattr(theirs, limit)
        assert type(getattr(ours, limit)) is type(getattr(theirs, limit))
    assert ours.dtype is getattr(xp, name)
    assert xp.finfo(xp.ones(2, dtype=ours.dtype)) == ours
    with pytest.raises(TypeError, match="floating"):
        xp.finfo(xp.int8)


@pytest.mark.parametrize("name", INTEGERS)
def test_limits_of_integers(name: str) -> None:
    ours, theirs = xp.iinfo(getattr(xp, name)), strict.iinfo(getattr(strict, name))
    assert (ours.bits, ours.min, ours.max) == (theirs.bits, theirs.min, theirs.max)
    assert ours.dtype is getattr(xp, name)
    with pytest.raises(TypeError, match="integer"):
        xp.iinfo(xp.float32)


def test_types_beside_numbers() -> None:
    assert xp.result_type(xp.ones(2, dtype=xp.int8), 3) is xp.int8
    assert xp.result_type(xp.float32, 2.5, 3, True) is xp.float32
    with pytest.raises(ValueError, match="array or a type"):
        xp.result_type(1, 2.0)


# -- the rest --------------------------------------------------------------------------------------
def test_inspection() -> None:
    info = xp.__array_namespace_info__()
    assert info.capabilities() == {
        "boolean indexing": True, "data-dependent shapes": True, "max dimensions": 32
    }  # fmt: skip
    assert info.default_device() in info.devices()
    assert info.default_dtypes(device="cpu")["real floating"] is xp.float32
    assert set(info.dtypes()) == set(STANDARD)
    assert set(info.dtypes(kind="unsigned integer")) == {"uint8", "uint16", "uint32", "uint64"}
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    assert info.dtypes(kind="complex floating") == {}
    assert xp.ones((1,) * 32).sum().item() == 1


def test_a_tensor_gives_the_namespace() -> None:
    x = grad.ones(2)
    assert x.__array_namespace__() is xp
    assert x.__array_namespace__(api_version="2024.12") is xp
    assert xp.__array_api_version__ == "2024.12"
    with pytest.raises(ValueError, match=r"2030\.12"):
        x.__array_namespace__(api_version="2030.12")


def test_devices() -> None:
    x = grad.ones(2)
    assert x.to_device("cpu") is x and x.to_device(x.device) is x
    assert xp.zeros(2, device=x.device).device == x.device
    with pytest.raises(RuntimeError, match="device"):
        x.to_device("cuda")


def test_memory_is_shared_or_copied() -> None:
    array = np.arange(3.0)
    shared, copied = xp.asarray(array), xp.asarray(array, copy=True)
    array[0] = 7
    assert shared.tolist() == [7, 1, 2] and copied.tolist() == [0, 1, 2]
    assert xp.asarray(shared) is shared and xp.asarray(shared, copy=False) is shared
    assert xp.asarray(array, copy=False).tolist() == [7, 1, 2]
    array.flags.writeable = False
    assert xp.asarray(array).tolist() == [7, 1, 2]
    for obj, dtype in ((array, None), ([1.0], None), (shared, xp.float32)):
        with pytest.raises(ValueError, match="copy=False"):
            xp.asarray(obj, dtype=dtype, copy=False)


def test_dlpack() -> None:
    array = np.arange(4, dtype=np.int16)
    assert xp.from_dlpack(array).tolist() == [0, 1, 2, 3]
    array[0] = 9
    assert np.from_dlpack(xp.from_dlpack(array))[0] == 9
    copy = xp.from_dlpack(array, copy=True)
    array[0] = 0
    assert copy[0].item() == 9
    with pytest.raises(AttributeError, match="__dlpack__"):
        xp.from_dlpack([1, 2])
    x = grad.ones(2)
    np.from_dlpack(x)[0] = 5
    assert x.tolist() == [5, 1]
    with pytest.raises(ValueError, match="string"):
        np.from_dlpack(x)[0] = "no number"  # the memory goes back while the exception is raised
    x.__dlpack__(copy=True, dl_device=(1, 0), max_version=(1, 0))
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))


REFUSED = [
    (lambda: xp.add(1, 2), DTypeError),
    (lambda: xp.add(xp.ones(2), [1, 2]), DTypeError),
    (lambda: xp.add(xp.ones(2), np.ones(2)), DTypeError),
    (lambda: xp.add(xp.ones(2), xp.ones(3)), ShapeError),
    (lambda: xp.sin(1.0), DTypeError),
    (lambda: xp.squeeze(xp.ones((2, 1)), 0), ShapeError),
    (lambda: xp.nonzero(xp.asarray(1)), ShapeError),
    (lambda: xp.cumulative_sum(xp.ones((2, 2))), ArgumentError),
    (lambda: xp.take(xp.ones((2, 2)), xp.asarray([0])), ArgumentError),
    (lambda: xp.take(xp.ones(2), xp.asarray([2])), IndexError),
    (lambda: xp.expand_dims(xp.ones(2), 3), IndexError),
    (lambda: xp.asarray(1j), DTypeError),
    (lambda: xp.asarray([1j]), DTypeError),
    (lambda: xp.full((2,), 1j), DTypeError),
    (lambda: xp.imag(xp.ones(2)), DTypeError),
    (lambda: xp.reshape(xp.ones((2, 3)).T, (6,), copy=False), ShapeError),
    (lambda: xp.vecdot(xp.ones(1), xp.ones(3)), ShapeError),
    (lambda: xp.searchsorted(xp.ones(1), xp.ones(3), side="middle"), ArgumentError),
    (lambda: xp.where(xp.ones(2), 1, 2), DTypeError),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refused(number: int) -> None:
    call, error = REFUSED[number]
    with pytest.raises(error):
        call()


def test_nan_and_zeros_among_unique_values() -> None:
    nan = float("nan")
    found = xp.unique_all(xp.asarray([nan, 0.0, -0.0, nan, 0.0]))
    assert found.values.tolist()[0] == 0 and found.counts.tolist() == [3, 1, 1]
    assert found.indices.tolist() == [1, 0, 3] and found.inverse_indices.tolist() == [1, 0, 0, 2, 0]


def test_bounds_beyond_an_integer_type() -> None:
    x = xp.asarray([-5, 100], dtype=xp.int8)
    assert xp.clip(x, -1000, 1000).tolist() == [-5, 100]
    assert xp.clip(x, 0, float("inf")).tolist() == [0, 100]
    assert xp.clip(x, 0, 10**30).dtype is xp.int8


def test_gradients_pass_through() -> None:
    x = grad.tensor([1.0, 4.0], requires_grad=True)
    xp.sum(xp.multiply(xp.sqrt(x), 3.0)).backward()
    assert x.grad.tolist() == [1.5, 0.75]


# -- indexing and operators of the array itself ----------------------------------------------------
INDICES: list[Any] = [
    0, -1, slice(None), slice(1, None), slice(None, None, 2), slice(None, None, -1),
    slice(3, 0, -2), ..., None, (0, 1), (slice(None), 2), (..., 1), (None, 0, slice(0, 2)),
    (slice(5, 9), slice(None)), (-3, slice(-3, -1)), (None, ..., None),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_indexing(index: Any) -> None:
    array = np.arange(20).reshape(4, 5)
    x = xp.asarray(array.copy())
    np.testing.assert_array_equal(x[index].numpy(), array[index])
    x[index] = 7
    array[index] = 7
    np.testing.assert_array_equal(x.numpy(), array)


def test_indexing_by_arrays() -> None:
    array = np.arange(20).reshape(4, 5)
    x = xp.asarray(array.copy())
    mask = array % 3 == 0
    np.testing.assert_array_equal(x[xp.asarray(mask)].numpy(), array[mask])
    rows, columns = np.array([0, -1, 2]), np.array([1, 1, 4])
    np.testing.assert_array_equal(
        x[xp.asarray(rows), xp.asarray(columns)].numpy(), array[rows, columns]
    )
    np.testing.assert_array_equal(x[xp.asarray(rows), 3].numpy(), array[rows, 3])
    x[xp.asarray(mask)] = 0
    assert x.sum().item() == array[~mask].sum()


OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!="]
OF_INTEGERS = ["+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>", "<", "==", "**"]


@pytest.mark.parametrize(
    ("operator", "dtype"),
    [(o, "float32") for o in OPERATORS] + [(o, d) for o in OF_INTEGERS for d in ("int16", "uint8")],
)
def test_operators(operator: str, dtype: str) -> None:
    left, right = np.array([5, 2, 3], dtype), np.array([1, 2, 2], dtype)
    apply = eval(f"lambda x, y: x {operator} y")
    x, y = xp.asarray(left), xp.asarray(right)
    for found, reference in (
        (apply(x, y), apply(left, right)),
        (apply(x, 2), apply(left, 2)),
        (apply(3, y), apply(3, right)),
    ):
        np.testing.assert_allclose(found.numpy(), reference, 1e-6)
        assert found.dtype.name == reference.dtype.name


def test_single_numbers() -> None:
    assert bool(xp.asarray(True)) is True
    assert int(xp.asarray(3)) == 3 and float(xp.asarray(1.5)) == 1.5
    assert complex(xp.asarray(1.5)) == 1.5 + 0j
    assert [10, 20][xp.asarray(1)] == 20
    with pytest.raises(TypeError):
        [10, 20][xp.asarray(1.0)]
    x = xp.ones((2, 3))
    assert (x.ndim, x.shape, x.mT.shape, x.T.shape, x.device) == (2, (2, 3), (3, 2), (3, 2), "cpu")
    assert (~xp.asarray([True])).tolist() == [False] and (-x + +x).sum().item() == 0
    assert abs(xp.asarray(-2)).item() == 2
