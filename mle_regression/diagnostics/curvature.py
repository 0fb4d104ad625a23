"""What the Hessian of the objective says of the optimum."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg.lapack import dgejsv

from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.information import InformationFactor, full_factor, parameter_exponents, scaled_factor
from mle_regression.linalg.product_information import ProductInformation
from mle_regression.linalg.qr import triangular_factor
from mle_regression.linalg.scaling import column_norms, exponents, scale
from mle_regression.linalg.singular import of_easy_columns, values_of_easy_columns

# One-sided Jacobi costs some tens of times an ordinary SVD; beyond this size it is used only where it is needed.
_JACOBI_SIZE = 300
_EASY_CONDITION, _LIKE_LENGTHS = 1e4, 30.0
# Powers of two that lie between the sizes of columns: with so many between the smallest and the largest, a product of
# two leaves float64; columns with so many between them share no digit of their singular values.
_WIDE_RANGE, _GAP = 400, 60

_REDUCTION = 1e-6
# Errors of a column of the triangular factor, in eps of its length for each column.
_FACTOR_EPS = 4.0

UNIQUE_MINIMUM = "unique minimum"
FLAT_MINIMUM = "flat minimum"
NOT_STATIONARY = "not stationary"
UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class HessianSpectrum:
    """Eigenvalues (c + p,) of H = (2/N)(XᵀWX + αI₀) over (intercept, coef), ascending, and λmax/λmin.

    Attributes
    ----------
    eigenvalues : Array of shape (c + p,)
        In the units of X; zero or infinite where they leave float64.
    condition : float
        Infinite where the rank is deficient, or the ratio beyond float64.
    """

    eigenvalues: Array
    condition: float


def hessian_spectrum(information: InformationFactor) -> HessianSpectrum:
    """Spectrum of the Hessian in the units of X.

    The eigenvalues are squares of singular values of the triangular factor, found by one-sided Jacobi rotations with an
    error relative to each (Drmač and Veselić, 2008): columns in units of 1e-9 and 1e9 do not blur them. Of a deficient rank
    the missing ones are exactly zero. With a refined fit the small ones come from the inverse, where they are large.
    """
    values, exponent = _singular_values(information)
    eigenvalues = scale(2.0 / information.total * values**2, 2 * exponent)
    condition = float(np.inf)
    if values.size and information.rank == information.size:
        condition = float(scale((values[0] / values[-1]) ** 2, 2 * int(exponent[0] - exponent[-1])))
    return HessianSpectrum(np.sort(np.concatenate([np.zeros(information.size - len(values)), eigenvalues])), condition)


def hessian_eigenvalues(information: InformationFactor) -> Array:
    """Eigenvalues of H over (intercept, coef), in the units of X, ascending (see `hessian_spectrum`)."""
    return hessian_spectrum(information).eigenvalues


def condition_number(information: InformationFactor) -> float:
    """Return λmax/λmin of H; infinite where the rank is deficient, or the ratio beyond float64."""
    return hessian_spectrum(information).condition


def eigenvalue_bounds(values: Array, scaled_condition: float, rank: int) -> Array:
    """Return how far the eigenvalues (k,) of `hessian_eigenvalues`, ascending, may be off by rounding.

    The triangular factor R has errors in each column relative to its length, η = k·eps of it. They move a singular value σ
    by at most η κ σ, κ the condition of R with columns of unit length (Demmel and Veselić, 1992), and by no more than
    η σmax; σ² by twice as much of itself. Those beyond the rank are zero: the smallest of the others may be off by as much
    as the rank's decision lets them.
    """
    eta = _FACTOR_EPS * len(values) * EPS
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        # Of values beyond float64 it is not known, and taken as that of the largest.
        known = np.isfinite(values) & (values.max(initial=0.0) > 0)
        share = np.where(known, np.sqrt(values / values.max(initial=0.0)), 1.0)
        relative = eta * np.minimum(scaled_condition if rank == len(values) else np.inf, 1.0 / share)
        bounds = values * (2.0 * relative + relative**2)
    return np.where(np.arange(len(values)) < len(values) - rank, (eta * values.max(initial=0.0) ** 0.5) ** 2, bounds)


def hessian(information: InformationFactor) -> Array:
    """Return H = (2/N)(XᵀWX + αI₀) over (intercept, coef), (c + p, c + p), in the units of X."""
    factor, exponent = scaled_factor(information), parameter_exponents(information)
    return scale(2.0 / information.total * (factor.T @ factor), exponent[:, None] + exponent)


def hessian_eigenvectors(information: InformationFactor) -> Array:
    """Eigenvectors of H over (intercept, coef), a column each, in the order of `hessian_eigenvalues`.

    The largest component of each is positive.
    """
    factor, _ = full_factor(information)
    easy = of_easy_columns(factor)
    vectors = None if easy is None else easy[1][::-1].T
    if vectors is None and information.rank == information.size and len(factor) >= factor.shape[1] > 0:
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


def descent(eigenvalues: Array, rank: int | None = None) -> Descent:
    """Return steps and speed of gradient descent; in a flat valley, along the directions that are not flat.

    ``rank`` of the eigenvalues (k,), ascending, are none of them zero but for underflow; those above zero, if None.
    """
    curved = eigenvalues[eigenvalues > 0] if rank is None else eigenvalues[len(eigenvalues) - rank :]
    if not curved.size:
        return Descent(np.inf, np.inf, 0.0, 0.0)
    low, high = float(curved.min()), float(curved.max())
    share = low / high if high < np.inf else float(low == high)
    # log((high - low)/(high + low)) without the cancellation that a large condition number brings.
    log_rate = float(np.log1p(-2.0 * share / (1.0 + share))) if share < 1.0 else -np.inf
    with np.errstate(over="ignore"):
        iterations = (
            1.0 if log_rate == -np.inf else float(np.ceil(np.log(_REDUCTION) / log_rate)) if log_rate else np.inf
        )
        return Descent(2.0 / high, 2.0 / high / (1.0 + share), (1.0 - share) / (1.0 + share), iterations)


def verdict(information: InformationFactor) -> str:
    """Say what the stationary point of a quadratic is: a positive definite H has one minimum, a singular one a valley."""
    if isinstance(information, ProductInformation) and not information.certain:
        return UNDETERMINED
    return UNIQUE_MINIMUM if information.rank == information.size else FLAT_MINIMUM


def _singular_values(information: InformationFactor) -> tuple[Array, IntArray]:
    """Nonzero singular values of the factor of [1 | X], descending, as numbers about one and powers of two."""
    exponent = parameter_exponents(information)
    values, power = _graded(scaled_factor(information), exponent)
    if not information.root.size or information.rank < information.size:
        return values, power
    inverse, inverse_power = _graded(information.root.T, -exponent)
    inverse, inverse_power = 1.0 / inverse[::-1], -inverse_power[::-1]
    size = np.log2(values) + power
    middle = 0.5 * (size[0] + np.log2(inverse[-1]) + inverse_power[-1])
    large = size > middle
    return np.where(large, values, inverse), np.where(large, power, inverse_power)


def graded_singular_values(a: Array) -> Array:
    """Singular values of a, descending; each to full relative precision if a is well-conditioned but for its columns' scales.

    Examples
    --------
    >>> import numpy as np
    >>> values = graded_singular_values(np.array([[1.0, 1e-200], [1.0, -1e-200]]))
    >>> bool(np.allclose(values, np.sqrt(2) * np.array([1.0, 1e-200]), rtol=1e-15, atol=0))
    True
    """
    return scale(*_graded(a, np.zeros(a.shape[1], dtype=np.int64)))


def _graded(a: Array, exponent: IntArray) -> tuple[Array, IntArray]:
    """Singular values (k,) of ``a * 2**exponent`` (n, k), descending: factors, and exponents (k,) of powers of two.

    Where columns are too far apart for one decomposition, those that follow a gap of 60 powers of two change the singular
    values before it by less than a part in 2**120; theirs are those of the corresponding block of a triangular factor.
    """
    if a.shape[0] < a.shape[1]:
        # Where the rank is deficient: scale rows to about one size, in the units of the largest column.
        top = int(exponent.max(initial=0))
        return _graded(scale(a, exponent - top).T, np.full(len(a), top))
    size = exponent + exponents(np.abs(a).max(axis=0, initial=0.0))
    if not size.size:
        return np.zeros(0), size
    top = int(size.max())
    if top - int(size.min()) <= _WIDE_RANGE:
        values = _of_one_range(scale(a, exponent - top))
        return values, np.full(len(values), top)
    order = np.argsort(-size, kind="stable")
    size = size[order]
    upper = triangular_factor(scale(a[:, order], exponent[order] - size))
    starts = np.r_[0, 1 + np.flatnonzero(size[:-1] - size[1:] >= _GAP)]
    parts, powers = [], []
    for lo, hi in pairwise([*starts.tolist(), len(size)]):
        parts.append(_by_jacobi(scale(upper[lo:hi, lo:hi], size[lo:hi] - size[lo])))
        powers.append(np.full(hi - lo, size[lo]))
    return np.concatenate(parts), np.concatenate(powers)


def _of_one_range(tall: Array) -> Array:
    """Singular values of a (n, k), n ≥ k, whose squares stay in float64.

    By Jacobi where it is small, or ill-conditioned with columns of unlike lengths: rotations have a relative error of eps
    times the condition of columns of unit length, which of columns of like lengths is that of any decomposition.
    """
    easy = values_of_easy_columns(tall)
    if easy is not None:
        return easy
    if tall.shape[1] > _JACOBI_SIZE:
        values = np.asarray(np.linalg.svd(tall, compute_uv=False))
        if values[-1] * _EASY_CONDITION > values[0] or _are_alike(tall):
            return values
    return _by_jacobi(tall)


def _are_alike(a: Array) -> bool:
    """Whether the columns are of about one length."""
    lengths = column_norms(a)
    return bool(lengths.max() <= _LIKE_LENGTHS * lengths.min())


def _by_jacobi(tall: Array) -> Array:
    """Singular values of a (n, k), n ≥ k, by one-sided Jacobi rotations."""
    values, _, _, work, _, info = dgejsv(tall, joba=0, jobu=3, jobv=3)
    if info != 0:
        return np.asarray(np.linalg.svd(tall, compute_uv=False))
    return np.sort(np.asarray(values) * (work[0] / work[1]))[::-1]
