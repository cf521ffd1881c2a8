"""Settings: defaults, reading, bad values, overriding."""

from __future__ import annotations

from pathlib import Path

import pytest

from grad.settings import TABLE, Settings


def test_defaults_without_an_environment(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    found = Settings({})
    assert (found.debug, found.verify, found.backend) == (0, False, "cpu")
    assert (found.num_threads, found.cache, found.cpu_features) == (None, True, "native")
    assert found.cache_directory == "/somewhere/micrograd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Settings({}).cache_directory == str(Path.home() / ".cache" / "micrograd")


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("GRAD_DEBUG", "3", "debug", 3),
        ("GRAD_VERIFY", "1", "verify", True),
        ("GRAD_VERIFY", "", "verify", False),
        ("GRAD_BACKEND", "reference", "backend", "reference"),
        ("GRAD_NUM_THREADS", "12", "num_threads", 12),
        ("GRAD_NUM_THREADS", "", "num_threads", None),
        ("GRAD_CACHE_DIR", "/tmp/x", "cache_directory", "/tmp/x"),
        ("GRAD_CACHE", "0", "cache", False),
        ("GRAD_CPU_FEATURES", "avx2", "cpu_features", "avx2"),
        ("GRAD_CONVOLUTION_PRECISION", "high", "float32_convolution_precision", "high"),
    ],
)
def test_values_are_read(variable, text, name, value):
    assert getattr(Settings({variable: text}), name) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("GRAD_DEBUG", "much"),
        ("GRAD_DEBUG", "-1"),
        ("GRAD_VERIFY", "perhaps"),
        ("GRAD_BACKEND", "tpu"),
        ("GRAD_NUM_THREADS", "0"),
        ("GRAD_NUM_THREADS", "2.5"),
        ("GRAD_CACHE", "2"),
        ("GRAD_CPU_FEATURES", "sse9"),
    ],
)
def test_bad_values_name_the_variable_and_the_value(variable, text):
    with pytest.raises(ValueError, match=f"{variable}='{text}'"):
        Settings({variable: text})


def test_override_restores_after_an_error():
    found = Settings({})

    def fail() -> None:
        with found.override(debug=4, verify=True):
            assert (found.debug, found.verify) == (4, True)
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert (found.debug, found.verify) == (0, False)
    with pytest.raises(AttributeError), found.override(colour="red"):
        pass


def test_every_row_is_shown():
    assert all(setting.variable in repr(Settings({})) for setting in TABLE)
