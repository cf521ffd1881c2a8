"""LBFGS: steps along an estimate of Newton's direction, made of the last steps and gradients.

Liu, Nocedal, "On the limited memory BFGS method for large scale optimization", 1989. All parameters
are one vector. Each step looks at values many times, so it is not recorded in `grad.compile`; each
kind of computation is one plan, however long the history. Read `step`, then `_direction`;
line_search.py has the line search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from grad.autograd.modes import enable_grad, no_grad
from grad.dtype import DType
from grad.engine.recording import recording
from grad.graph.node import argument
from grad.nn.state import realize_tensors
from grad.ops.registry import REGISTRY
from grad.optim.line_search import Point, strong_wolfe
from grad.optim.numbers import check_not_negative, scalar
from grad.optim.optimizer import Optimizer
from grad.optim.saving import State
from grad.tensor import Tensor

_cat = REGISTRY["cat"]

# A pair of steps and gradients is remembered if it curves upwards by more than this.
_LEAST_CURVATURE = 1e-10


class LBFGS(Optimizer):
    """Minimise a function of all parameters, which `step` evaluates through a closure.

    Args:
        params: parameters, in one group.
        lr: length of a step, as a multiple of the estimated one.
        max_iter: directions tried in one call of `step`.
        max_eval: evaluations in one call (None: ``max_iter * 5 // 4``).
        tolerance_grad: done when no element of the gradient is larger.
        tolerance_change: done when neither the value nor an element changes by more.
        history_size: how many steps are remembered.
        line_search_fn: None or ``"strong_wolfe"``.

    Raises:
        ValueError: a negative rate, or more than one group.

    Example:
        >>> x = Tensor([3.0], requires_grad=True)
        >>> optimizer = LBFGS([x], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = ((x - 1) ** 2).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item()
        4.0
        >>> round(x.item(), 4)
        1.0
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_not_negative(lr=lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Change the parameters until a limit or a tolerance is reached.

        Args:
            closure: clears the gradients, computes the loss and its gradients, returns the loss.

        Returns:
            The first loss.
        """
        if recording.recorder is not None:
            recording.recorder.give_up("LBFGS looks at the loss within its step")
        group = self.param_groups[0]
        lr, most, tolerance = scalar(group["lr"]), group["max_eval"], group["tolerance_change"]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        loss, first_loss, gradient = self._evaluate(closure)
        evaluations = 1
        state["func_evals"] += 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return first_loss
        for number in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = _direction(state, gradient, group["history_size"])
            fresh = state["n_iter"] == 1
            t = min(1.0, 1.0 / gradient.abs().sum().item()) * lr if fresh else lr
            state.update(d=direction, t=t, prev_flat_grad=gradient, prev_loss=loss)
            before, slope = loss, gradient.dot(direction).item()
            if slope > -tolerance:  # the direction leads nowhere
                break
            last = number == group["max_iter"]
            start = Point(0.0, loss, gradient, slope)
            reached, used = self._move(closure, direction, start, t, most - evaluations, last)
            t, loss, gradient, _ = reached
            state["t"] = t
            evaluations += used
            state["func_evals"] += used
            if (
                last
                or evaluations >= most
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(direction) * abs(t) <= tolerance
                or abs(loss - before) < tolerance
            ):
                break
        return first_loss

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[float, Any, Tensor]:
        """The loss as a number and as it is, and the gradient as one vector."""
        with enable_grad():
            loss = closure()
        pieces = [
            Tensor.zeros_like(p) if p._grad is None else p._grad.detach() for p in self._params
        ]
        gradient = _cat([piece.reshape(-1) for piece in pieces])
        # A tensor of its own even if there is one piece: the closure may write to that.
        gradient = gradient.clone()
        realize_tensors([gradient, *([loss] if isinstance(loss, Tensor) else [])])
        return float(loss), loss, gradient

    def _move(
        self,
        closure: Callable[[], Any],
        direction: Tensor,
        start: Point,
        t: float,
        evaluations_left: int,
        last: bool,
    ) -> tuple[Point, int]:
        """Go along the direction, `t` far or as far as a line search says; gives where it led and
        how many evaluations it took.
        """
        origin = [parameter.detach().clone() for parameter in self._params]
        realize_tensors(origin)
        group = self.param_groups[0]
        if group["line_search_fn"] is None:
            self._go_to(origin, direction, t)
            if last:  # nobody will look at the value there
                return start._replace(t=t), 0
            loss, _, gradient = self._evaluate(closure)
            return Point(t, loss, gradient, 0.0), 1

        def evaluate(t: float) -> Point:
            self._go_to(origin, direction, t)
            loss, _, gradient = self._evaluate(closure)
            return Point(t, loss, gradient, gradient.dot(direction).item())

        tolerance = group["tolerance_change"]
        largest = _largest(direction)
        reached, used = strong_wolfe(evaluate, start, t, largest, tolerance, evaluations_left)
        self._go_to(origin, direction, reached.t)
        return reached, used

    def _go_to(self, origin: Sequence[Tensor], direction: Tensor, t: float) -> None:
        """Put the parameters `t` times the direction away from `origin`."""
        distance = _number(t, direction.dtype)
        offset = 0
        for parameter, start in zip(self._params, origin, strict=True):
            piece = direction[offset : offset + parameter.numel()]
            parameter.copy_(start + piece.reshape(parameter.shape) * distance)
            offset += parameter.numel()
        realize_tensors(self._params)


# -- the direction ---------------------------------------------------------------------------------
def _direction(state: State, gradient: Tensor, history_size: int) -> Tensor:
    """Where to go from `gradient`; takes the last step into the history first."""
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return _computed(-gradient)[0]
    _remember(state, gradient, history_size)
    pairs = [*zip(state["old_stps"], state["old_dirs"], state["ro"], strict=True)]
    al = state.setdefault("al", [None] * history_size)
    vector = -gradient
    for number in range(len(pairs) - 1, -1, -1):
        step, change, ro = pairs[number]
        al[number] = step.dot(vector) * ro
        vector = vector - change * al[number]
        al[number], vector = _computed(al[number], vector)
    vector = vector * state["H_diag"]
    for number, (step, change, ro) in enumerate(pairs):
        (vector,) = _computed(vector + step * (al[number] - change.dot(vector) * ro))
    return _computed(vector)[0]


def _remember(state: State, gradient: Tensor, history_size: int) -> None:
    """Add the last step and how it changed the gradient, if the function curves upwards there."""
    change = gradient - state["prev_flat_grad"]
    step = state["d"] * _number(scalar(state["t"]), gradient.dtype)
    curvature = change.dot(step)
    change, step, curvature, inverse, scale = _computed(
        change, step, curvature, 1.0 / curvature, curvature / change.dot(change)
    )
    if not curvature.item() > _LEAST_CURVATURE:
        return
    new = (("old_dirs", change), ("old_stps", step), ("ro", inverse))
    for name, value in new:
        state[name] = [*state[name], value][-history_size:]
    state["H_diag"] = scale


def _computed(*tensors: Tensor) -> tuple[Tensor, ...]:
    realize_tensors(tensors)
    return tensors


def _number(value: float, dtype: DType) -> Tensor:
    """An argument, so that no other value compiles anything."""
    return Tensor._wrap(argument(value, dtype))


def _largest(vector: Tensor) -> float:
    return vector.abs().max().item()
