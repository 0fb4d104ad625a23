"""The linear map: the mean is Xβ + b."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array
from mle_regression.rows.base import Block
from mle_regression.rows.registry import as_rows, in_memory

_BLOCK = 1 << 20


def linear_map(x: Any, coef: Array, intercept: Array) -> Array:
    """Return ``x @ coef + intercept`` (n, m) for x (n, p), dense or sparse; other dtypes are converted block by block."""
    if sp.issparse(x) or x.dtype == np.float64:
        return np.asarray(x @ coef) + intercept
    mean = np.empty((len(x), coef.shape[1]))
    step = max(1, _BLOCK // max(1, x.shape[1]))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        np.matmul(x[rows].astype(np.float64), coef, out=mean[rows])
    return mean + intercept


def linear_mean(x: Any, coef: Array, intercept: Array) -> Array:
    """Return the `linear_map` of all rows of a container (n, p): at once if it is in memory, block by block elsewhere."""
    if in_memory(x):
        return linear_map(x, coef, intercept)
    return as_rows(x, np.zeros((x.shape[0], 0))).map(partial(_map_of_block, coef, intercept))


def sizes_of_terms(x: Any, coef: Array, intercept: Array) -> Array:
    """Return ``|x| @ |coef| + |intercept|`` (n, m): the sum of the sizes of the terms that a mean is made of."""
    coef, intercept = np.abs(coef), np.abs(intercept)
    if in_memory(x):
        return linear_map(abs(x), coef, intercept)
    return as_rows(x, np.zeros((x.shape[0], 0))).map(partial(_sizes_of_block, coef, intercept))


def _map_of_block(coef: Array, intercept: Array, block: Block) -> Array:
    return linear_map(block.x, coef, intercept)


def _sizes_of_block(coef: Array, intercept: Array, block: Block) -> Array:
    return linear_map(abs(block.x), coef, intercept)
