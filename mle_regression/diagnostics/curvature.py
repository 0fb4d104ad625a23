"""What the Hessian of the objective says of the optimum."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dgejsv

from mle_regression.linalg.arrays import Array
from mle_regression.linalg.geometry import Geometry, full_factor
from mle_regression.linalg.scaling import scale

# One-sided Jacobi costs some tens of times an ordinary SVD; beyond this size it is used only where it is needed.
_JACOBI_SIZE = 300
_EASY_CONDITION = 1e4

UNIQUE_MINIMUM = "unique minimum"
FLAT_MINIMUM = "flat minimum"


def hessian_eigenvalues(geometry: Geometry) -> Array:
    """Eigenvalues of H = (2/N)(XᵀWX + αI₀) over (intercept, coef), in the units of X, ascending.

    They are squares of singular values of the triangular factor, found by one-sided Jacobi rotations with an error
    relative to each (Drmač and Veselić, 2008): columns in units of 1e-9 and 1e9 do not blur them. Of a deficient rank
    the missing ones are exactly zero. With a refined fit the small ones come from the inverse, where they are large.
    """
    values, shift = _singular_values(geometry)
    zeros = np.zeros(geometry.size - len(values))
    eigenvalues = scale(2.0 / geometry.total * values**2, 2 * shift)
    return np.sort(np.concatenate([zeros, eigenvalues]))


def condition_number(geometry: Geometry) -> float:
    """Return λmax/λmin of H; infinite where the rank is deficient, or the ratio beyond float64."""
    values, _ = _singular_values(geometry)
    if geometry.rank < geometry.size or not values.size:
        return float(np.inf)
    with np.errstate(over="ignore", divide="ignore"):
        return float((values.max() / values.min()) ** 2)


def verdict(geometry: Geometry) -> str:
    """Say what the stationary point of a quadratic is: a positive definite H has one minimum, a singular one a valley."""
    return UNIQUE_MINIMUM if geometry.rank == geometry.size else FLAT_MINIMUM


def _singular_values(geometry: Geometry) -> tuple[Array, int]:
    """Nonzero singular values of the factor of [1 | X], divided by ``2**shift``, and that shift."""
    factor, shift = full_factor(geometry)
    values = graded_singular_values(factor)
    if geometry.root.size and geometry.rank == geometry.size:
        exponent = np.r_[np.zeros(int(geometry.centred), dtype=np.int64), geometry.exponent]
        inverse = np.sort(1.0 / graded_singular_values(scale(geometry.root.T, shift - exponent)))[::-1]
        middle = np.sqrt(values[0]) * np.sqrt(inverse[-1])
        values = np.where(values > middle, values, inverse)
    return values, shift


def graded_singular_values(a: Array) -> Array:
    """Singular values of a, descending; each to full relative precision if a is well-conditioned but for its columns' scales.

    Examples
    --------
    >>> import numpy as np
    >>> values = graded_singular_values(np.array([[1.0, 1e-200], [1.0, -1e-200]]))
    >>> bool(np.allclose(values, np.sqrt(2) * np.array([1.0, 1e-200]), rtol=1e-15, atol=0))
    True
    """
    tall = a if a.shape[0] >= a.shape[1] else a.T
    if tall.shape[1] == 0:
        return np.zeros(0)
    if tall.shape[1] > _JACOBI_SIZE:
        values = np.asarray(np.linalg.svd(tall, compute_uv=False))
        if values[-1] * _EASY_CONDITION > values[0]:
            return values
    values, _, _, work, _, info = dgejsv(tall, joba=0, jobu=3, jobv=3)
    if info != 0:
        return np.asarray(np.linalg.svd(tall, compute_uv=False))
    return np.sort(np.asarray(values) * (work[0] / work[1]))[::-1]
