"""From a triangle to a solution: the part that all direct solvers share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from scipy.linalg.lapack import dpotrs

from mle_regression.linalg.arrays import EPS, Array, BoolArray, IntArray
from mle_regression.linalg.exact import Fixed
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
    solve_by_spectrum,
    spectrum,
    surely_full_rank,
)
from mle_regression.linalg.refine import FEW_OUTPUTS, Refined, cross_products, refine, refine_many
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.triangle import Triangle, inverse_triangle, solve_triangle, with_intercept
from mle_regression.solvers.base import LeastSquares, Solution, Status
from mle_regression.solvers.passes import exact_residual_cross, in_frame, sum_exact, sum_residuals

# Residuals of this many units of rounding of y are no evidence of noise.
_NO_NOISE_EPS = 4.0
# y may come of sums that cancel; beyond this much cancellation its rounding is taken to be that of y itself.
_CANCELLATION = 64.0


# A sum of squares that is so much smaller than that of y has lost about three digits as a difference.
CLOSE_FIT = 1e3


def is_close_fit(triangle: Triangle, cross: Array) -> bool:
    """Whether of some output so little is left, in the cross-products (m, m), that it is to be summed from the residuals."""
    total = triangle.tail.diagonal() + np.einsum("ij,ij->j", triangle.z, triangle.z)
    return bool((cross.diagonal() * CLOSE_FIT < total + EPS).any())


class Polish(Enum):
    """What one pass for the residuals is to restore."""

    NOTHING = "the triangle has all digits"
    RESIDUALS = "the sum of squares, where it was a difference"
    COEFFICIENTS = "the coefficients too, by one step of refinement"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Coefficients in the units of a triangle.

    Attributes
    ----------
    coef : Array of shape (p, m)
    intercept : Array of shape (m,)
    cross : Array of shape (m, m)
        Cross-products of the residuals, without penalty.
    information : InformationFactor
    refined : bool
        Whether worked out in exact arithmetic.
    """

    coef: Array
    intercept: Array
    cross: Array
    information: InformationFactor
    refined: bool = False


def conclude(
    problem: LeastSquares,
    triangle: Triangle,
    frame: Frame,
    name: str,
    polish: Polish,
    *,
    by_spectrum: bool = False,
    reason: str = "",
) -> Solution:
    """Decide the rank, solve, and sharpen: by a residual pass or, if the problem asks for it, in exact arithmetic.

    ``frame`` is that of the passes over the rows; ``name`` is what the solution calls its solver where the rank is full,
    ``reason`` why it was this one.
    """
    coef = None
    if by_spectrum or not surely_full_rank(triangle, problem.tolerance):
        s = (spectrum if by_spectrum else row_space)(triangle, problem.tolerance)
        if s.rank < triangle.n_features:
            return _deficient(problem, triangle, frame, s)
        coef = solve_by_spectrum(triangle, s) if by_spectrum else None
    estimate = _full_rank(problem, triangle, np.arange(triangle.n_features), coef)
    if polish is not Polish.NOTHING and not estimate.refined:
        factor = triangle.r if polish is Polish.COEFFICIENTS else None
        estimate = polished(problem, triangle, frame, estimate, factor)
    return as_solution(problem, triangle, estimate, name, reason=reason)


def _full_rank(problem: LeastSquares, part: Triangle, kept: IntArray, coef: Array | None = None) -> Estimate:
    """Solve a triangle of full rank: of all columns, or of the ``kept`` ones."""
    if coef is None:
        coef = solve_triangle(part.r, part.z)
    if problem.refine:
        refined = _refined(problem, part, kept, coef)
        if refined is not None:
            return refined
    return _plain(problem, part, coef, part.tail, information_of(part, problem.centred, problem.alpha))


def _plain(
    problem: LeastSquares, triangle: Triangle, coef: Array, tail: Array, information: InformationFactor
) -> Estimate:
    """Estimate from ``coef`` and the penalised sum of squares at the minimum, ``tail``."""
    p = triangle.n_features
    penalty = coef * _penalty(problem.alpha, triangle.exponent[:p])[:, None]
    intercept = triangle.mean[p:] - triangle.mean[:p] @ coef
    return Estimate(coef, intercept, tail - coef.T @ penalty, information)


def _deficient(problem: LeastSquares, triangle: Triangle, frame: Frame, s: RowSpace) -> Solution:
    """Solve where columns are dependent: on independent ones, or with the smallest coefficients of all that fit best."""
    kept = independent_columns(triangle, s, problem.tolerance)
    information = deficient_information(triangle, s, problem.centred, problem.alpha)
    if problem.deficiency == "drop":
        inner = _full_rank(problem, triangle.columns(kept), kept)
        coef = np.zeros((triangle.n_features, inner.coef.shape[1]))
        coef[kept] = inner.coef
        estimate = replace(inner, coef=coef, information=dropped_information(inner.information, kept, information))
    else:
        coef = minimum_norm(triangle, s)
        inside = s.inside(triangle.z)
        tail = triangle.tail + triangle.z.T @ triangle.z - inside.T @ inside
        estimate = _plain(problem, triangle, coef, tail, information)
    if not estimate.refined:
        estimate = polished(problem, triangle, frame, estimate, None)
    solution = as_solution(problem, triangle, estimate, "svd" if s.core.ndim == 1 else "qr")
    return replace(solution, relations=relations(triangle, kept), status=Status.RANK_DEFICIENT)


def polished(
    problem: LeastSquares, triangle: Triangle, frame: Frame, estimate: Estimate, factor: Array | None
) -> Estimate:
    """Take residuals from the rows, free of the cancellation in yᵀy − zᵀz, and, with the factor, one step of refinement.

    ``frame`` is that of the passes over the rows.
    """
    p = triangle.n_features
    if problem.sums is not None:
        if problem.sums.only_rounded:
            return estimate  # what was rounded is lost
        return replace(estimate, cross=_cross_of_sums(problem, triangle, estimate))
    coef, intercept = in_frame(triangle, frame, estimate.coef, estimate.intercept)
    residuals = sum_residuals(problem.rows, frame, coef, intercept)
    unit = frame.exponent - triangle.exponent
    total = scale(residuals.total, unit[p:])
    cross = scale(residuals.cross, unit[p:, None] + unit[None, p:])
    if problem.centred:
        cross = cross - np.outer(total, total) / triangle.total
    if factor is None or factor.shape[1] == 0:
        return replace(estimate, cross=cross)
    gradient = scale(residuals.gradient, unit[:p, None] + unit[None, p:]) - np.outer(triangle.offset[:p], total)
    penalty = _penalty(problem.alpha, triangle.exponent[:p])[:, None]
    step, _ = dpotrs(factor, gradient - penalty * estimate.coef)
    coef = estimate.coef + step
    moved = factor @ step
    cross += moved.T @ moved - step.T @ (penalty * step) - step.T @ gradient - gradient.T @ step
    intercept = triangle.mean[p:] - triangle.mean[:p] @ coef
    return replace(estimate, coef=coef, intercept=intercept, cross=cross)


def _cross_of_sums(problem: LeastSquares, triangle: Triangle, estimate: Estimate) -> Array:
    """Cross-products (m, m) of the residuals from the exact ones of [1 | X | y]."""
    p, first = triangle.n_features, int(problem.centred)
    gram, exponent = sum_exact(problem, np.arange(p), triangle.exponent)
    params = np.vstack([estimate.intercept, estimate.coef]) if problem.centred else estimate.coef
    # From the triangle's units to those of the sums, and back.
    unit = exponent.copy()
    unit[first:] -= triangle.exponent
    x, y = unit[: first + p, None], unit[None, first + p :]
    params = scale(params, x - y)
    return scale(cross_products(gram, params, np.zeros_like(params)), y + y.T)


def _refined(problem: LeastSquares, part: Triangle, kept: IntArray, coef: Array) -> Estimate | None:
    """Solve the exact normal equation; None if it cannot be preconditioned."""
    first, k = int(problem.centred), len(kept)
    if not first + k:
        return None  # there is nothing to solve for
    many = coef.shape[1] > FEW_OUTPUTS
    whole = problem.sums is not None or not many
    gram, exponent = sum_exact(problem, kept, part.exponent + np.frexp(part.norm)[1], of_outputs=whole)
    inverse, params = inverse_triangle(part.r), coef
    if problem.centred:
        inverse = with_intercept(inverse, part.mean[:k], part.total)
        params = np.vstack([part.mean[k:] - part.mean[:k] @ coef, coef])
    # From the triangle's units to those of the exact sums, and back.
    unit = exponent.copy()
    unit[first:] -= part.exponent
    x, y = unit[: first + k, None], unit[None, first + k :]
    penalty = None
    if problem.alpha:
        penalty = np.concatenate([np.zeros(first), _penalty(problem.alpha, exponent[first : first + k])])
        if (penalty * EPS > np.diagonal(gram.to_float())[: first + k]).any():
            # The columns are rounding beside their penalty, and coefficients so small leave the digits of fixed point.
            return None
    equation = scale(inverse, x), scale(params, x - y), penalty
    result = _refined_many(problem, kept, gram, exponent, *equation) if many else refine(gram, *equation)
    if result is None:
        return None
    params = scale(result.params, y - x)
    return Estimate(
        coef=params[first:],
        intercept=params[0] if problem.centred else np.zeros(params.shape[1]),
        cross=scale(result.rss, y + y.T),
        information=information_of(part, problem.centred, problem.alpha, scale(result.root, -x)),
        refined=True,
    )


def _refined_many(
    problem: LeastSquares,
    kept: IntArray,
    gram: Fixed,
    exponent: IntArray,
    inverse: Array,
    params: Array,
    penalty: Array | None,
) -> Refined | None:
    """Solve the exact normal equation of many outputs; cross-products of residuals come from the rows, if there are any."""
    found = refine_many(gram.rows(slice(len(params))), inverse, params, penalty)
    if found is None:
        return None
    if problem.sums is None:
        cross = exact_residual_cross(problem, kept, exponent, found.params, found.low)
    else:
        cross = cross_products(gram, found.params, found.low)
    return Refined(found.params, cross, found.root, steps=1)


def _penalty(alpha: float, exponent: IntArray) -> Array:
    """Diagonal α over columns divided by ``2**exponent``."""
    return scale(np.full(len(exponent), alpha), -2 * exponent)


def as_solution(
    problem: LeastSquares, triangle: Triangle, estimate: Estimate, name: str, *, arrived: bool = True, reason: str = ""
) -> Solution:
    """Return the solution that an estimate is, in the units of X and y; ``arrived`` tells whether it is at the minimum."""
    p = triangle.n_features
    x, y = triangle.exponent[:p], triangle.exponent[p:]
    cross = estimate.cross.copy()
    # A sum of squares computed as a difference can round to less than nothing.
    np.fill_diagonal(cross, np.maximum(cross.diagonal(), 0.0))
    # At the minimum as many parameters as rows leave nothing, whatever rounding makes of it.
    saturated = arrived and problem.totals.n_rows <= estimate.information.rank
    gradient = 2.0 / triangle.total * triangle.r.T @ (triangle.z - triangle.r @ estimate.coef)
    return Solution(
        coef=scale(estimate.coef, y[None, :] - x[:, None]),
        intercept=scale(estimate.intercept, y),
        residual_cross=0.5 * (cross + cross.T),
        output_exponent=y,
        information=estimate.information,
        noise_free=_noise_free(triangle, estimate, cross) | (saturated and not problem.alpha),
        gradient_norm=float(np.linalg.norm(gradient)),
        relations=(),
        status=Status.CONVERGED,
        solver=name,
        refined=estimate.refined,
        reason=reason,
    )


def _noise_free(triangle: Triangle, estimate: Estimate, cross: Array) -> BoolArray:
    """Tell of which outputs (m,) the residuals are no larger than what rounding y, or the sum Xβ behind it, leaves."""
    p = triangle.n_features
    length = triangle.norm[p:]
    reach = triangle.norm[:p] @ np.abs(estimate.coef) + np.sqrt(triangle.total) * np.abs(estimate.intercept)
    return noise_free(length, reach, cross)


def noise_free(length: Array, reach: Array, cross: Array) -> BoolArray:
    """Tell it from lengths (m,) of y and of the largest terms of Xβ, and cross-products (m, m) of the residuals."""
    scale_of_y = np.clip(reach, length, _CANCELLATION * length)
    return np.asarray(np.sqrt(cross.diagonal()) <= _NO_NOISE_EPS * EPS * scale_of_y)
