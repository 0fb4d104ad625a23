"""The information of a penalised fit by singular directions: of fewer rows than columns, or under many penalties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.memory import NUMBER_BYTES, require_memory
from mle_regression.linalg.qr import triangular_factor
from mle_regression.linalg.scaling import scale

# Number of p × p matrices that standard errors and curvature need.
_COPIES = 5


@dataclass(frozen=True)
class SpectralInformation:
    """XᵀWX + αI₀ over (intercept, coef), its centred part ``V diag(s²) Vᵀ + αI`` of directions V (p, k), p or fewer.

    The inverse is ``V diag(1/(s² + α)) Vᵀ + (I − VVᵀ)/α``: other penalties have the same V, which they share. What
    `DenseInformation` has as an array, ``factor``, is worked out when it is asked for, in p × p memory.

    Attributes
    ----------
    values : Array of shape (k,)
        Singular values s of the centred, weighted rows, their columns divided by ``2**unit``.
    basis : Array of shape (k, p)
        Vᵀ, its rows orthonormal.
    mean : Array of shape (p,)
        Weighted means of the columns so divided; zero without intercept.
    total, alpha : float
        Sum of the weights, and the penalty on coefficients in the units of X.
    centred : bool
    unit : int
    """

    values: Array
    basis: Array
    mean: Array
    total: float
    alpha: float
    centred: bool
    unit: int = 0

    sparse: ClassVar[bool] = False

    @property
    def size(self) -> int:
        """Number of parameters, the intercept included."""
        return int(self.centred) + int(self.basis.shape[1])

    @property
    def rank(self) -> int:
        """Rank over (intercept, coef): the penalty makes it full."""
        return self.size

    @property
    def exponent(self) -> IntArray:
        """Exponents (p,) of the power of two by which all columns are divided."""
        return np.full(self.basis.shape[1], self.unit, dtype=np.int64)

    @property
    def scaled_alpha(self) -> float:
        """Penalty on coefficients of the columns so divided."""
        return float(scale(self.alpha, -2 * self.unit))

    @property
    def estimable(self) -> BoolArray:
        """Which of (intercept, coef) are determined: all."""
        return np.ones(self.size, dtype=bool)

    @property
    def complete(self) -> bool:
        """Whether there are as many directions as columns, and nothing is outside of them."""
        return bool(len(self.basis) == self.basis.shape[1])

    @property
    def root(self) -> Array:
        """Empty: it follows from the factor."""
        return np.zeros((0, 0))

    @cached_property
    def factor(self) -> Array:
        """Upper-triangular factor (p, p) of the centred, penalised matrix."""
        p = self.basis.shape[1]
        require_memory(
            _COPIES * NUMBER_BYTES * p**2,
            f"Covariances and curvature of {self.size} parameters ask for matrices of {p} x {p} numbers",
            "Standard errors and intervals of predictions need none; or fit fewer columns",
        )
        return triangular_factor(np.vstack([self.values[:, None] * self.basis, np.sqrt(self.scaled_alpha) * np.eye(p)]))

    def inverse_lengths(self) -> Array:
        """Lengths (c + p,) of the rows of the root of the inverse."""
        inside = self.basis**2
        outside = np.zeros(inside.shape[1]) if self.complete else np.maximum(1.0 - inside.sum(axis=0), 0.0)
        lengths = np.sqrt((1.0 / (self.values**2 + self.scaled_alpha)) @ inside + outside / self.scaled_alpha)
        return (
            np.concatenate([np.sqrt(self.leverage(np.zeros((1, len(lengths))))), lengths]) if self.centred else lengths
        )

    def column_lengths(self) -> Array:
        """Lengths (p,) of the columns of the factor."""
        return np.asarray(np.sqrt(self.values**2 @ self.basis**2 + self.scaled_alpha))

    def squares(self, coef: Array) -> Array:
        """Return ``‖factor coef‖²`` (m,) for coefficients (p, m)."""
        image = self.values[:, None] * (self.basis @ coef)
        return np.asarray(np.sum(image**2, axis=0) + self.scaled_alpha * np.sum(coef**2, axis=0))

    def leverage(self, x: Array) -> Array:
        """Return xᵀ(XᵀWX + αI₀)⁻¹x, intercept included, for rows x (b, p)."""
        return leverages([self], x)[:, 0]


def leverages(informations: Sequence[SpectralInformation], x: Array) -> Array:
    """Return the leverages (b, g) of rows x (b, p) in informations of the same directions, under g penalties."""
    first = informations[0]
    alphas = np.array([information.scaled_alpha for information in informations])
    centred = scale(np.asarray(x, dtype=np.float64), -first.unit) - first.mean
    inside = centred @ first.basis.T
    leverage = inside**2 @ (1.0 / (first.values[:, None] ** 2 + alphas))
    if not first.complete:
        outside = centred - inside @ first.basis
        leverage += np.einsum("ij,ij->i", outside, outside)[:, None] / alphas
    return np.asarray(leverage + 1.0 / first.total if first.centred else leverage)
