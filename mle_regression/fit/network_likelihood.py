"""What the residuals of a network say of the noise, and how likely they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mle_regression.diagnostics.likelihood import EXACT_RESIDUAL_EPS
from mle_regression.diagnostics.noise_factor import (
    SINGULAR,
    NoiseFactor,
    SingularNoise,
    factor_of_array,
    factor_of_cross,
)
from mle_regression.fit.independent_likelihood import independent_likelihood
from mle_regression.fitted.likelihood import Likelihood
from mle_regression.linalg.arrays import Array
from mle_regression.noise.base import NoiseFamily
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.observations import n_observations, sum_log_weights


def likelihood_of(
    noise: NoiseFamily,
    cross: Array,
    residuals: Callable[[], Array],
    spread: Array,
    weights: Array | None,
    n_rows: int,
    eps: float,
    frequency: bool,
    n_parameters: int,
) -> Likelihood:
    """Return the likelihood from mean cross-products of residuals (m, m) in units ``spread`` (m,) of y.

    Of a noise family that sums do not determine, from the residuals themselves.

    ``residuals`` gives these themselves, (n, m) times the roots of weights, in the same units; they are asked for where
    their cross-products have lost the digits that a determinant needs.
    """
    m, total = len(cross), float(n_rows) if weights is None else float(weights.sum())
    if not noise.sums_suffice:
        inside = None if weights is None else weights[weights > 0]
        plain = residuals() if inside is None else residuals() / np.sqrt(inside)[:, None]
        return independent_likelihood(
            noise, plain, inside, frequency=frequency, unit=spread, mean_parameters=float(n_parameters)
        )
    n, log_weights = n_observations(weights, n_rows, frequency=frequency), sum_log_weights(weights, frequency=frequency)
    whole = cross * total
    noise_free = np.diagonal(cross) <= (EXACT_RESIDUAL_EPS * eps) ** 2
    factor, bearable = SINGULAR, max(int(n_observations(weights, n_rows, frequency=False)) - 1, 0)
    if not noise_free.any() and bearable >= m:
        root = factor_of_cross(whole)
        rounding = np.full(m, EXACT_RESIDUAL_EPS * eps * np.sqrt(total))
        factor = NoiseFactor(root) if root is not None else factor_of_array(residuals(), rounding)
    likelihood, root = np.inf, factor.root / np.sqrt(n)
    if not factor.singular and noise.max_log_likelihood is not None:
        likelihood = noise.max_log_likelihood(root, n, log_weights) - n * float(np.log(spread).sum())
    singular = None
    if factor.singular and not noise_free.any():
        in_units = tuple(relation.in_units(spread) for relation in factor.relations)
        singular = SingularNoise(in_units, bearable)
    return Likelihood(
        family=noise.name,
        frequency=frequency,
        covariance=whole / n,
        root=root,
        unit=spread,
        exponent=np.zeros(m, dtype=np.int64),
        noise_free=noise_free,
        singular=singular,
        log_likelihood=float(likelihood),
        n=n,
        n_parameters=float(n_parameters + m * (m + 1) // 2),
        residual_dof=np.inf,
    )


def weighted_residuals(objective: NetworkObjective, theta: Array, total: float) -> Array:
    """Residuals (n, m) in standard units, times the roots of weights that add up to ``total``."""
    rows = objective.rows
    residuals = (rows.y - rows.of_y.center) / rows.of_y.spread - objective.outputs(theta)
    if rows.weights is None:
        return np.asarray(residuals)
    return np.asarray(residuals * np.sqrt(rows.weights * (total / rows.total))[:, None])
