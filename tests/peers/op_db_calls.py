"""``out=`` and calls that must raise, of one case (op_db_cases.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad.errors import DTypeError
from tests.peers.op_db_cases import Call, Case, OurSample, our_sample, results_differ, unsupported
from tests.peers.op_db_values import NotComparable, ours, tensors_in

torch = pytest.importorskip("torch")


# -- out= ------------------------------------------------------------------------------------------
def out_differs(case: Case) -> str | None:
    """``out=`` of the right shape, with gaps in memory, and of no elements."""
    with torch.no_grad(), grad.no_grad():
        try:
            expected = case.form.theirs(case.sample.input, *case.sample.args, **case.sample.kwargs)
        except Exception as error:
            return unsupported(error)
        if not _fit_for_out(expected):
            raise NotComparable("out= of something else than tensors")
        for shape in ("same", "empty"):
            sample = our_sample(case.sample)
            targets = _targets(expected, shape)
            given = ours(targets)
            try:
                wanted = case.form.theirs(
                    case.sample.input, *case.sample.args, **case.sample.kwargs, out=targets
                )
            except Exception as error:
                return unsupported(error)
            pairs = zip(tensors_in(targets), tensors_in(expected), strict=True)
            if not all(torch.allclose(a, b, equal_nan=True) for a, b in pairs):
                raise NotComparable("out= of PyTorch is not its result")
            try:
                assert case.form.mine is not None
                found = case.form.mine(sample.input, *sample.args, **sample.kwargs, out=given)
            except Exception as error:
                return f"out=: {type(error).__name__}: {str(error)[:150]}"
            same = all(a is b for a, b in zip(tensors_in(found), tensors_in(given), strict=True))
            message = results_differ(case, given, targets) or results_differ(case, found, wanted)
            if message or not same:
                return f"out=: {message or 'the result is not the tensor that was given'}"
    return None


def _fit_for_out(expected: Any) -> bool:
    whole = isinstance(expected, torch.Tensor)
    return whole or (
        isinstance(expected, list | tuple) and all(isinstance(t, torch.Tensor) for t in expected)
    )


def _targets(expected: Any, shape: str) -> Any:
    """Tensors to write to, of the types of `expected`."""
    if not isinstance(expected, torch.Tensor):
        return tuple(_targets(t, shape) for t in expected)
    if shape == "empty":
        return expected.new_empty(0)
    wide = expected.new_zeros((*expected.shape, 2))
    return wide[..., 0] if expected.dim() else expected.new_zeros(())


# -- calls that must raise -------------------------------------------------------------------------
def failure_differs(case: Case, stated: Any) -> str | None:
    """A call that PyTorch refuses raises the same exception at the call, and changes nothing."""
    sample = case.sample
    translated = our_sample(sample)
    before = [t.clone() for t in tensors_in(translated)]
    try:
        case.form.theirs(sample.input, *sample.args, **sample.kwargs)
    except Exception as error:
        expected, words = (type(error), stated), str(error)
    else:
        raise NotComparable("PyTorch does not raise")
    try:
        assert case.form.mine is not None
        case.form.mine(translated.input, *translated.args, **translated.kwargs)
    except Exception as raised:
        return _wrong_exception(raised, expected, words) or _changed(translated, before)
    return f"not refused: PyTorch raises {expected[0].__name__}: {words[:100]}"


def _wrong_exception(raised: Exception, expected: tuple[Any, ...], words: str) -> str | None:
    """The type that was raised, where it is not one of `expected`; DTypeError stands for
    NotImplementedError, which PyTorch has for kernels that nobody wrote.
    """
    kinds = {
        kind for entry in expected for kind in (entry if isinstance(entry, tuple) else (entry,))
    }
    if isinstance(raised, DTypeError):
        kinds |= {DTypeError} if NotImplementedError in kinds else set()
    if isinstance(raised, tuple(kinds)):
        return None
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    return f"exception: {type(raised).__name__}: {str(raised)[:80]!r}, not {names}: {words[:80]!r}"


def _changed(sample: OurSample, before: list[Any]) -> str | None:
    for old, new in zip(before, tensors_in(sample), strict=True):
        if old.shape != new.shape or old.dtype is not new.dtype:
            return "changed: an operand has another shape or type after a failed call"
        if not np.array_equal(old.detach().numpy(), new.detach().numpy(), equal_nan=False):
            same = (old == new) | ((old != old) & (new != new))
            if not bool(same.all()):
                return "changed: an operand has other values after a failed call"
    return None


def raises_too(mine: Call, error: Exception) -> str | None:
    before = [t.clone() for t in tensors_in(mine.sample)]
    try:
        mine()
    except Exception as raised:
        return _wrong_exception(raised, (type(error),), str(error)) or _changed(mine.sample, before)
    return f"not refused: PyTorch raises {type(error).__name__}: {str(error)[:100]}"
