"""`Checkpoint`: the state of a training run in a folder, from which it goes on if it stops.

A checkpoint is one file, written atomically, in PyTorch's format: the states of the parts (model,
optimiser, scheduler, loader, anything with `state_dict`) and of all random numbers. A run that is
restored computes the numbers, to the bit, that it would have computed without having stopped.
`grad.utils.checkpoint` is another thing: computing again what a backward pass needs.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from grad.errors import ArgumentError, FileFormatError, UnsafeFileError, a_kind_of
from grad.io.atomic import ENDING
from grad.io.files import load, save
from grad.io.random_state import get_random_state, set_random_state
from grad.ops.generator import Generator

_NAME = re.compile(r"checkpoint-(\d+)\.pt")
_LEFT_OVER = re.compile(rf"\.checkpoint-\d+\.pt\.\w+{re.escape(ENDING)}")
_DAMAGED = ".damaged"
_KEYS = {"step", "parts", "random"}


class Checkpoint:
    """Saves the state of a training run in `folder`, and restores it.

    Args:
        folder: where the files are, ``checkpoint-00000042.pt``; made if it does not exist. One
            process at a time may save there.
        keep: how many files to keep, the last ones; None keeps all.
        parts: what belongs to the run, by name: objects with `state_dict` and `load_state_dict`
            (modules, optimisers, schedulers, data loaders, gradient scalers), random generators,
            and dictionaries of plain values, which are filled when they are restored. The default
            random generators, Python's and NumPy's are always saved.

    Raises:
        ArgumentError: a part is none of these, or `keep` is less than 1.

    Example:
        >>> progress = {"epoch": 0, "step": 0}
        >>> checkpoint = Checkpoint("run", model=model, optimizer=optimizer, loader=loader,
        ...                         progress=progress)
        >>> checkpoint.restore()
        >>> for epoch in range(progress["epoch"], 10):
        ...     progress["epoch"] = epoch
        ...     for batch in loader:
        ...         train(batch)
        ...         progress["step"] += 1
        ...         if progress["step"] % 100 == 0:
        ...             checkpoint.save(progress["step"])
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int | None = 3, **parts: Any) -> None:
        if keep is not None and keep < 1:
            raise ArgumentError(f"Checkpoint: keep={keep}; keep 1 file at least, or None for all.")
        for name, part in parts.items():
            if not (_has_state(part) or isinstance(part, Generator | MutableMapping)):
                raise ArgumentError(
                    f"Checkpoint: {name} is {a_kind_of(part)}; a part has state_dict and "
                    "load_state_dict, or is a random generator or a dictionary of plain values."
                )
        self.folder = Path(folder)
        self.keep = keep
        self.parts = parts

    def path(self, step: int) -> Path:
        """The file of a step."""
        return self.folder / f"checkpoint-{step:08d}.pt"

    def steps(self) -> list[int]:
        """The steps of which there are files, the last one last."""
        names = os.listdir(self.folder) if self.folder.exists() else []
        return sorted(int(found[1]) for found in map(_NAME.fullmatch, names) if found)

    def save(self, step: int | None = None) -> Path:
        """Write the state as that of `step` (one more than the last one), and remove old files.

        Raises:
            ArgumentError: there is a file of a later step, of another run perhaps.
            FileFormatError: a part's state contains what cannot be saved.
            OSError: the file cannot be written; those of earlier steps are still there.
        """
        steps = self.steps()
        last = steps[-1] if steps else -1
        if step is None:
            step = last + 1
        if step < 0 or step < last:
            raise ArgumentError(
                f"Checkpoint: step {step} cannot be saved after step {last}, which is in "
                f"{self.folder}; restore that, or remove the later files, or use another folder."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "step": step,
            "parts": {name: _state_of(part) for name, part in self.parts.items()},
            "random": get_random_state(),
        }
        path = self.path(step)
        save(state, path)
        self._remove_old()
        return path

    def _remove_old(self) -> None:
        """Remove all files but the last ones, and those that killed processes were writing."""
        steps = self.steps()
        for step in [] if self.keep is None else steps[: -self.keep]:
            self.path(step).unlink(missing_ok=True)
        for name in filter(_LEFT_OVER.fullmatch, os.listdir(self.folder)):
            (self.folder / name).unlink(missing_ok=True)

    def restore(self, step: int | None = None, *, strict: bool = True) -> int | None:
        """Put the parts and the random numbers into the state of `step`, or of the last file.

        A damaged last file (which only a fault of the disk can leave) is renamed with a warning,
        and the one before it is taken.

        Args:
            strict: raise unless the file has exactly the parts that there are here; otherwise those
                that are in both are restored.

        Returns:
            The step, or None where there is no checkpoint yet.

        Raises:
            FileNotFoundError: there is no file of `step`. FileFormatError: it is damaged, all are,
                or its parts are others.
        """
        found = self._last() if step is None else self._read(step)
        if found is None:
            return None
        parts = found["parts"]
        if strict and parts.keys() != self.parts.keys():
            raise FileFormatError(
                f"Checkpoint: the file of step {found['step']} has the parts {sorted(parts)}, and "
                f"here are {sorted(self.parts)}; give the same ones, or strict=False."
            )
        for name, part in self.parts.items():
            if name in parts:
                _restore(part, parts[name])
        set_random_state(found["random"])
        return found["step"]

    def _read(self, step: int) -> dict[str, Any]:
        found = load(self.path(step), map_location="cpu")
        if not isinstance(found, dict) or not found.keys() >= _KEYS:
            raise FileFormatError(f"Checkpoint: {self.path(step)} was not written by Checkpoint.")
        return found

    def _last(self) -> dict[str, Any] | None:
        """What the last file holds that can be read; None if there are no files."""
        damage: FileFormatError | None = None
        for step in reversed(self.steps()):
            try:
                found = self._read(step)
            except UnsafeFileError:
                raise
            except FileFormatError as error:
                damage = error
                continue
            self._set_aside_after(step)
            return found
        if damage is not None:
            raise damage
        return None

    def _set_aside_after(self, good: int) -> None:
        """Rename the (damaged) files of steps after `good`."""
        for step in self.steps():
            if step > good:
                path = self.path(step)
                path.rename(path.with_name(path.name + _DAMAGED))
                warnings.warn(
                    f"{path} is damaged and was renamed to {path.name}{_DAMAGED}; going on from "
                    f"step {good}.",
                    RuntimeWarning,
                    stacklevel=4,
                )


def _has_state(part: Any) -> bool:
    return hasattr(part, "state_dict") and hasattr(part, "load_state_dict")


def _state_of(part: Any) -> Any:
    if _has_state(part):
        return part.state_dict()
    return part.get_state() if isinstance(part, Generator) else dict(part)


def _restore(part: Any, state: Any) -> None:
    if _has_state(part):
        part.load_state_dict(state)
    elif isinstance(part, Generator):
        part.set_state(state)
    else:
        part.clear()
        part.update(state)
