"""Rows in units in which every column has mean zero and variance one, feature-major, a block at a time.

What a network reads: the caller's X is never copied as a whole, unless it is small and read again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, IntArray
from mle_regression.rows.base import as_dense, evenly
from mle_regression.rows.training_data import TrainingData

# A standardised copy of up to this many numbers is kept; more rows are standardised anew each time.
_KEPT_SIZE = 1 << 22
# Rows are drawn for several batches at once, about this many numbers.
_DRAWN_SIZE = 1 << 18


@dataclass(frozen=True, slots=True)
class Units:
    """From what and in what a column is measured: centre and spread, (k,) each."""

    center: Array
    spread: Array

    def standardised(self, columns: AnyArray, out: AnyArray) -> None:
        """Write columns (rows, k) into ``out`` (k, rows), less their centre and divided by their spread."""
        difference = columns.T - self.center[:, None]
        np.divide(difference, self.spread[:, None], out=out, casting="same_kind")

    def original(self, values: AnyArray) -> Array:
        """Return (k, rows) standardised values as (rows, k) in the units of the column."""
        return np.asarray(values.T * self.spread + self.center, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class StandardBlock:
    """Some rows.

    Attributes
    ----------
    x : array of shape (d + 1, rows)
        Standardised, with a last row of ones.
    y : array of shape (m, rows)
    weights : array of shape (rows,) or None for ones
    """

    x: AnyArray
    y: AnyArray
    weights: AnyArray | None

    def rows(self, pick: slice) -> StandardBlock:
        """Return some of the rows."""
        return StandardBlock(self.x[:, pick], self.y[:, pick], None if self.weights is None else self.weights[pick])


@dataclass(frozen=True)
class StandardRows:
    """Rows of a regression problem in standard units.

    Attributes
    ----------
    x : array or CSR matrix of shape (n, d)
    y : Array of shape (n, m)
    weights : Array of shape (n,) or None for ones
    of_x, of_y : Units
    dtype : dtype
        Of the standardised numbers.
    """

    x: Any
    y: Array
    weights: Array | None
    of_x: Units
    of_y: Units
    dtype: np.dtype[Any]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(len(self.y)) if self.weights is None else float(self.weights.sum())

    def block(self, rows: slice) -> StandardBlock:
        """Return some consecutive rows."""
        if self._kept is not None:
            return self._kept.rows(rows)
        return self._standardised(rows)

    def thinned(self, size: int) -> StandardRows:
        """Return about so many of the rows, evenly spread."""
        pick = evenly(self.n_rows, size)
        weights = None if self.weights is None else self.weights[pick]
        return replace(self, x=self.x[pick], y=self.y[pick], weights=weights)

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[StandardBlock]:
        """Return batches of nearly ``size`` rows, all rows once, in random order; each good until the next is asked for."""
        n, d, m = self.n_rows, self.x.shape[1], self.y.shape[1]
        size = min(size, n)
        count = -(-n // size)
        if count == 1:
            yield self.block(slice(0, n))
            return
        order = rng.permutation(n)
        edges = (np.arange(count + 1) * n // count).tolist()
        # The copy that is kept is gathered column by column, which is quick from one end of them to the other.
        together = count if self._kept is not None else max(1, _DRAWN_SIZE // (size * (d + m)))
        for first in range(0, count, together):
            last = min(first + together, count)
            start = edges[first]
            drawn = self._picked(order[start : edges[last]])
            for k in range(first, last):
                yield drawn.rows(slice(edges[k] - start, edges[k + 1] - start))

    def _picked(self, rows: IntArray) -> StandardBlock:
        kept = self._kept
        if kept is None:
            return self._standardised(rows)
        weights = None if kept.weights is None else kept.weights.take(rows)
        return StandardBlock(kept.x.take(rows, axis=1), kept.y.take(rows, axis=1), weights)

    @cached_property
    def _kept(self) -> StandardBlock | None:
        if self.n_rows * (self.x.shape[1] + self.y.shape[1]) > _KEPT_SIZE:
            return None
        return self._standardised(slice(0, self.n_rows))

    def _standardised(self, rows: slice | IntArray) -> StandardBlock:
        y = self.y[rows]
        x = np.ones((self.x.shape[1] + 1, len(y)), dtype=self.dtype)
        outputs = np.empty((self.y.shape[1], len(y)), dtype=self.dtype)
        self.of_x.standardised(as_dense(self.x, rows), x[:-1])
        self.of_y.standardised(y, outputs)
        return StandardBlock(x, outputs, None if self.weights is None else self.weights[rows].astype(self.dtype))


def standard_rows(data: TrainingData, units: tuple[Units, Units], dtype: str) -> StandardRows:
    """Return checked rows, those of weight zero left out, as a network reads them; weights are at most one."""
    x, y, weights = data.x, data.y, data.weights
    if not isinstance(x, np.ndarray):
        x = x.tocsr()
    if weights is not None:
        if not weights.all():
            keep = weights > 0
            x, y, weights = x[keep], y[keep], weights[keep]
        weights = weights / weights.max()
    return StandardRows(x, y, weights, *units, np.dtype(dtype))
