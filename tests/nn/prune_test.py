"""Pruning: which elements each method keeps, what it puts into a module, and taking it out."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad import nn
from grad.nn.utils import prune
from grad.tensor import Tensor

VALUES = np.array([[0.1, -2.0, 0.3], [4.0, -0.5, 6.0]], np.float32)


def layer(values=VALUES, bias=True):
    made = nn.Linear(values.shape[1], values.shape[0], bias=bias)
    made.weight.data = grad.tensor(values)
    return made


def test_what_is_in_the_module():
    pruned = layer()
    original = pruned.weight
    assert prune.l1_unstructured(pruned, "weight", amount=2) is pruned
    assert pruned.weight_orig is original and not isinstance(pruned.weight, nn.Parameter)
    assert list(pruned.state_dict()) == ["bias", "weight_orig", "weight_mask"]
    assert pruned.weight_mask.tolist() == [[0, 1, 0], [1, 1, 1]]
    (hook,) = pruned._forward_pre_hooks.values()
    assert isinstance(hook, prune.L1Unstructured) and hook._tensor_name == "weight"
    assert prune.is_pruned(nn.Sequential(pruned)) and not prune.is_pruned(layer())


def test_training_keeps_the_zeros():
    pruned = prune.l1_unstructured(layer(), "weight", amount=0.5)
    optimizer = grad.optim.SGD(pruned.parameters(), lr=0.1, momentum=0.9)
    x = grad.ones(4, 3)
    for _ in range(3):
        optimizer.zero_grad()
        pruned(x).sum().backward()
        assert (pruned.weight_orig.grad[pruned.weight_mask == 0] == 0).all()
        optimizer.step()
    expected = pruned.weight_orig.detach() * pruned.weight_mask
    weight = pruned.weight_orig
    prune.remove(pruned, "weight")
    assert pruned.weight is weight and not pruned._forward_pre_hooks
    assert list(pruned.state_dict()) == ["bias", "weight"]
    np.testing.assert_array_equal(pruned.weight.detach().numpy(), expected.numpy())


@pytest.mark.parametrize(
    ("prune_by", "expected"),
    [
        (lambda m: prune.identity(m, "weight"), [[1, 1, 1], [1, 1, 1]]),
        (lambda m: prune.l1_unstructured(m, "weight", 0), [[1, 1, 1], [1, 1, 1]]),
        (lambda m: prune.l1_unstructured(m, "weight", 0.5), [[0, 1, 0], [1, 0, 1]]),
        (
            lambda m: prune.l1_unstructured(m, "weight", 1, importance_scores=-grad.tensor(VALUES)),
            [[0, 1, 1], [1, 1, 1]],
        ),
        (lambda m: prune.ln_structured(m, "weight", 1, n=2, dim=0), [[0, 0, 0], [1, 1, 1]]),
        (lambda m: prune.ln_structured(m, "weight", 0.34, 1, -1), [[1, 0, 1], [1, 0, 1]]),
        (lambda m: prune.ln_structured(m, "weight", 1, float("inf"), 1), [[1, 0, 1], [1, 0, 1]]),
        (
            lambda m: prune.custom_from_mask(m, "weight", grad.tensor([[1, 0, 1], [0, 1, 0]])),
            [[1, 0, 1], [0, 1, 0]],
        ),
    ],
)
def test_what_each_method_keeps(prune_by, expected):
    pruned = prune_by(layer())
    assert pruned.weight_mask.tolist() == expected
    np.testing.assert_array_equal(
        pruned.weight.detach().numpy(), VALUES * np.array(expected, np.float32)
    )


def test_methods_by_chance():
    grad.manual_seed(0)
    pruned = prune.random_unstructured(nn.Linear(20, 10), "weight", amount=0.3)
    assert pruned.weight_mask.sum().item() == 140
    rows = prune.random_structured(nn.Linear(20, 10), "weight", amount=4, dim=0).weight_mask
    assert sorted(rows.sum(1).tolist()) == [0] * 4 + [20] * 6


def test_methods_one_after_the_other():
    pruned = layer()
    prune.l1_unstructured(pruned, "weight", amount=1)
    prune.ln_structured(pruned, "weight", amount=1, n=2, dim=0)
    prune.l1_unstructured(pruned, "weight", amount=0.34)  # of the three that are left
    (hook,) = pruned._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer) and len(hook) == 3
    assert [type(method).__name__ for method in hook] == [
        "L1Unstructured",
        "LnStructured",
        "L1Unstructured",
    ]
    assert pruned.weight_mask.tolist() == [[0, 0, 0], [1, 0, 1]]
    with pytest.raises(ValueError, match="smaller than the number"):
        prune.l1_unstructured(pruned, "weight", amount=5)
    assert len(next(iter(pruned._forward_pre_hooks.values()))) == 3
    prune.remove(pruned, "weight")
    assert pruned.weight.tolist() == [[0, 0, 0], [4, 0, 6]]


def test_several_parameters_as_one():
    model = nn.Sequential(layer(bias=False), layer(VALUES[:, :2] * 10, bias=False))
    places = [(model[0], "weight"), (model[1], "weight")]
    prune.global_unstructured(places, pruning_method=prune.L1Unstructured, amount=4)
    assert model[0].weight_mask.tolist() == [[0, 1, 0], [1, 0, 1]]
    assert model[1].weight_mask.tolist() == [[0, 1], [1, 1]]
    (hook,) = model[0]._forward_pre_hooks.values()
    assert isinstance(hook, prune.CustomFromMask)
    scores = {(model[0], "weight"): grad.zeros(2, 3)}
    prune.global_unstructured(
        iter(places), prune.L1Unstructured, importance_scores=scores, amount=3
    )
    assert model[0].weight_mask.sum().item() == 0
    with pytest.raises(TypeError, match="unstructured"):
        prune.global_unstructured(places, prune.LnStructured, amount=1, n=2)


def test_a_method_of_ones_own_in_a_compiled_call():
    class EverySecond(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    pruned = layer()
    EverySecond.apply(pruned, "bias")
    assert pruned.bias_mask.tolist() == [0, 1]
    call = grad.compile(pruned)
    x = grad.ones(1, 3)
    for value in (1.0, 2.0, 3.0, 4.0):
        with grad.no_grad():
            pruned.bias_orig.fill_(value)
        expected = VALUES.sum(1) + [0, value]
        np.testing.assert_allclose(call(x).detach().numpy()[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda m: prune.l1_unstructured(m, "weight", 1.5), ValueError),
        (lambda m: prune.l1_unstructured(m, "weight", -1), ValueError),
        (lambda m: prune.l1_unstructured(m, "weight", "half"), TypeError),
        (lambda m: prune.l1_unstructured(m, "weight", 7), ValueError),
        (lambda m: prune.l1_unstructured(m, "scale", 1), AttributeError),
        (lambda m: prune.l1_unstructured(m, "weight", 1, grad.ones(3)), AssertionError),
        (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), ValueError),
        (lambda m: prune.ln_structured(m, "weight", 1, 2, 2), IndexError),
        (lambda m: prune.custom_from_mask(m, "weight", grad.ones(3)), AssertionError),
        (lambda m: prune.remove(m, "weight"), ValueError),
        (lambda m: prune.global_unstructured(3, prune.L1Unstructured, amount=1), TypeError),
    ],
)
def test_bad_arguments_change_nothing(call, error):
    pruned = layer()
    with pytest.raises(error):
        call(pruned)
    assert list(pruned.state_dict()) == ["weight", "bias"] and not pruned._forward_pre_hooks


def test_prune_without_a_module():
    x = grad.tensor(VALUES)
    assert prune.L1Unstructured(3).prune(x).tolist()[0] == [0, -2, 0]
    assert isinstance(prune.Identity().prune(x), Tensor)
