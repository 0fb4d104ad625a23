"""How y scatters round the mean of a fit, and how likely that makes rows, old and new."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.diagnostics import criteria
from mle_regression.diagnostics.likelihood import new_log_density
from mle_regression.diagnostics.noise_factor import SingularNoise
from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.scaling import scale
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.registry import find_noise


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The noise of m outputs at the estimate, and the likelihood of the rows of the fit.

    Attributes
    ----------
    family : str
        Name of the noise family.
    frequency : bool
        Whether a weight says how often a row is there; else it is a precision.
    covariance : Array of shape (m, m)
        Σ̂ of outputs divided by ``unit · 2**exponent``, where no square overflows or vanishes; diagonal, and infinite where
        the noise has no variance, of families whose outputs are independent given the mean.
    root : Array of shape (m, m) or (0, 0)
        Its upper triangular root, or the diagonal matrix of the scales of such families; empty where it is singular.
    unit : Array of shape (m,)
    exponent : IntArray of shape (m,)
    noise_free : BoolArray of shape (m,)
        Of which outputs the fit is exact.
    singular : SingularNoise or None
        Why the likelihood of all outputs together has no finite maximum though each has noise; None where it has.
    log_likelihood : float
        Of the rows of the fit, in the units of y.
    n : float
        Number of observations: rows of weight, or the sum of frequency weights.
    n_parameters : float
        Those of the mean of every output, and of the noise.
    residual_dof : float or Array of shape (m,)
        Degrees of freedom that are left to tell the noise from; of each output, where they differ.
    """

    family: str
    frequency: bool
    covariance: Array
    root: Array
    unit: Array
    exponent: IntArray
    noise_free: BoolArray
    singular: SingularNoise | None
    log_likelihood: float
    n: float
    n_parameters: float
    residual_dof: float | Array

    @property
    def noise(self) -> NoiseFamily:
        """The noise family; raises ValueError, with the name, where there is none of this name."""
        return find_noise(self.family)

    @property
    def scale_of_y(self) -> Array:
        """Scale (m,) of the noise of each output in the units of y, of an observation of weight one."""
        return scale(self.scales * self.unit, self.exponent)

    @property
    def scales(self) -> Array:
        """Scale (m,) of the noise of each output, in their units; zero where the fit is exact."""
        if self.noise.sums_suffice:
            return np.sqrt(np.diagonal(self.covariance))
        return np.diagonal(self.root).copy() if self.root.size else np.zeros(self.n_outputs)

    @property
    def n_outputs(self) -> int:
        """Number of outputs m."""
        return len(self.covariance)

    @property
    def covariance_of_y(self) -> Array:
        """Σ̂ (m, m) in the units of y."""
        with np.errstate(over="ignore", under="ignore"):
            return scale(self.covariance * np.outer(self.unit, self.unit), self.exponent[:, None] + self.exponent)

    @property
    def criteria(self) -> dict[str, float]:
        """AIC, AICc and BIC under the names of the estimators' attributes."""
        return {
            "aic_": criteria.aic(self.log_likelihood, self.n_parameters),
            "aicc_": criteria.aicc(self.log_likelihood, self.n_parameters, self.n),
            "bic_": criteria.bic(self.log_likelihood, self.n_parameters, self.n),
        }

    def log_density(self, y: Array, mean: Array, weights: Array | None, terms: Array | None = None) -> Array:
        """Log density (n,) of rows of y (n, m) about their means (n, m); rows of weight zero contribute nothing.

        ``terms`` (n, m) are the sums of the sizes of the terms that the means are made of, where these are known.
        """
        density = new_log_density(
            self.noise,
            scale(y / self.unit, -self.exponent),
            scale(mean / self.unit, -self.exponent),
            self.covariance,
            weights,
            frequency=self.frequency,
            noise_free=self.noise_free,
            root=self.root,
            terms=None if terms is None else scale(terms / self.unit, -self.exponent),
        )
        counted = 1.0 if weights is None else weights if self.frequency else weights > 0
        log_unit = float(np.log(self.unit).sum()) + float(np.log(2.0) * self.exponent.sum())
        return np.asarray(density - log_unit * counted)


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """A fit whose solver still runs: as much as predictions and likelihoods of callbacks ask for."""

    likelihood: Likelihood
