"""Modules that PyTorch's own database has no cases of: constructor arguments and inputs.

`cases` gives those of the database and these alike. `modules_peer_test.py` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")
common = pytest.importorskip("torch.testing._internal.common_modules")

DTYPE = torch.float64


class Case(NamedTuple):
    """One call of one module: how it is made, and what it is given."""

    name: str
    made_with: tuple[tuple[Any, ...], dict[str, Any]]
    inputs: tuple[Any, ...]
    settings: dict[str, Any]
    training: bool

    def __str__(self) -> str:
        args, kwargs = self.made_with
        listed = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
        return f"{self.name}({', '.join(listed)}){'' if self.training else '.eval()'}"


def x(*shape: int) -> Callable[[], Any]:
    return lambda: torch.randn(shape, dtype=DTYPE, requires_grad=True)


def whole(high: int, *shape: int) -> Callable[[], Any]:
    return lambda: torch.randint(0, high, shape)


def fixed(*values: Any) -> Callable[[], Any]:
    return lambda: torch.tensor(values)


def positions(*shape: int) -> Callable[[], Any]:
    """Where a pooling by 2 along the last axes found its maxima: the first of each window."""

    def make() -> Any:
        found = torch.zeros(shape, dtype=torch.int64)
        spatial = shape[2:]
        for axis, size in enumerate(spatial):
            step = 1
            for later in spatial[axis + 1 :]:
                step *= 2 * later
            places = torch.arange(size) * 2 * step
            found += places.reshape((-1,) + (1,) * (len(spatial) - 1 - axis))
        return found

    return make


# name: rows of (constructor arguments, what makes the inputs, settings by name).
MORE: dict[str, list[tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]]] = {
    "AdaptiveLogSoftmaxWithLoss": [
        ((8, 20, [4, 10]), {}, (x(6, 8), fixed(0, 3, 5, 9, 10, 19))),
        ((8, 20, [4, 10]), {"head_bias": True, "div_value": 2.0}, (x(2, 8), fixed(1, 6))),
        ((8, 20, [4]), {}, (x(8), lambda: torch.tensor(7))),
    ],
    "AlphaDropout": [((0.3,), {}, (x(4, 5),))],
    "ChannelShuffle": [((2,), {}, (x(2, 6, 3, 4),))],
    "CosineSimilarity": [
        ((), {}, (x(4, 5), x(4, 5))),
        ((), {"dim": 0, "eps": 1e-4}, (x(4, 5), x(4, 5))),
    ],
    "CrossMapLRN2d": [((1,), {}, (x(2, 6, 3, 4),))],
    "Dropout": [((), {}, (x(4, 5),)), ((0.0,), {}, (x(4, 5),)), ((1.0,), {}, (x(4, 5),))],
    "Dropout1d": [((), {}, (x(2, 4, 5),))],
    "Dropout2d": [((), {}, (x(2, 4, 5, 3),))],
    "Dropout3d": [((), {}, (x(2, 4, 5, 3, 2),))],
    "EmbeddingBag": [((7, 3), {"mode": mode}, (whole(7, 4, 5),)) for mode in ("sum", "mean", "max")]
    + [
        ((7, 3), {"padding_idx": 2}, (whole(7, 9), fixed(0, 2, 2, 5))),
        ((7, 3), {"include_last_offset": True}, (whole(7, 9), fixed(0, 4, 9))),
    ],
    "FeatureAlphaDropout": [((0.3,), {}, (x(4, 5, 3),))],
    "Flatten": [((), {}, (x(2, 3, 4),)), ((0, 1), {}, (x(2, 3, 4),))],
    "Fold": [(((4, 5), (2, 2)), {}, (x(2, 12, 12),)), (((4, 5), 2, 1, 1, 2), {}, (x(2, 12, 9),))],
    "Hardsigmoid": [((), {}, (x(4, 5),)), ((), {"inplace": True}, (x(4, 5),))],
    "Identity": [((), {}, (x(4, 5),)), ((3,), {"unused": 2}, (x(4, 5),))],
    "LPPool3d": [((2, 2), {}, (x(2, 3, 4, 4, 4),)), ((1.5, 2, 1), {}, (x(2, 3, 4, 4, 4),))],
    "LazyBatchNorm1d": [((), {}, (x(4, 5),)), ((), {"affine": False}, (x(4, 5, 3),))],
    "LazyBatchNorm2d": [((), {}, (x(4, 5, 3, 2),))],
    "LazyBatchNorm3d": [((), {"momentum": None}, (x(4, 5, 3, 2, 2),))],
    "LazyInstanceNorm1d": [((), {"affine": True}, (x(4, 5, 3),))],
    "LazyInstanceNorm2d": [((), {"track_running_stats": True}, (x(4, 5, 3, 2),))],
    "LazyInstanceNorm3d": [((), {}, (x(4, 5, 3, 2, 2),))],
    "LazyLinear": [((4,), {}, (x(3, 5),)), ((4, False), {}, (x(3, 5),))],
    "MaxUnpool1d": [((2,), {}, (x(2, 3, 4), positions(2, 3, 4)))],
    "MaxUnpool2d": [((2, 2), {}, (x(2, 3, 4, 3), positions(2, 3, 4, 3)))],
    "MaxUnpool3d": [((2,), {}, (x(2, 3, 2, 3, 2), positions(2, 3, 2, 3, 2)))],
    "PairwiseDistance": [
        ((), {}, (x(4, 5), x(4, 5))),
        ((), {"p": 1.0, "keepdim": True}, (x(4, 5), x(4, 5))),
    ],
    "PixelShuffle": [((2,), {}, (x(2, 8, 3, 4),))],
    "PixelUnshuffle": [((2,), {}, (x(2, 3, 4, 6),))],
    "RReLU": [((), {}, (x(4, 5),)), ((0.2, 0.2), {}, (x(4, 5),))],
    "TransformerDecoder": [],
    "TripletMarginLoss": [
        ((), {}, (x(4, 5), x(4, 5), x(4, 5))),
        ((), {"margin": 0.5, "p": 1.0, "swap": True}, (x(4, 5), x(4, 5), x(4, 5))),
        ((), {"reduction": "none"}, (x(4, 5), x(4, 5), x(4, 5))),
    ],
    "TripletMarginWithDistanceLoss": [
        ((), {}, (x(4, 5), x(4, 5), x(4, 5))),
        ((), {"swap": True, "reduction": "sum"}, (x(4, 5), x(4, 5), x(4, 5))),
    ],
    "Unflatten": [((1, (2, 3)), {}, (x(4, 6),)), ((-1, (3, 2)), {}, (x(4, 6),))],
    "Unfold": [((2,), {}, (x(2, 3, 4, 5),)), (((2, 3), 1, 1, 2), {}, (x(2, 3, 4, 5),))],
    "Upsample": [
        ((5,), {}, (x(2, 3, 4),)),
        ((), {"scale_factor": 2, "mode": "bilinear"}, (x(2, 3, 4, 3),)),
        ((), {"scale_factor": (2.0, 1.5), "mode": "bicubic"}, (x(2, 3, 4, 6),)),
        (((3, 5), None, "bilinear", True), {}, (x(2, 3, 4, 3),)),
    ],
    "UpsamplingBilinear2d": [((), {"scale_factor": 2}, (x(2, 3, 4, 3),))],
    "UpsamplingNearest2d": [((5,), {}, (x(2, 3, 4, 3),))],
}
# Made of modules, or no more than a base: tested by what they are made of.
_NOT_CALLED = (
    "Container Module ModuleDict ModuleList NLLLoss2d ParameterDict ParameterList RNNBase "
    "RNNCellBase Sequential TransformerDecoder DataParallel SyncBatchNorm"
)
NOT_CALLED = frozenset(_NOT_CALLED.split())
INFOS = {info.module_cls.__name__: info for info in common.module_db}
NAMES = sorted(INFOS.keys() | MORE.keys())


def cases(name: str) -> Iterator[Case]:
    """The cases of a module, in training and in evaluation."""
    for training in (True, False):
        torch.manual_seed(0)
        if name in INFOS:
            info = INFOS[name]
            found = info.module_inputs_func(
                info, device="cpu", dtype=DTYPE, requires_grad=True, training=training
            )
            for row in found:
                made, given = row.constructor_input, row.forward_input
                yield Case(name, (made.args, made.kwargs), given.args, given.kwargs, training)
        for args, kwargs, makers in MORE.get(name, ()):
            yield Case(name, (args, kwargs), tuple(make() for make in makers), {}, training)


def failures(name: str) -> Iterator[Any]:
    """What must raise, when it is made or when it is called."""
    info = INFOS.get(name)
    if info is not None and info.module_error_inputs_func is not None:
        torch.manual_seed(0)
        yield from info.module_error_inputs_func(
            info, device="cpu", dtype=DTYPE, requires_grad=True, training=True
        )
