"""Every exception this library raises on purpose.

Each is also the exception that a PyTorch or NumPy user would catch: a shape that does not fit is a
RuntimeError (PyTorch) and a ValueError (NumPy). Messages say what was given, what was needed and
what to write instead.
"""

from __future__ import annotations

import pickle

import numpy as np


class GradError(Exception):
    """Base of all errors of this library."""


class ShapeError(GradError, RuntimeError, ValueError):
    """Shapes, sizes or axes that do not fit together."""


class BroadcastError(ShapeError):
    """Two shapes that do not broadcast to one."""


class AxisError(GradError, IndexError, ValueError):
    """An axis number outside the tensor's dimensions."""


class IndexOutOfRangeError(GradError, IndexError, RuntimeError):
    """An index outside its axis, or more indices than axes."""


class ArgumentError(GradError, ValueError, RuntimeError):
    """An argument outside what the operation takes: an empty range, a probability of 2."""


class DTypeError(GradError, TypeError, RuntimeError):
    """An element type that the operation does not take."""


class GradientError(GradError, RuntimeError):
    """A gradient that was asked for and cannot be given."""


class CheckpointError(GradientError):
    """A checkpointed function that cannot be run again to the same effect."""


class InplaceError(GradError, RuntimeError):
    """A write that would change values that must not change."""


class OutOfMemoryError(GradError, MemoryError, RuntimeError):
    """More memory than there is, or than the limit set by `configure_buffer_pool`."""


class LinAlgError(GradError, np.linalg.LinAlgError, RuntimeError):
    """A matrix that has no such inverse, factor or decomposition."""


class CompileError(GradError, RuntimeError):
    """Code that the code generator wrote and LLVM (or a device compiler) refused."""


class CaptureError(GradError, RuntimeError):
    """A function that `grad.compile` cannot record, because it depends on values of tensors."""


class TransformError(GradError, RuntimeError):
    """Something that a function transformed by `grad.func` cannot do, such as reading a value."""


class VerifyError(GradError, AssertionError):
    """An intermediate form that breaks its own rules: always a defect of this library."""


class DeviceError(GradError, RuntimeError):
    """A device that does not exist or cannot be opened."""


class FileFormatError(GradError, RuntimeError, ValueError):
    """A file that is not what it should be, or an object that cannot be put into one."""


class TruncatedFileError(FileFormatError, EOFError):
    """A file that ends before all is read that it promises."""


class UnsafeFileError(FileFormatError, pickle.UnpicklingError):
    """A file that names code, which is never run; or an instruction that state dicts don't need."""


def a_kind_of(value: object) -> str:
    """The type of `value` for a message, with its article: "an int", "a list", "None"."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name.startswith(('nd', *'aeioAEIO')) else 'a'} {name}"
