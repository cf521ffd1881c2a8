"""`RNNBase`: what recurrent layers have in common.

It holds the parameters, checks what it is given, and brings inputs (padded, packed, one sequence
without a batch) into the form that `recurrence.py` computes. `recurrent.py` has the layers.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from grad.autograd.modes import mode
from grad.dtype import DType
from grad.graph.recurrence import GATES
from grad.nn import init
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.nn.recurrence import Weights, layers
from grad.nn.utils.rnn import PackedSequence
from grad.tensor import Tensor

_KINDS = {"RNN_TANH": "tanh", "RNN_RELU": "relu", "LSTM": "lstm", "GRU": "gru"}
# Settings that `repr` shows when they differ from these.
_DEFAULTS = {
    "proj_size": 0,
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
}


class RNNBase(Module):
    """What recurrent layers have in common.

    Parameters are named ``weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0`` by the
    number of the layer, with ``_reverse`` behind for the direction that runs backwards.
    """

    def __init__(
        self,
        mode: str,
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
        super().__init__()
        _check_settings(mode, input_size, hidden_size, num_layers, bias, batch_first)
        _check_dropout(dropout, num_layers)
        if proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        self.mode = mode
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        names = ["weight_ih", "weight_hh"]
        names += ["bias_ih", "bias_hh"] * bias + ["weight_hr"] * (proj_size > 0)
        endings = ["", "_reverse"] if bidirectional else [""]
        self._all_weights = [
            [f"{name}_l{layer}{ending}" for name in names]
            for layer in range(num_layers)
            for ending in endings
        ]
        for place, group in enumerate(self._all_weights):
            shapes = self._shapes(place // len(endings))
            for name, full in zip(names, group, strict=True):
                self.register_parameter(full, Parameter(Tensor.empty(shapes[name], dtype=dtype)))
        self.reset_parameters()

    def _shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters of a layer."""
        rows = GATES[_KINDS[self.mode]] * self.hidden_size
        state = self._state_size
        size = self.input_size if layer == 0 else state * (1 + self.bidirectional)
        return {
            "weight_ih": (rows, size),
            "weight_hh": (rows, state),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
            "weight_hr": (self.proj_size, self.hidden_size),
        }

    @property
    def _state_size(self) -> int:
        return self.proj_size or self.hidden_size

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for group in self._all_weights for name in group]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each direction of each layer."""
        return [[getattr(self, name) for name in group] for group in self._all_weights]

    def flatten_parameters(self) -> None:
        """Nothing: the parameters need not lie side by side."""

    def reset_parameters(self) -> None:
        """Draw all parameters from ``U(-k, k)``, ``k = 1 / sqrt(hidden_size)``."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        changed = [
            f"{name}={getattr(self, name)}"
            for name, usual in _DEFAULTS.items()
            if getattr(self, name) != usual
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])

    def _weights(self) -> list[list[Weights]]:
        """The parameters by layer and direction."""
        own = self._parameters
        directions = 1 + self.bidirectional
        groups = []
        for names in self._all_weights:
            weight_ih, weight_hh, *rest = (self._of(own, name) for name in names)
            biases = rest[:2] if self.bias else (None, None)
            groups.append(Weights(weight_ih, weight_hh, *biases, *rest[2 * self.bias :]))
        return [groups[i : i + directions] for i in range(0, len(groups), directions)]

    def _of(self, own: dict[str, Any], name: str) -> Any:
        # Whatever took a parameter's place (weight normalization) is an attribute.
        found = own.get(name)
        return getattr(self, name) if found is None else found

    # -- running ---------------------------------------------------------------------------------
    def _run(
        self, input: Tensor | PackedSequence, states: tuple[Tensor, ...] | None
    ) -> tuple[Any, list[Tensor]]:
        """Outputs in the form of the input, and the last states."""
        packed = input if isinstance(input, PackedSequence) else None
        rows = None if packed is None else packed.rows()
        data: Tensor = input.data if isinstance(input, PackedSequence) else input
        self._check_input(data, packed is not None)
        single = packed is None and len(data.shape) == 2
        if single:
            data = data.unsqueeze(1)
        elif packed is None and self.batch_first:
            data = data.transpose(0, 1)
        batch = data.shape[1] if rows is None else rows[0]
        started = self._started(states, batch, single, packed, data)
        found = layers(
            _KINDS[self.mode],
            self._weights(),
            data,
            *started,
            rows,
            self.dropout if self.training else 0.0,
        )
        output = found.output
        ends = [end for end in (found.state, found.cell) if end is not None]
        if packed is not None:
            if packed.unsorted_indices is not None:
                ends = [end.index_select(1, packed.unsorted_indices) for end in ends]
            return packed.with_data(output), ends
        if single:
            return output.squeeze(1), [end.squeeze(1) for end in ends]
        return (output.transpose(0, 1) if self.batch_first else output), ends

    def _started(
        self,
        states: tuple[Tensor, ...] | None,
        batch: int,
        single: bool,
        packed: PackedSequence | None,
        data: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """State and cell to start from, ``(layers * directions, batch, ...)``."""
        count = self.num_layers * (1 + self.bidirectional)
        sizes = (self._state_size, self.hidden_size)[: 2 if self.mode == "LSTM" else 1]
        if states is None:
            zeros = [Tensor.zeros((count, batch, size), dtype=data.dtype) for size in sizes]
            return zeros[0], zeros[1] if len(zeros) > 1 else None
        if single:
            states = tuple(state.unsqueeze(1) for state in states)
        elif packed is not None and packed.sorted_indices is not None:
            states = tuple(state.index_select(1, packed.sorted_indices) for state in states)
        for number, (state, size) in enumerate(zip(states, sizes, strict=True)):
            expected = (count, batch, size)
            if tuple(state.shape) != expected:
                name = f"hidden[{number}]" if len(sizes) > 1 else "hidden"
                raise RuntimeError(f"Expected {name} size {expected}, got {list(state.shape)}")
        return states[0], states[1] if len(states) > 1 else None

    def _check_input(self, data: Tensor, packed: bool) -> None:
        if not packed and len(data.shape) not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {len(data.shape)}D "
                "instead"
            )
        dtype = self._of(self._parameters, self._all_weights[0][0]).dtype
        if data.dtype is not dtype and mode.autocast is None:
            raise ValueError(
                f"RNN input dtype ({data.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({data.dtype})"
            )
        if data.shape[-1] != self.input_size:
            raise RuntimeError(
                "input.size(-1) must be equal to input_size. "
                f"Expected {self.input_size}, got {data.shape[-1]}"
            )
        steps = 1 if self.batch_first and len(data.shape) == 3 else 0
        if not data.shape[steps]:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")

    def _check_ranks(self, input: Any, named: str, *states: Tensor) -> None:
        """Whether states have a batch if the input has one."""
        ranks = [len(state.shape) for state in states]
        wanted = 3 if isinstance(input, PackedSequence) else len(input.shape)
        if all(rank == wanted for rank in ranks) or wanted not in (2, 3):
            return
        kind = "unbatched" if wanted == 2 else "batched"
        given = (
            f"{ranks[0]}-D tensor" if len(ranks) == 1 else f"({ranks[0]}-D, {ranks[1]}-D) tensors"
        )
        raise RuntimeError(
            f"For {kind} {wanted}-D input, {named} should also be {wanted}-D but got {given}"
        )


def _check_settings(mode: str, input_size: Any, hidden_size: Any, count: Any, *flags: Any) -> None:
    if mode not in _KINDS:
        raise ValueError("Unrecognized RNN mode: " + mode)
    for name, flag in zip(("bias", "batch_first"), flags, strict=True):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")
    sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": count}
    for name, size in sizes.items():
        if not isinstance(size, int):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero")


def _check_dropout(dropout: Any, num_layers: int) -> None:
    number = isinstance(dropout, int | float) and not isinstance(dropout, bool)
    if not number or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element "
            "being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=4,
        )
