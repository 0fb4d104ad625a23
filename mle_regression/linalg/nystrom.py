"""The leading eigenpairs of a positive semidefinite matrix that is known only by its products with blocks of vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from mle_regression.linalg.arrays import EPS, Array

# Eigenvalues below this many times the shift, which keeps the sketch positive definite, are rounding.
_SHIFT_UNITS = 16.0
# Factor by which a shift grows that was too small.
_LARGER_SHIFT = 100.0


@dataclass(frozen=True, slots=True)
class LowRank:
    """A matrix ``vectors diag(values) vectorsᵀ``, nowhere larger than the one that it stands for but for rounding.

    Attributes
    ----------
    values : Array of shape (r,)
        Descending, positive.
    vectors : Array of shape (P, r)
    rest : float
        About the largest eigenvalue that was not found; zero where none but rounding is left.
    """

    values: Array
    vectors: Array
    rest: float


def nystrom(product: Callable[[Array], Array], size: int, rank: int, rng: np.random.Generator) -> LowRank:
    """Approximate a matrix G (P, P) by one product ``Y = GΩ`` with random vectors: ``Y (ΩᵀY)⁻¹ Yᵀ`` (Tropp et al., 2017).

    Exact to rounding where the rank of G is less than ``rank``.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).standard_normal((5, 400))
    >>> found = nystrom(lambda v: rows.T @ (rows @ v), 400, 20, np.random.default_rng(1))
    >>> len(found.values), found.rest
    (5, 0.0)
    """
    sketch, _ = np.linalg.qr(rng.standard_normal((size, min(rank, size))))
    image = product(sketch)
    shift = size**0.5 * EPS * float(np.linalg.norm(image, 2))
    if not shift > 0:
        return LowRank(np.empty(0), np.empty((size, 0)), 0.0)
    image += shift * sketch
    core = sketch.T @ image
    try:
        factor = cholesky(0.5 * (core + core.T), check_finite=False)
    except LinAlgError:  # rounding beyond the shift
        image += (_LARGER_SHIFT - 1.0) * shift * sketch
        shift *= _LARGER_SHIFT
        core = sketch.T @ image
        factor = cholesky(0.5 * (core + core.T), check_finite=False)
    half = solve_triangular(factor, image.T, trans=1, check_finite=False).T
    vectors, spread, _ = np.linalg.svd(half, full_matrices=False)
    values = spread**2 - shift
    keep = values > _SHIFT_UNITS * shift
    rest = float(values[-1]) if keep.all() and len(values) < size else 0.0
    return LowRank(values[keep], vectors[:, keep], rest)
