"""How a workload becomes a call: one module for each kind of framework.

An adapter is used in a worker's process only, and imports its framework by name, so that this
package can be read and checked where none of them is installed.
"""

from __future__ import annotations

from benchmarks.adapters.base import Adapter, Call, Unsupported
from benchmarks.adapters.jax import JaxAdapter
from benchmarks.adapters.numpy import NumpyAdapter
from benchmarks.adapters.tinygrad import TinygradAdapter
from benchmarks.adapters.torch_like import TorchLikeAdapter

ADAPTERS: dict[str, type[Adapter]] = {
    "torch_like": TorchLikeAdapter,
    "jax": JaxAdapter,
    "tinygrad": TinygradAdapter,
    "numpy": NumpyAdapter,
}

__all__ = ["ADAPTERS", "Adapter", "Call", "Unsupported"]
