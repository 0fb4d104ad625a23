"""Columns of X that leave weights of a network undetermined: they do not vary, or follow from others."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr

from mle_regression.linalg.arrays import EPS, Array
from mle_regression.linalg.rank import Relation
from mle_regression.models.network import Network

# Zero to rounding: eigenvalues of the inputs' cross-products, in units of the largest; terms and constants of relations.
_NULL_EIGENVALUE, _NO_SHARE = 64.0 * EPS, 1e-7
# Relative preference of a column to the one before it, as the dependent one.
_LATER = 1e-6
# A flat direction counts as one of hidden units if more than this share of it is not due to the inputs.
_OWN = 0.5


def null_inputs(products: Array) -> Array:
    """Return an orthonormal basis (d + 1, k) of the weights into a unit, the bias last, that change nothing on any row.

    Parameters
    ----------
    products : Array of shape (d + 1, d + 1)
        Mean cross-products of the standardised columns and a constant one.
    """
    values, vectors = np.linalg.eigh(products)
    return np.asarray(vectors[:, values <= _NULL_EIGENVALUE * len(values) * values[-1]])


def input_relations(null: Array, center: Array, spread: Array) -> tuple[Relation, ...]:
    """Write k null directions of the inputs as k columns that follow from others, in the units of X."""
    weights, bias = null[:-1].T, null[-1]
    k, d = weights.shape
    if not k:
        return ()
    # Among interchangeable columns the last counts as dependent, since derived columns usually come last.
    _, _, order = qr(weights * (1.0 + _LATER * np.arange(d)), mode="economic", pivoting=True)
    dependent = order[:k]
    shares = -np.linalg.solve(weights[:, dependent], np.column_stack([weights, bias]))
    shares[:, :-1][:, dependent] = 0.0
    found = []
    for j, row in zip(dependent, shares, strict=True):
        row = np.where(np.abs(row) > _NO_SHARE, row, 0.0)
        slopes = row[:-1] * spread[j] / spread
        parts = np.r_[center[j], spread[j] * row[-1], -slopes * center]
        constant = float(parts.sum())
        constant = 0.0 if abs(constant) <= _NO_SHARE * float(np.abs(parts).sum()) else constant
        terms = tuple((int(i), float(slopes[i])) for i in np.flatnonzero(slopes))
        found.append(Relation(int(j), terms, constant))
    return tuple(sorted(found, key=lambda relation: relation.dependent))


def without_inputs(network: Network, flat: Array, null: Array) -> Array:
    """Return flat directions (P, f) without those that lie in the weights of null directions of the inputs."""
    units, inputs = network.shapes[0]
    if not null.shape[1] or not flat.shape[1]:
        return flat
    first = flat[: units * inputs].reshape(units, inputs, -1)
    rest = flat.copy()
    rest[: units * inputs] = (first - np.einsum("ij,kj,ukf->uif", null, null, first)).reshape(units * inputs, -1)
    left, values, _ = np.linalg.svd(rest, full_matrices=False)
    return np.asarray(left[:, values > _OWN])
