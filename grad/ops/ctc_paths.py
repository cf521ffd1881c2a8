"""The ways in which labels can lie in time, added up: what `ctc_loss` (ctc.py) computes.

Time is scanned with all ways to write the labels with blanks between them (Graves et al.,
"Connectionist Temporal Classification", 2006, section 4.1), for all sequences of a batch at once,
by functions of NumPy (graph/host.py): with probabilities, or where these leave the range of float64
with their logarithms. For the gradient it is scanned in both directions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.errors import IndexOutOfRangeError, ShapeError
from grad.graph.host import hosted

Array = np.ndarray[Any, Any]
_NEVER = -np.inf
# Times after which probabilities are divided by the largest; and where they begin to lose digits,
# less a margin for these times: a place where they are smaller could matter in the end.
_TIMES_UNSCALED = 8
_TINY = 1e-290


def _written(targets: Array, lengths: Array, classes: int, blank: int) -> tuple[Array, Array]:
    """The labels with blanks before, between and behind them; and where the one two places before
    may be followed directly: at labels that differ from the last.
    """
    count, longest = targets.shape
    inside = np.arange(longest) < lengths[:, None]
    wrong = inside & ((targets < 0) | (targets >= classes))
    if wrong.any():
        raise IndexOutOfRangeError(
            f"ctc_loss: target {targets[wrong][0]} is no class; there are {classes}."
        )
    labels = np.full((count, 2 * longest + 1), blank)
    labels[:, 1::2] = np.where(inside, targets, blank)
    skip = np.zeros(labels.shape, bool)
    skip[:, 3::2] = (labels[:, 3::2] != labels[:, 1:-2:2]) & (labels[:, 3::2] != blank)
    return labels, skip


def _shifted(values: Array, places: int) -> Array:
    moved = np.full_like(values, _NEVER)
    moved[:, places:] = values[:, : values.shape[1] - places]
    return moved


def _forward(scores: Array, skip: Array) -> Array:
    """For each time and place the log-probability of all ways to be there, from (n, t, place)."""
    ways = _by_products(scores, skip)
    return _by_logarithms(scores, skip) if ways is None else ways


def _by_products(scores: Array, skip: Array) -> Array | None:
    """The same by probabilities, which takes a fifth of the time; None where some are too small."""
    count, times, places = scores.shape
    peak = scores.max(2, keepdims=True)
    # All sequences of a time in one line: two places between them, on which nobody can be, stand
    # for what comes from nowhere.
    # Arrays are written over where they can be: memory that is new is slower than arithmetic.
    factors = np.zeros((times, count, places + 2))
    np.subtract(scores.swapaxes(0, 1), peak.swapaxes(0, 1), out=factors[:, :, 2:])
    np.exp(factors, out=factors)
    factors[:, :, :2] = 0
    may_skip = np.pad(skip, ((0, 0), (2, 0))).reshape(-1)[2:].astype(np.float64)
    ways = np.zeros((times, count, places + 2))
    ways[0, :, 2:4] = factors[0, :, 2:4]
    divided = np.zeros((times, count, 1))
    lines, each = ways.reshape(times, -1), factors.reshape(times, -1)[:, 2:]
    skipping = np.empty(may_skip.shape)
    for time in range(1, times):
        before, here = lines[time - 1], lines[time, 2:]
        np.add(before[2:], before[1:-1], out=here)
        np.multiply(before[:-2], may_skip, out=skipping)
        np.add(here, skipping, out=here)
        np.multiply(here, each[time], out=here)
        if time % _TIMES_UNSCALED == 0:
            largest = ways[time].max(1, keepdims=True)
            ways[time] /= largest
            divided[time] = np.log(largest)
    early = np.arange(times)[:, None, None] < _first_times(skip)
    # Comparisons with NaN are false.
    if not ((ways[:, :, 2:] > _TINY) | early).all() or not np.isfinite(scores).all():
        return None
    np.log(ways, out=ways)
    ways += (divided + peak.swapaxes(0, 1)).cumsum(0)
    return ways[:, :, 2:].swapaxes(0, 1)


def _first_times(skip: Array) -> Array:
    """When each place can be reached at the earliest."""
    first = np.zeros(skip.shape, np.int64)
    labels = (2 - skip[:, 3::2]).cumsum(1)
    first[:, 3::2] = labels
    first[:, 2::2] = first[:, 1::2] + 1
    return first


def _by_logarithms(scores: Array, skip: Array) -> Array:
    ways = np.full_like(scores, _NEVER)
    ways[:, 0, :2] = scores[:, 0, :2]
    for time in range(1, scores.shape[1]):
        before = ways[:, time - 1]
        step = np.logaddexp(before, _shifted(before, 1))
        step = np.logaddexp(step, np.where(skip, _shifted(before, 2), _NEVER))
        ways[:, time] = step + scores[:, time]
    return ways


def _scores(log_probs: Array, labels: Array) -> Array:
    """The log-probability of each place's label at each time."""
    found = np.empty((*log_probs.shape[:2], labels.shape[1]))
    for row, line in enumerate(labels):
        found[row] = log_probs[row][:, line]
    return found


def _reversed(values: Array, lengths: Array, axis: int) -> Array:
    """Each item of a batch with its first `lengths` entries along `axis` in reverse order."""
    place = np.arange(values.shape[axis])
    order = np.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)
    shape = [len(values), *[1] * (values.ndim - 1)]
    shape[axis] = values.shape[axis]
    return np.take_along_axis(values, order.reshape(shape), axis)


def _losses(ways: Array, times: Array, lengths: Array) -> Array:
    """Minus the log-probability to be at the last label, or the blank behind it, in the end."""
    row = np.arange(len(ways))
    last = ways[row, np.maximum(times - 1, 0)]
    found = last[row, 2 * lengths]
    label = np.where(lengths > 0, last[row, np.maximum(2 * lengths - 1, 0)], _NEVER)
    found = np.logaddexp(found, label)
    return -np.where(times > 0, found, np.where(lengths > 0, _NEVER, 0.0))


def _checked(log_probs: Array, targets: Array, times: Array, lengths: Array) -> None:
    for name, values, most in (
        ("input_lengths", times, log_probs.shape[1]),
        ("target_lengths", lengths, targets.shape[1]),
    ):
        bad = (values < 0) | (values > most)
        if bad.any():
            raise ShapeError(
                f"ctc_loss: Expected {name} to have value from 0 to {most}, but got "
                f"{values[bad][0]}."
            )


@hosted
def ctc_losses(
    result: Array,
    log_probs: Array,
    targets: Array,
    times: Array,
    lengths: Array,
    blank: int,
    zero_infinity: bool,
) -> None:
    """The loss of each sequence: infinite where there is no way, or 0 with `zero_infinity`."""
    _checked(log_probs, targets, times, lengths)
    labels, skip = _written(targets, lengths, log_probs.shape[2], blank)
    losses = _losses(_forward(_scores(log_probs, labels), skip), times, lengths)
    result[...] = np.where(np.isposinf(losses), 0, losses) if zero_infinity else losses


@hosted
def ctc_gradients(
    result: Array,
    log_probs: Array,
    targets: Array,
    times: Array,
    lengths: Array,
    blank: int,
    zero_infinity: bool,
) -> None:
    """For each time and class the probability, less that of the ways which have it there."""
    labels, skip = _written(targets, lengths, log_probs.shape[2], blank)
    scores = _scores(log_probs, labels)
    ahead = _forward(scores, skip)
    losses = _losses(ahead, times, lengths)
    # Backward in time is forward in the reversed sequences.
    places = 2 * lengths + 1
    back_labels = _reversed(targets, lengths, 1)
    _, back_skip = _written(back_labels, lengths, log_probs.shape[2], blank)
    back_scores = _reversed(_reversed(scores, times, 1), places, 2)
    back = _reversed(_reversed(_forward(back_scores, back_skip), times, 1), places, 2)
    inside = np.arange(labels.shape[1]) < places[:, None]
    here = np.arange(log_probs.shape[1]) < times[:, None]
    # A place with probability 0 is on no way, whatever else it would need.
    nowhere = np.isneginf(ahead) | np.isneginf(back) | ~inside[:, None, :]
    share = back
    share += ahead
    share -= scores
    share += losses[:, None, None]
    share[nowhere] = _NEVER
    np.exp(share, out=share)
    found = np.exp(log_probs.astype(np.float64))
    classes = np.arange(log_probs.shape[2])
    for row, line in enumerate(labels):
        found[row] -= share[row] @ (line[:, None] == classes).astype(np.float64)
    infinite = np.isposinf(losses)
    found[infinite] = 0 if zero_infinity else np.nan
    result[...] = np.where(here[:, :, None], found, 0)
