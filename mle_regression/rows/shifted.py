"""Rows less what their columns are far from zero by, taken away block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Self, TypeVar

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.rows.base import Block, Rows, as_dense

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShiftedRows:
    """Rows of another home, of columns and outputs less a number each; blocks are dense.

    Attributes
    ----------
    rows : Rows
    shift : Array of shape (p,)
        Of the columns.
    output_shift : Array of shape (m,)
    """

    rows: Rows
    shift: Array
    output_shift: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of rows, features and outputs."""
        return self.rows.shape

    def reduce(
        self, map_block: Callable[[Block], T], combine: Callable[[T, T], T], *, dense: bool = False, tall: bool = False
    ) -> T:
        """Sum over shifted blocks."""
        return self.rows.reduce(self._of_shifted(map_block), combine, dense=True, tall=tall)

    def map(self, function: Callable[[Block], Array], *, dense: bool = False) -> Array:
        """Apply ``function`` to shifted blocks."""
        return self.rows.map(self._of_shifted(function), dense=True)

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Block]:
        """Return shifted batches."""
        return (_shifted(self.shift, self.output_shift, batch) for batch in self.rows.batches(rng, size))

    def sample(self, size: int) -> Array:
        """Return about ``size`` rows of [X | y], spread evenly."""
        return np.asarray(self.rows.sample(size) - np.concatenate([self.shift, self.output_shift]))

    def with_targets(self, y: Array, weights: Array | None) -> Self:
        """Return the same X with other outputs, as they are, and weights."""
        return replace(self, rows=self.rows.with_targets(y, weights), output_shift=np.zeros(y.shape[1]))

    def _of_shifted(self, function: Callable[[Block], T]) -> Callable[[Block], T]:
        return partial(_applied, function, self.shift, self.output_shift)


def _shifted(shift: Array, output_shift: Array, block: Block) -> Block:
    return Block(as_dense(block.x, slice(None)) - shift, block.y - output_shift, block.weights)


def _applied(function: Callable[[Block], T], shift: Array, output_shift: Array, block: Block) -> T:
    return function(_shifted(shift, output_shift, block))
