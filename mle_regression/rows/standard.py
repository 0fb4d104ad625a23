"""Rows in units in which every column has mean zero and variance one, feature-major, a block at a time.

What a network reads: the caller's X is never copied as a whole, unless it is small and read again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from typing import Any, TypeVar

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, IntArray
from mle_regression.linalg.threads import each_in_threads, row_workers
from mle_regression.rows.base import (
    Block,
    Rows,
    as_dense,
    evenly,
    is_local,
    rows_of,
    spans,
    targets_of,
    weighted_rows,
)
from mle_regression.rows.registry import as_rows
from mle_regression.rows.training_data import TrainingData

T = TypeVar("T")

# A standardised copy of up to this many numbers is kept; more rows are standardised anew each time.
_KEPT_SIZE = 1 << 22
# Distances that overflow are this one.
_LARGEST = float(np.finfo(np.float64).max)
# Rows are drawn for several batches at once, about this many numbers.
_DRAWN_SIZE = 1 << 18


@dataclass(frozen=True, slots=True)
class Bend:
    """Columns with heavy tails, which count as ``asinh((x − origin)/scale)``: linear in the middle, a logarithm far out.

    Attributes
    ----------
    origin, scale : Array of shape (k,)
        NaN of columns that count as they are.
    """

    origin: Array
    scale: Array

    def bent(self, columns: AnyArray) -> AnyArray:
        """Return columns (rows, k) with those of heavy tails bent."""
        found = np.array(columns, dtype=np.float64)
        pick = np.flatnonzero(~np.isnan(self.origin))
        with np.errstate(over="ignore"):
            away = (found[:, pick] - self.origin[pick]) / self.scale[pick]
        found[:, pick] = np.arcsinh(np.clip(away, -_LARGEST, _LARGEST))
        return found


@dataclass(frozen=True, slots=True)
class Units:
    """From what and in what a column is measured: centre and spread, (k,) each, of some columns once they are bent."""

    center: Array
    spread: Array
    bend: Bend | None = None

    @property
    def place(self) -> tuple[Array, Array]:
        """Where columns are, and how wide (k,), in their own units."""
        if self.bend is None:
            return self.center, self.spread
        bent = ~np.isnan(self.bend.origin)
        return np.where(bent, self.bend.origin, self.center), np.where(bent, self.bend.scale, self.spread)

    def standardised(self, columns: AnyArray, out: AnyArray) -> None:
        """Write columns (rows, k) into ``out`` (k, rows), less their centre and divided by their spread."""
        columns = columns if self.bend is None else self.bend.bent(columns)
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

    @classmethod
    def of(cls, block: Block, of_x: Units, of_y: Units, dtype: np.dtype[Any]) -> StandardBlock:
        """Return rows in standard units."""
        n, d, m = len(block.y), block.x.shape[1], block.y.shape[1]
        x, outputs = np.ones((d + 1, n), dtype=dtype), np.empty((m, n), dtype=dtype)
        of_x.standardised(as_dense(block.x, slice(None)), x[:-1])
        of_y.standardised(block.y, outputs)
        return cls(x, outputs, None if block.weights is None else block.weights.astype(dtype))


@dataclass(frozen=True)
class StandardRows:
    """Rows of any home in standard units.

    Of rows in memory a standardised copy is kept while it is small, and threads go through them. Others are standardised
    where they are, block by block, and what is summed of them comes back.

    Attributes
    ----------
    home : Rows
        Outputs as given. Of rows in memory none has weight zero; of others those are left out.
    of_x, of_y : Units
    dtype : dtype
        Of the standardised numbers.
    """

    home: Rows
    of_x: Units
    of_y: Units
    dtype: np.dtype[Any]

    @cached_property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def y(self) -> Array:
        """Outputs (n, m) in their own units."""
        return self.home.y if is_local(self.home) else self._counted[1]

    @property
    def weights(self) -> Array | None:
        """Weights (n,), None for ones."""
        return self.home.weights if is_local(self.home) else self._counted[2]

    @cached_property
    def total(self) -> float:
        """Sum of the weights."""
        return float(len(self.y)) if self.weights is None else float(self.weights.sum())

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads that live as long as the rows are in use."""
        return ThreadPoolExecutor(max(1, row_workers() - 1))

    # Sums, and values of rows.

    def reduce(
        self, of_blocks: Callable[[Iterator[StandardBlock]], T], combine: Callable[[T, T], T], width: int, workers: int
    ) -> T:
        """Return the sum over all rows of what ``of_blocks`` makes of blocks of ``width`` rows, one after another.

        It goes through a part of all blocks at a time, so that arrays are written again and again: rows in memory have as
        many parts as there are ``workers``; of others each block of the home is one, and the function is pickled.
        """
        if is_local(self.home):
            return reduce(combine, self.each_part(lambda parts: of_blocks(map(self.block, parts)), width, workers))
        return self.home.reduce(partial(_of_standard, self._units, width, of_blocks), combine, dense=True)

    def map(self, of_blocks: Callable[[Iterator[StandardBlock]], list[Array]], width: int, workers: int) -> Array:
        """Return what ``of_blocks`` makes of blocks, arrays (rows, k), one below the other."""
        if is_local(self.home):
            return np.concatenate(self.reduce(of_blocks, list.__add__, width, workers))
        table = self.home.map(partial(_rows_of_standard, self._units, width, of_blocks), dense=True)
        return np.asarray(table[self._counted[0]])

    def each_part(self, of_slices: Callable[[Iterator[slice]], T], width: int, workers: int) -> list[T]:
        """Return what a function makes of the slices of each worker's part of rows in memory."""

        def of_part(part: range) -> T:
            return of_slices(slice(lo, min(lo + part.step, part.stop)) for lo in part)

        parts = spans(self.n_rows, width, workers)
        return each_in_threads(of_part, parts, self.pool if len(parts) > 1 else None)

    # Some of the rows.

    def block(self, rows: slice) -> StandardBlock:
        """Return some consecutive rows; of rows that are elsewhere all are brought here, once."""
        if self._kept is not None:
            return self._kept.rows(rows)
        return self._standardised(rows)

    def blocks(self, width: int) -> Iterator[StandardBlock]:
        """Return all rows, ``width`` at a time: no more are standardised, or brought here, than are taken."""
        if not is_local(self.home):
            return self.batches(np.random.default_rng(0), width)
        return (self.block(slice(lo, min(lo + width, self.n_rows))) for lo in range(0, self.n_rows, width))

    def thinned(self, size: int) -> StandardRows:
        """Return about so many of the rows, evenly spread."""
        if is_local(self.home):
            some = rows_of(self.home.x, self.home.y, self.home.weights, evenly(self.n_rows, size))
        else:
            some = weighted_rows(next(self.home.batches(np.random.default_rng(0), size)))
        return replace(self, home=as_rows(some.x, some.y, some.weights))

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[StandardBlock]:
        """Return batches of nearly ``size`` rows, all rows once, in random order; each good until the next is asked for."""
        n, d, m = self.n_rows, self.home.shape[1], self.home.shape[2]
        size = min(size, n)
        count = -(-n // size)
        if not is_local(self.home):
            yield from self._streamed(rng, size)
            return
        if count == 1:
            yield self.block(slice(0, n))
            return
        order = rng.permutation(n)
        # The larger ones first: arrays of their size are left only once.
        edges = (np.arange(count + 1) * (n // count) + np.minimum(np.arange(count + 1), n % count)).tolist()
        # The copy that is kept is gathered column by column, which is quick from one end of them to the other.
        together = count if self._kept is not None else max(1, _DRAWN_SIZE // (size * (d + m)))
        for first in range(0, count, together):
            last = min(first + together, count)
            start = edges[first]
            drawn = self._picked(order[start : edges[last]])
            for k in range(first, last):
                yield drawn.rows(slice(edges[k] - start, edges[k + 1] - start))

    def _streamed(self, rng: np.random.Generator, size: int) -> Iterator[StandardBlock]:
        """Return batches as a home draws them that is elsewhere."""
        for batch in map(weighted_rows, self.home.batches(rng, size)):
            if len(batch.y):
                yield StandardBlock.of(batch, *self._units)

    def _picked(self, rows: IntArray) -> StandardBlock:
        kept = self._kept
        if kept is None:
            return self._standardised(rows)
        weights = None if kept.weights is None else kept.weights.take(rows)
        return StandardBlock(kept.x.take(rows, axis=1), kept.y.take(rows, axis=1), weights)

    @property
    def _units(self) -> tuple[Units, Units, np.dtype[Any]]:
        return self.of_x, self.of_y, self.dtype

    @cached_property
    def _counted(self) -> tuple[Any, Array, Array | None]:
        """Of a home that is elsewhere: which rows have weight, and their outputs and weights."""
        y, weights = targets_of(self.home)
        if weights is None or weights.all():
            return slice(None), y, weights
        return weights > 0, y[weights > 0], weights[weights > 0]

    @cached_property
    def _kept(self) -> StandardBlock | None:
        if not is_local(self.home):
            return self._brought_here()
        if self.n_rows * (self.home.shape[1] + self.home.shape[2]) > _KEPT_SIZE:
            return None
        return self._standardised(slice(0, self.n_rows))

    def _brought_here(self) -> StandardBlock:
        """Return all rows of a home that is elsewhere: for what is asked of each row, and never of more rows than that."""
        table = self.home.map(partial(_columns_of_standard, self._units), dense=True)[self._counted[0]].T
        d = self.home.shape[1]
        x = np.vstack([table[:d], np.ones((1, table.shape[1]), dtype=self.dtype)])
        weights = None if self.weights is None else self.weights.astype(self.dtype)
        return StandardBlock(np.ascontiguousarray(x), np.ascontiguousarray(table[d:]), weights)

    def _standardised(self, rows: slice | IntArray) -> StandardBlock:
        assert is_local(self.home)
        x, y, weights = self.home.x, self.home.y, self.home.weights
        return StandardBlock.of(Block(x[rows], y[rows], None if weights is None else weights[rows]), *self._units)


def standard_rows(data: TrainingData, units: tuple[Units, Units], dtype: str) -> StandardRows:
    """Return checked rows as a network reads them, those of weight zero left out; weights are at most one."""
    return rows_in_units(as_rows(data.x, data.y, data.weights), units, dtype)


def rows_in_units(home: Rows, units: tuple[Units, Units], dtype: str) -> StandardRows:
    """Return rows of any home in standard units, those of weight zero left out; weights are at most one."""
    y, weights = targets_of(home)
    if weights is not None:
        if is_local(home) and not weights.all():
            keep = weights > 0
            home, y, weights = as_rows(home.x[keep], y[keep], weights[keep]), y[keep], weights[keep]
        home = home.with_targets(y, weights / weights.max())
    return StandardRows(home, *units, np.dtype(dtype))


def _of_standard(
    units: tuple[Units, Units, np.dtype[Any]],
    width: int,
    of_blocks: Callable[[Iterator[StandardBlock]], T],
    block: Block,
) -> T:
    """Apply a function to the blocks of ``width`` rows that a block of a home is cut into, in standard units."""
    cuts = (slice(lo, lo + width) for lo in range(0, len(block.y), width))
    return of_blocks(StandardBlock.of(rows_of(block.x, block.y, block.weights, cut), *units) for cut in cuts)


def _rows_of_standard(
    units: tuple[Units, Units, np.dtype[Any]],
    width: int,
    of_blocks: Callable[[Iterator[StandardBlock]], list[Array]],
    block: Block,
) -> Array:
    if not len(block.y):
        return np.concatenate(of_blocks(iter([StandardBlock.of(block, *units)])))
    return np.concatenate(_of_standard(units, width, of_blocks, block))


def _columns_of_standard(units: tuple[Units, Units, np.dtype[Any]], block: Block) -> Array:
    standard = StandardBlock.of(block, *units)
    return np.asarray(np.vstack([standard.x[:-1], standard.y]).T)
