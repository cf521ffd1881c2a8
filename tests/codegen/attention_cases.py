"""Attentions whose sizes meet every border of the kernels, compared with the definition in NumPy.

`check_all` is called by attention_test.py in its own process, on lesser CPUs and with operands that
end where memory ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import grad
import grad.nn.functional as F
from grad.graph import attention
from grad.graph.attention import Attend

Array = np.ndarray[Any, Any]
Make = Callable[[Array], Any]


class Case(NamedTuple):
    """Heads, rows, keys, sizes of their elements and of values, and what leaves keys out."""

    heads: int
    rows: int
    keys: int
    size: int
    value_size: int
    is_causal: bool = False
    mask: str = ""
    dtype: type = np.float32


CASES = [
    Case(3, 1, 1, 1, 1),
    Case(2, 1, 130, 16, 16),
    Case(2, 7, 5, 3, 2),
    Case(2, 5, 7, 3, 2, True),
    Case(2, 61, 65, 17, 33, True),
    Case(9, 64, 64, 64, 64),
    Case(9, 64, 64, 64, 64, True),
    Case(1, 121, 200, 80, 16, True),
    Case(1, 200, 121, 16, 80, True),
    Case(2, 131, 67, 5, 7, False, "bool"),
    Case(2, 67, 131, 32, 32, True, "bool"),
    Case(2, 67, 131, 8, 8, False, "float"),
    Case(2, 62, 62, 8, 9, True, "float"),
    Case(2, 37, 53, 7, 9, True, "float", np.float64),
    Case(2, 70, 70, 8, 8, False, "", np.float64),
]
# Several blocks of keys, and several pieces of a head.
LONG = [
    Case(1, 300, 3001, 64, 64),
    Case(1, 2111, 2111, 64, 64, True),
    Case(2, 130, 2500, 33, 65, True, "bool"),
    Case(9, 61, 2500, 64, 64, False, "float"),
    Case(9, 1300, 1300, 8, 8, True),
]


def operands(case: Case) -> dict[str, Array]:
    random = np.random.default_rng(case.rows * 7 + case.keys)
    shapes = {
        "query": (case.heads, case.rows, case.size),
        "key": (case.heads, case.keys, case.size),
        "value": (case.heads, case.keys, case.value_size),
        "slope": (case.heads, case.rows, case.value_size),
    }
    arrays = {name: random.normal(size=s).astype(case.dtype) for name, s in shapes.items()}
    if case.mask:
        mask = random.normal(size=(case.rows, case.keys)).astype(case.dtype)
        mask[case.rows // 2] = -np.inf
        arrays["mask"] = mask > -0.7 if case.mask == "bool" else mask
    return arrays


def expected(case: Case, arrays: dict[str, Array]) -> list[Array]:
    """The value and the gradients of query, key and value."""
    how = Attend(1 / math.sqrt(case.size), case.is_causal, bool(case.mask), 0.0, "")
    forward = attention.forward(how, arrays)
    summary = {"rows": forward["rows"], "output": forward["values"]}
    found = attention.gradient(how, {**arrays, **summary})
    return [forward["values"], *(found[name] for name in attention.GRADIENT_PARTS)]


def computed(case: Case, arrays: dict[str, Array], make: Make) -> list[Array]:
    tensors = [make(arrays[name]).requires_grad_() for name in attention.GRADIENT_PARTS]
    mask = make(arrays["mask"]) if case.mask else None
    result = F.scaled_dot_product_attention(*tensors, mask, is_causal=case.is_causal)
    found = grad.autograd.grad(result, tensors, make(arrays["slope"]))
    return [tensor.detach().numpy() for tensor in (result, *found)]


def check(case: Case, make: Make) -> None:
    arrays = operands(case)
    tolerance = 3e-5 if case.dtype is np.float32 else 1e-11
    wanted = expected(case, arrays)
    for name, actual, array in zip(
        ("value", *attention.GRADIENT_PARTS), computed(case, arrays, make), wanted, strict=True
    ):
        np.testing.assert_allclose(
            actual, array, rtol=tolerance, atol=tolerance, err_msg=f"{name} of {case}"
        )


def check_all(make: Make, cases: list[Case]) -> None:
    for case in cases:
        check(case, make)
