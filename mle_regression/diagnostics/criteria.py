"""Information criteria."""

from __future__ import annotations

import numpy as np


def aic(log_likelihood: float, n_parameters: float) -> float:
    """Akaike's criterion −2ℓ + 2k; k counts the noise variance (R's convention)."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def aicc(log_likelihood: float, n_parameters: float, n: float) -> float:
    """AIC corrected for small samples, AIC + 2k(k + 1)/(n − k − 1) (Hurvich and Tsai, 1989); infinite if n ≤ k + 1."""
    left = n - n_parameters - 1.0
    if left <= 0:
        return float(np.inf)
    return aic(log_likelihood, n_parameters) + 2.0 * n_parameters * (n_parameters + 1.0) / left


def bic(log_likelihood: float, n_parameters: float, n: float) -> float:
    """Schwarz's criterion −2ℓ + k log n (Schwarz, 1978)."""
    return -2.0 * log_likelihood + n_parameters * float(np.log(n))
