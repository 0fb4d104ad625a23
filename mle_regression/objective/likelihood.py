"""Minus the mean log density of rows, under noise that is not fitted by least squares: of a network, or a linear model.

A linear mean is that of a network without hidden layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mle_regression.linalg.arrays import EPS, AnyArray, Array, BoolArray, Product
from mle_regression.models.linearised import Linearised
from mle_regression.models.network import Network
from mle_regression.models.second_order import HessianSum
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.registry import least_squares_families
from mle_regression.noise.scale import likeliest_scales
from mle_regression.objective.network import KEPT_LINEARISED, NetworkObjective
from mle_regression.rows.base import is_local
from mle_regression.rows.standard import StandardBlock, StandardRows

# Scale, in standard units, below which none begins: residuals would be rounding.
_SMALLEST = 64.0 * EPS
# Numbers in the Jacobian of a block of rows.
_JACOBIAN_SIZE = 1 << 20


@dataclass
class _Pass:
    """Sums over rows: of the value, its gradient by parameters (P,) and log scales (m,), and of cross-products (m, m)."""

    value: float
    gradient: Array
    of_scale: Array
    cross: Array

    def __add__(self, other: _Pass) -> _Pass:
        """Sum of two parts."""
        return _Pass(
            self.value + other.value,
            self.gradient + other.gradient,
            self.of_scale + other.of_scale,
            self.cross + other.cross,
        )


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

    # A pass over all rows.

    def value_and_gradient(self, theta: AnyArray) -> tuple[float, Array]:
        """Return J and its gradient (P + m,)."""
        layers, (_, log_scale) = self._views(theta), self.split(theta)
        network = self.network

        def of_blocks(blocks: Iterator[StandardBlock]) -> _Pass:
            ws, m = None, len(log_scale)
            total = _Pass(0.0, np.zeros(network.n_parameters), np.zeros(m), np.zeros((m, m)))
            part = np.empty(network.n_parameters, dtype=self.dtype)
            into = network.layers(part)
            for block in blocks:
                ws = self._space(ws, block)
                terms = self._terms(network.forward(layers, block.x, ws), block, log_scale)
                network.backward(layers, block.x, terms.of_output.astype(self.dtype), ws, into)
                total += _Pass(terms.value, part.astype(np.float64), terms.of_scale.sum(axis=1), terms.cross)
            return total

        with np.errstate(over="ignore", invalid="ignore"):
            found = self._summed(of_blocks, _Pass.__add__)
            self.cross = found.cross / self.rows.total
            return self._with_prior(theta, found, self.observations)

    def hessian_products(self, theta: AnyArray, gauss_newton: bool = False) -> Product:
        """Return what multiplies the Hessian at (θ, λ) with a direction (P + m,).

        ``gauss_newton`` leaves the curvature of the network itself out.
        """
        layers, network = [layer.copy() for layer in self._views(theta)], self.network
        log_scale, prior = self.split(theta)[1], self._prior_hessian(theta)
        m = len(log_scale)
        held: dict[tuple[int, int], _Curves] = {}
        room = KEPT_LINEARISED // (network.sizes[0] + 4 * sum(network.sizes[1:]) + 3 * m)  # rows

        def curves_of(rows: slice) -> _Curves:
            found = held.get((rows.start, rows.stop))
            if found is None:
                found = _Curves(self, layers, self.rows.block(rows), log_scale, gauss_newton)
                if rows.stop <= room:
                    held[rows.start, rows.stop] = found
            return found

        def product(direction: AnyArray) -> Array:
            direction = self._without_fixed(direction)
            moves, of_scales = self._views(direction), self.split(direction)[1]

            def of_rows(parts: Iterator[slice]) -> Array:
                total, part = np.zeros(network.n_parameters + m), np.empty(network.n_parameters, dtype=self.dtype)
                into = network.layers(part)
                for rows in parts:
                    total[-m:] += curves_of(rows).product(moves, of_scales, into)
                    total[:-m] += part
                return total

            summed = self._over_rows(of_rows, np.add)
            return self._without_fixed(summed / self.observations + prior(direction))

        return product

    def hessian(self, theta: AnyArray) -> Array:
        """Return the Hessian (P + m, P + m) of J."""
        layers, network = self._views(theta), self.network
        log_scale, size = self.split(theta)[1], self.network.n_parameters
        m = len(log_scale)

        def of_blocks(blocks: Iterator[StandardBlock]) -> tuple[Array, HessianSum]:
            ws, total, bends = None, np.zeros((size + m, size + m)), HessianSum(network)
            for block in blocks:
                ws = self._space(ws, block)
                outputs = network.forward(layers, block.x, ws)
                terms, second = self._terms(outputs, block, log_scale), self._second(outputs, block, log_scale)
                jacobian = np.asarray(network.jacobian(layers, block.x, ws), dtype=np.float64)
                flat = jacobian.reshape(-1, size)
                total[:size, :size] += flat.T @ (flat * second.outputs.T.reshape(-1, 1))
                total[:size, size:] += np.einsum("rjp,jr->pj", jacobian, second.mixed)
                total[range(size, size + m), range(size, size + m)] += second.scales.sum(axis=1)
                if len(layers) > 1:
                    still = np.zeros(block.y.shape[1], dtype=self.dtype)
                    bends.add(layers, block.x, terms.of_output.astype(self.dtype), still, ws)
            return total, bends

        width = max(1, _JACOBIAN_SIZE // (m * size))
        total, bends = self._summed(of_blocks, lambda a, b: (a[0] + b[0], a[1] + b[1]), width)
        if len(layers) > 1:
            total[:size, :size] += bends.matrix()
        total[size:, :size] = total[:size, size:].T
        prior = self._prior_hessian(theta)
        whole = total / self.observations + np.column_stack([prior(column) for column in np.eye(size + m)])
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
        layers, log_scale = self._views(theta), self.split(theta)[1]
        n = batch.y.shape[1]
        weight = float(n) if batch.weights is None else float(batch.weights.sum())
        ws = self._space(None, batch)
        terms = self._terms(self.network.forward(layers, batch.x, ws), batch, log_scale)
        part = np.empty(self.network.n_parameters, dtype=self.dtype)
        self.network.backward(layers, batch.x, terms.of_output.astype(self.dtype), ws, self.network.layers(part))
        self._of_pass += terms.cross
        self._pass_weight += weight
        found = _Pass(terms.value, part.astype(np.float64), terms.of_scale.sum(axis=1), terms.cross)
        loss, gradient = self._with_prior(theta, found, weight if self.frequency else float(n))
        return loss, gradient.astype(self.dtype)

    # What the noise family says of a block.

    def _standardised(self, outputs: AnyArray, block: StandardBlock, log_scale: Array) -> tuple[Array, Array, Array]:
        """Return e (m, rows), −de/df (m, rows) or (m, 1), and how often each row counts, (rows,) or ()."""
        rate, counts = np.exp(-log_scale)[:, None], np.ones(())
        if block.weights is not None:
            weights = np.asarray(block.weights, dtype=np.float64)
            if self.frequency:
                counts = weights
            else:
                rate = rate * np.sqrt(weights)
        return (block.y - np.asarray(outputs, dtype=np.float64)) * rate, rate, counts

    def _terms(self, outputs: AnyArray, block: StandardBlock, log_scale: Array) -> _Terms:
        e, rate, counts = self._standardised(outputs, block, log_scale)
        score = self.noise.score(e)
        residual = block.y - np.asarray(outputs, dtype=np.float64)
        weighted = residual if block.weights is None else residual * block.weights
        return _Terms(
            value=float((counts * (log_scale[:, None] - self.noise.log_density(e))).sum()),
            of_output=-counts * rate * score,
            of_scale=counts * (1.0 - score * e),
            cross=residual @ weighted.T,
        )

    def _second(self, outputs: AnyArray, block: StandardBlock, log_scale: Array) -> _Second:
        e, rate, counts = self._standardised(outputs, block, log_scale)
        score, curvature = self.noise.score(e), self.noise.curvature(e)
        inner = curvature * e + score
        return _Second(outputs=counts * rate**2 * curvature, mixed=counts * rate * inner, scales=counts * e * inner)

    # The penalty.

    def _with_prior(self, phi: AnyArray, found: _Pass, count: float) -> tuple[float, Array]:
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
        raise ValueError(
            f"noise={noise.name!r} needs rows in the memory of this process; {least_squares_families()} takes rows "
            "of any home."
        )
    theta = np.asarray(start[: network.n_parameters], dtype=np.float64)
    outputs = NetworkObjective(network, rows, 0.0, theta).outputs(theta)
    residuals = (rows.y - rows.of_y.center) / rows.of_y.spread - outputs
    with np.errstate(over="ignore", invalid="ignore"):
        scales = np.nan_to_num(likeliest_scales(noise, residuals, rows.weights, frequency=frequency), nan=1.0)
    log_scale = np.log(np.maximum(scales, _SMALLEST))
    return LikelihoodObjective(network, rows, alpha, np.r_[theta, log_scale], noise, frequency, fixed)


@dataclass(frozen=True, slots=True)
class _Terms:
    """A block's part of J: its value, derivatives (m, rows) by outputs and log scales, and the residuals' (m, m)."""

    value: float
    of_output: Array
    of_scale: Array
    cross: Array


@dataclass(frozen=True, slots=True)
class _Second:
    """Second derivatives (m, rows): by the outputs, by outputs and log scales, by log scales."""

    outputs: Array
    mixed: Array
    scales: Array


class _Curves:
    """A block at fixed parameters, ready for products of its part of the Hessian with one direction after another."""

    def __init__(
        self,
        objective: LikelihoodObjective,
        layers: list[AnyArray],
        block: StandardBlock,
        log_scale: Array,
        gauss_newton: bool,
    ) -> None:
        def slope(outputs: AnyArray) -> AnyArray:
            self.second = objective._second(outputs, block, log_scale)
            return objective._terms(outputs, block, log_scale).of_output.astype(outputs.dtype)

        self.linearised = Linearised(objective.network, layers, block.x, slope, gauss_newton)

    def product(self, moves: list[AnyArray], of_scales: Array, into: list[AnyArray]) -> Array:
        """Write the parameters' part of the product, as matrices of layers; return that of the log scales (m,)."""
        second, moved = self.second, of_scales[:, None]
        of_scale = (second.scales * moved).sum(axis=1)

        def change_of_slope(change: AnyArray) -> AnyArray:
            nonlocal of_scale
            of_scale = of_scale + (second.mixed * change).sum(axis=1)
            return (second.outputs * change + second.mixed * moved).astype(change.dtype)

        self.linearised.product(moves, into, change_of_slope)
        return np.asarray(of_scale)
