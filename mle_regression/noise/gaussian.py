"""Gaussian noise: maximising the likelihood is minimising the mean squared error."""

from __future__ import annotations

import numpy as np

from mle_regression.linalg.arrays import EPS, Array, IntArray

LOG_2PI = float(np.log(2.0 * np.pi))


class Gaussian:
    """Normal noise N(0, σ²/w), with a full covariance Σ/w between several outputs."""

    name = "gaussian"

    def log_density(self, residuals: Array, covariance: Array, log_weights: Array | float = 0.0) -> Array:
        """Log density of each row of residuals, each already times the root of its weight.

        ``−½ (m log 2π + log|Σ| + eᵀΣ⁻¹e) + (m/2) log w`` for e of shape (n, m) and Σ of shape (m, m). Where Σ is zero the
        density is infinite at e = 0 and zero elsewhere.
        """
        m = residuals.shape[1]
        scale = np.sqrt(np.diagonal(covariance))
        if not (scale > 0).all():
            return np.where((residuals == 0).all(axis=1), np.inf, -np.inf)
        factor = np.linalg.cholesky(covariance / np.outer(scale, scale))
        standardised = np.linalg.solve(factor, (residuals / scale).T)
        log_det = 2.0 * (np.log(np.diagonal(factor)).sum() + np.log(scale).sum())
        squares = np.einsum("ij,ij->j", standardised, standardised)
        density: Array = -0.5 * (m * LOG_2PI + log_det + squares) + 0.5 * m * log_weights
        return density

    def max_log_likelihood(self, residual_cross: Array, exponent: IntArray, n: float, sum_log_weights: float) -> float:
        """Log-likelihood at the estimate Σ̂ = RᵀWR/n, of outputs (m,) that were divided by ``2**exponent``.

        ``−(n/2) (m log 2π + log|Σ̂| + m) + (m/2) Σ log w``; infinite where Σ̂ is singular to working precision.
        """
        m = len(exponent)
        scale = np.sqrt(np.diagonal(residual_cross))
        if not (scale > 0).all():
            return float(np.inf)
        sign, log_det = np.linalg.slogdet(residual_cross / np.outer(scale, scale))
        if sign <= 0 or (m > 1 and log_det < np.log(m * EPS)):
            return float(np.inf)
        log_det += 2.0 * (np.log(scale).sum() + np.log(2.0) * exponent.sum()) - m * np.log(n)
        return float(-0.5 * n * (m * LOG_2PI + log_det + m) + 0.5 * m * sum_log_weights)
