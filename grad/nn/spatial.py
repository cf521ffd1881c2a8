"""Functions on images: pooling and padding, as ``torch.nn.functional`` has them.

Each is the registered operation under its name, arguments and defaults (`grad/ops/pooling.py`,
`grad/ops/padding.py`), which are PyTorch's; `functional.py` gives them out.
"""

from __future__ import annotations

from grad.ops.registry import REGISTRY

pad = REGISTRY["pad"].call

avg_pool1d = REGISTRY["avg_pool1d"].call
avg_pool2d = REGISTRY["avg_pool2d"].call
avg_pool3d = REGISTRY["avg_pool3d"].call
max_pool1d = REGISTRY["max_pool1d"].call
max_pool2d = REGISTRY["max_pool2d"].call
max_pool3d = REGISTRY["max_pool3d"].call
adaptive_avg_pool1d = REGISTRY["adaptive_avg_pool1d"].call
adaptive_avg_pool2d = REGISTRY["adaptive_avg_pool2d"].call
adaptive_avg_pool3d = REGISTRY["adaptive_avg_pool3d"].call
adaptive_max_pool1d = REGISTRY["adaptive_max_pool1d"].call
adaptive_max_pool2d = REGISTRY["adaptive_max_pool2d"].call
adaptive_max_pool3d = REGISTRY["adaptive_max_pool3d"].call
