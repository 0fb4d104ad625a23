"""A linear model by an iterative solver: the rows are reduced, the solver sees an objective, its path becomes a solution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.information import (
    InformationFactor,
    deficient_information,
    dropped_information,
    information_of,
)
from mle_regression.linalg.rank import (
    RowSpace,
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

# Up to this many columns a triangle is summed even where products would do, as it gives standard errors and verdict.
TRIANGLE_COLUMNS = 500

# A path that can go no further has not converged if its distance from the minimum, relative to the length of the
# parameters, exceeds both this many tolerances and this.
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
    reduced = _reduced(problem)
    problem, triangle = reduced.problem, reduced.triangle
    objective = _objective(reduced, batch or problem.rows, solver, start)
    tell = control.tell

    def told(iteration: int, theta: Array, loss: float, norm: float) -> Status | None:
        return tell(iteration, reduced.params(objective, theta), loss, norm) if tell is not None else None

    path = solver.minimise(objective, replace(control, tell=told if tell else None))
    coef = reduced.coefficients(objective, path.theta)
    if reduced.space is not None and problem.deficiency != "drop":
        coef = smallest_coefficients(triangle, reduced.space, coef)
    if path.status is Status.CONVERGED and reduced.space is None and not _is_near(triangle, coef, control.tol):
        path.status = Status.STALLED
    arrived = path.status is Status.CONVERGED
    if arrived and reduced.saturated:
        coef = _through_every_row(reduced, coef)
    solution = as_solution(problem, triangle, _estimate(reduced, coef, arrived), solver.name, arrived=arrived)
    solution = replace(
        solution,
        losses=tuple(path.losses),
        gradient_norms=tuple(path.gradient_norms),
        rates=(path.rate, path.observed_rate),
        status=path.status,
        gradient=triangle.r.T @ (triangle.z - triangle.r @ coef),
        memory=path.memory if control.remember else {},
        remaining=0.0 if arrived else remaining(path, control, *ends_of(objective.spectrum)),
    )
    if reduced.space is None:
        return solution
    shown = relations(triangle, independent_columns(triangle, reduced.space, problem.tolerance))
    return replace(solution, relations=shown, status=Status.RANK_DEFICIENT if arrived else path.status)


@dataclass(frozen=True, slots=True)
class _Reduced:
    """A problem that has come down to a triangle.

    Attributes
    ----------
    problem : LeastSquares
        With the tolerance of its rank.
    triangle : Triangle
    frame : Frame
        Of the passes over the rows.
    space : RowSpace or None
        The row space, if columns are dependent.
    kept : IntArray of shape (k,)
        The columns that the path goes on with.
    part : Triangle
        Of these alone.
    information : InformationFactor
    """

    problem: LeastSquares
    triangle: Triangle
    frame: Frame
    space: RowSpace | None
    kept: IntArray
    part: Triangle
    information: InformationFactor

    @property
    def saturated(self) -> bool:
        """Whether a fit goes through every row: what a tolerance leaves of it is no noise."""
        return self.problem.totals.n_rows <= self.information.rank and not self.problem.alpha

    def coefficients(self, objective: QuadraticObjective, theta: Array) -> Array:
        """Return coefficients (p, m) in the units of the triangle, zero for columns left out."""
        coef = np.zeros((self.triangle.n_features, self.part.z.shape[1]))
        coef[self.kept] = objective.coefficients(theta)
        return coef

    def params(self, objective: QuadraticObjective, theta: Array) -> Array:
        """Return intercept and coefficients (1 + p, m) in the units of X and y."""
        triangle, p = self.triangle, self.triangle.n_features
        exponent, mean = triangle.exponent, scale(triangle.mean, triangle.exponent)
        coef = scale(self.coefficients(objective, theta), exponent[None, p:] - exponent[:p, None])
        return np.vstack([mean[p:] - mean[:p] @ coef, coef])


def _reduced(problem: LeastSquares) -> _Reduced:
    """Reduce rows or sums to a triangle, and leave dependent columns out if that is asked for."""
    if problem.sums is None:
        triangle, frame = reduce_rows(problem)
    else:
        found = reduce_sums(problem)
        triangle, frame, problem = found.triangle, found.frame, replace(problem, tolerance=found.tolerance)
    whole = np.arange(triangle.n_features)
    space = None if surely_full_rank(triangle, problem.tolerance) else row_space(triangle, problem.tolerance)
    if space is None or space.rank == triangle.n_features:
        information = information_of(triangle, problem.centred, problem.alpha)
        return _Reduced(problem, triangle, frame, None, whole, triangle, information)
    information = deficient_information(triangle, space, problem.centred, problem.alpha)
    if problem.deficiency != "drop":
        return _Reduced(problem, triangle, frame, space, whole, triangle, information)
    kept = independent_columns(triangle, space, problem.tolerance)
    part = triangle.columns(kept)
    left = dropped_information(information_of(part, problem.centred, problem.alpha), kept, information)
    return _Reduced(problem, triangle, frame, space, kept, part, left)


def _through_every_row(reduced: _Reduced, coef: Array) -> Array:
    """Take the last step of a path all the way."""
    if reduced.space is None:
        return solve_triangle(reduced.triangle.r, reduced.triangle.z)
    return coef if reduced.problem.deficiency == "drop" else minimum_norm(reduced.triangle, reduced.space)


def _estimate(reduced: _Reduced, coef: Array, arrived: bool) -> Estimate:
    """Sum up the residuals where a path has ended."""
    problem, triangle, p = reduced.problem, reduced.triangle, reduced.triangle.n_features
    left = triangle.z - triangle.r @ coef
    penalty = coef * scale(np.full(p, problem.alpha), -2 * triangle.exponent[:p])[:, None]
    cross = triangle.tail + left.T @ left - coef.T @ penalty
    estimate = Estimate(coef, triangle.mean[p:] - triangle.mean[:p] @ coef, cross, reduced.information)
    if not is_close_fit(triangle, cross):
        return estimate
    factor = triangle.r if arrived and reduced.saturated and reduced.space is None else None
    return polished(problem, triangle, reduced.frame, estimate, factor)


def _is_near(triangle: Triangle, coef: Array, tol: float) -> bool:
    """Whether what the triangle solves for is where a path has ended, in columns of unit length.

    Where the smallest curvature is that of a small penalty alone, a gradient lost in rounding says nothing of it.
    """
    length = column_norms(triangle.r)[:, None]
    step = solve_triangle(triangle.r, triangle.z) - coef
    distance, size = np.linalg.norm(length * step), np.linalg.norm(length * coef)
    return bool(distance <= max(_FURTHER * tol, _WORTH_TELLING) * size or not np.isfinite(distance))


def reduce_rows(problem: LeastSquares) -> tuple[Triangle, Frame]:
    """Return the triangle of the problem, and the frame of the passes over its rows."""
    if not is_wide(problem):
        moments, frame = sum_moments(problem)
        triangle = cholesky(problem, moments, frame)
        if triangle is not None:
            return triangle, frame
    else:
        frame = find_frame(problem)
    return reduce_by_qr(problem, frame)


def _objective(reduced: _Reduced, rows: Rows, solver: Iterative, start: Array | None) -> QuadraticObjective:
    problem, part, kept = reduced.problem, reduced.part, reduced.kept
    if solver.needs is not Need.MOMENTS:
        if len(kept) < problem.rows.shape[1]:
            raise ValueError(
                f"solver={solver.name!r} cannot drop dependent columns; remove them, or take on_rank_deficiency='min_norm'."
            )
        outside = part.n_features + int(problem.centred) - problem.totals.n_rows
        held = solver.by_products and outside > 0 and problem.alpha > 0 and start is None
        objective: QuadraticObjective = linear_objective(
            part, reduced.frame, rows, problem.alpha, outside if held else 0
        )
    else:
        objective = quadratic_objective(part)
    if start is None:
        return objective
    p = part.n_features
    in_triangle = scale(start[kept], part.exponent[:p, None] - part.exponent[None, p:])
    return replace(objective, beginning=in_triangle * objective.column_length[:, None] / objective.output_length)
