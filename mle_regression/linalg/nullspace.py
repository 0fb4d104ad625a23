"""Null space of a positive semidefinite matrix, and its echelon form, which names the dependent columns."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpstrf

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.triangle import solve_triangle

# Smallest pivot, relative to the largest entry.
_SMALLEST_PIVOT = 1e-6


def semidefinite_null_space(a: Array, zero: float, least: float) -> Array | None:
    """Return a basis (q, r) of the null space of a positive semidefinite a (q, q) with a diagonal of about one at most.

    By Cholesky factorisation, pivoted where there is a null space (Higham, 1990). Pivots up to ``zero`` are none; None is
    returned where there are others below ``least``, which are neither.

    Examples
    --------
    >>> import numpy as np
    >>> semidefinite_null_space(np.ones((2, 2)), 1e-10, 1e-6).ravel()
    array([-1.,  1.])
    """
    factor, info = dpotrf(a, clean=1)
    if info == 0 and np.diagonal(factor).min(initial=1.0) ** 2 >= least:
        return np.zeros((len(a), 0))
    if np.diagonal(a).max(initial=0.0) <= zero:
        return np.eye(len(a))
    factor, pivots, rank, _ = dpstrf(a, tol=zero)
    if rank and factor[rank - 1, rank - 1] ** 2 < least:
        return None
    null = np.zeros((len(a), len(a) - rank))
    null[pivots[:rank] - 1] = -solve_triangle(np.triu(factor[:rank, :rank]), factor[:rank, rank:])
    null[pivots[rank:] - 1] = np.eye(len(a) - rank)
    return null


def echelon_basis(null: Array, noise: float) -> tuple[Array, IntArray]:
    """Return the basis of the span of null (k, r) whose vectors end each at another row, and these rows (r,), ascending.

    Each vector is one at its own last row and zero at those of the others: with columns of a matrix for rows, it writes the
    last column of a dependency by those before it. Entries below ``noise`` are set to zero.

    Examples
    --------
    >>> import numpy as np
    >>> echelon_basis(np.array([[1.0, 1.0], [1.0, 0.0], [1.0, -1.0]]), 1e-9)[1]
    array([1, 2])
    """
    basis = null.copy()
    last: list[int] = []
    for k in range(basis.shape[1]):
        size = np.abs(basis[:, k:]).max(axis=1)
        size[last] = 0.0
        significant = np.flatnonzero(size > max(noise, _SMALLEST_PIVOT) * size.max(initial=0.0))
        row = int(significant[-1])
        pick = k + int(np.abs(basis[row, k:]).argmax())
        basis[:, [k, pick]] = basis[:, [pick, k]]
        basis[:, k] /= basis[row, k]
        others = np.arange(basis.shape[1]) != k
        basis[:, others] -= np.outer(basis[:, k], basis[row, others])
        last.append(row)
    basis[np.abs(basis) < noise] = 0.0
    order = np.argsort(last)
    return basis[:, order], np.array(last, dtype=np.int64)[order]
