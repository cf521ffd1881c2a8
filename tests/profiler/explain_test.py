"""`grad.explain`: what it shows is what runs, and what GRAD_DEBUG prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.errors import CaptureError, DeviceError
from grad.settings import settings


def softmax(x: Any, w: Any) -> Any:
    return (x @ w + 1).relu().softmax(1)


def operands() -> tuple[Any, Any]:
    return grad.ones(256, 64), grad.ones(64, 64)


def test_graph_groups_and_kernels() -> None:
    explanation = grad.explain(softmax, *operands())
    product, rows = explanation.kernels
    assert (explanation.kernel_count, len(explanation.plans)) == (2, 1)
    assert (product.step, rows.step) == (0, 1)
    assert "contract" in product.name and "exp" in rows.name
    assert "stores mul" in rows.group and "it was asked for" in rows.group
    assert rows.ir.startswith(f"def {rows.name}(") and "exp(" in rows.ir
    assert product.operations >= 2 * 256 * 64 * 64
    assert rows.nbytes == 2 * 4 * 256 * 64
    text = str(explanation)
    assert all(kernel.group in text for kernel in explanation.kernels)
    assert "contract(%0, %1): float32[256, 64]" in text
    assert rows.ir not in text and rows.ir in explanation.text(4)


@pytest.mark.skipif(settings.backend != "cpu", reason="shows code")
def test_code() -> None:
    for kernel in grad.explain(softmax, *operands()).kernels:
        assert "define" in kernel.llvm and "@kernel" in kernel.llvm
        assert "kernel:" in kernel.assembly and "ret" in kernel.assembly


def test_the_reference_backend_has_kernels_and_no_code() -> None:
    with settings.override(backend="reference"):
        (kernel,) = grad.explain(grad.exp, grad.ones(3)).kernels
        assert kernel.llvm == kernel.ir
        with pytest.raises(DeviceError, match="no machine code"):
            _ = kernel.assembly


def test_results_are_right_and_computed() -> None:
    explanation = grad.explain(lambda x: {"twice": x * 2, "sum": x.sum()}, grad.arange(4.0))
    assert explanation.result["twice"].node.is_realized
    assert explanation.result["sum"].item() == 6.0


def test_arguments_are_computed_before() -> None:
    pending = grad.ones(8).exp().sin()
    assert "exp" not in str(grad.explain(lambda x: x + 1, pending))


def test_a_training_step_with_its_effects() -> None:
    grad.manual_seed(0)
    model = nn.Linear(8, 4)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    before = model.weight.detach().clone().numpy()

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    counts = []
    x = grad.ones(3, 8)
    for function in (step, step, grad.compile(step)):
        counts.append([kernel.name for kernel in grad.explain(function, x).kernels])
    assert counts[0] == counts[1] == counts[2]
    assert not np.array_equal(before, model.weight.detach().numpy())
    assert grad.explain(model, x).kernel_count == 1
    assert grad.explain(grad.compile(model), x).kernel_count == 1


def test_plans_of_others_stay() -> None:
    x = grad.ones(5)
    (x + 1).realize()
    cache = grad.engine.cache
    before = cache.misses, len(cache.families)
    assert len(grad.explain(lambda: x + 1).kernels) == 1
    (x + 1).realize()
    assert (cache.misses, len(cache.families)) == before


def test_several_plans_in_order() -> None:
    def function(x: Any) -> Any:
        scale = (x * 2).sum().item()
        return x.sin() * scale

    first, second = grad.explain(function, grad.ones(6)).plans
    assert "sum" in first.kernels[0].name and "sin" in second.kernels[0].name


def test_it_prints_what_the_ladder_prints(capsys: pytest.CaptureFixture[str]) -> None:
    x = grad.ones(7, 3).realize()
    with settings.override(debug=4):
        explanation = grad.explain(lambda x: x.cos().sum(1), x)
    printed = capsys.readouterr().err
    assert explanation.plans[0].graph in printed
    assert explanation.plans[0].groups in printed
    assert explanation.kernels[0].ir in printed


def test_not_inside_of_a_recording() -> None:
    function = grad.compile(lambda x: grad.explain(grad.exp, x).result)
    x = grad.ones(2)
    function(x)
    with pytest.raises(CaptureError, match="outside"):
        function(x)
