"""Several networks of one architecture at once: their outputs on rows, and gradients with weights of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.models.network import Network

# Outputs of units that are held at a time.
_HELD = 1 << 20


def outputs_of_each(network: Network, thetas: Array, x: Array) -> Array:
    """Return the outputs (g, m, rows) of networks with parameters (g, P) for x (d + 1, rows) or (g, d + 1, rows)."""
    return np.asarray(_forward(network, network.layers(thetas), x)[-1])


def half_gradients(network: Network, thetas: Array, x: Array, y: Array, weights: Array) -> Array:
    """Return half the gradients (g, P) of ``Σᵢ w ‖f(xᵢ; θ) − yᵢ‖²``, each network with weights (g, rows) of its own.

    Parameters
    ----------
    network : Network
    thetas : Array of shape (g, P)
    x : Array of shape (d + 1, rows)
        With a last row of ones.
    y : Array of shape (m, rows)
    weights : Array of shape (g, rows)
    """
    found = np.empty_like(thetas)
    together = max(1, _HELD // (sum(network.sizes) * x.shape[1]))
    for lo in range(0, len(thetas), together):
        some = slice(lo, lo + together)
        _write_gradients(network, thetas[some], x, y, weights[some], found[some])
    return found


def _write_gradients(network: Network, thetas: Array, x: Array, y: Array, weights: Array, found: Array) -> None:
    layers, parts = network.layers(thetas), network.layers(found)
    *hidden, outputs = _forward(network, layers, x)
    above = (outputs - y) * weights[:, None, :]
    for index in range(len(layers) - 1, 0, -1):
        inputs, values = hidden[index - 1]
        np.matmul(above, values.swapaxes(-1, -2), out=parts[index])
        above = np.matmul(layers[index][..., :-1].swapaxes(-1, -2), above)
        slopes = np.empty_like(inputs)
        network.activation.slope(inputs, values[..., :-1, :], slopes)
        above *= slopes
    np.matmul(above, x.T, out=parts[0])


def _forward(network: Network, layers: list[Array], x: Array) -> list[Any]:
    """Return of each hidden layer its inputs (g, units, rows) and outputs, with a last row of ones; then the outputs."""
    found, below = list[Any](), x
    for layer in layers[:-1]:
        inputs = np.matmul(layer, below)
        below = np.ones((*inputs.shape[:-2], inputs.shape[-2] + 1, inputs.shape[-1]))
        network.activation.value(inputs, below[..., :-1, :])
        found.append((inputs, below))
    return [*found, np.matmul(layers[-1], below)]
