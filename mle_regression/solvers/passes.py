"""The passes over the rows that direct solvers make, and the coordinates they make them in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.exact import BITS, MAX_LIMBS, Fixed, exact_gram, fixed
from mle_regression.linalg.frame import Frame, choose_frame, safe_exponents
from mle_regression.linalg.gram import Moments, block_moments, cross_product
from mle_regression.linalg.memory import NUMBER_BYTES, require_memory
from mle_regression.linalg.qr import block_factor, stack_factors
from mle_regression.linalg.scaling import column_magnitudes, exponents, scale
from mle_regression.linalg.triangle import Triangle
from mle_regression.rows.base import Block, Rows, rows_of
from mle_regression.solvers.base import LeastSquares, NonFiniteRowsError

SAMPLE_ROWS = 256
# Largest table of products of digits, in numbers; longer blocks are taken some rows at a time.
_TABLE_SIZE = 1 << 18
# The last limb of residuals of outputs of about unit length: 2**-120.
_LOWEST = -6
# A sum of squares below this has lost digits to underflow.
UNDERFLOW = 1e-200
# Squared mean over variance from which columns are shifted: the rank-one correction loses four digits.
FAR_MEAN = 1e4
# Columns are scaled to unit size unless they are smaller than the root of their penalty by more than 2 to this power.
_BESIDE_PENALTY = 400
# A shift is not improved by less than this many eps.
_SHIFT_EPS = 16.0


def sum_moments(problem: LeastSquares) -> tuple[Moments, Frame]:
    """One pass for the moments of [X | y]; another only where a sample of rows had not shown the true scales.

    NaN and infinity need no pass of their own: they make the moments so.
    """
    sample = choose_frame(problem.rows.sample(SAMPLE_ROWS), problem.centred)
    frame = _rescaled(sample, _within_penalty(problem, sample.exponent))
    for _ in range(4):
        moments = _moments(problem.rows, frame)
        better = _better_frame(problem, moments, frame)
        if better is None:
            break
        frame = better
    return moments, frame


def find_frame(problem: LeastSquares) -> Frame:
    """Coordinates for a solver that needs no moments: those the largest magnitudes and a sample of rows call for."""
    exponent = _within_penalty(problem, safe_exponents(magnitudes(problem.rows)))
    return _rescaled(choose_frame(problem.rows.sample(SAMPLE_ROWS), problem.centred), exponent)


def _rescaled(frame: Frame, exponent: IntArray) -> Frame:
    """Return a frame of columns divided by other powers of two; the frame itself where they are its own."""
    if exponent is frame.exponent:
        return frame
    return Frame(exponent, scale(frame.shift, frame.exponent - exponent))


def _within_penalty(problem: LeastSquares, exponent: IntArray) -> IntArray:
    """Raise exponents of columns that are nothing beside their penalty, which would leave float64 in their units."""
    if not problem.alpha:
        return exponent
    p = problem.rows.shape[1]
    least = int(np.frexp(np.sqrt(problem.alpha))[1]) - _BESIDE_PENALTY
    return np.concatenate([np.where(exponent[:p], np.maximum(exponent[:p], least), 0), exponent[p:]])


def sum_factors(problem: LeastSquares, frame: Frame) -> Array:
    """Triangular factor of [1 | X | y], or of [X | y] without intercept, in the frame's coordinates."""
    return problem.rows.reduce(partial(factor_of_block, frame, problem.centred), stack_factors, dense=True, tall=True)


def factor_of_block(frame: Frame, centred: bool, block: Block) -> Array:
    """Triangular factor of a block, as `block_factor`."""
    return block_factor(block.x, block.y, block.weights, frame, centred)


def triangle_bytes(problem: LeastSquares) -> float:
    """Memory that a triangle of the problem asks for: its own, that of the sums it is made of, and of a block of rows."""
    n, p, m = problem.rows.shape
    q = p + m + 1
    return float(NUMBER_BYTES * _TRIANGLE_COPIES * q * min(n + 1, q))


def require_triangle(problem: LeastSquares, name: str) -> None:
    """Raise a ValueError, before anything is allocated, where a solver's triangle would ask for more memory than there is."""
    if problem.sums is None:
        n, p, _ = problem.rows.shape
        require_memory(
            triangle_bytes(problem),
            f"solver={name!r} reduces X of {n} x {p} to a triangle",
            "Take solver='lsmr', which multiplies by X alone, or fewer columns",
        )


# Number of arrays of the size of the triangle that exist together: sums, copies, the factor, a block of rows.
_TRIANGLE_COPIES = 5


@dataclass(slots=True)
class Residuals:
    """Sums over rows of the residuals e = y − Xβ − b.

    Attributes
    ----------
    gradient : Array of shape (p, m)
        Σ w x e.
    total : Array of shape (m,)
        Σ w e.
    cross : Array of shape (m, m)
        Σ w e eᵀ.
    """

    gradient: Array
    total: Array
    cross: Array

    def __add__(self, other: Residuals) -> Residuals:
        """Sum of two blocks."""
        return Residuals(self.gradient + other.gradient, self.total + other.total, self.cross + other.cross)


def sum_residuals(rows: Rows, frame: Frame, coef: Array, intercept: Array) -> Residuals:
    """One pass for the residuals of ``coef`` (p, m) and ``intercept`` (m,), all in the frame's coordinates."""
    return rows.reduce(
        partial(_residuals_of_block, frame, coef, intercept), Residuals.__add__, dense=not frame.is_identity
    )


def _residuals_of_block(frame: Frame, coef: Array, intercept: Array, block: Block) -> Residuals:
    x, y, p = block.x, block.y, len(coef)
    if not frame.is_identity:
        z = frame.apply(x, y, None)
        x, y = z[:, :p], z[:, p:]
    e = y - x @ coef - intercept
    weighted = e if block.weights is None else block.weights[:, None] * e
    return Residuals(cross_product(x, weighted), weighted.sum(axis=0), cross_product(weighted, e))


def sum_exact(
    problem: LeastSquares, columns: IntArray, bound: IntArray, *, of_outputs: bool = True
) -> tuple[Fixed, IntArray]:
    """Exact cross-products of [1 | X | y] (or [X | y]), columns divided by powers of two, whose exponents follow.

    Only some ``columns`` (k,) of X are taken. Without weights they and y are known to be below ``2**bound``, (k + m,).
    Rows of the result that are of y are left out unless ``of_outputs``.
    """
    first, k = int(problem.centred), len(columns)
    n_left = None if of_outputs else first + k
    p = problem.rows.shape[1]
    if problem.sums is not None:
        gram, exponent = problem.sums.table
        keep = np.concatenate([np.zeros(first, dtype=np.int64), 1 + columns, np.arange(1 + p, len(exponent))])
        return gram.submatrix(keep).rows(slice(n_left)), exponent[keep]
    if problem.totals.weighted:
        taken = np.concatenate([columns, np.arange(p, p + problem.rows.shape[2])])
        exponent = exponents(magnitudes(problem.rows)[taken]) + 1
        # In whole limbs, so that the exact sums only move their radix point.
        weight_limbs = -(-int(exponents(np.array([problem.totals.max_weight]))[0]) // BITS)
    else:
        exponent, weight_limbs = bound + 1, 0
    if problem.centred:
        exponent = np.concatenate([np.ones(1, dtype=np.int64), exponent])
    products = partial(_exact_products, columns, problem.centred, exponent, BITS * weight_limbs, n_left)
    gram = problem.rows.reduce(products, Fixed.__add__, dense=True)
    return Fixed(gram.digits, gram.top + weight_limbs).carried(), exponent


def _exact_products(
    columns: IntArray, centred: bool, exponent: IntArray, weight_exponent: int, n_left: int | None, block: Block
) -> Fixed:
    """Exact cross-products of [1 | X | y] of a block, of some columns of X; the first ``n_left`` rows of them."""
    return exact_gram(_chosen(block, columns, centred), exponent, block.weights, weight_exponent, n_left)


def exact_residual_cross(
    problem: LeastSquares, columns: IntArray, exponent: IntArray, params: Array, low: Array
) -> Array:
    """Cross-products (m, m) of residuals, each worked out without rounding before it is rounded once.

    Parameters
    ----------
    problem : LeastSquares
    columns : IntArray of shape (k,)
    exponent : IntArray of shape (c + k + m,)
        [1 | X | y] are divided by ``2**exponent``.
    params, low : Array of shape (c + k, m)
        Parameters of columns and outputs so divided, as sums of two terms.
    """
    coef = (fixed(-params) + fixed(-low)).carried()
    return problem.rows.reduce(
        partial(_exact_cross_of_block, columns, problem.centred, exponent, coef), np.add, dense=True
    )


def _exact_cross_of_block(columns: IntArray, centred: bool, exponent: IntArray, coef: Fixed, block: Block) -> Array:
    k, m = coef.digits.shape[1:]
    step = max(1, _TABLE_SIZE // (MAX_LIMBS * (m * len(coef.digits) + k)))
    cross = np.zeros((m, m))
    for start in range(0, len(block.y), step):
        part = rows_of(block.x, block.y, block.weights, slice(start, start + step))
        z = scale(_chosen(part, columns, centred), -exponent)
        e = _exact_residuals(fixed(z[:, :k].T), fixed(z[:, k:]), coef)
        cross += e.T @ (e if part.weights is None else part.weights[:, None] * e)
    return cross


def _exact_residuals(columns: Fixed, outputs: Fixed, coef: Fixed) -> Array:
    """Return ``outputs + columnsᵀ coef`` (b, m) for columns (k, b), without rounding above 2**-120, rounded once."""
    image = columns.down_to(_LOWEST - coef.top).times(coef.down_to(_LOWEST - columns.top))
    return (image.down_to(_LOWEST) + outputs).carried().to_float()


def _chosen(block: Block, columns: IntArray, centred: bool) -> Array:
    """Return [1 | X | y] (or [X | y]) of a block, with some columns of X."""
    ones = [np.ones((len(block.y), 1))] if centred else []
    x = block.x if len(columns) == block.x.shape[1] else block.x[:, columns]
    return np.hstack([*ones, x, block.y])


def _moments(rows: Rows, frame: Frame) -> Moments:
    return rows.reduce(partial(moments_of_block, frame), Moments.__add__, dense=not frame.is_identity)


def moments_of_block(frame: Frame, block: Block) -> Moments:
    """Moments of a block, as `block_moments`."""
    return block_moments(block.x, block.y, block.weights, frame)


def _better_frame(problem: LeastSquares, moments: Moments, frame: Frame) -> Frame | None:
    """Return the frame that these sums call for, None if theirs serves."""
    squares = moments.gram.diagonal()
    if not np.isfinite(moments.gram).all() or (squares < UNDERFLOW).any():
        exponent = _within_penalty(problem, safe_exponents(magnitudes(problem.rows)))
        if not np.array_equal(exponent, frame.exponent):
            return Frame(exponent, np.zeros_like(frame.shift))
    if not problem.centred:
        return None
    offset = moments.sums / problem.totals.sum_weights
    of_mean = moments.sums * offset
    far = (of_mean > FAR_MEAN * (squares - of_mean)) & (
        np.abs(offset) > _SHIFT_EPS * EPS * np.abs(frame.shift + offset)
    )
    if not far.any():
        return None
    return Frame(frame.exponent, np.where(far, frame.shift + offset, frame.shift))


def magnitudes(rows: Rows) -> Array:
    """Largest magnitude of each column of [X | y]; raises if there is NaN or infinity."""
    magnitudes: Array = rows.reduce(_magnitudes_of_block, np.maximum)
    if not np.isfinite(magnitudes).all():
        raise NonFiniteRowsError(np.flatnonzero(~np.isfinite(magnitudes)))
    return magnitudes


def _magnitudes_of_block(block: Block) -> Array:
    if not len(block.y):
        return np.zeros(block.x.shape[1] + block.y.shape[1])
    x = abs(block.x).max(axis=0).toarray().ravel() if sp.issparse(block.x) else column_magnitudes(block.x)
    return np.concatenate([x, column_magnitudes(block.y)])


def in_frame(triangle: Triangle, frame: Frame, coef: Array, intercept: Array) -> tuple[Array, Array]:
    """Coefficients (p, m) and intercept (m,) of the triangle's columns, in the coordinates of a frame."""
    p = triangle.n_features
    unit = triangle.exponent - frame.exponent
    if triangle.offset.any():
        intercept = triangle.offset[p:] - triangle.offset[:p] @ coef
    return scale(coef, unit[None, p:] - unit[:p, None]), scale(intercept, unit[p:])
