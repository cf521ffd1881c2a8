"""For tests of programs: `assert_close` compares, `make_tensor` makes samples; ``torch.testing``.

`pairs.py` takes containers apart into pairs of values, `comparison.py` compares one pair and
`report.py` says by how much it differs; `making.py` has `make_tensor`.
"""

from grad.testing.comparison import assert_close
from grad.testing.making import make_tensor

__all__ = ["assert_close", "make_tensor"]
