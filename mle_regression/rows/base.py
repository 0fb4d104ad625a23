"""What a home of rows offers: a block, a sum over blocks, and a value for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any, Protocol, Self, TypeGuard, TypeVar

import numpy as np

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.rows.observations import sum_log_weights

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive rows.

    Attributes
    ----------
    x : array of shape (b, p), float64
        Dense, or a CSR matrix where the home is sparse. Never to be written to: it may be the caller's memory.
    y : Array of shape (b, m)
    weights : Array of shape (b,) or None for ones
    """

    x: Any
    y: Array
    weights: Array | None


class Rows(Protocol):
    """The rows of a regression problem, wherever they are stored.

    Everything above this room is a sum over rows (Gram matrix, triangular factor, residuals, gradient) or a value for
    each of them (fitted mean, leverage). A home needs to know how to cut itself into blocks, and nothing of what is done
    with them.

    What it is given to do with blocks may be done anywhere, and again. A function of a block can be pickled, depends on
    nothing but what it was pickled with and the block, changes neither, and returns what is no larger than p × p numbers
    (`reduce`) or than the rows of the block (`map`). ``combine`` is associative and changes none of its arguments.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of rows n, features p and outputs m, rows of weight zero included."""
        ...

    def reduce(
        self, map_block: Callable[[Block], T], combine: Callable[[T, T], T], *, dense: bool = False, tall: bool = False
    ) -> T:
        """Return the sum of ``map_block`` over all blocks, by ``combine`` from the first to the last.

        Rows of weight zero are left out, as if they were absent; a block may have no rows. ``dense=True`` asks for blocks
        whose ``x`` is a dense array, which a sparse home then cuts smaller; ``tall=True`` for blocks of no fewer than 2p rows
        where there are as many, for sums whose own size and cost grow like p².
        """
        ...

    def map(self, function: Callable[[Block], Array], *, dense: bool = False) -> Array:
        """Return ``function`` of all blocks one after another, a row for each row; those of weight zero are not left out."""
        ...

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Block]:
        """Return batches of about ``size`` rows in random order, that together are all rows; each good until the next."""
        ...

    def sample(self, size: int) -> Array:
        """Return about ``size`` rows of [X | y], (size, p + m), dense and spread evenly."""
        ...

    def with_targets(self, y: Array, weights: Array | None) -> Self:
        """Return the same X with other outputs y (n, m) and weights (n,), or None for ones."""
        ...


class LocalRows(Rows, Protocol):
    """Rows in the memory of this process, which may also be taken as one matrix, or picked.

    Whoever multiplies or picks them as a whole, for speed, has another way for rows that are elsewhere.
    """

    @property
    def x(self) -> Any:
        """Array or CSR matrix of shape (n, p)."""
        ...

    @property
    def y(self) -> Array:
        """Outputs (n, m)."""
        ...

    @property
    def weights(self) -> Array | None:
        """Weights (n,), None for ones."""
        ...


def is_local(rows: Rows) -> TypeGuard[LocalRows]:
    """Whether rows are in the memory of this process."""
    return hasattr(rows, "x")


def targets_of(rows: Rows) -> tuple[Array, Array | None]:
    """Return the outputs (n, m) of all rows and their weights (n,), None for ones."""
    if is_local(rows):
        return rows.y, rows.weights
    table = rows.map(_outputs_and_weights)
    return table[:, :-1], None if (table[:, -1] == 1.0).all() else table[:, -1]


def _outputs_and_weights(block: Block) -> Array:
    return np.column_stack([block.y, np.ones(len(block.y)) if block.weights is None else block.weights])


@dataclass(frozen=True, slots=True)
class Totals:
    """How many rows count, their weights, and the outputs that are the same in all of them.

    ``n_rows`` counts rows with positive weight; ``sum_weights`` is Σw and ``sum_log_weights`` Σ log w over them,
    ``max_weight`` the largest; ``weighted`` tells whether there are weights at all. ``level`` (m,) is the value of each
    output that does not vary, NaN of the others; empty if no one has looked.
    """

    n_rows: int
    sum_weights: float
    sum_log_weights: float
    max_weight: float = 1.0
    weighted: bool = False
    level: Array = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, slots=True)
class SummedRows:
    """Rows of which only sums are left: a shape."""

    shape: tuple[int, int, int]

    def reduce(self, *_: Any, **__: Any) -> Any:
        """Refuse: there are no rows to sum over."""
        raise TypeError("The rows have gone by; only their sums are left.")

    map = sample = batches = with_targets = reduce


def row_totals(y: Array, weights: Array | None) -> Totals:
    """Sum up the weights (n,) of a problem, None standing for ones, of outputs y (n, m)."""
    if weights is None:
        return Totals(len(y), float(len(y)), 0.0, level=_level(y))
    positive = weights[weights > 0]
    with np.errstate(over="ignore"):
        total = float(positive.sum())
    return Totals(
        positive.size,
        total,
        sum_log_weights(positive, frequency=False),
        float(positive.max(initial=0.0)),
        True,
        _level(y if positive.size == len(y) else y[weights > 0]),
    )


def joined(a: Totals, b: Totals) -> Totals:
    """Totals of the rows of both."""
    level = b.level if not a.n_rows else a.level
    if a.n_rows and b.n_rows:
        level = np.where(a.level == b.level, a.level, np.nan) if len(a.level) == len(b.level) else np.zeros(0)
    return Totals(
        a.n_rows + b.n_rows,
        a.sum_weights + b.sum_weights,
        a.sum_log_weights + b.sum_log_weights,
        max(a.max_weight, b.max_weight),
        a.weighted or b.weighted,
        level,
    )


def _level(y: Array) -> Array:
    """Value of each column that does not vary (m,), NaN of the others."""
    if not len(y):
        return np.full(y.shape[1], np.nan)
    same = y[0] == y[-1]
    if not same.any():
        return np.full(y.shape[1], np.nan)
    same[same] = (y[:, same] == y[0, same]).all(axis=0)
    return np.where(same, y[0], np.nan)


def fold(blocks: Iterator[Block], map_block: Callable[[Block], T], combine: Callable[[T, T], T]) -> T:
    """Sum ``map_block`` over ``blocks`` from left to right, rows of weight zero left out as if they were absent."""
    return reduce(combine, map(map_block, map(weighted_rows, blocks)))


def spans(n: int, width: int, workers: int) -> list[range]:
    """Cut rows 0..n into one range of block starts per worker, of nearly equal length.

    Examples
    --------
    >>> spans(10, 3, 2)
    [range(0, 6, 3), range(6, 10, 3)]
    """
    n_blocks = max(1, -(-n // width))
    workers = max(1, min(workers, n_blocks))
    edges = [min(n, width * (n_blocks * k // workers)) for k in range(workers)] + [n]
    return [range(lo, hi, width) for lo, hi in pairwise(edges)]


def every_kth(n: int, rng: np.random.Generator, size: int) -> Iterator[slice]:
    """Return slices of every k-th of n rows, about ``size`` each, in random order: rows in some order are spread over all.

    Examples
    --------
    >>> import numpy as np
    >>> list(every_kth(7, np.random.default_rng(0), 2))
    [slice(2, None, 3), slice(0, None, 3), slice(1, None, 3)]
    """
    count = max(1, n // size)
    return (slice(first, None, count) for first in rng.permutation(count).tolist())


def rows_of(x: Any, y: Array, weights: Array | None, rows: slice) -> Block:
    """Return some rows as a block, without a copy where x is an array."""
    return Block(x[rows], y[rows], None if weights is None else weights[rows])


def evenly(n: int, size: int) -> slice:
    """Return a slice that picks about ``size`` of n rows, spread evenly."""
    return slice(0, n, max(1, n // size))


def blocks_of(x: Any, y: Array, weights: Array | None, starts: range, convert: Callable[[Any], Any]) -> Iterator[Block]:
    """Cut rows into blocks at ``starts``, every row kept; ``convert`` makes the x of a block what it is to be."""
    for lo in starts:
        rows = slice(lo, min(lo + starts.step, starts.stop))
        yield Block(convert(x[rows]), y[rows], None if weights is None else weights[rows])


def weighted_rows(block: Block) -> Block:
    """Leave the rows of weight zero out, as if they were absent."""
    if block.weights is None or (block.weights > 0).all():
        return block
    keep = block.weights > 0
    return Block(block.x[keep], block.y[keep], block.weights[keep])


def as_dense(x: Any, rows: slice | IntArray) -> Array:
    """Return some rows of a dense or sparse x as a float64 array."""
    part = x[rows]
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float64)
