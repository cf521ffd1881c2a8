"""What is compared, and what comes of it: a `Case`, the `Call`s that it makes of both libraries,
the `Finding`s, and a `Tally` of them for each entry of PyTorch's database of operators.

`results_differ` compares the results of two calls; gradients are in op_db_gradients.py, ``out=``
and calls that must raise in op_db_calls.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

import grad
from tests.peers.op_db_differences import TIED, UNIQUE_BY_PROCESSING, is_random
from tests.peers.op_db_names import Form
from tests.peers.op_db_values import NotComparable, difference, ours, retold, tensors_in

torch = pytest.importorskip("torch")


# Few elements of random samples are equal in these.
_WIDE = (torch.float32, torch.float64)


class Finding(NamedTuple):
    """One difference: in which form, of what kind, in which type, and the words for it."""

    form: str
    kind: str
    dtype: str
    message: str
    sample: str

    def __str__(self) -> str:
        return f"{self.form}, {self.dtype}: {self.kind}: {self.message}  [{self.sample}]"


@dataclass
class Tally:
    """What became of the comparisons of one entry."""

    name: str
    passed: int = 0
    findings: list[Finding] = field(default_factory=list)
    not_comparable: Counter[str] = field(default_factory=Counter)


class Case(NamedTuple):
    """One sample in one form and one type."""

    entry: Any
    form: Form
    dtype: Any
    sample: Any

    def finding(self, message: str) -> Finding:
        kind, _, rest = message.partition(": ")
        return Finding(self.form.name, kind, short(self.dtype), rest, shown(self.sample))


def short(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def shown(value: Any) -> str:
    """A sample, with shapes in place of values."""
    if isinstance(value, torch.Tensor):
        gaps = "" if value.is_contiguous() else "~"
        return f"{short(value.dtype)}{gaps}{list(value.shape)}"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(shown, value)) + ")"
    if isinstance(value, dict):
        return ", ".join(f"{key}={shown(item)}" for key, item in value.items())
    if hasattr(value, "output_process_fn_grad"):
        parts = [shown(value.input), *map(shown, value.args), shown(value.kwargs)]
        return ", ".join(filter(None, parts))
    return repr(value)[:60]


# -- calls ---------------------------------------------------------------------------------------
class Call:
    """One call of one library, which can be made again.

    An in-place form changes a copy of the first operand, so that the operand keeps its value and
    can be differentiated.
    """

    def __init__(self, function: Any, sample: Any, in_place: bool) -> None:
        self.function, self.sample, self.in_place = function, sample, in_place

    @property
    def leaves(self) -> list[Any]:
        held = (self.sample.input, self.sample.args, self.sample.kwargs)
        return [t for t in tensors_in(held) if t.requires_grad]

    def __call__(self, wrapper: Callable[..., Any] | None = None) -> Any:
        sample, target = self.sample, self.sample.input
        if self.in_place:
            target = target.clone()
        if wrapper is not None:
            return wrapper(self.function, target, *sample.args, **sample.kwargs)
        result = self.function(target, *sample.args, **sample.kwargs)
        if self.in_place and result is not target:
            raise AssertionError("the result is not the operand that was changed")
        return result


class OurSample(NamedTuple):
    """A sample of the database, translated."""

    input: Any
    args: Any
    kwargs: Any


def our_sample(sample: Any) -> OurSample:
    return OurSample(ours(sample.input), ours(sample.args), ours(sample.kwargs))


def unsupported(error: Exception) -> None:
    raise NotComparable(f"PyTorch raises {type(error).__name__}: {str(error)[:60]}")


# -- results -------------------------------------------------------------------------------------
def results_differ(case: Case, actual: Any, expected: Any) -> str | None:
    if is_random(case.entry.name, case.sample.args):
        actual, expected = _zeroed(actual), _zeroed(expected)
    elif case.entry.name in UNIQUE_BY_PROCESSING:
        actual = retold(case.sample.output_process_fn_grad)(actual)
        expected = case.sample.output_process_fn_grad(expected)
    elif case.entry.name in TIED and isinstance(expected, tuple) and case.dtype not in _WIDE:
        actual, expected = actual[0], expected[0]
    return difference(actual, expected, lambda: _exact(case))


def _zeroed(value: Any) -> Any:
    """Random results, of which only shapes and types can be compared."""
    if isinstance(value, list | tuple):
        return [_zeroed(item) for item in value]
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    if isinstance(value, grad.Tensor):
        return grad.zeros_like(value)
    return 0


def _exact(case: Case) -> Any:
    """What PyTorch gives for the same numbers in float64."""
    try:
        return Call(case.form.theirs, widened_sample(case.sample), case.form.in_place)()
    except Exception:
        return None


def widened_sample(sample: Any) -> OurSample:
    """A sample with its floating tensors in float64, and still with those that are leaves."""

    def widened(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            wide = value.detach().double() if value.is_floating_point() else value
            return wide.requires_grad_(value.requires_grad)
        if isinstance(value, list | tuple):
            return type(value)(map(widened, value))
        if isinstance(value, dict):
            return {key: widened(item) for key, item in value.items()}
        narrow = isinstance(value, torch.dtype) and value.is_floating_point
        return torch.float64 if narrow else value

    return OurSample(widened(sample.input), widened(sample.args), widened(sample.kwargs))


def wants_gradient(tensor: Any) -> bool:
    """Whether a tensor of either library has a gradient."""
    return tensor.requires_grad
