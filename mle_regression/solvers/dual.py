"""Ridge regression of fewer rows than columns, in the space of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import EPS, Array
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.memory import NUMBER_BYTES, fits_memory
from mle_regression.linalg.scaling import column_norms, exponents, scale
from mle_regression.linalg.spectral_information import SpectralInformation
from mle_regression.rows.base import Block
from mle_regression.solvers.base import LeastSquares, Solution, Status
from mle_regression.solvers.direct import noise_free
from mle_regression.solvers.passes import find_frame

# The space of the rows is cheaper from this many columns per row.
_COLUMNS_PER_ROW = 2
# Number of arrays of the size of X that are needed.
_COPIES = 4
# Up to this condition number the cross-products of the rows lose three digits of the singular vectors.
_SQUARED_CONDITION = 30.0
# If column lengths differ by more, columns need equilibration, and penalties differ from column to column.
_APART = 1e4
# Range of penalties whose inverse and square do not overflow; and least ratio to what counts as no penalty.
_SMALLEST, _LARGEST_NUMBER, _ABOVE_NONE = 1e-100, 1e100, 10.0


@dataclass(frozen=True, slots=True)
class CentredRows:
    """Rows times the roots of their weights, less their mean.

    Attributes
    ----------
    x, y : Array of shape (n, p) and (n, m)
    lengths : Array of shape (p,)
        Of the columns of x.
    mean : Array of shape (p + m,)
    """

    x: Array
    y: Array
    lengths: Array
    mean: Array


def solve_dual(problem: LeastSquares) -> Solution | None:
    """Minimise a penalised problem of few rows; None where its triangle is cheaper, or has digits that this way has not.

    With singular values s and vectors U, V of the centred rows, ``β = V diag(s/(s² + α)) Uᵀy`` (Hastie and Tibshirani, 2004):
    O(n²p) work and n × p memory, where the normal equation takes O(p³) and p × p.
    """
    n, p, _ = problem.rows.shape
    if problem.sums is not None or problem.refine or not _SMALLEST < problem.alpha < _LARGEST_NUMBER:
        return None
    if (
        p < _COLUMNS_PER_ROW * n
        or sp.issparse(getattr(problem.rows, "x", None))
        or not fits_memory(_COPIES * NUMBER_BYTES * n * p)
    ):
        return None
    frame = find_frame(problem)
    if frame.exponent.any():
        return None
    rows = _centred(problem, frame)
    largest = rows.lengths.max(initial=0.0)
    # Constants leave their rounding.
    varying = rows.lengths[rows.lengths > np.sqrt(EPS) * largest]
    if not largest > 0 or varying.min() * _APART < largest:
        return None
    if np.sqrt(problem.alpha) <= _ABOVE_NONE * problem.tolerance * np.sqrt(p) * largest:
        return None
    return _as_solution(problem, rows, *_singular(rows.x, problem.centred))


def _centred(problem: LeastSquares, frame: Frame) -> CentredRows:
    """Copy the rows in a frame without scales, and centre them."""
    table, p = problem.rows.map(partial(_weighted_rows, frame), dense=True), problem.rows.shape[1]
    first, z = table[:, 0], table[:, 1:]
    mean = np.zeros(z.shape[1])
    if problem.centred:
        offset = first @ z / problem.totals.sum_weights
        z = z - first[:, None] * offset
        mean = frame.shift + offset
    x = z[:, :p]
    return CentredRows(x, z[:, p:], np.sqrt(np.einsum("ij,ij->j", x, x)), mean)


def _weighted_rows(frame: Frame, block: Block) -> Array:
    """Return √w·[1 | X | y] of a block."""
    sqrt_weights = None if block.weights is None else np.sqrt(block.weights)
    first = np.ones(len(block.y)) if sqrt_weights is None else sqrt_weights
    return np.column_stack([first, frame.apply(block.x, block.y, sqrt_weights)])


def _singular(x: Array, centred: bool) -> tuple[Array, Array, Array, str]:
    """Return left vectors (n, k), values (k,) and right vectors (k, p) of x, and how they were found.

    ``centred`` tells whether one direction of the rows is none beforehand. Where another is small, cross-products do not tell
    how small.
    """
    squares, left = np.linalg.eigh(x @ x.T)
    squares, left = squares[int(centred) :], left[:, int(centred) :]
    if squares.size and squares[-1] <= _SQUARED_CONDITION**2 * squares[0]:
        values = np.sqrt(squares)
        return left, values, (left / values).T @ x, "normal"
    return *np.linalg.svd(x, full_matrices=False), "svd"


def _as_solution(
    problem: LeastSquares, rows: CentredRows, left: Array, values: Array, right: Array, name: str
) -> Solution:
    p, alpha, total = rows.x.shape[1], problem.alpha, problem.totals.sum_weights
    unit = exponents(column_norms(rows.y))
    y = scale(rows.y, -unit)
    inside = left.T @ y
    shrunk = values[:, None] * inside / (values**2 + alpha)[:, None]
    coef = right.T @ shrunk
    # What the penalty leaves inside of the span of the rows, and what is outside of it.
    kept = alpha / (values**2 + alpha)[:, None] * inside
    outside = y - left @ inside
    cross = kept.T @ kept + outside.T @ outside
    mean, mean_of_y = rows.mean[:p], scale(rows.mean[p:], -unit)
    intercept = mean_of_y - mean @ coef
    norm_of_y = np.hypot(column_norms(y), np.sqrt(total) * np.abs(mean_of_y))
    norm = np.hypot(rows.lengths, np.sqrt(total) * np.abs(mean))
    gradient = (values[:, None] * kept - alpha * shrunk) / max(float(values.max()), np.sqrt(alpha))
    return Solution(
        coef=scale(coef, unit),
        intercept=scale(intercept, unit) if problem.centred else np.zeros(len(unit)),
        residual_cross=0.5 * (cross + cross.T),
        output_exponent=unit,
        information=SpectralInformation(values, right, mean, total, alpha, problem.centred),
        noise_free=noise_free(norm_of_y, norm @ np.abs(coef) + np.sqrt(total) * np.abs(intercept), cross),
        gradient_norm=2.0 * float(np.linalg.norm(gradient)) / total,
        relations=(),
        status=Status.CONVERGED,
        solver=name,
        refined=False,
    )
