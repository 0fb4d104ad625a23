"""Gaussian noise: maximising the likelihood is minimising the mean squared error."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from mle_regression.linalg.arrays import Array

LOG_2PI = float(np.log(2.0 * np.pi))


class Gaussian:
    """Normal noise N(0, σ²/w), with a full covariance Σ/w between several outputs.

    Σ is given by its root, an upper triangle R (m, m) with ``RᵀR = Σ``: determinants and quadratic forms of R keep the
    digits that those of Σ lose where outputs are nearly dependent.
    """

    name = "gaussian"

    def log_density(self, residuals: Array, root: Array, log_weights: Array | float = 0.0) -> Array:
        """Log density of each row of residuals (n, m), each already times the root of its weight.

        ``−½ (m log 2π + log|Σ| + eᵀΣ⁻¹e) + (m/2) log w``.
        """
        m = residuals.shape[1]
        standardised = solve_triangular(root, residuals.T, trans="T", check_finite=False)
        squares = np.einsum("ij,ij->j", standardised, standardised)
        density: Array = -0.5 * (m * LOG_2PI + log_determinant(root) + squares) + 0.5 * m * log_weights
        return density

    def max_log_likelihood(self, root: Array, n: float, sum_log_weights: float) -> float:
        """Log-likelihood at the estimate Σ̂ = RᵀR of n observations.

        ``−(n/2) (m log 2π + log|Σ̂| + m) + (m/2) Σ log w``.
        """
        m = len(root)
        return float(-0.5 * n * (m * LOG_2PI + log_determinant(root) + m) + 0.5 * m * sum_log_weights)


def log_determinant(root: Array) -> float:
    """Return log|RᵀR| of a triangle R."""
    return 2.0 * float(np.log(np.abs(np.diagonal(root))).sum())
