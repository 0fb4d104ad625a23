"""How many observations rows are, and what the logarithms of their weights add to a likelihood."""

from __future__ import annotations

import numpy as np

from mle_regression.linalg.arrays import Array


def n_observations(weights: Array | None, n_rows: int, *, frequency: bool) -> float:
    """Return the sum of weights (n,) that are frequencies; of precisions, how many rows have weight.

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.array([2.0, 0.0, 3.0])
    >>> n_observations(weights, 3, frequency=True), n_observations(weights, 3, frequency=False)
    (5.0, 2.0)
    """
    if weights is None:
        return float(n_rows)
    return float(weights.sum()) if frequency else float(np.count_nonzero(weights))


def sum_log_weights(weights: Array | None, *, frequency: bool) -> float:
    """Return Σ log w over rows of positive weight where weights are precisions; frequencies add nothing."""
    return 0.0 if weights is None or frequency else float(np.log(weights[weights > 0]).sum())
