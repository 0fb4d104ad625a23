"""What a fitted network predicts, how surely, and the objective that it was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from mle_regression.diagnostics.laplace_approximation import LEAST_DOF
from mle_regression.fitted.likelihood import Likelihood
from mle_regression.fitted.optimum import Optimum
from mle_regression.fitted.penalty import LeftOutChoice, PenaltyChoice
from mle_regression.fitted.posterior import Posterior
from mle_regression.fitted.predictive_noise import PredictiveNoise
from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.standard import Units, standard_rows
from mle_regression.rows.training_data import TrainingData

_JACOBIAN_SIZE = 1 << 22
# Fitted attributes of penalties and units that the data have chosen.
CHOSEN = (
    *("alpha_", "alpha_path_", "loo_score_", "effective_parameters_", "log_marginal_likelihood_"),
    *("asinh_center_", "asinh_scale_"),
)


@dataclass(frozen=True, slots=True)
class KeptCurvature:
    """What a fit keeps of the curvature where its training has ended.

    Attributes
    ----------
    eigenvalues, error_bounds : Array of shape (k,)
        Of the Hessian of J in standard units, ascending: all, or some at each end.
    condition_number : float
    verdict, reason : str
        What kind of place it is, and what the verdict rests on.
    """

    eigenvalues: Array
    error_bounds: Array
    condition_number: float
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class NetworkFit:
    """What a network fitted to d columns and m outputs knows of itself.

    Attributes
    ----------
    theta : Array of shape (P,)
        Parameters, in standard units.
    sizes : tuple of int
        Units of each layer, inputs and outputs included.
    activation : str
    of_x, of_y : Units
    alpha : Array of shape (P,) or ()
        Penalty, of weights as they were given.
    single_output : bool
        Whether y had one dimension.
    likelihood : Likelihood
    predictive : PredictiveNoise
        How far new rows lie from the mean.
    optimum : Optimum
    loss : float
        J at the parameters.
    validation_curve : tuple of float
        Log-likelihood of a row held out after each iteration; empty if none are.
    stability_limit : float
        Curvature above which the solver's steps grow; NaN where it has none of its own.
    memory : dict of str to array
        What the solver has remembered to go on with.
    penalty : PenaltyChoice or None
        Penalties by evidence.
    posterior : Posterior or None
    curvature : KeptCurvature or None
    left_out : LeftOutChoice or None
        The penalty by rows left out.
    members : tuple of NetworkFit
        Networks that predictions are the mean of, this one among them; empty where it predicts alone.
    """

    theta: Array
    sizes: tuple[int, ...]
    activation: str
    of_x: Units
    of_y: Units
    alpha: Array
    single_output: bool
    likelihood: Likelihood
    predictive: PredictiveNoise
    optimum: Optimum
    loss: float
    validation_curve: tuple[float, ...]
    stability_limit: float
    memory: dict[str, AnyArray]
    penalty: PenaltyChoice | None = None
    posterior: Posterior | None = None
    curvature: KeptCurvature | None = None
    left_out: LeftOutChoice | None = None
    members: tuple[NetworkFit, ...] = ()

    @property
    def network(self) -> Network:
        """The network."""
        return Network(self.sizes, find_activation(self.activation))

    @property
    def networks(self) -> tuple[NetworkFit, ...]:
        """Networks that predictions are averaged over."""
        return self.members or (self,)

    def chosen_attributes(self) -> dict[str, Any]:
        """Return the fitted attributes of an estimator that tell of what the data have chosen: of `CHOSEN`."""
        chosen, found, bend = self.penalty, self.left_out, self.of_x.bend
        units = {} if bend is None else {"asinh_center_": bend.origin.copy(), "asinh_scale_": bend.scale.copy()}
        if chosen is not None:
            evidence = {"log_marginal_likelihood_": chosen.log_marginal_likelihood}
            return {"alpha_": chosen.alpha, "effective_parameters_": chosen.effective} | evidence | units
        if found is None:
            return units
        with np.errstate(over="ignore"):
            score = found.score * self.of_y.spread**2
        return units | {
            "alpha_": found.by_group,
            "effective_parameters_": found.effective,
            "alpha_path_": found.path(self.of_y.spread, self.single_output),
            "loo_score_": float(score[0]) if self.single_output else score,
        }

    def layers_in_units(self) -> list[Array]:
        """Return each layer's weights and biases (units, inputs + 1), the last column biases, for X and y in their units.

        Of columns that are bent, for these bent.
        """
        layers = [np.array(layer, dtype=np.float64) for layer in self.network.layers(self.theta)]
        with np.errstate(over="ignore", invalid="ignore"):
            layers[0][:, :-1] /= self.of_x.spread
            layers[0][:, -1] -= layers[0][:, :-1] @ self.of_x.center
            layers[-1] *= self.of_y.spread[:, None]
            layers[-1][:, -1] += self.of_y.center
        return layers

    def objective(self, x: Any, y: Array | None = None, weights: Array | None = None) -> NetworkObjective:
        """Return the objective of some rows in float64, starting at the fitted parameters."""
        outputs = np.zeros((x.shape[0], self.sizes[-1])) if y is None else y
        data = TrainingData(x, outputs, weights, False, 0.0)
        rows = standard_rows(data, (self.of_x, self.of_y), "float64")
        share = 1.0 if weights is None else 1.0 / float(weights.max())
        return NetworkObjective(self.network, rows, self.alpha * share, self.theta)

    def mean(self, x: Any) -> Array:
        """Return the mean (n, m) in the units of y, of all networks."""
        return np.asarray(np.mean([one.own_mean(x) for one in self.networks], axis=0))

    def own_mean(self, x: Any) -> Array:
        """Return the mean (n, m) of this network alone."""
        return self.of_y.original(self.objective(x).outputs(self.theta).T)

    def variance(self, x: Any) -> Array:
        """Return the variance (n, m) of the mean that the parameters' uncertainty brings, in units of y squared.

        NaN where the mean depends on what the training data do not determine.
        """
        return self._variance(x) * self.of_y.spread**2

    @one_blas_thread()
    def _variance(self, x: Any) -> Array:
        """Return the same in standard units."""
        inverse = None if self.posterior is None else self.posterior.covariance
        if inverse is None:
            return np.full((x.shape[0], self.sizes[-1]), np.nan)
        objective = self.objective(x)
        m = self.sizes[-1]
        width = max(1, _JACOBIAN_SIZE // (m * len(self.theta)))
        squares = np.empty((x.shape[0], m))
        for lo in range(0, x.shape[0], width):
            jacobian = objective.output_jacobian(self.theta, slice(lo, min(lo + width, x.shape[0])))
            flat = jacobian.reshape(-1, len(self.theta))
            squares[lo : lo + width] = np.where(inverse.misses(flat), np.nan, inverse.quadratic(flat)).reshape(-1, m)
        return squares

    def moments(self, x: Any, noise_share: float | Array) -> tuple[Array, Array]:
        """Return the mean (n, m) of this network and the variance of a prediction with so much of the noise variance in it.

        The mean is in units of y, the variance in those of `of_y`, as the squares of y may overflow. ``noise_share`` is a
        number, or (n,) one a row.
        """
        mean, posterior, n = self.own_mean(x), self.posterior, self.likelihood.n
        share = np.reshape(noise_share, (-1, 1))
        if posterior is None:
            if not share.any():
                if not self.likelihood.noise.sums_suffice:
                    raise ValueError(
                        f"The uncertainty of a network's mean is not defined under {self.likelihood.noise.title} yet; ask "
                        "for kind='observation', which has the noise alone."
                    )
                raise ValueError(
                    "The uncertainty of this network's mean is not known: call fit with curvature='full', 'extremes', or "
                    "alpha='evidence' (partial_fit does not work it out); or ask for kind='observation', which has the "
                    "noise alone."
                )
            return mean, np.broadcast_to(
                share * self.predictive.variance * self.likelihood.noise.deviation**2, mean.shape
            )
        if posterior.invalid_reason:
            raise ValueError(posterior.invalid_reason)
        left = n - posterior.effective / mean.shape[1]
        variance = share * np.diagonal(self.likelihood.covariance)
        return mean, variance * n / max(left, LEAST_DOF * n) + self._variance(x)

    def deviation(self, x: Any, noise_share: float | Array) -> Array:
        """Return the standard deviation (n, m) of a prediction, in the units of y: of all networks, and between them."""
        means, variances = zip(*(one.moments(x, noise_share) for one in self.networks), strict=True)
        apart = np.var([mean / self.of_y.spread for mean in means], axis=0)
        return np.asarray(np.sqrt(np.mean(variances, axis=0) + apart) * self.of_y.spread)

    def disagreement(self, x: Any) -> Array:
        """Return the standard deviation (n, m) between the means of all networks, in the units of y."""
        return np.asarray(np.std([one.own_mean(x) for one in self.networks], axis=0))

    @property
    def noise_scale(self) -> Array:
        """Scale (m,) of the noise of new rows of weight one, in the units of y."""
        return np.asarray(
            np.sqrt(np.mean([one.predictive.variance for one in self.networks], axis=0)) * self.of_y.spread
        )

    def log_predictive_density(self, x: Any, y: Array, noise_share: float | Array) -> Array:
        """Return the log density (n,) of rows with the parameters' uncertainty, outputs taken as independent."""
        each, unit, noise = list[Array](), self.of_y.spread, self.likelihood.noise
        for one in self.networks:
            if not noise.sums_suffice:
                spread = np.sqrt(np.reshape(noise_share, (-1, 1)) * one.predictive.variance)
                gap = y / unit - one.own_mean(x) / unit
                with np.errstate(divide="ignore", invalid="ignore"):
                    each.append((noise.log_density(gap / spread) - np.log(spread)).sum(axis=1))
                continue
            mean, variance = one.moments(x, noise_share)
            each.append(_log_density(y / unit - mean / unit, variance))
        return np.asarray(logsumexp(each, axis=0) - np.log(len(each)) - float(np.log(unit).sum()))


def sum_of_logs(values: Array) -> Array:
    """Sum logs over the last axis; what is impossible in one part is impossible, however certain the others are."""
    with np.errstate(invalid="ignore"):
        return np.where((values == -np.inf).any(axis=-1), -np.inf, values.sum(axis=-1))


def _log_density(gap: Array, variance: Array) -> Array:
    """Log density (n,) of gaps (n, m) of independent normal outputs; of no variance, infinite on the mean, zero off it."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        density = -0.5 * (np.log(2.0 * np.pi * variance) + gap**2 / variance)
    certain = np.where(gap == 0, np.inf, -np.inf)
    return sum_of_logs(np.where(variance > 0, density, certain))
