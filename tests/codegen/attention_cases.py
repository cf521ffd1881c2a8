"""Attentions whose sizes meet every border of the kernels, compared with the definition in NumPy.

`check_all` is called by attention_test.py in its own process, on lesser CPUs and with operands that
end where memory ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import grad
import grad.nn.functional as F
from grad.graph import attention
from grad.graph.attention import Attend

Array = np.ndarray[Any, Any]
Make = Callable[[Array], Any]


class Case(NamedTuple):
    """Heads, rows, keys, sizes of their elements and of values, what leaves keys out, how many
    heads of the query share one of the others, and the probability that a weight is dropped.
    """

    heads: int
    rows: int
    keys: int
    size: int
    value_size: int
    is_causal: bool = False
    mask: str = ""
    dtype: type = np.float32
    group: int = 1
    dropout: float = 0.0


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
    Case(6, 7, 9, 5, 6, group=3),
    Case(6, 1, 70, 16, 16, False, "bool", group=2),
    Case(20, 61, 65, 8, 16, True, group=2),
    Case(7, 130, 61, 9, 8, True, "float", np.float64, group=7),
    Case(2, 1, 1, 1, 1, dropout=0.5),
    Case(9, 61, 65, 16, 16, True, dropout=0.1),
    Case(2, 67, 131, 8, 9, False, "bool", np.float64, dropout=0.3),
    Case(8, 70, 53, 8, 8, True, "float", group=4, dropout=0.9),
    Case(6, 1, 70, 16, 16, group=3, dropout=0.5),
    Case(3, 20, 30, 8, 8, dropout=1.0),
    Case(3, 1, 33, 64, 64),
    Case(2, 2, 17, 7, 5, False, "float"),
    Case(2, 3, 16, 16, 17, False, "bool", dropout=0.4),
    Case(4, 4, 1, 5, 16, group=2),
    Case(2, 3, 35, 9, 3, False, "float", np.float64),
    Case(2, 5, 33, 20, 20),
    Case(2, 3, 33, 8, 8, True),
]
# Several blocks of keys, and several pieces of a head.
LONG = [
    Case(1, 300, 3001, 64, 64),
    Case(1, 2111, 2111, 64, 64, True),
    Case(2, 130, 2500, 33, 65, True, "bool"),
    Case(9, 61, 2500, 64, 64, False, "float"),
    Case(9, 1300, 1300, 8, 8, True),
    Case(6, 130, 2500, 64, 64, True, group=3),
    Case(32, 61, 2500, 64, 64, False, "bool", group=4),
    Case(8, 700, 1500, 64, 33, True, group=8),
    Case(2, 300, 2500, 64, 64, True, dropout=0.2),
    Case(3, 1, 5000, 64, 64),
    Case(8, 1, 4097, 33, 65, False, "float", group=4, dropout=0.1),
    Case(1, 3, 2049, 16, 16, False, "bool", np.float64),
]
SEED = 5


def operands(case: Case) -> dict[str, Array]:
    random = np.random.default_rng(case.rows * 7 + case.keys)
    shapes = {
        "query": (case.heads, case.rows, case.size),
        "key": (case.heads // case.group, case.keys, case.size),
        "value": (case.heads // case.group, case.keys, case.value_size),
        "slope": (case.heads, case.rows, case.value_size),
    }
    arrays = {name: random.normal(size=s).astype(case.dtype) for name, s in shapes.items()}
    if case.mask:
        mask = random.normal(size=(case.rows, case.keys)).astype(case.dtype)
        mask[case.rows // 2] = -np.inf
        arrays["mask"] = mask > -0.7 if case.mask == "bool" else mask
    return arrays


def expected(
    case: Case, arrays: dict[str, Array], parts: Sequence[str] = attention.GRADIENT_PARTS
) -> list[Array]:
    """The value and the gradients `parts`."""
    scale = 1 / math.sqrt(case.size)
    how = Attend(scale, case.is_causal, bool(case.mask), case.dropout, case.group, "")
    if case.dropout:
        generator = grad.Generator()
        generator.manual_seed(SEED)
        arrays = {**arrays, "random": np.asarray(generator.next_key(), np.uint64)}
    forward = attention.forward(how, arrays)
    summary = {"rows": forward["rows"], "output": forward["values"]}
    found = attention.gradient(how, {**arrays, **summary})
    return [forward["values"], *(found[name] for name in parts)]


def attend(case: Case, tensors: Mapping[str, Any]) -> Any:
    grad.manual_seed(SEED)
    query, key, value = (tensors[name] for name in attention.GRADIENT_PARTS)
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        tensors.get("mask"),
        dropout_p=case.dropout,
        is_causal=case.is_causal,
        enable_gqa=case.group > 1,
    )


def computed(
    case: Case, arrays: dict[str, Array], make: Make, create_graph: bool = False
) -> list[Array]:
    """The value and the gradients of query, key and value."""
    tensors = {name: make(array) for name, array in arrays.items()}
    sources = [tensors[name].requires_grad_() for name in attention.GRADIENT_PARTS]
    result = attend(case, tensors)
    found = grad.autograd.grad(result, sources, tensors["slope"], create_graph=create_graph)
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
