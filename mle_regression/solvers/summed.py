"""Least squares from exact cross-products alone, when the rows have gone by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mle_regression.linalg.arrays import EPS, Array, BoolArray, IntArray
from mle_regression.linalg.exact import Fixed
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.triangle import Triangle, triangle_of_moments
from mle_regression.solvers.base import LeastSquares, Solution
from mle_regression.solvers.direct import Polish, conclude
from mle_regression.solvers.normal import triangle_of_sums
from mle_regression.solvers.passes import sum_exact

# Added to the squares of columns of unit length where they are dependent: the singular values that are zero become 2**-50,
# the least that a preconditioner in float64 can turn into one, and stay below the tolerance.
_FLOOR, ABOVE_FLOOR = 2.0**-100, 2.0**-49


def solve_summed(problem: LeastSquares) -> Solution:
    """Minimise a problem of which only the sums are left: the exact normal equation, at the rank that it has."""
    triangle, frame, exact = reduce_sums(problem)
    problem = replace(problem, refine=exact, tolerance=max(problem.tolerance, ABOVE_FLOOR))
    return conclude(problem, triangle, frame, "normal", Polish.NOTHING)


def reduce_sums(problem: LeastSquares) -> tuple[Triangle, Frame, bool]:
    """Return the triangle of the sums, the frame it was made in, and whether its equation can be solved exactly."""
    p, q = problem.rows.shape[1], sum(problem.rows.shape[1:])
    gram, exponent = sum_exact(problem, np.arange(p), np.zeros(q, dtype=np.int64))
    first = int(problem.centred)
    frame = Frame(exponent[first:], np.zeros(q))
    if _swamped(problem, gram, exponent).any():
        rounded = _rounded_triangle(problem, frame)
        if rounded is not None:
            return rounded, frame, False
    triangle = triangle_of_sums(problem, gram, exponent, frame)
    if triangle is None:
        triangle = triangle_of_sums(problem, gram, exponent, frame, floor=_FLOOR)
        triangle = None if triangle is None else _without_floor(triangle, gram.to_float().diagonal()[first : first + p])
    if triangle is None:
        raise np.linalg.LinAlgError("The sums over rows are not those of a matrix; were they changed from outside?")
    return triangle, frame, True


def _swamped(problem: LeastSquares, gram: Fixed, exponent: IntArray) -> BoolArray:
    """Tell which columns are no more than rounding beside their penalty: exact sums do not reach so far down."""
    first, p = int(problem.centred), problem.rows.shape[1]
    columns = slice(first, first + p)
    penalty = scale(np.full(p, problem.alpha), -2 * exponent[columns])
    return np.asarray(penalty * EPS > np.diagonal(gram.to_float())[columns])


def _rounded_triangle(problem: LeastSquares, frame: Frame) -> Triangle | None:
    """Cholesky triangle of the sums in float64."""
    gram, exponent = sums_with_ones(problem)
    unit = np.concatenate([np.zeros(1, dtype=np.int64), frame.exponent])
    table = scale(gram.to_float(), (exponent - unit)[:, None] + (exponent - unit))
    moments = Moments(table[0, 1:], table[1:, 1:])
    return triangle_of_moments(
        moments, frame, problem.rows.shape[1], problem.totals.sum_weights, problem.centred, problem.alpha
    )


def sums_with_ones(problem: LeastSquares) -> tuple[Fixed, IntArray]:
    """Return the sums, the column of ones among them whether there is an intercept or not."""
    if problem.sums is None:
        raise ValueError("The problem has rows, not sums.")
    return problem.sums


def _without_floor(triangle: Triangle, squares: Array) -> Triangle:
    """Make columns of zeros what they are; the floor has given them a length."""
    r, norm, exponent = triangle.r.copy(), triangle.norm.copy(), triangle.exponent.copy()
    empty = np.flatnonzero(squares == 0)
    r[:, empty] = 0.0
    norm[empty] = 0.0
    exponent[empty] = 0
    return replace(triangle, r=r, norm=norm, exponent=exponent)
