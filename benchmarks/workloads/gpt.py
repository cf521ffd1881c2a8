"""GPT: training steps, inference, and decoding one token with a key-value cache.

The model is GPT-2's: learned positions, layer norm first, exact GELU, causal attention. Parameters
have the names that the module below gives them, in all frameworks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workload import Arrays, Sizes, Workload, normal
from benchmarks.workloads.steps import (
    Optimizer,
    jax_step,
    split,
    tinygrad_step,
    torch_step,
)
from benchmarks.workloads.training import (
    TRAINING_TOLERANCE,
    jax_cross_entropy,
    parameter_cost,
    training_targets,
)

DATA = ("tokens", "targets")
VOCABULARY = 65
OPTIMIZER = Optimizer("AdamW", 1e-3, weight_decay=0.01)


def width_of(sizes: Sizes) -> int:
    return sizes["heads"] * sizes["head width"]


def parameters_of(sizes: Sizes, random: Any) -> Arrays:
    """Initial parameters by name."""
    width = width_of(sizes)

    def linear(name: str, inward: int, outward: int) -> Arrays:
        return {
            f"{name}.weight": np.float32(0.02) * normal(random, outward, inward),
            f"{name}.bias": np.float32(0.02) * normal(random, outward),
        }

    def norm(name: str) -> Arrays:
        return {f"{name}.weight": np.ones(width, "f4"), f"{name}.bias": np.zeros(width, "f4")}

    arrays = {
        "token.weight": np.float32(0.02) * normal(random, VOCABULARY, width),
        "position.weight": np.float32(0.02) * normal(random, sizes["length"], width),
    }
    for number in range(sizes["layers"]):
        block = f"blocks.{number}"
        arrays |= norm(f"{block}.norm1") | linear(f"{block}.inward", width, 3 * width)
        arrays |= linear(f"{block}.outward", width, width) | norm(f"{block}.norm2")
        arrays |= linear(f"{block}.widen", width, 4 * width)
        arrays |= linear(f"{block}.narrow", 4 * width, width)
    return arrays | norm("norm") | linear("scores", width, VOCABULARY)


def tokens_of(sizes: Sizes, random: Any) -> Arrays:
    shape = sizes["batch"], sizes["length"]
    return {name: random.integers(0, VOCABULARY, shape) for name in DATA}


def torch_model(torch: Any, sizes: Sizes) -> Any:
    """The model as PyTorch users write it; `attend` may be replaced by one with a cache."""
    nn, functional = torch.nn, torch.nn.functional
    width, heads = width_of(sizes), sizes["heads"]

    def attend(layer: int, query: Any, key: Any, value: Any) -> Any:
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True)

    class Block(nn.Module):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any, attend: Any) -> Any:
            batch, length, _ = x.shape
            parts = self.inward(self.norm1(x)).split(width, dim=2)
            query, key, value = (
                part.view(batch, length, heads, width // heads).transpose(1, 2) for part in parts
            )
            mixed = attend(self.number, query, key, value).transpose(1, 2)
            x = x + self.outward(mixed.reshape(batch, length, width))
            return x + self.narrow(functional.gelu(self.widen(self.norm2(x))))

    class Gpt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(VOCABULARY, width)
            self.position = nn.Embedding(sizes["length"], width)
            self.blocks = nn.ModuleList([Block(number) for number in range(sizes["layers"])])
            self.norm = nn.LayerNorm(width)
            self.scores = nn.Linear(width, VOCABULARY)

        def forward(self, tokens: Any, positions: Any, attend: Any = attend) -> Any:
            x = self.token(tokens) + self.position(positions)
            for block in self.blocks:
                x = block(x, attend)
            return self.scores(self.norm(x))

    return Gpt()


def jax_layer_norm(jax: Any, x: Any, weight: Any, bias: Any) -> Any:
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * weight + bias


def jax_model(jax: Any, sizes: Sizes, p: Any, tokens: Any, positions: Any, attend: Any) -> Any:
    """The same in JAX; `attend` gets the layer's number, query, key and value."""
    numpy, heads = jax.numpy, sizes["heads"]

    def linear(name: str, x: Any) -> Any:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(name: str, x: Any) -> Any:
        return jax_layer_norm(jax, x, p[f"{name}.weight"], p[f"{name}.bias"])

    x = p["token.weight"][tokens] + p["position.weight"][positions]
    batch, length, width = x.shape
    for number in range(sizes["layers"]):
        block = f"blocks.{number}"
        parts = numpy.split(linear(f"{block}.inward", norm(f"{block}.norm1", x)), 3, 2)
        query, key, value = (
            part.reshape(batch, length, heads, width // heads).swapaxes(1, 2) for part in parts
        )
        mixed = attend(number, query, key, value).swapaxes(1, 2).reshape(batch, length, width)
        x = x + linear(f"{block}.outward", mixed)
        wide = jax.nn.gelu(linear(f"{block}.widen", norm(f"{block}.norm2", x)), approximate=False)
        x = x + linear(f"{block}.narrow", wide)
    return linear("scores", norm("norm", x))


def jax_attend(jax: Any, query: Any, key: Any, value: Any, allowed: Any) -> Any:
    scores = query @ key.swapaxes(2, 3) * query.shape[3] ** -0.5
    return jax.nn.softmax(jax.numpy.where(allowed, scores, -jax.numpy.inf), axis=3) @ value


def jax_causal(jax: Any, length: int) -> Any:
    allowed = jax.numpy.tril(jax.numpy.ones((length, length), bool))
    return lambda layer, query, key, value: jax_attend(jax, query, key, value, allowed)


def tinygrad_model(sizes: Sizes, p: Any, tokens: Any, positions: Any, attend: Any) -> Any:
    """The same in tinygrad."""
    heads = sizes["heads"]

    def linear(name: str, x: Any) -> Any:
        return x.linear(p[f"{name}.weight"].T, p[f"{name}.bias"])

    def norm(name: str, x: Any) -> Any:
        return x.layernorm(-1, 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]

    x = p["token.weight"][tokens] + p["position.weight"][positions]
    batch, length, width = x.shape
    for number in range(sizes["layers"]):
        block = f"blocks.{number}"
        parts = linear(f"{block}.inward", norm(f"{block}.norm1", x)).chunk(3, 2)
        query, key, value = (
            part.reshape(batch, length, heads, width // heads).transpose(1, 2) for part in parts
        )
        mixed = attend(number, query, key, value).transpose(1, 2).reshape(batch, length, width)
        x = x + linear(f"{block}.outward", mixed)
        wide = linear(f"{block}.widen", norm(f"{block}.norm2", x))
        x = x + linear(f"{block}.narrow", 0.5 * wide * (1 + (wide * 0.5**0.5).erf()))
    return linear("scores", norm("norm", x))


def tinygrad_causal(layer: int, query: Any, key: Any, value: Any) -> Any:
    return query.scaled_dot_product_attention(key, value, is_causal=True)


def products(sizes: Sizes, length: int) -> float:
    """Operations of the products of one forward pass over `length` positions."""
    width, tokens = width_of(sizes), sizes["batch"] * length
    pairs = sizes["batch"] * length * (length + 1) / 2
    layer = 2.0 * tokens * 12 * width * width + 4.0 * pairs * width
    return sizes["layers"] * layer + 2.0 * tokens * width * VOCABULARY


def parameter_count(sizes: Sizes) -> int:
    width = width_of(sizes)
    layer = 12 * width * width + 13 * width
    return sizes["layers"] * layer + width * (2 * VOCABULARY + sizes["length"] + 2) + VOCABULARY


def torch_training(torch: Any, sizes: Sizes, arrays: Arrays) -> Any:
    model = torch_model(torch, sizes)
    tokens, targets = (torch.tensor(arrays[name]) for name in DATA)
    positions = torch.arange(sizes["length"])

    def loss_of(model: Any) -> Any:
        scores = model(tokens, positions)
        flat = scores.view(-1, VOCABULARY)
        return torch.nn.functional.cross_entropy(flat, targets.view(-1))

    return torch_step(torch, model, loss_of, arrays, OPTIMIZER)


def jax_training(jax: Any, sizes: Sizes, arrays: Arrays) -> Any:
    parameters, data = split(arrays, DATA)
    tokens, targets = (jax.numpy.asarray(data[name]) for name in DATA)
    positions, attend = jax.numpy.arange(sizes["length"]), jax_causal(jax, sizes["length"])

    def loss_of(p: Any) -> Any:
        scores = jax_model(jax, sizes, p, tokens, positions, attend)
        return jax_cross_entropy(jax, scores, targets)

    state = {name: jax.numpy.asarray(array) for name, array in parameters.items()}
    return jax_step(jax, state, loss_of, OPTIMIZER)


def tinygrad_training(tinygrad: Any, sizes: Sizes, arrays: Arrays) -> Any:
    parameters, data = split(arrays, DATA)
    tokens, targets = (tinygrad.Tensor(data[name]).is_param_(False).realize() for name in DATA)
    positions = tinygrad.Tensor.arange(sizes["length"])

    def loss_of(p: Any) -> Any:
        scores = tinygrad_model(sizes, p, tokens, positions, tinygrad_causal)
        return scores.sparse_categorical_crossentropy(targets)

    state = {name: tinygrad.Tensor(array).realize() for name, array in parameters.items()}
    return tinygrad_step(tinygrad, state, loss_of, OPTIMIZER)


def training(
    layers: int, heads: int, head_width: int, batch: int, length: int, reach: float
) -> Workload:
    return Workload(
        name=f"train GPT {layers}x{heads * head_width}",
        sizes={
            "layers": layers,
            "heads": heads,
            "head width": head_width,
            "batch": batch,
            "length": length,
        },
        inputs=lambda sizes, random: parameters_of(sizes, random) | tokens_of(sizes, random),
        functions={"torch": torch_training, "jax": jax_training, "tinygrad": tinygrad_training},
        cost=parameter_cost(parameter_count, lambda sizes: products(sizes, sizes["length"])),
        targets=training_targets(reach),
        steps=True,
        startup=True,
        tolerance=TRAINING_TOLERANCE,
        check_calls=3,
    )


WORKLOADS = (training(4, 4, 32, 12, 64, 0.5), training(6, 6, 64, 4, 256, 0.7))
