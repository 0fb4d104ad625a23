"""Roots of many functions at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mle_regression.linalg.arrays import Array

_STEPS = 100


def bracketed_roots(
    function: Callable[[Array], Array], low: Array, high: Array, at_low: Array, at_high: Array, tolerance: float
) -> Array:
    """Return roots (q,) of q functions of one variable, each between two points where its signs differ.

    Inverse quadratic interpolation where it is safe, else bisection (Chandrupatla, 1997).

    Parameters
    ----------
    function : callable
        Values (q,) at points (q,).
    low, high, at_low, at_high : Array of shape (q,)
        Ends, and values there.
    tolerance : float
        Of the points, beside one or their size.

    Examples
    --------
    >>> import numpy as np
    >>> ends = np.zeros(2), np.full(2, 4.0)
    >>> bracketed_roots(lambda x: x**2 - [2.0, 9.0], *ends, *(end**2 - [2.0, 9.0] for end in ends), 1e-12).round(9)
    array([1.41421356, 3.        ])
    """
    a, b, of_a, of_b = (np.array(end, dtype=np.float64) for end in (high, low, at_high, at_low))
    share = np.full(len(a), 0.5)
    for _ in range(_STEPS):
        best = np.where(np.abs(of_a) < np.abs(of_b), a, b)
        least = np.minimum(np.abs(of_a), np.abs(of_b))
        wide = np.abs(b - a)
        near = 0.5 * tolerance * np.maximum(np.abs(best), 1.0) / np.where(wide > 0, wide, 1.0)
        if ((near > 0.5) | (least == 0) | (wide == 0)).all():
            break
        point = a + np.clip(share, np.minimum(near, 0.5), 1.0 - np.minimum(near, 0.5)) * (b - a)
        value = np.asarray(function(point))
        same = np.sign(value) == np.sign(of_a)
        c, of_c = np.where(same, a, b), np.where(same, of_a, of_b)
        b, of_b = np.where(same, b, a), np.where(same, of_b, of_a)
        a, of_a = point, value
        share = _next_share(a, b, c, of_a, of_b, of_c)
    return np.where(np.abs(of_a) < np.abs(of_b), a, b)


def _next_share(a: Array, b: Array, c: Array, of_a: Array, of_b: Array, of_c: Array) -> Array:
    """Return how far from a towards b the next point is: where a quadratic through all three says, or halfway."""
    with np.errstate(divide="ignore", invalid="ignore"):
        along, up = (a - b) / (c - b), (of_a - of_b) / (of_c - of_b)
        safe = (1.0 - np.sqrt(1.0 - along) < up) & (up < np.sqrt(along))
        share = of_a / (of_b - of_a) * of_c / (of_b - of_c)
        share += (c - a) / (b - a) * of_a / (of_c - of_a) * of_b / (of_c - of_b)
    return np.where(safe & np.isfinite(share), share, 0.5)
