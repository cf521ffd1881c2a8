"""JAX: every workload is one jitted function."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from benchmarks.adapters.base import Adapter, Call, parts
from benchmarks.workload import Arrays, Sizes, Workload


class JaxAdapter(Adapter):
    """``jax.jit``, and ``jax.vjp`` inside it where gradients are wanted."""

    family = "jax"

    def __init__(self, module: str, compiled: bool, threads: int) -> None:
        self.library = importlib.import_module(module)

    def call(self, workload: Workload, sizes: Sizes, arrays: Arrays) -> Call:
        jax = self.library
        wait = jax.block_until_ready
        if workload.steps:
            step = self.function(workload)(jax, sizes, arrays)
            return lambda: wait(step())
        values = {name: jax.numpy.asarray(array) for name, array in arrays.items()}
        function = jax.jit(
            self.differentiated(workload) if workload.differentiate else self.plain(workload)
        )
        return lambda: wait(function(**values))

    def plain(self, workload: Workload) -> Any:
        function, jax = self.function(workload), self.library
        return lambda **values: function(jax, **values)

    def differentiated(self, workload: Workload) -> Any:
        function, jax = self.plain(workload), self.library

        def forward_and_backward(gradient: Any, **values: Any) -> tuple[Any, ...]:
            chosen = {name: values.pop(name) for name in workload.differentiate}
            output, pull_back = jax.vjp(lambda chosen: function(**chosen, **values), chosen)
            (gradients,) = pull_back(gradient)
            return output, *(gradients[name] for name in workload.differentiate)

        return forward_and_backward

    def array(self, value: Any) -> np.ndarray:
        return np.asarray(value)

    def arrays(self, result: Any) -> list[np.ndarray]:
        return [self.array(value) for value in parts(result)]
