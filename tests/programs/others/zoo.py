"""A file like those of model zoos: types, sizes, devices, checks of instances, a registry, a factory."""

from __future__ import annotations

import math
import typing as t
import warnings
from collections import OrderedDict
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Tuple, Union  # noqa: UP035

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.checkpoint as cp
from torch import Tensor, device
from torch.nn import Module, Parameter
from torch.nn.init import trunc_normal_
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.utils import _pair
from torch.optim.optimizer import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.types import Device
from torch.utils.data import BatchSampler, Sampler
from torch.utils.data.dataloader import default_collate

MODELS: Dict[str, Callable[..., nn.Module]] = {}  # noqa: UP006
NormLayer = Callable[[int], nn.Module]


def register(fn):
    MODELS[fn.__name__] = fn
    return fn


def _make_divisible(v: float, divisor: int, min_value: Optional[int] = None) -> int:
    new_v = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return new_v + divisor if new_v < 0.9 * v else new_v


def drop_path(x: Tensor, drop_prob: float = 0.0, training: bool = False) -> Tensor:
    if drop_prob == 0.0 or not training:
        return x
    keep_prob = 1 - drop_prob
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    return x * x.new_empty(shape).bernoulli_(keep_prob).div_(keep_prob)


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class SqueezeExcitation(Module):
    def __init__(
        self, channels: int, squeeze: int, scale: Callable[..., Module] = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, squeeze, 1), nn.Conv2d(squeeze, channels, 1)
        self.scale_activation = scale()

    def forward(self, input: Tensor) -> Tensor:
        scale = self.avgpool(input)
        return input * self.scale_activation(self.fc2(F.silu(self.fc1(scale))))


class Block(nn.Module):
    __constants__: t.ClassVar = ["layer_scale"]
    gamma: Optional[Parameter]

    def __init__(
        self, dim: int, norm_layer: Optional[NormLayer] = None, layer_scale: float = 1e-2
    ) -> None:
        super().__init__()
        if norm_layer is None:
            norm_layer = partial(LayerNorm2d, eps=1e-6)
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=_pair(3), padding=(1, 1), groups=dim)
        self.norm = norm_layer(dim)
        self.pw = nn.Sequential(
            OrderedDict(
                [
                    ("up", nn.Conv2d(dim, 2 * dim, 1)),
                    ("act", nn.Hardswish()),
                    ("down", nn.Conv2d(2 * dim, dim, 1)),
                ]
            )
        )
        self.se = SqueezeExcitation(dim, _make_divisible(dim / 4, 4), nn.Hardsigmoid)
        if layer_scale > 0:
            self.gamma = nn.Parameter(layer_scale * torch.ones(dim, 1, 1), requires_grad=True)
        else:
            self.register_parameter("gamma", None)

    def forward(self, x: Tensor) -> Tensor:
        out = self.se(self.pw(self.norm(self.dwconv(x))))
        if self.gamma is not None:
            out = self.gamma * out
        return x + drop_path(out, 0.1, self.training)


class Backbone(nn.Module):
    num_batches: torch.Tensor

    def __init__(
        self, dims: List[int], num_classes: int = 5, use_checkpoint: bool = False, **kwargs: Any
    ):
        super().__init__()
        if kwargs:
            warnings.warn(f"unused arguments: {kwargs}", stacklevel=2)
        self.use_checkpoint = use_checkpoint
        self.stem = nn.Conv2d(3, dims[0], 4, stride=4)
        self.stages = nn.ModuleList()
        for i, dim in enumerate(dims):
            self.stages.append(Block(dim, nn.BatchNorm2d if i else None))
            if i + 1 < len(dims):
                self.stages.append(nn.Conv2d(dim, dims[i + 1], 2, stride=2))
        self.head = nn.Linear(dims[-1], num_classes)
        self.register_buffer("num_batches", torch.tensor(0, dtype=torch.long), persistent=False)
        self.apply(self._init_weights)

    def _init_weights(self, m: nn.Module) -> None:
        if isinstance(m, (nn.Linear, nn.Conv2d)):
            trunc_normal_(m.weight, std=0.02)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, _BatchNorm):
            nn.init.ones_(m.weight)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return self.head.weight.dtype

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        return {n for n, p in self.named_parameters() if n.endswith("gamma")}

    def forward_features(self, x: Tensor) -> Tuple[Tensor, List[torch.Size]]:
        sizes = []
        x = self.stem(x)
        for stage in self.stages:
            if self.use_checkpoint and self.training and not torch.jit.is_scripting():
                x = cp.checkpoint(stage, x, use_reentrant=False)
            else:
                x = stage(x)
            sizes.append(x.shape)
        return x, sizes

    def forward(
        self, x: Union[Tensor, List[Tensor]], mask: Optional[Tensor] = None
    ) -> Dict[str, Tensor]:
        if not isinstance(x, torch.Tensor):
            x = torch.stack(list(x), dim=0)
        if x.dtype is not self.dtype or x.device != self.device:
            x = x.to(device=self.device, dtype=self.dtype, non_blocking=True)
        self.num_batches += 1
        x, _ = self.forward_features(x)
        pooled = x.mean([-2, -1]) if mask is None else (x * mask).flatten(2).mean(-1)
        return {"features": x, "logits": self.head(pooled)}


@register
def tiny(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> Backbone:
    return Backbone([8, 12], **kwargs)


class InverseSqrt(LRScheduler):
    def __init__(self, optimizer: Optimizer, warmup: int, last_epoch: int = -1) -> None:
        self.warmup = warmup
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> List[float]:
        step = max(self.last_epoch, 1)
        return [base * min(step**-0.5, step * self.warmup**-1.5) for base in self.base_lrs]


class Lion(Optimizer):
    def __init__(
        self,
        params,
        lr: float = 1e-4,
        betas: Tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ):
        if not 0.0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                state = self.state[p]
                if len(state) == 0:
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                exp_avg, (beta1, beta2) = state["exp_avg"], group["betas"]
                update = exp_avg.clone().mul_(beta1).add(p.grad, alpha=1 - beta1).sign_()
                p.add_(update, alpha=-group["lr"])
                exp_avg.mul_(beta2).add_(p.grad, alpha=1 - beta2)
        return loss


class Balanced(Sampler[int]):
    def __init__(self, labels: t.Sequence[int]) -> None:
        self.labels = labels

    def __iter__(self) -> t.Iterator[int]:
        yield from sorted(range(len(self.labels)), key=lambda i: self.labels[i])

    def __len__(self) -> int:
        return len(self.labels)


if __name__ == "__main__":
    torch.manual_seed(0)
    model = MODELS["tiny"](use_checkpoint=True).to(
        torch.device("cpu"), memory_format=torch.channels_last
    )
    where: Device = "cpu"
    assert isinstance(model.device, torch.device) and model.device == device(where) == torch.device(
        "cpu"
    )
    assert isinstance(model.dtype, torch.dtype) and model.dtype.is_floating_point
    images, labels = torch.randn(8, 3, 16, 16), torch.arange(8) % 5
    out = model([*images])
    assert isinstance(out["features"].shape, torch.Size) and isinstance(
        out["features"].shape, tuple
    )
    assert out["features"].shape == (8, 12, 2, 2) and out["features"].shape.numel() == 384
    assert isinstance(model.head.weight, nn.Parameter) and isinstance(
        model.head.weight, torch.Tensor
    )
    optimizer = Lion(model.parameters(), lr=3e-3, weight_decay=1e-2)
    scheduler = InverseSqrt(optimizer, warmup=4)
    data = [(i, y) for i, y in zip(images, labels.tolist())]
    batches = BatchSampler(Balanced(labels.tolist()), batch_size=4, drop_last=False)
    losses = []
    for _ in range(6):
        for indices in batches:
            x, y = default_collate([data[i] for i in indices])
            loss = F.cross_entropy(model(x)["logits"], y)
            optimizer.zero_grad()
            loss.backward()
            total = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0, norm_type=2.0)
            assert isinstance(total, Tensor) and math.isfinite(total)
            optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    print(losses, model.no_weight_decay(), sum(p.numel() for p in model.parameters()))
    assert losses[-1] < losses[0] and model.num_batches.item() == 13
    assert torch.get_default_dtype() is torch.float32 and torch.finfo(torch.float32).eps < 1e-6
    assert torch.is_tensor(x) and torch.is_floating_point(x) and torch.numel(x) == x.nelement()
    model.half().float()
    for name, child in model.named_children():
        print(name, child.__class__.__name__)
