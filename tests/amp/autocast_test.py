"""`autocast`: result types by PyTorch's lists, values, gradients, modes, captures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import nn
from grad.ops.autocast import TABLE
from grad.ops.registry import REGISTRY
from grad.utils.checkpoint import checkpoint
from tests.amp.autocast_cases import AS_GIVEN, FULL, LOWER, Case

FLOATS = (grad.float32, grad.bfloat16, grad.float16, grad.float64)


def maker(dtype: grad.dtype) -> Callable[..., grad.Tensor]:
    random = np.random.default_rng(0)
    return lambda *shape: grad.tensor(random.random(shape), dtype=dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    ("case", "rule"),
    [
        *[pytest.param(case, "lower", id=name) for name, case in LOWER.items()],
        *[pytest.param(case, "full", id=name) for name, case in FULL.items()],
    ],
)
def test_types_of_results(case: Case, rule: str, dtype: grad.dtype) -> None:
    wanted = grad.bfloat16 if rule == "lower" else grad.float32
    with grad.autocast("cpu", dtype=grad.bfloat16):
        found = case(grad, maker(dtype))
    assert found.dtype is (grad.float64 if dtype is grad.float64 else wanted)
    inputs = grad.float64 if dtype is grad.float64 else wanted
    make = maker(dtype)
    expected = case(grad, lambda *shape: make(*shape).to(inputs))
    np.testing.assert_array_equal(found.float().numpy(), expected.float().numpy())


@pytest.mark.parametrize("dtype", [grad.float32, grad.bfloat16], ids=str)
@pytest.mark.parametrize("name", AS_GIVEN)
def test_what_is_in_no_list_takes_what_it_is_given(name: str, dtype: grad.dtype) -> None:
    with grad.autocast("cpu"):
        assert AS_GIVEN[name](grad, maker(dtype)).dtype is dtype


def test_several_become_the_widest() -> None:
    wide, narrow = grad.ones(2), grad.ones(2, dtype=grad.bfloat16)
    with grad.autocast("cpu"):
        for function in (grad.cat, grad.stack):
            assert function([narrow, wide]).dtype is grad.float32
            assert function([narrow, narrow]).dtype is grad.bfloat16
        index = grad.tensor([0])
        assert grad.index_copy(narrow, 0, index, wide[:1]).dtype is grad.float32


def test_names_of_the_table_exist() -> None:
    known = {*REGISTRY, *dir(F), *dir(grad.linalg)}
    assert not TABLE.keys() - known - {"ctc_loss"}


def test_modes_nest_and_end() -> None:
    x = grad.ones(2, 2)
    assert not grad.is_autocast_enabled() and grad.get_autocast_dtype() is grad.bfloat16
    with grad.autocast("cpu", dtype=grad.float16):
        assert (x @ x).dtype is grad.float16 and grad.get_autocast_dtype() is grad.float16
        with grad.autocast("cpu", enabled=False):
            assert (x @ x).dtype is grad.float32
        with grad.autocast("cpu", dtype=grad.bfloat16):
            assert (x @ x).dtype is grad.bfloat16
        assert (x @ x).dtype is grad.float16
        with grad.autocast("cuda"):
            assert (x @ x).dtype is grad.float16
    with pytest.raises(ZeroDivisionError), grad.autocast("cpu"):
        _ = 1 / 0
    assert (x @ x).dtype is grad.float32

    @grad.autocast("cpu")
    def product() -> grad.Tensor:
        return x @ x

    assert product().dtype is grad.bfloat16 and not grad.is_autocast_enabled()


def test_a_thread_has_its_own_mode() -> None:
    found: list[bool] = []
    with grad.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append(grad.is_autocast_enabled()))
        thread.start()
        thread.join()
    assert found == [False]


@pytest.mark.parametrize(
    "make",
    [lambda: grad.autocast("tpu"), lambda: grad.autocast("cpu", dtype=grad.int32)],
)
def test_what_there_is_not(make: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match="autocast"):
        make()


def step(model: nn.Module, x: grad.Tensor, y: grad.Tensor) -> grad.Tensor:
    with grad.autocast("cpu", dtype=grad.bfloat16):
        loss = F.cross_entropy(model(x), y)
        loss.backward()  # inside or outside: gradients are those of the forward
    return loss


def network() -> nn.Sequential:
    grad.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 3))


def data() -> tuple[grad.Tensor, grad.Tensor]:
    random = np.random.default_rng(0)
    x = random.standard_normal((64, 6)).astype(np.float32)
    return grad.tensor(x), grad.tensor(x[:, :3].argmax(1))


def test_gradients_have_the_type_of_the_parameters_and_are_near_the_exact_ones() -> None:
    model, exact = network(), network()
    x, y = data()
    loss = step(model, x, y)
    F.cross_entropy(exact(x), y).backward()
    assert loss.dtype is grad.float32
    for one, other in zip(model.parameters(), exact.parameters()):
        assert one.grad is not None and other.grad is not None
        assert one.grad.dtype is grad.float32
        scale = float(other.grad.abs().max())
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), atol=0.03 * scale)


@pytest.mark.parametrize("compiled", [False, True])
def test_training(compiled: bool) -> None:
    model, (x, y) = network(), data()
    optimizer = grad.optim.AdamW(model.parameters(), lr=0.01)

    def train() -> grad.Tensor:
        optimizer.zero_grad()
        loss = step(model, x, y)
        optimizer.step()
        return loss

    call = grad.compile(train) if compiled else train
    losses = [call().item() for _ in range(40)]
    assert losses[-1] < 0.25 < losses[0]


def test_a_compiled_function_is_another_inside() -> None:
    compiled = grad.compile(lambda x: x @ x)
    x = grad.ones(3, 3)
    for _ in range(3):
        assert compiled(x).dtype is grad.float32
        with grad.autocast("cpu"):
            assert compiled(x).dtype is grad.bfloat16


def test_checkpoint_computes_again_as_it_did() -> None:
    weight = grad.tensor(np.full((4, 4), 1.001, np.float32), requires_grad=True)
    found = []
    for use in (lambda f, x: f(x), lambda f, x: checkpoint(f, x, use_reentrant=False)):
        weight.grad = None
        with grad.autocast("cpu"):
            out = use(lambda x: (x @ weight).tanh() @ weight, grad.ones(2, 4))
        out.float().sum().backward()
        assert weight.grad is not None
        found.append(weight.grad.numpy().copy())
    np.testing.assert_array_equal(*found)


def test_functions_of_users() -> None:
    seen = []

    class Double(grad.autograd.Function):
        @staticmethod
        @grad.amp.custom_fwd(device_type="cpu", cast_inputs=grad.float32)
        def forward(ctx: Any, x: grad.Tensor) -> grad.Tensor:
            seen.append((x.dtype, grad.is_autocast_enabled()))
            return x * 2

        @staticmethod
        @grad.amp.custom_bwd(device_type="cpu")
        def backward(ctx: Any, g: grad.Tensor) -> grad.Tensor:
            seen.append((g.dtype, grad.is_autocast_enabled()))
            return g * 2

    x = grad.ones(2, 2, requires_grad=True)
    with grad.autocast("cpu"):
        Double.apply(x @ x).sum().backward()
    assert seen == [(grad.float32, False)] * 2


def test_scaler_keeps_small_gradients_and_leaves_out_bad_steps() -> None:
    weight = nn.Parameter(grad.ones(4))
    optimizer = grad.optim.SGD([weight], lr=1.0)
    scaler = grad.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    for factor, scale, moved in ((1e-3, 1024.0, True), (np.inf, 512.0, False), (1e-3, 512.0, True)):
        before = weight.detach().numpy().copy()
        optimizer.zero_grad()
        scaler.scale((weight * factor).sum()).backward()
        scaler.unscale_(optimizer)
        assert weight.grad is not None
        if moved:
            np.testing.assert_allclose(weight.grad.numpy(), 1e-3, rtol=1e-6)
        with pytest.raises(RuntimeError, match="second time"):
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == scale
        assert (weight.detach().numpy() != before).all() == moved
    optimizer.zero_grad()
    scaler.scale((weight * 1e-3).sum()).backward()
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 1024.0  # two good ones in a row
    state = scaler.state_dict()
    other = grad.amp.GradScaler("cpu")
    other.load_state_dict(state)
    assert other.state_dict() == state and state["_growth_tracker"] == 0


def test_a_scaler_that_is_off_does_nothing() -> None:
    scaler = grad.amp.GradScaler("cpu", enabled=False)
    loss = grad.ones(())
    assert scaler.scale(loss) is loss and scaler.get_scale() == 1.0 and scaler.state_dict() == {}


def test_half_precision_losses_are_scaled_in_float32() -> None:
    scaled = grad.amp.GradScaler("cpu").scale(grad.ones((), dtype=grad.float16) * 4)
    assert scaled.item() == 4 * 2.0**16
