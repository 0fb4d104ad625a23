"""Some outputs of rows, wherever these are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.rows.base import Block, Rows, is_local

T = TypeVar("T")


def rows_of_outputs(rows: Rows, which: IntArray) -> Rows:
    """Return the same X and weights with some of the outputs."""
    if is_local(rows):
        return rows.with_targets(rows.y[:, which], rows.weights)
    return OutputsOfRows(rows, which)


@dataclass(frozen=True, slots=True)
class OutputsOfRows:
    """Rows that are elsewhere, with some of their outputs.

    Attributes
    ----------
    rows : Rows
    which : IntArray of shape (k,)
    """

    rows: Rows
    which: IntArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of rows, features and outputs."""
        n, p, _ = self.rows.shape
        return n, p, len(self.which)

    def reduce(
        self, map_block: Callable[[Block], T], combine: Callable[[T, T], T], *, dense: bool = False, tall: bool = False
    ) -> T:
        """Sum over blocks."""
        return self.rows.reduce(partial(_of_chosen, map_block, self.which), combine, dense=dense, tall=tall)

    def map(self, function: Callable[[Block], Array], *, dense: bool = False) -> Array:
        """Apply ``function`` to blocks."""
        return self.rows.map(partial(_of_chosen, function, self.which), dense=dense)

    def sample(self, size: int) -> Array:
        """Return about ``size`` rows of [X | y], spread evenly."""
        p = self.rows.shape[1]
        return self.rows.sample(size)[:, np.concatenate([np.arange(p), p + self.which])]

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Block]:
        """Return batches of about ``size`` rows in random order."""
        return (_chosen(block, self.which) for block in self.rows.batches(rng, size))

    def with_targets(self, y: Array, weights: Array | None) -> OutputsOfRows:
        """Return the same X with other outputs and weights."""
        return OutputsOfRows(self.rows.with_targets(y, weights), np.arange(y.shape[1]))


def _of_chosen(function: Callable[[Block], T], which: IntArray, block: Block) -> T:
    return function(_chosen(block, which))


def _chosen(block: Block, which: IntArray) -> Block:
    return Block(block.x, block.y[:, which], block.weights)
