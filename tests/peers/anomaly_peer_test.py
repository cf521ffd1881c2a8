"""`detect_anomaly` says what PyTorch's says, but for the numbers in names of functions."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import grad

torch = pytest.importorskip("torch")


def square_root(library: Any) -> Any:
    return (library.zeros(3, requires_grad=True).sqrt() * 0).sum()


def logarithm(library: Any) -> Any:
    x = library.zeros(2, requires_grad=True)
    return (library.ones(2) * (x.log() * 0)).sum()


def second_argument(library: Any) -> Any:
    x, y = library.ones(1, requires_grad=True), library.ones(1, requires_grad=True)
    return (library.full((1,), float("inf")) * 0 * (x.detach() * y)).sum()


@pytest.mark.parametrize("before", [False, True], ids=["watched", "made before"])
@pytest.mark.parametrize("make", [square_root, logarithm, second_argument])
def test_messages(make: Any, before: bool) -> None:
    found = []
    for library in (grad, torch):
        loss = make(library) if before else None
        with warnings.catch_warnings(record=True) as seen, library.autograd.detect_anomaly():
            warnings.simplefilter("always")
            loss = make(library) if loss is None else loss
            with pytest.raises(RuntimeError) as error:
                loss.backward()
        texts = [str(error.value), *(str(warning.message) for warning in seen)]
        texts = [text.partition(" (Triggered")[0].rstrip() for text in texts]
        found.append([text.replace("Backward0", "Backward") for text in texts])
    assert found[0] == found[1]
