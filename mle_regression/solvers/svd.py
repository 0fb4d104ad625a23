"""The singular value decomposition of the triangle that QR leaves: slowest, and the one that shows every direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mle_regression.solvers.base import LeastSquares, Need, Options, Serves, Solution
from mle_regression.solvers.direct import conclude
from mle_regression.solvers.passes import find_frame, require_triangle
from mle_regression.solvers.qr import polish_for_qr, reduce_by_qr


@dataclass
class SingularValues(Options):
    """Solve through the singular values of the equilibrated columns, whether the rank is full or not.

    QR by blocks, then the SVD of the triangle (Chan, 1982). A direction whose singular value is below ``rank_tol`` is no
    direction: its coefficients are not determined.
    """

    name: ClassVar[str] = "svd"
    serves: ClassVar[Serves] = Serves.SUMS
    needs: ClassVar[Need] = Need.MOMENTS
    continues_from: ClassVar[Need | None] = Need.MOMENTS

    def solve(self, problem: LeastSquares) -> Solution:
        """Minimise the problem."""
        require_triangle(problem, self.name)
        triangle, frame = reduce_by_qr(problem, find_frame(problem))
        return conclude(problem, triangle, frame, self.name, polish_for_qr(problem), by_spectrum=True)
