"""What a network's objective sums over blocks of rows: functions that can be pickled, and change no array but their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from scipy.linalg.blas import dsyrk

from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.models.linearised import Linearised
from mle_regression.models.network import Network, Workspace
from mle_regression.models.second_order import HessianSum
from mle_regression.rows.standard import StandardBlock

T = TypeVar("T")


@dataclass
class Pass:
    """Sums over rows: of squares and cross-products of the residuals (m, m), and the gradient (P,) of half that."""

    cross: Array
    gradient: Array

    def __add__(self, other: Pass) -> Pass:
        """Sum of two parts."""
        return Pass(self.cross + other.cross, self.gradient + other.gradient)


@dataclass(frozen=True, slots=True)
class OfBlocks:
    """A function of blocks of rows at some parameters.

    Attributes
    ----------
    network : Network
    layers : list of arrays
        The parameters.
    dtype : dtype
        Of the numbers that are multiplied.
    """

    network: Network
    layers: list[AnyArray]
    dtype: np.dtype[Any]

    def space(self, ws: Workspace | None, block: StandardBlock) -> Workspace:
        """Return a workspace for a block: the one before, if it is of that size."""
        return space_for(self.network, self.dtype, ws, block)


class ValueAndGradient(OfBlocks):
    """A `Pass` over the rows."""

    def __call__(self, blocks: Iterator[StandardBlock]) -> Pass:
        """Sum over blocks."""
        network, layers, m = self.network, self.layers, self.network.sizes[-1]
        ws, total = None, Pass(np.zeros((m, m)), np.zeros(network.n_parameters))
        part = np.empty(network.n_parameters, dtype=self.dtype)
        into = network.layers(part)
        for block in blocks:
            ws = self.space(ws, block)
            residual = network.forward(layers, block.x, ws)
            residual -= block.y
            weighted = residual if block.weights is None else residual * block.weights
            total.cross += residual @ weighted.T
            network.backward(layers, block.x, weighted, ws, into)
            total.gradient += part
        return total


@dataclass(frozen=True, slots=True)
class HalfHessian(OfBlocks):
    """Second derivatives of half the squares of the residuals; ``gauss_newton`` leaves the network's curvature out."""

    gauss_newton: bool

    def __call__(self, blocks: Iterator[StandardBlock]) -> HessianSum:
        """Sum over blocks."""
        ws, total = None, HessianSum(self.network, self.gauss_newton)
        for block in blocks:
            ws = self.space(ws, block)
            residual = self.network.forward(self.layers, block.x, ws)
            residual -= block.y
            if block.weights is not None:
                residual *= block.weights
            total.add(self.layers, block.x, residual, block.weights, ws)
        return total


class SquaredJacobian(OfBlocks):
    """JᵀWJ (P, P) by the Jacobian itself, its upper triangle; zeros below."""

    def __call__(self, blocks: Iterator[StandardBlock]) -> Array:
        """Sum over blocks."""
        size, ws = self.network.n_parameters, None
        total = np.zeros((size, size), order="F")
        for block in blocks:
            ws = self.space(ws, block)
            self.network.forward(self.layers, block.x, ws)
            jacobian = self.network.jacobian(self.layers, block.x, ws)
            if block.weights is not None:
                jacobian *= np.sqrt(block.weights)[:, None, None]
            flat = jacobian.reshape(-1, size).astype(np.float64, copy=False)
            total = dsyrk(1.0, flat.T, beta=1.0, c=total, overwrite_c=True)
        return total


@dataclass(frozen=True, slots=True)
class SquaresCurvature(OfBlocks):
    """The same, for products with one direction (P,) after another."""

    gauss_newton: bool

    @property
    def kept_per_row(self) -> int:
        """How many numbers are kept of a row."""
        return self.network.sizes[0] + 4 * sum(self.network.sizes[1:])

    def prepared(self, block: StandardBlock) -> PreparedSquares:
        """Work out what all products of a block have in common."""
        slope = partial(weighted_residual, block)
        inner = Linearised(self.network, self.layers, block.x, slope, self.gauss_newton)
        return PreparedSquares(inner, block.weights)

    def sum_of_products(self, blocks: Iterable[PreparedSquares], direction: AnyArray) -> Array:
        """Return the product (P,) with a direction, summed over blocks."""
        moves = self.network.layers(np.asarray(direction, dtype=self.dtype))
        total, part = np.zeros(self.network.n_parameters), np.empty(self.network.n_parameters, dtype=self.dtype)
        into = self.network.layers(part)
        for block in blocks:
            block.linearised.product(moves, into, partial(times_weights, block.weights))
            total += part
        return total


@dataclass(frozen=True, slots=True)
class PreparedSquares:
    """A block of rows at fixed parameters, and its weights."""

    linearised: Linearised
    weights: AnyArray | None


class Curvature(Protocol[T]):
    """Second derivatives of a sum over rows at fixed parameters, by their products."""

    @property
    def kept_per_row(self) -> int:
        """How many numbers are kept of a row."""
        ...

    def prepared(self, block: StandardBlock) -> T:
        """Work out what all products of a block have in common."""
        ...

    def sum_of_products(self, blocks: Iterable[T], direction: AnyArray) -> Array:
        """Return the product with a direction, summed over blocks."""
        ...


@dataclass(frozen=True, slots=True)
class ProductOfRows:
    """The product of second derivatives with a direction, of rows of which nothing is kept."""

    curvature: Curvature[Any]
    direction: AnyArray

    def __call__(self, blocks: Iterator[StandardBlock]) -> Array:
        """Sum over blocks."""
        return self.curvature.sum_of_products(map(self.curvature.prepared, blocks), self.direction)


class Outputs(OfBlocks):
    """Outputs (rows, m)."""

    def __call__(self, blocks: Iterator[StandardBlock]) -> list[Array]:
        """Return those of each block."""
        ws, parts = None, []
        for block in blocks:
            ws = self.space(ws, block)
            parts.append(self.network.forward(self.layers, block.x, ws).T.astype(np.float64))
        return parts


class InputProducts(OfBlocks):
    """Cross-products (d + 1, d + 1) of the standardised columns and a constant one."""

    def __call__(self, blocks: Iterator[StandardBlock]) -> Array:
        """Sum over blocks."""
        total = np.zeros((self.network.shapes[0][1],) * 2)
        for block in blocks:
            inner = block.x.astype(np.float64)
            total += (inner if block.weights is None else inner * block.weights) @ inner.T
        return total


@dataclass(frozen=True, slots=True)
class HiddenMoments(OfBlocks):
    """Sums and cross-products (h + 1, h + 1) of each hidden layer's outputs about an ``origin`` (h, 1)."""

    origin: list[Array]

    def __call__(self, blocks: Iterator[StandardBlock]) -> list[Array]:
        """Sum over blocks."""
        ws, sums = None, [np.zeros((len(a) + 1, len(a) + 1)) for a in self.origin]
        for block in blocks:
            ws = self.space(ws, block)
            self.network.forward(self.layers, block.x, ws)
            for total, inner, center in zip(sums, ws.inner, self.origin, strict=True):
                off = np.vstack([inner - center, np.ones((1, inner.shape[1]))])
                total += off @ off.T
        return sums


def each_added(a: list[Array], b: list[Array]) -> list[Array]:
    """Return the sums of arrays, one by one."""
    return [one + other for one, other in zip(a, b, strict=True)]


def space_for(network: Network, dtype: np.dtype[Any], ws: Workspace | None, block: StandardBlock) -> Workspace:
    """Return a workspace for a block: ``ws``, if it is of that size."""
    n = block.y.shape[1]
    return ws if ws is not None and ws.n_rows == n else Workspace(network, n, dtype)


def weighted_residual(block: StandardBlock, outputs: AnyArray) -> AnyArray:
    """Return residuals f − y times weights: the slope of half the squares by the outputs."""
    outputs -= block.y
    if block.weights is not None:
        outputs *= block.weights
    return outputs


def times_weights(weights: AnyArray | None, change: AnyArray) -> AnyArray:
    """Return the change of the weighted residuals with the outputs."""
    if weights is not None:
        change *= weights
    return change
