"""`RNNCell`, `LSTMCell` and `GRUCell`: one step of a recurrent layer, for loops of one's own."""

from __future__ import annotations

import math
from typing import Any

from grad.autograd.rebuilt import rebuilt
from grad.dtype import DType
from grad.graph.recurrence import GATES
from grad.nn import init
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.nn.recurrence import Weights, direction
from grad.tensor import Tensor


class RNNCellBase(Module):
    """What the cells have in common: parameters, and how they start."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(Tensor.empty((rows, input_size), dtype=dtype))
        self.weight_hh = Parameter(Tensor.empty((rows, hidden_size), dtype=dtype))
        self.bias_ih = Parameter(Tensor.empty((rows,), dtype=dtype)) if bias else None
        self.bias_hh = Parameter(Tensor.empty((rows,), dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters from ``U(-k, k)``, ``k = 1 / sqrt(hidden_size)``."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else f"{text}, bias={self.bias}"

    def _stepped(
        self, kind: str, input: Tensor, state: Tensor | None, cell: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """State and cell after a step, of inputs that were checked."""
        single = len(input.shape) == 1
        rows = input.unsqueeze(0) if single else input
        if state is None:
            state = Tensor.zeros((rows.shape[0], self.hidden_size), dtype=input.dtype)
            cell = state if kind == "lstm" else None
        elif single:
            state, cell = state.unsqueeze(0), None if cell is None else cell.unsqueeze(0)
        self._check_sizes(rows, state, cell)
        parameters = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        found = _step(kind, rows, state, cell, *parameters)
        after, cell = found if len(found) == 2 else (found[0], None)
        if single:
            return after.squeeze(0), None if cell is None else cell.squeeze(0)
        return after, cell

    def _check_rank(self, name: str, tensor: Tensor) -> None:
        if len(tensor.shape) not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected {name} to be 1D or 2D, got {len(tensor.shape)}D "
                "instead"
            )

    def _check_sizes(self, rows: Tensor, *states: Tensor | None) -> None:
        if rows.shape[1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {rows.shape[1]} expected {self.input_size}"
            )
        for number, state in enumerate(states):
            if state is None:
                continue
            if state.shape[0] != rows.shape[0]:
                raise RuntimeError(
                    f"Input batch size {rows.shape[0]} doesn't match hidden{number} batch size "
                    f"{state.shape[0]}"
                )
            if state.shape[1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden{number} has inconsistent hidden_size: got {state.shape[1]}, expected "
                    f"{self.hidden_size}"
                )


@rebuilt
def _step(
    kind: str,
    rows: Tensor,
    state: Tensor,
    cell: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
) -> tuple[Tensor, ...]:
    """State, and cell of a lstm, after one step."""
    weights = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    _, after, cell = direction(kind, weights, rows, state, cell, False, None)
    return (after,) if cell is None else (after, cell)


class RNNCell(RNNCellBase):
    """``h' = tanh(x @ W_ih.T + b_ih + h @ W_hh.T + b_hh)``, or ``relu`` as `nonlinearity`.

    Shape:
        input ``(batch, input_size)`` or ``(input_size,)``, state and result
        ``(batch, hidden_size)`` or ``(hidden_size,)``; a state that is left out is zero.

    Example:
        >>> RNNCell(10, 20)(Tensor.zeros((3, 10))).shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check_rank("input", input)
        if hx is not None:
            self._check_rank("hidden", hx)
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._stepped(self.nonlinearity, input, hx, None)[0]

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if self.nonlinearity != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class LSTMCell(RNNCellBase):
    """One step of a `LSTM`, from state and cell to state and cell.

    Shape:
        input ``(batch, input_size)`` or ``(input_size,)``; state, cell and results
        ``(batch, hidden_size)`` or ``(hidden_size,)``; both are zero if left out.

    Example:
        >>> state, cell = LSTMCell(10, 20)(Tensor.zeros((3, 10)))
        >>> cell.shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, GATES["lstm"], device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        self._check_rank("input", input)
        for number, value in enumerate(hx or ()):
            self._check_rank(f"hx[{number}]", value)
        state, cell = self._stepped("lstm", input, *(hx or (None, None)))
        assert cell is not None
        return state, cell


class GRUCell(RNNCellBase):
    """One step of a `GRU`.

    Shape:
        input ``(batch, input_size)`` or ``(input_size,)``, state and result
        ``(batch, hidden_size)`` or ``(hidden_size,)``; a state that is left out is zero.

    Example:
        >>> GRUCell(10, 20)(Tensor.zeros((3, 10))).shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, GATES["gru"], device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check_rank("input", input)
        if hx is not None:
            self._check_rank("hx", hx)
        return self._stepped("gru", input, hx, None)[0]
