"""Every registered operation against NumPy and finite differences: one loop over the registry.

Each op runs its samples in each of its element types and in each layout, for value, shape and
type; then its first and second derivatives along random directions are compared with differences
in float64; then the calls that must fail, the in-place forms, the aliases. A new op is tested by
being registered.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import DType, dtypes
from grad.ops.registry import Op, Sample, registry
from tests.ops.cases import (
    LAYOUTS,
    TOLERANCE,
    assert_close,
    expected_of,
    laid_out,
    numpy_of,
    outputs_of,
    samples,
    slope,
    tensor,
    weights_for,
)

Array = np.ndarray[Any, Any]

NEEDS_STRIDES = ("view", "view_copy")  # refuse some layouts
# Whole numbers come out of these whatever goes in.
_KINDS = {"b": dtypes.bool, "i": dtypes.int64}


def test_registry_has_samples_for_what_can_be_differentiated() -> None:
    """Nothing differentiable escapes the loop below without being tested elsewhere by name."""
    elsewhere = {
        "gather",
        "scatter",
        "scatter_add",
        "index_add",
        "index_fill",
        "index_copy",
        "index_select",
    }
    elsewhere |= {"take_along_dim", "where_self", "cummax", "cummin", "var_mean", "std_mean"}
    elsewhere |= {"aminmax", "float_power_"}
    ours = {"arithmetic", "unary", "comparison", "reduction", "extremum", "scan", "matmul"}
    ours |= {"activation", "gather", "select", "power", "rounding", "softmax", "deviation", "blend"}
    untested = {
        op.name
        for op in registry()
        if op.gradient and not (op.samples and op.reference)
        if op.definition.__module__.rpartition(".")[2] in ours
    }
    assert untested <= elsewhere


def cases_by_dtype() -> list[Any]:
    """All samples in float32 and float64, the first one in every other type."""
    cases = []
    for parameter in samples():
        op, sample = parameter.values
        first = sample is op.samples[0]
        for dtype in op.dtypes:
            if first or dtype in (dtypes.float32, dtypes.float64):
                cases.append(pytest.param(op, sample, dtype, id=f"{parameter.id}-{dtype.name}"))
    return cases


@pytest.mark.parametrize(("op", "sample", "dtype"), cases_by_dtype())
def test_value_shape_and_type(op: Op, sample: Sample, dtype: DType) -> None:
    arrays = sample.arrays(dtype)
    expected = expected_of(op, sample, arrays)
    actual = op(*map(tensor, arrays), *sample.args, **sample.kwargs)
    if dtype.is_floating_point:
        assert actual.dtype is _KINDS.get(expected.dtype.kind, dtype)
        assert_close(actual, expected, sample.tolerance or TOLERANCE[dtype])
    elif actual.dtype.is_floating_point:
        assert_close(actual, expected, TOLERANCE[dtypes.float32])
    else:
        wrapped = expected.astype(np.int64).astype(actual.dtype.numpy)
        np.testing.assert_array_equal(numpy_of(actual), wrapped)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
@pytest.mark.parametrize(
    ("op", "sample"),
    samples(lambda op, sample: dtypes.float32 in op.dtypes and op.name not in NEEDS_STRIDES),
)
def test_layout_does_not_matter(op: Op, sample: Sample, layout: str) -> None:
    pairs = [laid_out(array, layout) for array in sample.arrays(dtypes.float32)]
    expected = expected_of(op, sample, [array for array, _ in pairs])
    actual = op(*[shown for _, shown in pairs], *sample.args, **sample.kwargs)
    assert_close(actual, expected, sample.tolerance or TOLERANCE[dtypes.float32])


def elementwise(op: Op, sample: Sample) -> bool:
    """Whether an empty operand makes sense: all operands have the sample's full shape."""
    return (
        not op.view
        and len(set(sample.shapes)) == 1
        and len(sample.shapes[0]) > 0
        and bool(sample.shapes[0][0])
    )


@pytest.mark.parametrize(("op", "sample"), samples(elementwise))
def test_empty_operands(op: Op, sample: Sample) -> None:
    """With an axis of size 0, an op gives what NumPy gives, or refuses what NumPy refuses."""
    dtype = dtypes.float32 if dtypes.float32 in op.dtypes else op.dtypes[0]
    arrays = [array[:0] for array in sample.arrays(dtype)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing
            expected = expected_of(op, sample, arrays)
    except (ValueError, IndexError, ZeroDivisionError):
        with pytest.raises((ValueError, IndexError, RuntimeError)):
            op(*map(tensor, arrays), *sample.args, **sample.kwargs)
        return
    actual = op(*map(tensor, arrays), *sample.args, **sample.kwargs)
    assert_close(actual, expected, 1e-6)


# -- derivatives -----------------------------------------------------------------------------------
def differentiable(op: Op, sample: Sample) -> bool:
    return op.gradient and sample.gradient and dtypes.float64 in op.dtypes


def _is_variable(array: Array) -> bool:
    return array.dtype.kind == "f"


def _leaves(arrays: list[Array]) -> list[Any]:
    return [tensor(array, requires_grad=_is_variable(array)) for array in arrays]


def _weighted(op: Op, sample: Sample, leaves: list[Any]) -> Any:
    """The outputs of the op, each times fixed weights, summed to one number."""
    outputs = [
        output
        for output in outputs_of(op(*leaves, *sample.args, **sample.kwargs))
        if output.dtype.is_floating_point
    ]
    weights = weights_for(outputs, seed=1)
    parts = [(output * tensor(w)).sum() for output, w in zip(outputs, weights, strict=True)]
    return sum(parts[1:], parts[0])


def _gradients(op: Op, sample: Sample, leaves: list[Any], create_graph: bool = False) -> list[Any]:
    variables = [leaf for leaf in leaves if leaf.requires_grad]
    return list(
        grad.autograd.grad(
            _weighted(op, sample, leaves), variables, create_graph=create_graph, allow_unused=True
        )
    )


def _with(arrays: list[Array], moved: list[Array]) -> list[Array]:
    """`arrays` with the floating ones replaced by `moved`."""
    rest = iter(moved)
    return [next(rest) if _is_variable(array) else array for array in arrays]


def _directions(points: list[Array], seed: int) -> list[Array]:
    random = np.random.default_rng(seed)
    return [np.asarray(random.uniform(-1, 1, point.shape)) for point in points]


def _dot(gradients: list[Any], direction: list[Array]) -> float:
    pairs = zip(gradients, direction, strict=True)
    return float(sum((numpy_of(g) * d).sum() for g, d in pairs if g is not None))


@pytest.mark.parametrize(("op", "sample"), samples(differentiable))
def test_gradient(op: Op, sample: Sample) -> None:
    arrays = sample.arrays(dtypes.float64)
    points = [array for array in arrays if _is_variable(array)]
    gradients = _gradients(op, sample, _leaves(arrays))
    for point, gradient in zip(points, gradients, strict=True):
        assert gradient is None or gradient.shape == point.shape
    for seed in (2, 3):
        direction = _directions(points, seed)
        expected = slope(
            lambda moved: float(_weighted(op, sample, [*map(tensor, _with(arrays, moved))]).item()),
            points,
            direction,
        )
        assert _dot(gradients, direction) == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("op", "sample"), samples(differentiable))
def test_second_gradient(op: Op, sample: Sample) -> None:
    arrays = sample.arrays(dtypes.float64)
    points = [array for array in arrays if _is_variable(array)]
    along = _directions(points, seed=4)

    def first_slope(leaves: list[Any], create_graph: bool) -> Any:
        gradients = _gradients(op, sample, leaves, create_graph)
        parts = [
            (g * tensor(d)).sum() for g, d in zip(gradients, along, strict=True) if g is not None
        ]
        return sum(parts[1:], parts[0]) if parts else None

    leaves = _leaves(arrays)
    total = first_slope(leaves, create_graph=True)
    direction = _directions(points, seed=5)
    expected = slope(
        lambda moved: float(first_slope(_leaves(_with(arrays, moved)), False).item()),
        points,
        direction,
    )
    if total is None or not total.requires_grad:
        assert expected == pytest.approx(0, abs=1e-7)
        return
    variables = [leaf for leaf in leaves if leaf.requires_grad]
    second = grad.autograd.grad(total, variables, allow_unused=True)
    assert _dot(list(second), direction) == pytest.approx(expected, rel=1e-5, abs=1e-6)


# -- failures, in-place forms, names ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("op", "failure"),
    [
        pytest.param(op, failure, id=f"{op.name}-{number}")
        for op in registry()
        for number, failure in enumerate(op.errors)
    ],
)
def test_failures_are_raised_at_the_call(op: Op, failure: Any) -> None:
    operands = [grad.zeros(shape, dtype=failure.dtype) for shape in failure.shapes]
    with pytest.raises(failure.error, match=failure.match or None):
        op(*operands, *failure.args, **failure.kwargs)


def in_place(op: Op, sample: Sample) -> bool:
    return op.inplace and sample is op.samples[0] and dtypes.float32 in op.dtypes


@pytest.mark.parametrize(("op", "sample"), samples(in_place))
def test_in_place_form(op: Op, sample: Sample) -> None:
    """``x.f_(...)`` gives x the value of ``x.f(...)``, in the type of x, and returns x."""
    operands = [*map(tensor, sample.arrays(dtypes.float32))]
    expected = numpy_of(op(*operands, *sample.args, **sample.kwargs))
    method = getattr(operands[0], f"{op.method}_")
    result = method(*operands[1:], *sample.args, **sample.kwargs)
    assert result is operands[0] and result.dtype is dtypes.float32
    np.testing.assert_array_equal(numpy_of(result), expected.astype(np.float32))


@pytest.mark.parametrize("op", [op for op in registry() if op.method], ids=lambda op: op.name)
def test_methods_and_functions_are_bound(op: Op) -> None:
    for name in (op.method, *op.aliases, op.operator, op.reflected, op.inplace_operator):
        assert name is None or hasattr(grad.Tensor, name), name
    if op.function:
        assert callable(getattr(grad, op.function))
    assert op.doc


def test_numpy_names_of_arguments() -> None:
    x = grad.tensor(np.arange(6.0).reshape(2, 3))
    for given in ({"dim": 1, "keepdim": True}, {"axis": 1, "keepdims": True}):
        assert x.sum(**given).tolist() == [[3.0], [12.0]]
    assert grad.softmax(x, axis=1).shape == (2, 3)
    with pytest.raises(TypeError, match="two names"):
        x.sum(dim=0, axis=1)
