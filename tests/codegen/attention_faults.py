"""NaN and infinities in attention: where they reach, compared with the definition in NumPy.

Special values are put where rows may attend to them and where a mask or `is_causal` forbids it.
attention_test.py calls `check_faults` for kernels, for their interpreter and for the form that has
gradients of any order, and `check_masked` for the bits of what no special value belongs to.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

import grad
from grad.graph import attention
from tests.codegen.attention_cases import Array, Case, attend, computed, expected, operands

NAMES = ("query", "key", "value", "slope")
SPECIAL = (math.nan, math.inf, -math.inf)
FAULTS = [
    Case(2, 7, 5, 3, 2, True),
    Case(2, 5, 7, 3, 2, True),
    Case(2, 70, 70, 16, 16, True),
    Case(2, 61, 65, 17, 33, True),
    Case(9, 130, 67, 16, 8, True),
    Case(2, 131, 67, 5, 7, False, "bool"),
    Case(2, 67, 131, 32, 32, True, "bool"),
    Case(2, 67, 131, 8, 8, False, "float"),
    Case(2, 62, 62, 8, 9, True, "float"),
    Case(2, 37, 53, 7, 9, True, "float", np.float64),
    Case(6, 1, 70, 16, 16, False, "bool", group=2),
    Case(20, 61, 65, 8, 16, True, group=2),
    Case(7, 130, 61, 9, 8, True, "float", np.float64, group=7),
    Case(9, 61, 65, 16, 16, True, dropout=0.1),
    Case(2, 67, 131, 8, 9, False, "bool", np.float64, dropout=0.3),
    Case(8, 70, 53, 8, 8, True, "float", group=4, dropout=0.9),
    Case(2, 2, 17, 7, 5, False, "float"),
    Case(2, 3, 16, 16, 17, False, "bool", dropout=0.4),
    Case(2, 5, 33, 20, 20),
    Case(3, 1, 33, 64, 64),
]
# Several blocks of keys and pieces of a head.
LONG_FAULTS = [
    Case(1, 1300, 1300, 64, 64, True),
    Case(2, 130, 2500, 33, 65, True, "bool"),
    Case(6, 130, 2500, 64, 64, True, group=3),
    Case(8, 1, 4097, 33, 65, False, "float", group=4, dropout=0.1),
]


def spoilt(case: Case, name: str, value: float) -> dict[str, Array]:
    """Operands with a special value in the first head and in the last row of the last one."""
    arrays = operands(case)
    array = arrays[name]
    array[0, array.shape[1] // 3, array.shape[2] // 2] = value
    array[-1, -1, 0] = value
    return arrays


def check_faults(case: Case, create_graph: bool = False) -> None:
    """Value and gradients of `case`, with each special value in each operand in turn.

    With `create_graph`, numbers that are not finite may be any such number.
    """
    tolerance = 1e-4 if case.dtype is np.float32 else 1e-10
    for name, value in itertools.product(NAMES, SPECIAL):
        arrays = spoilt(case, name, value)
        with np.errstate(invalid="ignore"):
            wanted = expected(case, arrays)
        found = computed(case, arrays, grad.tensor, create_graph=create_graph)
        for part, actual, array in zip(
            ("output", *attention.GRADIENT_PARTS), found, wanted, strict=True
        ):
            if create_graph:
                actual, array = (np.where(np.isfinite(x), x, np.nan) for x in (actual, array))
            np.testing.assert_allclose(
                actual,
                array,
                rtol=tolerance,
                atol=tolerance,
                err_msg=f"{part} of {case} with {value} in {name}",
            )


def check_mask_gradient(case: Case) -> None:
    """The gradient of a mask, which is one part of what the kernel computes."""
    for name, value in itertools.product((*NAMES, ""), SPECIAL):
        arrays = spoilt(case, name, value) if name else operands(case)
        with np.errstate(invalid="ignore"):
            wanted = expected(case, arrays, ("mask",))[1].sum(0)
        for create_graph in (False, True):
            tensors = {key: grad.tensor(array) for key, array in arrays.items()}
            mask = tensors["mask"].requires_grad_()
            result = attend(case, tensors)
            (found,) = grad.autograd.grad(
                result, (mask,), tensors["slope"], create_graph=create_graph
            )
            actual, array = found.detach().numpy(), wanted
            if create_graph:
                actual, array = (np.where(np.isfinite(x), x, np.nan) for x in (actual, array))
            np.testing.assert_allclose(actual, array, rtol=1e-4, atol=1e-4, err_msg=f"{name}")


def check_masked(case: Case, forbidden: Array) -> None:
    """What is behind the keys that no row attends to changes no bit of what other keys give."""
    plain = operands(case)
    if case.mask:
        off = False if case.mask == "bool" else -np.inf
        plain["mask"][:, forbidden] = off
    wanted = computed(case, plain, grad.tensor)
    for value in SPECIAL:
        arrays = {name: array.copy() for name, array in plain.items()}
        for name in ("key", "value"):
            arrays[name][:, forbidden] = value
        for part, actual, array in zip(
            ("output", *attention.GRADIENT_PARTS),
            computed(case, arrays, grad.tensor),
            wanted,
            strict=True,
        ):
            np.testing.assert_array_equal(actual, array, err_msg=f"{part} of {case}")
