"""The state of all random numbers that training may use: ours, Python's and NumPy's.

`get_random_state` gives it as plain data that a file can hold; `set_random_state` goes on from
there. NumPy's is that of its global functions; generators of one's own are given by themselves.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from grad.ops.generator import Generator, get_rng_state, set_rng_state

State = dict[str, Any]


def get_random_state(generator: Generator | None = None) -> State:
    """Where the random numbers are: the default generators, and `generator`."""
    # NumPy's key is an array; the others of its five entries are plain.
    kind, key, *rest = np.random.get_state()  # type: ignore[misc]
    state: State = {
        "grad": get_rng_state(),
        "python": random.getstate(),
        "numpy": (kind, np.asarray(key).tolist(), *rest),
    }
    if generator is not None:
        state["generator"] = generator.get_state()
    return state


def set_random_state(state: State, generator: Generator | None = None) -> None:
    """Go on from where `get_random_state` was called."""
    set_rng_state(state["grad"])
    random.setstate(state["python"])
    kind, key, *rest = state["numpy"]
    np.random.set_state((kind, np.asarray(key, np.uint32), *rest))
    if generator is not None:
        generator.set_state(state["generator"])
