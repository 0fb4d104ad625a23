"""Products with standardised columns: centring and scaling are applied to the vectors, and X is never copied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array
from mle_regression.linalg.bidiagonal import Bidiagonalisation
from mle_regression.rows.base import Block, Rows, is_local, targets_of


@dataclass(frozen=True)
class Products:
    """``[√W X̂; √penalty]`` and ``[√W ŷ; 0]``, of columns and outputs less their mean, times a factor.

    Attributes
    ----------
    x : array, sparse matrix or RowMatrix of shape (n, p)
    y : Array of shape (n, m)
    weights : Array of shape (n,) or None for ones
    by_column, by_output : Array of shape (p,) and (m,)
        The factors.
    column_mean, output_mean : Array of shape (p,) and (m,)
        The means, times the factors.
    penalty : Array of shape (p,)
        Of the coefficients of these columns.
    """

    x: Any
    y: Array
    weights: Array | None
    by_column: Array
    by_output: Array
    column_mean: Array
    output_mean: Array
    penalty: Array

    @cached_property
    def _sqrt_weights(self) -> Array:
        return np.ones((len(self.y), 1)) if self.weights is None else np.sqrt(self.weights)[:, None]

    def with_targets(self, y: Array) -> Products:
        """Return the same columns for other outputs (n, m), which have a mean of zero and are taken as they are."""
        return replace(self, y=y, by_output=np.ones(y.shape[1]), output_mean=np.zeros(y.shape[1]))

    def image(self, direction: Array) -> Array:
        """Return ``[√W X̂; √penalty] v``, (n + p) · m numbers, for a direction v (P,)."""
        table = direction.reshape(len(self.by_column), -1)
        upper = np.asarray(self.x @ (self.by_column[:, None] * table)) - self.column_mean @ table
        return np.concatenate([(self._sqrt_weights * upper).ravel(), (np.sqrt(self.penalty)[:, None] * table).ravel()])

    def transposed(self, image: Array) -> Array:
        """Return the transpose of `image` applied to (n + p) · m numbers."""
        n, p = len(self.y), len(self.by_column)
        m = image.size // (n + p)
        upper = self._sqrt_weights * image[: n * m].reshape(n, m)
        lower = np.sqrt(self.penalty)[:, None] * image[n * m :].reshape(p, m)
        product = self.by_column[:, None] * np.asarray(self.x.T @ upper)
        return np.asarray(product - np.outer(self.column_mean, upper.sum(axis=0)) + lower).ravel()

    def residual_at(self, theta: Array) -> Array:
        """Return ``[√W ŷ; 0]`` less the `image` of theta."""
        outputs = self._sqrt_weights * (self.y * self.by_output - self.output_mean)
        return np.concatenate([outputs.ravel(), np.zeros(theta.size)]) - self.image(theta)


@dataclass(frozen=True, slots=True)
class RowMatrix:
    """X of rows that are elsewhere, by its products: with a vector or table row by row, from the left as a sum over rows."""

    rows: Rows

    def __matmul__(self, table: Array) -> Array:
        """Return ``X @ table`` for a table (p,) or (p, k)."""
        return self.rows.map(partial(_times, table))

    @property
    def T(self) -> _TransposedRows:  # noqa: N802
        """Xᵀ."""
        return _TransposedRows(self.rows)


@dataclass(frozen=True, slots=True)
class _TransposedRows:
    """Xᵀ of rows that are elsewhere."""

    rows: Rows

    def __matmul__(self, table: Array) -> Array:
        """Return ``Xᵀ @ table`` for a table (n,) or (n, k)."""
        found = self.rows.with_targets(table.reshape(len(table), -1), None).reduce(_from_the_left, np.add)
        return np.asarray(found.reshape(found.shape[:1] + table.shape[1:]))


def factors_of(rows: Rows) -> tuple[Any, Array, Array | None]:
    """Return what multiplies as X, and y (n, m) and weights (n,)."""
    return (rows.x if is_local(rows) else RowMatrix(rows), *targets_of(rows))


def _times(table: Array, block: Block) -> Array:
    return np.asarray(block.x @ table)


def _from_the_left(block: Block) -> Array:
    return np.asarray(block.x.T @ block.y)


def less_shift(x: Any, shift: Array) -> Any:
    """Return x (n, p) less ``shift`` (p,): itself where that is nothing, else a copy in float64.

    A sum that takes the mean away afterwards has lost as many digits as the mean is larger than the spread.
    """
    far = np.flatnonzero(shift)
    if not far.size:
        return x
    if not sp.issparse(x):
        moved = np.array(x, dtype=np.float64)
        moved[:, far] -= shift[far]
        return moved
    near = np.flatnonzero(shift == 0)
    x = sp.csc_array(x, dtype=np.float64)
    moved = sp.hstack([x[:, near], sp.csc_array(x[:, far].toarray() - shift[far])], format="csc")
    return sp.csr_array(moved[:, np.argsort(np.concatenate([near, far]))])


def weighted_squares(x: Any, weights: Array) -> Array:
    """Return ``Σⱼ weightsⱼ xᵢⱼ²`` (n,) of a dense or sparse x (n, p), which is not copied as a whole if dense."""
    if sp.issparse(x):
        return np.asarray(x.multiply(x) @ weights)
    return np.asarray(np.einsum("ij,ij,j->i", x, x, weights, dtype=np.float64))


@dataclass(frozen=True)
class ProductObjective:
    """``J(θ) = ‖b − A θ‖²`` by products with A alone, of a curvature that other products have shown.

    Attributes
    ----------
    products : Products
    lowest, highest : float
        Smallest curvature of the directions that a path has a part in, and the largest.
    beginning : Array of shape (P,)
        Where to start.
    """

    products: Products
    lowest: float
    highest: float
    beginning: Array

    @property
    def start(self) -> Array:
        """Where to start (P,)."""
        return self.beginning

    @property
    def spectrum(self) -> Array:
        """The ends of the eigenvalues of the Hessian."""
        return np.array([self.lowest, self.highest])

    def look(self, theta: Array, run: Bidiagonalisation) -> tuple[float, float]:
        """Return J and the norm of its gradient, as the recurrences of a run tell it."""
        return run.residual_norm**2, 2.0 * run.gradient_norm

    def value_and_norm(self, theta: Array) -> tuple[float, float]:
        """Return J and the norm of its gradient, by a product with A and one with its transpose."""
        residual = self.products.residual_at(theta)
        return float(residual @ residual), 2.0 * float(np.linalg.norm(self.products.transposed(residual)))
