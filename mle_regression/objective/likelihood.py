"""Minus the mean log density of rows, under noise that is not fitted by least squares: of a network, or a linear model.

A linear mean is that of a network without hidden layers.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import numpy as np

from mle_regression.linalg.arrays import EPS, AnyArray, Array, BoolArray, Product
from mle_regression.models.network import Network
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.scale import likeliest_scales
from mle_regression.objective.base import Evaluation
from mle_regression.objective.likelihood_blocks import (
    LikelihoodAndGradient,
    LikelihoodCurvature,
    LikelihoodHessian,
    LikelihoodHessianSum,
    LikelihoodPass,
    RowLikelihood,
)
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.base import is_local
from mle_regression.rows.standard import StandardBlock, StandardRows

# Scale, in standard units, below which none begins: residuals would be rounding.
_SMALLEST = 64.0 * EPS
# Numbers in the Jacobian of a block of rows.
_JACOBIAN_SIZE = 1 << 20


@dataclass
class LikelihoodObjective(NetworkObjective):
    """``J(θ, λ) = (1/N) Σᵢ cᵢ Σⱼ (λⱼ − log g(eᵢⱼ)) + ½ Σₖ (αₖ/N) θₖ²/sₖ²``, ``eᵢⱼ = √wᵢ (yᵢⱼ − fⱼ(xᵢ; θ))/sⱼ``.

    A function of the parameters θ (P,) of the mean and the log scales λ = log s (m,), in one vector (P + m,). It is in nats
    a row, but for the constant −½ log w of precisions. Precisions w stand in e, with c = 1 and N rows; frequencies are c,
    with w = 1 and N = Σc. The penalty is minus the log of a Gaussian prior of variance s²/α: under Gaussian noise of one
    output the θ that minimises J minimises squares and penalty, Σ w (y − f)² + α‖θ‖². sₖ is the scale of the output that a
    weight of the last layer leads to, and of weights below the geometric mean of all.

    Attributes
    ----------
    noise : NoiseFamily
    frequency : bool
        Whether a weight says how often a row is there; else it is a precision.
    fixed : BoolArray of shape (P + m,) or None
        Parameters that stay as they are.
    """

    noise: NoiseFamily
    frequency: bool
    fixed: BoolArray | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        m, network = self.network.sizes[-1], self.network
        self.observations = self.rows.total if self.frequency else float(self.rows.n_rows)
        self._prior = self.penalty * (self.rows.total / self.observations)
        # Which scale (P, m) each parameter is measured by.
        self._measure = np.full((network.n_parameters, m), 1.0 / m)
        self._measure[network.edges[-2] :] = np.repeat(np.eye(m), network.shapes[-1][1], axis=0)

    def split(self, phi: AnyArray) -> tuple[Array, Array]:
        """Return the parameters θ (P,) of the mean, and the log scales (m,)."""
        size = self.network.n_parameters
        return np.asarray(phi[:size], dtype=np.float64), np.asarray(phi[size:], dtype=np.float64)

    # Sums over all rows.

    def evaluate(self, theta: AnyArray) -> Evaluation:
        """Return J, its gradient (P + m,) and the residuals' mean cross-products (m, m)."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._summed(LikelihoodAndGradient(*self._at(theta), self._of_rows(theta)), LikelihoodPass.__add__)
            value, gradient = self._with_prior(theta, found, self.observations)
            return Evaluation(value, gradient, found.cross / self.rows.total)

    def hessian_products(self, theta: AnyArray, gauss_newton: bool = False) -> Product:
        """Return what multiplies the Hessian at (θ, λ) with a direction (P + m,).

        ``gauss_newton`` leaves the curvature of the network itself out.
        """
        layers, prior = [layer.copy() for layer in self._views(theta)], self._prior_hessian(theta)
        curvature = LikelihoodCurvature(self.network, layers, self.dtype, self._of_rows(theta), gauss_newton)
        summed = self._products(curvature)

        def product(direction: AnyArray) -> Array:
            direction = self._without_fixed(direction)
            return self._without_fixed(summed(direction) / self.observations + prior(direction))

        return product

    def hessian(self, theta: AnyArray) -> Array:
        """Return the Hessian (P + m, P + m) of J."""
        size, m = self.network.n_parameters, self.network.sizes[-1]
        of_blocks = LikelihoodHessian(*self._at(theta), self._of_rows(theta))
        found = self._summed(of_blocks, LikelihoodHessianSum.__add__, max(1, _JACOBIAN_SIZE // (m * size)))
        prior = self._prior_hessian(theta)
        whole = found.matrix() / self.observations + np.column_stack([prior(column) for column in np.eye(size + m)])
        if self.fixed is not None:
            whole[self.fixed] = whole[:, self.fixed] = 0.0
        return np.asarray(whole)

    # Batches.

    def thinned(self, size: int) -> LikelihoodObjective:
        """Return the objective of about so many of the rows, evenly spread, at the same penalty for each."""
        if self.n_rows <= size:
            return self
        rows = self.rows.thinned(size)
        count = rows.total if self.frequency else float(rows.n_rows)
        return replace(self, rows=rows, alpha=self.alpha * (count / self.observations))

    def batch_gradient(self, theta: AnyArray, batch: StandardBlock) -> tuple[float, AnyArray]:
        """Return J and its gradient (P + m,) as a batch has them."""
        count = float(batch.y.shape[1])
        if self.frequency and batch.weights is not None:
            count = float(batch.weights.sum())
        found = LikelihoodAndGradient(*self._at(theta), self._of_rows(theta))(iter([batch]))
        loss, gradient = self._with_prior(theta, found, count)
        return loss, gradient.astype(self.dtype)

    def _of_rows(self, phi: AnyArray) -> RowLikelihood:
        noise = self.noise
        return RowLikelihood(noise.log_density, noise.score, noise.curvature, self.frequency, self.split(phi)[1])

    # The penalty.

    def _with_prior(self, phi: AnyArray, found: LikelihoodPass, count: float) -> tuple[float, Array]:
        theta, log_scale = self.split(phi)
        value = found.value / count
        gradient = np.concatenate([found.gradient, found.of_scale]) / count
        if self._prior.any():
            pull = self._prior * theta * np.exp(-2.0 * (self._measure @ log_scale))
            value += 0.5 * float(pull @ theta)
            gradient[: len(theta)] += pull
            gradient[len(theta) :] -= self._measure.T @ (pull * theta)
        return value, self._without_fixed(gradient)

    def _prior_hessian(self, phi: AnyArray) -> Product:
        theta, log_scale = self.split(phi)
        size, measure = len(theta), self._measure
        shrink = self._prior * np.exp(-2.0 * (measure @ log_scale))

        def product(direction: AnyArray) -> Array:
            along, of_scales = self.split(direction)
            if not shrink.any():
                return np.zeros(size + len(of_scales))
            moved = measure @ of_scales
            of_theta = shrink * (along - 2.0 * theta * moved)
            return np.concatenate([of_theta, -2.0 * (measure.T @ (shrink * theta * (along - theta * moved)))])

        return product

    def _without_fixed(self, direction: AnyArray) -> AnyArray:
        return direction if self.fixed is None else np.where(self.fixed, 0.0, direction)


def likelihood_objective(
    network: Network,
    rows: StandardRows,
    alpha: float | Array,
    start: Array,
    noise: NoiseFamily,
    frequency: bool,
    fixed: BoolArray | None = None,
) -> LikelihoodObjective:
    """Return minus the mean log density, starting at parameters (P,) and the scales that make the rows likeliest there."""
    if not is_local(rows.home):
        _require_picklable(noise)
    theta = np.asarray(start[: network.n_parameters], dtype=np.float64)
    outputs = NetworkObjective(network, rows, 0.0, theta).outputs(theta)
    residuals = (rows.y - rows.of_y.center) / rows.of_y.spread - outputs
    with np.errstate(over="ignore", invalid="ignore"):
        scales = np.nan_to_num(likeliest_scales(noise, residuals, rows.weights, frequency=frequency), nan=1.0)
    log_scale = np.log(np.maximum(scales, _SMALLEST))
    return LikelihoodObjective(network, rows, alpha, np.r_[theta, log_scale], noise, frequency, fixed)


def _require_picklable(noise: NoiseFamily) -> None:
    """Raise if the functions of a family cannot be sent to where the rows are."""
    for what, function in (("log_density", noise.log_density), ("score", noise.score), ("curvature", noise.curvature)):
        try:
            pickle.dumps(function)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"The rows are not in the memory of this process, and {what} of noise={noise.name!r} cannot be pickled and "
                "sent to them: write it as a function at the top of a module, not as a lambda or inside of a function."
            ) from error
