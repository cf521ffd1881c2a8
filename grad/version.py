"""Which release this is; public as ``grad.__version__``. pyproject.toml has the same number."""

VERSION = "0.1.0"
