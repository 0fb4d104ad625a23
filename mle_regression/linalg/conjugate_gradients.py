"""Conjugate gradients for several right-hand sides at once, with an estimate of the condition number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

from mle_regression.linalg.arrays import Array


@dataclass(frozen=True, slots=True)
class Found:
    """Solution (k, m), whether every residual is within the tolerance, and extreme Ritz values of the last column.

    Where the matrix is singular the lowest is that of the directions that the column has a part in, zeros left out.
    """

    solution: Array
    converged: bool
    lowest: float
    highest: float


# A squared residual norm may rise on its way down, but not by this factor above the least so far.
_GROWTH = 1e6
# Part of the right-hand side to leave, and products to spend, where nobody asks for others.
_SOLVED, _MAX_ITER = 1e-13, 300


def conjugate_gradients(
    product: Callable[[Array], Array], rhs: Array, *, tol: float = _SOLVED, max_iter: int = _MAX_ITER
) -> Found:
    """Solve A X = B for a positive semidefinite A and a B (k, m) in its range (Hestenes and Stiefel, 1952).

    The tridiagonal matrix of the coefficients is that of Lanczos, and its eigenvalues are Ritz values of A.

    Examples
    --------
    >>> import numpy as np
    >>> d = np.arange(1.0, 6.0)[:, None]
    >>> found = conjugate_gradients(lambda v: d * v, np.ones((5, 1)))
    >>> bool(np.allclose(found.solution, 1 / d)), found.converged
    (True, True)
    """
    x, r = np.zeros(rhs.shape), rhs.copy()
    p = r.copy()
    squares = np.einsum("ij,ij->j", r, r)
    target, least = tol**2 * squares, squares.copy()
    diagonal: list[float] = []
    off: list[float] = []
    last_step, last_gain = 1.0, 0.0
    for _ in range(max_iter):
        if (squares <= target).all():
            break
        image = product(p)
        curvature = np.einsum("ij,ij->j", p, image)
        least = np.minimum(least, squares)
        # If the matrix is singular, rounding errors in its null space would grow without bound.
        going = (squares > target) & (curvature > 0) & (squares <= _GROWTH * least)
        if not going.any():
            break
        step = np.where(going, squares / np.where(going, curvature, 1.0), 0.0)
        x += step * p
        r -= step * image
        new = np.where(going, np.einsum("ij,ij->j", r, r), squares)
        gain = np.where(going, new / np.where(squares > 0, squares, 1.0), 0.0)
        if going[-1]:
            diagonal.append(1.0 / step[-1] + last_gain / last_step)
            off.append(float(np.sqrt(gain[-1]) / step[-1]))
            last_step, last_gain = float(step[-1]), float(gain[-1])
        p = np.where(going, r + gain * p, p)
        squares = new
    if not diagonal:
        return Found(x, bool((squares <= target).all()), 1.0, 1.0)
    ritz = eigvalsh_tridiagonal(np.array(diagonal), np.array(off[:-1]))
    return Found(x, bool((squares <= target).all()), float(ritz[0]), float(ritz[-1]))
