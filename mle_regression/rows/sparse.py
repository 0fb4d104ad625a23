"""Rows of a sparse matrix: blocks stay sparse where the sum allows it and are made dense a few rows at a time else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array
from mle_regression.rows.base import Block, blocks_of, evenly, every_kth, fold, rows_of, spans

T = TypeVar("T")

_SPARSE_BLOCK_NONZEROS = 1 << 22
_DENSE_BLOCK_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Rows of a SciPy sparse matrix.

    Attributes
    ----------
    x : CSR array of shape (n, p), float64
    y : Array of shape (n, m)
    weights : Array of shape (n,) or None for ones
    """

    x: Any
    y: Array
    weights: Array | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of rows, features and outputs."""
        return self.x.shape[0], self.x.shape[1], self.y.shape[1]

    def reduce(
        self, map_block: Callable[[Block], T], combine: Callable[[T, T], T], *, dense: bool = False, tall: bool = False
    ) -> T:
        """Sum over blocks of rows, sparse ones or, with ``dense``, arrays of at most about eight megabytes.

        With ``tall`` these have 2p rows at least, so that their memory is 2p² numbers: no more than that of the sum.
        """
        return fold(self._blocks(dense, tall), map_block, combine)

    def map(self, function: Callable[[Block], Array], *, dense: bool = False) -> Array:
        """Apply ``function`` to blocks of rows, sparse ones or, with ``dense``, arrays."""
        return np.concatenate([function(block) for block in self._blocks(dense)])

    def sample(self, size: int) -> Array:
        """Return about ``size`` rows of [X | y], spread evenly; of very many columns fewer rows, for memory's sake."""
        size = min(size, max(2, _DENSE_BLOCK_SIZE // max(1, self.x.shape[1])))
        pick = np.arange(self.x.shape[0])[evenly(self.x.shape[0], size)]
        return np.hstack([self.x[pick].toarray(), self.y[pick]])

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Block]:
        """Return every k-th row, sparse, in random order."""
        return (rows_of(self.x, self.y, self.weights, rows) for rows in every_kth(len(self.y), rng, size))

    def with_targets(self, y: Array, weights: Array | None) -> Self:
        """Return the same X with other outputs and weights."""
        return replace(self, y=y, weights=weights)

    def _blocks(self, dense: bool, tall: bool = False) -> Iterator[Block]:
        n, p, _ = self.shape
        if dense:
            width = max(_DENSE_BLOCK_SIZE // max(1, p), 2 * p if tall else 0, 1)
        else:
            width = max(1, n * _SPARSE_BLOCK_NONZEROS // max(1, self.x.nnz))
        if width >= n and not dense:
            return iter((Block(self.x, self.y, self.weights),))
        starts = spans(n, min(width, n), 1)[0]
        return blocks_of(self.x, self.y, self.weights, starts, lambda x: x.toarray() if dense else x)


def sparse_rows(x: Any, y: Array, weights: Array | None) -> SparseRows:
    """Take any SciPy sparse format; anything but CSR is converted once, by nonzeros."""
    return SparseRows(sp.csr_array(x, dtype=np.float64), y, weights)
