"""NumPy beside tensors: each expression gives what it gives for PyTorch's tensors.

Where PyTorch refuses, we do with the same exception, or, for the expressions in `WORKS_HERE`, give
what NumPy gives for arrays.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

# a, a32, ai: arrays of float64, float32, int64; t, ti, tb, t0, m: tensors; tg requires grad.
EXPRESSIONS = """
np.asarray(t)
np.array(t, dtype=np.float64)
np.array(t, dtype=np.int32)
np.array(ti, dtype='float32')
np.asarray(tb)
np.array(t0)
np.asarray(tg)
np.array(tg)
np.sin(t)
np.sin(ti)
np.sin(t0)
np.sin(tg)
np.negative(t)
np.add(t, t)
np.add(a, t)
np.add(t, a)
np.add(a32, t)
np.add(t, 1)
np.add(t, a0)
a + t
t + a
a32 + t
t + a32
a - t
a * t
a / t
a ** t
t ** a
a // t
a % t
a @ t
t @ a
am @ m
m @ am
a == t
t == a
a < t
t < a
ai + t
t + ai
ai + ti
ti + ai
a0 + t
t + a0
a0 * t
a0 / t
np.float32(2) * t
np.float32(2) + ti
ti + np.float32(2)
np.int64(2) + t
np.int64(2) * ti
a0 < t
a0 == t
np.mean(t)
np.sum(t)
np.sum(m, axis=0)
np.max(t)
np.min(t)
np.prod(t)
np.std(t)
np.var(t)
np.any(tb)
np.all(tb)
np.argmax(t)
np.argmin(t)
np.cumsum(t)
np.cumsum(m, axis=1)
np.cumsum(m, 0)
np.sort(t)
np.argsort(t)
np.clip(t, 1, 2)
np.round(t)
np.reshape(m, (4,))
np.transpose(m)
np.squeeze(m)
np.ravel(m)
np.concatenate([t, t])
np.stack([t, t])
np.vstack([t, t])
np.where(tb, t, t)
np.dot(t, t)
np.matmul(m, m)
np.einsum('ij,jk', m, m)
np.linalg.norm(t)
np.linalg.inv(m)
np.linalg.det(m)
np.outer(t, t)
np.repeat(t, 2)
np.tile(t, 2)
np.expand_dims(t, 0)
np.abs(t)
np.maximum(t, a)
np.maximum(a, t)
np.logical_and(tb, tb)
np.isnan(t)
np.isfinite(t)
np.allclose(t, a)
np.array_equal(t, a)
np.unique(t)
np.nonzero(t)
np.shape(m)
np.ndim(m)
np.zeros_like(t)
np.ones_like(t)
np.copy(t)
np.full_like(t, 2)
np.add(t, t, out=a.copy())
np.add.reduce(t)
np.modf(t)
np.divmod(t, 2)
np.split(t, 3)
np.diff(t)
np.interp(t, a, a)
np.take(t, [0, 1])
np.swapaxes(m, 0, 1)
np.trace(m)
np.diagonal(m)
np.cross(t, t)
np.floor(t)
np.exp(t)
np.sqrt(t)
np.isscalar(t0)
float(t0)
int(t0)
np.float32(t0)
np.float64(t0)
a[ti[:2]-1]
a[tb]
t[np.array([0, 1])]
t[np.array([True, False, True])]
t[np.int64(1)]
a[ti[0]]
np.array([t0, t0])
np.array([t, t])
np.array(t, copy=False)
np.asarray(t, copy=True)
np.array(tg.detach())
iadd(a.copy(), t)
iadd(t.clone(), a)
iadd(t.clone(), a32)
np.frombuffer(t)
np.atleast_1d(t0)
np.broadcast_to(t, (2, 3))
T.as_tensor(a)
T.tensor(a32)
T.add(t, a)
T.add(a, t)
T.mul(t, a0)
a & tb
tb & np.array([True, True, False])
np.array([True, True, False]) & tb
ai | ti
ai << ti
~tb
divmod(a, t)
t.add(a)
T.maximum(t, a)
T.where(tb, t, a)
T.cat([t, a])
T.stack([t, T.as_tensor(a32)])
t.sum(np.int64(0))
t.reshape(np.int64(3), 1)
t.reshape(np.array([3, 1]))
T.zeros(np.int64(3))
T.full((2,), np.float32(3))
T.full((2,), np.int64(3))
T.tensor(np.float32(2))
T.tensor(np.bool_(True))
T.tensor([np.float32(2), np.float32(3)])
T.tensor([a, a])
T.arange(np.int64(3))
T.linspace(np.float32(0), np.float64(1), 3)
T.tensor(np.float64(2)) + T.tensor([1., 2.])
np.power(t, 2)
np.power(2, t)
np.arctan2(t, a32)
np.heaviside(t, 1.0)
np.bitwise_and(ti, 1)
np.left_shift(ti, 1)
np.isin(t, [1.0])
np.searchsorted(t, [2.0])
np.percentile(t, 50)
np.quantile(t, 0.5)
np.median(t)
np.average(t)
np.histogram(t)
np.pad(t, 1)
np.roll(t, 1)
np.flip(t)
np.count_nonzero(t)
np.nan_to_num(t)
np.tensordot(m, m, 1)
np.kron(t, t)
np.linalg.svd(m)[1]
np.linalg.solve(m, m)
np.real(t)
np.imag(t)
np.iscomplexobj(t)
np.can_cast(t, 'f8')
np.may_share_memory(np.asarray(t), np.asarray(t))
np.int64(5) // ti
np.int64(2) ** ti
np.int64(5) - t
np.bool_(True) & tb
np.float64(3) > ti
np.mean(tg)
np.sum(tg)
np.concatenate([tg, tg])
a + tg
tg + a
a * tg
a0 * tg
np.max(m, axis=1)
np.mean(m, axis=1, keepdims=True)
np.std(m, axis=0)
np.argmax(m, axis=1)
np.argsort(m, axis=1)
np.sort(m, axis=0)
np.clip(t, None, 2)
np.clip(t, 2, None)
np.round(t, 1)
np.any(m, axis=1)
np.prod(m, axis=0)
np.sum(m, keepdims=True)
np.ptp(t)
np.cumprod(t)
np.nonzero(m)
np.diag(m)
np.tril(m)
np.swapaxes(m, 1, 0)
np.moveaxis(m, 0, 1)
np.ravel(t)
np.repeat(m, 2, axis=0)
np.take(m, [0], axis=1)
np.choose([0, 1], m)
np.compress([True, False, True], t)
np.searchsorted(a, t)
np.put(t.clone(), [0], [1.])
np.sort(ti)[::-1]
np.nanmean(t)
np.nansum(t)
np.logaddexp(t, t)
np.sum(t, dtype=np.float64)
np.mean(t, dtype=np.float64)
np.square(t)
np.conj(t)
np.iterable(t)
len(t)
list(t)[0]
sorted(t)[0]
sum(t)
max(t)
min(t)
""".strip().splitlines()

# NumPy's truth values come back as bool; from PyTorch as uint8.
BOOL_HERE = {"np.logical_and(tb, tb)", "np.isnan(t)", "np.isfinite(t)",
             "tb & np.array([True, True, False])"}  # fmt: skip
# In place here, a new tensor of float64 in PyTorch.
IN_PLACE_HERE = {"iadd(t.clone(), a)"}
WORKS_HERE = {
    "a + t", "a32 + t", "a - t", "a * t", "a ** t", "a // t", "a % t", "a @ t", "am @ m", "a < t",
    "t < a", "ai + t", "ai + ti", "ai | ti", "ai << ti", "np.array([True, True, False]) & tb",
    "iadd(a.copy(), t)", "np.mean(t)", "np.sum(t)", "np.sum(m, axis=0)", "np.max(t)", "np.min(t)",
    "np.prod(t)", "np.any(tb)", "np.all(tb)", "np.array(t, copy=False)", "np.flip(t)",
    "np.bool_(True) & tb", "np.mean(m, axis=1, keepdims=True)", "np.any(m, axis=1)",
    "np.prod(m, axis=0)", "np.sum(m, keepdims=True)", "np.choose([0, 1], m)",
    "np.sum(t, dtype=np.float64)", "np.mean(t, dtype=np.float64)",
}  # fmt: skip
# `x.max(axis=1)` has PyTorch's meaning; gradients pass where PyTorch would have to call NumPy.
OWN_MEANING = {"np.max(m, axis=1)", "np.mean(tg)", "np.sum(tg)", "a + tg", "tg + a", "a * tg"}


def names(library: Any) -> dict[str, Any]:
    """What the expressions are about; of arrays alone without a library."""
    make = library.tensor if library else np.array
    a = np.array([1.0, 2.0, 3.0])
    found = {
        "np": np, "T": library, "iadd": iadd, "a": a, "a32": a.astype(np.float32),
        "ai": np.array([1, 2, 3]), "a0": np.float64(2),
        "am": np.array([[1, 2], [3, 4]], dtype=np.float32),
        "tb": make([True, False, True]), "ti": make([1, 2, 3]),
    }  # fmt: skip
    kind = {} if library else {"dtype": np.float32}
    found |= {
        "t": make([1.0, 2.0, 3.0], **kind), "t0": make(2.0, **kind),
        "m": make([[1.0, 2.0], [3.0, 4.0]], **kind),
    }  # fmt: skip
    if library:
        found["tg"] = make([1.0, 2.0, 3.0], requires_grad=True)
    return found


def iadd(x: Any, y: Any) -> Any:
    x += y
    return x


def result(expression: str, library: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(expression, names(library))


def parts(value: Any) -> list[Any]:
    return [p for item in value for p in parts(item)] if isinstance(value, tuple) else [value]


def plain(value: Any) -> Any:
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def dtype_of(value: Any) -> str:
    return str(getattr(value, "dtype", type(value).__name__)).rpartition(".")[2]


def test_expressions_are_known() -> None:
    assert BOOL_HERE | IN_PLACE_HERE | WORKS_HERE | OWN_MEANING <= set(EXPRESSIONS)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression(expression: str) -> None:
    try:
        expected = result(expression, torch)
    except Exception as error:
        refused(expression, error)
        return
    found = result(expression, grad)
    assert len(parts(found)) == len(parts(expected))
    for ours, theirs in zip(parts(found), parts(expected)):
        assert isinstance(ours, grad.Tensor) == isinstance(theirs, torch.Tensor)
        if expression not in BOOL_HERE | IN_PLACE_HERE:
            assert dtype_of(ours) == dtype_of(theirs)
        np.testing.assert_allclose(plain(ours), plain(theirs), 1e-6, 1e-7)


def refused(expression: str, error: Exception) -> None:
    """PyTorch raised `error`."""
    if expression in WORKS_HERE:
        expected = result(expression, None)
        ours = np.asarray(result(expression, grad))
        np.testing.assert_allclose(ours, expected, 1e-6)
        assert ours.dtype == expected.dtype
    elif expression in OWN_MEANING:
        result(expression, grad)
    else:
        kind = RuntimeError if isinstance(error, RuntimeError) else type(error)
        with pytest.raises(kind):
            result(expression, grad)
