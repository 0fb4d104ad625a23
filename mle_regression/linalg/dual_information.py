"""The information of a penalised fit of fewer rows than columns, by the few directions that the rows span."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.memory import NUMBER_BYTES, require_memory
from mle_regression.linalg.qr import triangular_factor

# Matrices of the size of the factor that standard errors and curvature take.
_COPIES = 5


@dataclass(frozen=True)
class DualInformation:
    """XᵀWX + αI₀ over (intercept, coef), its centred part ``V diag(s²) Vᵀ + αI`` of few directions V (p, k).

    The inverse is ``V diag(1/(s² + α)) Vᵀ + (I − VVᵀ)/α``. What `DenseInformation` has as an array, ``factor``, is worked out
    when it is asked for, in p × p memory.

    Attributes
    ----------
    values : Array of shape (k,)
        Singular values s of the centred, weighted rows.
    basis : Array of shape (k, p)
        Vᵀ, its rows orthonormal.
    mean : Array of shape (p,)
        Weighted means of the columns; zero without intercept.
    total, alpha : float
    centred : bool
    """

    values: Array
    basis: Array
    mean: Array
    total: float
    alpha: float
    centred: bool

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
        """Columns (p,) are in the units of X."""
        return np.zeros(self.basis.shape[1], dtype=np.int64)

    @property
    def estimable(self) -> BoolArray:
        """Which of (intercept, coef) are determined: all."""
        return np.ones(self.size, dtype=bool)

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
        return triangular_factor(np.vstack([self.values[:, None] * self.basis, np.sqrt(self.alpha) * np.eye(p)]))

    def inverse_lengths(self) -> Array:
        """Lengths (c + p,) of the rows of the root of the inverse."""
        inside = self.basis**2
        outside = np.maximum(1.0 - inside.sum(axis=0), 0.0)
        lengths = np.sqrt((1.0 / (self.values**2 + self.alpha)) @ inside + outside / self.alpha)
        return (
            np.concatenate([np.sqrt(self.leverage(np.zeros((1, len(lengths))))), lengths]) if self.centred else lengths
        )

    def column_lengths(self) -> Array:
        """Lengths (p,) of the columns of the factor."""
        return np.asarray(np.sqrt(self.values**2 @ self.basis**2 + self.alpha))

    def squares(self, coef: Array) -> Array:
        """Return ``‖factor coef‖²`` (m,) for coefficients (p, m)."""
        image = self.values[:, None] * (self.basis @ coef)
        return np.asarray(np.sum(image**2, axis=0) + self.alpha * np.sum(coef**2, axis=0))

    def leverage(self, x: Array) -> Array:
        """Return xᵀ(XᵀWX + αI₀)⁻¹x, intercept included, for rows x (b, p)."""
        centred = np.asarray(x, dtype=np.float64) - self.mean
        inside = centred @ self.basis.T
        outside = centred - inside @ self.basis
        leverage = (
            inside**2 @ (1.0 / (self.values**2 + self.alpha)) + np.einsum("ij,ij->i", outside, outside) / self.alpha
        )
        return np.asarray(leverage + 1.0 / self.total if self.centred else leverage)
