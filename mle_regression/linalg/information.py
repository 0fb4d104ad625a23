"""The matrix that a linear fit turns on, XᵀWX + αI₀ over (intercept, coef), known by its factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.rank import RowSpace, estimable
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.linalg.triangle import Triangle, inverse_triangle, with_intercept


class InformationFactor(Protocol):
    """What is asked of the matrix: `DenseInformation` has it at hand, others work it out when it is asked for, or refuse.

    Attributes are those of `DenseInformation`; ``sparse`` tells whether rows may stay sparse.
    """

    sparse: ClassVar[bool]

    @property
    def factor(self) -> Array:
        """Factor (k, p) of the centred matrix."""
        ...

    @property
    def root(self) -> Array:
        """Root (c + p, r) of the inverse, or empty where it follows from the factor."""
        ...

    @property
    def exponent(self) -> IntArray:
        """Exponents (p,) of the powers of two by which columns are divided."""
        ...

    @property
    def mean(self) -> Array:
        """Means (p,) of the columns."""
        ...

    @property
    def estimable(self) -> BoolArray:
        """Which of (intercept, coef) the data determine."""
        ...

    @property
    def total(self) -> float:
        """Sum of the weights."""
        ...

    @property
    def alpha(self) -> float:
        """Penalty."""
        ...

    @property
    def rank(self) -> int:
        """Numerical rank over (intercept, coef)."""
        ...

    @property
    def centred(self) -> bool:
        """Whether there is an intercept."""
        ...

    @property
    def size(self) -> int:
        """Number of parameters, the intercept included."""
        ...

    def inverse_lengths(self) -> Array:
        """Lengths (c + p,) of the rows of the root of the inverse."""
        ...

    def column_lengths(self) -> Array:
        """Lengths (p,) of the columns of the factor."""
        ...

    def squares(self, coef: Array) -> Array:
        """Return ``‖factor coef‖²`` (m,) for coefficients (p, m) of scaled columns."""
        ...


@dataclass(frozen=True, slots=True)
class DenseInformation:
    """Factors of the cross-products of [1 | X], in columns divided by powers of two.

    Attributes
    ----------
    factor : Array of shape (k, p)
        ``factorᵀ factor`` is the centred, penalised cross-product matrix; k is p, or the rank where that is smaller.
    root : Array of shape (c + p, r) or (0, 0)
        ``root rootᵀ`` is the inverse over (intercept, coef), c = 1 with an intercept and 0 without; where the rank is
        deficient, a generalised inverse. Left empty where it follows from ``factor`` (see `inverse_root`).
    exponent : IntArray of shape (p,)
        Columns of X are divided by ``2**exponent``.
    mean : Array of shape (p,)
        Weighted means of the columns, so divided; zero without intercept.
    estimable : BoolArray of shape (c + p,)
        Which of (intercept, coef) the data determine.
    total : float
        Sum of the weights.
    alpha : float
        The penalty.
    rank : int
        Numerical rank over (intercept, coef).
    centred : bool
        Whether there is an intercept.
    """

    factor: Array
    root: Array
    exponent: IntArray
    mean: Array
    estimable: BoolArray
    total: float
    alpha: float
    rank: int
    centred: bool

    sparse: ClassVar[bool] = False

    @property
    def size(self) -> int:
        """Number of parameters, the intercept included."""
        return int(self.centred) + int(self.factor.shape[1])

    def inverse_lengths(self) -> Array:
        """Lengths (c + p,) of the rows of the root of the inverse."""
        return column_norms(inverse_root(self).T)

    def column_lengths(self) -> Array:
        """Lengths (p,) of the columns of the factor."""
        return column_norms(self.factor)

    def squares(self, coef: Array) -> Array:
        """Return ``‖factor coef‖²`` (m,) for coefficients (p, m) of scaled columns."""
        image = self.factor @ coef
        return np.asarray(np.sum(image**2, axis=0))


def inverse_root(information: InformationFactor) -> Array:
    """Return the root (c + p, r) of the inverse over (intercept, coef), for columns divided by ``2**exponent``."""
    if len(information.root):
        return information.root
    inverse = inverse_triangle(information.factor)
    return with_intercept(inverse, information.mean, information.total) if information.centred else inverse


def scaled_factor(information: InformationFactor) -> Array:
    """Return a factor (c + k, c + p) of the matrix, in columns of [1 | X] divided by powers of two."""
    if not information.centred:
        return information.factor
    first = np.sqrt(information.total) * np.r_[1.0, information.mean]
    return np.vstack([first, np.hstack([np.zeros((len(information.factor), 1)), information.factor])])


def parameter_exponents(information: InformationFactor) -> IntArray:
    """Exponents (c + p,) of the powers of two by which the columns of [1 | X] are divided."""
    return np.asarray(np.r_[np.zeros(int(information.centred), dtype=np.int64), information.exponent])


def full_factor(information: InformationFactor) -> tuple[Array, int]:
    """Return a factor (c + k, c + p) of the matrix in the units of X, divided by ``2**shift``, and that shift."""
    exponent = parameter_exponents(information)
    shift = int(exponent.max(initial=0))
    return scale(scaled_factor(information), exponent - shift), shift


def information_of(triangle: Triangle, centred: bool, alpha: float, root: Array | None = None) -> InformationFactor:
    """Information of a triangle of full rank."""
    p = triangle.n_features
    return DenseInformation(
        factor=triangle.r,
        root=np.zeros((0, 0)) if root is None else root,
        exponent=triangle.exponent[:p],
        mean=triangle.mean[:p],
        estimable=np.ones(int(centred) + p, dtype=bool),
        total=triangle.total,
        alpha=alpha,
        rank=int(centred) + p,
        centred=centred,
    )


def deficient_information(triangle: Triangle, s: RowSpace, centred: bool, alpha: float) -> InformationFactor:
    """Information of a triangle cut to the rank of its spectrum, so that covariance and coefficients share one rank."""
    p = triangle.n_features
    determined, intercept_determined = estimable(triangle, s)
    root = s.root
    return DenseInformation(
        factor=triangle.r if s.rank == len(triangle.r) else s.factor,
        root=with_intercept(root, triangle.mean[:p], triangle.total) if centred else root,
        exponent=triangle.exponent[:p],
        mean=triangle.mean[:p],
        estimable=np.r_[intercept_determined, determined] if centred else determined,
        total=triangle.total,
        alpha=alpha,
        rank=int(centred) + s.rank,
        centred=centred,
    )


def dropped_information(kept: InformationFactor, pick: IntArray, full: InformationFactor) -> InformationFactor:
    """Information of a fit on the columns ``pick``: curvature of the whole matrix, covariance of the columns kept."""
    first = int(full.centred)
    rows = np.r_[np.arange(first), first + pick]
    inside = inverse_root(kept)
    root = np.zeros((full.size, inside.shape[1]))
    root[rows] = inside
    known = np.zeros(full.size, dtype=bool)
    known[rows] = True
    return DenseInformation(
        factor=full.factor,
        root=root,
        exponent=full.exponent,
        mean=full.mean,
        estimable=known,
        total=full.total,
        alpha=full.alpha,
        rank=full.rank,
        centred=full.centred,
    )
