"""A curve through scattered points: robust locally weighted regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import Array

# Points that the curve is worked out at, and rows, evenly spaced in the order of x, that it is worked out from.
_GRID = 80
_MOST_ROWS = 3000
# Rows of this many median absolute residuals and more are left out in the next round.
_OUTLYING = 6.0
_ROUNDS = 3
# Rows below which a curve would say nothing that the points do not.
_LEAST_ROWS = 8


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve through points: ``x`` (k,) ascending, ``y`` (k,); both empty where the points show none."""

    x: Array
    y: Array


def lowess(x: Array, y: Array, weights: Array | None = None, span: float = 2 / 3, rounds: int = _ROUNDS) -> Curve:
    """Cleveland's (1979) robust locally weighted regression of y (n,) on x (n,).

    At each place a line is fitted to the ``span`` of the rows nearest to it, with tricube weights (1 − (d/h)³)³, h the
    distance of the furthest of them; then again, ``rounds`` times, with bisquare weights of the residuals, so that outlying
    rows do not bend the curve. Of more than 3,000 rows as many take part, evenly spaced in the order of x; of fewer than 8
    rows, or of two places alone, there is no curve.

    Examples
    --------
    >>> x = np.linspace(0.0, 1.0, 50)
    >>> curve = lowess(x, 3 * x + 1)
    >>> bool(np.allclose(curve.y, 3 * curve.x + 1))
    True
    """
    order = np.argsort(x, kind="stable")
    if len(x) > _MOST_ROWS:
        order = order[np.linspace(0, len(x) - 1, _MOST_ROWS).round().astype(int)]
    x, y, mass = x[order], y[order], np.ones(len(order)) if weights is None else weights[order]
    places = np.unique(x)
    if len(places) < 3 or len(x) < _LEAST_ROWS:
        return Curve(np.zeros(0), np.zeros(0))
    if len(places) > _GRID:
        places = np.unique(np.quantile(x, np.linspace(0.0, 1.0, _GRID), method="nearest"))
    middle, reach = 0.5 * (x[0] + x[-1]), 0.5 * (x[-1] - x[0]) or 1.0
    at, inner = (places - middle) / reach, (x - middle) / reach
    near = _tricube(at, inner, max(2, int(span * len(x) + 1e-10)))
    trust = mass
    for left in range(rounds, -1, -1):
        curve = _local_lines(at, inner, y, near * trust)
        if left == 0:
            break
        residual = np.abs(y - np.interp(inner, at, curve))
        spread = _OUTLYING * float(np.median(residual))
        if spread <= 1e-12 * float(np.abs(y).max(initial=0.0)):
            break
        trust = mass * np.maximum(1.0 - (residual / spread) ** 2, 0.0) ** 2
    return Curve(places, curve)


def _tricube(at: Array, x: Array, n_near: int) -> Array:
    """Weights (k, n) of sorted x at each place, zero beyond its ``n_near`` nearest rows."""
    distance = np.abs(x - at[:, None])
    reach = np.partition(distance, min(n_near, len(x)) - 1, axis=1)[:, min(n_near, len(x)) - 1]
    # Where as many rows as are near share one place, those next to it take part too.
    beyond = np.where(distance > 0, distance, np.inf).min(axis=1)
    reach = np.where(reach > 0, reach, beyond * (1 + 1e-9))
    return np.asarray(np.maximum(1.0 - (distance / reach[:, None]) ** 3, 0.0) ** 3)


def _local_lines(at: Array, x: Array, y: Array, weights: Array) -> Array:
    """Values (k,) at each place of the lines fitted with its weights (k, n)."""
    total = weights.sum(axis=1)
    total = np.where(total > 0, total, np.nan)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    spread = weights @ x**2 / total - mean_x**2
    cross = weights @ (x * y) / total - mean_x * mean_y
    slope = np.where(spread > 1e-9, cross / np.where(spread > 1e-9, spread, 1.0), 0.0)
    values = mean_y + slope * (at - mean_x)
    known = np.isfinite(values)
    return np.asarray(np.interp(at, at[known], values[known]) if known.any() else np.zeros(len(at)))
