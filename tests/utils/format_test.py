"""What `set_printoptions` changes; the texts are PyTorch's."""

from __future__ import annotations

import pytest

import grad


@pytest.fixture(autouse=True)
def defaults_again():
    yield
    grad.set_printoptions(profile="default")


@pytest.mark.parametrize(
    ("options", "values", "text"),
    [
        ({"sci_mode": False}, [1e10, 1.0], "tensor([10000000000.,           1.])"),
        ({"sci_mode": False}, [1e-8, 1.5], "tensor([0.0000, 1.5000])"),
        ({"sci_mode": True}, [1.0, 2.0], "tensor([1.0000e+00, 2.0000e+00])"),
        ({"sci_mode": True}, [0.0, 0.0], "tensor([0., 0.])"),
        ({"sci_mode": True, "precision": 1}, [1.5], "tensor([1.5e+00])"),
        ({"profile": "short"}, [1.23456], "tensor([1.23])"),
        ({"profile": "short", "precision": 3}, [1.23456], "tensor([1.235])"),
        ({"profile": "full", "threshold": 4}, range(9), "tensor([0, 1, 2, ..., 6, 7, 8])"),
    ],
)
def test_options(options, values, text):
    grad.set_printoptions(**options)
    assert repr(grad.tensor(list(values))).replace("  ...", " ...") == text


def test_the_mode_is_chosen_again_by_a_call_that_does_not_say():
    grad.set_printoptions(sci_mode=True)
    grad.set_printoptions(precision=2)
    assert repr(grad.tensor([1.5])) == "tensor([1.50])"
    grad.set_printoptions(profile="full")
    assert "..." not in repr(grad.arange(2000))
    with pytest.raises(ValueError, match="profile"):
        grad.set_printoptions(profile="long")
