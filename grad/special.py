"""Special functions, with the names of ``torch.special``.

They are operations of the registry, most of them functions of `grad` and methods of tensors too.
`grad/ops` defines them: gamma.py, incomplete_gamma.py, error_function.py, bessel.py,
bessel_kinds.py, polynomials.py, entropy.py, special.py, unary.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.ops.registry import REGISTRY

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t",
    "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w", "digamma", "entr",
    "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln",
    "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1", "i1e",
    "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax", "logit",
    "logsumexp", "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0",
    "modified_bessel_k1", "multigammaln", "ndtr", "ndtri", "polygamma", "psi", "round",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w", "sinc", "softmax", "spherical_bessel_j0", "xlog1py", "xlogy",
    "zeta",
]  # fmt: skip

Special = Callable[..., Any]

digamma: Special = REGISTRY["digamma"].call
psi: Special = digamma
gammaln: Special = REGISTRY["lgamma"].call
multigammaln: Special = REGISTRY["mvlgamma"].call
polygamma: Special = REGISTRY["polygamma"].call
gammainc: Special = REGISTRY["igamma"].call
gammaincc: Special = REGISTRY["igammac"].call
zeta: Special = REGISTRY["special_zeta"].call

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

modified_bessel_i0: Special = i0
modified_bessel_i1: Special = i1
bessel_j0: Special = REGISTRY["special_bessel_j0"].call
bessel_j1: Special = REGISTRY["special_bessel_j1"].call
bessel_y0: Special = REGISTRY["special_bessel_y0"].call
bessel_y1: Special = REGISTRY["special_bessel_y1"].call
modified_bessel_k0: Special = REGISTRY["special_modified_bessel_k0"].call
modified_bessel_k1: Special = REGISTRY["special_modified_bessel_k1"].call
scaled_modified_bessel_k0: Special = REGISTRY["special_scaled_modified_bessel_k0"].call
scaled_modified_bessel_k1: Special = REGISTRY["special_scaled_modified_bessel_k1"].call
airy_ai: Special = REGISTRY["special_airy_ai"].call
spherical_bessel_j0: Special = REGISTRY["special_spherical_bessel_j0"].call

chebyshev_polynomial_t: Special = REGISTRY["special_chebyshev_polynomial_t"].call
chebyshev_polynomial_u: Special = REGISTRY["special_chebyshev_polynomial_u"].call
chebyshev_polynomial_v: Special = REGISTRY["special_chebyshev_polynomial_v"].call
chebyshev_polynomial_w: Special = REGISTRY["special_chebyshev_polynomial_w"].call
shifted_chebyshev_polynomial_t: Special = REGISTRY["special_shifted_chebyshev_polynomial_t"].call
shifted_chebyshev_polynomial_u: Special = REGISTRY["special_shifted_chebyshev_polynomial_u"].call
shifted_chebyshev_polynomial_v: Special = REGISTRY["special_shifted_chebyshev_polynomial_v"].call
shifted_chebyshev_polynomial_w: Special = REGISTRY["special_shifted_chebyshev_polynomial_w"].call
hermite_polynomial_h: Special = REGISTRY["special_hermite_polynomial_h"].call
hermite_polynomial_he: Special = REGISTRY["special_hermite_polynomial_he"].call
laguerre_polynomial_l: Special = REGISTRY["special_laguerre_polynomial_l"].call
legendre_polynomial_p: Special = REGISTRY["special_legendre_polynomial_p"].call

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
