"""`sdpa_kernel`: which of PyTorch's kernels computes attention; here there is one, always.

`functional.scaled_dot_product_attention` is computed the same way whatever is asked for, so that
programs which choose run unchanged. `attention.py` offers both names, as ``torch.nn.attention``.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterable, Iterator


class SDPBackend(enum.IntEnum):
    """PyTorch's kernels for attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(
    backends: Iterable[SDPBackend] | SDPBackend, set_priority: bool = False
) -> Iterator[None]:
    """Ask for kernels of attention inside a ``with``; changes nothing here.

    Raises:
        AssertionError: `backends` are none of PyTorch's.
    """
    asked = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not asked or not all(isinstance(backend, SDPBackend) for backend in asked):
        raise AssertionError(
            f"Backend must be an instance of SDPBackend or a list of them; got {backends!r}"
        )
    yield
