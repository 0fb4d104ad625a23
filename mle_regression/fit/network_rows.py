"""The rows that a network is trained on, and those that are held out to watch it."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, cast

import numpy as np

from mle_regression.fit.network_options import NetworkOptions
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.models.network import Network
from mle_regression.rows.observations import n_observations, sum_log_weights
from mle_regression.rows.registry import in_memory
from mle_regression.rows.training_data import TrainingData

AlphaT = TypeVar("AlphaT", bound=float | Array)
# Of fewer rows y has no spread to measure it by.
_FEWEST = 2


def rows_to_watch(
    options: NetworkOptions, network: Network, data: TrainingData, rng: np.random.Generator
) -> tuple[TrainingData | None, TrainingData]:
    """Return rows held out, if any, and those to train on; rows of weight zero are not drawn."""
    counted = np.arange(len(data.y)) if data.weights is None else np.flatnonzero(data.weights)
    if not options.holds_out(len(counted), network):
        return None, data
    size = int(np.ceil(options.validation_fraction * len(counted)))
    if len(counted) - size < _FEWEST:
        raise ValueError(
            f"early_stopping would hold out {size} of {len(counted)} rows and leave {len(counted) - size} to train on, where "
            f"{_FEWEST} are the least; lower validation_fraction, give more rows, or set early_stopping=False."
        )
    order = rng.permutation(counted)
    return pick_rows(data, np.sort(order[:size])), pick_rows(data, np.sort(order[size:]))


def pick_rows(data: TrainingData, pick: IntArray) -> TrainingData:
    """Return some of the rows."""
    if not in_memory(data.x):
        # What is elsewhere is not picked from: the others have no weight.
        mask = np.zeros(len(data.y))
        mask[pick] = 1.0
        return replace(data, weights=mask if data.weights is None else mask * data.weights)
    x = data.x if isinstance(data.x, np.ndarray) else data.x.tocsr()
    weights = None if data.weights is None else data.weights[pick]
    return replace(data, x=x[pick], y=data.y[pick], weights=weights)


def relative_alpha(alpha: AlphaT, weights: Array | None) -> AlphaT:
    """Return α for weights that have been divided by the largest."""
    return alpha if weights is None else cast(AlphaT, alpha / float(weights.max()))


def observations(weights: Array | None, n_rows: int, frequency: bool) -> tuple[float, float]:
    """Return the number of observations, and Σ log w of precision weights with mean one."""
    n = n_observations(weights, n_rows, frequency=frequency)
    if weights is None or frequency:
        return n, 0.0
    return n, sum_log_weights(weights * (n / weights.sum()), frequency=False)
