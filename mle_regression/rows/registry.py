"""The homes of rows, one line each."""

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


def as_rows(x: Any, y: Array, weights: Array | None = None) -> Rows:
    """Return the home of rows for x (n, p), with y (n, m) and weights (n,)."""
    for takes, make in ROWS.values():
        if takes(x):
            return make(x, y, weights)
    raise TypeError(f"X of type {type(x).__name__} has no home of rows; the homes are {', '.join(ROWS)}.")
