"""Training steps of small networks: two multi-layer perceptrons, and a CNN for MNIST."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import FLOAT_BYTES, OURS, Arrays, Cost, Sizes, Target, Workload, normal
from benchmarks.workloads.steps import Optimizer, jax_step, split, tinygrad_step, torch_step

DATA = ("x", "labels")
# Adam reads a parameter, its gradient and two moments, and writes all but the gradient.
UPDATE_READS, UPDATE_WRITES = 4, 3
TRAINING_TOLERANCE = 2e-3


def training_targets(reach: float, startup: bool = True) -> tuple[Target, ...]:
    """What is to be reached by every training step."""
    starts = (
        Target(1.0, "cold", peers=("jax",), label=", cold start"),
        Target(0.2, "warm", peers=(), label=", warm start"),
    )
    return (
        Target(reach),
        Target(1.0, ours=("grad",), peers=("torch",), label=", eager"),
        Target(0.8, "peak", ours=OURS, peers=("torch",), label=", peak memory"),
        *(starts if startup else ()),
    )


def dense_arrays(sizes: Sizes, random: Any, widths: list[int], first: int = 0) -> Arrays:
    """Parameters of linear layers with ReLUs between, by the names of `nn.Sequential`."""
    arrays: Arrays = {}
    for number, (inward, outward) in enumerate(itertools.pairwise(widths)):
        bound = inward**-0.5
        name = str(first + 2 * number)
        weight = random.uniform(-bound, bound, (outward, inward))
        arrays[f"{name}.weight"] = weight.astype(np.float32)
        arrays[f"{name}.bias"] = random.uniform(-bound, bound, outward).astype(np.float32)
    return arrays


def dense_layers(torch: Any, widths: list[int]) -> list[Any]:
    """Linear layers with ReLUs between."""
    layers: list[Any] = []
    for inward, outward in itertools.pairwise(widths):
        layers += [torch.nn.Linear(inward, outward), torch.nn.ReLU()]
    return layers[:-1]


def dense_names(parameters: Any, first: int = 0) -> list[str]:
    """Names of the linear layers from `first` on, in order."""
    numbers = sorted({int(name.partition(".")[0]) for name in parameters})
    return [str(number) for number in numbers if number >= first]


def jax_dense(jax: Any, p: Any, x: Any, first: int = 0) -> Any:
    names = dense_names(p, first)
    for name in names:
        x = x @ p[f"{name}.weight"].T + p[f"{name}.bias"]
        x = x if name == names[-1] else jax.nn.relu(x)
    return x


def tinygrad_dense(p: Any, x: Any, first: int = 0) -> Any:
    names = dense_names(p, first)
    for name in names:
        x = x.linear(p[f"{name}.weight"].T, p[f"{name}.bias"])
        x = x if name == names[-1] else x.relu()
    return x


def jax_cross_entropy(jax: Any, scores: Any, labels: Any) -> Any:
    chosen = jax.numpy.take_along_axis(scores, labels[..., None], -1)[..., 0]
    return (jax.nn.logsumexp(scores, axis=-1) - chosen).mean()


# Losses of scores and labels, by family.
LOSSES: dict[str, dict[str, Callable[..., Any]]] = {
    "cross-entropy": {
        "torch": lambda torch, scores, labels: torch.nn.functional.cross_entropy(scores, labels),
        "jax": jax_cross_entropy,
        "tinygrad": lambda _, scores, labels: scores.sparse_categorical_crossentropy(labels),
    },
    # The largest-margin loss of the original demo, over labels of -1 and 1.
    "margin": {
        "torch": lambda torch, scores, labels: torch.relu(1 - labels * scores[:, 0]).mean(),
        "jax": lambda jax, scores, labels: jax.nn.relu(1 - labels * scores[:, 0]).mean(),
        "tinygrad": lambda _, scores, labels: (1 - labels * scores[:, 0]).relu().mean(),
    },
}


def parameter_cost(arrays_of: Callable[[Sizes], int], flops: Callable[[Sizes], float]) -> Any:
    """A step of Adam: products forward and backward, and the optimiser's traffic."""

    def cost(sizes: Sizes) -> Cost:
        count = arrays_of(sizes)
        return Cost(
            3 * flops(sizes) + 12 * count,
            FLOAT_BYTES * UPDATE_READS * count,
            FLOAT_BYTES * UPDATE_WRITES * count,
        )

    return cost


def perceptron(
    name: str, sizes: dict[str, int], loss: str, optimizer: Optimizer, targets: tuple[Target, ...]
) -> Workload:
    """Linear layers of the widths among `sizes`, which come after "batch", with ReLUs between."""

    def widths(sizes: Sizes) -> list[int]:
        return [size for key, size in sizes.items() if key != "batch"]

    def inputs(sizes: Sizes, random: Any) -> Arrays:
        batch, layers = sizes["batch"], widths(sizes)
        if loss == "margin":
            labels = random.choice(np.array([-1, 1], np.float32), batch)
        else:
            labels = random.integers(0, layers[-1], batch)
        data = {"x": normal(random, batch, layers[0]), "labels": labels}
        return dense_arrays(sizes, random, layers) | data

    def torch_like(torch: Any, sizes: Sizes, arrays: Arrays) -> Any:
        model = torch.nn.Sequential(*dense_layers(torch, widths(sizes)))
        x, labels = (torch.tensor(arrays[name]) for name in DATA)
        loss_of = LOSSES[loss]["torch"]
        return torch_step(
            torch, model, lambda model: loss_of(torch, model(x), labels), arrays, optimizer
        )

    def jax_form(jax: Any, sizes: Sizes, arrays: Arrays) -> Any:
        parameters, data = split(arrays, DATA)
        x, labels = (jax.numpy.asarray(data[name]) for name in DATA)
        loss_of = LOSSES[loss]["jax"]
        state = {name: jax.numpy.asarray(array) for name, array in parameters.items()}
        return jax_step(jax, state, lambda p: loss_of(jax, jax_dense(jax, p, x), labels), optimizer)

    def tinygrad_form(tinygrad: Any, sizes: Sizes, arrays: Arrays) -> Any:
        parameters, data = split(arrays, DATA)
        x, labels = (tinygrad.Tensor(data[name]).is_param_(False).realize() for name in DATA)
        loss_of = LOSSES[loss]["tinygrad"]
        state = {name: tinygrad.Tensor(array).realize() for name, array in parameters.items()}
        return tinygrad_step(
            tinygrad, state, lambda p: loss_of(tinygrad, tinygrad_dense(p, x), labels), optimizer
        )

    def products(sizes: Sizes) -> float:
        layers = widths(sizes)
        return 2.0 * sizes["batch"] * sum(a * b for a, b in itertools.pairwise(layers))

    def parameter_count(sizes: Sizes) -> int:
        layers = widths(sizes)
        return sum((a + 1) * b for a, b in itertools.pairwise(layers))

    return Workload(
        name=name,
        sizes=sizes,
        inputs=inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=parameter_cost(parameter_count, products),
        targets=targets,
        steps=True,
        startup=any(target.quantity != "time" for target in targets),
        fixed=frozenset({"outputs"}),
        tolerance=TRAINING_TOLERANCE,
        check_calls=3,
    )


IMAGE, CLASSES, KERNEL = 28, 10, 3
POOLED = (IMAGE - 2 * (KERNEL - 1)) // 2


def convolutional() -> Workload:
    """PyTorch's MNIST example: two 3x3 convolutions, pooling by 2, two linear layers."""

    def widths(sizes: Sizes) -> list[int]:
        return [sizes["second"] * POOLED * POOLED, sizes["hidden"], CLASSES]

    def inputs(sizes: Sizes, random: Any) -> Arrays:
        batch, channels = sizes["batch"], (1, sizes["first"], sizes["second"])
        arrays = dense_arrays(sizes, random, widths(sizes), first=6)
        for name, inward, outward in zip(("0", "2"), channels, channels[1:]):
            scale = (inward * KERNEL * KERNEL) ** -0.5
            arrays[f"{name}.weight"] = scale * normal(random, outward, inward, KERNEL, KERNEL)
            arrays[f"{name}.bias"] = scale * normal(random, outward)
        labels = random.integers(0, CLASSES, batch)
        return arrays | {"x": normal(random, batch, 1, IMAGE, IMAGE), "labels": labels}

    def torch_like(torch: Any, sizes: Sizes, arrays: Arrays) -> Any:
        nn = torch.nn
        model = nn.Sequential(
            nn.Conv2d(1, sizes["first"], KERNEL),
            nn.ReLU(),
            nn.Conv2d(sizes["first"], sizes["second"], KERNEL),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            *dense_layers(torch, widths(sizes)),
        )
        x, labels = (torch.tensor(arrays[name]) for name in DATA)

        def loss_of(model: Any) -> Any:
            return nn.functional.cross_entropy(model(x), labels)

        return torch_step(torch, model, loss_of, arrays, Optimizer("Adam", 1e-3))

    def jax_form(jax: Any, sizes: Sizes, arrays: Arrays) -> Any:
        parameters, data = split(arrays, DATA)
        x, labels = (jax.numpy.asarray(data[name]) for name in DATA)
        lax = jax.lax

        def loss_of(p: Any) -> Any:
            y = x
            for name in ("0", "2"):
                y = lax.conv_general_dilated(y, p[f"{name}.weight"], (1, 1), "VALID")
                y = jax.nn.relu(y + p[f"{name}.bias"][None, :, None, None])
            window = (1, 1, 2, 2)
            y = lax.reduce_window(y, -jax.numpy.inf, lax.max, window, window, "VALID")
            scores = jax_dense(jax, p, y.reshape(len(y), -1), first=6)
            return jax_cross_entropy(jax, scores, labels)

        state = {name: jax.numpy.asarray(array) for name, array in parameters.items()}
        return jax_step(jax, state, loss_of, Optimizer("Adam", 1e-3))

    def tinygrad_form(tinygrad: Any, sizes: Sizes, arrays: Arrays) -> Any:
        parameters, data = split(arrays, DATA)
        x, labels = (tinygrad.Tensor(data[name]).is_param_(False).realize() for name in DATA)

        def loss_of(p: Any) -> Any:
            y = x
            for name in ("0", "2"):
                y = y.conv2d(p[f"{name}.weight"], p[f"{name}.bias"]).relu()
            scores = tinygrad_dense(p, y.max_pool2d().flatten(1), first=6)
            return scores.sparse_categorical_crossentropy(labels)

        state = {name: tinygrad.Tensor(array).realize() for name, array in parameters.items()}
        return tinygrad_step(tinygrad, state, loss_of, Optimizer("Adam", 1e-3))

    def products(sizes: Sizes) -> float:
        first, second, taps = sizes["first"], sizes["second"], KERNEL * KERNEL
        outer, inner = IMAGE - KERNEL + 1, 2 * POOLED
        convolutions = outer * outer * first * taps + inner * inner * second * first * taps
        layers = widths(sizes)
        return (
            2.0
            * sizes["batch"]
            * (convolutions + sum(a * b for a, b in itertools.pairwise(layers)))
        )

    def parameter_count(sizes: Sizes) -> int:
        layers, taps = widths(sizes), KERNEL * KERNEL
        dense = sum((a + 1) * b for a, b in itertools.pairwise(layers))
        return dense + (taps + 1) * sizes["first"] + (taps * sizes["first"] + 1) * sizes["second"]

    return Workload(
        name="train MNIST CNN",
        sizes={"batch": 64, "first": 32, "second": 64, "hidden": 128},
        inputs=inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=parameter_cost(parameter_count, products),
        targets=training_targets(0.6),
        steps=True,
        startup=True,
        tolerance=TRAINING_TOLERANCE,
        check_calls=3,
    )


WORKLOADS = (
    perceptron(
        "train MLP 2-16-16-1",
        {"batch": 100, "inputs": 2, "hidden": 16, "hidden too": 16, "outputs": 1},
        "margin",
        Optimizer("SGD", 0.05),
        training_targets(0.25),
    ),
    perceptron(
        "train MLP 784-512-512-10",
        {"batch": 128, "inputs": 784, "hidden": 512, "hidden too": 512, "outputs": 10},
        "cross-entropy",
        Optimizer("Adam", 1e-3),
        training_targets(0.75),
    ),
    convolutional(),
)
