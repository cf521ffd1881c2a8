"""What stands for the names of PyTorch that `grad` does not have: it raises where it is used.

``from torch.distributed import init_process_group`` at the head of a program is no use of it: many
programs import what they call on several machines only.
"""

from __future__ import annotations

from typing import Any, NoReturn

PAGE = "docs/differences.md"


def why(name: str, reason: str = "") -> str:
    """What to say about the name `name`."""
    because = f" ({reason})" if reason else ""
    return f"micrograd has no {name}{because}; {PAGE} lists what differs from PyTorch"


class Missing:
    """In the place of `name`, a function, class or module. Anything done with it raises.

    Asking for an attribute raises AttributeError, so that `hasattr` says no; all else
    NotImplementedError.

    Example:
        >>> Missing("torch.fft.rfft")(None)
        Traceback (most recent call last):
        ...
        NotImplementedError: micrograd has no torch.fft.rfft; docs/differences.md lists what ...
    """

    def __init__(self, name: str, reason: str = "") -> None:
        self.__dict__.update(_name=name, _reason=reason)

    def _raise(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(why(self._name, self._reason))

    __call__ = __enter__ = __getitem__ = __iter__ = __mro_entries__ = __setattr__ = _raise

    def __instancecheck__(self, value: Any) -> bool:
        """Nothing is an instance of what does not exist."""
        return False

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(why(f"{self._name}.{name}", self._reason))

    def __repr__(self) -> str:
        return f"<missing {self._name}>"
