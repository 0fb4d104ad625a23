"""The homes of rows, one line each.

A container that a line takes, and that is neither a NumPy array nor a sparse matrix, is passed by the estimators to its home
as it is. It offers ``shape`` (n, p) and ``dtype``, that of its numbers, and perhaps ``columns``, their names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array
from mle_regression.rows.base import Rows
from mle_regression.rows.dense import DenseRows
from mle_regression.rows.sparse import sparse_rows

#: name -> (whether it takes this container, how to make the rows from X, y and weights)
ROWS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Array, Array | None], Rows]]] = {
    "dense": (lambda x: isinstance(x, np.ndarray), DenseRows),
    "sparse": (sp.issparse, sparse_rows),
}


def in_memory(x: Any) -> bool:
    """Whether x is an array, or a sparse matrix, of this process."""
    return isinstance(x, np.ndarray) or sp.issparse(x)


def has_own_home(x: Any) -> bool:
    """Whether x is no array and no sparse matrix, and some home takes it as it is."""
    return not in_memory(x) and any(takes(x) for takes, _ in ROWS.values())


def as_rows(x: Any, y: Array, weights: Array | None = None) -> Rows:
    """Return the home of rows for x (n, p), with y (n, m) and weights (n,)."""
    for takes, make in ROWS.values():
        if takes(x):
            return make(x, y, weights)
    raise TypeError(f"X of type {type(x).__name__} has no home of rows; the homes are {', '.join(ROWS)}.")
