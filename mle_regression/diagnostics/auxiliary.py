"""Auxiliary regressions: the information of the rows at hand, and fits of one thing on functions of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments, block_moments
from mle_regression.linalg.information import InformationFactor, deficient_information, information_of
from mle_regression.linalg.qr import block_factor, stack_factors
from mle_regression.linalg.rank import default_tolerance, row_space, surely_full_rank
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.triangle import Triangle, exceeds_condition, triangle_of_factor, triangle_of_moments
from mle_regression.rows.base import Block, Rows

# Beyond this condition number, Cholesky of the cross-products is not accurate enough for tests.
_TEST_CONDITION = 1e2


@dataclass(frozen=True, slots=True)
class Regression:
    """Least squares of one or more targets on a design.

    Attributes
    ----------
    residual : Array of shape (k,)
        Residual sums of squares.
    total : Array of shape (k,)
        Sums of squares of the targets, about their means if there is a constant.
    rank : int
        Of the design, the constant not counted.
    """

    residual: Array
    total: Array
    rank: int

    @property
    def r2(self) -> Array:
        """Coefficients of determination (k,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1.0 - self.residual / self.total)


def triangle_of(
    rows: Rows,
    frame: Frame,
    n_columns: int,
    total: float,
    *,
    centred: bool,
    alpha: float = 0.0,
    remake: Callable[[Block], Block] | None = None,
) -> Triangle:
    """Reduce [X | y] to a triangle: by Cholesky of the cross-products where that is safe, by QR where it is not.

    Parameters
    ----------
    rows : Rows
    frame : Frame
        Should bring the columns to mean zero and about unit length.
    n_columns : int
        Number of columns of X.
    total : float
        Sum of the weights.
    centred : bool
        Whether there is a constant beside X.
    alpha : float, default=0.0
        Penalty on the coefficients.
    remake : callable, default=None
        Makes of each block the X and y that are meant; as they are, if None.
    """
    moments = rows.reduce(partial(_moments_of, frame, remake), Moments.__add__, dense=True)
    triangle = triangle_of_moments(moments, frame, n_columns, total, centred, alpha)
    if triangle is not None and not exceeds_condition(triangle.r, _TEST_CONDITION):
        return triangle
    upper = rows.reduce(partial(_factor_of, frame, centred, remake), stack_factors, dense=True, tall=True)
    return triangle_of_factor(upper, frame, n_columns, total, centred, alpha)


def _moments_of(frame: Frame, remake: Callable[[Block], Block] | None, block: Block) -> Moments:
    made = remake(block) if remake else block
    return block_moments(made.x, made.y, made.weights, frame)


def _factor_of(frame: Frame, centred: bool, remake: Callable[[Block], Block] | None, block: Block) -> Array:
    made = remake(block) if remake else block
    return block_factor(made.x, made.y, made.weights, frame, centred)


def information_at(
    rows: Rows, frame: Frame, total: float, *, centred: bool, tolerance: float, alpha: float = 0.0
) -> InformationFactor:
    """Information factor of a fit to these rows with penalty ``alpha``, at the rank of its equilibrated columns."""
    p = rows.shape[1]
    triangle = triangle_of(rows, frame, p, total, centred=centred, alpha=alpha)
    if surely_full_rank(triangle, tolerance):
        return information_of(triangle, centred, alpha)
    s = row_space(triangle, tolerance)
    return (
        information_of(triangle, centred, alpha) if s.rank == p else deficient_information(triangle, s, centred, alpha)
    )


def regress(
    rows: Rows,
    design: Callable[[Block], tuple[Array, Array]],
    shape: tuple[int, int],
    total: float,
    *,
    centred: bool = True,
) -> Regression:
    """Regress targets on a design, both made of each block of rows.

    Parameters
    ----------
    rows : Rows
    design : callable, which can be pickled
        ``design(block)`` returns Z (b, q), with columns of about one size, and targets (b, k). Dependent columns of Z are
        found and not counted.
    shape : tuple of int
        q and k.
    total : float
        Sum of the weights.
    centred : bool, default=True
        Whether there is a constant beside Z.
    """
    q, k = shape
    frame = Frame(np.zeros(q + k, dtype=np.int64), np.zeros(q + k))
    triangle = triangle_of(rows, frame, q, total, centred=centred, remake=partial(_designed, design))
    squares = np.sum(triangle.z**2, axis=0)
    tail = np.diagonal(triangle.tail)
    inside, rank = squares, q
    if not surely_full_rank(triangle, default_tolerance(q + 1)):
        s = row_space(triangle, default_tolerance(q + 1))
        rank = s.rank
        inside = np.sum((s.inside(triangle.z)) ** 2, axis=0)
    unit = 2 * triangle.exponent[q:]
    return Regression(scale(tail + (squares - inside), unit), scale(tail + squares, unit), rank)


def _designed(design: Callable[[Block], tuple[Array, Array]], block: Block) -> Block:
    z, targets = design(block)
    return Block(z, targets, block.weights)
