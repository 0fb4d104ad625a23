"""Singular values with left vectors, at the rank that the columns have in units of their own."""

from __future__ import annotations

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import fast_column_norms
from mle_regression.linalg.singular import graded_svd

# Condition up to which the vectors of cross-products are those of the matrix to all digits but three.
_SQUARED_CONDITION = 30.0


def left_vectors(
    b: Array, tolerance: float, sizes: Array | None = None, beside: Array | None = None
) -> tuple[Array, Array]:
    """Return left singular vectors (n, r) and singular values (r,), descending, of b (n, p) of numerical rank r.

    By cross-products where their condition allows it, else by QR of columns of unit length: columns that depend on others to
    within the ``tolerance`` add no direction, and those in other units are not taken for such.

    Parameters
    ----------
    b : Array of shape (n, p)
    tolerance : float
        Singular value of columns of unit length, relative to the largest, at which a direction counts as none.
    sizes : Array of shape (p,), default=None
        Lengths of the columns that these are taken of, as before centring, whose rounding they have; their own, if None.
    beside : Array of shape (n,), default=None
        A vector that the columns are orthogonal to, but for rounding, as √w after centring.
    """
    lengths = fast_column_norms(b)
    sizes = lengths if sizes is None else np.hypot(sizes, lengths)
    if (lengths == 0).any():
        b, sizes = b[:, lengths > 0], sizes[lengths > 0]
    n, p = b.shape
    if not b.size:
        return np.zeros((n, 0)), np.zeros(0)
    found = _by_rows(b, 0 if beside is None else 1) if n <= p else _by_columns(b)
    return found if found is not None else _by_reflections(b, sizes, tolerance, beside)


def _by_rows(b: Array, lost: int) -> tuple[Array, Array] | None:
    squares, left = np.linalg.eigh(b @ b.T)
    squares, left = squares[: lost - 1 if lost else None : -1], left[:, : lost - 1 if lost else None : -1]
    return (left, np.sqrt(squares)) if _is_easy(squares) else None


def _by_columns(b: Array) -> tuple[Array, Array] | None:
    squares, right = np.linalg.eigh(b.T @ b)
    squares, right = squares[::-1], right[:, ::-1]
    if not _is_easy(squares):
        return None
    values = np.sqrt(squares)
    return b @ (right / values), values


def _is_easy(squares: Array) -> bool:
    return bool(squares.size and np.isfinite(squares[0]) and squares[-1] * _SQUARED_CONDITION**2 > squares[0])


def _by_reflections(b: Array, sizes: Array, tolerance: float, beside: Array | None) -> tuple[Array, Array]:
    columns = b / sizes
    if beside is None:
        basis, upper = np.linalg.qr(columns)
    else:
        # Nearly dependent columns leave little, of which the rounding of their means would be a part.
        basis, upper = np.linalg.qr(np.column_stack([beside / np.linalg.norm(beside), columns]))
        basis, upper = basis[:, 1:], upper[1:, 1:]
    if not basis.size:
        return np.zeros((len(b), 0)), np.zeros(0)
    inner, values, right = np.linalg.svd(upper, full_matrices=False)
    rank = int(np.count_nonzero(values > tolerance * max(float(values[0]), 1.0)))
    if rank < len(values):
        basis, upper = basis @ inner[:, :rank], values[:rank, None] * right[:rank]
    left, values, _ = graded_svd(upper * sizes)
    order = np.argsort(-values, kind="stable")
    order = order[values[order] > 0]
    return basis @ left[:, order], values[order]
