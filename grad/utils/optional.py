"""Packages that the library can do without: opened by name, when they are needed.

Each belongs to an extra of pyproject.toml, which the error names.
"""

from __future__ import annotations

import importlib
from typing import Any


def optional(name: str, extra: str, purpose: str) -> Any:
    """The module `name`.

    Raises:
        ImportError: naming the extra that brings it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs {name.partition('.')[0]}, which is not installed: "
            f'pip install "micrograd[{extra}]".'
        ) from error
