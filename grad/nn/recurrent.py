"""`RNN`, `LSTM` and `GRU`: recurrent layers over whole sequences.

What they share is `RNNBase` (recurrent_base.py). Cells for loops of one's own are in
`recurrent_cells.py`, packed sequences in `utils/rnn.py`.
"""

from __future__ import annotations

from typing import Any

from grad.dtype import DType
from grad.nn.recurrent_base import RNNBase
from grad.nn.utils.rnn import PackedSequence
from grad.tensor import Tensor


class RNN(RNNBase):
    """Layers of ``h[t] = tanh(x[t] @ W_ih.T + b_ih + h[t-1] @ W_hh.T + b_hh)``.

    Args:
        input_size, hidden_size: numbers of features of the input and of a state.
        num_layers: each takes the outputs of the one below.
        nonlinearity: "tanh" or "relu".
        batch_first: inputs and outputs are ``(batch, steps, size)`` (states are not).
        dropout: probability of dropping an output between layers, while training.
        bidirectional: a second direction from the end, whose outputs are side by side.

    Shape:
        input ``(steps, batch, input_size)``, ``(steps, input_size)`` or a `PackedSequence`; states
        ``(num_layers * directions, batch, hidden_size)``, zero if left out; gives outputs
        ``(steps, batch, directions * hidden_size)`` and the last states.

    Example:
        >>> output, state = RNN(10, 20, 2)(Tensor.zeros((5, 3, 10)))
        >>> output.shape, state.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: DType | None = None,
        **others: Any,
    ) -> None:
        _refuse(others)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        mode = f"RNN_{nonlinearity.upper()}"
        settings = (num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(mode, input_size, hidden_size, *settings, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Any, Tensor]:
        return _one_state(self, input, hx)


class GRU(RNNBase):
    """Layers of gated recurrent units: Cho and others, 2014.

    ``r, z = sigmoid(...)``, ``n = tanh(x W_in + b_in + r * (h W_hn + b_hn))``,
    ``h' = (1 - z) * n + z * h``. Arguments and shapes as `RNN`, without `nonlinearity`.

    Example:
        >>> output, state = GRU(10, 20, batch_first=True)(Tensor.zeros((3, 5, 10)))
        >>> output.shape, state.shape
        (torch.Size([3, 5, 20]), torch.Size([1, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: DType | None = None,
        **others: Any,
    ) -> None:
        _refuse(others)
        settings = (num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__("GRU", input_size, hidden_size, *settings, device=device, dtype=dtype)

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Any, Tensor]:
        return _one_state(self, input, hx)


class LSTM(RNNBase):
    """Layers of long short-term memory: Hochreiter and Schmidhuber, 1997.

    ``i, f, o = sigmoid(...)``, ``g = tanh(...)``, ``c' = f * c + i * g``, ``h' = o * tanh(c')``.
    Arguments and shapes as `RNN`, without `nonlinearity`; states are pairs ``(h, c)``.

    Args:
        proj_size: if positive, ``h`` is projected to so many features by ``weight_hr``.

    Example:
        >>> output, (state, cell) = LSTM(10, 20, 2)(Tensor.zeros((5, 3, 10)))
        >>> output.shape, cell.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        settings = (num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        super().__init__("LSTM", input_size, hidden_size, *settings, device, dtype)

    def forward(
        self, input: Tensor | PackedSequence, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        if hx is not None:
            self._check_ranks(input, "hx and cx", *hx)
        output, (state, cell) = self._run(input, hx)
        return output, (state, cell)


def _one_state(
    module: RNNBase, input: Tensor | PackedSequence, state: Tensor | None
) -> tuple[Any, Tensor]:
    if state is not None:
        module._check_ranks(input, "hx", state)
    output, (last,) = module._run(input, None if state is None else (state,))
    return output, last


def _refuse(others: dict[str, Any]) -> None:
    if "proj_size" in others:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
    if others:
        raise TypeError(f"got an unexpected keyword argument {next(iter(others))!r}")
