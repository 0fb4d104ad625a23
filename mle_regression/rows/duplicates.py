"""Rows that are the same: what one of them tells, the others have told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import IntArray


def groups_of_rows(x: Any) -> IntArray:
    """Return of each row of X (n, p) the number of its group (n,), from 0 on; rows of a group have the same numbers.

    Groups are numbered by what their rows hold, so that the order of the rows, and how often each is there, changes nothing.
    """
    if not sp.issparse(x):
        return np.asarray(np.unique(x, axis=0, return_inverse=True)[1]).ravel()
    rows = x.tocsr(copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    edges = rows.indptr
    keys = [rows.indices[lo:hi].tobytes() + rows.data[lo:hi].tobytes() for lo, hi in pairwise(edges)]
    order = {key: group for group, key in enumerate(sorted(set(keys)))}
    return np.array([order[key] for key in keys], dtype=np.int64)
