"""Rows in memory: a NumPy array of any order and real dtype, read-only memory maps and strided views included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self, TypeVar

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.linalg.threads import each_in_threads, row_workers
from mle_regression.rows.base import Block, blocks_of, evenly, every_kth, fold, rows_of, spans

T = TypeVar("T")

# A block of about this many numbers stays in cache between the two or three products taken of it.
_BLOCK_SIZE = 1 << 18
_MAX_BLOCK_ROWS = 1 << 15
# Below this many numbers, handing rows to threads costs more than it saves.
_THREADED_FROM = 1_500_000


@dataclass(frozen=True, slots=True)
class DenseRows:
    """Rows of a dense array.

    Attributes
    ----------
    x : array of shape (n, p), any real dtype and any strides
    y : Array of shape (n, m)
    weights : Array of shape (n,) or None for ones
    """

    x: AnyArray
    y: Array
    weights: Array | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of rows, features and outputs."""
        return self.x.shape[0], self.x.shape[1], self.y.shape[1]

    def reduce(
        self, map_block: Callable[[Block], T], combine: Callable[[T, T], T], *, dense: bool = False, tall: bool = False
    ) -> T:
        """Sum over cache-sized blocks, in threads where the rows are many enough to pay for them."""
        return reduce(combine, self._each(lambda blocks: fold(blocks, map_block, combine)))

    def map(self, function: Callable[[Block], Array], *, dense: bool = False) -> Array:
        """Apply ``function`` to cache-sized blocks, in threads where the rows are many enough to pay for them."""
        return np.concatenate(
            [part for parts in self._each(lambda b: [function(block) for block in b]) for part in parts]
        )

    def sample(self, size: int) -> Array:
        """Return about ``size`` rows of [X | y], spread evenly."""
        pick = evenly(len(self.x), size)
        return np.hstack([self.x[pick], self.y[pick]], dtype=np.float64)

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Block]:
        """Return views of every k-th row, in random order."""
        return (rows_of(self.x, self.y, self.weights, rows) for rows in every_kth(len(self.y), rng, size))

    def with_targets(self, y: Array, weights: Array | None) -> Self:
        """Return the same X with other outputs and weights."""
        return replace(self, y=y, weights=weights)

    def _block_rows(self) -> int:
        # y counts too, where it is more than the one column that comes with every x.
        p = max(1, int(self.x.shape[1]) + max(0, int(self.y.shape[1]) - 1))
        return max(min(_BLOCK_SIZE // p, _MAX_BLOCK_ROWS), 2 * p)

    def _each(self, work: Callable[[Iterator[Block]], T]) -> list[T]:
        """Return ``work`` of each worker's blocks."""
        workers = row_workers() if self.x.size >= _THREADED_FROM else 1
        return each_in_threads(lambda part: work(self._blocks(part)), spans(len(self.x), self._block_rows(), workers))

    def _blocks(self, starts: range) -> Iterator[Block]:
        return blocks_of(self.x, self.y, self.weights, starts, _for_blas)


def _for_blas(x: AnyArray) -> Array:
    """Return x as float64 with unit stride along one axis; a copy only where it is neither."""
    if x.dtype == np.float64 and x.itemsize in x.strides and all(s > 0 for s in x.strides):
        return x
    return np.ascontiguousarray(x, dtype=np.float64)
