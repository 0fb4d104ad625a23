"""What the likelihood of rows sums over blocks of them: functions that can be pickled, if those of the noise can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.models.linearised import Linearised
from mle_regression.models.second_order import HessianSum
from mle_regression.noise.base import Function
from mle_regression.objective.network_blocks import OfBlocks
from mle_regression.rows.standard import StandardBlock


@dataclass(frozen=True, slots=True)
class FirstOrder:
    """A block's part of J: its value, derivatives (m, rows) by outputs and log scales, and the residuals' (m, m)."""

    value: float
    of_output: Array
    of_scale: Array
    cross: Array


@dataclass(frozen=True, slots=True)
class SecondOrder:
    """Second derivatives (m, rows): by the outputs, by outputs and log scales, by log scales."""

    outputs: Array
    mixed: Array
    scales: Array


@dataclass(frozen=True, slots=True)
class RowLikelihood:
    """Minus the log density ``c Σⱼ (λⱼ − log g(eⱼ))`` of rows as a function of the outputs and the log scales λ.

    Attributes
    ----------
    log_density, score, curvature : callable
        Of the noise family.
    frequency : bool
        Whether a weight says how often a row is there; else it is a precision.
    log_scale : Array of shape (m,)
    """

    log_density: Function
    score: Function
    curvature: Function
    frequency: bool
    log_scale: Array

    def first_order(self, outputs: AnyArray, block: StandardBlock) -> FirstOrder:
        """Return the value and its first derivatives."""
        e, rate, counts = self._standardised(outputs, block)
        score = self.score(e)
        residual = block.y - np.asarray(outputs, dtype=np.float64)
        weighted = residual if block.weights is None else residual * block.weights
        return FirstOrder(
            value=float((counts * (self.log_scale[:, None] - self.log_density(e))).sum()),
            of_output=-counts * rate * score,
            of_scale=counts * (1.0 - score * e),
            cross=residual @ weighted.T,
        )

    def second_order(self, outputs: AnyArray, block: StandardBlock) -> SecondOrder:
        """Return the second derivatives."""
        e, rate, counts = self._standardised(outputs, block)
        score, curvature = self.score(e), self.curvature(e)
        inner = curvature * e + score
        return SecondOrder(outputs=counts * rate**2 * curvature, mixed=counts * rate * inner, scales=counts * e * inner)

    def _standardised(self, outputs: AnyArray, block: StandardBlock) -> tuple[Array, Array, Array]:
        """Return e (m, rows), −de/df (m, rows) or (m, 1), and how often each row counts, (rows,) or ()."""
        rate, counts = np.exp(-self.log_scale)[:, None], np.ones(())
        if block.weights is not None:
            weights = np.asarray(block.weights, dtype=np.float64)
            if self.frequency:
                counts = weights
            else:
                rate = rate * np.sqrt(weights)
        return (block.y - np.asarray(outputs, dtype=np.float64)) * rate, rate, counts


@dataclass
class LikelihoodPass:
    """Sums over rows: of the value, its gradient by parameters (P,) and log scales (m,), and of cross-products (m, m)."""

    value: float
    gradient: Array
    of_scale: Array
    cross: Array

    def __add__(self, other: LikelihoodPass) -> LikelihoodPass:
        """Sum of two parts."""
        return LikelihoodPass(
            self.value + other.value,
            self.gradient + other.gradient,
            self.of_scale + other.of_scale,
            self.cross + other.cross,
        )


@dataclass(frozen=True, slots=True)
class OfLikelihood(OfBlocks):
    """A function of blocks of rows at some parameters and log scales."""

    of_rows: RowLikelihood


class LikelihoodAndGradient(OfLikelihood):
    """A `LikelihoodPass` over the rows."""

    def __call__(self, blocks: Iterator[StandardBlock]) -> LikelihoodPass:
        """Sum over blocks."""
        network, layers, m = self.network, self.layers, len(self.of_rows.log_scale)
        ws, total = None, LikelihoodPass(0.0, np.zeros(network.n_parameters), np.zeros(m), np.zeros((m, m)))
        part = np.empty(network.n_parameters, dtype=self.dtype)
        into = network.layers(part)
        for block in blocks:
            ws = self.space(ws, block)
            terms = self.of_rows.first_order(network.forward(layers, block.x, ws), block)
            network.backward(layers, block.x, terms.of_output.astype(self.dtype), ws, into)
            total.value += terms.value
            total.gradient += part
            total.of_scale += terms.of_scale.sum(axis=1)
            total.cross += terms.cross
        return total


@dataclass
class LikelihoodHessianSum:
    """Sums of second derivatives over rows.

    Attributes
    ----------
    of_outputs : Array of shape (P + m, P + m)
        By way of the outputs and the log scales; the mixed ones above the diagonal alone.
    of_network : HessianSum
        What the curvature of the network itself adds.
    """

    of_outputs: Array
    of_network: HessianSum

    def __add__(self, other: LikelihoodHessianSum) -> LikelihoodHessianSum:
        """Sum of two parts."""
        return LikelihoodHessianSum(self.of_outputs + other.of_outputs, self.of_network + other.of_network)

    def matrix(self) -> Array:
        """Return the second derivatives (P + m, P + m)."""
        total, network = self.of_outputs.copy(), self.of_network.network
        size = network.n_parameters
        if not network.linear:
            total[:size, :size] += self.of_network.matrix()
        total[size:, :size] = total[:size, size:].T
        return total


class LikelihoodHessian(OfLikelihood):
    """Second derivatives by parameters and log scales, (P + m, P + m)."""

    def __call__(self, blocks: Iterator[StandardBlock]) -> LikelihoodHessianSum:
        """Sum over blocks."""
        network, layers, size, m = self.network, self.layers, self.network.n_parameters, len(self.of_rows.log_scale)
        ws, total, of_network = None, np.zeros((size + m, size + m)), HessianSum(network)
        scales = range(size, size + m)
        for block in blocks:
            ws = self.space(ws, block)
            outputs = network.forward(layers, block.x, ws)
            terms, second = self.of_rows.first_order(outputs, block), self.of_rows.second_order(outputs, block)
            jacobian = np.asarray(network.jacobian(layers, block.x, ws), dtype=np.float64)
            flat = jacobian.reshape(-1, size)
            total[:size, :size] += flat.T @ (flat * second.outputs.T.reshape(-1, 1))
            total[:size, size:] += np.einsum("rjp,jr->pj", jacobian, second.mixed)
            total[scales, scales] += second.scales.sum(axis=1)
            if not network.linear:
                still = np.zeros(block.y.shape[1], dtype=self.dtype)
                of_network.add(layers, block.x, terms.of_output.astype(self.dtype), still, ws)
        return LikelihoodHessianSum(total, of_network)


@dataclass(frozen=True, slots=True)
class LikelihoodCurvature(OfLikelihood):
    """The same, for products with one direction (P + m,) after another.

    ``gauss_newton`` leaves the curvature of the network itself out.
    """

    gauss_newton: bool

    @property
    def kept_per_row(self) -> int:
        """How many numbers are kept of a row."""
        return self.network.sizes[0] + 4 * sum(self.network.sizes[1:]) + 3 * self.network.sizes[-1]

    def prepared(self, block: StandardBlock) -> PreparedLikelihood:
        """Work out what all products of a block have in common."""
        found: list[SecondOrder] = []

        def slope(outputs: AnyArray) -> AnyArray:
            found.append(self.of_rows.second_order(outputs, block))
            return self.of_rows.first_order(outputs, block).of_output.astype(outputs.dtype)

        linearised = Linearised(self.network, self.layers, block.x, slope, self.gauss_newton)
        return PreparedLikelihood(linearised, found[0])

    def sum_of_products(self, blocks: Iterable[PreparedLikelihood], direction: AnyArray) -> Array:
        """Return the product (P + m,) with a direction, summed over blocks."""
        size = self.network.n_parameters
        moves, of_scales = self.network.layers(np.asarray(direction[:size], dtype=self.dtype)), direction[size:]
        total, part = np.zeros(len(direction)), np.empty(size, dtype=self.dtype)
        into = self.network.layers(part)
        for block in blocks:
            total[size:] += block.product(moves, np.asarray(of_scales, dtype=np.float64), into)
            total[:size] += part
        return total


@dataclass(frozen=True, slots=True)
class PreparedLikelihood:
    """A block of rows at fixed parameters, and its second derivatives by outputs and log scales."""

    linearised: Linearised
    second: SecondOrder

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
