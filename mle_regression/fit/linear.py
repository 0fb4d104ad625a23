"""From arrays to a least-squares problem, and from its solution to what a fitted linear model knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mle_regression.diagnostics.curvature import NOT_STATIONARY, verdict
from mle_regression.diagnostics.likelihood import likelihood_at
from mle_regression.diagnostics.noise_factor import (
    LEFT_IN_SPAN,
    SINGULAR,
    NoiseFactor,
    ResidualRows,
    factor_of_cross,
    factor_of_sums,
    mean_reach,
)
from mle_regression.fit.penalty.ridge_evidence import RidgeEvidence, largest_evidence
from mle_regression.linalg.arrays import EPS, Array
from mle_regression.linalg.exact import BITS, fixed
from mle_regression.linalg.geometry import inverse_root
from mle_regression.linalg.rank import default_tolerance
from mle_regression.linalg.scaling import exponents, scale
from mle_regression.linalg.stored_geometry import state_of_geometry
from mle_regression.linalg.sums import KeptSums
from mle_regression.models.linear import linear_map
from mle_regression.noise.registry import find_noise
from mle_regression.rows.base import Block, Rows, Totals, row_totals
from mle_regression.rows.registry import as_rows
from mle_regression.solvers.base import LeastSquares, Solution
from mle_regression.solvers.passes import sum_exact

# Up to this many numbers in X, working out every digit costs about as much as fitting at all; those of each output beside
# the first cost twice as much. So do multiplications of digits, which are many where columns are: a tenth of a second.
_REFINED_SIZE, _REFINED_WORK = 100_000, 3e8
_LIMB_PAIRS, _EQUATION_PAIRS = 16, 100
# How often what is left of residuals in the span of the columns is taken from them.
_MAX_PROJECTIONS = 3


def refinement_is_cheap(n: int, p: int, m: int) -> bool:
    """Foretell whether exact refinement of n rows, p columns and m outputs costs little beside a plain fit."""
    numbers = max(n, p) * p + 2 * n * (m - 1)
    work = (_LIMB_PAIRS * n + _EQUATION_PAIRS * p) * p * (p + m)
    return numbers <= _REFINED_SIZE and work <= _REFINED_WORK


def pose_problem(
    x: Any,
    y: Array,
    weights: Array | None,
    *,
    eps: float,
    fit_intercept: bool,
    alpha: float,
    rank_tol: float | None,
    deficiency: str,
    refine: bool | str,
) -> tuple[LeastSquares, int]:
    """Return the problem of fitting y (n, m) on x (n, p), its weights scaled by ``4**-k`` to stay in range, and k.

    ``eps`` is the relative precision of the numbers in x; the other options are those of the estimator.
    """
    k, totals = 0, row_totals(y, weights)
    if weights is not None and not 1e-60 < weights.max() < 1e60:
        # Whole limbs of exact sums, which scale without a change of digits. A weight that is lost by that adds nothing to
        # any sum, but its row counts.
        k = BITS // 2 * (int(exponents(weights.max(keepdims=True))[0]) // BITS)
        weights = scale(weights, -2 * k)
        totals = replace(
            totals,
            sum_weights=float(weights.sum()),
            sum_log_weights=totals.sum_log_weights - totals.n_rows * 2 * k * float(np.log(2.0)),
            max_weight=float(weights.max()),
        )
    rows = as_rows(x, y, weights)
    problem = scaled_problem(
        rows,
        totals,
        k,
        eps=eps,
        fit_intercept=fit_intercept,
        alpha=alpha,
        rank_tol=rank_tol,
        deficiency=deficiency,
        refine=refine,
    )
    return problem, k


def scaled_problem(
    rows: Rows,
    totals: Totals,
    k: int,
    *,
    eps: float,
    fit_intercept: bool,
    alpha: float,
    rank_tol: float | None,
    deficiency: str,
    refine: bool | str,
    sums: KeptSums | None = None,
) -> LeastSquares:
    """Return the problem of rows whose weights have been divided by ``4**k``; of their ``sums`` if they have gone by."""
    n, p, m = rows.shape
    return LeastSquares(
        rows=rows,
        totals=totals,
        centred=fit_intercept,
        alpha=float(scale(alpha, -2 * k)),
        tolerance=default_tolerance(p + 1, eps) if rank_tol is None else rank_tol,
        deficiency=deficiency,
        refine=refinement_is_cheap(n, p, m) if refine == "auto" else bool(refine),
        sums=sums,
    )


def at_level(problem: LeastSquares, solution: Solution) -> Solution:
    """Return a solution in which outputs that do not vary have no slope, and no residuals, not even rounding.

    With an intercept that is the optimum, penalised or not, and the only one of smallest norm.
    """
    level = problem.totals.level
    still = np.flatnonzero(~np.isnan(level)) if problem.centred else np.zeros(0, dtype=np.int64)
    if not still.size:
        return solution
    coef, intercept, cross = solution.coef.copy(), solution.intercept.copy(), solution.residual_cross.copy()
    coef[:, still], intercept[still] = 0.0, level[still]
    cross[still] = cross[:, still] = 0.0
    noise_free, gradient = solution.noise_free.copy(), solution.gradient.copy()
    noise_free[still] = True
    if gradient.size:
        gradient[:, still] = 0.0
    return replace(
        solution, coef=coef, intercept=intercept, residual_cross=cross, noise_free=noise_free, gradient=gradient
    )


def bearable_outputs(problem: LeastSquares, solution: Solution) -> int:
    """Return how many outputs together the rows can bear: as many as residuals are free to vary.

    Short of the minimum, as under a penalty, only the intercept takes from them.
    """
    used = solution.geometry.rank if solution.arrived and not problem.alpha else int(problem.centred)
    return max(problem.totals.n_rows - used, 0)


def noise_factor(problem: LeastSquares, solution: Solution) -> NoiseFactor:
    """Return the triangular factor of the residuals, of outputs divided by ``2**output_exponent``.

    From their cross-products where these have the digits, else from the residuals themselves or, where the rows have gone
    by, from their exact sums.
    """
    m = len(solution.output_exponent)
    if solution.noise_free.any() or bearable_outputs(problem, solution) < m:
        return SINGULAR
    root = factor_of_cross(solution.residual_cross)
    if root is not None:
        return NoiseFactor(root)
    if m == 1:
        return SINGULAR
    geometry = solution.geometry
    coef = scale(solution.coef, geometry.exponent[:, None] - solution.output_exponent)
    intercept = scale(solution.intercept, -solution.output_exponent) * np.ones(m)
    if problem.sums is None:
        found = ResidualRows(problem.rows, geometry, coef, intercept, solution.output_exponent).factor()
    else:
        found = _factor_from_sums(problem, solution, coef, intercept)
    told = [relation.in_units(scale(np.ones(m), solution.output_exponent)) for relation in found.relations]
    return replace(found, relations=tuple(r for r in told if all(0 < abs(c) < np.inf for _, c in r.terms)))


def _factor_from_sums(problem: LeastSquares, solution: Solution, coef: Array, intercept: Array) -> NoiseFactor:
    """Factorise the residuals of rows that have gone by, of coefficients in scaled columns and outputs."""
    geometry, m = solution.geometry, len(intercept)
    gram, exponent = sum_exact(problem, np.arange(len(coef)), np.zeros(len(coef) + m, dtype=np.int64))
    # From the units of X and y to those of the sums; residuals stay in the units of the solution.
    unit = np.concatenate([np.zeros(int(problem.centred), dtype=np.int64), geometry.exponent, solution.output_exponent])
    direction = np.vstack([*([-intercept[None, :]] if problem.centred else []), -coef, np.eye(m)])
    residual = fixed(scale(direction, (exponent - unit)[:, None]))
    squares = gram.to_float().diagonal()[-m:]
    size = scale(np.sqrt(np.maximum(squares, 0.0)), exponent[-m:] - solution.output_exponent)
    allowed = 0.0 if geometry.alpha else LEFT_IN_SPAN * EPS * mean_reach(geometry, coef, intercept)
    root, moved = inverse_root(geometry), np.zeros(m)
    for _ in range(_MAX_PROJECTIONS):
        # What the rounding of the coefficients has left in the span of the columns.
        image = gram.times(residual)
        part = root.T @ scale(image.to_float()[:-m], (exponent - unit)[:-m, None])
        products, moved = residual.times(image), moved + np.linalg.norm(part, axis=0)
        if not (moved <= allowed).all() or not part.any():
            break
        step = scale(root @ part, (exponent - unit)[:-m, None])
        residual = (residual + fixed(np.vstack([-step, np.zeros((m, m))]))).carried()
    # Of cross-products that were rounded the square of a noise is known to rounding, and not the noise.
    rounded = problem.sums is not None and problem.sums.moments is not None
    return factor_of_sums(products, size, np.sqrt(EPS) if rounded else EPS)


def fitted_linear(
    problem: LeastSquares,
    solution: Solution,
    k: int,
    *,
    factor: NoiseFactor,
    singular: str,
    noise: str,
    frequency: bool,
    single_output: bool,
    eps: float,
    notes: tuple[str, ...],
) -> dict[str, Any]:
    """Return the attributes of a fitted linear model by name, ``_state`` among them: arrays and numbers only.

    Parameters
    ----------
    problem : LeastSquares
        With weights divided by ``4**k``.
    solution : Solution
    k : int
    factor : NoiseFactor
        Of the residuals.
    singular : str
        Why the likelihood of all outputs together has no finite maximum; empty where it has.
    noise : str
        Name of the noise family.
    frequency : bool
        Whether weights count rows; else they are precisions.
    single_output : bool
        Whether y had one dimension.
    eps : float
        Relative precision of the numbers in X.
    notes : tuple of str
        What the user was warned of, to be told again by reports.
    """
    totals, geometry = problem.totals, solution.geometry
    found = likelihood_at(
        geometry,
        solution.residual_cross,
        factor.root,
        solution.output_exponent + k,
        find_noise(noise),
        n=float(scale(totals.sum_weights, 2 * k)) if frequency else float(totals.n_rows),
        sum_log_weights=0.0 if frequency else totals.sum_log_weights + totals.n_rows * 2 * k * np.log(2.0),
    )
    variance = np.diagonal(found.noise_covariance).copy()
    intercept: Any = 0.0
    if problem.centred:
        intercept = np.float64(solution.intercept[0]) if single_output else solution.intercept
    fitted = {
        "coef_": solution.coef[:, 0].copy() if single_output else solution.coef.T.copy(),
        "intercept_": intercept,
        "noise_variance_": float(variance[0]) if single_output else variance,
        "log_likelihood_": found.log_likelihood,
        **found.criteria,
        "n_parameters_": found.n_parameters,
        "effective_dof_": found.effective_dof,
        "rank_": geometry.rank,
        "verdict_": verdict(geometry) if solution.arrived else NOT_STATIONARY,
        "converged_": solution.arrived,
        "n_iter_": max(1, len(solution.losses) - 1),
        "loss_curve_": loss_curve(solution),
        "gradient_norm_": solution.gradient_norms[-1] if solution.gradient_norms else solution.gradient_norm,
        "solver_": solution.solver,
        "refined_": solution.refined,
        "_state": {
            "geometry": state_of_geometry(geometry),
            "residual_scale": found.residual_scale,
            "residual_squares": np.diagonal(solution.residual_cross).copy(),
            "residual_dof": found.residual_dof,
            "n": found.n,
            "effective_dof": found.effective_dof,
            "eps": eps,
            "totals": {name: getattr(totals, name) for name in Totals.__dataclass_fields__},
            "notes": notes,
            "rates": solution.rates,
            "gradient": solution.gradient,
            "memory": solution.memory,
            "output_exponent": solution.output_exponent,
            "weight_exponent": k,
            "noise_covariance": found.noise_covariance,
            "noise": noise,
            "noise_root": found.noise_root,
            "noise_exponent": solution.output_exponent + k,
            "noise_free": solution.noise_free,
            "singular": singular,
            "frequency": frequency,
        },
    }
    if not single_output:
        fitted["noise_covariance_"] = found.noise_covariance
    return fitted


def attributes_on_the_way(
    problem: LeastSquares, params: Array, k: int, noise: str, frequency: bool, single_output: bool
) -> dict[str, Any]:
    """Return the attributes that predict, and tell how likely rows are, from parameters (1 + p, m), the intercept first.

    ``k`` is as in `pose_problem`. The noise is that of the residuals that the parameters leave.
    """
    coef, intercept = params[1:], params[0] if problem.centred else np.zeros(params.shape[1])

    def cross(block: Block) -> Array:
        residual = block.y - linear_map(block.x, coef, intercept)
        return np.asarray(residual.T @ (residual if block.weights is None else block.weights[:, None] * residual))

    totals = problem.totals
    n = float(scale(totals.sum_weights, 2 * k)) if frequency else float(totals.n_rows)
    covariance = scale(problem.rows.reduce(cross, np.add) / n, 2 * k)
    variance = np.diagonal(covariance)
    return {
        "coef_": coef[:, 0] if single_output else coef.T,
        "intercept_": np.float64(intercept[0]) if single_output else intercept,
        "noise_variance_": float(variance[0]) if single_output else variance.copy(),
        "_state": {"noise": noise, "noise_covariance": covariance, "frequency": frequency, "noise_free": False},
    }


def loss_curve(solution: Solution) -> list[float]:
    """Return J after each iteration, in units that make the last value J at the solution."""
    last = objective_at(solution)
    if not solution.losses:
        return [last]
    unit = last / solution.losses[-1] if solution.losses[-1] else 1.0
    return [unit * loss for loss in solution.losses]


def objective_at(solution: Solution) -> float:
    """Objective J at the optimum, summed over the outputs."""
    geometry, exponent = solution.geometry, solution.output_exponent
    penalty = geometry.alpha * np.sum(scale(solution.coef, -exponent) ** 2, axis=0) if geometry.alpha else 0.0
    squares = scale(np.diagonal(solution.residual_cross) + penalty, 2 * exponent)
    return float(squares.sum() / geometry.total)


def evidence_of(problem: LeastSquares, solution: Solution, k: int, frequency: bool) -> RidgeEvidence:
    """Return the penalty that the data choose, from the solution without one."""
    geometry, totals = solution.geometry, problem.totals
    factor = scale(geometry.factor, geometry.exponent)
    left, values, _ = np.linalg.svd(factor, full_matrices=False)
    keep = values > len(values) * EPS * values.max(initial=0.0)
    # Each y divided by a power of two, so that no square overflows or vanishes; the density of y takes it back.
    exponent = solution.output_exponent
    projections = left.T[keep] @ (factor @ scale(solution.coef, -exponent))
    n = float(scale(totals.sum_weights, 2 * k)) if frequency else float(totals.n_rows)
    squares = np.diagonal(solution.residual_cross).copy()
    # Weights divided by 4**k divide squares, and with them the penalty, by as much.
    log_weights = 0.0 if frequency else totals.sum_log_weights
    found = largest_evidence(values[keep], projections, squares, n, problem.centred, totals.sum_weights, log_weights)
    units = (n - float(problem.centred)) * float(exponent.sum()) * float(np.log(2.0))
    return replace(
        found, alpha=float(scale(found.alpha, 2 * k)), log_marginal_likelihood=found.log_marginal_likelihood - units
    )
