"""Gradients for a batch of arriving gradients: `autograd.grad` with ``is_grads_batched=True``.

The backward pass is run once, on stand-ins for one item, and mapped over the batch by `func.vmap`.
engine.py opens this file when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grad.autograd.engine import gradients
from grad.errors import GradientError
from grad.func.vmap import vmap


def batched_gradients(
    outputs: Sequence[Any], inputs: Sequence[Any], seeds: Sequence[Any], **options: Any
) -> tuple[Any, ...]:
    """The gradients of `inputs`, with the batch as first axis, for `seeds` that have it, too.

    Args:
        seeds: for each output a tensor of shape ``(batch, *output.shape)``.
        options: the further arguments of `gradients`.

    Raises:
        GradientError: seeds that are missing or of another shape; ValueError where they are missing
            for a scalar, as in PyTorch.
    """
    seeds = seeds or [None] * len(outputs)
    if len(seeds) != len(outputs):
        raise GradientError(f"grad: got {len(outputs)} tensors and {len(seeds)} gradients.")
    for output, seed in zip(outputs, seeds):
        if seed is None:
            shape = ", ".join(["batch", *map(str, output._shape)])
            raise (GradientError if output._shape else ValueError)(
                "grad: `is_grads_batched=True` has no gradients to start from by itself. Give "
                f"`grad_outputs`, for this output a tensor of shape ({shape})."
            )
        if seed._shape[1:] != output._shape or not seed._shape:
            raise GradientError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output "
                "as the batch dimension. The sizes of the remaining dimensions are expected to "
                f"match the shape of corresponding output, but a mismatch was detected: shape "
                f"{seed._shape} for an output of shape {output._shape}."
            )
    used: list[bool] = []

    def backward(*seeds: Any) -> list[Any]:
        found = gradients(outputs, inputs, seeds, **options)
        used[:] = [gradient is not None for gradient in found]
        return [gradient for gradient in found if gradient is not None]

    mapped = iter(vmap(backward)(*seeds))
    return tuple([next(mapped) if is_used else None for is_used in used])
