"""A linear model by an iterative solver: the rows are reduced, the solver sees an objective, its path becomes a solution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.information import deficient_information, dropped_information, information_of
from mle_regression.linalg.rank import (
    independent_columns,
    minimum_norm,
    relations,
    row_space,
    smallest_coefficients,
    surely_full_rank,
)
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.linalg.triangle import Triangle, solve_triangle
from mle_regression.objective.linear import QuadraticObjective, linear_objective, quadratic_objective
from mle_regression.rows.base import Rows, is_local
from mle_regression.solvers.base import LeastSquares, Need, Serves, Solution, Status
from mle_regression.solvers.by_products import solve_by_products
from mle_regression.solvers.direct import Estimate, as_solution, is_close_fit, polished
from mle_regression.solvers.normal import cholesky, is_wide
from mle_regression.solvers.passes import find_frame, require_triangle, sum_moments
from mle_regression.solvers.path import Control, Path, ends_of, remaining
from mle_regression.solvers.qr import reduce_by_qr
from mle_regression.solvers.summed import reduce_sums

# Up to so many columns a triangle is summed even where products alone would do: standard errors and verdict come of it.
TRIANGLE_COLUMNS = 500

# How much further than the tolerance from the minimum, and no nearer than what part of its parameters' length, a path that
# has come to the end of its digits has not converged.
_FURTHER, _WORTH_TELLING = 100.0, 1e-5


@runtime_checkable
class Iterative(Protocol):
    """An algorithm that follows an objective down.

    ``serves``, ``needs`` and ``continues_from`` are as a `Solver` has them; ``by_products`` tells whether products with X and
    its transpose are enough.
    """

    name: ClassVar[str]
    serves: ClassVar[Serves]
    needs: ClassVar[Need]
    continues_from: ClassVar[Need | None]
    by_products: ClassVar[bool]

    def minimise(self, objective: Any, control: Control) -> Path:
        """Follow a path to a minimum."""
        ...


def solve_by_path(
    problem: LeastSquares, solver: Iterative, control: Control, start: Array | None = None, batch: Rows | None = None
) -> Solution:
    """Minimise a least-squares problem step by step.

    Parameters
    ----------
    problem : LeastSquares
    solver : Iterative
    control : Control
    start : Array of shape (p, m), default=None
        Coefficients in the units of X to start from; zero if None.
    batch : Rows, default=None
        The rows to draw from, where the problem has only sums of all of them.
    """
    many = problem.rows.shape[1] > TRIANGLE_COLUMNS
    if solver.by_products and problem.sums is None and many and is_local(problem.rows):
        return solve_by_products(problem, solver, control, start)
    require_triangle(problem, solver.name)
    if problem.sums is None:
        triangle, frame = _reduce(problem)
    else:
        found = reduce_sums(problem)
        triangle, frame, problem = found.triangle, found.frame, replace(problem, tolerance=found.tolerance)
    kept, part = np.arange(triangle.n_features), triangle
    s = None if surely_full_rank(triangle, problem.tolerance) else row_space(triangle, problem.tolerance)
    deficient = s is not None and s.rank < triangle.n_features
    if deficient and s is not None and problem.deficiency == "drop":
        kept = independent_columns(triangle, s, problem.tolerance)
        part = triangle.columns(kept)
    objective = _objective(problem, batch or problem.rows, solver, part, frame, kept, start)
    tell = control.tell

    def told(iteration: int, theta: Array, loss: float, norm: float) -> Status | None:
        return tell(iteration, in_units(theta), loss, norm) if tell is not None else None

    def in_units(theta: Array) -> Array:
        p = triangle.n_features
        coef = scale(full(theta), triangle.exponent[None, p:] - triangle.exponent[:p, None])
        mean = scale(triangle.mean, triangle.exponent)
        return np.vstack([mean[p:] - mean[:p] @ coef, coef])

    def full(theta: Array) -> Array:
        coef = np.zeros((triangle.n_features, part.z.shape[1]))
        coef[kept] = objective.coefficients(theta)
        return coef

    path = solver.minimise(objective, replace(control, tell=told if tell else None))
    coef = full(path.theta)
    information = information_of(part, problem.centred, problem.alpha)
    if deficient and s is not None:
        information = deficient_information(triangle, s, problem.centred, problem.alpha)
        if problem.deficiency == "drop":
            information = dropped_information(information_of(part, problem.centred, problem.alpha), kept, information)
        else:
            coef = smallest_coefficients(triangle, s, coef)
    if path.status is Status.CONVERGED and not deficient and not _is_near(triangle, coef, control.tol):
        path.status = Status.STALLED
    arrived = path.status is Status.CONVERGED
    # What the tolerance leaves of a fit through every row is no noise: the last step goes all the way.
    whole = arrived and problem.totals.n_rows <= information.rank and not problem.alpha
    if whole and not deficient:
        coef = solve_triangle(triangle.r, triangle.z)
    elif whole and s is not None and problem.deficiency != "drop":
        coef = minimum_norm(triangle, s)
    left = triangle.z - triangle.r @ coef
    penalty = coef * scale(np.full(len(coef), problem.alpha), -2 * triangle.exponent[: len(coef)])[:, None]
    cross = triangle.tail + left.T @ left - coef.T @ penalty
    p = triangle.n_features
    estimate = Estimate(coef, triangle.mean[p:] - triangle.mean[:p] @ coef, cross, information)
    if is_close_fit(triangle, cross):
        estimate = polished(problem, triangle, frame, estimate, triangle.r if whole and not deficient else None)
    solution = as_solution(problem, triangle, estimate, solver.name, arrived=arrived)
    solution = replace(
        solution,
        losses=tuple(path.losses),
        gradient_norms=tuple(path.gradient_norms),
        rates=(path.rate, path.observed_rate),
        status=path.status,
        gradient=triangle.r.T @ left,
        memory=path.memory if control.remember else {},
        remaining=0.0 if arrived else remaining(path, control, *ends_of(objective.spectrum)),
    )
    if deficient and s is not None:
        shown = relations(triangle, independent_columns(triangle, s, problem.tolerance))
        return replace(solution, relations=shown, status=Status.RANK_DEFICIENT if arrived else path.status)
    return solution


def _is_near(triangle: Triangle, coef: Array, tol: float) -> bool:
    """Whether what the triangle solves for is where a path has ended, in columns of unit length.

    Where the smallest curvature is that of a small penalty alone, a gradient lost in rounding says nothing of it.
    """
    length = column_norms(triangle.r)[:, None]
    step = solve_triangle(triangle.r, triangle.z) - coef
    distance, size = np.linalg.norm(length * step), np.linalg.norm(length * coef)
    return bool(distance <= max(_FURTHER * tol, _WORTH_TELLING) * size or not np.isfinite(distance))


def _reduce(problem: LeastSquares) -> tuple[Triangle, Frame]:
    """Return the triangle of the problem, and the frame of the passes over its rows."""
    if not is_wide(problem):
        moments, frame = sum_moments(problem)
        triangle = cholesky(problem, moments, frame)
        if triangle is not None:
            return triangle, frame
    else:
        frame = find_frame(problem)
    return reduce_by_qr(problem, frame)


def _objective(
    problem: LeastSquares,
    rows: Rows,
    solver: Iterative,
    part: Triangle,
    frame: Frame,
    kept: IntArray,
    start: Array | None,
) -> QuadraticObjective:
    if solver.needs is not Need.MOMENTS:
        if len(kept) < problem.rows.shape[1]:
            raise ValueError(
                f"solver={solver.name!r} cannot drop dependent columns; remove them, or take on_rank_deficiency='min_norm'."
            )
        outside = part.n_features + int(problem.centred) - problem.totals.n_rows
        held = solver.by_products and outside > 0 and problem.alpha > 0 and start is None
        objective: QuadraticObjective = linear_objective(part, frame, rows, problem.alpha, outside if held else 0)
    else:
        objective = quadratic_objective(part)
    if start is None:
        return objective
    p = part.n_features
    in_triangle = scale(start[kept], part.exponent[:p, None] - part.exponent[None, p:])
    return replace(objective, beginning=in_triangle * objective.column_length[:, None] / objective.output_length)
