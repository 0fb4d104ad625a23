"""Gaussian noise: maximising the likelihood is minimising the mean squared error."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from mle_regression.linalg.arrays import Array
from mle_regression.noise.base import NoiseFamily, log_determinant

LOG_2PI = float(np.log(2.0 * np.pi))


def _log_density(e: Array) -> Array:
    return np.asarray(-0.5 * (LOG_2PI + e * e))


def max_log_likelihood(root: Array, n: float, sum_log_weights: float) -> float:
    """Log-likelihood at the estimate Σ̂ = RᵀR of n observations with noise N(0, Σ/w).

    ``−(n/2) (m log 2π + log|Σ̂| + m) + (m/2) Σ log w``. Determinants of an upper triangle R (m, m) keep the digits that
    those of Σ̂ lose where outputs are nearly dependent.
    """
    m = len(root)
    return float(-0.5 * n * (m * LOG_2PI + log_determinant(root) + m) + 0.5 * m * sum_log_weights)


GAUSSIAN = NoiseFamily(
    name="gaussian",
    title="Gaussian noise",
    log_density=_log_density,
    score=np.asarray,
    curvature=np.ones_like,
    cdf=ndtr,
    quantile=ndtri,
    mean=0.0,
    deviation=1.0,
    information=1.0,
    log_concave=True,
    max_log_likelihood=max_log_likelihood,
)
