"""Functions on images: convolution, pooling, padding, windows, as ``torch.nn.functional`` has them.

Each is the registered operation under its name, arguments and defaults (`convolution.py`,
`pooling.py`, `padding.py`, `windows.py` ... in `grad/ops`), which are PyTorch's; `functional.py`
gives them out.
"""

from __future__ import annotations

from grad.ops.registry import REGISTRY

pad = REGISTRY["pad"].call
unfold = REGISTRY["im2col"].call
fold = REGISTRY["col2im"].call
pixel_shuffle = REGISTRY["pixel_shuffle"].call
pixel_unshuffle = REGISTRY["pixel_unshuffle"].call
channel_shuffle = REGISTRY["channel_shuffle"].call
native_channel_shuffle = channel_shuffle

conv1d = REGISTRY["conv1d"].call
conv2d = REGISTRY["conv2d"].call
conv3d = REGISTRY["conv3d"].call
conv_transpose1d = REGISTRY["conv_transpose1d"].call
conv_transpose2d = REGISTRY["conv_transpose2d"].call
conv_transpose3d = REGISTRY["conv_transpose3d"].call

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
