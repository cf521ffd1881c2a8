"""First and second gradients of one case, of ours and of PyTorch's (op_db_cases.py).

What is differentiated is what the database differentiates: the operator in the wrapper that makes
its operand symmetric or triangular, and its results made unique. Random weights make one number of
the results, and in turn of the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

import grad
from tests.peers.op_db_cases import Call, Case, unsupported, wants_gradient, widened_sample
from tests.peers.op_db_values import DTYPES, NotComparable, difference, retold, tensors_in

torch = pytest.importorskip("torch")

_THEIRS = {mine: theirs for theirs, mine in DTYPES.items()}


def gradients_differ(case: Case, mine: Call, theirs: Call, second: bool) -> str | None:
    """First gradients along fixed random weights, then the second ones, in float64."""
    second = second and case.dtype is torch.float64 and case.entry.supports_gradgrad
    try:
        results = list(tensors_in(_processed(case, theirs)))
        places = [i for i, t in enumerate(results) if wants_gradient(t)]
        weights = {i: _weights(results[i], i) for i in places}
        outputs = [results[i] for i in places]
        expected = _backward(torch, outputs, theirs.leaves, list(weights.values()), second)
    except Exception as error:
        return unsupported(error)
    try:
        results = list(tensors_in(_processed(case, mine, retold)))
        # A result whose gradient is always zero need not have one here.
        places = [i for i in places if i < len(results) and wants_gradient(results[i])]
        if not places:
            return "gradient: no result has one"
        outputs = [results[i] for i in places]
        actual = _backward(grad, outputs, mine.leaves, [weights[i] for i in places], second)
    except NotComparable:
        raise
    except Exception as error:
        return f"gradient raises: {type(error).__name__}: {str(error)[:150]}"
    return _all_differ(
        "gradient", actual, expected, lambda: _exact_gradients(case, list(weights.values()))
    ) or (_second_differ(mine, theirs, actual, expected) if second else None)


def _exact_gradients(case: Case, weights: list[Any]) -> list[Any]:
    """The first gradients that PyTorch has in float64."""
    theirs = Call(case.form.theirs, widened_sample(case.sample), case.form.in_place)
    try:
        outputs = list(filter(wants_gradient, tensors_in(_processed(case, theirs))))
        return _backward(torch, outputs, theirs.leaves, weights, False)
    except Exception:
        return [None] * len(theirs.leaves)


def _processed(case: Case, call: Call, tell: Callable[[Any], Any] = lambda f: f) -> Any:
    """The results that the database differentiates: of the wrapped operator, made unique."""
    result = call(tell(case.entry.gradcheck_wrapper))
    return tell(case.sample.output_process_fn_grad)(result)


def _weights(tensor: Any, seed: int) -> Any:
    return np.asarray(np.random.default_rng(seed).uniform(-1, 1, tuple(tensor.shape)))


def _backward(
    library: Any, outputs: list[Any], leaves: list[Any], weights: list[Any], create_graph: bool
) -> list[Any]:
    seeds = [library.tensor(w).to(output.dtype) for w, output in zip(weights, outputs, strict=True)]
    return list(
        library.autograd.grad(outputs, leaves, seeds, create_graph=create_graph, allow_unused=True)
    )


def _all_differ(
    what: str, actual: Iterable[Any], expected: Iterable[Any], exact: Callable[[], Any]
) -> str | None:
    for position, (mine, theirs) in enumerate(zip(actual, expected, strict=True)):
        if mine is None and theirs is None:
            continue
        # Not used, or used with a gradient of zero: the same to whoever asked.
        if mine is None:
            mine = grad.zeros(tuple(theirs.shape), dtype=DTYPES[theirs.dtype])
        if theirs is None:
            theirs = torch.zeros(tuple(mine.shape), dtype=_THEIRS[mine.dtype])
        # Sums of many rounded terms.
        found = difference(mine, theirs, lambda n=position: exact()[n], slack=4)
        if found:
            return f"{what}: {found}"
    return None


def _second_differ(mine: Call, theirs: Call, actual: list[Any], expected: list[Any]) -> str | None:
    usable = [i for i, t in enumerate(expected) if t is not None and wants_gradient(t)]
    if not usable:
        return None
    weights = [_weights(expected[i], 10 + i) for i in usable]
    try:
        wanted = _backward(torch, [expected[i] for i in usable], theirs.leaves, weights, False)
    except Exception as error:
        return unsupported(error)
    firsts = [actual[i] for i in usable]
    kept = [i for i, t in enumerate(firsts) if t is not None and wants_gradient(t)]
    try:
        found = (
            _backward(
                grad, [firsts[i] for i in kept], mine.leaves, [weights[i] for i in kept], False
            )
            if kept
            else [None] * len(wanted)
        )
    except Exception as error:
        return f"second gradient raises: {type(error).__name__}: {str(error)[:150]}"
    return _all_differ("second gradient", found, wanted, lambda: [None] * len(wanted))
