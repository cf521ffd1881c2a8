"""``grad.func`` and ``grad.autograd.functional`` beside ``torch.func`` and
``torch.autograd.functional``: values, structures, what requires a gradient, and types of errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.func

torch: Any = pytest.importorskip("torch")

# Called with the library, its `func` (or `autograd.functional`), and three matrices.
Case = Callable[[Any, Any, Any, Any, Any], Any]


def smooth(x: Any) -> Any:
    return x.sin() * x.exp()


def loss(x: Any) -> Any:
    return smooth(x).sum()


def through(m: Any, f: Any, x: Any, y: Any, w: Any) -> Any:
    x.requires_grad_()
    outside = (w * 2).requires_grad_()
    result = f.vmap(lambda row: (outside.sin().T * row).sum(0).exp())(x)
    first = m.autograd.grad(result.sum(), (x, outside), create_graph=True)
    return first, m.autograd.grad(sum((g**2).sum() for g in first), (x, outside))


def per_sample(m: Any, f: Any, x: Any, y: Any, w: Any) -> Any:
    w.requires_grad_()
    found = f.vmap(f.grad(lambda row: ((row @ w) ** 3).sum()))(x)
    return found, m.autograd.grad((found**2).sum(), w)


def without_recording(m: Any, f: Any, x: Any, y: Any, w: Any) -> Any:
    x.requires_grad_()
    with m.no_grad():
        inside = f.grad(loss)(x)
    return inside, f.grad(loss)(x)


def outer_tensors(m: Any, f: Any, x: Any, y: Any, w: Any) -> Any:
    y.requires_grad_()
    return (
        f.grad(lambda x: (x * y).sum())(x),
        f.grad(lambda x: loss(x) + y.sum())(x),
        f.grad_and_value(lambda x: loss(x) + y.sum())(x),
        f.jacrev(lambda x: y)(x),
    )


def by_index(m: Any, f: Any, x: Any, y: Any, w: Any) -> Any:
    rows, one = m.tensor([[0, 2], [1, 1], [2, 0], [1, 2]]), m.tensor([0, 2, 1, 1])
    return (
        f.vmap(lambda a, i: a[i])(x, rows),
        f.vmap(lambda a, i: a[i])(x, one),
        f.vmap(lambda i: w[i, :1])(one),
        f.vmap(lambda a, i: a.gather(0, i))(x, rows),
        f.vmap(lambda a, i: a[i], (None, 0))(y, one),
    )


def nothing_but_inputs(m: Any, f: Any, x: Any, y: Any, w: Any) -> Any:
    return f.vmap(lambda a: a.argmax())(x), f.vmap(lambda a: (a.sort(), a > 0, a.topk(2)))(x)


FUNC: dict[str, Case] = {
    "hessian": lambda m, f, x, y, w: f.hessian(loss)(x),
    "hessians": lambda m, f, x, y, w: f.vmap(f.hessian(lambda a: smooth(a).prod()))(x),
    "third": lambda m, f, x, y, w: f.jacfwd(f.jacrev(f.jacrev(lambda x: (x**3).prod())))(x[0]),
    "jacrev of two": lambda m, f, x, y, w: f.jacrev(
        lambda x, w: {"a": x @ w, "b": (x.sum(), w[0])}, argnums=(0, 1)
    )(x, w),
    "jacfwd of two": lambda m, f, x, y, w: f.jacfwd(
        lambda x, w: {"a": x @ w, "b": (x.sum(), w[0])}, argnums=(1, 0)
    )(x, w),
    "jacrev aux": lambda m, f, x, y, w: f.jacrev(lambda x: (x.sin(), x), has_aux=True)(x),
    "jacrev chunks": lambda m, f, x, y, w: f.jacrev(lambda x: x.sin() @ w, chunk_size=3)(x),
    "grad and value": lambda m, f, x, y, w: f.grad_and_value(
        lambda x: (loss(x), {"c": x.cos()}), has_aux=True
    )(x),
    "grad of none": lambda m, f, x, y, w: f.grad(lambda x: y.sum())(x),
    "vjp": lambda m, f, x, y, w: f.vjp(lambda x: (x.sin(), x.sum()), x)[1]((y, y.sum())),
    "vjp in grad": lambda m, f, x, y, w: f.grad(lambda x: f.vjp(m.sin, x)[1](y)[0].sum())(x),
    "jvp of grad": lambda m, f, x, y, w: f.jvp(f.grad(loss), (x,), (y,)),
    "grad of jvp": lambda m, f, x, y, w: f.grad(lambda x: f.jvp(smooth, (x,), (y,))[1].sum())(x),
    "grad by tangent": lambda m, f, x, y, w: f.grad(
        lambda t: (f.jvp(smooth, (x,), (t,))[1] ** 2).sum()
    )(y),
    "jvp of jvp": lambda m, f, x, y, w: f.jvp(lambda x: f.jvp(smooth, (x,), (y,))[1], (x,), (y,)),
    "jvp of vmap": lambda m, f, x, y, w: f.jvp(f.vmap(lambda a: smooth(a).cumsum(0)), (x,), (y,)),
    "jvp aux": lambda m, f, x, y, w: f.jvp(lambda x: (smooth(x), x), (x,), (y,), has_aux=True),
    "jvp of constant": lambda m, f, x, y, w: f.jvp(lambda x: (w, x), (x,), (y,)),
    "nested": lambda m, f, x, y, w: f.vmap(
        f.vmap(lambda a, b: (a * b).sum(), (0, None)), (None, 0), out_dims=1
    )(x, y),
    "structures": lambda m, f, x, y, w: f.vmap(
        lambda d, c: d["a"][0] * d["b"] + c, in_dims=({"a": (1,), "b": -1}, None), out_dims=-1
    )({"a": (x,), "b": y}, 2.0),
    "places": lambda m, f, x, y, w: f.vmap(
        lambda a: (a, {"k": (a.outer(a), a.sum())}), out_dims=(1, {"k": (2, 0)})
    )(x),
    "no batch": lambda m, f, x, y, w: f.vmap(lambda a: (y * 2, a), out_dims=(None, 0))(x),
    "chunks": lambda m, f, x, y, w: f.vmap(lambda a, b: (a * b).cumsum(0), chunk_size=3)(x, y),
    "through": through,
    "per sample": per_sample,
    "no_grad": without_recording,
    "outer tensors": outer_tensors,
    "by index": by_index,
    "integers": nothing_but_inputs,
    "empty": lambda m, f, x, y, w: f.vmap(lambda a: a.sin().sum())(x[:0]),
}


def differentiated(m: Any, f: Any, x: Any, y: Any, w: Any) -> Any:
    x.requires_grad_()
    found = f.hessian(lambda x: (x**4).sum(), x, create_graph=True)
    return m.autograd.grad((found**2).sum(), x)


FUNCTIONAL: dict[str, Case] = {
    "jacobian": lambda m, f, x, y, w: f.jacobian(lambda x: x.sin() @ w, x),
    "jacobian of two": lambda m, f, x, y, w: f.jacobian(lambda x, w: (x @ w, x.sum()), (x, w)),
    "hessian": lambda m, f, x, y, w: f.hessian(loss, x),
    "hessian of two": lambda m, f, x, y, w: f.hessian(lambda x, w: (smooth(x) @ w).sum(), (x, w)),
    "vjp": lambda m, f, x, y, w: f.vjp(smooth, x, y),
    "vjp of one": lambda m, f, x, y, w: f.vjp(loss, x),
    "vjp of two": lambda m, f, x, y, w: f.vjp(lambda x, w: (x @ w, w.sin()), (x, w), (x @ w, w)),
    "jvp": lambda m, f, x, y, w: f.jvp(smooth, x, y),
    "jvp of two": lambda m, f, x, y, w: f.jvp(lambda x, w: (x @ w, w.sin()), (x, w), (y, w)),
    "hvp": lambda m, f, x, y, w: f.hvp(loss, x, y),
    "hvp of two": lambda m, f, x, y, w: f.hvp(lambda x, w: (smooth(x) @ w).sum(), (x, w), (y, w)),
    "vhp": lambda m, f, x, y, w: f.vhp(loss, x, y),
    "vhp of two": lambda m, f, x, y, w: f.vhp(lambda x, w: (smooth(x) @ w).sum(), (x, w), (y, w)),
    "differentiated": differentiated,
}


def matrices() -> list[Any]:
    random = np.random.default_rng(1)
    return [random.normal(size=shape) for shape in ((4, 3), (4, 3), (3, 2))]


def compare(actual: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert len(actual) == len(expected)
        for part, wanted in zip(actual, expected):
            compare(part, wanted)
    elif isinstance(expected, dict):
        assert list(actual) == list(expected)
        compare(list(actual.values()), list(expected.values()))
    else:
        assert actual.shape == tuple(expected.shape)
        assert actual.requires_grad == expected.requires_grad
        np.testing.assert_allclose(
            actual.detach().numpy(), expected.detach().numpy(), rtol=1e-7, atol=1e-9
        )


def namespace(library: Any, functional: bool) -> Any:
    return library.autograd.functional if functional else library.func


@pytest.mark.parametrize(
    ("functional", "name"), [*((False, n) for n in FUNC), *((True, n) for n in FUNCTIONAL)]
)
@pytest.mark.filterwarnings("ignore")
def test_results_are_those_of_the_peer(functional: bool, name: str) -> None:
    case = (FUNCTIONAL if functional else FUNC)[name]
    results = [
        case(library, namespace(library, functional), *map(library.tensor, matrices()))
        for library in (grad, torch)
    ]
    compare(*results)


# -- errors ----------------------------------------------------------------------------------------
Failing = Callable[[Any, Any, Any], Any]

FUNC_ERRORS: dict[str, Failing] = {
    "item": lambda m, f, x: f.vmap(lambda a: a.sum().item())(x),
    "control flow": lambda m, f, x: f.vmap(lambda a: a if a.sum() > 0 else -a)(x),
    "in_dims type": lambda m, f, x: f.vmap(lambda a: a, in_dims=[0])(x),
    "in_dims structure": lambda m, f, x: f.vmap(lambda a: a, in_dims=(0, 0))(x),
    "in_dims range": lambda m, f, x: f.vmap(lambda a: a, in_dims=2)(x),
    "in_dims entry": lambda m, f, x: f.vmap(lambda a: a, in_dims=("a",))(x),
    "no tensor": lambda m, f, x: f.vmap(lambda a: a)(2.0),
    "sizes": lambda m, f, x: f.vmap(lambda a, b: a)(x, x.T),
    "returns": lambda m, f, x: f.vmap(lambda a: 3)(x),
    "out_dims structure": lambda m, f, x: f.vmap(lambda a: a, out_dims=(0, 0))(x),
    "out_dims type": lambda m, f, x: f.vmap(lambda a: a, out_dims="a")(x),
    "out_dims range": lambda m, f, x: f.vmap(lambda a: a, out_dims=3)(x),
    "out_dims None": lambda m, f, x: f.vmap(lambda a: a, out_dims=None)(x),
    "no inputs": lambda m, f, x: f.vmap(lambda: x)(),
    "nothing mapped": lambda m, f, x: f.vmap(lambda a: a, (None,))(x),
    "randomness": lambda m, f, x: f.vmap(lambda a: a, randomness="b")(x),
    "random": lambda m, f, x: f.vmap(lambda a: a + m.rand(4))(x),
    "chunk_size": lambda m, f, x: f.vmap(lambda a: a, chunk_size=0)(x),
    "nonzero": lambda m, f, x: f.vmap(lambda a: a.nonzero())(x),
    "mask": lambda m, f, x: f.vmap(lambda a: a[a > 0])(x),
    "in place": lambda m, f, x: f.vmap(m.zeros(4).add_)(x),
    "shapes": lambda m, f, x: f.vmap(m.dot)(x, x[:, :2]),
    "index": lambda m, f, x: f.vmap(lambda a, i: a[i])(x, m.full((3, 1), 9)),
    "grad of matrix": lambda m, f, x: f.grad(lambda x: x)(x),
    "grad of number": lambda m, f, x: f.grad(lambda x: 3.0)(x),
    "argnums range": lambda m, f, x: f.grad(lambda x: x.sum(), argnums=1)(x),
    "argnums twice": lambda m, f, x: f.grad(lambda x: x.sum(), argnums=(0, 0))(x),
    "argnums type": lambda m, f, x: f.grad(lambda x: x.sum(), argnums="a")(x),
    "aux": lambda m, f, x: f.grad(lambda x: x.sum(), has_aux=True)(x),
    "integers": lambda m, f, x: f.grad(lambda x: x.sum())(x.long()),
    "grad no tensor": lambda m, f, x: f.grad(lambda x: x)(3.0),
    "vjp structure": lambda m, f, x: f.vjp(lambda x: x, x)[1]((x, x)),
    "vjp shape": lambda m, f, x: f.vjp(lambda x: x, x)[1](x[0]),
    "vjp returns": lambda m, f, x: f.vjp(lambda x: 3, x),
    "jvp primals": lambda m, f, x: f.jvp(lambda x: x, x, x),
    "jvp structure": lambda m, f, x: f.jvp(lambda x: x, (x,), (x, x)),
    "jvp shape": lambda m, f, x: f.jvp(lambda x: x, (x,), (x[0],)),
    "jvp returns": lambda m, f, x: f.jvp(lambda x: 3, (x,), (x,)),
    "jvp strict": lambda m, f, x: f.jvp(lambda x: m.ones(2), (x,), (x,), strict=True),
    "jvp numbers": lambda m, f, x: f.jvp(lambda x: x, (3.0,), (3.0,)),
    "jacrev returns": lambda m, f, x: f.jacrev(lambda x: 3)(x),
    "jacrev chunk_size": lambda m, f, x: f.jacrev(lambda x: x, chunk_size=0),
    "linearize structure": lambda m, f, x: f.linearize(lambda x: x, x)[1](x, x),
    "linearize shape": lambda m, f, x: f.linearize(lambda x: x, x)[1](x[0]),
    "names twice": lambda m, f, x: f.functional_call(m.nn.Linear(2, 2), [{"bias": x}] * 2, x),
    "no names": lambda m, f, x: f.functional_call(m.nn.Linear(2, 2), 3, x),
    "unknown path": lambda m, f, x: f.functional_call(m.nn.Linear(4, 2), {"a.foo": x}, x),
    "strict": lambda m, f, x: f.functional_call(m.nn.Linear(4, 2), {}, x, strict=True),
    "no models": lambda m, f, x: f.stack_module_state([]),
    "models": lambda m, f, x: f.stack_module_state([m.nn.Linear(2, 2), m.nn.ReLU()]),
}

FUNCTIONAL_ERRORS: dict[str, Failing] = {
    "returns": lambda m, f, x: f.jacobian(lambda x: 3, x),
    "no tensor": lambda m, f, x: f.jacobian(lambda x: x, 3),
    "strict": lambda m, f, x: f.jacobian(lambda x: m.ones(2), x, strict=True),
    "strict input": lambda m, f, x: f.jacobian(lambda x, y: x, (x, x), strict=True),
    "hessian of many": lambda m, f, x: f.hessian(lambda x: x, x),
    "hessian strict": lambda m, f, x: f.hessian(lambda x: x.sum(), x, strict=True),
    "vjp without v": lambda m, f, x: f.vjp(lambda x: x, x),
    "vjp number": lambda m, f, x: f.vjp(lambda x: x, x, (x, x)),
    "vjp shape": lambda m, f, x: f.vjp(lambda x: x, x, x[0]),
    "jvp without v": lambda m, f, x: f.jvp(lambda x: x, x),
    "jvp shape": lambda m, f, x: f.jvp(lambda x: x, x, x[0]),
    "hvp of many": lambda m, f, x: f.hvp(lambda x: x, x, x),
    "hvp strict": lambda m, f, x: f.hvp(lambda x: x.sum(), x, x, strict=True),
    "vhp without v": lambda m, f, x: f.vhp(lambda x: x.sum(), x),
}


@pytest.mark.parametrize(
    ("functional", "name"),
    [*((False, n) for n in FUNC_ERRORS), *((True, n) for n in FUNCTIONAL_ERRORS)],
)
@pytest.mark.filterwarnings("ignore")
def test_errors_are_of_the_peers_types(functional: bool, name: str) -> None:
    case = (FUNCTIONAL_ERRORS if functional else FUNC_ERRORS)[name]
    with pytest.raises(Exception) as expected:
        case(torch, namespace(torch, functional), torch.ones(3, 4))
    with pytest.raises(expected.type):
        case(grad, namespace(grad, functional), grad.ones(3, 4))
