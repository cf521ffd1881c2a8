"""The operators against PyTorch itself: one expression, evaluated with both.

`EXPRESSIONS` are about values, shapes, types and edge cases, `GRADIENTS` about derivatives where
they are a matter of choice (ties, zeros, infinities), `REFUSED` about what must raise, and as
what.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

_RANDOM = np.random.default_rng(0)
_ARRAYS = {
    "x": _RANDOM.uniform(-3, 3, (3, 4)).astype(np.float32),
    "y": _RANDOM.uniform(0.2, 3, (3, 4)).astype(np.float32),
    "v": _RANDOM.uniform(-3, 3, 4).astype(np.float32),
    "t": _RANDOM.uniform(-2, 2, (2, 3, 4)).astype(np.float32),
    "d": _RANDOM.uniform(-3, 3, (3, 4)),
    "special": np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.5, 1e-40], np.float32),
    "rows": np.array([[np.nan, 1, 2], [3, np.nan, np.nan], [-np.inf] * 3, [np.inf, 1, 0]], "f4"),
    "ties": np.array([[1, 2, 2], [3, 3, 3], [0, -1, 0]], np.float32),
    "zeros": np.array([[0, 2, 3], [0, 0, 3], [1, 2, 3]], np.float64),
    "i": np.array([[7, -7, 2], [3, -5, 4]]),
    "j": np.array([[2, 2, -3], [-3, 4, 1]]),
    "i8": np.array([127, -128, 5], np.int8),
    "u8": np.array([250, 3, 0], np.uint8),
    "i32": np.array([1, -2, 3], np.int32),
    "b": np.array([True, False, True]),
    "c": np.array([True, True, False]),
    "h": _RANDOM.uniform(-3, 3, (3, 4)).astype(np.float16),
    "index": np.array([[0, 2, 1, 0], [1, 1, 0, 2]]),
    "pick": np.array([2, 0, 0]),
    "empty": np.zeros((0, 3), np.float32),
    "s": np.array(2.5, np.float64),
    "k": np.array(3),
}


def _names(module: Any, requires_grad: bool = False) -> dict[str, Any]:
    values = {name: module.tensor(array) for name, array in _ARRAYS.items()}
    if requires_grad:
        for value in values.values():
            if value.dtype.is_floating_point:
                value.requires_grad_()
    return {"torch": module, "inf": float("inf"), "nan": float("nan"), **values}


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def _array(value: Any) -> np.ndarray[Any, Any]:
    value = value.detach()
    if _name(value.dtype) == "bfloat16":
        value = value.float()
    return np.asarray(value.numpy())


def _assert_same(ours: Any, theirs: Any, tolerance: float = 1e-5) -> None:
    if isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            _assert_same(mine, other, tolerance)
    elif isinstance(theirs, torch.Tensor):
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert _name(ours.dtype) == _name(theirs.dtype)
        limit = 4e-3 if theirs.dtype in (torch.float16, torch.bfloat16) else tolerance
        np.testing.assert_allclose(_array(ours), _array(theirs), rtol=limit, atol=limit)
        if theirs.dtype.is_floating_point and not theirs.isnan().any():
            zero = _array(theirs) == 0
            np.testing.assert_array_equal(
                np.signbit(_array(ours))[zero], np.signbit(_array(theirs))[zero]
            )
    else:
        assert ours == theirs


EXPRESSIONS = """
x + v
x + 1
1 - x
x * d
x + i8.sum()
x + s
v + k
i + 1.5
i + True
b + 1
b + c
b * c
b + 1.5
u8 + 300
u8 + i8
u8 - 5
i8 + 1
i8 * 2
-i8
-u8
i8.abs()
i32 + 2**40
i32 * k
h + 1
h * x
h + s
h.bfloat16() + h
x.half() @ y.half().mT
i / j
i // j
i % j
i // 2
i % -3
x // 0.7
x % -0.7
x.fmod(0.7)
i.fmod(j)
i.div(j, rounding_mode="trunc")
i.div(j, rounding_mode="floor")
x.div(y, rounding_mode="trunc")
x.div(y, rounding_mode="floor")
x / 0
b / c
special + special
special * 0
special / special
1 / special
special // 1
special % 1
special.floor()
special.round()
special.trunc()
special.sign()
special.abs()
special.sqrt()
special.rsqrt()
special.exp()
special.log()
special.tanh()
special.sigmoid()
special.relu()
special.clamp(-1, 1)
special.maximum(special.flip(0))
special.minimum(special.flip(0))
special.isnan()
special.isinf()
special.isfinite()
special.nan_to_num()
special.nan_to_num(1.0, 2.0, 3.0)
special == special
special != special
special < 1
special >= 0
special.softmax(0)
special[:4].logsumexp(0)
special ** 2
special ** 0
special ** 0.5
special ** -1
special ** 3
special ** special.flip(0)
2 ** i32
2.0 ** i32
i ** 2
i ** j.abs()
torch.tensor([2, -1, 1]) ** torch.tensor([-1, -3, -2])
k ** 0.5
v.abs() ** s
s ** v
x ** 2.5
x == v
i == 2
i < 2.5
u8 < 300
b == c
b < c
x.eq(v)
x.ge(0)
i & j
i | 6
i ^ j
~i
~b
b & c
b | True
b ^ c
b & 1
i << 2
i >> 1
i32 << i32.abs()
u8 >> 1
b << 1
b.logical_and(c)
x.logical_or(v)
i.logical_xor(j)
x.logical_not()
x.sum()
x.sum(1)
x.sum((0, 1))
x.sum(-1, keepdim=True)
x.sum(dim=())
t.sum((0, 2))
t.sum((-1, 0), keepdim=True)
b.sum()
i8.sum()
u8.sum()
x.sum(dtype=torch.float64)
i.sum(dtype=torch.float32)
h.sum()
(h * 0 + 30000).sum()
empty.sum()
empty.sum(0)
empty.sum(1)
empty.mean(0)
empty.prod()
empty.prod(0)
k.sum(0)
x.mean()
x.mean(0)
t.mean((1, 2), keepdim=True)
h.mean(1)
i.mean(dtype=torch.float32)
x.prod()
t.prod(1)
i8.prod()
b.prod()
x.var()
x.var(1)
x.var(1, unbiased=False)
x.var(1, False, True)
x.var(False)
x.var(correction=2)
x.var(dim=(0, 1), correction=0, keepdim=True)
(x + 1e4).var()
torch.ones(1).var()
x.std()
t.std((0, 2))
torch.std(x, 0, correction=0)
torch.var_mean(x, 1)
torch.std_mean(x, 0)
x.norm()
x.norm(dim=1)
x.norm(1, dim=0)
x.norm(inf, dim=0)
x.norm(3, 1, True)
x.norm(0, dim=0)
x.max()
x.min()
x.max(1)
x.min(0, keepdim=True)
x.max(v)
torch.max(x, v)
k.max(0)
rows.max()
rows.max(1).values
rows.max(1)
rows.min(1)
rows.amax(1)
rows.amin((0, 1))
rows.argmax(1)
rows.argmin(1)
rows.argmax()
ties.argmax(1)
ties.argmin(0, keepdim=True)
ties.argmax(keepdim=True)
ties.max(1)
t.argmax(1)
u8.argmax()
b.max()
b.amin()
k.argmax()
empty.amax(1)
empty.max(1)
empty.argmax(1)
rows.logsumexp(1)
rows[2:].logsumexp(0)
x.logsumexp((0, 1))
t.logsumexp((0, 2), keepdim=True)
empty.logsumexp(0)
rows.softmax(1)
rows.log_softmax(1)
rows.softmax(0)
(x * 1e3).softmax(1)
(x * 1e3).log_softmax(1)
h.softmax(1)
i.softmax(1, dtype=torch.float32)
t.softmax(1)
s.softmax(0)
empty.softmax(0)
empty.softmax(1)
x.any()
(x > 2).any(1)
(x > -5).all()
(x > 0).all(0, keepdim=True)
i.any()
u8.any()
u8.all()
empty.any()
empty.all()
empty.any(0)
empty.all(0)
x.count_nonzero()
x.cumsum(0)
x.cumsum(-1)
b.cumsum(0)
i8.cumsum(0)
x.cumsum(1, dtype=torch.float64)
h.cumsum(1)
x.cumprod(1)
i.cumprod(1)
k.cumsum(0)
empty.cumsum(0)
ties.cummax(1)
ties.cummin(0)
x.exp()
i.exp()
b.exp()
x.expm1()
y.log1p()
y.log2()
y.log10()
x.exp2()
x.tan()
x.sinh()
x.cosh()
(x / 4).asin()
(x / 4).acos()
x.atan()
x.atan2(v)
i.atan2(j)
x.erf()
x.reciprocal()
i.reciprocal()
x.square()
b.square()
i.square()
x.neg()
+x
abs(x)
i.sign()
b.sign()
u8.sign()
i.floor()
i.round()
x.round(decimals=1)
(x * 100).round(decimals=-1)
x.frac()
i.isnan()
i.isfinite()
torch.nn.functional.gelu(x)
x.relu()
i.relu()
x.clamp(-1, 1)
x.clamp(min=0)
x.clamp(max=v)
x.clamp(v, v + 1)
x.clamp(1, -1)
i.clamp(0.5)
i.clamp(-2, 3)
b.clamp(0, 1)
x.clip(-1, 1)
torch.where(x > 0, x, v)
torch.where(x > 0, x, 0)
torch.where(b, 1, 2)
torch.where(b, 1, 2.5)
torch.where(b, i32, 2.5)
torch.where(x > 0, x, d)
x.where(x > 0, v)
x.masked_fill(x > 0, 5)
i32.masked_fill(b, 1.5)
x.masked_fill(x > 0, s)
x.maximum(v)
i.minimum(j)
b.maximum(c)
x @ v
v @ v
x.mT @ x
t @ v
t @ x.mT
x @ t.mT
t @ t.mT
v @ t.mT
i @ j.mT
u8 @ u8
x.mm(y.T)
t.bmm(t.mT)
x.mv(v)
v.dot(v)
v.outer(v)
torch.addmm(v[:3], x, y.T, beta=0.5, alpha=2)
torch.addmm(torch.full((3, 3), nan), x, y.T, beta=0)
torch.baddbmm(torch.zeros(3, 3), t, t.mT, alpha=0.5)
empty @ empty.mT
empty.mT @ empty
torch.ones(2, 0) @ torch.ones(0, 3)
torch.nn.functional.linear(t, x, v[:3])
x.gather(0, index)
x.gather(1, index)
t.gather(1, index.unsqueeze(0))
v.gather(0, pick)
x.scatter(0, index, 7.0)
x.scatter(0, torch.tensor([[0, 1, 2, 0]]), y)
x.scatter(1, index[:, :1], y)
torch.zeros(3, 4).scatter_add(0, index, y)
x.scatter(0, index, y, reduce="add")
x.scatter(1, index[:, :1], y, reduce="multiply")
x.index_select(0, pick)
x.index_select(-1, pick)
x.index_add(0, pick, y)
x.index_add(0, pick, y, alpha=2)
x.index_fill(1, pick, 9)
x.take_along_dim(index[:1], 1)
x.take_along_dim(index[:1], 0)
x.take_along_dim(pick)
torch.nn.functional.one_hot(pick)
x.tril()
t.triu(1)
x.tril(-1)
i.triu(-1)
b.unsqueeze(0).tril()
x.add(v, alpha=2)
i.sub(j, alpha=3)
b.add(c, alpha=1)
torch.lerp(input=x, end=y, weight=0.3)
torch.add(input=x, other=v, alpha=2)
torch.where(condition=x > 0, input=x, other=v)
torch.pow(input=y, exponent=2)
torch.atan2(input=x, other=v)
torch.clamp(input=x, min=-1, max=1)
torch.softmax(input=x, dim=1)
torch.matmul(input=x, other=v)
torch.mm(input=x, mat2=y.T)
torch.mv(input=x, vec=v)
torch.outer(input=v, vec2=v)
torch.addmm(input=v[:3], mat1=x, mat2=y.T)
torch.addcmul(x, tensor1=y, tensor2=v, value=2)
torch.gather(input=x, dim=0, index=index)
torch.sum(input=x, dim=1, keepdim=True)
x.masked_fill(mask=x > 0, value=1)
torch.index_select(input=x, dim=0, index=pick)
torch.cumsum(input=x, dim=1)
torch.var(input=x, dim=1, correction=0)
torch.max(input=x, dim=1)
torch.nn.functional.linear(input=x, weight=y, bias=None)
x.scatter(dim=0, index=index[:1], value=2.0)
x.scatter(dim=0, index=index[:1], src=y)
torch.maximum(input=x, other=v)
special.asinh()
special.acosh()
special.atanh()
(x * 1e-4).asinh()
(y + 1).acosh()
(x / 4).atanh()
(x * 1e20).hypot(v * 1e20)
special.hypot(special.flip(0))
special.logaddexp(special.flip(0))
x.logaddexp(v)
(y / 4).logit()
x.logit(0.1)
x.deg2rad()
special.signbit()
rows.nansum(1)
rows.nanmean(0)
i8.asinh()
h.asinh()
torch.lerp(x, y, y)
x.addcmul(y, v, value=0.5)
x.addcdiv(y, y, value=-2)
i.addcmul(j, j)
torch.isclose(x, x + 1e-9)
torch.allclose(x, x)
torch.allclose(x, y)
torch.equal(x, x)
torch.equal(x, v)
torch.isclose(special, special, equal_nan=True)
torch.isclose(special, special)
""".strip().splitlines()


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's, about its own older forms
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_value_shape_and_type(expression: str) -> None:
    _assert_same(eval(expression, _names(grad)), eval(expression, _names(torch)))


GRADIENTS = """
x * v
x / y
y ** v
torch.tensor([0.0, 2.0]) ** v[:2]
special[:4] ** 2
special[:2] ** 0
special[:2].sqrt()
special[5:] ** v[:3]
ties.relu()
special.relu()
special.abs()
ties.clamp(0, 2)
ties.clamp(1)
ties.clamp(v[:3], y[0, :3])
ties.maximum(ties.flip(1))
ties.minimum(torch.tensor(2.0))
ties.max()
ties.min()
ties.amax(1)
ties.amin((0, 1))
ties.max(1).values
ties.min(0, keepdim=True).values
rows.max(1).values
ties.cummax(1).values
torch.where(special > 0, special.log(), special)
torch.where(ties > 0, ties, 1 / ties)
x.masked_fill(x > 0, 2)
x.masked_fill(x > 0, s)
x.prod()
zeros.prod()
zeros.prod(1)
zeros.prod(0, keepdim=True)
zeros.cumprod(1)
zeros.cumprod(0)
x.cumsum(1)
x.var(1)
x.std()
torch.ones(3, requires_grad=True).std()
(x * 0).norm()
(x * 0).norm(dim=1)
x.norm(3, dim=1)
x.logsumexp(1)
rows[2:3, :].clone().logsumexp(1)
x.softmax(1)
t.log_softmax(1)
x % y
x.fmod(y)
x.atan2(y)
x.round()
x.floor() + x
x.sign() * x
t @ x.mT
v @ t.mT
x @ v
x.half() @ y.half().mT
h * x
(h + s) * d
x.sum(dtype=torch.float64)
h.sum(0)
x.lerp(y, 0.25)
x.addcdiv(y, y, value=2)
x.gather(0, index)
x.scatter(0, index[:1], y[:1])
x.scatter(0, index[:1], 2.0)
x.scatter_add(0, index, y[:2])
x.index_select(0, pick)
x.index_add(0, pick, y)
x.tril(1)
torch.nn.functional.gelu(x)
special.nan_to_num()
x.mean((0, 1))
empty.sum()
empty.softmax(1)
x.addmm(x[:, :3], x, beta=2)
""".strip().splitlines()


def _gradients(module: Any, expression: str) -> dict[str, Any]:
    names = _names(module, requires_grad=True)
    result = eval(expression, names)
    weights = module.tensor(np.linspace(1, 2, max(result.numel(), 1)).astype(np.float32))
    total = (result.reshape(-1) * weights[: result.numel()]).sum()
    total.backward()
    return {name: getattr(names[name], "grad", None) for name in _ARRAYS}


@pytest.mark.parametrize("expression", GRADIENTS)
def test_gradient(expression: str) -> None:
    ours, theirs = _gradients(grad, expression), _gradients(torch, expression)
    for name, expected in theirs.items():
        if expected is None:
            assert ours[name] is None, name
            continue
        assert _name(ours[name].dtype) == _name(expected.dtype)
        limit = 1e-2 if expected.dtype is torch.float16 else 2e-5
        np.testing.assert_allclose(
            _array(ours[name]), _array(expected), rtol=limit, atol=limit, err_msg=name
        )


REFUSED = """
b - c
b - 1
1 - b
-b
abs(b)
b ** c
b // c
b % c
x & 1
~x
i << 2.0
i ** -1
x + None
x + "a"
x < None
x + v[:3]
x.sum(2)
x.sum((0, 0))
x.sum((0, -2))
x.mean(-3)
i.mean()
i.var()
i.norm()
i.softmax(0)
b.argmax()
empty.max()
empty.amax()
empty.max(0)
empty.argmax()
x @ x
x @ d.mT
v @ v[:3]
s @ s
b @ b
x.mm(v)
x.mm(t)
t.bmm(x)
x.mv(x)
x.dot(v)
x.outer(v)
x.gather(0, index.float())
x.gather(0, pick)
x.gather(1, torch.tensor([[9]]))
x.gather(1, torch.tensor([[-1]]))
x.gather(0, torch.zeros(1, 9).long())
x.scatter(0, index + 5, 1.0)
x.scatter(0, index, d)
x.index_select(0, torch.tensor([9]))
x.index_select(0, index)
x.tril(1).sum(0).tril()
torch.where(i, x, x)
x.masked_fill(i, 1)
x.masked_fill(x > 0, v)
i.add(j, alpha=1.5)
x.clamp()
b.relu()
x.cumsum(5)
torch.tensor([0.5]).bernoulli(2.0)
torch.randint(5, 5, (2,))
x.isclose(d)
""".strip().splitlines()


@pytest.mark.parametrize("expression", REFUSED)
def test_refused(expression: str) -> None:
    """What PyTorch refuses is refused here at the call, with an exception its users would catch."""
    with pytest.raises(Exception) as theirs:
        eval(expression, _names(torch))
    with pytest.raises(Exception) as ours:
        eval(expression, _names(grad))
    if theirs.type is not NotImplementedError:
        # An argument or an index out of range is what it is to NumPy's users, not a RuntimeError.
        assert issubclass(ours.type, (theirs.type, ValueError, IndexError))
    assert len(str(ours.value)) > 20


_KINDS = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16"]
_KINDS += ["float32", "float64"]
_FORMS = ["x + y", "x + y0", "x0 + y", "x0 + y0", "x + 1", "x0 + 1.5", "x * True", "x / y", "x < y"]
_FORMS += [
    "torch.where(x > 0, x, y)",
    "torch.where(x > 0, x, 2.5)",
    "x.maximum(y)",
    "x.clamp(max=2.5)",
]
_FORMS += ["x.sum()", "x.prod(0)", "x.cumsum(0)", "x.exp()", "x.square()", "x.logical_and(y)"]


@pytest.mark.parametrize("form", _FORMS)
def test_types_combine_as_in_pytorch(form: str) -> None:
    """Every pair of types, as tensors with dimensions and without, and with numbers."""

    def found(module: Any, first: str, second: str) -> str:
        x = module.ones(2, dtype=getattr(module, first))
        y = module.ones(2, dtype=getattr(module, second))
        names = {"torch": module, "x": x, "y": y, "x0": x[0], "y0": y[0]}
        return _name(eval(form, names).dtype)

    pairs = [(a, b) for a in _KINDS for b in _KINDS]
    ours = {pair: found(grad, *pair) for pair in pairs}
    theirs = {pair: found(torch, *pair) for pair in pairs}
    assert ours == theirs


@pytest.mark.parametrize("first", _KINDS)
def test_in_place_results_are_refused_as_in_pytorch(first: str) -> None:
    def outcome(module: Any, second: str) -> str:
        x = module.ones(2, dtype=getattr(module, first))
        try:
            x.add_(module.ones(2, dtype=getattr(module, second)))
        except RuntimeError:
            return "refused"
        return _name(x.dtype)

    assert {b: outcome(grad, b) for b in _KINDS} == {b: outcome(torch, b) for b in _KINDS}
