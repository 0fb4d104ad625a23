"""A linear model under any noise: by least squares where sums over the rows suffice, else by the likelihood of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigvalsh, qr

from mle_regression.diagnostics.curvature import FLAT_MINIMUM, UNDETERMINED, UNIQUE_MINIMUM
from mle_regression.diagnostics.stationary import MINIMUM, SADDLE
from mle_regression.fit import linear
from mle_regression.fit.column_moments import ColumnMoments
from mle_regression.fit.linear import LinearProblem, Teller, control_of, iterative
from mle_regression.fit.linear_conclusion import at_level, residuals_of
from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fitted.linear import LinearFit
from mle_regression.linalg.arrays import EPS, Array, BoolArray, IntArray
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.threads import suitable_threads
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.noise.registry import least_squares_families
from mle_regression.noise.scale import likeliest_scales, log_density_at_scales
from mle_regression.objective.likelihood import LikelihoodObjective, likelihood_objective
from mle_regression.rows.base import is_local
from mle_regression.rows.standard import Units, standard_rows
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.auto import Automatic
from mle_regression.solvers.base import MaximumOfRows, Solution, Status
from mle_regression.solvers.newton import NewtonCG

# Parameters up to which the verdict comes of the matrix of the Hessian; eigenvalues of this part of the largest are rounding.
_LARGEST_HESSIAN, _HESSIAN_ROUNDING = 3000, 1e-12
# Rounding of the gradient, in eps, by the largest that y is beside its residuals.
_GRADIENT_ROUNDING_EPS = 4.0


def solve(
    problem: LinearProblem,
    options: LinearOptions,
    rng: Callable[[], np.random.Generator],
    tell: Teller | None = None,
    earlier: LinearFit | None = None,
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
    earlier: LinearFit | None,
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
    posed = _Posed.of(problem, start)
    # A gradient of residuals that are this small beside y is known no better.
    tol = max(options.tol, _GRADIENT_ROUNDING_EPS * EPS * posed.reach)
    coef, intercept = start.coef, start.intercept
    control = control_of(options, rng(), min(squares.rows.shape[0], options.batch_size or squares.rows.shape[0]))
    if earlier is not None and earlier.coef.shape == coef.shape:
        coef, intercept, control = earlier.coef, earlier.intercept, replace(control, memory=earlier.memory)
    control = replace(control, tol=tol)

    def told(iteration: int, phi: Array, loss: float, norm: float) -> Status | None:
        if tell is None:
            return None
        inner, constant = posed.coefficients(phi)
        return tell(iteration, np.vstack([constant, inner]), loss + posed.constant, norm)

    solver, reason = iterative(options.solver), ""
    if solver is None:
        solver, reason = NewtonCG(), f"noise={noise.name!r} is not fitted by least squares"
    objective = posed.objective(coef, intercept)
    path = solver.minimise(objective, replace(control, tell=told if tell is not None else None))
    coef, intercept = posed.coefficients(path.theta)
    if start.relations and squares.deficiency != "drop":
        coef, intercept = _of_smallest_norm(start, coef, intercept)
    residuals, weights = residuals_of(problem, coef, intercept, start.output_exponent)
    weighted = residuals if weights is None else weights[:, None] * residuals
    arrived = path.status is Status.CONVERGED
    return replace(
        start,
        coef=coef,
        intercept=intercept,
        residual_cross=residuals.T @ weighted,
        gradient_norm=path.gradient_norms[-1],
        status=Status.RANK_DEFICIENT if start.relations and arrived else path.status,
        solver=solver.name,
        refined=False,
        losses=tuple(loss + posed.constant for loss in path.losses),
        gradient_norms=tuple(path.gradient_norms),
        rates=(float("nan"), path.observed_rate),
        remaining=0.0 if arrived else float("inf"),
        gradient=np.zeros((0, 0)),
        memory=path.memory if control.remember else {},
        reason=reason,
        of_rows=MaximumOfRows(
            *_likeliest(problem, residuals, weights, start.output_exponent),
            total_squares=posed.total_squares(start),
            verdict=_verdict(objective, np.asarray(path.theta), bool(start.relations)) if arrived else "",
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


@dataclass(frozen=True, slots=True)
class _Posed:
    """A linear problem in the units of its columns and of the least-squares residuals.

    Attributes
    ----------
    problem : LinearProblem
    data : TrainingData
    of_x, of_y : Units
    spread_of_y : Array of shape (m,)
        Of y itself: about its mean if there is an intercept, else about zero.
    fixed : BoolArray of shape (P + m,)
        Which parameters of the network are none of the model: its bias without an intercept, and dependent columns.
    constant : float
        What is added to J to give minus the mean log density in the units of y.
    """

    problem: LinearProblem
    data: TrainingData
    of_x: Units
    of_y: Units
    spread_of_y: Array
    fixed: BoolArray
    constant: float

    @classmethod
    def of(cls, problem: LinearProblem, start: Solution) -> _Posed:
        """Choose the units by the columns and the least-squares solution."""
        squares = problem.squares
        p, m = start.coef.shape
        rows = squares.rows
        if not is_local(rows):
            raise ValueError(
                f"noise={problem.noise.name!r} needs rows in the memory of this process; {least_squares_families()} takes "
                "rows of any home."
            )
        data = TrainingData(rows.x, rows.y, rows.weights, problem.single_output, problem.eps)
        moments = ColumnMoments.of(data)
        center, width = moments.center, moments.spread
        if not squares.centred:
            center, width = np.zeros(p + m), np.hypot(moments.spread, moments.center)
        unit = np.where(width[:p] > 0, width[:p], np.where(center[:p] != 0, np.abs(center[:p]), 1.0))
        left = np.sqrt(np.diagonal(start.residual_cross) / squares.totals.sum_weights)
        of_y = Units(center[p:], scale(left, start.output_exponent))
        fixed = np.zeros((m, p + 1), dtype=bool)
        fixed[:, -1] = not squares.centred
        fixed[:, :-1] = ~_independent(start)
        constant = float(np.log(of_y.spread).sum())
        if rows.weights is not None and not problem.frequency:
            counted = rows.weights[rows.weights > 0]
            constant -= 0.5 * m * float(np.log(counted / counted.max()).mean())
        return cls(
            problem,
            data,
            Units(center[:p], unit),
            of_y,
            width[p:],
            np.concatenate([fixed.ravel(), np.zeros(m, dtype=bool)]),
            constant,
        )

    @property
    def reach(self) -> float:
        """The largest that y is, about its mean if there is an intercept, beside its least-squares residuals."""
        return float((self.spread_of_y / self.of_y.spread).max(initial=1.0))

    def objective(self, coef: Array, intercept: Array) -> LikelihoodObjective:
        """Return minus the mean log density, starting at some coefficients and the scales that are likeliest there."""
        problem = self.problem
        p, m = coef.shape
        rows = standard_rows(self.data, (self.of_x, self.of_y), "float64")
        largest = 1.0 if self.data.weights is None else float(self.data.weights.max())
        alpha = np.zeros((m, p + 1))
        alpha[:, :-1] = problem.squares.alpha / largest / self.of_x.spread**2
        layer = np.zeros((m, p + 1))
        layer[:, :-1] = (coef * self.of_x.spread[:, None] / self.of_y.spread).T
        layer[:, -1] = (intercept + self.of_x.center @ coef - self.of_y.center) / self.of_y.spread
        layer[self.fixed[: layer.size].reshape(layer.shape)] = 0.0
        network = Network((p, m), find_activation("identity"))
        return likelihood_objective(
            network, rows, alpha.ravel(), layer.ravel(), problem.noise, problem.frequency, self.fixed
        )

    def coefficients(self, phi: Array) -> tuple[Array, Array]:
        """Return coefficients (p, m) and intercept (m,) in the units of X and y."""
        p, m = len(self.of_x.center), len(self.of_y.center)
        layer = np.asarray(phi[: m * (p + 1)], dtype=np.float64).reshape(m, p + 1)
        coef = layer[:, :-1].T * self.of_y.spread / self.of_x.spread[:, None]
        if not self.problem.squares.centred:
            return coef, np.zeros(m)
        return coef, layer[:, -1] * self.of_y.spread + self.of_y.center - self.of_x.center @ coef

    def total_squares(self, start: Solution) -> Array:
        """Return the weighted sums of squares (m,) of outputs divided by powers of two."""
        return np.asarray(
            self.problem.squares.totals.sum_weights * scale(self.spread_of_y, -start.output_exponent) ** 2
        )


def _independent(start: Solution) -> BoolArray:
    """Return which columns (p,) the fit goes on with: all, or as many independent ones as there are."""
    information, p = start.information, len(start.coef)
    if not start.relations:
        return np.ones(p, dtype=bool)
    rank = information.rank - int(information.centred)
    used = (start.coef != 0).any(axis=1)
    if used.sum() == rank:  # the others have been dropped
        return np.asarray(used)
    _, order = qr(information.factor, mode="r", pivoting=True)
    return np.isin(np.arange(p), order[:rank])


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
