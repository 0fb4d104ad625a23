"""Singular values: of many columns by their cross-products, of columns of unlike lengths by rotations."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dgejsv

from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import column_norms

# Fewer columns are cheap either way. Cross-products square the condition: up to this condition three digits are lost.
_MANY_COLUMNS, _EASY_CONDITION = 400, 30.0
# Ratio of lengths up to which LAPACK's decomposition blurs a small singular value by no more than its columns' rounding; and
# columns up to which rotations, some five times as dear, are worth it.
_LIKE_LENGTHS, _ROTATED_COLUMNS = 30.0, 1000


def graded_svd(a: Array) -> tuple[Array, Array, Array]:
    """Return left vectors (n, k), singular values (k,), descending, and right vectors (k, p) of a (n, p), k = min(n, p).

    By one-sided Jacobi rotations where columns are of unlike lengths (Drmač and Veselić, 2008): singular values, and the
    components of vectors, then have small errors relative to themselves; columns in units of 1e-100 and 1 do not blur each
    other.

    Examples
    --------
    >>> import numpy as np
    >>> left, values, right = graded_svd(np.array([[1.0, 1e-200], [0.0, 2e-200]]))
    >>> bool(np.allclose(values, [1.0, 2e-200], rtol=1e-15, atol=0))
    True
    """
    lengths = column_norms(a)
    positive = lengths[lengths > 0]
    alike = not positive.size or positive.max() <= _LIKE_LENGTHS * positive.min()
    if alike or a.shape[1] > _ROTATED_COLUMNS:
        return np.linalg.svd(a, full_matrices=False)
    wide = a.shape[0] < a.shape[1]
    values, left, right, work, _, info = dgejsv(a.T if wide else a, joba=2, jobu=0, jobv=0)
    if info != 0:
        return np.linalg.svd(a, full_matrices=False)
    values, left, right = values * (work[0] / work[1]), left[:, : len(values)], right
    return (right, values, left.T) if wide else (left, values, right.T)


def of_easy_columns(a: Array) -> tuple[Array, Array] | None:
    """Return singular values (k,), descending, and right singular vectors (k, k), a row each, of a (n, k).

    None where columns are few, or their condition is not small; LAPACK's singular value decomposition has the digits then,
    at several times the price.
    """
    if not _is_easy_shape(a):
        return None
    squares, vectors = eigh(a.T @ a, driver="evd")
    return (np.sqrt(squares[::-1]), vectors.T[::-1]) if _is_easy(squares) else None


def values_of_easy_columns(a: Array) -> Array | None:
    """Return singular values (k,), descending, as `of_easy_columns` does."""
    if not _is_easy_shape(a):
        return None
    squares = np.linalg.eigvalsh(a.T @ a)
    return np.asarray(np.sqrt(squares[::-1])) if _is_easy(squares) else None


def _is_easy_shape(a: Array) -> bool:
    return bool(a.shape[1] > _MANY_COLUMNS and a.shape[0] >= a.shape[1])


def _is_easy(squares: Any) -> bool:
    return bool(np.isfinite(squares[-1]) and squares[0] * _EASY_CONDITION**2 > squares[-1])
