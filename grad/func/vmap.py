"""`vmap`: a function of single items becomes one of batches.

Here are the arguments as users give them: which axes are mapped over, where the new axis goes, in
how many chunks. What is done with them is in mapping.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from grad.autograd.variable import Variable
from grad.errors import ArgumentError, AxisError
from grad.func.mapping import Mapping, mapping_over
from grad.func.standing import StandIns
from grad.func.tree import Structure, flatten, mapped, spread, unflatten
from grad.ops.join import Cat

RANDOMNESS = ("error", "different", "same")


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """`func` of single items as a function of batches, as ``torch.func.vmap``.

    The function is run once, and what it computes is rebuilt for all items: there is no loop over
    the batch. Gradients go through it and may be taken inside of it, maps may be nested, and
    `grad.compile` sees ordinary operations. The function cannot look at values (``.item()``,
    ``if x > 0``), which would be another one for each item.

    Args:
        func: takes and returns tensors, in any nested containers.
        in_dims: which axis of each argument is mapped over; None: the argument is the same for all
            items. An int, or a structure like that of the arguments (or its upper part).
        out_dims: where the new axis goes in each result.
        randomness: "same" random numbers for each item, "different" ones, or an "error".
        chunk_size: the batch is computed in chunks of at most so many items.

    Returns:
        A function of the same arguments; keyword arguments are not mapped over.

    Raises:
        ValueError: when called, if dims do not fit the arguments or results.
        RuntimeError: the function asks for a value, or draws random numbers under "error".

    Example:
        >>> import grad
        >>> rows = grad.arange(6.0).reshape(2, 3)
        >>> grad.vmap(grad.dot)(rows, rows)
        tensor([ 5., 50.])
    """
    if randomness not in RANDOMNESS:
        raise ArgumentError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. "
            f"Got {randomness}"
        )
    if chunk_size is not None and chunk_size <= 0:
        raise ArgumentError(f"vmap: chunk_size should be None or > 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call = _Call(func, name_of(func), in_dims, out_dims)
        return call.run(args, kwargs, randomness, chunk_size)

    return wrapped


def name_of(func: Callable[..., Any]) -> str:
    """What messages call a function."""
    if isinstance(func, functools.partial):
        return f"functools.partial({name_of(func.func)}, ...)"
    return getattr(func, "__name__", None) or repr(func)


class _Call(NamedTuple):
    """A function with the dims that its user gave."""

    func: Callable[..., Any]
    name: str
    in_dims: Any
    out_dims: Any

    def run(
        self, args: tuple[Any, ...], kwargs: Any, randomness: str, chunk_size: int | None
    ) -> Any:
        mapped(self._require_int, self.out_dims)
        leaves, structure = flatten(args)
        dims = self._axes(args, leaves, structure)
        batch = [(x, axis) for x, axis in zip(leaves, dims) if axis is not None]
        sizes = [x.shape[axis] for x, axis in batch]
        if not sizes:
            raise ArgumentError("vmap: Expected at least one Tensor to vmap over")
        if any(size != sizes[0] for size in sizes):
            raise ArgumentError(
                f"vmap: Expected all tensors to have the same size in the mapped dimension, got "
                f"sizes {sizes} for the mapped dimension"
            )
        tensors = [x.movedim(axis, 0) for x, axis in batch]
        mapping = mapping_over(sizes[0], tensors, randomness)
        recorder = StandIns([pair.stand_in for pair in mapping.pairs])
        given = iter([pair.stand_in for pair in mapping.pairs])
        inputs = [x if axis is None else next(given) for x, axis in zip(leaves, dims)]
        with mapping.tracing(recorder):
            result = self.func(*unflatten(inputs, structure), **kwargs)
        outputs, shape = flatten(result)
        places = self._places(result, shape)
        self._check_outputs(outputs, places, recorder)
        return unflatten(self._batched(mapping, recorder, outputs, places, chunk_size), shape)

    def _batched(
        self,
        mapping: Mapping,
        recorder: StandIns,
        outputs: Sequence[Any],
        places: Sequence[int | None],
        chunk_size: int | None,
    ) -> list[Any]:
        """The outputs for all items, the new axis in its place; writes what was written to
        arguments.
        """
        chosen = [x for x, place in zip(outputs, places) if place is not None]
        written = [p for p in mapping.pairs if p.stand_in._storage.version]
        chosen += [pair.stand_in for pair in written]
        parts = [
            part.batched(chosen, part.pairs, recorder, {})
            for part in mapping.chunks(chunk_size or max(mapping.size, 1))
        ]
        found = [Cat.forward(x) if len(parts) > 1 else x[0] for x in zip(*parts)]
        for pair in reversed(written):
            pair.tensor.copy_(found.pop())
        results = iter(found)
        return [
            x if place is None else next(results).movedim(0, place)
            for x, place in zip(outputs, places)
        ]

    # -- checks ------------------------------------------------------------------------------------
    def _axes(
        self, args: tuple[Any, ...], leaves: Sequence[Any], structure: Structure
    ) -> list[int | None]:
        """For each leaf of the arguments the axis that is mapped over, counted from the front."""
        in_dims = self.in_dims
        start = f"vmap({self.name}, in_dims={in_dims}, ...)(<inputs>): "
        if not isinstance(in_dims, int | tuple):
            raise ArgumentError(
                f"{start}expected `in_dims` to be int or a (potentially nested) tuple matching the "
                f"structure of inputs, got: {type(in_dims)}."
            )
        if not args:
            raise ArgumentError(
                f"vmap({self.name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or "
                f"you are trying to vmap over a function with no inputs. The latter is unsupported."
            )
        dims = spread(in_dims, structure)
        if dims is None:
            raise ArgumentError(
                f"{start}in_dims is not compatible with the structure of `inputs`. in_dims has "
                f"structure {flatten(in_dims)[1]} but inputs has structure {structure}."
            )
        for number, (x, axis) in enumerate(zip(leaves, dims)):
            if axis is None:
                continue
            if not isinstance(axis, int):
                raise ArgumentError(
                    f"{start}Got in_dim={axis} for an input but in_dim must be either an integer "
                    f"dimension or None."
                )
            if not isinstance(x, Variable):
                raise ArgumentError(
                    f"{start}Got in_dim={axis} for an input but the input is of type {type(x)}. We "
                    f"cannot vmap over non-Tensor arguments, please use None as the respective "
                    f"in_dim"
                )
            rank = len(x.shape)
            if not -rank <= axis < rank:
                raise ArgumentError(
                    f"{start}Got in_dim={axis} for some input, but that input is a Tensor of "
                    f"dimensionality {rank} so expected in_dim to satisfy -{rank} <= in_dim < "
                    f"{rank}."
                )
            dims[number] = axis % rank
        return dims

    def _require_int(self, out_dim: Any) -> None:
        if out_dim is not None and not isinstance(out_dim, int):
            raise ArgumentError(
                f"vmap({self.name}, ..., out_dims={self.out_dims}): `out_dims` must be an int, "
                f"None or a python collection of ints representing where in the outputs the "
                f"vmapped dimension should appear."
            )

    def _places(self, result: Any, structure: Structure) -> list[int | None]:
        """For each leaf of the result the place of the new axis."""
        out_dims = self.out_dims
        if isinstance(result, Variable) and isinstance(out_dims, tuple) and len(out_dims) == 1:
            return list(out_dims)
        places = spread(out_dims, structure)
        if places is None:
            self._incompatible(structure)
        return places

    def _incompatible(self, structure: Structure) -> NoReturn:
        raise ArgumentError(
            f"vmap({self.name}, ..., out_dims={self.out_dims})(<inputs>): out_dims is not "
            f"compatible with the structure of `outputs`. out_dims has structure "
            f"{flatten(self.out_dims)[1]} but outputs has structure {structure}."
        )

    def _check_outputs(
        self, outputs: Sequence[Any], places: Sequence[int | None], recorder: StandIns
    ) -> None:
        for x, place in zip(outputs, places):
            is_tensor = isinstance(x, Variable)
            if place is None and is_tensor and recorder.depends(x.node):
                raise ArgumentError(
                    f"vmap({self.name}, ...): `{self.name}` can not return a BatchedTensor when "
                    f"out_dim is None"
                )
            if place is not None and not is_tensor:
                raise ArgumentError(
                    f"vmap({self.name}, ...): `{self.name}` must only return Tensors, got type "
                    f"{type(x)}. Did you mean to set out_dims= to None for output?"
                )
            if place is not None and not -len(x.shape) - 1 <= place <= len(x.shape):
                raise AxisError(
                    f"vmap({self.name}, ...): Dimension out of range (expected to be in range of "
                    f"[{-len(x.shape) - 1}, {len(x.shape)}], but got {place})"
                )
