"""The cheapest direct solver that gives all the digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.memory import fits_memory
from mle_regression.rows.base import is_local
from mle_regression.solvers.base import LeastSquares, Need, Options, Serves, Solution
from mle_regression.solvers.by_products import solve_by_products, solve_if_easy
from mle_regression.solvers.direct import conclude
from mle_regression.solvers.dual import solve_dual
from mle_regression.solvers.lsmr import LSMR
from mle_regression.solvers.normal import NormalEquation, cholesky, is_wide, polish_for
from mle_regression.solvers.passes import sum_moments, triangle_bytes
from mle_regression.solvers.path import Control
from mle_regression.solvers.qr import TallSkinnyQR, polish_for_qr, reduce_by_qr
from mle_regression.solvers.sparse_normal import SPARSE_PRICE, solve_sparse


@dataclass
class Automatic(Options):
    """Choose by what the data turn out to be.

    The normal equation while the equilibrated columns have a condition below about 1e3; QR beyond, and where there are fewer
    rows than parameters; the SVD where columns are numerically dependent. Under a penalty, and with half as many rows as
    columns, all is done in the space of the rows. Where the triangle of p × p numbers that all of
    these end in would not fit into memory, or with sparse columns take more than a gigabyte, LSMR by products alone; of 2,500
    sparse columns or more also where it is foreseen to cost a fraction of the triangle, and soon shows what the rank is.
    """

    name: ClassVar[str] = "auto"
    serves: ClassVar[Serves] = Serves.ANY
    needs: ClassVar[Need] = Need.MOMENTS
    continues_from: ClassVar[Need | None] = Need.MOMENTS
    squares_columns: ClassVar[bool] = True

    def solve(self, problem: LeastSquares) -> Solution:
        """Minimise the problem."""
        solution = solve_sparse(problem)
        if solution is not None:
            return replace(solution, reason="sparse columns whose triangle stays sparse")
        solution = solve_dual(problem)
        if solution is not None:
            return replace(solution, reason="a penalty, and so few rows that a matrix of theirs is the smaller one")
        if _too_large(problem):
            solution = solve_by_products(problem, LSMR(), _CONTROL)
            return replace(solution, reason="a triangle of all columns would take too much memory")
        if _products_are_cheap(problem):
            solution = solve_if_easy(problem, LSMR(), _TO_THE_LAST_DIGITS, _FEW_STEPS)
            if solution is not None:
                return replace(solution, reason="sparse columns far from dependent: products cost less than a triangle")
        if is_wide(problem):
            return replace(TallSkinnyQR().solve(problem), reason="fewer rows than parameters")
        moments, frame = sum_moments(problem)
        triangle = cholesky(problem, moments, frame)
        if triangle is not None:
            polish, far = polish_for(problem, triangle), "columns far from dependent"
            return conclude(problem, triangle, frame, NormalEquation.name, polish, reason=far)
        triangle, frame = reduce_by_qr(problem, frame)
        solution = conclude(problem, triangle, frame, TallSkinnyQR.name, polish_for_qr(problem))
        return replace(solution, reason="dependent columns" if solution.relations else "columns near to dependent")


# Largest dense triangle for sparse columns, in bytes.
_SPARSE_TRIANGLE = 1 << 30
# With fewer sparse columns a triangle, which gives standard errors, takes less than about a second.
_MANY_COLUMNS = 2500
# Steps of LSMR in which columns in good condition are solved for, the vectors solved for at once, and what a
# floating-point operation of a sparse product costs beside one of a factorisation.
_FEW_STEPS, _VECTORS = 60, 8
_TO_THE_LAST_DIGITS = Control("auto", None, max_iter=2 * _FEW_STEPS, tol=1e-14, rng=np.random.default_rng(0))
_CONTROL = Control("auto", None, max_iter=2000, tol=1e-10, rng=np.random.default_rng(0))


def _too_large(problem: LeastSquares) -> bool:
    """Whether a triangle would not fit into memory, or be much larger than the nonzeros are."""
    if problem.sums is not None or not is_local(problem.rows):
        return False
    size = triangle_bytes(problem)
    sparse = sp.issparse(getattr(problem.rows, "x", None)) and not problem.refine
    return not fits_memory(size) or (sparse and size > _SPARSE_TRIANGLE)


def _products_are_cheap(problem: LeastSquares) -> bool:
    """Whether products with sparse columns, even in vain, are foreseen to cost a fraction of a triangle of theirs."""
    x: Any = getattr(problem.rows, "x", None)
    if problem.sums is not None or problem.refine or not sp.issparse(x):
        return False
    n, p = x.shape
    products = 4.0 * x.nnz * _VECTORS * _FEW_STEPS * SPARSE_PRICE
    return p >= _MANY_COLUMNS and n > p and not problem.alpha and products < p**3
