"""`grad.distributions` beside ``torch.distributions``: every number that both can give."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")


class Scalar(float):
    """A number that is given as a tensor."""


PROBS = [[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]
SCALAR = Scalar(0.7)
SQUARE = [[2.0, 0.5], [0.5, 1.0]]
# Lists are tensors of float64. Values to ask for come last.
CASES: dict[str, tuple[list[Any], dict[str, Any], Any]] = {
    "Normal": ([[0.5, -1.0], 2.0], {}, [0.3, -1.0]),
    "LogNormal": ([[0.5, -1.0], 2.0], {}, [0.3, 1.0]),
    "HalfNormal": ([[0.5, 1.0]], {}, [0.3, 1.0]),
    "HalfCauchy": ([[0.5, 1.0]], {}, [0.3, 1.0]),
    "Cauchy": ([[0.5, 1.0], 3.0], {}, [0.3, 1.0]),
    "Laplace": ([[0.5, 1.0], 3.0], {}, [0.3, 1.0]),
    "Gumbel": ([[0.5, 1.0], 3.0], {}, [0.3, 1.0]),
    "Uniform": ([[0.0, -1.0], 3.0], {}, [0.3, 1.0]),
    "Exponential": ([[0.5, 1.0]], {}, [0.3, 1.0]),
    "Gamma": ([[0.5, 3.0], 2.0], {}, [0.3, 1.0]),
    "Chi2": ([[0.5, 3.0]], {}, [0.3, 1.0]),
    "Beta": ([[2.5, 3.0], [1.5, 2.0]], {}, [0.3, 0.9]),
    "Dirichlet": ([[[0.5, 3.0, 2.0], [0.5, 0.6, 0.7]]], {}, [0.3, 0.2, 0.5]),
    "StudentT": ([[2.5, 0.8], [1.5, 2.0], 3.0], {}, [0.3, 0.9]),
    "Poisson": ([[0.5, 3.0]], {}, [0.0, 4.0]),
    "Bernoulli": ([[0.5, 0.1]], {}, [0.0, 1.0]),
    "Bernoulli of logits": ([], {"logits": [0.5, -40.0]}, [0.0, 1.0]),
    "Geometric": ([[0.5, 0.1]], {}, [0.0, 4.0]),
    "Binomial": ([7, [0.5, 0.1]], {}, [0.0, 4.0]),
    "Binomial of logits": ([7], {"logits": [0.5, -3.0]}, [0.0, 4.0]),
    "Categorical": ([PROBS], {}, [0.0, 2.0]),
    "Categorical of logits": ([], {"logits": PROBS}, [0.0, 2.0]),
    "OneHotCategorical": ([PROBS], {}, [0.0, 1.0, 0.0]),
    "Multinomial": ([5, PROBS], {}, [1.0, 2.0, 2.0]),
    "MultivariateNormal": ([[[0.0, 1.0]], SQUARE], {}, [0.3, 1.0]),
    "Pareto": ([[0.2, 0.1], [2.5, 3.0]], {}, [0.3, 1.0]),
    "Weibull": ([[0.2, 0.1], [2.5, 3.0]], {}, [0.3, 1.0]),
    "InverseGamma": ([[2.2, 5.1], [2.5, 3.0]], {}, [0.3, 1.0]),
    "Kumaraswamy": ([[2.2, 5.1], [2.5, 3.0]], {}, [0.3, 0.9]),
    "FisherSnedecor": ([[2.2, 5.1], [4.5, 9.0]], {}, [0.3, 0.9]),
    "VonMises": ([[2.2, 5.1], [0.5, 9.0]], {}, [0.3, 0.9]),
    "LogisticNormal": ([[0.2, -1.0], [0.5, 2.0]], {}, [0.3, 0.1, 0.6]),
    "NegativeBinomial": ([[3.0, 4.5], [0.5, 0.1]], {}, [0.0, 4.0]),
    "NegativeBinomial of logits": ([[3.0, 4.5]], {"logits": [0.5, -0.1]}, [0.0, 4.0]),
    "ContinuousBernoulli": ([[0.2, 0.5001]], {}, [0.3, 0.9]),
    "ContinuousBernoulli of logits": ([], {"logits": [0.5, -4.0]}, [0.3, 0.9]),
    "RelaxedBernoulli": ([SCALAR, [0.2, 0.5]], {}, [0.3, 0.9]),
    "RelaxedBernoulli of logits": ([SCALAR], {"logits": [0.5, -4.0]}, [0.3, 0.9]),
    "RelaxedOneHotCategorical": ([SCALAR, PROBS], {}, [0.3, 0.1, 0.6]),
    "LKJCholesky": ([2, [0.5, 2.0]], {}, [[1.0, 0.0], [0.6, 0.8]]),
    "Wishart": ([[3.0, 4.5], SQUARE], {}, [[3.0, 0.5], [0.5, 2.0]]),
    "LowRankMultivariateNormal": ([[[0.0, 1.0]], [[0.5], [1.0]], [0.5, 2.0]], {}, [0.3, 1.0]),
    "MultivariateNormal of precision": ([[0.0, 1.0]], {"precision_matrix": SQUARE}, [0.3, 1.0]),
}


def made(library: Any, name: str) -> Any:
    positional, named, _ = CASES[name]

    def of(value: Any) -> Any:
        is_tensor = isinstance(value, list | Scalar)
        return library.tensor(value, dtype=library.float64) if is_tensor else value

    kind = getattr(library.distributions, name.split(" of ")[0])
    return kind(*map(of, positional), **{key: of(value) for key, value in named.items()})


def outcome(call: Any, *arguments: Any) -> Any:
    try:
        found = call(*arguments)
    except NotImplementedError:
        return "not implemented"
    return found.detach().numpy() if hasattr(found, "detach") else found


def called(owner: Any, method: str, *arguments: Any) -> Any:
    return outcome(getattr(owner, method), *arguments)


def compare(ours: Any, theirs: Any, rtol: float) -> None:
    if isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-10)
        assert ours.shape == theirs.shape
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", CASES)
def test_everything(name: str) -> None:
    both = made(grad, name), made(torch, name)
    ours, theirs = both
    # In PyTorch the entropy of a Multinomial has a part in float32.
    # It has the Bessel functions of VonMises by polynomials of some digits.
    rtol = 1e-6 if name in ("Multinomial", "VonMises") else 1e-8
    for attribute in ("mean", "variance", "stddev", "mode"):
        one, other = (outcome(getattr, x, attribute) for x in both)
        if (name, attribute) == ("Kumaraswamy", "mode"):
            continue  # NaN in PyTorch
        if other is not None and not isinstance(other, str):
            compare(one, other, rtol)
    for method in ("entropy", "perplexity", "enumerate_support"):
        compare(*(called(x, method) for x in both), rtol)
    for method in ("log_prob", "cdf"):
        values = (x.tensor(CASES[name][2], dtype=x.float64) for x in (grad, torch))
        compare(*(called(x, method, value) for x, value in zip(both, values)), rtol)
    chances = [x.tensor([0.2, 0.7], dtype=x.float64) for x in (grad, torch)]
    one, other = (called(x, "icdf", chance) for x, chance in zip(both, chances))
    if not isinstance(other, str):
        compare(one, other, rtol)
    for attribute in ("batch_shape", "event_shape", "has_rsample", "has_enumerate_support"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    for attribute in ("event_dim", "is_discrete"):
        assert getattr(ours.support, attribute) == getattr(theirs.support, attribute)
    if name.split(" of ")[0] not in ("Beta", "StudentT"):
        assert repr(made(grad, name)) == repr(made(torch, name))
    shapes = [x.expand((3, *x.batch_shape)).sample((4,)).shape for x in both]
    assert tuple(shapes[0]) == tuple(shapes[1])


def divergence(library: Any, p: str, q: str) -> Any:
    return outcome(library.distributions.kl_divergence, made(library, p), made(library, q))


def test_divergences() -> None:
    """Of all pairs that both know."""
    count = 0
    for p, q in product(CASES, CASES):
        if (p[:19], q) == ("ContinuousBernoulli", "Uniform"):
            continue  # infinite in PyTorch for ends at 0 or 1
        one, other = divergence(grad, p, q), divergence(torch, p, q)
        if not isinstance(one, str) and not isinstance(other, str):
            one, other = np.broadcast_arrays(one, other)
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-14, err_msg=f"{p} {q}")
            count += 1
    assert count > 50


TRANSFORMS: list[tuple[str, list[Any]]] = [
    ("ExpTransform", []), ("SigmoidTransform", []), ("TanhTransform", []),
    ("SoftplusTransform", []), ("StickBreakingTransform", []), ("SoftmaxTransform", []),
    ("AffineTransform", [1.0, -2.0]), ("AffineTransform", [1.0, 2.0, 1]), ("AbsTransform", []),
    ("ReshapeTransform", [(3,), (3, 1)]), ("CorrCholeskyTransform", []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), TRANSFORMS, ids=str)
def test_transforms(name: str, arguments: list[Any]) -> None:
    found = []
    for library in (grad, torch):
        transform = getattr(library.distributions, name)(*arguments)
        x = library.tensor([[0.5, -1.0, 2.0], [0.1, 0.2, -0.3]], dtype=library.float64)
        y = transform(x)
        parts = [y.numpy(), transform.inv(y).numpy()]
        if transform.bijective:
            parts.append(transform.log_abs_det_jacobian(x, y).numpy())
        facts = (transform.domain.event_dim, transform.codomain.event_dim, transform.bijective)
        found.append((parts, facts, tuple(transform.forward_shape(x.shape))))
    assert found[0][1:] == found[1][1:]
    for one, other in zip(found[0][0], found[1][0]):
        np.testing.assert_allclose(one, other, rtol=1e-9)


WRONG: list[Any] = [
    lambda t: t.distributions.Normal(0.0, -1.0),
    lambda t: t.distributions.Normal(t.zeros(2), t.tensor([1.0, -1.0])),
    lambda t: t.distributions.Uniform(1.0, 0.0),
    lambda t: t.distributions.Categorical(),
    lambda t: t.distributions.Categorical(t.tensor([0.5, -0.5])),
    lambda t: t.distributions.Bernoulli(0.5, 0.5),
    lambda t: t.distributions.Exponential(1.0).log_prob(t.tensor(-1.0)),
    lambda t: t.distributions.Normal(t.zeros(2), 1.0).log_prob(t.zeros(3)),
    lambda t: t.distributions.Normal("a", 1.0),
    lambda t: t.distributions.MultivariateNormal(t.zeros(2)),
]


@pytest.mark.parametrize("call", WRONG, ids=range(len(WRONG)))
def test_messages(call: Any) -> None:
    """The class of the error, and the first words."""
    found = []
    for library in (grad, torch):
        with pytest.raises((ValueError, NotImplementedError)) as error:
            call(library)
        found.append((type(error.value), str(error.value)[:25]))
    assert found[0] == found[1]
