"""Orthogonal polynomials: each is its first two members and a rule for the next one.

They are computed by NumPy in float64, for all elements at once, up to the highest degree there is.
As in PyTorch they have no gradient. Rules: Abramowitz and Stegun, "Handbook of mathematical
functions", 22.7; ``shifted`` ones are those of ``2 * x - 1``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from grad.graph.host import hosted
from grad.ops.host_pointwise import on_host
from grad.ops.registry import FLOATING, Array, op
from grad.ops.samples import between, operands


class Family(NamedTuple):
    """Polynomials: number k + 1 is ``step(k, x, number k, number k - 1)``, number 1 `first(x)`."""

    first: Callable[[Array], Array]
    step: Callable[[int, Array, Array, Array], Array]
    doc: str


def _chebyshev(k: int, x: Array, last: Array, before: Array) -> Array:
    return 2 * x * last - before


FAMILIES = {
    "chebyshev_polynomial_t": Family(lambda x: x, _chebyshev, "Chebyshev's, of the first kind"),
    "chebyshev_polynomial_u": Family(
        lambda x: 2 * x, _chebyshev, "Chebyshev's, of the second kind"
    ),
    "chebyshev_polynomial_v": Family(
        lambda x: 2 * x - 1, _chebyshev, "Chebyshev's, of the third kind"
    ),
    "chebyshev_polynomial_w": Family(
        lambda x: 2 * x + 1, _chebyshev, "Chebyshev's, of the fourth kind"
    ),
    "hermite_polynomial_h": Family(
        lambda x: 2 * x,
        lambda k, x, last, before: 2 * x * last - 2 * k * before,
        "Hermite's, of physics",
    ),
    "hermite_polynomial_he": Family(
        lambda x: x,
        lambda k, x, last, before: x * last - k * before,
        "Hermite's, of probability",
    ),
    "laguerre_polynomial_l": Family(
        lambda x: 1 - x,
        lambda k, x, last, before: ((2 * k + 1 - x) * last - k * before) / (k + 1),
        "Laguerre's",
    ),
    "legendre_polynomial_p": Family(
        lambda x: x,
        lambda k, x, last, before: ((2 * k + 1) * x * last - k * before) / (k + 1),
        "Legendre's",
    ),
}


@hosted
def orthogonal_polynomials(
    result: Array, x: Array, degrees: Array, name: str, shifted: bool
) -> None:
    """The member of the family `name` of each degree, which is cut to a whole number; 0 for
    degrees below 0.
    """
    family = FAMILIES[name]
    x = 2 * x - 1 if shifted else x
    whole = np.nan_to_num(np.trunc(degrees), nan=-1, posinf=-1, neginf=-1)
    result[...] = np.where(np.isfinite(degrees), 0, np.nan)
    last, current = np.ones_like(x), family.first(x)
    for k in range(int(whole.max(initial=-1)) + 1):
        here = whole == k
        result[here] = last[here]
        last, current = current, family.step(k + 1, x, current, last)


def _reference(name: str, shifted: bool) -> Callable[..., Array]:
    def reference(x: Array, n: Any) -> Array:
        x, degrees = np.broadcast_arrays(np.asarray(x, np.float64), n)
        result = np.empty(x.shape)
        orthogonal_polynomials(result, x, np.asarray(degrees, np.float64), name, shifted)
        return result

    return reference


def _declare(name: str, shifted: bool) -> None:
    family = FAMILIES[name]
    public = f"shifted_{name}" if shifted else name

    class Polynomial:
        @staticmethod
        def forward(input: Any, n: Any) -> Any:
            settings = (name, shifted)
            return on_host(public, orthogonal_polynomials, input, n, settings=settings)

    place = "2 * input - 1" if shifted else "input"
    Polynomial.__doc__ = (
        f"The polynomial of degree `n` of {place}, for each element: {family.doc}.\n\n"
        "One of the two may be a number. Degrees are cut to whole numbers, 0 comes out below 0."
    )
    op(
        function=f"special_{public}",
        dtypes=FLOATING,
        gradient=False,
        composite=True,
        reference=_reference(name, shifted),
        samples=operands(((3, 4), (4,)), low=-1.5, high=1.5, second=between(0, 6)),
    )(Polynomial)


for _name in FAMILIES:
    _declare(_name, shifted=False)
    if _name.startswith("chebyshev"):
        _declare(_name, shifted=True)
