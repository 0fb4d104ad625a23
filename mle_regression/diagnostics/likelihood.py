"""What a linear fit says of the noise, and how likely it makes the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.diagnostics import criteria
from mle_regression.diagnostics.covariance import effective_parameters
from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.geometry import Geometry
from mle_regression.linalg.scaling import scale
from mle_regression.noise.gaussian import Gaussian

# Residuals of this many units of rounding are none, to a fit without noise.
_ROUNDING = 64.0


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Noise and likelihood at the optimum of a linear model with m outputs.

    Attributes
    ----------
    noise_covariance : Array of shape (m, m)
        Σ̂ = RᵀWR / n, in the units of y.
    residual_scale : Array of shape (m,)
        s = √(RSS / residual_dof), of outputs divided by ``2**output_exponent``.
    log_likelihood : float
    n : float
        Number of observations: rows, or the sum of frequency weights.
    effective_dof : float
        Parameters of the mean, a penalised one counted in part.
    residual_dof : float
    n_parameters : float
        Those of the mean of every output, and of the noise.
    """

    noise_covariance: Array
    residual_scale: Array
    log_likelihood: float
    n: float
    effective_dof: float
    residual_dof: float
    n_parameters: float

    @property
    def criteria(self) -> dict[str, float]:
        """AIC, AICc and BIC under the names of the estimators' attributes."""
        return {
            "aic_": criteria.aic(self.log_likelihood, self.n_parameters),
            "aicc_": criteria.aicc(self.log_likelihood, self.n_parameters, self.n),
            "bic_": criteria.bic(self.log_likelihood, self.n_parameters, self.n),
        }


def likelihood_at(
    geometry: Geometry,
    residual_cross: Array,
    output_exponent: IntArray,
    noise: Gaussian,
    n: float,
    sum_log_weights: float,
    noise_free: bool,
) -> Likelihood:
    """Noise and likelihood from cross-products of residuals (m, m), of outputs divided by ``2**output_exponent``."""
    m = len(output_exponent)
    dof = effective_parameters(geometry)
    # Under a penalty effective degrees of freedom are no integer, and a difference of rounding is none.
    left = n - dof if n - dof > np.sqrt(EPS) * n else 0.0
    squares = np.diagonal(residual_cross)
    log_likelihood = noise.max_log_likelihood(residual_cross, output_exponent, n, sum_log_weights)
    return Likelihood(
        noise_covariance=scale(residual_cross / n, output_exponent[:, None] + output_exponent[None, :]),
        residual_scale=np.sqrt(squares / left) if left > 0 else np.full(m, np.nan),
        log_likelihood=np.inf if noise_free else log_likelihood,
        n=n,
        effective_dof=dof,
        residual_dof=left,
        n_parameters=dof * m + m * (m + 1) / 2,
    )


def profile_log_likelihood(residuals: Array, weights: Array | None, *, frequency: bool) -> float:
    """Mean log-likelihood of a row of residuals (n, m), at the variance of each output that makes all rows likeliest.

    ``−½ Σⱼ (log(2π sⱼ²) + 1)`` with sⱼ² = Σ w eⱼ²/n, and the mean of (m/2) log w for precision weights. Outputs are taken as
    independent, so that fewer rows than outputs will do. Residuals below rounding, in units of the spread of y, are all of
    one size. −∞ where a residual is no number. Weights are positive.
    """
    n, m = residuals.shape
    w = np.ones(n) if weights is None else weights
    count = float(w.sum()) if frequency else float(n)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = w @ residuals**2 / count
    if not np.isfinite(variance).all():
        return -float(np.inf)
    log_weights = 0.0 if frequency or weights is None else 0.5 * m * float(np.log(w).mean())
    likelihood = -0.5 * np.log(np.maximum(variance, (_ROUNDING * EPS) ** 2)).sum()
    return float(likelihood - 0.5 * m * (np.log(2.0 * np.pi) + 1.0) + log_weights)


def new_log_density(
    noise: Gaussian,
    y: Array,
    mean: Array,
    covariance: Array,
    weights: Array | None,
    *,
    frequency: bool,
    noise_free: bool,
) -> Array:
    """Log density of each row of y (n, m) about its mean (n, m); rows of weight zero contribute nothing.

    A fit without noise has density infinity where y is its mean to rounding, and zero elsewhere.
    """
    residuals = y - mean
    if noise_free:
        # Rounding in a sum is relative to its terms, of which the largest outputs give an idea.
        size = np.abs(mean) + np.abs(y).max(axis=0)
        residuals = np.where(np.abs(residuals) <= _ROUNDING * EPS * size, 0.0, residuals)
        covariance = np.zeros_like(covariance)
    if weights is None:
        return noise.log_density(residuals, covariance)
    counted = weights > 0
    density = np.zeros(len(y))
    inside, w = residuals[counted], weights[counted]
    if frequency:
        density[counted] = w * noise.log_density(inside, covariance)
    else:
        density[counted] = noise.log_density(np.sqrt(w)[:, None] * inside, covariance, np.log(w))
    return density
