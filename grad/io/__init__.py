"""Files: tensors and training state to disk and back.

`files.py` has `save` and `load` and decides on the format; `safetensors_file.py` and
`torch_file.py` (with `archive.py`, `pickler.py`, `unpickler.py`, and `legacy.py` for old files) are
the formats; `source.py` and `tensors.py` are how bytes become tensors, `atomic.py` how files are
replaced. `checkpoint.py` keeps the state of a training run on top of them.
"""

from grad.errors import FileFormatError, TruncatedFileError, UnsafeFileError
from grad.io.checkpoint import Checkpoint
from grad.io.files import load, save
from grad.io.random_state import get_random_state, set_random_state

__all__ = [
    "Checkpoint",
    "FileFormatError",
    "TruncatedFileError",
    "UnsafeFileError",
    "get_random_state",
    "load",
    "save",
    "set_random_state",
]
