"""Train a program of this directory with an optimiser, from weights that NumPy makes.

It is itself an ordinary PyTorch script: ``python tests/programs/training.py`` trains each program
with each optimiser and writes losses.json, what PyTorch's losses are; ``python -m grad.as_torch
tests/programs/training.py --out elsewhere.json`` does the same here.
"""

import argparse
import importlib
import json
import math
import pathlib

import numpy as np
import torch

PROGRAMS = ["mlp", "cnn", "lstm", "transformer", "gpt", "resnet18", "unet", "vae"]
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4),
    "Adam": lambda p: torch.optim.Adam(p, lr=3e-4),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.05, max_iter=2, history_size=5),
}
BATCHES = 5
# LBFGS amplifies rounding, and so do networks with many ReLU and poolings: an activation that is
# zero but for rounding falls on the other side. In float32 their losses soon tell of little else.
AMPLIFYING = {"LBFGS", "resnet18", "unet"}


def precision(name, optimizer):
    """What a program is trained in with an optimiser."""
    return torch.float64 if {name, optimizer} & AMPLIFYING else torch.float32


def initial_weights(model, seed=0):
    """A state dict for `model`: matrices by their fan-in, vectors near what they start as."""
    random, made = np.random.default_rng(seed), {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point() or "running" in name or name.endswith("pe"):
            continue
        scale = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.05
        array = random.normal(size=shape) * scale
        if len(shape) == 1 and name.endswith("weight"):
            array += 1
        made[name] = torch.from_numpy(array.astype("float32"))
    return made


def start(program, optimizer, dtype=torch.float32):
    """A model with those weights, its optimiser and the batches it is trained with."""
    model = program.make_model()
    model.load_state_dict(initial_weights(model), strict=False)
    model.to(dtype)
    groups = getattr(program, "parameter_groups", None)
    grouped = groups is not None and optimizer != "LBFGS"  # which takes one group only
    parameters = groups(model) if grouped else model.parameters()
    random = np.random.default_rng(1)
    batches = [program.make_batch(random) for _ in range(BATCHES)]
    batches = [tuple(x.to(dtype) if x.is_floating_point() else x for x in b) for b in batches]
    return model, OPTIMIZERS[optimizer](parameters), batches


def make_step(program, model, optimizer):
    """One step of training, of a batch; it gives the loss before it."""

    def closure_step(*batch):
        def closure():
            optimizer.zero_grad()
            loss = program.loss_of(model, *batch)
            loss.backward()
            return loss

        return optimizer.step(closure)

    def step(*batch):
        optimizer.zero_grad(set_to_none=True)
        loss = program.loss_of(model, *batch)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return closure_step if isinstance(optimizer, torch.optim.LBFGS) else step


def train(program, optimizer, steps=50, transform=lambda step: step, dtype=None):
    """The losses of `steps` steps; `transform` is torch.compile, or leaves the step as it is."""
    dtype = dtype or precision(pathlib.Path(program.__file__).stem, optimizer)
    model, chosen, batches = start(program, optimizer, dtype)
    step = transform(make_step(program, model.train(), chosen))
    several = 1 if optimizer == "LBFGS" else BATCHES  # its history is of one function
    return [step(*batches[i % several]).item() for i in range(steps)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=__file__.replace("training.py", "losses.json"))
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()
    losses = {}
    for name in PROGRAMS:
        program = importlib.import_module(name)
        losses[name] = {kind: train(program, kind, options.steps) for kind in OPTIMIZERS}
        print(name, {kind: (found[0], found[-1]) for kind, found in losses[name].items()})
    made_by = {"torch": torch.__version__, "command": "python tests/programs/training.py"}
    with open(options.out, "w") as file:
        json.dump({**made_by, "losses": losses}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
