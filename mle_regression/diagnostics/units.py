"""Hidden units that say nothing, that say the same, and that only share a scale with the next layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import TINY, Array, BoolArray
from mle_regression.models.network import Network

# A unit is constant if its variance is this small beside its mean square; copies have 1 − ρ² below this.
_CONSTANT_VARIANCE, _COPY = 1e-20, 1e-10
# A direction is flat if at least this share of it lies in the flat space.
_WITHIN = 0.99
# Least flat dimensions of a unit that shares them with another, and of one that does not.
_SHARED, _WHOLE = 0.4, 0.9
_HOMOGENEOUS = ("relu", "leaky_relu", "identity")


@dataclass(frozen=True, slots=True)
class FlatUnit:
    """A hidden unit that has a part in the flat directions.

    Attributes
    ----------
    layer, unit : int
        Layers are counted from 1, units from 0.
    kind : str
        "dead", "duplicated", "rescaling" or "idle" (it hardly has a say).
    other : int
        The unit that it is a copy of; -1 for none.
    dimensions : float
        How many of the flat directions lie in its parameters.
    """

    layer: int
    unit: int
    kind: str
    other: int
    dimensions: float

    def __str__(self) -> str:
        copy = f" of unit {self.other}" if self.other >= 0 else ""
        return f"layer {self.layer}, unit {self.unit}: {self.kind}{copy}"


def flat_units(network: Network, theta: Array, moments: list[tuple[Array, Array]], flat: Array) -> list[FlatUnit]:
    """Say which units the flat directions are of.

    Parameters
    ----------
    network : Network
    theta : Array of shape (P,)
    moments : list of (Array of shape (h,), Array of shape (h, h))
        Mean outputs of each hidden layer over the rows, and their covariance.
    flat : Array of shape (P, f)
        Orthonormal basis of the flat directions.
    """
    share = np.einsum("pf,pf->p", flat, flat)
    layers = network.layers(theta)
    shares = network.layers(share)
    found = []
    for index, (mean, covariance) in enumerate(moments):
        variance = np.diagonal(covariance)
        constant = variance <= _CONSTANT_VARIANCE * np.maximum(mean**2, TINY)
        for unit in range(len(mean)):
            dimensions = float(shares[index][unit].sum() + shares[index + 1][:, unit].sum())
            other = _copied(covariance, constant, unit)
            out = layers[index + 1][:, unit]
            if constant[unit] or not out.any():
                kind = "dead"
            elif other >= 0:
                kind = "duplicated"
            elif network.activation.name in _HOMOGENEOUS and _rescales(network, layers, index, unit, flat):
                kind = "rescaling"
            else:
                kind = "idle"
            if dimensions >= (_SHARED if kind in ("duplicated", "rescaling") else _WHOLE):
                found.append(FlatUnit(index + 1, unit, kind, other if kind == "duplicated" else -1, dimensions))
    return found


def _copied(covariance: Array, constant: BoolArray, unit: int) -> int:
    """Return another unit of the layer whose outputs are the same but for scale and offset, or -1."""
    variance = np.diagonal(covariance)
    for other in range(len(variance)):
        if other == unit or constant[unit] or constant[other]:
            continue
        if 1.0 - covariance[unit, other] ** 2 / (variance[unit] * variance[other]) <= _COPY:
            return other
    return -1


def _rescales(network: Network, layers: list[Array], index: int, unit: int, flat: Array) -> bool:
    """Whether larger weights into the unit and smaller ones out of it are among the flat directions."""
    direction = np.zeros(network.n_parameters)
    views = network.layers(direction)
    views[index][unit] = layers[index][unit]
    views[index + 1][:, unit] = -layers[index + 1][:, unit]
    along = flat.T @ direction
    return bool(along @ along >= _WITHIN**2 * (direction @ direction))
