"""The objective of a network: a sum over blocks of rows, with exact first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeVar

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, Product
from mle_regression.linalg.threads import each_in_threads, row_workers
from mle_regression.models.network import Network, Workspace
from mle_regression.models.second_order import HessianSum, block_rows, gauss_newton_work
from mle_regression.models.tangent_kernel import TangentKernel
from mle_regression.objective.base import Evaluation
from mle_regression.objective.network_blocks import (
    Curvature,
    HalfHessian,
    HiddenMoments,
    InputProducts,
    Outputs,
    Pass,
    ProductOfRows,
    SquaredJacobian,
    SquaresCurvature,
    ValueAndGradient,
    each_added,
    space_for,
)
from mle_regression.rows.base import is_local
from mle_regression.rows.standard import StandardBlock, StandardRows

T = TypeVar("T")

# Size of a block, in outputs of units and in rows, that stays in cache.
_BLOCK_UNITS = 1 << 16
_BLOCK_ROWS = (64, 4096)
# Largest block of X, in numbers: with very many columns it has fewer rows.
_BLOCK_SIZE = 1 << 21
# Second derivatives that are held of a block, in numbers.
_SECOND_ORDER_SIZE = 1 << 18
# Multiplications (rows × parameters) below which handing rows to a second thread costs more than it saves.
_THREADED_FROM = 4_000_000
# Rows times parameters of a gradient that cost as much as one row times parameters² of a Gauss–Newton matrix.
_OF_A_HESSIAN = 0.1
# Products of pairs are slower than JᵀJ: where they take more than this part of its multiplications, J is formed.
_PAIRS_SHARE = 0.72
# Numbers that are kept between products with the same Hessian.
_KEPT_LINEARISED = 1 << 24


@dataclass
class NetworkObjective:
    """``J(θ) = (Σ wᵢ‖yᵢ − f(xᵢ; θ)‖² + Σ αⱼθⱼ²) / Σw``, all in standard units.

    Attributes
    ----------
    network : Network
    rows : StandardRows
    alpha : float or Array of shape (P,)
        One number for all weights, biases left out, or one for each parameter.
    start : Array of shape (P,)
    """

    network: Network
    rows: StandardRows
    alpha: float | Array
    start: Array
    spectrum: None = field(init=False, default=None)

    def __post_init__(self) -> None:
        each = np.where(self.network.is_weight, self.alpha, 0.0) if np.ndim(self.alpha) == 0 else np.asarray(self.alpha)
        self.penalty = each / self.rows.total
        self._batch_penalty = (2.0 * self.penalty).astype(self.dtype) if each.any() else None
        self._shrinkage = np.empty(0 if self._batch_penalty is None else len(each), dtype=self.dtype)
        self._workspaces = [_BatchWorkspace(self.network, self.dtype)]
        self._viewed: tuple[AnyArray, list[AnyArray]] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.rows.n_rows

    @property
    def n_residuals(self) -> int:
        """Number of rows times outputs."""
        return self.rows.n_rows * self.network.sizes[-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers that are multiplied."""
        return self.rows.dtype

    # A pass over all rows.

    def value_and_gradient(self, theta: AnyArray) -> tuple[float, Array]:
        """Return J and its gradient (P,)."""
        found = self.evaluate(theta)
        return found.value, found.gradient

    def evaluate(self, theta: AnyArray) -> Evaluation:
        """Return J, its gradient (P,) and the residuals' mean cross-products (m, m)."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._summed(ValueAndGradient(*self._at(theta)), Pass.__add__)
            cross = found.cross / self.rows.total
            theta = np.asarray(theta, dtype=np.float64)
            value = float(np.trace(cross) + self.penalty @ theta**2)
            return Evaluation(value, 2.0 / self.rows.total * found.gradient + 2.0 * self.penalty * theta, cross)

    def without_constant(self) -> tuple[NetworkObjective, float]:
        """Return the objective as it is: what no parameters lower is not known."""
        return self, 0.0

    def hessian_products(self, theta: AnyArray, gauss_newton: bool = False) -> Product:
        """Return what multiplies the Hessian at θ, or its Gauss–Newton part and the penalty, with a direction (P,).

        What all products have in common is kept from the first one on, of as many rows as there is room for.
        """
        layers = [layer.copy() for layer in self._views(theta)]
        summed = self._products(SquaresCurvature(self.network, layers, self.dtype, gauss_newton))
        return lambda v: np.asarray(2.0 / self.rows.total * summed(v) + 2.0 * self.penalty * v)

    def gauss_newton(self, theta: AnyArray) -> Array:
        """Return Σ w JᵀJ / Σw (P, P), half the Gauss–Newton part of the Hessian, without the penalty."""
        size = self.network.n_parameters
        by_jacobian = 0.5 * self.network.sizes[-1] * size**2
        if gauss_newton_work(self.network) <= _PAIRS_SHARE * by_jacobian:
            return self._half_hessian(theta, gauss_newton=True)
        width = max(1, _SECOND_ORDER_SIZE // (self.network.sizes[-1] * size))
        workers = self._workers(_OF_A_HESSIAN * self.n_rows * by_jacobian)
        upper = self.rows.reduce(SquaredJacobian(*self._at(theta)), np.add, width, workers)
        upper /= self.rows.total
        whole = upper + upper.T
        whole[np.diag_indices(size)] *= 0.5
        return np.asarray(whole)

    def hessian(self, theta: AnyArray) -> Array:
        """Return the Hessian (P, P) of J, penalty included."""
        hessian = self._half_hessian(theta, gauss_newton=False)
        hessian *= 2.0
        hessian[np.diag_indices_from(hessian)] += 2.0 * self.penalty
        return hessian

    def _half_hessian(self, theta: AnyArray, gauss_newton: bool) -> Array:
        width, size = block_rows(self.network, _SECOND_ORDER_SIZE), self.network.n_parameters
        of_blocks = HalfHessian(*self._at(theta), gauss_newton)
        work = _OF_A_HESSIAN * self.n_rows * size**2
        half = self.rows.reduce(of_blocks, HessianSum.__add__, width, self._workers(work)).matrix()
        half /= self.rows.total
        return half

    def residual_jacobian(self, theta: AnyArray) -> tuple[Array, Array]:
        """Return the residuals f − y (k,) and their Jacobian (k, P), both times √(w/Σw); k = n·m."""
        layers = self._views(theta)
        block = self.rows.block(slice(0, self.n_rows))
        ws = self._space(None, block)
        residual = (self.network.forward(layers, block.x, ws) - block.y).astype(np.float64)
        if block.weights is not None:
            residual *= np.sqrt(block.weights)
        jacobian = self._weighted_jacobian(layers, block, ws)
        share = self.rows.total**-0.5
        return share * residual.T.ravel(), share * jacobian

    def weighted_residuals(self, theta: AnyArray) -> Array:
        """Return the residuals f − y (n, m), times √(w/Σw)."""
        rows = self.rows
        residual = self.outputs(theta) - (rows.y - rows.of_y.center) / rows.of_y.spread
        weights = 1.0 if rows.weights is None else rows.weights[:, None]
        return np.asarray(residual * np.sqrt(weights / rows.total))

    def residual_products(self, theta: AnyArray) -> TangentKernel:
        """Return what multiplies the Jacobian (k, P) of `residual_jacobian`, without forming it."""
        block = self.rows.block(slice(0, self.n_rows))
        weights = np.ones(self.n_rows) if block.weights is None else block.weights
        return TangentKernel(self.network, self._views(theta), block.x, weights / self.rows.total)

    def outputs(self, theta: AnyArray) -> Array:
        """Return the outputs (n, m) in standard units."""
        return self.rows.map(Outputs(*self._at(theta)), *self._cut())

    def input_products(self) -> Array:
        """Return the mean cross-products (d + 1, d + 1) of the standardised columns of X and a constant one."""
        return np.asarray(self._summed(InputProducts(self.network, [], self.dtype), np.add) / self.rows.total)

    def hidden_moments(self, theta: AnyArray) -> list[tuple[Array, Array]]:
        """Return the mean outputs (h,) of each hidden layer over the rows, and their covariance (h, h)."""
        layers = self._views(theta)
        one = Workspace(self.network, 1, self.dtype)
        first = next(self.rows.blocks(1))
        self.network.forward(layers, first.x[:, :1], one)
        origin = [np.array(inner, dtype=np.float64) for inner in one.inner]
        found = self._summed(HiddenMoments(*self._at(theta), origin), each_added)
        moments = []
        for total, center in zip(found, origin, strict=True):
            mean, cross = total[:-1, -1] / self.n_rows, total[:-1, :-1] / self.n_rows
            moments.append((center[:, 0] + mean, cross - np.outer(mean, mean)))
        return moments

    def output_jacobian(self, theta: AnyArray, rows: slice) -> Array:
        """Return the Jacobian (rows, m, P) of the outputs of some rows."""
        layers, block = self._views(theta), self.rows.block(rows)
        ws = self._space(None, block)
        self.network.forward(layers, block.x, ws)
        return np.asarray(self.network.jacobian(layers, block.x, ws), dtype=np.float64)

    # Batches.

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[StandardBlock]:
        """Return batches of nearly ``size`` rows, drawn without replacement, that together are all rows."""
        return self.rows.batches(rng, size)

    def thinned(self, size: int) -> NetworkObjective:
        """Return the objective of about so many of the rows, evenly spread, at the same penalty for each."""
        if self.n_rows <= size:
            return self
        rows = self.rows.thinned(size)
        return NetworkObjective(self.network, rows, self.alpha * (rows.total / self.rows.total), self.start)

    def batch_gradient(self, theta: AnyArray, batch: StandardBlock) -> tuple[float, AnyArray]:
        """Return J and its gradient as a batch has them; the array is good until the next call."""
        if self._viewed is None or self._viewed[0] is not theta:  # steps write into one array, batch after batch
            self._viewed = theta, self.network.layers(theta)
        layers, n = self._viewed[1], batch.y.shape[1]
        weight = float(n) if batch.weights is None else float(batch.weights.sum())
        loss = self._gradient_of(layers, batch, 2.0 / weight) / weight
        gradient = self._workspaces[0].gradient
        if self._batch_penalty is not None:
            np.multiply(self._batch_penalty, theta, out=self._shrinkage)
            gradient += self._shrinkage
            loss += 0.5 * float(self._shrinkage @ theta)
        return loss, gradient

    def batch_curvature(self, size: int) -> float:
        """Return 0: it is not known, since the Hessian changes."""
        return 0.0

    def after_pass(self, theta: AnyArray) -> None:
        """Return nothing: looking at J costs a third of a pass."""

    def _gradient_of(self, layers: list[AnyArray], batch: StandardBlock, factor: float) -> float:
        """Write the gradient to the first workspace, return the sum of the weighted squares; in threads if it pays."""
        n = batch.y.shape[1]
        workers = self._workers(n * self.network.n_parameters)
        if workers == 1 or n < workers:
            return self._workspaces[0].gradient_of(layers, batch, factor)
        while len(self._workspaces) < workers:
            self._workspaces.append(_BatchWorkspace(self.network, self.dtype))

        def of_part(k: int) -> float:
            part = batch.rows(slice(n * k // workers, n * (k + 1) // workers))
            return self._workspaces[k].gradient_of(layers, part, factor)

        squares = sum(each_in_threads(of_part, range(workers), self.rows.pool))
        for space in self._workspaces[1:workers]:
            self._workspaces[0].gradient += space.gradient
        return squares

    # How sums over rows are taken.

    def _views(self, theta: AnyArray) -> list[AnyArray]:
        return self.network.layers(np.asarray(theta, dtype=self.dtype))

    def _space(self, ws: Workspace | None, block: StandardBlock) -> Workspace:
        return space_for(self.network, self.dtype, ws, block)

    def _weighted_jacobian(self, layers: list[AnyArray], block: StandardBlock, ws: Workspace) -> Array:
        jacobian = self.network.jacobian(layers, block.x, ws)
        if block.weights is not None:
            jacobian *= np.sqrt(block.weights)[:, None, None]
        return np.asarray(jacobian.reshape(-1, self.network.n_parameters), dtype=np.float64)

    def _summed(
        self,
        of_blocks: Callable[[Iterator[StandardBlock]], T],
        combine: Callable[[T, T], T],
        width: int = 0,
    ) -> T:
        """Sum over blocks of rows, wherever they are, if ``of_blocks`` can be pickled."""
        return self.rows.reduce(of_blocks, combine, *self._cut(width))

    def _over_rows(self, of_rows: Callable[[Iterator[slice]], T], combine: Callable[[T, T], T], width: int = 0) -> T:
        """Go through all rows in memory; the same parts in the same order each time."""
        return reduce(combine, self.rows.each_part(of_rows, *self._cut(width)))

    def _products(self, curvature: Curvature[T]) -> Product:
        """Return what multiplies second derivatives with a direction; of rows in memory some is kept for the next one."""
        if not is_local(self.rows.home):
            return lambda v: self._summed(ProductOfRows(curvature, v), np.add)
        held: dict[tuple[int, int], T] = {}
        room = _KEPT_LINEARISED // curvature.kept_per_row  # rows

        def prepared(rows: slice) -> T:
            found = held.get((rows.start, rows.stop))
            if found is None:
                found = curvature.prepared(self.rows.block(rows))
                if rows.stop <= room:
                    held[rows.start, rows.stop] = found
            return found

        return lambda v: self._over_rows(lambda parts: curvature.sum_of_products(map(prepared, parts), v), np.add)

    def _cut(self, width: int = 0) -> tuple[int, int]:
        """Return of how many rows blocks are, ``width`` if that is given, and how many threads go through them."""
        units = sum(self.network.sizes)
        least = max(1, min(_BLOCK_ROWS[0], _BLOCK_SIZE // units))
        width = width or min(max(_BLOCK_UNITS // units, least), _BLOCK_ROWS[1])
        return width, self._workers(self.n_rows * self.network.n_parameters)

    def _workers(self, work: float) -> int:
        """Return how many threads go through rows, for so much work in multiplications of rows by parameters."""
        return row_workers() if work >= _THREADED_FROM else 1

    def _at(self, theta: AnyArray) -> tuple[Network, list[AnyArray], np.dtype[Any]]:
        """Return what a function of blocks is made of."""
        return self.network, self._views(theta), self.dtype


class _BatchWorkspace:
    """Where batches are worked at, without allocating anything.

    Attributes
    ----------
    gradient : array of shape (P,)
        Written by `gradient_of`, and again by the next call.
    """

    def __init__(self, network: Network, dtype: np.dtype[Any]) -> None:
        self.network, self.dtype = network, dtype
        self.gradient = np.empty(network.n_parameters, dtype=dtype)
        self.layers = network.layers(self.gradient)
        self.spaces: dict[int, Workspace] = {}

    def gradient_of(self, layers: list[AnyArray], batch: StandardBlock, factor: float) -> float:
        """Write the gradient of ``factor``/2 times the weighted squares of the residuals; return the sum of these."""
        n = batch.y.shape[1]
        ws = self.spaces.get(n)
        if ws is None:
            if len(self.spaces) > 1:  # batches of a pass have two sizes at most
                self.spaces.clear()
            ws = self.spaces[n] = Workspace(self.network, n, self.dtype)
        residual = self.network.forward(layers, batch.x, ws)
        residual -= batch.y
        weighted = residual if batch.weights is None else residual * batch.weights
        squares = float(np.vdot(residual, weighted))
        weighted *= factor
        self.network.backward(layers, batch.x, weighted, ws, self.layers)
        return squares
