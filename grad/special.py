"""Special functions, with the names of ``torch.special``.

They are operations of the registry, most of them functions of `grad` and methods of tensors too.
`grad/ops` defines them: gamma.py, error_function.py, bessel.py, entropy.py, special.py, unary.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.ops.registry import REGISTRY

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0",
    "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln",
    "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip

Special = Callable[..., Any]

digamma: Special = REGISTRY["digamma"].call
psi: Special = digamma
gammaln: Special = REGISTRY["lgamma"].call
multigammaln: Special = REGISTRY["mvlgamma"].call
polygamma: Special = REGISTRY["polygamma"].call

erf: Special = REGISTRY["erf"].call
erfc: Special = REGISTRY["erfc"].call
erfcx: Special = REGISTRY["special_erfcx"].call
erfinv: Special = REGISTRY["erfinv"].call
ndtr: Special = REGISTRY["special_ndtr"].call
ndtri: Special = REGISTRY["special_ndtri"].call
log_ndtr: Special = REGISTRY["special_log_ndtr"].call

i0: Special = REGISTRY["i0"].call
i0e: Special = REGISTRY["special_i0e"].call
i1: Special = REGISTRY["special_i1"].call
i1e: Special = REGISTRY["special_i1e"].call

entr: Special = REGISTRY["special_entr"].call
xlogy: Special = REGISTRY["xlogy"].call
xlog1py: Special = REGISTRY["special_xlog1py"].call

exp2: Special = REGISTRY["exp2"].call
expm1: Special = REGISTRY["expm1"].call
expit: Special = REGISTRY["sigmoid"].call
log1p: Special = REGISTRY["log1p"].call
logit: Special = REGISTRY["logit"].call
logsumexp: Special = REGISTRY["logsumexp"].call
round: Special = REGISTRY["round"].call
sinc: Special = REGISTRY["sinc"].call

softmax: Special = REGISTRY["softmax"].call
log_softmax: Special = REGISTRY["log_softmax"].call
