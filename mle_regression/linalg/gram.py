"""Weighted sums and cross-products of blocks of rows: what the normal equation is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.scaling import scale

# BLAS multiplies narrow matrices far below its speed. Seen as a matrix of about so many columns, k rows side by side,
# the same memory goes through faster, and the k diagonal blocks of the product add up to the answer. Products for the
# other blocks are in vain: from 8 columns on they cost more than they save. Sums have none.
_FOLDED_GRAM, _FOLDED_SUMS = 12, 32


@dataclass(slots=True)
class Moments:
    """Sums over rows of z = [x | y] in the coordinates of a frame.

    Attributes
    ----------
    sums : Array of shape (q,)
        Σ w z.
    gram : Array of shape (q, q)
        Σ w z zᵀ.
    """

    sums: Array
    gram: Array

    def scaled(self, exponent: int) -> Moments:
        """Return the moments of rows whose weights are multiplied by ``2**exponent``."""
        return Moments(scale(self.sums, exponent), scale(self.gram, exponent)) if exponent else self

    def __add__(self, other: Moments) -> Moments:
        """Sum over the rows of both; the combine step of a sum over rows."""
        return Moments(self.sums + other.sums, self.gram + other.gram)


def moved(moments: Moments, frame: Frame, target: Frame, total: float) -> Moments:
    """Return moments in the coordinates of another frame; ``total`` is the sum of the weights."""
    unit = frame.exponent - target.exponent
    sums = scale(moments.sums, unit)
    step = scale(frame.shift, unit) - target.shift
    crossed = np.outer(sums, step)
    gram = scale(moments.gram, unit[:, None] + unit) + crossed + crossed.T + total * np.outer(step, step)
    return Moments(sums + total * step, gram)


def cross_product(a: Any, b: Any) -> Any:
    """Return aᵀb of vectors or matrices, dense or sparse, while other threads go on.

    The operator @ of NumPy holds the interpreter's lock where the product has few numbers (up to 500, in NumPy 2.4), however
    many rows it sums over; `dot` does not.
    """
    both_dense = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return a.T.dot(b) if both_dense else a.T @ b


def block_moments(x: Any, y: Array, weights: Array | None, frame: Frame) -> Moments:
    """Moments of one block: x (b, p) dense or sparse, y (b, m), weights (b,) or None for ones."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if frame.is_identity and (weights is None or sp.issparse(x)):
            return _moments_in_place(x, y, weights)
        sqrt_weights = None if weights is None else np.sqrt(weights)
        z = frame.apply(x.toarray() if sp.issparse(x) else x, y, sqrt_weights)
        ones = np.ones(z.shape[0]) if sqrt_weights is None else sqrt_weights
        return Moments(cross_product(ones, z), cross_product(z, z))


def _moments_in_place(x: Any, y: Array, weights: Array | None) -> Moments:
    """Moments without a copy of x, each part by the product that suits its shape."""
    p, m = x.shape[1], y.shape[1]
    weighted_x, weighted_y = x, y
    if weights is not None:
        weighted_x = sp.diags_array(weights) @ x
        weighted_y = weights[:, None] * y
    sums, gram = np.empty(p + m), np.empty((p + m, p + m))
    sums[:p], sums[p:] = _column_sums(weighted_x), weighted_y.sum(axis=0)
    gram[:p, :p] = _dense(weighted_x.T @ x) if sp.issparse(x) else fold_gram(x)
    # A vector times a matrix runs at memory bandwidth.
    gram[p:, :p] = cross_product(x, weighted_y[:, 0])[None, :] if m == 1 else _dense(cross_product(weighted_y, x))
    gram[:p, p:] = gram[p:, :p].T
    gram[p:, p:] = cross_product(weighted_y, y)
    return Moments(sums, gram)


def fold_gram(x: Array) -> Array:
    """Return xᵀx; a narrow C-ordered x is folded to a wider matrix first.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(12.0).reshape(6, 2)
    >>> fold_gram(x)
    array([[220., 250.],
           [250., 286.]])
    """
    n, p = x.shape
    k = max(1, _FOLDED_GRAM // p) if p > 1 else 1  # one column is a scalar product with itself
    if k == 1 or n < 4 * k or not x.flags.c_contiguous:
        return np.asarray(cross_product(x, x))
    head = n - n % k
    folded = x[:head].reshape(head // k, k * p)
    blocks = cross_product(folded, folded).reshape(k, p, k, p)
    total: Array = np.einsum("iaib->ab", blocks)
    if head < n:
        total += cross_product(x[head:], x[head:])
    return total


def _column_sums(x: Any) -> Array:
    """Column sums; a narrow C-ordered matrix is folded so that the inner loop is long."""
    if sp.issparse(x):
        return np.asarray(x.sum(axis=0)).ravel()
    n, p = x.shape
    k = max(1, _FOLDED_SUMS // p) if p else 1
    if k == 1 or n < 4 * k or not x.flags.c_contiguous:
        return np.asarray(cross_product(np.ones(n), x))
    head = n - n % k
    wide = cross_product(np.ones(head // k), x[:head].reshape(head // k, k * p))
    folded: Array = wide.reshape(k, p).sum(axis=0) + x[head:].sum(axis=0)
    return folded


def _dense(product: Any) -> AnyArray:
    return product.toarray() if sp.issparse(product) else np.asarray(product)
