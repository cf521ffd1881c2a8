"""Random graphs whose values are exact: whole numbers so small that no element type rounds them.

Order of summation, fused multiply-adds and the width of vectors can't change such values, so every
compiled result must be the oracle's to the bit, on every backend, CPU level and thread count.
`ExactGrower` grows a graph and its oracle values together and drops a value that would round.
`exact_graphs_test.py` compares.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from grad.buffer import Buffer
from grad.dtype import ALL_DTYPES, DType, as_dtype, dtypes
from grad.graph import node as graph
from grad.graph.evaluate import evaluate_node
from grad.graph.movement import Move, contiguous_strides, moved_shape
from grad.graph.node import Node
from grad.graph.primitives import (
    ABS,
    ADD,
    AND,
    BITCAST,
    BUFFER,
    CEIL,
    CONTRACT,
    EQ,
    FLOOR,
    FLOORDIV,
    FMOD,
    INVERT,
    LE,
    LT,
    MAX,
    MAXIMUM,
    MIN,
    MINIMUM,
    MOD,
    MUL,
    NE,
    NEG,
    OR,
    PERMUTE,
    PROD,
    ROUND,
    SCAN,
    SCATTER,
    SHL,
    SHR,
    SLICE,
    SUB,
    SUM,
    TRUNC,
    WHERE,
    XOR,
    Primitive,
)  # fmt: skip

# Whole numbers up to these are exact in the floating types.
EXACT_LIMIT = {
    dtypes.float16: 2**11,
    dtypes.bfloat16: 2**8,
    dtypes.float32: 2**24,
    dtypes.float64: 2**53,
}
MAX_ELEMENTS = 40000
ANY = (NEG, ABS)
FLOATS = (FLOOR, CEIL, ROUND, TRUNC)
ARITHMETIC = (ADD, SUB, MUL, MAXIMUM, MINIMUM)
COMPARISONS = (EQ, NE, LT, LE)
BITS = (AND, OR, XOR)


def leaf(array: np.ndarray) -> Node:
    """A node that holds a copy of `array`."""
    array = np.array(array, order="C")
    node = graph.from_buffer(Buffer(array.nbytes), array.shape, as_dtype(array.dtype))
    values_of(node)[...] = array
    return node


def values_of(node: Node) -> np.ndarray:
    """The values of a computed node."""
    assert node.buffer is not None
    dtype = node.dtype.numpy
    strides = tuple(stride * dtype.itemsize for stride in contiguous_strides(node.shape))
    return node.buffer.numpy(dtype, node.shape, strides, 0)


class ExactGrower:
    """Grows a graph of all element types.

    Attributes:
        nodes: every value so far. oracle: their values by NumPy, node by node.
    """

    def __init__(self, seed: int, sizes: tuple[int, ...] = (1, 1, 2, 3, 5, 7, 16, 33)) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.sizes = sizes
        self.nodes: list[Node] = []
        self.oracle: dict[Node, np.ndarray] = {}
        for _ in range(3):
            self.keep(self.new_leaf(self.shape(), self.dtype()))

    def grow(self, count: int) -> None:
        """Take random steps until there are `count` values."""
        actions: list[Callable[[], Node | None]] = [
            self.unary, self.binary, self.binary, self.binary, self.where, self.cast, self.cast,
            self.bitcast, self.reduce, self.reduce, self.reduce, self.rows, self.rows, self.permute,
            self.reshape, self.reshape, self.expand, self.cut, self.cut, self.pad, self.contract,
            self.epilogue, self.take, self.scatter, self.update, self.scan, self.iota,
            self.contiguous, self.strided, self.argument,
        ]  # fmt: skip
        attempts = 0
        while len(self.nodes) < count and attempts < 40 * count:
            attempts += 1
            made = self.random.choice(actions)()
            if made is not None:
                self.keep(made)

    # -- keeping -----------------------------------------------------------------------------------
    def keep(self, node: Node) -> bool:
        """Add `node` and everything new below it, unless a value would be rounded or too large."""
        fresh: dict[Node, np.ndarray] = {}
        stack = [node]
        while stack:
            found = stack[-1]
            missing = [s for s in found.src if s not in self.oracle and s not in fresh]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if found in self.oracle or found in fresh:
                continue
            if found.size > MAX_ELEMENTS:
                return False
            sources = [fresh[s] if s in fresh else self.oracle[s] for s in found.src]
            if not self.is_exact(found, sources):
                return False
            with np.errstate(all="ignore"):
                value = evaluate_node(found, sources)
            if not self.fits(value, found.dtype):
                return False
            fresh[found] = np.array(value) if found.op is BUFFER else value
        self.oracle.update(fresh)
        self.nodes.append(node)
        return True

    def fits(self, value: np.ndarray, dtype: DType) -> bool:
        """Whether all floats are whole numbers in range (infinities and NaN are exact too)."""
        if dtype.kind != "f":
            return True
        wide = value.astype(np.float64)
        wide = wide[np.isfinite(wide)]
        return bool(np.all((wide == np.rint(wide)) & (np.abs(wide) <= EXACT_LIMIT[dtype])))

    def is_exact(self, node: Node, sources: list[np.ndarray]) -> bool:
        """Whether sums and products stay in range all along the way, whatever the order."""
        dtype = node.dtype
        if dtype.kind != "f":
            return True
        if node.op in (SUM, PROD, CONTRACT, SCAN, SCATTER):
            wide = [np.abs(s.astype(np.float64)) for s in sources if s.dtype == dtype.numpy]
            with np.errstate(all="ignore"):
                wide = [w for w in wide if w.size]
                if any(not np.all(np.isfinite(w)) for w in wide):
                    return False
                largest = [float(w.max()) for w in wide]
                if node.op is CONTRACT:
                    bound = float(np.prod(largest)) * node.src[0].shape[-1]
                elif node.op is PROD or (node.op is SCAN and node.arg[0] is MUL):
                    bound = float(np.prod(np.maximum(wide[0], 1))) if wide else 0.0
                elif node.op is SCATTER and node.arg[0] == "prod":
                    bound = (
                        float(np.prod(np.maximum(wide[1], 1))) * largest[0]
                        if len(wide) > 1
                        else 0.0
                    )
                else:
                    bound = sum(float(w.sum()) for w in wide)
            return bound <= EXACT_LIMIT[dtype]
        return True

    # -- leaves ------------------------------------------------------------------------------------
    def shape(self) -> tuple[int, ...]:
        sizes = [self.random.choice(self.sizes) for _ in range(self.random.randint(0, 4))]
        while math.prod(sizes) > MAX_ELEMENTS:
            sizes.pop()
        return tuple(sizes)

    def dtype(self) -> DType:
        if self.random.random() < 0.4:
            return dtypes.float32
        return self.random.choice(ALL_DTYPES)

    def array(self, shape: tuple[int, ...], dtype: DType) -> np.ndarray:
        if dtype.kind == "b":
            return self.numbers.random(shape) < 0.5
        low = 0 if dtype.kind == "u" else -3
        return np.asarray(self.numbers.integers(low, 4, shape)).astype(dtype.numpy)

    def new_leaf(self, shape: tuple[int, ...], dtype: DType) -> Node:
        return leaf(self.array(shape, dtype))

    def pick(self) -> Node:
        return self.random.choice(self.nodes[-8:])

    def argument(self) -> Node:
        x = self.pick()
        value = self.array((), x.dtype)[()]
        value = (
            bool(value)
            if x.dtype.kind == "b"
            else float(value)
            if x.dtype.kind == "f"
            else int(value)
        )
        make = self.random.choice([graph.argument, graph.constant])
        return graph.pointwise(MAXIMUM, make(value, x.dtype), x)

    # -- pointwise ---------------------------------------------------------------------------------
    def partner(self, x: Node) -> Node:
        """A value that broadcasts with `x`, of its element type."""
        way = self.random.random()
        if way < 0.15:
            value = self.random.choice([0, 1, 2])
            return graph.constant(bool(value) if x.dtype.kind == "b" else value, x.dtype)
        if way < 0.4:
            kept = tuple(s if self.random.random() < 0.5 else 1 for s in x.shape)
            return self.new_leaf(kept[self.random.randint(0, len(kept)) :], x.dtype)
        fitting = [n for n in self.nodes if n.shape == x.shape]
        found = self.random.choice(fitting)
        return graph.cast(found, x.dtype)

    def unary(self) -> Node:
        x = self.pick()
        kind = x.dtype.kind
        if kind == "b":
            return graph.pointwise(INVERT, x)
        choices = ANY + (FLOATS if kind == "f" else (INVERT,))
        return graph.pointwise(self.random.choice(choices), x)

    def binary(self) -> Node:
        x = self.pick()
        y = self.partner(x)
        if self.random.random() < 0.3:
            x, y = y, x
        kind = x.dtype.kind
        choices: list[Primitive] = [*ARITHMETIC, *ARITHMETIC, *COMPARISONS]
        if kind == "b":
            choices = [ADD, MUL, MAXIMUM, MINIMUM, *COMPARISONS, *BITS]
        elif kind == "f":
            choices += [MOD, FMOD, FLOORDIV]
        else:
            choices += [*BITS, MOD, FMOD, FLOORDIV]
        op = self.random.choice(choices)
        if op in (MOD, FMOD, FLOORDIV):  # never by zero: that has tests of its own
            one = graph.constant(1, x.dtype)
            y = graph.pointwise(MAXIMUM, graph.pointwise(ABS, y), one)
            if kind == "i":  # the smallest number has no absolute value
                y = graph.pointwise(MAXIMUM, y, one)
        return graph.pointwise(op, x, y)

    def shift(self) -> Node | None:
        x = self.pick()
        if x.dtype.kind not in "iu":
            return None
        amount = graph.constant(self.random.randint(0, 3), x.dtype)
        return graph.pointwise(self.random.choice([SHL, SHR]), x, amount)

    def where(self) -> Node:
        x = self.pick()
        y = self.partner(x)
        condition = graph.pointwise(self.random.choice(COMPARISONS), x, self.partner(x))
        return graph.pointwise(WHERE, condition, x, y)

    def cast(self) -> Node:
        return graph.cast(self.pick(), self.dtype())

    def bitcast(self) -> Node | None:
        x = self.pick()
        if x.dtype.kind in "bf":
            return None
        same = [d for d in ALL_DTYPES if d.itemsize == x.dtype.itemsize and d.kind in "iu"]
        return Node(BITCAST, (x,), None, x.shape, self.random.choice(same))

    def iota(self) -> Node | None:
        x = self.pick()
        if not x.shape or x.dtype.kind == "b":
            return None
        return graph.pointwise(ADD, x, graph.cast(graph.iota(x.shape[-1]), x.dtype))

    def contiguous(self) -> Node:
        return graph.contiguous(self.pick())

    # -- reductions --------------------------------------------------------------------------------
    def axes(self, x: Node) -> list[int]:
        return [a for a in range(len(x.shape)) if self.random.random() < 0.5]

    def reduce(self) -> Node | None:
        x = self.pick()
        axes = self.axes(x)
        op = self.random.choice([SUM, SUM, PROD, MAX, MIN])
        if op in (MAX, MIN) and any(x.shape[a] == 0 for a in axes):
            return None
        return graph.reduce(op, x, axes)

    def rows(self) -> Node | None:
        """What softmax and layer norm look like: several reductions over the same rows."""
        x = self.pick()
        if not x.shape or 0 in x.shape:
            return None
        if self.random.random() < 0.5:
            axes = [self.random.randrange(len(x.shape))]
        else:
            axes = self.axes(x) or [len(x.shape) - 1]
        kept = tuple(1 if a in axes else s for a, s in enumerate(x.shape))
        value = x
        for _ in range(self.random.randint(1, 3)):
            op = self.random.choice([SUM, MAX, MIN])
            reduced = graph.reduce(op, value, axes)
            if self.random.random() < 0.3 and self.keep(reduced):
                pass
            step = ADD if x.dtype.kind == "b" else self.random.choice([SUB, MAXIMUM, ADD])
            value = graph.pointwise(step, x, graph.reshape(reduced, kept))
        if self.random.random() < 0.4:
            return graph.reduce(self.random.choice([SUM, MAX]), value, self.axes(value))
        return value

    def scan(self) -> Node | None:
        x = self.pick()
        if not x.shape:
            return None
        op = self.random.choice([ADD, MUL, MAXIMUM, MINIMUM])
        return graph.scan(op, x, self.random.randrange(len(x.shape)))

    # -- movement ----------------------------------------------------------------------------------
    def permute(self) -> Node:
        x = self.pick()
        return graph.permute(x, self.random.sample(range(len(x.shape)), len(x.shape)))

    def reshape(self) -> Node:
        x = self.pick()
        left, sizes = x.size, []
        if left == 0:
            return graph.reshape(x, tuple(self.random.sample(x.shape, len(x.shape))))
        while left > 1 and self.random.random() < 0.7:
            sizes.append(
                self.random.choice([d for d in range(1, min(left, 100) + 1) if left % d == 0])
            )
            left //= sizes[-1]
        return graph.reshape(x, (*sizes, left))

    def expand(self) -> Node:
        x = self.pick()
        shape = tuple(
            self.random.choice([2, 3, 0 if 0 in self.sizes else 4]) if s == 1 else s
            for s in x.shape
        )
        return graph.expand(
            x, (2, *shape) if len(shape) < 4 and self.random.random() < 0.5 else shape
        )

    def ranges(self, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], ...]:
        found = []
        for size in shape:
            step = self.random.choice([1, 1, 2, -1, -2, 3])
            if size == 0:
                found.append((0, 1, 0))
                continue
            start = self.random.randrange(size)
            most = (size - 1 - start) // step + 1 if step > 0 else start // -step + 1
            found.append((start, step, self.random.randint(0 if 0 in self.sizes else 1, most)))
        return tuple(found)

    def cut(self) -> Node:
        x = self.pick()
        return graph.slice_axes(x, self.ranges(x.shape))

    def pad(self) -> Node:
        x = self.pick()
        return graph.pad(
            x, [(self.random.randint(0, 2), self.random.randint(0, 2)) for _ in x.shape]
        )

    def strided(self) -> Node | None:
        """Overlapping windows over a flat value."""
        x = self.pick()
        if x.size < 4:
            return None
        window = self.random.randint(1, 4)
        step = self.random.randint(1, 3)
        count = (x.size - window) // step + 1
        return graph.as_strided(graph.reshape(x, (x.size,)), (count, window), (step, 1), 0)

    # -- named operations --------------------------------------------------------------------------
    def contract(self) -> Node | None:
        x = self.pick()
        if len(x.shape) < 2:
            return None
        x = graph.cast(x, self.random.choice([dtypes.float32, dtypes.float64]))
        leading, depth, columns = x.shape[:-2], x.shape[-1], self.random.choice([1, 4, 17])
        other = self.new_leaf((*leading, depth, columns), x.dtype)
        if self.random.random() < 0.5:
            rank = len(x.shape)
            other = self.new_leaf((*leading, columns, depth), x.dtype)
            other = graph.permute(other, [*range(rank - 2), rank - 1, rank - 2])
        if self.random.random() < 0.3:
            other = graph.pointwise(ADD, other, graph.constant(1, x.dtype))
        return graph.contract(x, other)

    def epilogue(self) -> Node | None:
        """A contraction and what may follow it in the same kernel."""
        made = self.contract()
        if made is None:
            return None
        if self.random.random() < 0.3 and not self.keep(made):
            return None
        for _ in range(self.random.randint(1, 3)):
            way = self.random.randrange(6)
            if way == 0:
                made = graph.pointwise(ADD, made, self.new_leaf(made.shape[-1:], made.dtype))
            elif way == 1:
                made = graph.pointwise(MAXIMUM, made, graph.constant(0, made.dtype))
            elif way == 2:
                made = graph.cast(made, self.dtype())
            elif way == 3:
                made = graph.reshape(made, (made.size,))
            elif way == 4:
                made = graph.pointwise(ADD, made, self.new_leaf(made.shape, made.dtype))
            else:
                made = graph.pointwise(WHERE, self.new_leaf(made.shape, dtypes.bool), made, made)
        return made

    def indices(self, size: int, shape: tuple[int, ...]) -> Node:
        """Index values inside an axis, of some integer type, stored or computed."""
        fitting = [d for d in ALL_DTYPES if d.kind in "iu" and size <= np.iinfo(d.numpy).max]
        dtype = self.random.choice([dtypes.int64, dtypes.int64, *fitting])
        index = leaf(self.numbers.integers(0, size, shape).astype(dtype.numpy))
        if self.random.random() < 0.3:
            top = graph.constant(size - 1, dtype)
            index = graph.pointwise(SUB, top, index)
        return index

    def take(self) -> Node | None:
        x = self.pick()
        if not x.shape or 0 in x.shape:
            return None
        axes = sorted(
            self.random.sample(range(len(x.shape)), self.random.randint(1, min(2, len(x.shape))))
        )
        count = self.random.choice([1, 4, 40])
        shape = tuple(count if a in axes else s for a, s in enumerate(x.shape))
        indices = []
        for axis in axes:
            if self.random.random() < 0.5:
                column = tuple(s if a == axes[-1] else 1 for a, s in enumerate(shape))
                indices.append(graph.expand(self.indices(x.shape[axis], column), shape))
            else:
                indices.append(self.indices(x.shape[axis], shape))
        return graph.take(x, axes, indices)

    def scatter(self) -> Node | None:
        x = self.pick()
        if not x.shape or 0 in x.shape:
            return None
        axes = sorted(
            self.random.sample(range(len(x.shape)), self.random.randint(1, min(2, len(x.shape))))
        )
        shape = tuple(5 if a in axes else s for a, s in enumerate(x.shape))
        indices = []
        for axis in axes:
            index = self.indices(x.shape[axis], shape)
            if self.random.random() < 0.5:
                column = tuple(s if a in axes else 1 for a, s in enumerate(shape))
                index = graph.expand(self.indices(x.shape[axis], column), shape)
            indices.append(index)
        mode = self.random.choice(["add", "set", "amax", "amin", "prod"])
        values = self.new_leaf(shape, x.dtype)
        if self.random.random() < 0.3:
            values = graph.expand(self.new_leaf((1,) * len(shape), x.dtype), shape)
        return graph.scatter(mode, x, values, axes, indices)

    def turned(self, path: list[Move], shape: tuple[int, ...]) -> list[Move]:
        """The same view, perhaps backwards."""
        if self.random.random() < 0.5:
            return path
        return [*path, Move(SLICE, tuple((max(size - 1, 0), -1, size) for size in shape))]

    def update(self) -> Node | None:
        """A write through a view: slices, negative steps, permutations, added axes."""
        x = self.pick()
        path: list[Move] = []
        shape = x.shape
        for _ in range(self.random.randint(1, 3)):
            if self.random.random() < 0.6:
                step = Move(SLICE, self.ranges(shape))
            else:
                step = Move(PERMUTE, tuple(self.random.sample(range(len(shape)), len(shape))))
            path.append(step)
            shape = moved_shape(shape, step)
        if self.random.random() < 0.4:  # a value that nobody else has
            x = graph.contiguous(graph.pointwise(MAXIMUM, x, graph.constant(0, x.dtype)))
        value = self.new_leaf(shape, x.dtype)
        fitting = [n for n in self.nodes if n.shape == shape and n.dtype is x.dtype]
        if fitting and self.random.random() < 0.5:
            value = self.random.choice(fitting)
        if self.random.random() < 0.4:  # from the very memory that is written
            value = graph.pointwise(MAXIMUM, value, graph.follow(x, self.turned(path, shape)))
        return graph.update(x, value, path)
