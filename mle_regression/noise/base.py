"""What the package asks of a noise family: functions of the standardised residual, and a few numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from mle_regression.linalg.arrays import Array

Function = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class NoiseFamily:
    """Noise of a density g(e)/s, with e = (y − f)/s the standardised residual and s > 0 the scale of an output.

    Weights: a row that stands for w equal rows counts w times its log density; one of precision w has the scale s/√w, so that
    its e is √w (y − f)/s. Functions take and return arrays of any shape.

    Attributes
    ----------
    name, title : str
        What the user calls it, and what reports call it, such as "Gaussian noise".
    log_density : callable
        log g(e).
    score : callable
        ψ(e) = −d log g/de.
    curvature : callable
        ψ′(e).
    cdf, quantile : callable
        Distribution function of e, and its inverse.
    mean, deviation : float
        Of e; NaN and infinite where they do not exist.
    information : float
        Fisher information about the location, E ψ(e)².
    log_concave : bool
        Whether ψ never falls: a linear model then has one optimum at most.
    max_log_likelihood : callable, default=None
        ``(root, n, sum_log_weights)``: the log-likelihood at the estimate, where the cross-products of the residuals (m, m),
        ``n rootᵀroot``, are all that the fit needs of the rows, and outputs have a covariance. None where it needs the rows
        themselves, and outputs are independent given the mean.
    """

    name: str
    title: str
    log_density: Function
    score: Function
    curvature: Function
    cdf: Function
    quantile: Function
    mean: float
    deviation: float
    information: float
    log_concave: bool
    max_log_likelihood: Callable[[Array, float, float], float] | None = None

    @property
    def sums_suffice(self) -> bool:
        """Whether sums over the rows determine the fit."""
        return self.max_log_likelihood is not None

    @property
    def variance_ratio(self) -> float:
        """Variance of e times the information: by how much a mean varies more than the best estimate of the location."""
        return self.deviation**2 * self.information

    def row_log_density(self, residuals: Array, root: Array, log_weights: Array | float = 0.0) -> Array:
        """Log density (n,) of residuals (n, m), each already times the root of its weight.

        ``Σⱼ log g(eⱼ) − log|root| + (m/2) log w`` with e = root⁻ᵀ residual: the root of a covariance, or a diagonal matrix of
        scales.
        """
        standardised = solve_triangular(root, residuals.T, trans="T", check_finite=False)
        shift = 0.5 * residuals.shape[1] * log_weights - 0.5 * log_determinant(root)
        return np.asarray(self.log_density(standardised).sum(axis=0) + shift)

    def sample(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> Array:
        """Draw values of e."""
        return self.quantile(rng.random(shape))


def log_determinant(root: Array) -> float:
    """Return log|RᵀR| of a triangle R."""
    return 2.0 * float(np.log(np.abs(root.diagonal())).sum())
