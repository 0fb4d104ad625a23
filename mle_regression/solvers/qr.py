"""QR by blocks of rows: stable at any condition, at a few times the price of a Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mle_regression.linalg.frame import Frame
from mle_regression.linalg.triangle import Triangle, triangle_of_factor
from mle_regression.solvers.base import LeastSquares, Need, Options, Serves, Solution
from mle_regression.solvers.direct import Polish, conclude
from mle_regression.solvers.passes import find_frame, require_triangle, sum_factors


@dataclass
class TallSkinnyQR(Options):
    """Reduce the rows to a triangle by Householder reflections, block by block.

    TSQR (Demmel, Grigori, Hoemmen and Langou, 2012) of [1 | X | y] after a shift of the columns: backward stable, so that
    errors grow with the condition of X and not with its square.
    """

    name: ClassVar[str] = "qr"
    serves: ClassVar[Serves] = Serves.SUMS
    needs: ClassVar[Need] = Need.MOMENTS
    continues_from: ClassVar[Need | None] = Need.MOMENTS

    def solve(self, problem: LeastSquares) -> Solution:
        """Minimise the problem."""
        require_triangle(problem, self.name)
        triangle, frame = reduce_by_qr(problem, find_frame(problem))
        return conclude(problem, triangle, frame, self.name, polish_for_qr(problem))


def reduce_by_qr(problem: LeastSquares, frame: Frame) -> tuple[Triangle, Frame]:
    """Triangle of a problem by QR, and the frame in which its rows were taken."""
    upper = sum_factors(problem, frame)
    p = problem.rows.shape[1]
    return triangle_of_factor(upper, frame, p, problem.totals.sum_weights, problem.centred, problem.alpha), frame


def polish_for_qr(problem: LeastSquares) -> Polish:
    """Tell what a residual pass is for after QR: only to set right what a penalty much larger than X swamps."""
    return Polish.COEFFICIENTS if problem.alpha else Polish.NOTHING
