"""A home of rows of the tests: blocks that are kept pickled, and functions of blocks that run in another process."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial, reduce
from multiprocessing import get_context

import numpy as np

from mle_regression.rows.base import Block, weighted_rows


@cache
def other_process():
    """A process with a copy of the package and nothing else."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


@dataclass(frozen=True)
class PickledColumns:
    """What a user passes as X: blocks of rows that are pickled, ``sizes`` rows each."""

    blocks: tuple
    sizes: tuple
    n_columns: int
    columns: tuple | None = None
    dtype = np.dtype(np.float64)

    @classmethod
    def of(cls, X, edges):
        """Cut X at ``edges``."""
        parts = np.split(np.asarray(X, dtype=np.float64), edges)
        return cls(tuple(map(pickle.dumps, parts)), tuple(map(len, parts)), X.shape[1])

    @property
    def shape(self):
        return sum(self.sizes), self.n_columns


@dataclass(frozen=True)
class PickledRows:
    """A home of such columns, outputs and weights.

    Each block function, and each ``combine``, crosses a pickle; ``elsewhere`` runs the functions in another process. What
    ``combine`` returns must leave its arguments as they are.
    """

    columns: PickledColumns
    pieces: tuple
    n_outputs: int
    elsewhere: bool = True

    @property
    def shape(self):
        return (*self.columns.shape, self.n_outputs)

    def reduce(self, map_block, combine, *, dense=False, tall=False):
        combine = pickle.loads(pickle.dumps(combine))
        return reduce(partial(_unchanged, combine), self._each(partial(_of_weighted, map_block)))

    def map(self, function, *, dense=False):
        return np.concatenate(self._each(function))

    def batches(self, rng, size):
        table = [_block(*piece) for piece in zip(self.columns.blocks, self.pieces, strict=True)]
        x, y = np.concatenate([block.x for block in table]), np.concatenate([block.y for block in table])
        weights = None if table[0].weights is None else np.concatenate([block.weights for block in table])
        count = max(1, len(y) // size)
        for first in rng.permutation(count):
            yield Block(x[first::count], y[first::count], None if weights is None else weights[first::count])

    def sample(self, size):
        return self.map(_both)[:: max(1, self.shape[0] // size)]

    def with_targets(self, y, weights):
        return replace(self, pieces=_pieces(self.columns, y, weights), n_outputs=y.shape[1])

    def _each(self, function):
        jobs = [
            (pickle.dumps(function), block, piece)
            for block, piece in zip(self.columns.blocks, self.pieces, strict=True)
        ]
        if self.elsewhere:
            return [pickle.loads(found) for found in other_process().map(_run, *zip(*jobs, strict=True))]
        return [pickle.loads(_run(*job)) for job in jobs]


def pickled_rows(columns, y, weights, elsewhere=True):
    return PickledRows(columns, _pieces(columns, y, weights), y.shape[1], elsewhere)


def _pieces(columns, y, weights):
    edges = np.cumsum(columns.sizes)[:-1]
    each = [None] * len(columns.sizes) if weights is None else np.split(weights, edges)
    return tuple(pickle.dumps(pair) for pair in zip(np.split(y, edges), each, strict=True))


def _block(block, piece):
    x = pickle.loads(block)
    x.flags.writeable = False
    y, weights = pickle.loads(piece)
    y.flags.writeable = False
    return Block(x, y, weights)


def _run(function, block, piece):
    """Apply a pickled function to a pickled block, of which it may not write anything; return the pickled value."""
    return pickle.dumps(pickle.loads(function)(_block(block, piece)))


def _of_weighted(function, block):
    return function(weighted_rows(block))


def _unchanged(combine, a, b):
    before = pickle.dumps((a, b))
    total = combine(a, b)
    assert pickle.dumps((a, b)) == before, f"{combine} has changed its arguments"
    return total


def _both(block):
    return np.hstack([block.x, block.y])


def sech_density(e):
    return np.log(2 / np.pi) - np.logaddexp(e, -e)
