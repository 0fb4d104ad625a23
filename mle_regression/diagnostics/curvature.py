"""What the Hessian of the objective says of the optimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dgejsv

from mle_regression.linalg.arrays import Array
from mle_regression.linalg.geometry import Geometry, full_factor
from mle_regression.linalg.scaling import scale

# One-sided Jacobi costs some tens of times an ordinary SVD; beyond this size it is used only where it is needed.
_JACOBI_SIZE = 300
_EASY_CONDITION = 1e4

_REDUCTION = 1e-6

UNIQUE_MINIMUM = "unique minimum"
FLAT_MINIMUM = "flat minimum"
NOT_STATIONARY = "not stationary"


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


def hessian(geometry: Geometry) -> Array:
    """Return H = (2/N)(XᵀWX + αI₀) over (intercept, coef), (c + p, c + p), in the units of X."""
    factor, shift = full_factor(geometry)
    return scale(2.0 / geometry.total * (factor.T @ factor), 2 * shift)


def hessian_eigenvectors(geometry: Geometry) -> Array:
    """Eigenvectors of H over (intercept, coef), a column each, in the order of `hessian_eigenvalues`.

    The largest component of each is positive.
    """
    factor, _ = full_factor(geometry)
    vectors = None
    if geometry.rank == geometry.size and len(factor) >= factor.shape[1] > 0:
        # Jacobi rotations keep small components of vectors right as they do small values, whatever the units.
        values, _, right, _, _, info = dgejsv(factor, joba=0, jobu=3, jobv=0)
        vectors = right[:, np.argsort(values, kind="stable")] if info == 0 else None
    if vectors is None:
        _, _, right_t = np.linalg.svd(factor, full_matrices=True)
        vectors = right_t[::-1].T
    largest = np.abs(vectors).argmax(axis=0)
    return np.asarray(vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])]))


@dataclass(frozen=True, slots=True)
class Descent:
    """What gradient descent with a constant step does on a quadratic with these eigenvalues (Polyak, 1964).

    Attributes
    ----------
    stable_step : float
        2/λmax: any step below converges, any above diverges.
    optimal_step : float
        2/(λmin + λmax).
    rate : float
        (κ − 1)/(κ + 1), by which the optimal step shrinks the error each time.
    iterations : float
        Steps of the optimal size to shrink the error to a millionth.
    """

    stable_step: float
    optimal_step: float
    rate: float
    iterations: float


def descent(eigenvalues: Array) -> Descent:
    """Return steps and speed of gradient descent; in a flat valley, along the directions that are not flat."""
    positive = eigenvalues[eigenvalues > 0]
    if not positive.size:
        return Descent(np.inf, np.inf, 0.0, 0.0)
    low, high = float(positive.min()), float(positive.max())
    with np.errstate(over="ignore"):
        # log((high - low)/(high + low)) without the cancellation that a large condition number brings.
        log_rate = float(np.log1p(-2.0 * low / (low + high))) if high > low else -np.inf
        iterations = (
            1.0 if log_rate == -np.inf else float(np.ceil(np.log(_REDUCTION) / log_rate)) if log_rate else np.inf
        )
        return Descent(float(2.0 / high), float(2.0 / (low + high)), (high - low) / (high + low), iterations)


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
