"""What the solution of a linear problem says: noise, likelihood, and all that is known without rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mle_regression.diagnostics.covariance import effective_parameters
from mle_regression.diagnostics.curvature import NOT_STATIONARY, verdict
from mle_regression.diagnostics.likelihood import COVARIANCE_CONDITION
from mle_regression.diagnostics.noise_factor import (
    LEFT_IN_SPAN,
    SINGULAR,
    NoiseFactor,
    ResidualRows,
    SingularNoise,
    factor_of_cross,
    factor_of_sums,
    mean_reach,
)
from mle_regression.fit.independent_likelihood import independent_likelihood
from mle_regression.fit.linear import LinearProblem
from mle_regression.fitted.likelihood import Likelihood
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.optimum import Optimum
from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.exact import fixed
from mle_regression.linalg.information import inverse_root
from mle_regression.linalg.refine import cross_products
from mle_regression.linalg.scaling import scale
from mle_regression.models.linear import linear_map
from mle_regression.rows.base import Block
from mle_regression.solvers.base import LeastSquares, MaximumOfRows, Solution
from mle_regression.solvers.passes import sum_exact

# How often what is left of residuals in the span of the columns is taken from them.
_MAX_PROJECTIONS = 3


def conclude(problem: LinearProblem, solution: Solution) -> LinearFit:
    """Return all that is known of a fit without its rows; columns have no names yet, and nothing is told."""
    solution = at_level(problem.squares, solution)
    information, k = solution.information, problem.weight_exponent
    dof, of_rows = effective_parameters(information), solution.of_rows
    likelihood = likelihood_of(problem, solution, dof)
    return LinearFit(
        features=tuple(f"x{j}" for j in range(len(solution.coef))),
        coef=solution.coef,
        intercept=solution.intercept if problem.squares.centred else np.zeros(solution.coef.shape[1]),
        information=information,
        residual_squares=solution.residual_cross.diagonal().copy(),
        residual_scale=_residual_scale(solution, likelihood),
        effective_dof=dof,
        output_exponent=solution.output_exponent,
        weight_exponent=k,
        likelihood=likelihood,
        optimum=_optimum(solution, tuple(loss_curve(solution))),
        totals=problem.squares.totals,
        refined=solution.refined,
        single_output=problem.single_output,
        eps=problem.eps,
        notes=(),
        rates=solution.rates,
        gradient=solution.gradient,
        memory=solution.memory,
        total_squares=np.zeros(0) if of_rows is None else of_rows.total_squares,
    )


def conclude_together(
    problem: LinearProblem, solution: Solution, dof: Array, objective: float
) -> tuple[Likelihood, Optimum]:
    """Return the likelihood and the optimum of outputs under different penalties.

    Parameters
    ----------
    problem : LinearProblem
    solution : Solution
        Of all outputs; its losses are values of J.
    dof : Array of shape (m,)
        Effective parameters of each output.
    objective : float
        J at the optimum.
    """
    solution = at_level(problem.squares, solution)
    return likelihood_of(problem, solution, dof), _optimum(solution, solution.losses or (objective,))


def likelihood_of(problem: LinearProblem, solution: Solution, dof: float | Array) -> Likelihood:
    """Return the likelihood, of a mean with so many effective parameters: of each output, or one number for all."""
    if solution.of_rows is None:
        return _likelihood(problem, solution, dof)
    return _likelihood_of_rows(problem, solution, solution.of_rows, dof)


def _residual_scale(solution: Solution, likelihood: Likelihood) -> Array:
    """Return s (m,), or s/√I with the noise's information I about its location, of outputs divided by powers of two."""
    if solution.of_rows is not None:
        return np.asarray(np.diagonal(likelihood.root) / np.sqrt(likelihood.noise.information))
    squares, left = solution.residual_cross.diagonal(), likelihood.residual_dof
    return np.sqrt(squares / left) if left > 0 else np.full(len(squares), np.nan)


def _optimum(solution: Solution, losses: tuple[float, ...]) -> Optimum:
    return Optimum(
        solver=solution.solver,
        solver_reason=solution.reason,
        verdict=_verdict(solution) if solution.arrived else NOT_STATIONARY,
        converged=solution.arrived,
        n_iter=max(1, len(solution.losses) - 1),
        loss_curve=losses,
        gradient_norm=solution.gradient_norms[-1] if solution.gradient_norms else solution.gradient_norm,
        gradient_curve=tuple(float(norm) for norm in solution.gradient_norms),
        stop_reason=solution.status.name.lower(),
    )


def _verdict(solution: Solution) -> str:
    return verdict(solution.information) if solution.of_rows is None else solution.of_rows.verdict


def _likelihood_of_rows(
    problem: LinearProblem, solution: Solution, of_rows: MaximumOfRows, dof: float | Array
) -> Likelihood:
    """Return the likelihood of noise that is not fitted by least squares."""
    noise, n, k, m = problem.noise, problem.n, problem.weight_exponent, len(of_rows.scale)
    # Precisions divided by 4**k divide scales by 2**k; frequencies leave these as they are.
    spread = scale(of_rows.scale, -k) if problem.frequency else of_rows.scale
    return Likelihood(
        family=noise.name,
        frequency=problem.frequency,
        covariance=np.diag((spread * noise.deviation) ** 2),
        root=np.diag(spread),
        unit=np.ones(m),
        exponent=solution.output_exponent + k,
        noise_free=solution.noise_free,
        singular=None,
        log_likelihood=of_rows.log_likelihood,
        n=n,
        n_parameters=_of_mean(dof + 1.0, m),
        residual_dof=np.inf,
    )


def _of_mean(dof: float | Array, m: int) -> float:
    """Return the parameters of the mean of all outputs."""
    return dof * m if isinstance(dof, float) else float(dof.sum())


def _likelihood(problem: LinearProblem, solution: Solution, dof: float | Array) -> Likelihood:
    """Return the likelihood of Gaussian noise."""
    factor, n, m = noise_factor(problem, solution), problem.n, len(solution.output_exponent)
    # Under a penalty effective degrees of freedom are no integer, and a difference of rounding is none.
    left: Any = np.where(n - dof > np.sqrt(EPS) * n, n - dof, 0.0)
    exponent = solution.output_exponent + problem.weight_exponent
    root, log_likelihood = factor.root / np.sqrt(n), float(np.inf)
    if root.size and problem.noise.max_log_likelihood is not None:
        in_units = n * float(np.log(2.0) * exponent.sum())
        log_likelihood = problem.noise.max_log_likelihood(root, n, problem.sum_log_weights) - in_units
    singular = None
    if factor.singular and not solution.noise_free.any():
        singular = SingularNoise(factor.relations, bearable_outputs(problem.squares, solution))
    return Likelihood(
        family=problem.noise.name,
        frequency=problem.frequency,
        covariance=solution.residual_cross / n,
        root=root,
        unit=np.ones(m),
        exponent=exponent,
        noise_free=solution.noise_free,
        singular=singular,
        log_likelihood=log_likelihood,
        n=n,
        n_parameters=_of_mean(dof, m) + m * (m + 1) / 2,
        residual_dof=left if left.ndim else float(left),
    )


def at_level(problem: LeastSquares, solution: Solution) -> Solution:
    """Return a solution in which outputs that do not vary have no slope, and no residuals, not even rounding.

    With an intercept that is the optimum, penalised or not, and the only one of smallest norm.
    """
    level = problem.totals.level
    if not problem.centred or np.isnan(level).all():
        return solution
    still = np.flatnonzero(~np.isnan(level))
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
    used = solution.information.rank if solution.arrived and not problem.alpha else int(problem.centred)
    return max(problem.totals.n_rows - used, 0)


def noise_factor(problem: LinearProblem, solution: Solution) -> NoiseFactor:
    """Return the triangular factor of the residuals, of outputs divided by ``2**output_exponent``.

    From their cross-products where these have the digits, else from the residuals themselves or, where the rows have gone
    by, from their exact sums.
    """
    m = len(solution.output_exponent)
    if solution.noise_free.any() or bearable_outputs(problem.squares, solution) < m:
        return SINGULAR
    root = factor_of_cross(solution.residual_cross)
    if root is not None:
        return NoiseFactor(root)
    if m == 1:
        return SINGULAR
    information = solution.information
    coef = scale(solution.coef, information.exponent[:, None] - solution.output_exponent)
    intercept = scale(solution.intercept, -solution.output_exponent) * np.ones(m)
    if problem.squares.sums is None:
        found = ResidualRows(problem.squares.rows, information, coef, intercept, solution.output_exponent).factor()
    else:
        found = _factor_from_sums(problem.squares, solution, coef, intercept)
    told = [relation.in_units(scale(np.ones(m), solution.output_exponent)) for relation in found.relations]
    return replace(found, relations=tuple(r for r in told if all(0 < abs(c) < np.inf for _, c in r.terms)))


def _factor_from_sums(problem: LeastSquares, solution: Solution, coef: Array, intercept: Array) -> NoiseFactor:
    """Factorise the residuals of rows that have gone by, of coefficients in scaled columns and outputs."""
    information, m = solution.information, len(intercept)
    gram, exponent = sum_exact(problem, np.arange(len(coef)), np.zeros(len(coef) + m, dtype=np.int64))
    # From the units of X and y to those of the sums; residuals stay in the units of the solution.
    unit = np.concatenate(
        [np.zeros(int(problem.centred), dtype=np.int64), information.exponent, solution.output_exponent]
    )
    direction = np.vstack([*([-intercept[None, :]] if problem.centred else []), -coef, np.eye(m)])
    residual = fixed(scale(direction, (exponent - unit)[:, None]))
    squares = gram.to_float().diagonal()[-m:]
    size = scale(np.sqrt(np.maximum(squares, 0.0)), exponent[-m:] - solution.output_exponent)
    allowed = 0.0 if information.alpha else LEFT_IN_SPAN * EPS * mean_reach(information, coef, intercept)
    root, moved = inverse_root(information), np.zeros(m)
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


def likelihood_on_the_way(problem: LinearProblem, params: Array) -> Likelihood:
    """Return the likelihood of the residuals that parameters (1 + p, m), the intercept first, leave."""
    squares, k = problem.squares, problem.weight_exponent
    coef, intercept = params[1:], params[0] if squares.centred else np.zeros(params.shape[1])
    m = params.shape[1]
    if not problem.noise.sums_suffice:
        residuals, weights = residuals_of(problem, coef, intercept, np.zeros(m, dtype=np.int64))
        return independent_likelihood(
            problem.noise,
            residuals,
            None if weights is None else scale(weights, 2 * k),
            frequency=problem.frequency,
            unit=np.ones(m),
            mean_parameters=np.nan,
        )
    cross = squares.rows.reduce(partial(_cross_of_block, coef, intercept), np.add)
    covariance = scale(cross / problem.n, 2 * k)
    root = factor_of_cross(covariance, COVARIANCE_CONDITION)
    return Likelihood(
        family=problem.noise.name,
        frequency=problem.frequency,
        covariance=covariance,
        root=np.zeros((0, 0)) if root is None else root,
        unit=np.ones(m),
        exponent=np.zeros(m, dtype=np.int64),
        noise_free=np.zeros(m, dtype=bool),
        singular=None,
        log_likelihood=np.nan,
        n=problem.n,
        n_parameters=np.nan,
        residual_dof=np.inf,
    )


def residual_cross(problem: LinearProblem, solution: Solution) -> Array:
    """Return the cross-products (m, m) of the residuals of outputs divided by ``2**output_exponent``, from rows or sums."""
    squares, m = problem.squares, len(solution.intercept)
    intercept = solution.intercept if squares.centred else np.zeros(m)
    if squares.sums is None:
        block = partial(_scaled_cross_of_block, solution.coef, intercept, solution.output_exponent)
        return np.asarray(squares.rows.reduce(block, np.add))
    gram, exponent = sum_exact(squares, np.arange(len(solution.coef)), np.zeros(len(solution.coef) + m, dtype=np.int64))
    params = np.vstack([intercept, solution.coef]) if squares.centred else solution.coef
    params = scale(params, exponent[: len(params), None] - exponent[len(params) :])
    cross = cross_products(gram, params, np.zeros_like(params))
    unit = exponent[len(params) :] - solution.output_exponent
    return scale(cross, unit[:, None] + unit)


def _scaled_cross_of_block(coef: Array, intercept: Array, exponent: IntArray, block: Block) -> Array:
    """Return the weighted cross-products (m, m) of the residuals of a block, of outputs divided by ``2**exponent``."""
    residual = scale(block.y - linear_map(block.x, coef, intercept), -exponent)
    return np.asarray(residual.T @ (residual if block.weights is None else block.weights[:, None] * residual))


def _cross_of_block(coef: Array, intercept: Array, block: Block) -> Array:
    """Return the weighted cross-products (m, m) of the residuals of a block."""
    residual = block.y - linear_map(block.x, coef, intercept)
    return np.asarray(residual.T @ (residual if block.weights is None else block.weights[:, None] * residual))


def residuals_of(
    problem: LinearProblem, coef: Array, intercept: Array, exponent: IntArray
) -> tuple[Array, Array | None]:
    """Return residuals (n, m) of rows that have weight, of outputs divided by ``2**exponent``, and their weights."""
    found = problem.squares.rows.map(partial(_residuals_of_block, coef, intercept, exponent))
    m = len(intercept)
    if found.shape[1] == m:
        return found, None
    counted = found[:, m] > 0
    return found[counted, :m], found[counted, m]


def _residuals_of_block(coef: Array, intercept: Array, exponent: IntArray, block: Block) -> Array:
    """Return the residuals (b, m) of a block and, beside them, its weights if it has any."""
    residuals = scale(block.y - linear_map(block.x, coef, intercept), -exponent)
    return residuals if block.weights is None else np.column_stack([residuals, block.weights])


def loss_curve(solution: Solution) -> list[float]:
    """Return J after each iteration, of squares in units that make the last value J at the solution."""
    if solution.of_rows is not None:
        return list(solution.losses)
    last = objective_at(solution)
    if not solution.losses:
        return [last]
    unit = last / solution.losses[-1] if solution.losses[-1] else 1.0
    return [unit * loss for loss in solution.losses]


def objective_at(solution: Solution) -> float:
    """Objective J at the optimum, summed over the outputs."""
    information, exponent = solution.information, solution.output_exponent
    penalty = information.alpha * np.sum(scale(solution.coef, -exponent) ** 2, axis=0) if information.alpha else 0.0
    squares = scale(solution.residual_cross.diagonal() + penalty, 2 * exponent)
    return float(squares.sum() / information.total)
