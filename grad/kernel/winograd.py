"""Winograd's convolution F(4 x 4, 3 x 3): what it computes, and when that pays.

A tile of 4 x 4 outputs of a 3 x 3 kernel is ``A^T [(G g G^T) * (B^T d B)] A`` for the kernel g and
the 6 x 6 elements d of the image that it meets: 36 multiplications instead of 144, the same 36 for
all channels, before and after which there are only sums along rows and columns. The six rows of
the matrices belong to the points 0, a, -a, b, -b and infinity, at which polynomials are multiplied.
`lower_convolution.py` asks `pays` and stores the weight with `transformed` (`lower_winograd.py`),
`codegen/llvm/convolution/winograd.py` writes the rest; the interpreter computes `tile_sums`.

The points decide the rounding error. The usual 1 and 2 make it 1.8e-6 of the result (root mean
square, 64 channels of normal numbers); 5/8 and 3/2 make it 0.8e-6, next to 0.4e-6 of plain sums
one after the other, and all numbers of B are exact. See docs/design/020-winograd.md.
"""

from __future__ import annotations

import numpy as np

from grad.graph.windows import Array, Geometry
from grad.kernel.ir_convolution import WINOGRAD_TAPS

OUTPUTS = 4  # of a tile, along each axis
NEAR, FAR = 5 / 8, 3 / 2  # the points a and b

_POINTS = (0.0, NEAR, -NEAR, FAR, -FAR)


def _others(point: float) -> list[float]:
    return [other for other in _POINTS if other != point]


def matrices() -> tuple[Array, Array, Array]:
    """``A^T`` (4 x 6), ``G`` (6 x 3) and ``B^T`` (6 x 6)."""
    last = np.eye(WINOGRAD_TAPS)[-1]
    outputs = np.array([[point**i for point in _POINTS] for i in range(OUTPUTS)])
    at = np.concatenate([outputs, last[-OUTPUTS:, None]], axis=1)
    g = [np.array([1, p, p * p]) / np.prod([p - q for q in _others(p)]) for p in _POINTS]
    bt = [np.append(np.poly(_others(p))[::-1], 0) for p in _POINTS]
    return at, np.array([*g, last[-3:]]), np.array([*bt, np.poly(_POINTS)[::-1]])


# -- when it pays ----------------------------------------------------------------------------------
# In multiplications of the innermost products: the sums before and after them for a tile, for each
# channel and for each filter, and those of the weight for each of its kernels.
TRANSFORM = 500
WEIGHT = 600
MARGIN = 1.1


def fits(g: Geometry) -> bool:
    """Whether the convolution can be computed in tiles."""
    flat = g.kernel == (1, 3, 3) and g.image[0] == g.out[0] == 1 and g.before[0] == 0
    return flat and max(*g.stride, *g.dilation, *g.spread) == 1


def pays(g: Geometry) -> bool:
    """Whether that takes less time than exact sums."""
    tiles = g.images * -(-g.out[1] // OUTPUTS) * -(-g.out[2] // OUTPUTS)
    each = WINOGRAD_TAPS**2 * g.channels * g.filters + TRANSFORM * (g.channels + g.filters)
    here = tiles * each + WEIGHT * g.channels * g.filters
    return here * g.groups * MARGIN < g.operations


# -- what it means ---------------------------------------------------------------------------------
def tile_sums(g: Geometry, image: Array, weight: Array) -> Array:
    """The convolution of ``(N, G, C, 1, H, W)`` and a transformed weight ``(G, O, C, 1, 6, 6)``."""
    at, _, bt = matrices()
    _, rows, columns = (-(-size // OUTPUTS) * OUTPUTS for size in g.out)
    padded = np.zeros((*image.shape[:3], rows + 2, columns + 2))
    target, source = _met(g, rows + 2, columns + 2)
    padded[(..., *target)] = image[:, :, :, 0][(..., *source)]
    result = np.zeros((g.images, g.groups, g.filters, rows, columns))
    for y in range(0, rows, OUTPUTS):
        for x in range(0, columns, OUTPUTS):
            tile = bt @ padded[..., y : y + WINOGRAD_TAPS, x : x + WINOGRAD_TAPS] @ bt.T
            products = np.einsum("ngcij,gocij->ngoij", tile, weight[:, :, :, 0])
            result[..., y : y + OUTPUTS, x : x + OUTPUTS] = at @ products @ at.T
    return result[..., None, : g.out[1], : g.out[2]].astype(image.dtype)


def _met(g: Geometry, rows: int, columns: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where in the padded image its elements are, and which of them are there."""
    target, source = [], []
    for axis, extent in ((1, rows), (2, columns)):
        before, size = g.before[axis], g.image[axis]
        first = min(max(-before, 0), size)
        last = max(min(extent - before, size), first)
        target.append(slice(first + before, last + before) if last > first else slice(0, 0))
        source.append(slice(first, last))
    return (target[0], target[1]), (source[0], source[1])
