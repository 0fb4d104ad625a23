"""The objective of a linear model, in coordinates in which a step in any direction is of about one size.

Columns are centred and of unit length, outputs of unit length, so that raw units converge like scaled ones, and gradients
have no unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array, IntArray, Product
from mle_regression.linalg.bidiagonal import Bidiagonalisation
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import cross_product
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.linalg.triangle import Triangle
from mle_regression.objective.products import Products, factors_of, less_shift
from mle_regression.rows.base import Block, Rows, is_local
from mle_regression.rows.registry import as_rows
from mle_regression.rows.shifted import ShiftedRows

# Columns and outputs whose mean exceeds this many times their spread are copied and shifted: otherwise products with them
# would lose more than four digits.
_SHIFT_BEYOND = 1e4


@dataclass(frozen=True)
class QuadraticObjective:
    """Least squares reduced to a triangle, ``J(θ) = Σₖ ‖ẑₖ − R̂θₖ‖² + tailₖ`` over outputs k; O(p²) a step.

    The rows have been summed once: for n ≫ p that is the price of two gradients over them, and every further step is free of
    n. R̂ has unit columns, [ẑ; √tail] unit length.

    Attributes
    ----------
    factor : Array of shape (k, p)
        R̂.
    target : Array of shape (k, m)
        ẑ.
    tail : Array of shape (m,)
        What no coefficients explain.
    column_length, output_length : Array of shape (p,) and (m,)
        By what columns and outputs of the triangle were divided.
    beginning : Array of shape (p, m) or (0, 0)
        Where to start; at zero if empty.
    outside : int
        How many directions, those of the smallest curvature, the path has no part in.
    """

    factor: Array
    target: Array
    tail: Array
    column_length: Array
    output_length: Array
    beginning: Array = field(default_factory=lambda: np.zeros((0, 0)))
    outside: int = 0

    @property
    def start(self) -> Array:
        """Where to start (P,)."""
        p, m = self.factor.shape[1], self.target.shape[1]
        return self.beginning.ravel().copy() if self.beginning.size else np.zeros(p * m)

    @cached_property
    def spectrum(self) -> Array:
        """Eigenvalues of the Hessian ``2R̂ᵀR̂``, ascending, those that are not zero."""
        values = np.linalg.svd(self.factor, compute_uv=False)
        kept = values > max(self.factor.shape) * np.finfo(np.float64).eps * values.max(initial=0.0)
        return np.sort(2.0 * values[kept] ** 2)[self.outside :]

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Return J and its gradient (P,)."""
        residual = self.target - self.factor @ theta.reshape(-1, self.target.shape[1])
        return float(np.sum(residual**2) + self.tail.sum()), (-2.0 * self.factor.T @ residual).ravel()

    def hessian_products(self, theta: Array) -> Product:
        """Return what multiplies the Hessian, the same everywhere, with a direction (P,)."""
        shape = -1, self.target.shape[1]
        return lambda v: np.asarray(2.0 * self.factor.T @ (self.factor @ v.reshape(shape))).ravel()

    def without_constant(self) -> tuple[QuadraticObjective, float]:
        """Return the objective less what no coefficients explain, and that."""
        return replace(self, tail=np.zeros_like(self.tail)), float(self.tail.sum())

    def coefficients(self, theta: Array) -> Array:
        """Return the coefficients (p, m) in the units of the triangle."""
        return np.asarray(
            theta.reshape(-1, self.target.shape[1])
            * self.output_length
            / np.where(self.column_length > 0, self.column_length, 1.0)[:, None]
        )


@dataclass(frozen=True, kw_only=True)
class LinearObjective(QuadraticObjective):
    """The same, with rows to draw batches from; their standardisation is folded into the parameters.

    X is copied only where the mean of a column is more than 10,000 times its spread.

    Attributes
    ----------
    rows : Rows
        Less a shift, where there is one.
    exponent : IntArray of shape (p + m,)
        Columns of [X | y] are divided by ``2**exponent`` in the triangle.
    mean : Array of shape (p + m,)
        Their means, so divided, in x and y.
    total : float
        Sum of the weights.
    penalty : Array of shape (p,)
        α in these coordinates.
    """

    rows: Rows
    exponent: IntArray
    mean: Array
    total: float
    penalty: Array

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.rows.shape[0]

    @cached_property
    def penalised(self) -> bool:
        """Whether there is a penalty."""
        return bool(self.penalty.any())

    @cached_property
    def _unit(self) -> tuple[Array, Array, Array, Array]:
        """Factors and shifts that standardise columns and outputs."""
        p = self.factor.shape[1]
        length = np.where(self.column_length > 0, self.column_length, 1.0)
        by_column = scale(1.0 / length, -self.exponent[:p])
        by_output = scale(1.0 / self.output_length, -self.exponent[p:])
        return by_column, self.mean[:p] / length, by_output, self.mean[p:] / self.output_length

    @cached_property
    def products(self) -> Products:
        """The standardised columns and outputs by their products."""
        by_column, column_mean, by_output, output_mean = self._unit
        x, y, weights = factors_of(self.rows)
        return Products(x, y, weights, by_column, by_output, column_mean, output_mean, self.penalty)

    def look(self, theta: Array, run: Bidiagonalisation) -> tuple[float, float]:
        """Return J and the norm of its gradient, from the triangle."""
        return self.value_and_norm(theta)

    def value_and_norm(self, theta: Array) -> tuple[float, float]:
        """Return J and the norm of its gradient."""
        loss, gradient = self.value_and_gradient(theta)
        return loss, float(np.linalg.norm(gradient))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers that batches are worked out in."""
        return np.dtype(np.float64)

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Block]:
        """Return batches as the home of the rows draws them."""
        return self.rows.batches(rng, size)

    def thinned(self, size: int) -> LinearObjective:
        """Return the objective itself: a product with its Hessian does not go through the rows."""
        return self

    def batch_gradient(self, theta: Array, batch: Block) -> tuple[float, Array]:
        """Return NaN and an unbiased estimate (P,) of the gradient from some of the rows."""
        by_column, column_mean, by_output, output_mean = self._unit
        table = theta.reshape(-1, self.target.shape[1])
        x = batch.x
        residual = np.asarray(x @ (by_column[:, None] * table))
        residual += output_mean - column_mean @ table
        np.subtract(batch.y * by_output, residual, out=residual)
        weight = float(len(residual))
        if batch.weights is not None:
            residual *= batch.weights[:, None]
            weight = float(batch.weights.sum())
        if not weight:
            return np.nan, np.zeros_like(theta)
        gradient = by_column[:, None] * np.asarray(x.T @ residual)
        gradient -= column_mean[:, None] * np.add.reduce(residual)
        gradient *= -2.0 * self.total / weight
        if self.penalised:
            gradient += 2.0 * self.penalty[:, None] * table
        return np.nan, gradient.ravel()

    def batch_curvature(self, size: int) -> float:
        """Return R²/size, R² the largest over the columns j of ``2n Σᵢ wᵢ² ‖x̂ᵢ‖² x̂ᵢⱼ²``, of rows x̂ᵢ in these coordinates.

        It is the R² of ``E ‖g‖² ggᵀ ≼ R² E ggᵀ`` for the rows' own gradients, on the diagonal; of Gaussian rows about twice
        the number of columns.
        """
        by_column, mean, _, _ = self._unit
        squares, cross, total = self.n_rows * self.rows.reduce(partial(_fourth_moments, by_column, mean), np.add)
        moments = by_column**2 * squares - 2.0 * by_column * mean * cross + mean**2 * total
        return float(2.0 * moments.max(initial=0.0)) / size

    def after_pass(self, theta: Array) -> tuple[float, Array]:
        """Return J and its gradient, from the triangle."""
        return self.value_and_gradient(theta)


def _fourth_moments(by_column: Array, mean: Array, block: Block) -> Array:
    """Return Σ v x², Σ v x and Σ v (3, p) of ``v = w² ‖x̂‖²``, for rows x̂ in standardised columns."""
    x = block.x
    squares = x.multiply(x) if sp.issparse(x) else x * x
    v = np.asarray(squares @ by_column**2)
    v -= np.asarray(x @ (2.0 * by_column * mean))
    v += mean @ mean
    np.maximum(v, 0.0, out=v)
    if block.weights is not None:
        v *= block.weights**2
    return np.stack(
        [np.asarray(cross_product(squares, v)), np.asarray(cross_product(x, v)), np.full(len(mean), v.sum())]
    )


def _less_shift(rows: Rows, shift: Array) -> Rows:
    """Return rows of [X | y] less ``shift`` (p + m,): themselves where that is nothing; of rows in memory a copy of x."""
    p = rows.shape[1]
    if not shift.any():
        return rows
    if is_local(rows):
        return as_rows(less_shift(rows.x, shift[:p]), less_shift(rows.y, shift[p:]), rows.weights)
    return ShiftedRows(rows, shift[:p], shift[p:])


def quadratic_objective(triangle: Triangle, alike: bool = False) -> QuadraticObjective:
    """Return the objective of a triangle; ``alike`` divides all columns of X by one number, not each by its length."""
    columns = column_norms(triangle.r)
    if alike:
        unit = -triangle.exponent[: triangle.n_features]
        columns = scale(np.sqrt(np.mean(scale(columns, -unit) ** 2)), unit)
    total = np.sum(triangle.z**2, axis=0) + np.diagonal(triangle.tail)
    outputs = np.where(total > 0, np.sqrt(total), 1.0)
    return QuadraticObjective(
        factor=triangle.r / np.where(columns > 0, columns, 1.0),
        target=triangle.z / outputs,
        tail=np.diagonal(triangle.tail) / outputs**2,
        column_length=columns,
        output_length=outputs,
    )


def linear_objective(triangle: Triangle, frame: Frame, rows: Rows, alpha: float, outside: int = 0) -> LinearObjective:
    """Return the objective of a triangle, with the rows that it was made of in a frame.

    With ``outside`` directions outside of the span of the rows, which only a penalty determines, all columns keep their
    proportions: the penalty then holds a path that starts inside of the span inside.
    """
    reduced = replace(quadratic_objective(triangle, alike=outside > 0), outside=outside)
    p = triangle.n_features
    length = np.where(reduced.column_length > 0, reduced.column_length, 1.0)
    lengths = np.concatenate([length, reduced.output_length])
    far = np.sqrt(triangle.total) * np.abs(triangle.mean) > _SHIFT_BEYOND * lengths
    shift = np.where(far, scale(frame.shift, frame.exponent), 0.0)
    return LinearObjective(
        **{name: getattr(reduced, name) for name in QuadraticObjective.__dataclass_fields__},
        rows=_less_shift(rows, shift),
        exponent=triangle.exponent,
        mean=np.where(shift != 0, triangle.offset, triangle.mean),
        total=triangle.total,
        penalty=scale(np.full(p, alpha), -2 * triangle.exponent[:p]) / length**2,
    )
