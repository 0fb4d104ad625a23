"""How many digits of the coefficients are right."""

from __future__ import annotations

import numpy as np

from mle_regression.linalg.arrays import EPS

_MOST = 15.0


def expected_digits(condition: float, residual_ratio: float, eps: float = EPS) -> float:
    """Digits that are left of the largest coefficients, −log₁₀ of eps · (κ + κ² · ‖r‖/‖Xβ‖), from 0 to 15.

    The condition number of the least-squares problem (Wedin, 1973; Higham, 2002, theorem 20.1): what a backward stable
    solver with rounding ``eps`` keeps, and what a perturbation of X by ``eps`` leaves of the solution itself.

    Parameters
    ----------
    condition : float
        κ of the columns, scaled to unit length.
    residual_ratio : float
        ‖r‖/‖Xβ‖.
    eps : float

    Examples
    --------
    >>> round(expected_digits(1e4, 0.0), 1)
    11.7
    """
    if not np.isfinite(condition):
        return 0.0
    error = eps * (condition + condition**2 * residual_ratio)
    return float(np.clip(-np.log10(error), 0.0, _MOST)) if error > 0 else _MOST
