"""The linear map: the mean is Xβ + b."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array

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
