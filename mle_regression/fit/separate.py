"""Outputs under different penalties: a problem for each penalty, of the same rows; what is common is done once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import cast

import numpy as np

from mle_regression.fit import linear, linear_conclusion, linear_likelihood
from mle_regression.fit.linear import LinearProblem, Teller, iterative, refinement_is_cheap
from mle_regression.fit.linear_conclusion import residual_cross
from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import LinearFit, Start
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.sums import KeptSums
from mle_regression.linalg.threads import suitable_threads
from mle_regression.rows.base import Rows, SummedRows
from mle_regression.rows.outputs import rows_of_outputs
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import MaximumOfRows, Solution, Solver, Status
from mle_regression.solvers.spectral import directions_of, solve_along

# Multiplications of a singular value decomposition beside those of a matrix product of its size.
_DECOMPOSITION = 18.0


@dataclass(frozen=True, slots=True)
class SeparateProblem:
    """A linear problem whose outputs have different penalties.

    Attributes
    ----------
    whole : LinearProblem
        All outputs, under the largest penalty: what does not depend on it is read from here.
    parts : tuple of LinearProblem
        The outputs of each penalty, in ascending order of penalties.
    places : tuple of IntArray
        Which outputs these are.
    """

    whole: LinearProblem
    parts: tuple[LinearProblem, ...]
    places: tuple[IntArray, ...]


@dataclass(frozen=True, slots=True)
class SeparateSolution:
    """Solutions of the parts of a problem, and what they are together.

    Attributes
    ----------
    parts : tuple of Solution
    whole : Solution
        All outputs; its status is that of the part that is furthest from done, its information that of this part.
    """

    parts: tuple[Solution, ...]
    whole: Solution


def pose(data: TrainingData, options: LinearOptions, alpha: float | Array) -> LinearProblem | SeparateProblem:
    """Pose the problem of fitting y (n, m) on x (n, p) under one penalty, or one for each output (m,)."""
    if isinstance(alpha, float):
        return linear.pose(data, options, alpha)
    return separate(linear.pose(data, options, float(alpha.max())), alpha, options)


def whole_of(problem: LinearProblem | SeparateProblem) -> LinearProblem:
    """Return the problem of all outputs."""
    return problem if isinstance(problem, LinearProblem) else problem.whole


def separate(whole: LinearProblem, penalties: Array, options: LinearOptions) -> SeparateProblem:
    """Part a problem by the penalties (m,) of its outputs, in the units of X."""
    distinct = np.unique(penalties)
    places = tuple(np.flatnonzero(penalties == alpha) for alpha in distinct)
    parts = tuple(
        _part(whole, which, float(alpha), options, len(distinct)) for alpha, which in zip(distinct, places, strict=True)
    )
    return SeparateProblem(whole, parts, places)


def _part(whole: LinearProblem, which: IntArray, alpha: float, options: LinearOptions, parts: int) -> LinearProblem:
    squares, alpha = whole.squares, float(scale(alpha, -2 * whole.weight_exponent))
    n, p, _ = squares.rows.shape
    level, refine = squares.totals.level, squares.refine
    if squares.sums is not None:
        rows: Rows = SummedRows((n, p, len(which)))
        sums: KeptSums | None = squares.sums.of_outputs(which, p, alpha)
    else:
        rows, sums = rows_of_outputs(squares.rows, which), None
        if options.refine == "auto":
            refine = refinement_is_cheap(n, p, len(which), parts)
    return replace(
        whole,
        squares=replace(
            squares,
            rows=rows,
            totals=replace(squares.totals, level=level[which] if level.size else level),
            alpha=alpha,
            refine=refine,
            sums=sums,
        ),
    )


def solve(
    problem: LinearProblem | SeparateProblem,
    options: LinearOptions,
    rng: Callable[[], np.random.Generator],
    tell: Teller | None = None,
    earlier: LinearFit | JointFit | None = None,
) -> Solution | SeparateSolution:
    """Maximise the likelihood of a problem that has rows; iterative solvers begin where an ``earlier`` fit has ended.

    Outputs under different penalties are solved for together, by the singular directions of X, where that costs less than
    one penalty after another. ``tell`` is told of the parameters of all outputs.
    """
    if isinstance(problem, LinearProblem):
        return linear_likelihood.solve(problem, options, rng, tell, _start(problem, earlier, None))
    found, cross = _solve_together(problem, options)
    _, p, m = problem.whole.squares.rows.shape
    params = np.zeros((1 + p, m))

    def solve_part(part: LinearProblem, which: IntArray) -> Solution:
        begun = _start(problem.whole, earlier, which)
        solution = linear_likelihood.solve(part, options, rng, _telling(tell, params, which), begun)
        params[:, which] = np.vstack([solution.intercept, solution.coef])
        return solution

    return solve_each(problem, solve_part, found, cross)


def solve_each(
    problem: SeparateProblem,
    solve_part: Callable[[LinearProblem, IntArray], Solution],
    found: Mapping[int, Solution] = MappingProxyType({}),
    cross: Array | None = None,
) -> SeparateSolution:
    """Solve for the outputs of each penalty that is not ``found`` yet.

    Parameters
    ----------
    problem : SeparateProblem
    solve_part : callable
        Solves a part, of which the positions of its outputs are given too.
    found : mapping of int to Solution
        By the number of the part.
    cross : Array of shape (m, m), default=None
        Cross-products of the residuals of all outputs, where they are known.
    """
    every = list(enumerate(zip(problem.parts, problem.places, strict=True)))
    solutions = tuple(found[k] if k in found else solve_part(part, which) for k, (part, which) in every)
    return SeparateSolution(solutions, _joined(problem, solutions, cross))


def _start(problem: LinearProblem, earlier: LinearFit | JointFit | None, which: IntArray | None) -> Start | None:
    """Return where a solver for some outputs, all if None, may begin; None after a fit of another shape."""
    _, p, m = problem.squares.rows.shape
    if earlier is None or (len(earlier.features), len(earlier.noise_free)) != (p, m):
        return None
    return earlier.start_of(np.arange(m) if which is None else which)


def _telling(tell: Teller | None, params: Array, which: IntArray) -> Teller | None:
    """Return what tells of the outputs of one penalty among all."""
    if tell is None:
        return None

    def told(iteration: int, part: Array, loss: float, norm: float) -> Status | None:
        every = params.copy()
        every[:, which] = part
        return tell(iteration, every, loss, norm)

    return told


def _solve_together(problem: SeparateProblem, options: LinearOptions) -> tuple[dict[int, Solution], Array | None]:
    """Solve all parts that the singular directions of X serve; return also the cross-products of all residuals, if known."""
    squares = problem.whole.squares
    direct = iterative(options.solver) is None and problem.whole.noise.sums_suffice
    plain = squares.sums is None and not any(part.squares.refine for part in problem.parts)
    if not direct or not plain or not _pays(*squares.rows.shape[:2], len(problem.parts)):
        return {}, None
    with suitable_threads(*squares.rows.shape[:2]):
        found = directions_of(squares, squared=cast("Solver", options.solver).squares_columns)
        if found is None:
            return {}, None
        served = [k for k, p in enumerate(problem.parts) if found.restored_by(p.squares.alpha, squares.tolerance)]
        if not served:
            return {}, None
        alphas, places = [problem.parts[k].squares.alpha for k in served], [problem.places[k] for k in served]
        solutions, cross = solve_along(squares, found, alphas, places)
    return dict(zip(served, solutions, strict=True)), cross if len(served) == len(problem.parts) else None


def _pays(n: int, p: int, parts: int) -> bool:
    """Whether one decomposition costs less than reducing the rows once more for each part."""
    k = min(n, p)
    return (parts - 1) * (n * p * k + k**3 / 3.0) > _DECOMPOSITION * k * k * p


def _joined(problem: SeparateProblem, solutions: tuple[Solution, ...], cross: Array | None) -> Solution:
    """Put the solutions of the parts together."""
    order = np.argsort(np.concatenate(problem.places))
    deficient = next((s for s in solutions if s.relations), solutions[0])
    first = next((s for s in solutions if not s.arrived), deficient)
    whole = replace(
        first,
        coef=np.hstack([s.coef for s in solutions])[:, order],
        intercept=np.concatenate([s.intercept for s in solutions])[order],
        output_exponent=np.concatenate([s.output_exponent for s in solutions])[order],
        noise_free=np.concatenate([s.noise_free for s in solutions])[order],
        gradient_norm=float(np.linalg.norm([s.gradient_norm for s in solutions])),
        gradient_norms=_summed([s.gradient_norms for s in solutions], squared=True),
        losses=_summed([linear_conclusion.loss_curve(s) if s.losses else [] for s in solutions]),
        solver=", ".join(dict.fromkeys(s.solver for s in solutions)),
        refined=all(s.refined for s in solutions),
        remaining=max(s.remaining for s in solutions),
        notes=tuple(dict.fromkeys(note for s in solutions for note in s.notes)),
        gradient=np.zeros((0, 0)),
        memory={},
        of_rows=_maximum_of_all([s.of_rows for s in solutions], order),
    )
    if cross is None:
        cross = residual_cross(problem.whole, whole)
        for solution, which in zip(solutions, problem.places, strict=True):
            cross[np.ix_(which, which)] = solution.residual_cross
    return replace(whole, residual_cross=cross)


def _summed(curves: list[list[float]] | list[tuple[float, ...]], *, squared: bool = False) -> tuple[float, ...]:
    """Add up curves of different lengths, the shorter going on at their last value; or take the root of squares added up."""
    longest = max(len(curve) for curve in curves)
    table = [[*curve, *[curve[-1]] * (longest - len(curve))] for curve in curves if curve]
    return tuple((np.linalg.norm(table, axis=0) if squared else np.sum(table, axis=0)).tolist()) if table else ()


def _maximum_of_all(parts: list[MaximumOfRows | None], order: IntArray) -> MaximumOfRows | None:
    """Put together what the rows say beside, of outputs that are independent given their means."""
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return MaximumOfRows(
        scale=np.concatenate([part.scale for part in found])[order],
        log_likelihood=sum(part.log_likelihood for part in found),
        total_squares=np.concatenate([part.total_squares for part in found])[order],
        verdict=found[0].verdict,
    )


def conclude(
    problem: LinearProblem | SeparateProblem, solution: Solution | SeparateSolution
) -> tuple[LinearFit | JointFit, Solution]:
    """Return all that is known of a fit without its rows, and the solution for all outputs."""
    if isinstance(problem, LinearProblem):
        assert isinstance(solution, Solution)
        return linear_conclusion.conclude(problem, solution), solution
    assert isinstance(solution, SeparateSolution)
    parts = tuple(linear_conclusion.conclude(*part) for part in zip(problem.parts, solution.parts, strict=True))
    order = np.argsort(np.concatenate(problem.places))
    dof = np.concatenate([np.full(len(part.intercept), part.effective_dof) for part in parts])[order]
    objective = float(sum(part.optimum.loss_curve[-1] for part in parts))
    likelihood, optimum = linear_conclusion.conclude_together(problem.whole, solution.whole, dof, objective)
    verdicts = [part.optimum.verdict for part in parts]
    verdict = next((v for v in verdicts if v != verdicts[-1]), verdicts[-1])
    return JointFit(parts, problem.places, likelihood, replace(optimum, verdict=verdict), ()), solution.whole
