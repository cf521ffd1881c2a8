"""Functions of each element that NumPy computes in float64 (graph/host.py): those whose number of
steps depends on the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

from grad.dtype import dtypes
from grad.graph.host import host
from grad.graph.node import broadcast_shapes, cast, expand, reshape
from grad.ops.promotion import floating, floating_pair, wrap


def on_host(
    name: str, function: Callable[..., None], *values: Any, settings: tuple[Hashable, ...] = ()
) -> Any:
    """`function` (hosted, of float64 vectors) of one or two operands, which broadcast; in their
    common type. `settings` come after the vectors.
    """
    nodes = list(floating_pair(name, *values)) if len(values) == 2 else [floating(values[0])]
    dtype = nodes[0].dtype
    shape = broadcast_shapes(name, *[node.shape for node in nodes])
    flat = (math.prod(shape),)
    sources = [reshape(expand(cast(node, dtypes.float64), shape), flat) for node in nodes]
    found = host(function, sources, flat, dtypes.float64, *settings)
    return wrap(cast(reshape(found, shape), dtype))
