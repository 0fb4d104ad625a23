"""The penalty of a linear model that makes the data likeliest, its coefficients integrated out."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from mle_regression.fitted.penalty import INFINITY, NO_COLUMN, ZERO, LinearPenalty
from mle_regression.linalg.arrays import TINY, Array

# Penalties that are tried, relative to the smallest and to the largest squared singular value.
_FROM, _TO, _GRID = 1e-10, 1e10, 400
# Effective parameters from which the end of the range stands for no penalty, and not for an infinite one.
_MOST_OF_NONE = 0.5


def largest_evidence(
    values: Array, projections: Array, squares: Array, n: float, centred: bool, total: float, sum_log_weights: float
) -> LinearPenalty:
    """Maximise the log evidence over α, the noise of each output at its own maximum Q/(n − c) (MacKay, 1992).

    With y = Xβ + noise and β ~ N(0, σ²/α), along the singular directions of the centred X ::

        −2 log p(y) = (n − c) log(2πσ²) + Σ log(1 + s²/α) + Q/σ²,   Q = RSS + Σ u² α/(s² + α)

    Parameters
    ----------
    values : Array of shape (r,)
        Singular values s of X, centred where there is an intercept, rows times √w; those that are not zero.
    projections : Array of shape (r, m)
        Of y on the left singular vectors, u.
    squares : Array of shape (m,)
        RSS of least squares.
    n, total, sum_log_weights : float
        Number of observations, Σ w, and Σ log w of precision weights.
    centred : bool
    """
    dof, outputs = n - float(centred), projections.shape[1]
    if dof <= 0:
        return LinearPenalty("evidence", 0.0, np.array([np.nan]), (NO_COLUMN,))
    # In units of the largest of them, squares neither overflow nor vanish.
    largest = float(values.max(initial=0.0))
    values = values / largest if largest else values

    def doubled(log_alpha: float) -> float:
        """Return −2 log p but for what does not depend on α."""
        alpha = np.exp(log_alpha)
        q = squares + (alpha / (values**2 + alpha)) @ projections**2
        return float(dof * np.log(np.maximum(q, TINY)).sum() + outputs * np.log1p(values**2 / alpha).sum())

    best, bounded = 0.0, True
    if values.size:
        grid = np.linspace(np.log(_FROM * values.min() ** 2), np.log(_TO), _GRID)
        k = int(np.argmin([doubled(at) for at in grid]))
        best, bounded = float(grid[k]), k in (0, _GRID - 1)
        if not bounded:
            between = grid[k - 1], grid[k + 1]
            best = minimize_scalar(doubled, bounds=between, method="bounded", options={"xatol": 1e-10}).x
    alpha = float(np.exp(best))
    q = squares + (alpha / (values**2 + alpha)) @ projections**2
    with np.errstate(divide="ignore"):
        constant = outputs * dof * (1.0 + np.log(2.0 * np.pi / dof)) + outputs * float(centred) * np.log(total)
    log_evidence = -0.5 * (doubled(best) + constant) + 0.5 * outputs * sum_log_weights
    effective = float((values**2 / (values**2 + alpha)).sum())
    original = alpha * largest * largest
    if values.size and not (np.isfinite(original) and original > 0):
        raise ValueError(
            f"The penalty that the evidence chooses, {alpha:.3g} times the square of {largest:.3g}, the largest singular "
            "value of X, is no float64. Measure the columns of X in other units."
        )
    value = np.array([log_evidence if (q > 0).all() else np.inf])
    limit = "" if not bounded else NO_COLUMN if not values.size else ZERO if effective > _MOST_OF_NONE else INFINITY
    return LinearPenalty("evidence", original, value, (limit,))
