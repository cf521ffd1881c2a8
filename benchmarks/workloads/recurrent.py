"""Training steps of LSTMs that classify sequences by their last output."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workload import Arrays, Sizes, Workload, normal
from benchmarks.workloads.steps import Optimizer, jax_step, split, tinygrad_step, torch_step
from benchmarks.workloads.training import (
    TRAINING_TOLERANCE,
    jax_cross_entropy,
    parameter_cost,
    training_targets,
)

DATA = ("x", "labels")
CLASSES = 10
OPTIMIZER = Optimizer("Adam", 1e-3)
GATES = 4


def endings(sizes: Sizes) -> list[str]:
    """How the parameters of each direction end."""
    return ["", "_reverse"][: sizes["directions"]]


def shapes_of(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Parameters by PyTorch's names."""
    hidden, directions = sizes["hidden"], sizes["directions"]
    rows = GATES * hidden
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(sizes["layers"]):
        inward = sizes["inputs"] if layer == 0 else directions * hidden
        for ending in endings(sizes):
            found[f"lstm.weight_ih_l{layer}{ending}"] = (rows, inward)
            found[f"lstm.weight_hh_l{layer}{ending}"] = (rows, hidden)
            found[f"lstm.bias_ih_l{layer}{ending}"] = (rows,)
            found[f"lstm.bias_hh_l{layer}{ending}"] = (rows,)
    return found | {"head.weight": (CLASSES, directions * hidden), "head.bias": (CLASSES,)}


def inputs(sizes: Sizes, random: Any) -> Arrays:
    bound = sizes["hidden"] ** -0.5
    arrays = {
        name: random.uniform(-bound, bound, shape).astype(np.float32)
        for name, shape in shapes_of(sizes).items()
    }
    x = normal(random, sizes["steps"], sizes["batch"], sizes["inputs"])
    return arrays | {"x": x, "labels": random.integers(0, CLASSES, sizes["batch"])}


def torch_form(torch: Any, sizes: Sizes, arrays: Arrays) -> Any:
    nn = torch.nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            both = sizes["directions"] == 2
            self.lstm = nn.LSTM(
                sizes["inputs"], sizes["hidden"], sizes["layers"], bidirectional=both
            )
            self.head = nn.Linear(sizes["directions"] * sizes["hidden"], CLASSES)

        def forward(self, x: Any) -> Any:
            output, _ = self.lstm(x)
            return self.head(output[-1])

    x, labels = (torch.tensor(arrays[name]) for name in DATA)

    def loss_of(model: Any) -> Any:
        return nn.functional.cross_entropy(model(x), labels)

    return torch_step(torch, Classifier(), loss_of, arrays, OPTIMIZER)


def jax_layer(jax: Any, p: Any, x: Any, name: str, backwards: bool) -> Any:
    """Outputs of one direction of one layer."""
    numpy = jax.numpy
    weight, recurrent, bias, other = (
        p[f"lstm.{kind}_{name}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    zeros = numpy.zeros((x.shape[1], recurrent.shape[1]), x.dtype)

    def step(carry: Any, projected: Any) -> Any:
        state, cell = carry
        enter, forget, candidate, leave = numpy.split(projected + state @ recurrent.T, GATES, 1)
        sigmoid = jax.nn.sigmoid
        cell = sigmoid(forget) * cell + sigmoid(enter) * numpy.tanh(candidate)
        state = sigmoid(leave) * numpy.tanh(cell)
        return (state, cell), state

    projected = x @ weight.T + (bias + other)
    return jax.lax.scan(step, (zeros, zeros), projected, reverse=backwards)[1]


def jax_form(jax: Any, sizes: Sizes, arrays: Arrays) -> Any:
    parameters, data = split(arrays, DATA)
    x, labels = (jax.numpy.asarray(data[name]) for name in DATA)

    def loss_of(p: Any) -> Any:
        y = x
        for layer in range(sizes["layers"]):
            outputs = [
                jax_layer(jax, p, y, f"l{layer}{ending}", bool(ending)) for ending in endings(sizes)
            ]
            y = jax.numpy.concatenate(outputs, -1)
        return jax_cross_entropy(jax, y[-1] @ p["head.weight"].T + p["head.bias"], labels)

    state = {name: jax.numpy.asarray(array) for name, array in parameters.items()}
    return jax_step(jax, state, loss_of, OPTIMIZER)


def tinygrad_layer(tinygrad: Any, p: Any, x: Any, name: str, backwards: bool) -> Any:
    """The same in tinygrad, which has no loops of its own."""
    weight, recurrent, bias, other = (
        p[f"lstm.{kind}_{name}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    projected = x.linear(weight.T, bias + other)
    state = cell = tinygrad.Tensor.zeros(x.shape[1], recurrent.shape[1])
    found = []
    steps = range(x.shape[0])
    for number in reversed(steps) if backwards else steps:
        gates = projected[number] + state @ recurrent.T
        enter, forget, candidate, leave = gates.chunk(GATES, 1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        state = leave.sigmoid() * cell.tanh()
        found.append(state)
    return tinygrad.Tensor.stack(*(reversed(found) if backwards else found))


def tinygrad_form(tinygrad: Any, sizes: Sizes, arrays: Arrays) -> Any:
    parameters, data = split(arrays, DATA)
    x, labels = (tinygrad.Tensor(data[name]).is_param_(False).realize() for name in DATA)

    def loss_of(p: Any) -> Any:
        y = x
        for layer in range(sizes["layers"]):
            outputs = [
                tinygrad_layer(tinygrad, p, y, f"l{layer}{ending}", bool(ending))
                for ending in endings(sizes)
            ]
            y = outputs[0].cat(*outputs[1:], dim=-1)
        scores = y[-1].linear(p["head.weight"].T, p["head.bias"])
        return scores.sparse_categorical_crossentropy(labels)

    state = {name: tinygrad.Tensor(array).realize() for name, array in parameters.items()}
    return tinygrad_step(tinygrad, state, loss_of, OPTIMIZER)


def parameter_count(sizes: Sizes) -> int:
    return sum(int(np.prod(shape)) for shape in shapes_of(sizes).values())


def products(sizes: Sizes) -> float:
    matrices = [s for n, s in shapes_of(sizes).items() if len(s) == 2 and n.startswith("lstm")]
    each = sum(rows * columns for rows, columns in matrices)
    return 2.0 * sizes["steps"] * sizes["batch"] * each


def training(name: str, layers: int, directions: int) -> Workload:
    return Workload(
        name=name,
        sizes={
            "steps": 64,
            "batch": 32,
            "inputs": 64,
            "hidden": 128,
            "layers": layers,
            "directions": directions,
        },
        inputs=inputs,
        functions={"torch": torch_form, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=parameter_cost(parameter_count, products),
        targets=training_targets(1.0, startup=False),
        steps=True,
        startup=True,
        fixed=frozenset({"directions"}),
        tolerance=TRAINING_TOLERANCE,
        check_calls=3,
    )


WORKLOADS = (training("train LSTM 128", 1, 1), training("train LSTM 2x128 both ways", 2, 2))
