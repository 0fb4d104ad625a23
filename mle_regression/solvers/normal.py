"""The normal equation: XᵀWX β = XᵀWy by Cholesky, formed without rounding where rounding would matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mle_regression.linalg.arrays import IntArray
from mle_regression.linalg.exact import Fixed, fixed
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments
from mle_regression.linalg.precondition import triangular_preconditioner
from mle_regression.linalg.qr import triangular_factor
from mle_regression.linalg.rank import has_full_rank
from mle_regression.linalg.scaling import exponents, scale
from mle_regression.linalg.triangle import (
    Triangle,
    exceeds_condition,
    inverse_triangle,
    triangle_of_factor,
    triangle_of_moments,
)
from mle_regression.solvers.base import LeastSquares, Need, Options, Serves, Solution
from mle_regression.solvers.direct import Polish, conclude, is_close_fit
from mle_regression.solvers.dual import solve_dual
from mle_regression.solvers.passes import require_triangle, sum_exact, sum_moments
from mle_regression.solvers.qr import TallSkinnyQR, polish_for_qr, reduce_by_qr
from mle_regression.solvers.sparse_normal import solve_sparse
from mle_regression.solvers.svd import SingularValues

# Cholesky of the Gram matrix leaves standard errors with a relative error of about eps times the square of the condition;
# up to this one that is below 1e-9.
WELL_CONDITIONED = 1e3
# Condition number from which a residual pass is worth its cost: about two digits are lost.
_POLISH_CONDITION = 30.0


@dataclass
class NormalEquation(Options):
    """Solve the normal equation, one Newton step of the quadratic objective.

    Gram matrix of equilibrated, centred columns in one pass over the rows; Cholesky; one residual pass that restores what
    the Gram matrix rounded away, left out where that is nothing. Where the columns are ill-conditioned a fit that is refined
    sums the Gram matrix without rounding and solves the equation as exactly, a singular one left to the singular values; one
    that is not refined is left to QR.
    """

    name: ClassVar[str] = "normal"
    serves: ClassVar[Serves] = Serves.SUMS
    needs: ClassVar[Need] = Need.MOMENTS
    continues_from: ClassVar[Need | None] = Need.MOMENTS
    squares_columns: ClassVar[bool] = True

    def solve(self, problem: LeastSquares) -> Solution:
        """Minimise the problem."""
        solution = solve_sparse(problem)
        if solution is not None:
            return solution
        solution = solve_dual(problem)
        if solution is not None:
            return solution
        require_triangle(problem, self.name)
        if is_wide(problem):
            return TallSkinnyQR().solve(problem)
        moments, frame = sum_moments(problem)
        triangle = cholesky(problem, moments, frame)
        if triangle is not None:
            return conclude(problem, triangle, frame, self.name, polish_for(problem, triangle))
        if not problem.refine:
            triangle, frame = reduce_by_qr(problem, frame)
            return conclude(problem, triangle, frame, TallSkinnyQR.name, polish_for_qr(problem))
        triangle = _exact_triangle(problem, moments, frame)
        if triangle is None or not has_full_rank(triangle, problem.tolerance):
            return SingularValues().solve(problem)
        return conclude(problem, triangle, frame, self.name, Polish.RESIDUALS)


def cholesky(problem: LeastSquares, moments: Moments, frame: Frame) -> Triangle | None:
    """Cholesky triangle of the moments; None where they are not safely positive definite."""
    totals, p = problem.totals, problem.rows.shape[1]
    triangle = triangle_of_moments(moments, frame, p, totals.sum_weights, problem.centred, problem.alpha)
    if triangle is None or exceeds_condition(triangle.r, WELL_CONDITIONED):
        return None
    return triangle


def is_wide(problem: LeastSquares) -> bool:
    """Whether there are fewer rows than parameters and no penalty, so that the normal equation is singular beforehand."""
    return problem.totals.n_rows < problem.rows.shape[1] + int(problem.centred) and not problem.alpha


def polish_for(problem: LeastSquares, triangle: Triangle) -> Polish:
    """Tell whether a residual pass would restore digits: of coefficients, or of a sum of squares that cancelled."""
    close_fit = is_close_fit(triangle, triangle.tail)
    plain = not close_fit and not problem.alpha and not exceeds_condition(triangle.r, _POLISH_CONDITION)
    return Polish.NOTHING if plain else Polish.COEFFICIENTS


def _exact_triangle(problem: LeastSquares, moments: Moments, frame: Frame) -> Triangle | None:
    """Triangle of the cross-products of [1 | X] summed without rounding; None where they are singular."""
    p = problem.rows.shape[1]
    lengths = np.sqrt(np.diagonal(moments.gram) + problem.totals.sum_weights * frame.shift**2)
    gram, exponent = sum_exact(problem, np.arange(p), frame.exponent + np.frexp(lengths)[1])
    return triangle_of_sums(problem, gram, exponent, frame)


def triangle_of_sums(
    problem: LeastSquares,
    gram: Fixed,
    exponent: IntArray,
    frame: Frame,
    *,
    kept: IntArray | None = None,
    floor: float = 0.0,
) -> Triangle | None:
    """Triangle of exact cross-products of [1 | X | y] (or [X | y]), columns divided by ``2**exponent``.

    Only the columns ``kept`` are factorised, all if None; of the others that part is taken which is in their span, and the
    triangle has rows of zeros for the rest. ``floor`` is added to the squares of the columns, so that dependent ones leave a
    triangle of small diagonal; without it they leave None.
    """
    first, p = int(problem.centred), problem.rows.shape[1]
    k = first + p
    pick = np.arange(k) if kept is None else np.concatenate([np.arange(first), first + kept])
    diagonal = np.full(k, floor)
    if problem.alpha:
        diagonal[first:] += scale(np.full(p, problem.alpha), -2 * exponent[first:k])
    whole = gram
    if diagonal.any():
        whole = (gram + fixed(np.diag(np.concatenate([diagonal, np.zeros(len(exponent) - k)])))).carried()
    upper = np.zeros((k, len(exponent)))
    if pick.size:
        inverse = triangular_preconditioner(whole.submatrix(pick))
        if inverse is None:
            return None
        # In digits: large entries of the inverse cancel in these products where columns are nearly dependent.
        grade = exponents(np.abs(inverse).max(axis=0))
        others = np.setdiff1d(np.arange(len(exponent)), pick)
        products = fixed(scale(inverse, -grade)).times(whole.rows(pick).columns(others)).to_float()
        upper[: len(pick), pick] = inverse_triangle(inverse)
        upper[: len(pick), others] = scale(products, grade[:, None])
    if kept is not None:
        upper = triangular_factor(upper)
    squares = gram.rows(slice(k, None)).columns(slice(k, None)).to_float()
    left = np.diag(np.sqrt(np.maximum(np.diagonal(squares - upper[:, k:].T @ upper[:, k:]), 0.0)))
    upper = np.vstack([upper, np.hstack([np.zeros((len(left), k)), left])])
    upper = scale(upper, exponent - np.r_[np.zeros(first, dtype=np.int64), frame.exponent])
    if problem.centred:
        upper[0, 1:] -= upper[0, 0] * frame.shift
    return triangle_of_factor(upper, frame, p, problem.totals.sum_weights, problem.centred, 0.0)
