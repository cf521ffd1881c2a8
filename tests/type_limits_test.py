"""The limits of number types are Python's numbers, as PyTorch's are."""

from __future__ import annotations

import pytest

import grad

FLOATS = [
    # name, resolution, max, eps, smallest_normal
    ("float16", 1e-3, 65504.0, 2.0**-10, 2.0**-14),
    ("bfloat16", 1e-2, 3.3895313892515355e38, 2.0**-7, 2.0**-126),
    ("float32", 1e-6, 3.4028234663852886e38, 2.0**-23, 2.0**-126),
    ("float64", 1e-15, 1.7976931348623157e308, 2.0**-52, 2.0**-1022),
]


@pytest.mark.parametrize(("name", "resolution", "most", "eps", "least"), FLOATS)
def test_floats(name, resolution, most, eps, least):
    found = grad.finfo(getattr(grad, name))
    assert (found.resolution, found.max, found.min) == (resolution, most, -most)
    assert (found.eps, found.smallest_normal, found.tiny) == (eps, least, least)
    assert (found.dtype, found.bits) == (name, 8 * getattr(grad, name).itemsize)
    assert {type(found.eps), type(found.max), type(found.tiny)} == {float}


def test_what_is_computed_of_them_is_exact():
    assert grad.finfo(grad.float32).eps / 2 + 1 > 1
    assert grad.finfo(grad.float16).max * 2 == 131008
    assert grad.iinfo(grad.int8).max + 1 == 128


@pytest.mark.parametrize("name", ["int8", "uint8", "int64", "uint64"])
def test_integers(name):
    kind = getattr(grad, name)
    found = grad.iinfo(kind)
    signed = name.startswith("i")
    assert found.max == 2 ** (found.bits - signed) - 1 and found.bits == 8 * kind.itemsize
    assert found.min == (-found.max - 1 if signed else 0) and found.dtype == name


def test_their_text_and_what_has_no_limits():
    assert grad.finfo() == grad.finfo(grad.float32) != grad.finfo(grad.float64)
    assert repr(grad.finfo()).startswith("finfo(resolution=1e-06, min=-3.40282e+38, max=3.40282e")
    assert repr(grad.iinfo(grad.int8)) == "iinfo(min=-128, max=127, dtype=int8)"
    for call, kind in (
        (grad.finfo, grad.int8),
        (grad.iinfo, grad.float32),
        (grad.iinfo, grad.bool),
    ):
        with pytest.raises(TypeError, match="needs"):
            call(kind)
