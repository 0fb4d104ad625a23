"""Least squares from exact cross-products alone, when the rows have gone by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.triangle import Triangle
from mle_regression.solvers.base import LeastSquares, Solution
from mle_regression.solvers.direct import Polish, conclude
from mle_regression.solvers.normal import triangle_of_sums
from mle_regression.solvers.passes import sum_exact

# Added to the squares of columns of unit length where they are dependent: the singular values that are zero become 2**-50,
# the least that a preconditioner in float64 can turn into one, and stay below the tolerance.
_FLOOR, _ABOVE_FLOOR = 2.0**-100, 2.0**-49


def solve_summed(problem: LeastSquares) -> Solution:
    """Minimise a problem of which only the sums are left: the exact normal equation, at the rank that it has."""
    p, q = problem.rows.shape[1], sum(problem.rows.shape[1:])
    gram, exponent = sum_exact(problem, np.arange(p), np.zeros(q, dtype=np.int64))
    first = int(problem.centred)
    frame = Frame(exponent[first:], np.zeros(q))
    triangle = triangle_of_sums(problem, gram, exponent, frame)
    if triangle is None:
        triangle = triangle_of_sums(problem, gram, exponent, frame, floor=_FLOOR)
        problem = replace(problem, tolerance=max(problem.tolerance, _ABOVE_FLOOR))
        triangle = None if triangle is None else _without_floor(triangle, gram.to_float().diagonal()[first : first + p])
    if triangle is None:
        raise np.linalg.LinAlgError("The sums over rows are not those of a matrix; were they changed from outside?")
    return conclude(replace(problem, refine=True), triangle, frame, "normal", Polish.NOTHING)


def _without_floor(triangle: Triangle, squares: Array) -> Triangle:
    """Make columns of zeros what they are; the floor has given them a length."""
    r, norm = triangle.r.copy(), triangle.norm.copy()
    empty = np.flatnonzero(squares == 0)
    r[:, empty] = 0.0
    norm[empty] = 0.0
    return replace(triangle, r=r, norm=norm)
