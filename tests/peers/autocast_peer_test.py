"""`autocast` gives the types that PyTorch's gives, and a scaler goes the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from tests.amp.autocast_cases import AS_GIVEN, FULL, LOWER

torch = pytest.importorskip("torch")
CASES = LOWER | FULL | AS_GIVEN


@pytest.mark.parametrize("fast", ["bfloat16", "float16"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_types_and_values(name: str, dtype: str, fast: str) -> None:
    found = []
    for library in (torch, grad):
        random = np.random.default_rng(0)

        def make(*shape: int, library: Any = library, random: Any = random) -> Any:
            return library.tensor(random.random(shape)).to(getattr(library, dtype))

        with library.autocast("cpu", dtype=getattr(library, fast)):
            found.append(CASES[name](library, make))
    theirs, ours = found
    assert str(theirs.dtype).removeprefix("torch.") == ours.dtype.name
    coarse = {"bfloat16": 0.03, "float16": 4e-3}.get(ours.dtype.name, 2e-5)
    np.testing.assert_allclose(
        ours.double().numpy(), theirs.double().numpy(), rtol=coarse, atol=coarse
    )


def test_scales() -> None:
    settings: dict[str, Any] = {"init_scale": 8.0, "growth_interval": 2}
    scalers = [library.amp.GradScaler("cpu", **settings) for library in (torch, grad)]
    found: list[list[Any]] = [[], []]
    for library, scaler, seen in zip((torch, grad), scalers, found):
        weight = library.ones(3, requires_grad=True)
        optimizer = library.optim.SGD([weight], lr=0.1)
        for factor in (1.0, np.nan, 1.0, 2.0, 3.0, np.inf, 1.0):
            optimizer.zero_grad()
            scaler.scale((weight * factor).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            seen += [scaler.get_scale(), *weight.tolist(), *scaler.state_dict().values()]
    assert found[0] == found[1]
