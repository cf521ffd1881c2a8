"""`DataParallel`, as PyTorch has it on a machine without GPUs: the module itself, in a wrapper.

Programs wrap their model in it for several GPUs, and names of saved parameters then begin with
``module.``: so they can be loaded here.
"""

from __future__ import annotations

from typing import Any

from grad.nn.module import Module


class DataParallel(Module):
    """Calls `module`: there are no GPUs to share a batch among.

    Attributes:
        module: what is wrapped; names of its parameters begin with ``module.``.

    Example:
        >>> list(DataParallel(Linear(2, 3)).state_dict())
        ['module.weight', 'module.bias']
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[Any] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
