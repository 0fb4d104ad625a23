"""Singular values of many columns by their cross-products, where these have all digits that matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import eigh

from mle_regression.linalg.arrays import Array

# Fewer columns cost little either way. Cross-products square the condition: up to this one three digits are lost.
_MANY_COLUMNS, _EASY_CONDITION = 400, 30.0


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
