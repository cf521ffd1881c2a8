"""``torch.serialization``'s names: `save`, `load`, and what files may name besides data."""

from grad.io.files import load, save
from grad.io.safe_globals import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)

__all__ = [
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "safe_globals",
    "save",
]
