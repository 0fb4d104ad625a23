"""The cheapest direct solver that gives all the digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mle_regression.solvers.base import LeastSquares, Options, Solution
from mle_regression.solvers.direct import conclude
from mle_regression.solvers.normal import NormalEquation, cholesky, is_wide, polish_for
from mle_regression.solvers.passes import sum_moments
from mle_regression.solvers.qr import TallSkinnyQR, polish_for_qr, reduce_by_qr
from mle_regression.solvers.sparse_normal import solve_sparse


@dataclass
class Automatic(Options):
    """Choose by what the data turn out to be.

    The normal equation while the equilibrated columns have a condition below about 1e3; QR beyond, and where there are fewer
    rows than parameters; the SVD where columns are numerically dependent.
    """

    name: ClassVar[str] = "auto"
    noises: ClassVar[frozenset[str]] = frozenset({"gaussian"})
    from_sums: ClassVar[bool] = True

    def solve(self, problem: LeastSquares) -> Solution:
        """Minimise the problem."""
        if is_wide(problem):
            return TallSkinnyQR().solve(problem)
        solution = solve_sparse(problem)
        if solution is not None:
            return solution
        moments, frame = sum_moments(problem)
        triangle = cholesky(problem, moments, frame)
        if triangle is not None:
            return conclude(problem, triangle, frame, NormalEquation.name, polish_for(problem, triangle))
        triangle, frame = reduce_by_qr(problem, frame)
        return conclude(problem, triangle, frame, TallSkinnyQR.name, polish_for_qr(problem))
