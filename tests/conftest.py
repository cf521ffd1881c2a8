"""What all tests share: where kernels are cached, checks between passes, repeatable random tests.

The variables are set before anything imports `grad`, which reads them once; what the caller has set
already stands.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# Not the user's own cache: a test run neither profits from it nor fills it.
os.environ.setdefault("GRAD_CACHE_DIR", str(REPOSITORY / "build" / "test_cache"))
os.environ.setdefault("GRAD_VERIFY", "1")

# No deadline: the first example of a test compiles its kernels. The same examples on every machine.
settings.register_profile("micrograd", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("micrograd")
