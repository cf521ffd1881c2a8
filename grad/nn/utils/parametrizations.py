"""The usual parametrizations: weight norm, spectral norm, orthogonal matrices.

Each function registers one of the modules here with `parametrize.py`.
"""

from __future__ import annotations

from typing import Any

from grad import linalg
from grad.autograd.modes import no_grad
from grad.dtype import dtypes
from grad.nn.functional import normalize
from grad.nn.module import Module
from grad.nn.utils.parametrize import register_parametrization
from grad.nn.utils.spectral_norm import (
    as_matrix,
    divided,
    output_axis,
    power_iteration,
    random_direction,
)
from grad.nn.utils.weight_norm import norm_except, weighted
from grad.ops.registry import REGISTRY
from grad.ops.systems import matrix_exp
from grad.tensor import Tensor


class _WeightNorm(Module):
    """A weight of lengths (``original0``) and directions (``original1``)."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = None if dim == -1 else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weighted(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """The parameter `name` as lengths along `dim` times directions.

    Salimans, Kingma, "Weight normalization", 2016. State dicts that the older
    `nn.utils.weight_norm` wrote can be loaded.

    Example:
        >>> layer = weight_norm(grad.nn.Linear(20, 40))
        >>> layer.parametrizations.weight.original0.shape
        torch.Size([40, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state: dict[str, Any], prefix: str, *_: Any) -> None:
        older = [f"{prefix}{name}_{part}" for part in "gv"]
        if all(key in state for key in older):
            for number, key in enumerate(older):
                state[f"{prefix}parametrizations.{name}.original{number}"] = state.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    """A weight divided by its largest singular value, which power iteration follows."""

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        rank = len(weight.shape)
        if not -rank <= dim < rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}] but got "
                f"{dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim, self.eps = dim % rank, eps
        if rank > 1:
            self.n_power_iterations = n_power_iterations
            with no_grad():
                matrix = as_matrix(weight.detach(), self.dim)
                for name, size in zip(("_u", "_v"), matrix.shape):
                    self.register_buffer(name, random_direction(matrix, size, eps))
                power_iteration(matrix, self._u, self._v, 15, eps)

    def forward(self, weight: Tensor) -> Tensor:
        if len(weight.shape) == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            steps = self.n_power_iterations
            power_iteration(matrix.detach(), self._u, self._v, steps, self.eps)
        return divided(weight, matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Any,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Any:
    """The parameter `name` divided by its largest singular value.

    Miyato, Kataoka, Koyama, Yoshida, "Spectral normalization for generative adversarial networks",
    2018.

    Args:
        n_power_iterations: steps for each use in training. eps: keeps lengths above 0.
        dim: the axis of outputs; 1 for transposed convolutions, otherwise 0.

    Raises:
        ValueError: there is no such parameter.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    made = _SpectralNorm(weight, n_power_iterations, output_axis(module, dim), eps)
    return register_parametrization(module, name, made)


# -- orthogonal ------------------------------------------------------------------------------------
MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """Matrices with orthonormal columns (rows, where there are more columns than rows).

    With a `base`, a fixed orthogonal matrix that the made one is multiplied by, every value can be
    assigned: the base becomes it, and the original starts from where the map gives the identity.
    """

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.shape = tuple(weight.shape)
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        x = X.mT if wide else X
        q = _by_reflections(x) if self.orthogonal_map == "householder" else self._by_skew(x)
        if self.use_trivialization and self.base is not None:
            q = self.base @ q
        return q.mT if wide else q

    def _by_skew(self, x: Tensor) -> Tensor:
        """A function of a skew-symmetric matrix ``A``: ``exp(A)``, or Cayley's ``(I - A / 2)^-1 (I
        + A / 2)``.
        """
        rows, columns = x.shape[-2:]
        lower = x.tril()
        if rows != columns:
            filling = x.new_zeros((*x.shape[:-1], rows - columns))
            lower = REGISTRY["cat"]((lower, filling), -1)
        skew = lower - lower.mT
        if self.orthogonal_map == "matrix_exp":
            q = matrix_exp(skew)
        else:
            one = Tensor.eye(rows, dtype=x.dtype)
            q = linalg.solve(one - skew * 0.5, one + skew * 0.5)
        return q[..., :columns]

    def right_inverse(self, Q: Tensor) -> Tensor:
        if tuple(Q.shape) != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {tuple(Q.shape)}."
            )
        if not self.use_trivialization:
            raise NotImplementedError(
                "It is not possible to assign to an orthogonal parametrization when "
                "use_trivialization=False."
            )
        q = Q.mT if Q.shape[-2] < Q.shape[-1] else Q
        rows, columns = q.shape[-2:]
        if rows != columns:
            more = q.new_empty((*q.shape[:-1], rows - columns)).normal_()
            q = REGISTRY["cat"]((q, more), -1)
        self.base = orthonormal(q)
        return -Tensor.eye(*Q.shape[-2:], dtype=Q.dtype).expand(*Q.shape).contiguous()


def orthonormal(matrix: Tensor) -> Tensor:
    """The orthonormal columns that QR makes of those of `matrix`, with positive lengths: columns
    that are orthonormal stay what they are.
    """
    q, r = linalg.qr(matrix)
    signs = r.diagonal(dim1=-2, dim2=-1).sign()
    return q * signs.where(signs != 0, 1.0).unsqueeze(-2)


def _by_reflections(x: Tensor) -> Tensor:
    """The first columns of a product of Householder's reflections, whose vectors are the columns of
    `x` below the diagonal with 1 on it; the diagonal of `x` has the columns' signs.

    All at once: the product is ``I - V T V'``, where the inverse of ``T`` is the upper triangle of
    ``V' V`` with half its diagonal.
    """
    rows, columns = x.shape[-2:]
    vectors = x.tril(-1) + Tensor.eye(rows, columns, dtype=x.dtype)
    products = vectors.mT @ vectors
    halved = products.triu(1) + (products * Tensor.eye(columns, dtype=x.dtype)) * 0.5
    solved = linalg.solve_triangular(halved, vectors[..., :columns, :].mT, upper=True)
    q = Tensor.eye(rows, columns, dtype=x.dtype) - vectors @ solved
    signs = x.detach().diagonal(dim1=-2, dim2=-1).to(dtypes.int32).to(x.dtype)
    return q * signs.unsqueeze(-2)


def orthogonal(
    module: Any,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Any:
    """The parameter `name` as a matrix (or stack of them) with orthonormal columns, or rows.

    Args:
        orthogonal_map: ``"matrix_exp"`` (square matrices), ``"cayley"`` or ``"householder"``
            (others).
        use_trivialization: multiply by a fixed matrix, so that values can be assigned; Lezcano
            Casado, "Trivializations for gradient-based optimization on manifolds", 2019.

    Raises:
        ValueError: no such parameter, not a matrix, or no such map.

    Example:
        >>> layer = orthogonal(grad.nn.Linear(20, 40))
        >>> bool(((layer.weight.T @ layer.weight - grad.eye(20)).abs() < 1e-5).all())
        True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if len(weight.shape) < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {len(weight.shape)} "
            "dimensions."
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(
            f"orthogonal_map has to be one of {', '.join(MAPS)}. Got: {orthogonal_map}"
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return register_parametrization(module, name, made, unsafe=True)
