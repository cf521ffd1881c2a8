"""One entry of PyTorch's database, run with both libraries: what is the same, what differs.

`run` goes through the forms of an operator (op_db_names.py), its element types and its samples, and
counts in a `Tally` (op_db_cases.py) what passed, what failed, and what cannot be compared: results,
their gradients (op_db_gradients.py), ``out=`` and calls that must raise (op_db_calls.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grad.settings import settings
from tests.peers.op_db_calls import failure_differs, out_differs, raises_too
from tests.peers.op_db_cases import (
    Call,
    Case,
    Finding,
    Tally,
    our_sample,
    results_differ,
    unsupported,
    wants_gradient,
)
from tests.peers.op_db_differences import COSTLY, SHAPES_ONLY, is_random
from tests.peers.op_db_gradients import gradients_differ
from tests.peers.op_db_names import Form, forms, title
from tests.peers.op_db_values import DTYPES, NotComparable, tensors_in

torch = pytest.importorskip("torch")

# How many samples are taken of the list that the database has for a type, evenly over the list: of
# the function in the first two types (with gradients), in the others, of the other forms, and how
# many have their second gradients compared.
FIRST, OTHERS, FORMS, SECOND = 16, 6, 3, 8


# Whose results are computed by compiled kernels; all else is interpreted, for time: this is about
# what operators mean, and compiling some ten thousand small kernels takes half an hour.
COMPILED = (torch.float32,)


# -- the loop --------------------------------------------------------------------------------------
def run(entry: Any) -> Tally:
    """Compare everything that the database has for one entry."""
    with settings.override(backend="reference"):
        return _run(entry)


def _run(entry: Any) -> Tally:
    tally = Tally(title(entry))
    for form in forms(entry):
        if form.mine is None:
            tally.findings.append(Finding(form.name, "missing", "", "", ""))
            continue
        for number, dtype in enumerate(_dtypes(entry, form)):
            for position, sample in enumerate(_samples(entry, form, dtype, number)):
                case = Case(entry, form, dtype, sample)
                _count(tally, case, lambda case=case, n=position: _sample(case, n < SECOND))
                if form.name == "function" and entry.supports_out and position < 2 and number < 2:
                    _count(tally, case, lambda case=case: out_differs(case))
    function = next(forms(entry))
    if entry.error_inputs_func is not None and function.mine is not None:
        for error in _seeded(lambda: list(entry.error_inputs("cpu"))):
            case = Case(entry, function, "error", error.sample_input)
            _count(
                tally, case, lambda case=case, error=error: failure_differs(case, error.error_type)
            )
    return tally


def _count(tally: Tally, case: Case, compare: Callable[[], str | None]) -> None:
    try:
        message = compare()
    except NotComparable as reason:
        tally.not_comparable[str(reason)] += 1
        return
    if message is None:
        tally.passed += 1
    else:
        tally.findings.append(case.finding(message))


def _dtypes(entry: Any, form: Form) -> list[Any]:
    """The real types that both know, the most exact first; few of them for the other forms."""
    known = entry.supported_dtypes("cpu")
    order = [torch.float64, torch.float32, torch.int64, torch.bool]
    order += [dtype for dtype in DTYPES if dtype not in order]
    found = [dtype for dtype in order if dtype in known]
    return found if form.name == "function" else found[:1] + found[2:3]


def _samples(entry: Any, form: Form, dtype: Any, number: int) -> list[Any]:
    """Samples spread evenly over the list; other ones for each type where the list is long."""
    wanted = _differentiable(entry, form, dtype)
    every = _seeded(lambda: list(entry.sample_inputs("cpu", dtype, requires_grad=wanted)))
    limit = (FIRST if number < 2 else OTHERS) if form.name == "function" else FORMS
    if entry.name in COSTLY:
        limit = max(limit // 4, 2)
    if len(every) <= limit:
        return every
    step = len(every) / limit
    return [every[int((i + number / 11) * step)] for i in range(limit)]


def _differentiable(entry: Any, form: Form, dtype: Any) -> bool:
    allowed = entry.supports_inplace_autograd if form.in_place else entry.supports_autograd
    return (
        bool(allowed)
        and dtype.is_floating_point
        and dtype in entry.supported_backward_dtypes("cpu")
        and entry.name not in SHAPES_ONLY
    )


def _seeded(make: Callable[[], Any]) -> Any:
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(0)
    return make()


# -- results and gradients -------------------------------------------------------------------------
def _sample(case: Case, second: bool) -> str | None:
    """Results, then gradients, of one sample."""
    theirs = Call(case.form.theirs, case.sample, case.form.in_place)
    mine = Call(case.form.mine, our_sample(case.sample), case.form.in_place)
    try:
        expected = theirs()
    except Exception as error:
        return raises_too(mine, error) if case.form.in_place else unsupported(error)
    try:
        actual = mine()
    except NotComparable:
        raise
    except Exception as error:
        return f"raises: {type(error).__name__}: {str(error)[:150]}"
    compiled = case.form.name == "function" and case.dtype in COMPILED
    with settings.override(backend="cpu" if compiled else "reference"):
        found = results_differ(case, actual, expected)
    drawn = is_random(case.entry.name, case.sample.args)
    if found or drawn or not any(wants_gradient(t) for t in tensors_in(expected)):
        return found
    return gradients_differ(case, mine, theirs, second)
