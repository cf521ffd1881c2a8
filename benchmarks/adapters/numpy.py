"""NumPy, where it has the operation; in float64 it is the reference too."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from benchmarks.adapters.base import Adapter, Call, Unsupported
from benchmarks.workload import Arrays, Sizes, Workload


class NumpyAdapter(Adapter):
    """Plain NumPy functions of arrays."""

    family = "numpy"

    def __init__(self, module: str, compiled: bool, threads: int) -> None:
        self.library = importlib.import_module(module)

    def call(self, workload: Workload, sizes: Sizes, arrays: Arrays) -> Call:
        if workload.differentiate or workload.steps:
            raise Unsupported("NumPy has no gradients")
        function, library = self.function(workload), self.library
        return lambda: function(library, **arrays)

    def array(self, value: Any) -> np.ndarray:
        return np.asarray(value)
