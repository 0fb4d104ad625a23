"""A linear model by products with X and its transpose alone: nothing of the size p × p is formed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import EPS, Array, BoolArray, IntArray
from mle_regression.linalg.bidiagonal import Bidiagonalisation
from mle_regression.linalg.frame import safe_exponents
from mle_regression.linalg.nullspace import echelon_basis
from mle_regression.linalg.product_information import ProductInformation
from mle_regression.linalg.rank import Relation
from mle_regression.linalg.scaling import exponents, scale
from mle_regression.objective.products import ProductObjective, Products, less_shift, weighted_squares
from mle_regression.solvers.base import LeastSquares, Solution, Status
from mle_regression.solvers.direct import noise_free
from mle_regression.solvers.passes import magnitudes
from mle_regression.solvers.path import Control, remaining

# Number of random vectors solved for; up to one less null vectors are found.
_PROBES = 4
# What is left of each probe where there is no null vector: four shares of a null vector as small are one in 10**12.
_LEFT = 1e-3
# Condition number of unit columns up to which products give ten digits of the coefficients.
_EASY_CONDITION = 1e3
# Zero to rounding: length of X along a null vector, relative to the largest; entries of a null vector.
_NULL_LENGTH, _NULL_ENTRY = 1e-9, 1e-7
# Singular values of the probes' parts in the null space below this share of the largest are rounding.
_LOST = 1e-6
# Ritz values are computed every so many iterations; most iterations.
_LOOK, _MOST = 5, 500
# A column whose centred square is this part of the square itself is a constant; one whose is the other part is shifted
# first, which keeps the digits that its mean would take.
_CONSTANT_SQUARE, _FAR = 64.0 * EPS, 1e-8
# A column is constant if no value is further than this from its mean, relative to the largest.
_CONSTANT_REACH = 4.0 * EPS


@dataclass(frozen=True, slots=True)
class Columns:
    """What one pass says of the columns.

    Attributes
    ----------
    products : Products
    constant : BoolArray of shape (p,)
        Which columns do not vary (or are zero, without intercept): their coefficients are zero.
    mean, output_mean : Array of shape (p,) and (m,)
        In the units of x and y of the products, which may be shifted: before that.
    """

    products: Products
    constant: BoolArray
    mean: Array
    output_mean: Array


@dataclass(frozen=True, slots=True)
class Curvature:
    """What random vectors say of the matrix.

    Attributes
    ----------
    lowest, highest : float
        Ends of the eigenvalues that are not zero.
    null : Array of shape (p, r)
        Null vectors found; all if r is less than the number of probes.
    certain : bool
        Whether it is known if there are any.
    penalised_away : float
        Parameters that a penalty takes away, estimated.
    """

    lowest: float
    highest: float
    null: Array
    certain: bool
    penalised_away: float


def solve_by_products(problem: LeastSquares, solver: Any, control: Control, start: Array | None = None) -> Solution:
    """Minimise a least-squares problem by a solver that asks for products alone.

    Before it, four random vectors w are solved for with Aw on the right-hand side. What is left of them lies in the null
    space of A; the Ritz values on the way are the ends of its spectrum, by which the solver knows when it has arrived.
    """
    problem, exponent = _in_range(problem)
    columns = _columns(problem)
    return _minimised(problem, exponent, columns, _curvature(problem, columns), solver, control, start)


def solve_if_easy(problem: LeastSquares, solver: Any, control: Control, steps: int) -> Solution | None:
    """As `solve_by_products`, where so many steps solve for the random vectors and show all null vectors; None elsewhere."""
    problem, exponent = _in_range(problem)
    columns = _columns(problem)
    if columns.constant.any():
        return None
    shown = _curvature(problem, columns, steps)
    missing = shown.null.shape[1]
    if not shown.certain or shown.highest > _EASY_CONDITION**2 * shown.lowest:
        return None
    if missing == _PROBES or (missing and problem.deficiency == "drop"):
        return None
    solution = _minimised(problem, exponent, columns, shown, solver, control)
    return solution if solution.status in (Status.CONVERGED, Status.RANK_DEFICIENT) else None


def _minimised(
    problem: LeastSquares,
    exponent: IntArray,
    columns: Columns,
    shown: Curvature,
    solver: Any,
    control: Control,
    start: Array | None = None,
) -> Solution:
    """Minimise by the solver from ``start`` (p, m), columns and outputs having been divided by ``2**exponent``."""
    m = problem.rows.shape[2]
    beginning = np.zeros((problem.rows.shape[1], m))
    products = columns.products
    if start is not None:
        inside = scale(start, exponent[: len(start), None] - exponent[None, len(start) :])
        varies = products.by_column > 0
        beginning[varies] = (inside * products.by_output)[varies] / products.by_column[varies, None]
    objective = ProductObjective(products, 2.0 * shown.lowest, 2.0 * shown.highest, beginning.ravel())
    tell = control.tell

    def told(iteration: int, theta: Array, loss: float, norm: float) -> Status | None:
        return tell(iteration, _params(columns, theta, exponent), loss, norm) if tell is not None else None

    path = solver.minimise(objective, replace(control, tell=told if tell else None))
    theta = _smallest(products, shown.null, path.theta.reshape(-1, m))
    arrived = path.status is Status.CONVERGED
    solution = _as_solution(problem, columns, shown, theta, exponent, solver.name)
    left = remaining(path, control, objective.lowest, objective.highest)
    solution = replace(
        solution,
        losses=tuple(path.losses),
        gradient_norms=tuple(path.gradient_norms),
        rates=(path.rate, path.observed_rate),
        status=Status.RANK_DEFICIENT if arrived and solution.relations else path.status,
        noise_free=solution.noise_free if arrived else np.zeros(m, dtype=bool),
        remaining=0.0 if arrived else left,
    )
    if solution.relations and problem.deficiency == "drop":
        raise ValueError(
            f"solver={solver.name!r} cannot drop dependent columns; remove them, or take on_rank_deficiency='min_norm'."
        )
    return solution


def _in_range(problem: LeastSquares) -> tuple[LeastSquares, IntArray]:
    """Return the problem in units in which squares stay in range, and the exponents (p + m,) by which they were divided."""
    exponent = safe_exponents(magnitudes(problem.rows))
    if not exponent.any():
        return problem, exponent
    rows: Any = problem.rows
    p = rows.shape[1]
    by = scale(1.0, -exponent)
    x = rows.x @ sp.diags_array(by[:p]) if sp.issparse(rows.x) else rows.x * by[:p]
    return replace(problem, rows=replace(rows, x=x, y=rows.y * by[p:])), exponent


def _columns(problem: LeastSquares) -> Columns:
    """Means and lengths of the columns, by one pass; of fewer rows than columns the proportions are kept."""
    rows: Any = problem.rows
    n, p, _ = rows.shape
    x, y = rows.x, rows.y
    weights = np.ones(n) if rows.weights is None else rows.weights
    total = problem.totals.sum_weights
    sums, squares = np.asarray(x.T @ weights), weighted_squares(x.T, weights)
    shift, output_shift = np.zeros(p), np.zeros(y.shape[1])
    whole = squares
    if problem.centred:
        far = squares - sums**2 / total <= _FAR * squares
        # Numbers as near to each other as those of such a column subtract without rounding.
        shift[far] = _row(x, int(np.argmax(weights)))[far]
        if shift.any():
            x = less_shift(x, shift)
            sums, squares = np.asarray(x.T @ weights), weighted_squares(x.T, weights)
        far = np.ptp(y, axis=0) <= np.sqrt(_FAR) * np.abs(y).max(axis=0)
        output_shift[far] = y[int(np.argmax(weights)), far]
        y = less_shift(y, output_shift)
    mean = sums / total if problem.centred else np.zeros(p)
    output_mean = weights @ y / total if problem.centred else np.zeros(y.shape[1])
    centred = squares - mean * sums if problem.centred else squares
    constant = (centred <= _CONSTANT_SQUARE * squares) | (centred <= _CONSTANT_REACH**2 * whole)
    lengths = np.sqrt(np.where(constant, 1.0, np.maximum(centred, 0.0)))
    if problem.totals.n_rows <= p:
        # The path then stays in the span of the rows, where the smallest solution is, in the units of X.
        lengths = np.full(p, np.sqrt(np.mean(lengths[~constant] ** 2)) if not constant.all() else 1.0)
    by_column = np.where(constant, 0.0, 1.0 / lengths)
    size = np.sqrt(weights @ (y - output_mean) ** 2)
    by_output = 1.0 / np.where(size > 0, size, 1.0)
    penalty = problem.alpha * by_column**2
    products = Products(
        x, y, rows.weights, by_column, by_output, mean * by_column, output_mean * by_output, np.asarray(penalty)
    )
    return Columns(products, constant, mean + shift, output_mean + output_shift)


def _row(x: Any, i: int) -> Array:
    """Return row i (p,) of a dense or sparse x."""
    row = x[[i]]
    return np.asarray(row.toarray() if sp.issparse(row) else row, dtype=np.float64).ravel()


def _curvature(problem: LeastSquares, columns: Columns, most: int = _MOST) -> Curvature:
    """Solve for random vectors, in so many steps at most."""
    products, p = columns.products, len(columns.constant)
    rng = np.random.default_rng(0)
    probes = rng.standard_normal((p, _PROBES))
    probes[columns.constant] = 0.0
    target = products.image(probes.ravel())
    if problem.alpha:
        # Of b = [0; s] the solution is G⁻¹√P s, and sᵀ√P G⁻¹√P s is on the mean what the penalty P takes away.
        target[: -p * _PROBES] = 0.0
        target[-p * _PROBES :] = np.sign(probes).ravel()
    run = Bidiagonalisation(products.image, products.transposed, target)
    certain, left, low, high = False, probes, 1.0, 1.0
    while len(run.steps) < most and run.advance():
        if len(run.steps) % _LOOK:
            continue
        low, high = run.extremes()
        if problem.alpha:
            certain = run.gradient_norm <= _NULL_ENTRY * low * float(np.linalg.norm(run.x))
        else:
            left = probes - run.x.reshape(p, -1)
            sizes = np.linalg.norm(left, axis=0)
            dependent = run.residual_norm <= _NULL_LENGTH * np.sqrt(high) * float(np.linalg.norm(sizes))
            certain = bool(sizes.max() <= _LEFT or dependent)
        if certain:
            break
    if run.steps:
        low, high = run.extremes()
    away = 0.0
    null = np.zeros((p, 0))
    if problem.alpha:
        signs = np.sign(probes)
        away = float(np.sum(signs * np.sqrt(products.penalty)[:, None] * run.x.reshape(p, -1))) / _PROBES
    else:
        left = probes - run.x.reshape(p, -1)
        if certain and np.linalg.norm(left, axis=0).max() > _LEFT:
            vectors, values, _ = np.linalg.svd(left, full_matrices=False)
            null = vectors[:, values > _LOST * values[0]]
    return Curvature(max(low, EPS * high), high, null, certain or problem.alpha > 0, away)


def _smallest(products: Products, null: Array, theta: Array) -> Array:
    """Return, of all coefficients that fit as these do, the smallest in the units of X, as far as the null space is known."""
    if not null.shape[1]:
        return theta
    basis = products.by_column[:, None] * null
    coordinates, *_ = np.linalg.lstsq(basis, products.by_column[:, None] * theta, rcond=None)
    return np.asarray(theta - null @ coordinates)


def _params(columns: Columns, theta: Array, exponent: IntArray) -> Array:
    """Intercept and coefficients (1 + p, m) in the units of X and y."""
    products = columns.products
    p, m = len(products.by_column), len(products.by_output)
    coef = products.by_column[:, None] * theta.reshape(p, m) / products.by_output
    intercept = columns.output_mean - columns.mean @ coef
    return np.vstack([scale(intercept, exponent[p:]), scale(coef, exponent[p:] - exponent[:p, None])])


def _relations(columns: Columns, null: Array, exponent: IntArray, limit: int = 5) -> tuple[Relation, ...]:
    """Write dependent columns as combinations of those before them, in the units of X."""
    unit = scale(1.0, exponent[: len(columns.mean)])
    found = [Relation(int(j), (), float(columns.mean[j] * unit[j])) for j in np.flatnonzero(columns.constant)]
    basis, dependent = echelon_basis(null, _NULL_ENTRY)
    raw = columns.products.by_column[:, None] * basis
    for k, j in enumerate(dependent):
        share = -raw[:, k] / raw[j, k]
        share[j] = 0.0
        constant = columns.mean[j] - columns.mean @ share
        if abs(constant) <= _NULL_ENTRY * (abs(columns.mean[j]) + np.abs(columns.mean) @ np.abs(share)):
            constant = 0.0
        terms = tuple((int(i), float(share[i] * unit[j] / unit[i])) for i in np.flatnonzero(share))
        found.append(Relation(int(j), terms, float(constant * unit[j])))
    return tuple(sorted(found, key=lambda relation: relation.dependent)[:limit])


def _as_solution(
    problem: LeastSquares, columns: Columns, shown: Curvature, theta: Array, exponent: IntArray, name: str
) -> Solution:
    """Sum up the residuals of a solution (p, m), and what is known of the matrix."""
    products, (p, m) = columns.products, theta.shape
    residual = products.residual_at(theta.ravel())
    gradient = products.transposed(residual).reshape(p, m)
    weights = np.ones(len(products.y)) if products.weights is None else products.weights
    lengths_of_y = np.sqrt(weights @ products.y**2)
    unit = exponents(lengths_of_y)
    by = scale(1.0 / products.by_output, -unit)
    rows = residual[: len(products.y) * m].reshape(-1, m)
    cross = (rows.T @ rows) * by * by[:, None]
    lengths = _lengths(products)
    image = products.image(theta.ravel()).reshape(-1, m)
    explained = np.einsum("ij,ij->j", image, image) * by**2
    information = _information(problem, columns, shown, explained, exponent)
    reach = _reach(problem, columns, _params(columns, theta, np.zeros_like(exponent)))
    saturated = problem.totals.n_rows <= information.rank and not problem.alpha
    raw = _params(columns, theta, exponent)
    missing = _n_dependent(problem, columns, shown)
    return Solution(
        coef=raw[1:],
        intercept=raw[0] if problem.centred else np.zeros(m),
        residual_cross=cross,
        output_exponent=unit + exponent[p:],
        information=information,
        noise_free=noise_free(scale(lengths_of_y, -unit), scale(reach, -unit), cross) | saturated,
        gradient_norm=2.0 * float(np.linalg.norm(gradient)) / problem.totals.sum_weights,
        relations=_relations(columns, shown.null, exponent) if missing else (),
        status=Status.CONVERGED,
        solver=name,
        refined=False,
        gradient=gradient * lengths[:, None] * by,
    )


def _lengths(products: Products) -> Array:
    """Return the lengths (p,) of the columns, zero where they do not vary."""
    varies = products.by_column > 0
    return np.where(varies, 1.0 / np.where(varies, products.by_column, 1.0), 0.0)


def _reach(problem: LeastSquares, columns: Columns, params: Array) -> Array:
    """Return the lengths (m,) that the terms of the fitted outputs add up to."""
    of_means = np.abs(columns.mean) @ np.abs(params[1:]) + np.abs(params[0])
    of_columns = _lengths(columns.products) @ np.abs(params[1:])
    return np.asarray(of_columns + np.sqrt(problem.totals.sum_weights) * of_means)


def _n_dependent(problem: LeastSquares, columns: Columns, shown: Curvature) -> int:
    """Return how many columns are known to be constant, which a penalty determines, or to follow from others."""
    return int(columns.constant.sum()) * (not problem.alpha) + int(shown.null.shape[1])


def _information(
    problem: LeastSquares, columns: Columns, shown: Curvature, explained: Array, exponent: IntArray
) -> ProductInformation:
    """Return what is known of the matrix; ``explained`` (m,) are the squares of the fitted outputs and the penalty."""
    p, first = len(columns.mean), int(problem.centred)
    rank = min(
        first + p - _n_dependent(problem, columns, shown), problem.totals.n_rows if not problem.alpha else first + p
    )
    used = first + p - shown.penalised_away - int(columns.constant.sum()) if problem.alpha else float(rank)
    return ProductInformation(
        lengths=np.hypot(_lengths(columns.products), np.sqrt(problem.alpha)),
        explained=explained,
        exponent=exponent[:p],
        mean=columns.mean,
        total=problem.totals.sum_weights,
        alpha=problem.alpha,
        rank=rank,
        effective_dof=used,
        centred=problem.centred,
        certain=shown.certain or rank < first + p,
    )


class InverseByProducts:
    """R (XᵀWX + αI₀)⁻¹Rᵀ for rows r of R over (intercept, coef), by the shortest t with ``Aᵀt = r``: its square is ‖t‖².

    Parameters
    ----------
    problem : LeastSquares
        Its outputs are not looked at.
    """

    def __init__(self, problem: LeastSquares) -> None:
        self.problem, self.exponent = _in_range(problem)
        self.columns = _columns(self.problem)

    def image(self, restriction: Array) -> Array | None:
        """Return t (1 + n + p,) for a row of R (c + p,) in the units of X; None where products do not determine it.

        The first number is the intercept's part; ``tᵀu`` of two images is the covariance of the two combinations, by σ².
        """
        columns, products, first = self.columns, self.columns.products, int(self.problem.centred)
        slopes = scale(restriction[first:], -self.exponent[: len(columns.mean)])
        constant = float(restriction[0]) if first else 0.0
        slopes = slopes - constant * columns.mean
        if slopes[columns.constant].any():
            return None
        target = products.by_column * slopes
        length, image = float(np.linalg.norm(target)), np.zeros(len(products.y) + len(target))
        if length:
            run = Bidiagonalisation(products.transposed, products.image, target)
            while run.residual_norm > _SOLVED * length and len(run.steps) < _MOST and run.advance():
                continue
            if not run.residual_norm <= _SOLVED * length:
                return None
            image = run.x
        return np.concatenate([[constant / np.sqrt(self.problem.totals.sum_weights)], image])


# Relative residual at which a combination of coefficients has been solved for.
_SOLVED = 1e-9
