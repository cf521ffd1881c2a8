"""PyTorch and micrograd: the same functions with another module, eager or through `compile`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.adapters.base import Adapter, Call, Unsupported, parts
from benchmarks.workload import Arrays, Sizes, Workload


class TorchLikeAdapter(Adapter):
    """A library with PyTorch's interface."""

    family = "torch"

    def __init__(self, module: str, compiled: bool, threads: int) -> None:
        self.library = importlib.import_module(module)
        for part in ("nn", "nn.functional", "optim"):
            importlib.import_module(f"{module}.{part}")
        self.library.set_num_threads(threads)
        self.compiled = compiled
        # Each workload starts anew. PyTorch counts recompilations by code object, which workloads
        # share: after eight it would run what follows uncompiled. And both compile for any size
        # when they have met some.
        self.forget: Callable[[], None] | None = None
        if module == "torch" and compiled:
            self.forget = importlib.import_module("torch._dynamo").reset
        # A lazy library computes when told to, all that a call returns at once; views stay views.
        self.realize: Callable[[Sequence[Any]], None] | None = None
        if module == "grad":
            self.forget = importlib.import_module("grad.engine").cache.clear
            self.realize = importlib.import_module("grad.nn.state").realize_tensors

    def call(self, workload: Workload, sizes: Sizes, arrays: Arrays) -> Call:
        if self.forget is not None:
            self.forget()
        if hasattr(self.library, "set_float32_convolution_precision"):
            self.library.set_float32_convolution_precision(workload.precision)
        if workload.steps:
            call = self.compile(workload, self.function(workload)(self.library, sizes, arrays))
        else:
            call = self.bound(workload, arrays)
        return self.finishing(call) if self.realize else call

    def compile(self, workload: Workload, function: Callable[..., Any]) -> Callable[..., Any]:
        if not self.compiled:
            return function
        if not workload.compiled:
            raise Unsupported("its values are read inside, which is not for a compiler")
        if not hasattr(self.library, "compile"):
            raise Unsupported(f"{self.library.__name__}.compile does not exist yet")
        return self.library.compile(function)

    def bound(self, workload: Workload, arrays: Arrays) -> Call:
        """The function with its tensors, and the gradients if they are wanted."""
        function, library = self.function(workload), self.library
        tensors = {name: library.tensor(array) for name, array in arrays.items()}
        arguments = [tensors[name].requires_grad_() for name in workload.differentiate]
        gradient = tensors.pop("gradient", None)

        def forward() -> Any:
            return function(library, **tensors)

        def forward_and_backward() -> tuple[Any, ...]:
            output = forward()
            gradients = library.autograd.grad(output, arguments, gradient)
            return (output.detach(), *gradients)

        if not arguments:
            return self.compile(workload, forward)
        # A compiler is given the forward pass, as is usual, and makes the backward pass of it.
        forward = self.compile(workload, forward)
        return forward_and_backward

    def finishing(self, call: Call) -> Call:
        """A call that computes what `call` leaves pending."""
        realize = self.realize
        assert realize is not None
        tensor = self.library.Tensor

        def finished() -> Any:
            result = call()
            realize([part for part in parts(result) if isinstance(part, tensor)])
            return result

        return finished

    def array(self, value: Any) -> np.ndarray:
        return value.detach().numpy() if hasattr(value, "detach") else np.asarray(value)
