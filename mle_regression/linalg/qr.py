"""QR of tall matrices by blocks of rows: TSQR (Demmel, Grigori, Hoemmen and Langou, 2012)."""

from __future__ import annotations

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.linalg.frame import Frame


def triangular_factor(a: Array) -> Array:
    """Return the upper-triangular factor (min(n, p), p) of a (n, p)."""
    return np.asarray(np.linalg.qr(a, mode="r"))


def block_factor(x: AnyArray, y: Array, weights: Array | None, frame: Frame, centred: bool) -> Array:
    """Triangular factor of one block of √w·[1 | X | y] (or √w·[X | y]) in the frame's coordinates.

    The column of ones comes first: the reflection that removes it centres all others, and leaves their means behind.
    """
    sqrt_weights = None if weights is None else np.sqrt(weights)
    z = frame.apply(x, y, sqrt_weights)
    if centred:
        ones = np.ones(len(z)) if sqrt_weights is None else sqrt_weights
        z = np.column_stack([ones, z])
    return triangular_factor(z)


def stack_factors(a: Array, b: Array) -> Array:
    """Triangular factor of two blocks from those of each; associative, so blocks may be combined in any tree."""
    return triangular_factor(np.vstack([a, b]))
