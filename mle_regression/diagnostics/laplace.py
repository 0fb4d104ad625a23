"""A Gaussian round the optimum: how sure a network's parameters are, and how likely its penalties make the data.

With noise of variance σ² and a Gaussian prior of variance σ²/(n d) on each parameter, minus the log posterior is
``n J / (2σ²)`` and a constant, ``J = S + Σ dᵢθᵢ²`` with the mean square S of the residuals. Its curvature, the second
derivatives of the network left out, is ``(n/σ²) A`` with ``A = mean JᵀJ + diag(d)``: positive, whatever the point, and exact
for a model that is linear in θ (MacKay, 1992; Bishop, 2006, section 5.7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, eigh
from scipy.linalg.lapack import dpotrf, dtrtri

from mle_regression.linalg.arrays import EPS, Array

_ROUNDING = 16.0
# Variance of the prior of a parameter in standard units, at least and at most.
PRIOR_VARIANCE = 1e-10, 1e2


@dataclass(frozen=True, slots=True)
class Curvature:
    """``A = mean JᵀJ + diag(d)`` inverted.

    Attributes
    ----------
    root : Array of shape (P, r)
        ``A⁻¹ = root rootᵀ``; directions in which A is zero to working precision are left out.
    variance : Array of shape (P,)
        Diagonal of A⁻¹.
    log_determinant : float
        Of A; −∞ if directions were left out.
    undetermined : Array of shape (P, k)
        Those directions.
    """

    root: Array
    variance: Array
    log_determinant: float
    undetermined: Array

    @property
    def rank(self) -> int:
        """Number of directions that A determines."""
        return int(self.root.shape[1])


def inverted(gauss_newton: Array, penalty: Array) -> Curvature:
    """Invert A by its Cholesky factor or, where it is singular, by its eigenvectors."""
    matrix = gauss_newton.copy()
    matrix[np.diag_indices_from(matrix)] += penalty
    least = _ROUNDING * EPS * len(matrix) ** 0.5 * float(np.abs(np.diagonal(matrix)).max())
    factor, failed = dpotrf(matrix, lower=1, clean=1)
    if not failed and float(np.diagonal(factor).min()) ** 2 > least:
        inverse, failed = dtrtri(factor, lower=1)
        root = np.ascontiguousarray(inverse.T)
        log_determinant = 2.0 * float(np.log(np.diagonal(factor)).sum())
        if not failed:
            return Curvature(root, np.einsum("ij,ij->i", root, root), log_determinant, np.empty((len(root), 0)))
    try:
        values, vectors = eigh(matrix, check_finite=False)
    except LinAlgError:
        raise ValueError("The network's derivatives are not finite; its parameters are too large.") from None
    keep = values > _ROUNDING * EPS * len(matrix) ** 0.5 * values[-1]
    root = vectors[:, keep] / np.sqrt(values[keep])
    log_determinant = float(np.log(values).sum()) if keep.all() else -np.inf
    return Curvature(root, np.einsum("ij,ij->i", root, root), log_determinant, vectors[:, ~keep])


def effective_parameters(curvature: Curvature, penalty: Array) -> Array:
    """Return how far the data, rather than the prior, determine each parameter (P,): 1 − dᵢ(A⁻¹)ᵢᵢ; their sum is γ."""
    return np.asarray(1.0 - penalty * curvature.variance) - _undetermined(curvature)


def _undetermined(curvature: Curvature) -> float:
    """Share of each parameter in the directions that were left out."""
    size = len(curvature.variance)
    return (size - curvature.rank) / size


def distance(curvature: Curvature, gradient: Array, n: float, noise: float) -> float:
    """Return how many posterior standard deviations the optimum is away: √(δᵀ(n/σ²)Aδ), δ = −A⁻¹g/2 (Gauss–Newton)."""
    step = 0.5 * (curvature.root.T @ gradient)
    return float((n / max(noise, 1e-300)) ** 0.5 * np.linalg.norm(step))


def log_marginal_likelihood(
    curvature: Curvature,
    penalty: Array,
    theta: Array,
    squares: float,
    noise: float,
    n: float,
    outputs: int,
    log_weights: float,
) -> float:
    """Return the log evidence, the density of the data with the parameters integrated out.

    Parameters
    ----------
    curvature : Curvature
        Of A at θ.
    penalty, theta : Array of shape (P,)
        A parameter of penalty zero has a flat prior of density one.
    squares : float
        S, the mean over rows of the squared residuals, summed over outputs.
    noise : float
        σ².
    n, outputs : float, int
    log_weights : float
        Σ log w, of precision weights with mean one.
    """
    likelihood = (
        -0.5 * n * outputs * np.log(2.0 * np.pi * noise) - 0.5 * n * squares / noise + 0.5 * outputs * log_weights
    )
    held = penalty > 0
    precision = n * penalty[held] / noise
    prior = 0.5 * float(np.log(precision / (2.0 * np.pi)).sum()) - 0.5 * float(precision @ theta[held] ** 2)
    size = len(theta)
    volume = 0.5 * size * np.log(2.0 * np.pi) - 0.5 * (size * np.log(n / noise) + curvature.log_determinant)
    return float(likelihood + prior + volume)
