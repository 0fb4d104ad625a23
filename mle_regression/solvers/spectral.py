"""Outputs under different penalties, from one reduction of the rows: all of them share its singular directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.memory import fits_memory
from mle_regression.linalg.rank import surely_full_rank
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.singular import graded_svd
from mle_regression.linalg.spectral_information import SpectralInformation
from mle_regression.linalg.triangle import Triangle
from mle_regression.rows.base import is_local
from mle_regression.solvers.base import LeastSquares, Solution, Status
from mle_regression.solvers.direct import noise_free
from mle_regression.solvers.linear_path import reduce_rows
from mle_regression.solvers.passes import find_frame, in_frame, sum_residuals, triangle_bytes
from mle_regression.solvers.qr import reduce_by_qr

# Sparse columns of which a dense triangle is small beside what else a fit costs.
_SPARSE_COLUMNS = 500
# How far above what counts as none the root of a penalty is that makes up for directions which the columns lack.
_ABOVE_NONE = 10.0
_REASON = "one reduction of the rows for outputs under different penalties"


@dataclass(frozen=True, slots=True)
class Directions:
    """A least-squares problem along the singular directions of its centred columns, ``U diag(s) V``.

    Attributes
    ----------
    triangle : Triangle
        Without penalty, all columns divided by one power of two, as the penalty asks for.
    frame : Frame
        Of the passes over the rows.
    values : Array of shape (k,)
        Singular values s.
    basis : Array of shape (k, p)
        V.
    projections : Array of shape (k, m)
        Uᵀy, of outputs divided as those of the triangle.
    full_rank : bool
        Whether the columns are surely independent, each judged in units of its own.
    """

    triangle: Triangle
    frame: Frame
    values: Array
    basis: Array
    projections: Array
    full_rank: bool

    @property
    def unit(self) -> int:
        """Columns are divided by ``2**unit``."""
        return int(self.triangle.exponent[0])

    def restored_by(self, alpha: float, tolerance: float) -> bool:
        """Whether a penalty makes up for the directions that the columns lack, if they lack any."""
        none = tolerance * np.sqrt(self.triangle.n_features) * float(self.values.max(initial=0.0))
        root = float(scale(np.sqrt(alpha), -self.unit))
        return bool(0.0 < root < np.inf and (self.full_rank or root > _ABOVE_NONE * none))


def directions_of(problem: LeastSquares, *, squared: bool) -> Directions | None:
    """Decompose the rows once, whatever the penalty; None where a triangle of all columns is not to be formed.

    ``squared`` tells whether cross-products may be summed, where the columns are far from dependent.
    """
    bare = replace(problem, alpha=0.0, refine=False)
    if not bare.rows.shape[1] or bare.sums is not None or not is_local(bare.rows):
        return None
    if not fits_memory(triangle_bytes(bare)) or (sp.issparse(bare.rows.x) and bare.rows.shape[1] > _SPARSE_COLUMNS):
        return None
    triangle, frame = reduce_rows(bare) if squared else reduce_by_qr(bare, find_frame(bare))
    full_rank = surely_full_rank(triangle, problem.tolerance)
    triangle = triangle.in_one_unit()
    left, values, basis = graded_svd(triangle.r)
    return Directions(triangle, frame, values, basis, left.T @ triangle.z, full_rank)


def solve_along(
    problem: LeastSquares, found: Directions, alphas: Sequence[float], outputs: Sequence[IntArray]
) -> tuple[list[Solution], Array]:
    """Solve for the outputs (mₖ,) of each penalty, and sharpen all of them by one pass over the rows.

    With singular values s and directions V the coefficients are ``Vᵀ diag(s/(s² + α)) Uᵀy`` (Hastie and Tibshirani, 2004).

    Returns
    -------
    solutions : list of Solution
        One a penalty.
    cross : Array of shape (m, m)
        Cross-products of the residuals of all outputs.
    """
    triangle, p, m = found.triangle, found.triangle.n_features, found.triangle.z.shape[1]
    penalty, unit = np.zeros(m), triangle.exponent[p:]
    for alpha, which in zip(alphas, outputs, strict=True):
        penalty[which] = scale(alpha, -2 * found.unit)
    coef, cross, gradient = _sharpened(problem, found, penalty)
    intercept = triangle.mean[p:] - triangle.mean[:p] @ coef
    reach = triangle.norm[:p] @ np.abs(coef) + np.sqrt(triangle.total) * np.abs(intercept)
    exact = noise_free(triangle.norm[p:], reach, cross)
    steepest = np.maximum(found.values.max(initial=0.0), np.sqrt(penalty))
    norms = 2.0 * np.linalg.norm(gradient, axis=0) / (steepest * triangle.total)
    solutions = [
        Solution(
            coef=scale(coef[:, which], unit[which] - found.unit),
            intercept=scale(intercept[which], unit[which]),
            residual_cross=cross[np.ix_(which, which)],
            output_exponent=unit[which],
            information=SpectralInformation(
                found.values, found.basis, triangle.mean[:p], triangle.total, alpha, problem.centred, found.unit
            ),
            noise_free=exact[which],
            gradient_norm=float(np.linalg.norm(norms[which])),
            relations=(),
            status=Status.CONVERGED,
            solver="svd",
            refined=False,
            reason=_REASON,
        )
        for alpha, which in zip(alphas, outputs, strict=True)
    ]
    return solutions, cross


def _sharpened(problem: LeastSquares, found: Directions, penalty: Array) -> tuple[Array, Array, Array]:
    """Return coefficients (p, m) after a step of refinement, cross-products (m, m) of residuals, and the last gradient."""
    triangle, frame, p = found.triangle, found.frame, found.triangle.n_features
    inverse = 1.0 / (found.values[:, None] ** 2 + penalty)
    coef = found.basis.T @ (inverse * found.values[:, None] * found.projections)
    intercept = triangle.mean[p:] - triangle.mean[:p] @ coef
    residuals = sum_residuals(problem.rows, frame, *in_frame(triangle, frame, coef, intercept))
    unit = frame.exponent - triangle.exponent
    total, cross = scale(residuals.total, unit[p:]), scale(residuals.cross, unit[p:, None] + unit[None, p:])
    slope = scale(residuals.gradient, unit[:p, None] + unit[None, p:])
    if problem.centred:
        cross = cross - np.outer(total, total) / triangle.total
        slope -= np.outer(triangle.offset[:p], total)
    gradient = slope - penalty * coef
    inside = found.basis @ gradient
    step = found.basis.T @ (inverse * inside)
    if len(found.values) < p:
        step += (gradient - found.basis.T @ inside) / penalty
    moved = found.values[:, None] * (found.basis @ step)
    cross += moved.T @ moved - step.T @ slope - slope.T @ step
    np.fill_diagonal(cross, np.maximum(np.diagonal(cross), 0.0))
    return coef + step, 0.5 * (cross + cross.T), gradient
