"""How a convolution's image lies in scratch: taps, axes, and the padded copy of a band.

`plan.py` and `weight_plan.py` choose the bands, `copy.py` writes the code that copies them.
"""

from __future__ import annotations

from dataclasses import dataclass

from grad.graph.windows import Geometry


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def balanced(count: int, most: int) -> int:
    """The size of equal parts of `count`, of which none is larger than `most`."""
    return ceil_div(count, ceil_div(count, most)) if count else 1


@dataclass(frozen=True, slots=True)
class Tap:
    """A tap of one axis: its number, and where in the padded copy it reads."""

    number: int
    phase: int
    shift: int


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis.

    Element j of phase p of the copy that begins at turn t is the image's element
    ``(t + j) * stride + p - base``.

    Attributes:
        turns: output positions, counted without their residue modulo `spread`.
        classes: for each residue, the taps that meet elements of the image there.
    """

    size: int
    out: int
    stride: int
    spread: int
    base: int
    phases: int
    turns: int
    classes: tuple[tuple[Tap, ...], ...]

    @property
    def reach(self) -> int:
        """Elements of the copy behind those of the turns themselves."""
        return max((tap.shift for taps in self.classes for tap in taps), default=0)


def axis_of(g: Geometry, axis: int) -> Axis:
    """The axis, of a geometry that is not both strided and spread along it."""
    stride, spread, dilation = g.stride[axis], g.spread[axis], g.dilation[axis]
    before, taps, out = g.before[axis], range(g.kernel[axis]), g.out[axis]
    if spread == 1:
        steps = [k * dilation for k in taps]
        only = tuple(
            Tap(k, step % stride, step // stride) for k, step in zip(taps, steps, strict=True)
        )
        phases = max(tap.phase for tap in only) + 1
        return Axis(g.image[axis], out, stride, 1, before, phases, out, (only,))
    met = [
        [(k, (r + k * dilation - before) // spread)
         for k in taps if (r + k * dilation - before) % spread == 0]
        for r in range(spread)
    ]  # fmt: skip
    lowest = min((shift for taps_of in met for _, shift in taps_of), default=0)
    classes = tuple(tuple(Tap(k, 0, shift - lowest) for k, shift in taps_of) for taps_of in met)
    return Axis(g.image[axis], out, 1, spread, -lowest, 1, ceil_div(out, spread), classes)


@dataclass(frozen=True, slots=True)
class PaddedCopy:
    """The layout of the copy of a band: ``[channel][phase, plane][phase][phase][row][column]``.

    Attributes:
        rows, columns: turns of the band.
    """

    axes: tuple[Axis, Axis, Axis]
    channels: int
    rows: int
    columns: int

    @property
    def planes_kept(self) -> int:
        return 1 + self.axes[0].reach

    @property
    def rows_kept(self) -> int:
        return self.rows + self.axes[1].reach

    @property
    def row(self) -> int:
        """Elements from one row to the next."""
        return self.columns + self.axes[2].reach

    @property
    def is_whole_row(self) -> bool:
        """Whether a row of the band is a row of the image, with the zeros on both sides."""
        return self.columns >= self.axes[2].turns

    @property
    def phase_strides(self) -> tuple[int, int, int]:
        across = self.rows_kept * self.row
        down = across * self.axes[2].phases
        return self.plane * self.planes_kept, down, across

    @property
    def plane(self) -> int:
        return self.rows_kept * self.row * self.axes[2].phases * self.axes[1].phases

    @property
    def strides(self) -> tuple[int, int, int]:
        return self.plane, self.row, 1

    @property
    def channel(self) -> int:
        """Elements from one channel to the next: an odd number of cache lines, so that channels
        spread over the sets of the caches."""
        size = self.plane * self.planes_kept * self.axes[0].phases
        return size if size < 64 else (ceil_div(size, 16) | 1) * 16

    @property
    def size(self) -> int:
        return self.channel * self.channels

    def offset(self, axis: int, tap: Tap) -> int:
        return tap.phase * self.phase_strides[axis] + tap.shift * self.strides[axis]
