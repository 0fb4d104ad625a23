"""The information of sparse columns: their Gram matrix, sparse too, and a triangle only where someone asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from scipy.linalg.lapack import dpotrf

from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.elimination import Elimination, eliminate
from mle_regression.linalg.information import parameter_exponents
from mle_regression.linalg.memory import NUMBER_BYTES, require_memory
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.triangle import inverse_triangle, with_intercept

# A prediction is not determined if more than this share of its row's length lies along the null space.
_ALONG_NULL_SPACE = 1e-7
# Number of matrices of the size of the factor that standard errors and curvature need.
_COPIES = 5


@dataclass(frozen=True)
class SparseInformation:
    """XᵀWX + αI₀ over (intercept, coef), a sparse matrix, in columns divided by powers of two.

    What `DenseInformation` has as arrays, ``factor`` and ``root``, is worked out when it is asked for, in p × p memory.

    Attributes
    ----------
    gram : CSR array of shape (c + p, c + p)
        The matrix itself, c = 1 with an intercept and 0 without.
    orthogonal : IntArray of shape (d,)
        Rows and columns of the matrix, none of them dependent, that have no entries among themselves off the diagonal.
    null : Array of shape (c + p, r)
        Basis of its null space; column k is one at ``dependent[k]``, where the others are zero.
    dependent : IntArray of shape (r,)
        Parameters that depend on those before them.
    exponent : IntArray of shape (p,)
    total, alpha : float
    centred : bool
        Whether there is an intercept.
    dropped : bool
        Whether the dependent columns were left out of the fit, and not fitted by the smallest coefficients.
    """

    gram: Any
    orthogonal: IntArray
    null: Array
    dependent: IntArray
    exponent: IntArray
    total: float
    alpha: float
    centred: bool
    dropped: bool

    sparse: ClassVar[bool] = True

    @property
    def size(self) -> int:
        """Number of parameters, the intercept included."""
        return int(self.gram.shape[0])

    @property
    def rank(self) -> int:
        """Numerical rank over (intercept, coef)."""
        return self.size - len(self.dependent)

    @cached_property
    def mean(self) -> Array:
        """Weighted means (p,) of the columns; zero without intercept."""
        p = self.size - int(self.centred)
        return np.asarray(self.gram[[0]].toarray()[0, 1:] / self.total) if self.centred else np.zeros(p)

    @cached_property
    def estimable(self) -> BoolArray:
        """Which of (intercept, coef) the data determine."""
        if not self.dropped:
            return np.asarray(~self.null.any(axis=1))
        known = np.ones(self.size, dtype=bool)
        known[self.dependent] = False
        return known

    @cached_property
    def kept(self) -> IntArray:
        """Parameters that are not dependent."""
        return np.setdiff1d(np.arange(self.size), self.dependent)

    @cached_property
    def elimination(self) -> Elimination:
        """Factorisation of the rows and columns kept."""
        inner = self.gram if len(self.kept) == self.size else sp.csr_array(self.gram[self.kept][:, self.kept])
        return eliminate(inner, np.searchsorted(self.kept, self.orthogonal))

    def inverse_lengths(self) -> Array:
        """Lengths (c + p,) of the rows of the root of the inverse, zero for dependent parameters."""
        self._require(len(self.elimination.rest))
        lengths = np.zeros(self.size)
        lengths[self.kept] = self.elimination.inverse_lengths()
        return lengths

    def column_lengths(self) -> Array:
        """Lengths (p,) of the columns of the factor."""
        squares = self.gram.diagonal()[int(self.centred) :] - self.total * self.mean**2
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))

    def squares(self, coef: Array) -> Array:
        """Return ``‖factor coef‖²`` (m,) for coefficients (p, m) of scaled columns."""
        params = np.vstack([-self.mean @ coef, coef]) if self.centred else coef
        return np.asarray(np.einsum("ij,ij->j", params, self.gram @ params))

    def leverage(self, x: Any) -> Array:
        """Return xᵀ(XᵀWX + αI₀)⁻¹x for rows x (b, p), dense or sparse; NaN where the data do not determine the mean."""
        self._require(len(self.elimination.rest))
        rows = sp.csr_array(x)
        if self.centred:
            rows = sp.hstack([np.ones((rows.shape[0], 1)), rows])
        rows = sp.csr_array(rows @ sp.diags_array(scale(1.0, -parameter_exponents(self))))
        leverage = self.elimination.quadratic(rows[:, self.kept] if len(self.dependent) else rows)
        if len(self.dependent):
            length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
            outside = np.abs(rows @ self.null) > _ALONG_NULL_SPACE * length[:, None] * np.linalg.norm(self.null, axis=0)
            leverage[outside.any(axis=1)] = np.nan
        return leverage

    @cached_property
    def factor(self) -> Array:
        """Factor (rank − c, p) of the centred matrix, upper-triangular but for dependent columns."""
        p, first = self.size - int(self.centred), int(self.centred)
        self._require(p)
        columns = self.kept[first:]
        inner = self.gram[columns][:, columns].toarray()
        if self.centred:
            inner -= self.total * np.outer(self.mean[columns - 1], self.mean[columns - 1])
        upper, info = dpotrf(inner, clean=1, overwrite_a=1)
        if info != 0:
            raise np.linalg.LinAlgError("The Gram matrix of the fit is not positive definite.")
        factor = np.zeros((len(columns), p))
        factor[:, columns - first] = upper
        factor[:, self.dependent - first] = -upper @ self.null[columns]
        return factor

    @cached_property
    def root(self) -> Array:
        """Root (c + p, rank) of a generalised inverse, zero for dependent parameters; empty where the rank is full."""
        if not len(self.dependent):
            return np.zeros((0, 0))
        columns = self.kept[int(self.centred) :] - int(self.centred)
        inverse = inverse_triangle(self.factor[:, columns])
        if self.centred:
            inverse = with_intercept(inverse, self.mean[columns], self.total)
        root = np.zeros((self.size, inverse.shape[1]))
        root[self.kept] = inverse
        return root

    def _require(self, q: int) -> None:
        require_memory(
            _COPIES * NUMBER_BYTES * q**2,
            f"Standard errors and curvature of {self.size} parameters ask for matrices of {q} x {q} numbers",
            "Ask for chosen columns by diagnose(X, y).coefficients(columns=[...]), or fit fewer columns",
        )
