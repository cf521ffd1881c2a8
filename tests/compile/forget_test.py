"""Objects that a compiled function was given live as long as others have them, and no longer."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn
from grad.compile import forget
from grad.compile.compiled import MOST_KINDS, Compiled

COUNT = 12


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(3, 2), 1.0

    def forward(self, x: grad.Tensor) -> grad.Tensor:
        return self.layer(x) * self.scale


class Trainer:
    """Has two compiled methods, which both know it."""

    def __init__(self) -> None:
        self.model = Model()
        self.optimizer = grad.optim.SGD(self.model.parameters(), 0.1, momentum=0.9)

    @grad.compile
    def step(self, x: grad.Tensor) -> grad.Tensor:
        self.optimizer.zero_grad()
        loss = self.model(x).sum()
        loss.backward()
        self.optimizer.step()
        return loss

    @grad.compile
    def evaluate(self, x: grad.Tensor) -> grad.Tensor:
        return self.model(x).sum()


class Circle(Trainer):
    """Refers to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.called = self, self.evaluate


def function() -> Callable[..., grad.Tensor]:
    weight = grad.ones(3)
    return lambda x: x * weight


def train(trainer: Trainer) -> None:
    trainer.step(grad.ones(4, 3))
    trainer.evaluate(grad.ones(4, 3))


def given_to_a_function() -> tuple[Any, Any]:
    call = Compiled(lambda model, x: model(x).square())
    return Model, lambda model: call(model, grad.ones(4, 3)).sum().backward()


def given_in_a_list() -> tuple[Any, Any]:
    call = Compiled(lambda models, x: models[0](x) + models[1](x))
    return Model, lambda model: call([model, model], x=grad.ones(4, 3))


def array() -> np.ndarray:
    return np.ones(3, np.float32)


def given_an_array() -> tuple[Any, Any]:
    call = Compiled(lambda array, x: x + grad.tensor(array))
    return array, lambda array: call(array, grad.ones(4, 3))


def given_a_function() -> tuple[Any, Any]:
    call = Compiled(lambda f, x: f(x) + 1)
    return function, lambda f: call(f, grad.ones(4, 3))


USES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "module": given_to_a_function,
    "modules": given_in_a_list,
    "array": given_an_array,
    "function": given_a_function,
    "methods": lambda: (Trainer, train),
    "circle": lambda: (Circle, train),
}


@pytest.mark.parametrize("name", USES)
def test_objects_go_when_nobody_has_them(name: str) -> None:
    make, use = USES[name]()
    objects = [make() for _ in range(COUNT)]
    for _ in range(4):
        for it in objects:
            use(it)
    alive = [weakref.ref(it) for it in objects]
    gc.collect()
    assert all(ref() is not None for ref in alive)
    del objects[2:], it
    gc.collect()
    assert [ref() is not None for ref in alive] == [True] * 2 + [False] * (COUNT - 2)


@pytest.mark.parametrize("name", [name for name in USES if name != "circle"])
def test_objects_go_when_others_come(name: str) -> None:
    """Also where nobody collects."""
    make, use = USES[name]()
    gc.collect()
    gc.disable()
    try:
        alive = []
        for _ in range(COUNT):
            it = make()
            alive.append(weakref.ref(it))
            for _ in range(3):
                use(it)
        assert sum(ref() is not None for ref in alive) <= 3
    finally:
        gc.enable()


def test_what_is_known_stays_while_somebody_has_the_object() -> None:
    call = Compiled(lambda model, x: model(x))
    models = [Model() for _ in range(COUNT)]
    for _ in range(4):
        for model in models:
            found = call(model, x := grad.randn(2, 3))
            np.testing.assert_allclose(found.detach(), model(x).detach(), rtol=1e-6)
        gc.collect()
    assert call.recordings == len(call._entries) == COUNT


def test_another_object_with_the_same_identity() -> None:
    """A dropped entry is not found by whoever gets the object's place in memory."""
    call = Compiled(lambda scale, x: x * scale.number)

    class Scale:
        def __init__(self, number: float) -> None:
            self.number = number

    identities = set()
    for number in range(40):
        scale = Scale(float(number))
        identities.add(id(scale))
        for _ in range(3):
            assert call(scale, grad.ones(2)).tolist() == [number, number]
        del scale
        gc.collect()
    assert len(identities) < 40 and not call._entries


def test_functions_that_lose_hope_keep_nothing() -> None:
    call = Compiled(lambda model, x: print(open, model.scale) or model(x))
    model = Model()
    call(model, grad.ones(2, 3))
    with pytest.warns(UserWarning, match="runs uncompiled from now on"):
        call(model, grad.ones(2, 3))
    assert not call._entries


def test_a_new_object_at_each_call_is_warned_of() -> None:
    call = Compiled(lambda f, x: f(x))
    x = grad.ones(1)
    with pytest.warns(UserWarning, match=f"{MOST_KINDS} kinds of arguments"):
        for _ in range(MOST_KINDS + 1):
            call(lambda x: x, x)
    assert len(call._entries) < MOST_KINDS / 2


def test_objects_go_while_threads_call() -> None:
    call = Compiled(lambda model, x: model(x))
    wrong: list[Any] = []

    def work(seed: int) -> None:
        x = grad.full((2, 3), float(seed))
        for _ in range(8):
            model = Model()
            expected = model(x).tolist()
            for _ in range(4):
                found = call(model, x).tolist()
                if not np.allclose(found, expected, rtol=1e-5):
                    wrong.append((found, expected))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    gc.collect()
    assert not call._entries


class Thing:
    """Refers to whatever it is told to."""


def test_references_are_counted_where_they_come_from() -> None:
    first, second, third = Thing(), Thing(), Thing()
    first.other, second.other, third.other = second, first, None  # type: ignore[attr-defined]
    alive = [weakref.ref(it) for it in (first, second, third)]
    holders = [first, [second]], (third,)

    def lost() -> list[int]:
        objects = [ref() for ref in alive]
        forget.keep_lost(objects, holders)
        return [*map(alive.index, map(weakref.ref, objects))]

    assert lost() == []
    del first
    assert lost() == [], "the second still leads to the first"
    del second
    assert lost() == [0, 1]
    del third
    assert lost() == [0, 1, 2]
