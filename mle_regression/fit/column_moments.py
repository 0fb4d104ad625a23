"""In what units a network measures its columns: weighted means and spreads of the rows that it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp

from mle_regression.fit.network_options import is_auto
from mle_regression.fitted.network import NetworkFit
from mle_regression.linalg.arrays import AnyArray, Array, IntArray
from mle_regression.linalg.scaling import exponents, scale
from mle_regression.noise.base import NoiseFamily
from mle_regression.rows.base import Block, Rows
from mle_regression.rows.observations import n_observations
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import Bend, Units
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.passes import magnitudes

# Columns whose spread is this small beside their size are constant to rounding.
_CONSTANT_SPREAD = 1e-14
# Rows from which on units are settled: a mean is known to a thirtieth of a spread, a spread to a fortieth of itself.
_SETTLED_ROWS = 1000
# Distance of the quartiles of a normal distribution, in standard deviations; and part of the standard deviation of y that
# this deviation by quartiles is less than, where rows are far away.
_NORMAL_QUARTILES, _FAR_ROWS = 1.349, 1.0 / 16.0
# The same part of a column's standard deviation, below which its tails are heavy: a normal column has 1, an exponential one
# 0.81, one of Laplace's distribution 0.73, a lognormal one 0.5.
_HEAVY_TAILS = 0.8
# Share of the rows that have one value, often zero, from which on its middle half says little of how wide a column is.
_OFTEN = 0.1
_PREFIX = "columns_"


@dataclass(frozen=True, slots=True)
class ColumnMoments:
    """Weighted means and spreads of the columns of [X | y].

    Attributes
    ----------
    rows : float
        That count.
    total : float
        Sum of their weights.
    center, spread : Array of shape (p + m,)
        The spread of a constant column is zero.
    """

    rows: float
    total: float
    center: Array
    spread: Array

    @classmethod
    def of(cls, data: TrainingData) -> Self:
        """Measure some rows; raises on NaN and infinity."""
        counted = n_observations(data.weights, len(data.y), frequency=False)
        total = n_observations(data.weights, len(data.y), frequency=True)
        return cls.of_rows(as_rows(data.x, data.y, data.weights), counted, total)

    @classmethod
    def of_rows(cls, rows: Rows, counted: float, total: float) -> Self:
        """Measure rows, of which so many count, with weights of this sum.

        Sums are taken of columns divided by powers of two, so that none overflows.
        """
        exponent = exponents(magnitudes(rows))
        mean = rows.reduce(partial(_sums_of_block, exponent), np.add) / total
        first, second = rows.reduce(partial(_sums_about, exponent, mean), np.add) / total
        mean, spread = mean + first, np.sqrt(np.maximum(second - first**2, 0.0))
        spread = np.where(spread <= _CONSTANT_SPREAD * np.abs(mean), 0.0, spread)
        return cls(counted, total, scale(mean, exponent), scale(spread, exponent))

    @property
    def settled(self) -> bool:
        """Whether other rows would change little."""
        return self.rows >= _SETTLED_ROWS

    def __add__(self, other: ColumnMoments) -> ColumnMoments:
        """Moments of both sets of rows together (Chan, Golub and LeVeque, 1983)."""
        total = self.total + other.total
        mine, theirs = self.total / total, other.total / total
        size = np.maximum.reduce([np.abs(self.center), np.abs(other.center), self.spread, other.spread])
        size = np.where(size > 0, size, 1.0)
        gap = other.center / size - self.center / size
        variance = mine * (self.spread / size) ** 2 + theirs * (other.spread / size) ** 2 + mine * theirs * gap**2
        spread = size * np.sqrt(variance)
        center = mine * self.center + theirs * other.center
        spread = np.where(spread <= _CONSTANT_SPREAD * np.abs(center), 0.0, spread)
        return ColumnMoments(self.rows + other.rows, total, center, spread)

    def units(self, n_features: int) -> tuple[Units, Units]:
        """Return the units of X and of y; a constant column is measured by its size."""
        known = np.where(self.center != 0, np.abs(self.center), 1.0)
        width, p = np.where(self.spread > 0, self.spread, known), n_features
        return Units(self.center[:p], width[:p]), Units(self.center[p:], width[p:])

    def remembered(self) -> dict[str, AnyArray]:
        """Return the moments by names, to keep beside what a solver remembers."""
        return {f"{_PREFIX}{name}": np.array(getattr(self, name)) for name in ("rows", "total", "center", "spread")}

    @classmethod
    def from_memory(cls, memory: Mapping[str, AnyArray]) -> Self | None:
        """Return what `remembered` has put there; None if units are settled, or were never measured batch by batch."""
        if f"{_PREFIX}rows" not in memory:
            return None
        rows, total, center, spread = (memory[f"{_PREFIX}{name}"] for name in ("rows", "total", "center", "spread"))
        return cls(float(rows), float(total), np.asarray(center), np.asarray(spread))


def units_of(
    data: TrainingData, standardize: bool | Literal["auto"], noise: NoiseFamily, earlier: NetworkFit | None
) -> tuple[Units, Units]:
    """Return the units of X and y that a network measures them in, those of an earlier one if there is one.

    Raises on NaN and infinity.

    Where the noise may have heavy tails, as its log density is not concave, rows far away say nothing of the scale: y is then
    measured by its quartiles if these are much closer than its deviation. Under "auto" columns of X with heavy tails count
    as their inverse hyperbolic sines.
    """
    if earlier is not None:
        return earlier.of_x, earlier.of_y
    measured, shape = ColumnMoments.of(data), (data.x.shape[1], data.y.shape[1])
    if not standardize:
        return unmeasured(*shape)
    of_x, of_y = measured.units(shape[0])
    of_x = _bent(of_x, data) if is_auto(standardize) and isinstance(data.x, np.ndarray) else of_x
    return of_x, of_y if noise.log_concave else _by_quartiles(of_y, data)


def _by_quartiles(of_y: Units, data: TrainingData) -> Units:
    """Return units of the middle half of each output where a few rows far away are most of its deviation."""
    middle, deviation = _middle_half(data.y, data.weights)
    far = (deviation > 0.0) & (deviation < _FAR_ROWS * of_y.spread)
    return Units(np.where(far, middle, of_y.center), np.where(far, deviation, of_y.spread))


def _bent(of_x: Units, data: TrainingData) -> Units:
    """Return units of X in which columns with heavy tails are bent, centre and spread those of the bent columns."""
    origin, scale = _middle_half(data.x, data.weights)
    scale = np.array([_width(column, data.weights, float(d)) for column, d in zip(data.x.T, scale, strict=True)])
    heavy = (scale > 0.0) & (scale < _HEAVY_TAILS * of_x.spread)
    if not heavy.any():
        return of_x
    bend = Bend(np.where(heavy, origin, np.nan), np.where(heavy, scale, np.nan))
    columns = bend.bent(data.x)[:, heavy]
    center, spread = of_x.center.copy(), of_x.spread.copy()
    center[heavy] = np.average(columns, axis=0, weights=data.weights)
    spread[heavy] = np.sqrt(np.average((columns - center[heavy]) ** 2, axis=0, weights=data.weights))
    return Units(center, spread, bend)


def _width(column: Array, weights: Array | None, width: float) -> float:
    """Return how wide the middle half of a column (n,) is, or of its other values where one is there often."""
    values, at = np.unique(column, return_inverse=True)
    share = np.bincount(at, weights) / (len(column) if weights is None else weights.sum())
    most = int(np.argmax(share))
    if share[most] <= _OFTEN or len(values) == 1:
        return width
    others = at != most
    return float(_middle_half(column[others, None], None if weights is None else weights[others])[1][0])


def _middle_half(columns: Array, weights: Array | None) -> tuple[Array, Array]:
    """Return the medians (k,) of columns (n, k), and the deviations that normal columns with their quartiles would have."""
    order = np.argsort(columns, axis=0)
    below = np.cumsum(np.ones(columns.shape) if weights is None else weights[order], axis=0)
    at = [(below < share * below[-1]).sum(axis=0) for share in (0.25, 0.5, 0.75)]
    ordered = np.take_along_axis(columns, order, axis=0)
    low, middle, high = (np.take_along_axis(ordered, place[None], axis=0)[0] for place in at)
    with np.errstate(over="ignore"):
        return middle, high / _NORMAL_QUARTILES - low / _NORMAL_QUARTILES


def units_so_far(
    data: TrainingData, standardize: bool | Literal["auto"], earlier: NetworkFit | None
) -> tuple[tuple[Units, Units], ColumnMoments | None]:
    """Return the units that a pass over more rows is measured in, and the moments of all rows if these decide."""
    if earlier is None and not standardize:
        return unmeasured(data.x.shape[1], data.y.shape[1]), None
    seen = None if earlier is None else ColumnMoments.from_memory(earlier.memory)
    if earlier is not None and seen is None:
        return (earlier.of_x, earlier.of_y), None
    here = ColumnMoments.of(data)
    seen = here if seen is None else seen + here
    return seen.units(data.x.shape[1]), seen


def unmeasured(n_features: int, n_outputs: int) -> tuple[Units, Units]:
    """Return units in which columns are as they are."""
    return Units(np.zeros(n_features), np.ones(n_features)), Units(np.zeros(n_outputs), np.ones(n_outputs))


def _sums_of_block(exponent: IntArray, block: Block) -> Array:
    """Return Σ w z (p + m,) of the columns of [X | y], divided by powers of two."""
    weights, p = np.ones(len(block.y)) if block.weights is None else block.weights, block.x.shape[1]
    if sp.issparse(block.x):
        of_x = power_sums(block.x, weights, exponent[:p], np.zeros(p))[0]
    else:
        of_x = weights @ scale(block.x, -exponent[:p])
    return np.concatenate([of_x, weights @ scale(block.y, -exponent[p:])])


def _sums_about(exponent: IntArray, center: Array, block: Block) -> Array:
    """Return the `power_sums` (2, p + m) of [X | y]."""
    weights, p = np.ones(len(block.y)) if block.weights is None else block.weights, block.x.shape[1]
    of_x = power_sums(block.x, weights, exponent[:p], center[:p])
    return np.hstack([of_x, power_sums(block.y, weights, exponent[p:], center[p:])])


def power_sums(x: Any, weights: Array, exponent: IntArray, center: Array) -> Array:
    """Return ``Σ w d`` and ``Σ w d²`` (2, k) of ``d = x 2**-exponent − center`` for x (b, k), at the price of its nonzeros.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> x = np.array([[1.0, 0.0], [0.0, 4.0], [3.0, 0.0]])
    >>> of = np.ones(3), np.array([0, 1]), np.array([1.0, 2.0])
    >>> power_sums(x, *of).tolist(), power_sums(sp.csr_array(x), *of).tolist()
    ([[1.0, -4.0], [5.0, 8.0]], [[1.0, -4.0], [5.0, 8.0]])
    """
    if not sp.issparse(x):
        off = scale(x, -exponent) - center
        return np.array([weights @ off, weights @ off**2])
    by_entry, at = np.repeat(weights, np.diff(x.indptr)), x.indices
    off = np.ldexp(x.data, -exponent[at]) - center[at]
    zeros = weights.sum() - np.bincount(at, by_entry, len(center))
    inside = [np.bincount(at, by_entry * off**k, len(center)) for k in (1, 2)]
    return np.array([inside[0] - zeros * center, inside[1] + zeros * center**2])
