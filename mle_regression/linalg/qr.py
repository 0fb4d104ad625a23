"""QR of tall matrices by blocks of rows: TSQR (Demmel, Grigori, Hoemmen and Langou, 2012)."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dgeqrt

from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.linalg.frame import Frame

# Columns that are reflected together: few columns leave little to a product with the reflections of a panel.
_NARROW, _NARROW_PANEL, _PANEL = 128, 8, 32


def triangular_factor(a: Array) -> Array:
    """Return the upper-triangular factor (min(n, p), p) of a (n, p)."""
    return _factor_in_place(np.array(a, dtype=np.float64, order="F"))


def _factor_in_place(a: Array) -> Array:
    """Return the triangular factor of a Fortran-ordered array, which is overwritten.

    LAPACK's recursive panels (Elmroth and Gustavson, 2000) take a tall matrix through the cache fewer times than reflections
    one by one do.
    """
    size = min(a.shape)
    if not size:
        return np.zeros((0, a.shape[1]))
    panel = _NARROW_PANEL if a.shape[1] <= _NARROW else _PANEL
    factored, _, _ = dgeqrt(min(panel, size), a, overwrite_a=1)
    return np.triu(factored[:size])


def block_factor(x: AnyArray, y: Array, weights: Array | None, frame: Frame, centred: bool) -> Array:
    """Triangular factor of one block of √w·[1 | X | y] (or √w·[X | y]) in the frame's coordinates.

    The column of ones comes first: the reflection that removes it centres all others, and leaves their means behind.
    """
    sqrt_weights = None if weights is None else np.sqrt(weights)
    first, q = int(centred), frame.exponent.size
    z = np.empty((len(y), first + q), order="F")
    z[:, :first] = 1.0 if sqrt_weights is None else sqrt_weights[:, None]
    frame.apply(x, y, sqrt_weights, out=z[:, first:])
    return _factor_in_place(z)


def stack_factors(a: Array, b: Array) -> Array:
    """Triangular factor of two blocks from those of each; associative, so blocks may be combined in any tree."""
    return triangular_factor(np.vstack([a, b]))
