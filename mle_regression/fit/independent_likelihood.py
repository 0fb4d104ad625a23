"""The likelihood under noise that rows and not sums determine: one scale an output, outputs independent given the mean."""

from __future__ import annotations

import numpy as np

from mle_regression.diagnostics.likelihood import EXACT_RESIDUAL_EPS
from mle_regression.fitted.likelihood import Likelihood
from mle_regression.linalg.arrays import EPS, Array
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.scale import likeliest_scales, log_density_at_scales
from mle_regression.rows.observations import n_observations


def independent_likelihood(
    noise: NoiseFamily,
    residuals: Array,
    weights: Array | None,
    *,
    frequency: bool,
    unit: Array,
    mean_parameters: float,
) -> Likelihood:
    """Return the likelihood of residuals (n, m), in units (m,) of y, at the scales that make them likeliest.

    Weights are positive. ``mean_parameters`` are those of the means of all outputs together.
    """
    m = residuals.shape[1]
    scales = likeliest_scales(noise, residuals, weights, frequency=frequency)
    n = n_observations(weights, len(residuals), frequency=frequency)
    noise_free = scales <= EXACT_RESIDUAL_EPS * EPS
    likelihood = np.inf
    if not noise_free.any():
        likelihood = log_density_at_scales(noise, residuals, scales, weights, frequency=frequency)
        likelihood -= n * float(np.log(unit).sum())
    return Likelihood(
        family=noise.name,
        frequency=frequency,
        covariance=np.diag((scales * noise.deviation) ** 2),
        root=np.zeros((0, 0)) if noise_free.any() else np.diag(scales),
        unit=unit,
        exponent=np.zeros(m, dtype=np.int64),
        noise_free=noise_free,
        singular=None,
        log_likelihood=float(likelihood),
        n=n,
        n_parameters=mean_parameters + m,
        residual_dof=np.inf,
    )
