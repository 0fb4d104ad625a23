"""Dead networks: the prediction is the same for all rows, and its gradient is zero."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from mle_regression.linalg.arrays import EPS, Array
from mle_regression.models.network import Workspace
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.standard import StandardBlock

# Rows looked at first, which nearly always show that a network is alive; largest block: rows, and numbers.
_FIRST_ROWS, _ROWS, _BLOCK_SIZE = 16, 1024, 1 << 21
# Outputs that differ by no more than this, in units of the spread of y, are equal.
_SAME_OUTPUT = 1e-7


def is_dead(objective: NetworkObjective, theta: Array) -> bool:
    """Return whether at each row there is a hidden layer of whose units none has a slope that is more than rounding.

    Such are units of relu where their inputs are negative, and those of others where they are saturated. The prediction has
    no slope in the inputs then, and its derivatives by what lies below such layers are zero.
    """
    network = objective.network
    layers = network.layers(np.asarray(theta, dtype=objective.dtype))
    if len(layers) == 1:
        return False
    for block in _blocks(objective):
        ws = Workspace(network, block.y.shape[1], objective.dtype)
        network.forward(layers, block.x, ws)
        gets_through = np.ones(ws.n_rows, dtype=bool)
        for z, inner, s in zip(ws.z, ws.inner, ws.s, strict=True):
            network.activation.slope(z, inner, s)
            gets_through &= (np.abs(s) > EPS).any(axis=0)
        if gets_through.any():
            return False
    return True


def is_constant(objective: NetworkObjective, theta: Array) -> bool:
    """Return whether the prediction is the same at all rows, though y is not: dead, or shrunk to nothing."""
    rows, network = objective.rows, objective.network
    if network.sizes[0] == 0:
        return False
    layers = network.layers(np.asarray(theta, dtype=objective.dtype))
    low, high = np.full(rows.y.shape[1], np.inf), np.full(rows.y.shape[1], -np.inf)
    for block in _blocks(objective):
        outputs = network.forward(layers, block.x, Workspace(network, block.y.shape[1], objective.dtype))
        low, high = np.minimum(low, outputs.min(axis=1)), np.maximum(high, outputs.max(axis=1))
        if not (high - low <= _SAME_OUTPUT).all():  # so most networks are known by their first rows
            return False
    return bool((np.ptp(rows.y, axis=0) > 0).any())


def _blocks(objective: NetworkObjective) -> Iterator[StandardBlock]:
    """Go through a few rows, and then through all, some at a time."""
    width = max(1, min(_ROWS, _BLOCK_SIZE // sum(objective.network.sizes)))
    first = objective.rows.blocks(min(_FIRST_ROWS, width))
    return chain(islice(first, 1), objective.rows.blocks(width))
