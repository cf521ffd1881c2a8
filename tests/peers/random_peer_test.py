"""Random functions take and refuse what PyTorch's do: types, shapes and exceptions, form by form.

Each form is an expression of ``t``, PyTorch or this library. Numbers differ; their laws are tested
in tests/ops/random_statistics_test.py.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import grad

torch = pytest.importorskip("torch")

FORMS = """
t.multinomial(t.tensor([1., 2]), 0)
t.multinomial(t.tensor([1., 2]), 3)
t.multinomial(t.tensor([1, 2]), 1)
t.multinomial(t.tensor(1.), 1)
t.multinomial(t.tensor([1., -1]), 1)
t.multinomial(t.tensor([1., -1]), 2, True)
t.multinomial(t.tensor([1., float('nan')]), 3, True)
t.multinomial(t.tensor([0., 0]), 1)
t.multinomial(t.tensor([[0., 0], [1, 1]]), 2, True)
t.multinomial(t.tensor([1., 0, 0]), 3)
t.multinomial(t.zeros(0), 1)
t.multinomial(t.zeros(0, 3), 4, True)
t.multinomial(t.zeros(3, 0), 1, True)
t.multinomial(t.tensor([1., 2]).half(), num_samples=2, replacement=True)
t.multinomial(t.tensor([1., 2]), 2, True, out=t.zeros(2, dtype=t.int64))
t.multinomial(t.tensor([1., 2]), 2, True, out=t.zeros(2))
t.tensor([1., 2], requires_grad=True).multinomial(2)
t.zeros(3).exponential_(-1)
t.zeros(3).exponential_(lambd=float('inf'))
t.zeros(3, dtype=t.int64).exponential_()
(t.zeros(3, requires_grad=True) + 0).exponential_()
t.zeros(3, requires_grad=True).exponential_()
t.zeros(3).cauchy_(0, -1)
t.zeros(3).cauchy_(median=1, sigma=2)
t.zeros(3, dtype=t.int64).cauchy_()
t.zeros(3).log_normal_(0, 0)
t.zeros(3).log_normal_(mean=1, std=2)
t.zeros(3).geometric_(1)
t.zeros(3).geometric_()
t.zeros(3).geometric_(t.tensor(.5))
t.zeros(3, dtype=t.int64).geometric_(p=.1)
t.poisson(t.tensor([1., -2]))
t.poisson(t.tensor([1., float('nan')]))
t.poisson(t.tensor([1., 0], requires_grad=True))
t.binomial(t.tensor([10., 5]), t.tensor(.5))
t.binomial(t.tensor([10, 5]), t.tensor([.5, .2]))
t.binomial(t.tensor([10., 5]).double(), t.tensor([.5, .2]))
t.binomial(t.tensor([10., 5], requires_grad=True), t.tensor([.5, .2]))
t.zeros(3).random_()
t.zeros(3).random_(0)
t.zeros(3).random_(5, -5)
t.zeros(3).random_(5, None)
t.zeros(3).random_(**{'from': 2, 'to': 5})
t.zeros(3).random_(2.5)
t.zeros(3, dtype=t.uint8).random_(300)
t.zeros(3, dtype=t.uint8).random_(-1, 30)
t.zeros(3, dtype=t.bool).random_(3)
t.zeros(3, dtype=t.half).random_(70000)
t.zeros(3, dtype=t.int64).random_(-2**63, None)
t.zeros(99999, dtype=t.bfloat16).random_().max().item() == 256
t.zeros(99999, dtype=t.uint8).random_().max().item() == 255
t.randint(0, 300, (2,), dtype=t.uint8)
t.randint(-2**63, 2**63 - 1, (2,))
t.randint(5, 2, (2,))
t.randint(5, 2)
t.randint(5.5, (2,))
t.randint(t.tensor(3), (2,))
t.randint(low=2, high=5, size=(2,))
t.randint(5, (2,), out=t.zeros(2))
t.randint_like(t.zeros(2), 2, 5)
t.randint_like(t.zeros(2), t.tensor(5), dtype=t.int32)
t.rand_like(t.zeros(2, dtype=t.int64), dtype=t.float64)
t.randn_like(t.zeros(2, requires_grad=True), requires_grad=True)
t.rand(2, out=t.zeros(2, dtype=t.float64))
t.rand(2, out=t.zeros(2), dtype=t.float64)
t.rand(size=(2,))
t.randperm(-1)
t.randperm(300, dtype=t.uint8)
t.randperm(3000, dtype=t.half)
t.randperm(2049, dtype=t.half)
t.normal(0., 1.)
t.normal(0, 1, (2,))
t.normal(0., t.tensor([1., 2]))
t.normal(t.tensor([1., 2]))
t.normal(t.tensor([1., 2]), t.tensor([[1.], [2]]))
t.normal(t.tensor([1., 2]), t.tensor([1., -2]))
t.normal(t.tensor([1., 2]), t.tensor([1., float('nan')]))
t.normal(t.tensor([1., 2]), -1.)
t.normal(t.tensor([1., 2]), t.tensor([1, 2]))
t.normal(t.tensor([1., 2]).half(), t.tensor([1., 2]))
t.normal(t.tensor([1., 2]), t.tensor([1., 2]).double())
t.normal(t.tensor([1., 2]), 2., out=t.zeros(2).double())
t.normal(t.tensor([1., 2]), 2., (2,))
t.normal(mean=t.tensor([1., 2]), std=t.tensor([1., 2], requires_grad=True))
t.normal(std=t.tensor([1., 2]))
t.normal(0., 1., size=(2,), requires_grad=True)
t.bernoulli(t.tensor([.5, 1.2]))
t.bernoulli(t.tensor([5, 2]), .5)
t.bernoulli(t.tensor([.5, .2], requires_grad=True))
t.zeros(2, dtype=t.int64).bernoulli_(t.tensor([.5, .2]))
t.zeros(2).bernoulli_(t.tensor([.5, float('nan')]))
t.zeros(2).bernoulli_(t.tensor([[.5, .2]]))
t.zeros(2).uniform_(2, 1)
t.zeros(2).uniform_(0, float('nan'))
t.zeros(2).uniform_(-3e38, 3e38)
t.zeros(2).uniform_(1, 1)
t.zeros(2).normal_(0, -1)
t.Generator().manual_seed(-1).initial_seed()
t.Generator().manual_seed(2**64)
t.Generator().manual_seed(1.5)
t.manual_seed(-3).initial_seed()
t.manual_seed(2**64)
t.manual_seed('a')
t.Generator().set_state(1)
t.Generator().set_state(t.zeros(3))
t.Generator().set_state(t.zeros(3).to(t.uint8))
t.Generator('nowhere')
t.dropout(t.tensor([1., 2]), .5, True)
t.dropout(t.tensor([1, 2]), .5, True)
t.dropout(t.tensor([1, 2]), .5, False)
t.dropout_(t.tensor([1., 2]), 1.5, True)
t.feature_dropout(t.tensor([1., 2]), .5, True)
t.alpha_dropout(t.tensor([1., 2]).half(), .5, True)
t.native_dropout(t.tensor([1., 2]), .5, True)[1]
t.nn.init.orthogonal_(t.zeros(3))
t.nn.init.sparse_(t.zeros(3), 0.5)
t.nn.init.dirac_(t.zeros(3, 3, 3), 2)
t.nn.init.orthogonal_(t.zeros(3, 0))
""".strip().splitlines()


def outcome(library: Any, form: str) -> Any:
    """What a form comes to: type, shape and whether it wants a gradient; or what it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = eval(form, {"t": library, "float": float})
    except Exception as error:
        return error
    if isinstance(found, grad.Tensor | torch.Tensor):
        name = str(found.dtype).rpartition(".")[2]
        return name, tuple(found.shape), bool(found.requires_grad)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_form(form: str) -> None:
    expected, found = outcome(torch, form), outcome(grad, form)
    if isinstance(expected, Exception):
        assert isinstance(found, type(expected)), (expected, found)
    else:
        assert found == expected


@pytest.mark.parametrize("groups", [1, 3])
def test_dirac(groups: int) -> None:
    shape = (6, 4, 3, 2)
    expected = torch.nn.init.dirac_(torch.empty(shape), groups)
    assert grad.nn.init.dirac_(grad.empty(shape), groups).tolist() == expected.tolist()
