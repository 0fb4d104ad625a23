"""A linear model under any noise: by least squares where sums over the rows suffice, else by the likelihood of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigvalsh

from mle_regression.diagnostics.curvature import FLAT_MINIMUM, UNDETERMINED, UNIQUE_MINIMUM
from mle_regression.diagnostics.stationary import MINIMUM, SADDLE
from mle_regression.fit import linear
from mle_regression.fit.likelihood_problem import LikelihoodProblem
from mle_regression.fit.linear import LinearProblem, Teller, control_of, iterative
from mle_regression.fit.linear_conclusion import at_level, residuals_of
from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fitted.linear import Start
from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.threads import suitable_threads
from mle_regression.noise.scale import likeliest_scales, log_density_at_scales
from mle_regression.objective.likelihood import LikelihoodObjective
from mle_regression.solvers.auto import Automatic
from mle_regression.solvers.base import MaximumOfRows, Solution, Status
from mle_regression.solvers.linear_path import Iterative
from mle_regression.solvers.newton import NewtonCG
from mle_regression.solvers.path import Control, Path

# Parameters up to which the verdict comes of the matrix of the Hessian; eigenvalues of this part of the largest are rounding.
_LARGEST_HESSIAN, _HESSIAN_ROUNDING = 3000, 1e-12
# Rounding of the gradient, in eps, by the largest that y is beside its residuals.
_GRADIENT_ROUNDING_EPS = 4.0
# Scale of the noise, in units of that where a solver began, below which it goes on in others; how often at most.
_SMALLEST_SCALE, _MOST_UNITS = 1.0 / 16.0, 16
# With what a path ends for good, wherever it is.
_ENDED = (Status.CONVERGED, Status.STOPPED, Status.INTERRUPTED)


def solve(
    problem: LinearProblem,
    options: LinearOptions,
    rng: Callable[[], np.random.Generator],
    tell: Teller | None = None,
    earlier: Start | None = None,
) -> Solution:
    """Maximise the likelihood of a problem that has rows; iterative solvers begin where an ``earlier`` fit has ended."""
    if problem.noise.sums_suffice:
        return linear.solve(problem, options, rng, tell, earlier)
    with suitable_threads(*problem.squares.rows.shape[:2]):
        return _solve_by_rows(problem, options, rng, tell, earlier)


def _solve_by_rows(
    problem: LinearProblem,
    options: LinearOptions,
    rng: Callable[[], np.random.Generator],
    tell: Teller | None,
    earlier: Start | None,
) -> Solution:
    """Start from least squares, which also gives the information XᵀWX, and go on to the optimum of the likelihood.

    The penalty of the squares is divided by the information of the noise: with s the scale, ``(s²/I) (XᵀWX + (α/I) I₀)⁻¹`` is
    the inverse of the expected information under the prior of variance s²/α.
    """
    squares, noise = problem.squares, problem.noise
    begun = replace(squares, alpha=squares.alpha / noise.information, refine=False)
    start = at_level(begun, Automatic().solve(begun))
    if start.noise_free.any():
        return start  # the likelihood has no end there, whatever the noise
    coef, intercept = start.coef, start.intercept
    control = control_of(options, rng(), min(squares.rows.shape[0], options.batch_size or squares.rows.shape[0]))
    if earlier is not None and earlier.coef.shape == coef.shape:
        coef, intercept, control = earlier.coef, earlier.intercept, replace(control, memory=earlier.memory)
    solver, reason = iterative(options.solver), ""
    if solver is None:
        solver, reason = NewtonCG(), f"noise={noise.name!r} is not fitted by least squares"
    found = _maximise(LikelihoodProblem.of(problem, start), solver, control, tell, coef, intercept)
    memory = found.path.memory if control.remember else {}
    return replace(_concluded(start, found), solver=solver.name, reason=reason, memory=memory)


@dataclass(frozen=True, slots=True)
class _Maximum:
    """Where a solver has ended.

    Attributes
    ----------
    posed : LikelihoodProblem
        In the units where it ended.
    objective : LikelihoodObjective
    path : Path
        The last part of it, in those units.
    losses, gradient_norms : list of float
        Of all parts; losses are minus the mean log density in the units of y.
    """

    posed: LikelihoodProblem
    objective: LikelihoodObjective
    path: Path
    losses: list[float]
    gradient_norms: list[float]


def _maximise(
    posed: LikelihoodProblem,
    solver: Iterative,
    control: Control,
    tell: Teller | None,
    coef: Array,
    intercept: Array,
) -> _Maximum:
    """Follow a solver, in other units wherever the noise has become much smaller than those it began with.

    Rows far away make the least-squares residuals large, and noise of long tails small: in units of the former the
    curvature along coefficients is the square of the ratio of the two times that along the log scale.
    """
    losses, norms = list[float](), list[float]()
    for left in range(_MOST_UNITS, -1, -1):
        objective = posed.objective(coef, intercept)
        if _has_shrunk(posed, objective.start):
            posed = posed.in_units_of(objective.start)
            objective = posed.objective(coef, intercept)
        path = _followed(posed, objective, solver, control, _continued(tell, len(losses)), leave=left > 0)
        skip = 1 if losses else 0
        losses += [loss + posed.constant for loss in path.losses[skip:]]
        norms += path.gradient_norms[skip:]
        control = replace(control, max_iter=control.max_iter - path.n_iter, memory={})
        if path.status in _ENDED or control.max_iter < 1 or not (left and _has_shrunk(posed, path.theta)):
            break
        coef, intercept = posed.coefficients(path.theta)
        posed = posed.in_units_of(path.theta)
    return _Maximum(posed, objective, path, losses, norms)


def _followed(
    posed: LikelihoodProblem,
    objective: LikelihoodObjective,
    solver: Iterative,
    control: Control,
    tell: Teller | None,
    leave: bool,
) -> Path:
    """Follow a solver to its end, or, if it is to ``leave``, to where other units are better."""

    def told(iteration: int, phi: Array, loss: float, norm: float) -> Status | None:
        status = None
        if tell is not None:
            coef, intercept = posed.coefficients(phi)
            status = tell(iteration, np.vstack([intercept, coef]), loss + posed.constant, norm)
        return Status.PLATEAU if status is None and leave and _has_shrunk(posed, phi) else status

    # A gradient of residuals that are this small beside the means is known no better.
    tol = max(control.tol, _GRADIENT_ROUNDING_EPS * EPS * posed.reach)
    return solver.minimise(objective, replace(control, tol=tol, tell=told))


def _continued(tell: Teller | None, done: int) -> Teller | None:
    """Return what is told of iterations after some that are done; the start of each part is the end of that before."""
    if tell is None or not done:
        return tell
    return lambda iteration, *rest: tell(done - 1 + iteration, *rest) if iteration else None


def _has_shrunk(posed: LikelihoodProblem, phi: Array) -> bool:
    """Tell whether the noise of an output is much smaller than its unit."""
    return bool((phi[-len(posed.of_y.spread) :] < np.log(_SMALLEST_SCALE)).any())


def _concluded(start: Solution, found: _Maximum) -> Solution:
    """Return what is known where a solver has ended that began at the least-squares solution."""
    problem, path, phi = found.posed.problem, found.path, np.asarray(found.path.theta)
    coef, intercept = found.posed.coefficients(path.theta)
    if start.relations and problem.squares.deficiency != "drop":
        coef, intercept = _of_smallest_norm(start, coef, intercept)
    residuals, weights = residuals_of(problem, coef, intercept, start.output_exponent)
    weighted = residuals if weights is None else weights[:, None] * residuals
    arrived, deficient = path.status is Status.CONVERGED, bool(start.relations)
    return replace(
        start,
        coef=coef,
        intercept=intercept,
        residual_cross=residuals.T @ weighted,
        gradient_norm=path.gradient_norms[-1],
        status=Status.RANK_DEFICIENT if deficient and arrived else path.status,
        refined=False,
        losses=tuple(found.losses),
        gradient_norms=tuple(found.gradient_norms),
        rates=(float("nan"), path.observed_rate),
        remaining=0.0 if arrived else float("inf"),
        gradient=np.zeros((0, 0)),
        of_rows=MaximumOfRows(
            *_likeliest(problem, residuals, weights, start.output_exponent),
            total_squares=found.posed.total_squares(start),
            verdict=_verdict(found.objective, phi, deficient) if arrived else "",
        ),
    )


def _likeliest(
    problem: LinearProblem, residuals: Array, weights: Array | None, exponent: IntArray
) -> tuple[Array, float]:
    """Return the scales (m,) that make residuals likeliest, and the log-likelihood in the units of y."""
    scales = likeliest_scales(problem.noise, residuals, weights, frequency=problem.frequency)
    total = log_density_at_scales(problem.noise, residuals, scales, weights, frequency=problem.frequency)
    if problem.frequency:
        total = float(scale(total, 2 * problem.weight_exponent))
    return scales, total - problem.n * float(np.log(2.0) * exponent.sum())


def _of_smallest_norm(start: Solution, coef: Array, intercept: Array) -> tuple[Array, Array]:
    """Take from coefficients what changes no mean: their part along dependent columns."""
    information = start.information
    factor = scale(information.factor, information.exponent)
    _, _, right = np.linalg.svd(factor, full_matrices=True)
    null = right[information.rank - int(information.centred) :]
    along = null.T @ (null @ coef)
    return coef - along, intercept + float(information.centred) * (
        scale(information.mean, information.exponent) @ along
    )


def _verdict(objective: LikelihoodObjective, phi: Array, deficient: bool) -> str:
    """Say what kind of optimum it is.

    In the parameters (β/s, 1/s) a log-concave density has a concave likelihood (Burridge, 1981), and so one optimum at most.
    """
    if deficient:
        return FLAT_MINIMUM
    best = UNIQUE_MINIMUM if objective.noise.log_concave else MINIMUM
    if len(phi) > _LARGEST_HESSIAN:
        return best if objective.noise.log_concave else UNDETERMINED
    fixed = np.zeros(len(phi), dtype=bool) if objective.fixed is None else objective.fixed
    values = eigvalsh(objective.hessian(phi)[np.ix_(~fixed, ~fixed)])
    least = _HESSIAN_ROUNDING * float(np.abs(values).max())
    if values[0] > least:
        return best
    return FLAT_MINIMUM if values[0] >= -least else SADDLE
