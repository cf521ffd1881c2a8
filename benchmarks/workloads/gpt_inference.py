"""GPT without gradients: one pass over a text, and one token after another with a cache.

Decoding keeps keys and values in buffers of fixed size, writes each token's in place, and attends
to the positions so far by a mask; when the buffers are full it starts over. Its limit is memory:
each token reads all weights.
"""

from __future__ import annotations

from typing import Any

from benchmarks.workload import FLOAT_BYTES, Arrays, Cost, Sizes, Target, Workload
from benchmarks.workloads.gpt import (
    VOCABULARY,
    jax_attend,
    jax_causal,
    jax_model,
    parameter_count,
    parameters_of,
    products,
    tinygrad_causal,
    tinygrad_model,
    tokens_of,
    torch_model,
    width_of,
)
from benchmarks.workloads.steps import load, split

DATA = ("tokens", "targets")
# A decoded text starts at this token.
START = 1


def inference_inputs(sizes: Sizes, random: Any) -> Arrays:
    return parameters_of(sizes, random) | tokens_of(sizes, random)


def torch_inference(torch: Any, sizes: Sizes, arrays: Arrays) -> Any:
    model = torch_model(torch, sizes)
    load(torch, model, arrays)
    tokens, positions = torch.tensor(arrays["tokens"]), torch.arange(sizes["length"])

    def infer() -> Any:
        with torch.no_grad():
            return model(tokens, positions)

    return infer


def jax_inference(jax: Any, sizes: Sizes, arrays: Arrays) -> Any:
    parameters, data = split(arrays, DATA)
    state = {name: jax.numpy.asarray(array) for name, array in parameters.items()}
    tokens, positions = jax.numpy.asarray(data["tokens"]), jax.numpy.arange(sizes["length"])
    attend = jax_causal(jax, sizes["length"])
    infer = jax.jit(lambda p, tokens: jax_model(jax, sizes, p, tokens, positions, attend))
    return lambda: infer(state, tokens)


def tinygrad_inference(tinygrad: Any, sizes: Sizes, arrays: Arrays) -> Any:
    parameters, data = split(arrays, DATA)
    state = {name: tinygrad.Tensor(array).realize() for name, array in parameters.items()}
    tokens = tinygrad.Tensor(data["tokens"]).realize()
    positions = tinygrad.Tensor.arange(sizes["length"])
    return lambda: tinygrad_model(sizes, state, tokens, positions, tinygrad_causal).realize()


def torch_decoding(torch: Any, sizes: Sizes, arrays: Arrays) -> Any:
    model = torch_model(torch, sizes)
    load(torch, model, arrays)
    dtype = next(iter(model.parameters())).dtype
    shape = 1, sizes["heads"], sizes["length"], sizes["head width"]
    keys = [torch.zeros(shape, dtype=dtype) for _ in range(sizes["layers"])]
    values = [torch.zeros(shape, dtype=dtype) for _ in range(sizes["layers"])]
    slots = torch.arange(sizes["length"])
    position, token = torch.tensor([0]), torch.tensor([[START]])

    def attend(layer: int, query: Any, key: Any, value: Any) -> Any:
        keys[layer][:, :, position] = key
        values[layer][:, :, position] = value
        attention = torch.nn.functional.scaled_dot_product_attention
        allowed = (slots <= position).view(1, 1, 1, -1)
        return attention(query, keys[layer], values[layer], attn_mask=allowed)

    def decode() -> Any:
        with torch.no_grad():
            scores = model(token, position, attend)
            token.copy_(scores[:, -1:].argmax(-1))
            position.add_(1).remainder_(sizes["length"])
        return scores

    return decode


def jax_decoding(jax: Any, sizes: Sizes, arrays: Arrays) -> Any:
    numpy = jax.numpy
    parameters = {name: numpy.asarray(array) for name, array in arrays.items()}
    shape = sizes["layers"], 1, sizes["heads"], sizes["length"], sizes["head width"]
    slots = numpy.arange(sizes["length"])
    state = {
        "keys": numpy.zeros(shape),
        "values": numpy.zeros(shape),
        "position": numpy.array([0]),
        "token": numpy.array([[START]]),
    }

    def advance(p: Any, state: Any) -> Any:
        caches = {"keys": state["keys"], "values": state["values"]}
        position = state["position"]

        def attend(layer: int, query: Any, key: Any, value: Any) -> Any:
            for name, new in (("keys", key), ("values", value)):
                place = (layer, 0, 0, position[0], 0)
                caches[name] = jax.lax.dynamic_update_slice(caches[name], new[None], place)
            keys, values = caches["keys"][layer], caches["values"][layer]
            return jax_attend(jax, query, keys, values, slots <= position)

        scores = jax_model(jax, sizes, p, state["token"], position, attend)
        token = scores[:, -1:].argmax(-1)
        later = {"position": (position + 1) % sizes["length"], "token": token}
        return caches | later, scores

    jitted = jax.jit(advance, donate_argnums=1)

    def decode() -> Any:
        nonlocal state
        state, scores = jitted(parameters, state)
        jax.block_until_ready(state)
        return scores

    return decode


def tinygrad_decoding(tinygrad: Any, sizes: Sizes, arrays: Arrays) -> Any:
    tensor = tinygrad.Tensor
    parameters = {name: tensor(array).realize() for name, array in arrays.items()}
    shape = 1, sizes["heads"], sizes["length"], sizes["head width"]
    caches = [
        [tensor.zeros(*shape).contiguous().realize() for _ in range(2)]
        for _ in range(sizes["layers"])
    ]
    slots = tensor.arange(sizes["length"]).realize()
    position = tensor([0]).contiguous().realize()
    token = tensor([[START]]).contiguous().realize()

    def attend(layer: int, query: Any, key: Any, value: Any) -> Any:
        here = (slots == position).reshape(1, 1, -1, 1)
        keys, values = (
            cache.assign(here.where(new, cache)) for cache, new in zip(caches[layer], (key, value))
        )
        allowed = (slots <= position).reshape(1, 1, 1, -1)
        return query.scaled_dot_product_attention(keys, values, attn_mask=allowed)

    def decode() -> Any:
        scores = tinygrad_model(sizes, parameters, token, position, attend).realize()
        chosen = scores[:, -1:].argmax(-1).cast(token.dtype)
        tensor.realize(token.assign(chosen), position.assign((position + 1) % sizes["length"]))
        return scores

    return decode


def inference_cost(sizes: Sizes) -> Cost:
    read = FLOAT_BYTES * parameter_count(sizes)
    written = FLOAT_BYTES * sizes["batch"] * sizes["length"] * VOCABULARY
    return Cost(products(sizes, sizes["length"]), read, written)


def decoding_cost(sizes: Sizes) -> Cost:
    width, layers = width_of(sizes), sizes["layers"]
    # On average half of the cache is read.
    cache = layers * width * sizes["length"]
    read = FLOAT_BYTES * (parameter_count(sizes) + cache)
    return Cost(products(sizes, 1) + 2.0 * cache, read, FLOAT_BYTES * 2 * layers * width)


SIZES = {"layers": 6, "heads": 12, "head width": 64}
WORKLOADS = (
    Workload(
        name="inference, GPT 6x768, 64 tokens",
        sizes=SIZES | {"batch": 1, "length": 64},
        inputs=inference_inputs,
        functions={"torch": torch_inference, "jax": jax_inference, "tinygrad": tinygrad_inference},
        cost=inference_cost,
        targets=(Target(0.8),),
        steps=True,
    ),
    Workload(
        name="decoding a token, GPT 6x768",
        sizes=SIZES | {"batch": 1, "length": 128},
        inputs=parameters_of,
        functions={"torch": torch_decoding, "jax": jax_decoding, "tinygrad": tinygrad_decoding},
        cost=decoding_cost,
        targets=(Target(0.8),),
        steps=True,
        fixed=frozenset({"batch"}),
        tolerance=1e-3,
        check_calls=4,
    ),
)
