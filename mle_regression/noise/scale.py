"""The scale that makes residuals likeliest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from mle_regression.linalg.arrays import EPS, Array
from mle_regression.noise.base import NoiseFamily

# By how much log s is moved to find where the slope of the likelihood changes sign, doubled each time.
_FIRST_STEP, _DOUBLINGS = 0.5, 12
# Accuracy of log s.
_XTOL = 1e-15


def likeliest_scale(noise: NoiseFamily, residuals: Array, counts: Array | None = None) -> float:
    """Return the scale s that makes residuals (n,), each ``counts`` times, likeliest under g(e/s)/s.

    The root of ``Σ c (e ψ(e) − 1)``, e = residual/s, which falls as log s grows where the density is log-concave. NaN where
    a residual is no finite number, zero where all are zero.
    """
    c = np.ones(len(residuals)) if counts is None else counts
    size = float(np.abs(residuals).max(initial=0.0))
    if not np.isfinite(size) or size == 0.0:
        return 0.0 if size == 0.0 else float(np.nan)
    inner, total = residuals / size, float(c.sum())
    start = 0.5 * float(np.log(max(float(c @ inner**2) / total, EPS**2)))

    def slope(log_scale: float) -> float:
        e = inner * np.exp(-log_scale)
        with np.errstate(over="ignore", invalid="ignore"):
            return float(c @ (e * noise.score(e))) / total - 1.0

    bracket = _bracket(slope, start)
    if bracket is None:
        return 0.0
    low, high = bracket
    return size * float(np.exp(low if low == high else brentq(slope, low, high, xtol=_XTOL, rtol=4.0 * EPS)))


def likeliest_scales(noise: NoiseFamily, residuals: Array, weights: Array | None, *, frequency: bool) -> Array:
    """Return the scale (m,) of each output that makes residuals (n, m) of rows likeliest; weights are positive."""
    if weights is not None and not frequency:
        residuals = np.sqrt(weights)[:, None] * residuals
    counts = weights if frequency else None
    return np.array([likeliest_scale(noise, column, counts) for column in residuals.T])


def log_density_at_scales(
    noise: NoiseFamily, residuals: Array, scales: Array, weights: Array | None, *, frequency: bool
) -> float:
    """Sum of the log density over rows of residuals (n, m) at scales (m,), all positive; so are weights."""
    if weights is None:
        return float(noise.row_log_density(residuals, np.diag(scales)).sum())
    if frequency:
        return float(weights @ noise.row_log_density(residuals, np.diag(scales)))
    standard = np.sqrt(weights)[:, None] * residuals
    return float(noise.row_log_density(standard, np.diag(scales), np.log(weights)).sum())


def _bracket(slope: Callable[[float], float], start: float) -> tuple[float, float] | None:
    """Return where the slope is positive, and above it negative; None where it falls below zero for no large scale."""
    low = high = start
    step = _FIRST_STEP
    value = slope(start)
    if value == 0.0:
        return start, start
    for _ in range(_DOUBLINGS):
        if value > 0:
            low, high = high, high + step
            if slope(high) <= 0:
                return low, high
        else:
            low, high = low - step, low
            if slope(low) >= 0:
                return low, high
        step *= 2.0
    return None
