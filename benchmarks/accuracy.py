"""Whether a result is right: a sample of it beside the same sample of a reference in float64.

A wrong result that was quick is shown as wrong. Large outputs are compared at 2^20 places, the same
for all frameworks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.workload import Arrays

LARGEST_SAMPLE = 1 << 20
# Inputs beyond this are not made float64 for the reference: it takes the memory of three or four.
MOST_DOUBLED_BYTES = 300 << 20


def sample(array: np.ndarray) -> np.ndarray:
    """All of the array, or as much of it as is compared, in float64."""
    flat = np.asarray(array).reshape(-1)
    if flat.size > LARGEST_SAMPLE:
        places = np.random.default_rng(flat.size).integers(flat.size, size=LARGEST_SAMPLE)
        flat = flat[places]
    return flat.astype(np.float64)


def samples_of(results: Iterable[Sequence[np.ndarray]]) -> Arrays:
    """Samples and shapes of the results of several calls, by name."""
    found: Arrays = {}
    for number, result in enumerate(results):
        for part, array in enumerate(result):
            found[f"{number}.{part}"] = sample(array)
            found[f"{number}.{part}.shape"] = np.array(np.shape(array))
    return found


def save(path: str, results: Arrays) -> None:
    with open(path, "wb") as file:
        np.savez(file, **results)  # type: ignore[arg-type]


def load(path: str) -> Arrays:
    with np.load(Path(path)) as file:
        return {name: file[name] for name in file.files}


def doubled(arrays: Arrays) -> Arrays:
    """The inputs of the reference: in float64 unless they are too large for it."""
    if sum(array.nbytes for array in arrays.values()) > MOST_DOUBLED_BYTES:
        return arrays
    return {
        name: array.astype(np.float64) if array.dtype == np.float32 else array
        for name, array in arrays.items()
    }


def difference(actual: Arrays, expected: Arrays) -> float:
    """The largest difference, relative to the value and the root mean square of its array.

    Infinite where shapes differ, or where NaN or infinities do.
    """
    if actual.keys() != expected.keys():
        return float("inf")
    names: Sequence[str] = [name for name in expected if not name.endswith("shape")]
    if any(not np.array_equal(actual[f"{n}.shape"], expected[f"{n}.shape"]) for n in names):
        return float("inf")
    return max((_difference(actual[name], expected[name]) for name in names), default=0.0)


def _difference(actual: np.ndarray, expected: np.ndarray) -> float:
    finite = np.isfinite(expected)
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=True):
        return float("inf")
    actual, expected = actual[finite], expected[finite]
    if not expected.size:
        return 0.0
    if not np.isfinite(actual).all():
        return float("inf")
    scale = np.abs(expected) + np.sqrt(np.mean(np.square(expected)))
    return float(np.max(np.abs(actual - expected) / np.maximum(scale, 1e-30)))
