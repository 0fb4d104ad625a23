"""The information of a fit by products alone: what is known of a matrix that has never been formed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

import numpy as np

from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.memory import GIB, NUMBER_BYTES, MemoryNeededError


class NoTriangleError(MemoryNeededError):
    """What is asked for needs a triangle of p × p numbers, which a fit by products has not."""


@dataclass(frozen=True)
class ProductInformation:
    """XᵀWX + αI₀ over (intercept, coef) as products with X have shown it, in columns divided by powers of two.

    Attributes
    ----------
    lengths : Array of shape (p,)
        Roots of the diagonal of the centred, penalised matrix.
    explained : Array of shape (m,)
        ``βᵀ(XᵀWX + αI₀)β`` of the coefficients of the fit, outputs divided by powers of two.
    exponent : IntArray of shape (p,)
    mean : Array of shape (p,)
        Weighted means of the columns; zero without intercept.
    total, alpha : float
    rank : int
        Over (intercept, coef); the largest that it may be, where ``certain`` is false or null vectors were not all found.
    effective_dof : float
        Effective number of parameters, estimated under a penalty.
    centred : bool
    certain : bool
        Whether it is known if the rank is full.
    """

    lengths: Array
    explained: Array
    exponent: IntArray
    mean: Array
    total: float
    alpha: float
    rank: int
    effective_dof: float
    centred: bool
    certain: bool

    sparse: ClassVar[bool] = True

    @property
    def size(self) -> int:
        """Number of parameters, the intercept included."""
        return int(self.centred) + len(self.lengths)

    @property
    def estimable(self) -> BoolArray:
        """Which of (intercept, coef) the data determine: all, where the rank is full; else it is not known, and none."""
        return np.full(self.size, self.certain and self.rank == self.size)

    @property
    def factor(self) -> Array:
        """Refused: it was never formed."""
        self._refuse()

    @property
    def root(self) -> Array:
        """Refused: it was never formed."""
        self._refuse()

    def inverse_lengths(self) -> Array:
        """Refuse: standard errors ask for the inverse."""
        self._refuse()

    def column_lengths(self) -> Array:
        """Lengths (p,) of the columns of the factor."""
        return self.lengths

    def squares(self, coef: Array) -> Array:
        """Return ``βᵀ(XᵀWX + αI₀)β`` (m,) of the coefficients of the fit."""
        return self.explained

    def _refuse(self) -> NoReturn:
        p = len(self.lengths)
        gibibytes = NUMBER_BYTES * p**2 / GIB
        raise NoTriangleError(
            f"This fit was made by products with X alone: it has no {p} x {p} triangle ({gibibytes:.3g} GiB), of "
            "which standard errors, intervals, Hessian and summary are made. With the rows, diagnose(X, y) has the standard "
            "errors of chosen columns, coefficients(columns=[...]), and test_linear, by products too; or fit with "
            "solver='normal' where the triangle fits into memory."
        )
