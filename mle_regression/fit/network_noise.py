"""From arrays to the objective of a network, and from where its training ended to what a fitted network knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mle_regression.diagnostics import criteria
from mle_regression.diagnostics.noise_factor import (
    SINGULAR,
    NoiseFactor,
    SingularNoise,
    factor_of_array,
    factor_of_cross,
)
from mle_regression.linalg.arrays import AnyArray, Array, BoolArray
from mle_regression.models.network import Network
from mle_regression.noise.gaussian import Gaussian
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.standard import Units

_ROUNDING = 64.0


def relative_alpha(alpha: float, weights: Array | None) -> float:
    """Return α for weights that have been divided by the largest."""
    return alpha if weights is None else alpha / float(weights.max())


@dataclass(frozen=True)
class Noise:
    """What a network's residuals say of the noise, in standard units of y.

    Attributes
    ----------
    covariance : Array of shape (m, m)
        Σ̂ = RᵀWR / n.
    root : Array of shape (m, m) or (0, 0)
        Its triangular root; empty where it is singular.
    log_likelihood : float
        In the units of y.
    noise_free : BoolArray of shape (m,)
        Of which outputs the residuals are no larger than rounding.
    n : float
        Number of observations: rows, or the sum of frequency weights.
    singular : SingularNoise or None
        Why the likelihood has no finite maximum though all outputs have noise; None where it has.
    """

    covariance: Array
    root: Array
    log_likelihood: float
    noise_free: BoolArray
    n: float
    singular: SingularNoise | None


def noise_of(
    cross: Array,
    residuals: Callable[[], Array],
    spread: Array,
    weights: Array | None,
    n_rows: int,
    eps: float,
    frequency: bool,
) -> Noise:
    """Return the noise from mean cross-products of residuals (m, m) in units ``spread`` (m,) of y.

    ``residuals`` gives these themselves, (n, m) times the roots of weights, in the same units; they are asked for where
    their cross-products have lost the digits that a determinant needs.
    """
    m, total = len(cross), float(n_rows) if weights is None else float(weights.sum())
    counted = n_rows if weights is None else int((weights > 0).sum())
    n = total if frequency else float(counted)
    log_weights = 0.0 if weights is None or frequency else float(np.log(weights[weights > 0]).sum())
    whole = cross * total
    noise_free = np.diagonal(cross) <= (_ROUNDING * eps) ** 2
    factor, bearable = SINGULAR, max(counted - 1, 0)
    if not noise_free.any() and bearable >= m:
        root = factor_of_cross(whole)
        rounding = np.full(m, _ROUNDING * eps * np.sqrt(total))
        factor = NoiseFactor(root) if root is not None else factor_of_array(residuals(), rounding)
    likelihood, root = np.inf, factor.root / np.sqrt(n)
    if not factor.singular:
        likelihood = Gaussian().max_log_likelihood(root, n, log_weights) - n * float(np.log(spread).sum())
    singular = None
    if factor.singular and not noise_free.any():
        in_units = tuple(relation.in_units(spread) for relation in factor.relations)
        singular = SingularNoise(in_units, bearable)
    return Noise(whole / n, root, likelihood, noise_free, n, singular)


def weighted_residuals(objective: NetworkObjective, theta: Array, total: float) -> Array:
    """Residuals (n, m) in standard units, times the roots of weights that add up to ``total``."""
    rows = objective.rows
    residuals = (rows.y - rows.of_y.center) / rows.of_y.spread - objective.outputs(theta)
    if rows.weights is None:
        return np.asarray(residuals)
    return np.asarray(residuals * np.sqrt(rows.weights * (total / rows.total))[:, None])


def observations(weights: Array | None, n_rows: int, frequency: bool) -> tuple[float, float]:
    """Return the number of observations, and Σ log w of precision weights with mean one."""
    if weights is None:
        return float(n_rows), 0.0
    if frequency:
        return float(weights.sum()), 0.0
    counted = weights[weights > 0]
    return float(len(counted)), float(np.log(counted / counted.mean()).sum())


def network_attributes(network: Network, theta: AnyArray, units: tuple[Units, Units]) -> dict[str, Any]:
    """Return ``coefs_`` and ``intercepts_`` as scikit-learn's networks have them, for X and y in their own units."""
    layers = [np.array(layer, dtype=np.float64) for layer in network.layers(np.asarray(theta, dtype=np.float64))]
    of_x, of_y = units
    with np.errstate(over="ignore", invalid="ignore"):
        layers[0][:, :-1] /= of_x.spread
        layers[0][:, -1] -= layers[0][:, :-1] @ of_x.center
        layers[-1] *= of_y.spread[:, None]
        layers[-1][:, -1] += of_y.center
    return {
        "coefs_": [layer[:, :-1].T.copy() for layer in layers],
        "intercepts_": [layer[:, -1].copy() for layer in layers],
    }


def likelihood_attributes(noise: Noise, spread: Array, n_parameters: int, single_output: bool) -> dict[str, Any]:
    """Return noise, likelihood and criteria by the names of the estimator's attributes."""
    m = len(spread)
    size = float(n_parameters + m * (m + 1) // 2)
    with np.errstate(over="ignore", under="ignore"):
        covariance = noise.covariance * spread[:, None] * spread[None, :]
    variance = np.diagonal(covariance).copy()
    fitted: dict[str, Any] = {
        "noise_variance_": float(variance[0]) if single_output else variance,
        "log_likelihood_": noise.log_likelihood,
        "n_parameters_": size,
        "aic_": criteria.aic(noise.log_likelihood, size),
        "aicc_": criteria.aicc(noise.log_likelihood, size, noise.n),
        "bic_": criteria.bic(noise.log_likelihood, size, noise.n),
    }
    if not single_output:
        fitted["noise_covariance_"] = covariance
    return fitted
