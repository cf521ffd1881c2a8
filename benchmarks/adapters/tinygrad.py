"""tinygrad: every workload in a TinyJit, which replays its kernels from the third call on.

A TinyJit writes its results to the same buffers each time; that is an advantage which the other
frameworks do not have.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from benchmarks.adapters.base import Adapter, Call, parts
from benchmarks.workload import Arrays, Sizes, Workload


class TinygradAdapter(Adapter):
    """``TinyJit`` over ``Tensor`` operations and ``Tensor.gradient``."""

    family = "tinygrad"

    def __init__(self, module: str, compiled: bool, threads: int) -> None:
        self.library = importlib.import_module(module)
        importlib.import_module(f"{module}.nn.optim")
        self.device = self.library.Device[self.library.Device.DEFAULT]

    def call(self, workload: Workload, sizes: Sizes, arrays: Arrays) -> Call:
        library, synchronize = self.library, self.device.synchronize
        if workload.steps:
            call = self.function(workload)(library, sizes, arrays)
        else:
            call = self.bound(workload, arrays)
        if workload.compiled:
            call = library.TinyJit(call)

        def finished() -> Any:
            result = call()
            synchronize()
            return result

        return finished

    def bound(self, workload: Workload, arrays: Arrays) -> Call:
        function, library = self.function(workload), self.library
        tensors = {name: library.Tensor(array).realize() for name, array in arrays.items()}
        gradient = tensors.pop("gradient", None)
        arguments = [tensors[name] for name in workload.differentiate]

        def compute() -> Any:
            outputs = parts(function(library, **tensors))
            if arguments:
                outputs += tuple(outputs[0].gradient(*arguments, gradient=gradient))
            library.Tensor.realize(*outputs)
            return outputs

        return compute

    def array(self, value: Any) -> np.ndarray:
        return value.numpy() if hasattr(value, "numpy") else np.asarray(value)
