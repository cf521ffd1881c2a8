"""Calls that `autocast` may change, written so that this library and PyTorch can both run them.

Each is a function of the module that stands for ``torch`` and of `x`, which makes a tensor of a
shape in the type under test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Case = Callable[[Any, Any], Any]


def classes(t: Any, *shape: int) -> Any:
    return t.zeros(shape, dtype=t.int64)


LOWER: dict[str, Case] = {
    "conv1d": lambda t, x: t.nn.functional.conv1d(x(1, 2, 5), x(3, 2, 3)),
    "conv2d": lambda t, x: t.nn.functional.conv2d(x(1, 2, 5, 5), x(3, 2, 3, 3), x(3)),
    "conv3d": lambda t, x: t.nn.functional.conv3d(x(1, 1, 3, 3, 3), x(1, 1, 2, 2, 2)),
    "conv_transpose2d": lambda t, x: t.nn.functional.conv_transpose2d(x(1, 2, 3, 3), x(2, 1, 2, 2)),
    "mm": lambda t, x: t.mm(x(2, 3), x(3, 2)),
    "bmm": lambda t, x: t.bmm(x(2, 2, 3), x(2, 3, 2)),
    "operator": lambda t, x: x(2, 3) @ x(3, 2),
    "method": lambda t, x: x(2, 3).matmul(x(3)),
    "addmm": lambda t, x: t.addmm(x(2, 2), x(2, 3), x(3, 2)),
    "baddbmm": lambda t, x: t.baddbmm(x(2, 2, 2), x(2, 2, 3), x(2, 3, 2)),
    "addbmm": lambda t, x: t.addbmm(x(2, 2), x(2, 2, 3), x(2, 3, 2)),
    "linear": lambda t, x: t.nn.functional.linear(x(2, 3), x(4, 3), x(4)),
    "einsum": lambda t, x: t.einsum("ij,jk->ik", x(2, 3), x(3, 2)),
    "tensordot": lambda t, x: t.tensordot(x(2, 3), x(3, 2), 1),
    "inner": lambda t, x: t.inner(x(2, 3), x(2, 3)),
    "multi_dot": lambda t, x: t.linalg.multi_dot([x(2, 3), x(3, 4), x(4, 2)]),
    "matrix_power": lambda t, x: t.matrix_power(x(3, 3), 3),
    "vecdot": lambda t, x: t.linalg.vecdot(x(3), x(3)),
    "attention": lambda t, x: t.nn.functional.scaled_dot_product_attention(
        x(1, 1, 4, 8), x(1, 1, 4, 8), x(1, 1, 4, 8)
    ),
    "cov": lambda t, x: t.cov(x(3, 4)),
}

FULL: dict[str, Case] = {
    "prod": lambda t, x: x(3).prod(),
    "cdist": lambda t, x: t.cdist(x(3, 2), x(3, 2)),
    "trace": lambda t, x: x(3, 3).trace(),
    "quantile": lambda t, x: t.quantile(x(5), 0.5),
    "inverse": lambda t, x: t.inverse(x(3, 3)),
    "linalg.inv": lambda t, x: t.linalg.inv(x(3, 3)),
    "linalg.solve": lambda t, x: t.linalg.solve(x(3, 3), x(3, 2)),
    "linalg.svdvals": lambda t, x: t.linalg.svdvals(x(3, 2)),
    "linalg.qr": lambda t, x: t.linalg.qr(x(3, 2))[0],
    "linalg.lstsq": lambda t, x: t.linalg.lstsq(x(3, 2), x(3, 1))[0],
    "avg_pool3d": lambda t, x: t.nn.functional.avg_pool3d(x(1, 1, 4, 4, 4), 2),
    "max_pool3d": lambda t, x: t.nn.functional.max_pool3d(x(1, 1, 4, 4, 4), 2),
    "grid_sample": lambda t, x: t.nn.functional.grid_sample(
        x(1, 1, 4, 4), x(1, 2, 2, 2), align_corners=False
    ),
    "max_unpool2d": lambda t, x: t.nn.functional.max_unpool2d(
        x(1, 1, 1, 1), classes(t, 1, 1, 1, 1), 2
    ),
    "mse_loss": lambda t, x: t.nn.functional.mse_loss(x(3), x(3)),
    "l1_loss": lambda t, x: t.nn.functional.l1_loss(x(3), x(3), reduction="sum"),
    "smooth_l1_loss": lambda t, x: t.nn.functional.smooth_l1_loss(x(3), x(3)),
    "huber_loss": lambda t, x: t.nn.functional.huber_loss(x(3), x(3)),
    "binary_cross_entropy": lambda t, x: t.nn.functional.binary_cross_entropy(x(3), x(3)),
    "binary_cross_entropy_with_logits": lambda t, x: (
        t.nn.functional.binary_cross_entropy_with_logits(x(3), x(3))
    ),
    "cross_entropy": lambda t, x: t.nn.functional.cross_entropy(x(3, 4), classes(t, 3)),
    "cross entropy of probabilities": lambda t, x: t.nn.functional.cross_entropy(x(3, 4), x(3, 4)),
    "nll_loss": lambda t, x: t.nn.functional.nll_loss(x(3, 4), classes(t, 3)),
    "kl_div": lambda t, x: t.nn.functional.kl_div(x(3), x(3), reduction="sum"),
    "hinge_embedding_loss": lambda t, x: t.nn.functional.hinge_embedding_loss(x(3), x(3)),
    "triplet_margin_loss": lambda t, x: t.nn.functional.triplet_margin_loss(
        x(3, 2), x(3, 2), x(3, 2)
    ),
    "multi_margin_loss": lambda t, x: t.nn.functional.multi_margin_loss(x(3, 4), classes(t, 3)),
}

AS_GIVEN: dict[str, Case] = {
    "add": lambda t, x: x(3) + x(3),
    "mv": lambda t, x: t.mv(x(2, 3), x(3)),
    "dot": lambda t, x: t.dot(x(3), x(3)),
    "outer": lambda t, x: t.outer(x(3), x(3)),
    "softmax": lambda t, x: x(3, 4).softmax(1),
    "log_softmax": lambda t, x: x(3, 4).log_softmax(1),
    "layer_norm": lambda t, x: t.nn.functional.layer_norm(x(3, 4), (4,)),
    "batch_norm": lambda t, x: t.nn.functional.batch_norm(x(3, 4), None, None, training=True),
    "sum": lambda t, x: x(3).sum(),
    "exp": lambda t, x: x(3).exp(),
    "norm": lambda t, x: x(3).norm(),
    "gelu": lambda t, x: t.nn.functional.gelu(x(3)),
    "avg_pool2d": lambda t, x: t.nn.functional.avg_pool2d(x(1, 1, 4, 4), 2),
    "interpolate": lambda t, x: t.nn.functional.interpolate(x(1, 1, 4, 4), scale_factor=2),
    "embedding": lambda t, x: t.nn.functional.embedding(classes(t, 2), x(3, 4)),
}
