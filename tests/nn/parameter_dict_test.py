"""`ParameterDict` as a dictionary and as a module."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import grad
from grad import nn


def test_as_a_dictionary() -> None:
    weights = nn.ParameterDict({"b": grad.zeros(2), "a": nn.Parameter(grad.ones(3))})
    assert list(weights) == ["a", "b"] and isinstance(weights["b"], nn.Parameter)
    assert weights["a"] is weights.a and "a" in weights and len(weights) == 2
    weights["count"] = 3
    assert weights.get("missing") is None and weights.setdefault("d", grad.zeros(1)).shape == (1,)
    assert list(reversed(weights)) == ["d", "count", "b", "a"]
    assert weights.pop("count") == 3 and weights.popitem()[0] == "d"
    both = weights | OrderedDict(z=grad.zeros(1), c=grad.zeros(1))
    assert list(both) == ["a", "b", "z", "c"] and both["a"] is weights["a"] and len(weights) == 2
    assert list(weights.fromkeys(["v", "u"], 1).items()) == [("v", 1), ("u", 1)]
    with pytest.raises(KeyError):
        weights["missing"]
    with pytest.raises(KeyError, match="exists"):
        weights["forward"] = grad.zeros(1)
    with pytest.raises(TypeError):
        weights[1] = grad.zeros(1)  # type: ignore[index]


def test_as_a_module() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterDict({"left": grad.ones(2), "name": "x"})

        def forward(self, x: grad.Tensor) -> grad.Tensor:
            return x * self.weights["left"]

    model = Model()
    assert list(model.state_dict()) == ["weights.left"]
    model(grad.ones(2)).sum().backward()
    assert model.weights["left"].grad.tolist() == [1, 1]
    other = Model()
    other.weights["left"] = grad.zeros(2)
    model.load_state_dict(other.state_dict())
    assert model.weights.left.tolist() == [0, 0]
    assert "Object of type: str" in repr(model) and "FloatTensor of size 2" in repr(model)
    model.weights.clear()
    assert not list(model.parameters())
