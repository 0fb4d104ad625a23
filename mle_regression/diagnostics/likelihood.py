"""How likely residuals are."""

from __future__ import annotations

import numpy as np

from mle_regression.diagnostics.noise_factor import factor_of_cross, noise_range
from mle_regression.linalg.arrays import EPS, Array, BoolArray
from mle_regression.linalg.scaling import column_norms
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.scale import likeliest_scales, log_density_at_scales
from mle_regression.rows.observations import n_observations, sum_log_weights

# Residuals up to this many eps, in units of the spread of y, are rounding: the fit is exact.
EXACT_RESIDUAL_EPS = 64.0
# A combination of residuals that has no noise, and is smaller than this beside them, is zero.
_OUTSIDE_RANGE = 1e-6
# Condition number of a Cholesky factor up to which a covariance is surely nonsingular.
COVARIANCE_CONDITION = 1e7


def profile_log_likelihood(residuals: Array, weights: Array | None, *, frequency: bool, noise: NoiseFamily) -> float:
    """Mean log-likelihood of a row of residuals (n, m), at the scale of each output that makes all rows likeliest.

    Under Gaussian noise ``−½ Σⱼ (log(2π sⱼ²) + 1)`` with sⱼ² = Σ w eⱼ²/n, and the mean of (m/2) log w for precision weights.
    Outputs are taken as independent, so that fewer rows than outputs will do. Residuals below rounding, in units of the
    spread of y, are all of one size. −∞ where a residual is no number. Weights are positive.
    """
    if not noise.sums_suffice:
        return _profile_by_rows(residuals, weights, frequency, noise)
    n, m = residuals.shape
    w = np.ones(n) if weights is None else weights
    count = n_observations(weights, n, frequency=frequency)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = w @ residuals**2 / count
    if not np.isfinite(variance).all():
        return -float(np.inf)
    log_weights = 0.5 * m * sum_log_weights(weights, frequency=frequency) / n
    likelihood = -0.5 * np.log(np.maximum(variance, (EXACT_RESIDUAL_EPS * EPS) ** 2)).sum()
    return float(likelihood - 0.5 * m * (np.log(2.0 * np.pi) + 1.0) + log_weights)


def _profile_by_rows(residuals: Array, weights: Array | None, frequency: bool, noise: NoiseFamily) -> float:
    scales = likeliest_scales(noise, residuals, weights, frequency=frequency)
    if not np.isfinite(scales).all():
        return -float(np.inf)
    scales = np.maximum(scales, EXACT_RESIDUAL_EPS * EPS)
    count = n_observations(weights, len(residuals), frequency=frequency)
    return log_density_at_scales(noise, residuals, scales, weights, frequency=frequency) / count


def new_log_density(
    noise: NoiseFamily,
    y: Array,
    mean: Array,
    covariance: Array,
    weights: Array | None,
    *,
    frequency: bool,
    noise_free: bool | BoolArray,
    root: Array | None = None,
    terms: Array | None = None,
) -> Array:
    """Log density of each row of y (n, m) about its mean (n, m); rows of weight zero contribute nothing.

    ``root`` (m, m) is that of the covariance, if it is known; of an empty one, and of outputs without noise, the density is
    infinite where y is its mean to rounding in all combinations of outputs that have no noise, and zero elsewhere. ``terms``
    (n, m) are the sums of the sizes of the terms that the mean is made of, which its rounding is relative to.
    """
    residuals = y - mean
    if root is None:
        root = factor_of_cross(covariance, COVARIANCE_CONDITION)
    if root is None or not root.size or np.any(noise_free):
        density = _singular_density(y, mean, covariance, noise_free, np.abs(mean) if terms is None else terms)
        return density if weights is None else np.where(weights > 0, density, 0.0)
    if weights is None:
        return noise.row_log_density(residuals, root)
    counted = weights > 0
    density = np.zeros(len(y))
    inside, w = residuals[counted], weights[counted]
    if frequency:
        density[counted] = w * noise.row_log_density(inside, root)
    else:
        density[counted] = noise.row_log_density(np.sqrt(w)[:, None] * inside, root, np.log(w))
    return density


def _singular_density(y: Array, mean: Array, covariance: Array, noise_free: bool | BoolArray, terms: Array) -> Array:
    """Log density (n,) of noise that lies in a subspace: infinite there, minus infinite outside."""
    residuals = y - mean
    # If the terms of the mean are not known, the largest outputs stand for them.
    rounding = EXACT_RESIDUAL_EPS * EPS * (terms + np.abs(y).max(axis=0, initial=0.0))
    spread = np.sqrt(np.diagonal(covariance))
    silent = np.broadcast_to(noise_free, len(spread)) | (spread <= 0)
    inside = (np.abs(residuals[:, silent]) <= rounding[:, silent]).all(axis=1)
    if not silent.any():
        basis = noise_range(covariance / np.outer(spread, spread))
        standard = residuals / spread
        outside = column_norms((standard - (standard @ basis) @ basis.T).T)
        inside = outside <= column_norms((rounding / spread).T) + _OUTSIDE_RANGE * column_norms(standard.T)
    return np.where(inside, np.inf, -np.inf)
