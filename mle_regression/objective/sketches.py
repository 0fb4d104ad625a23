"""Products of a network's Jacobian with blocks of vectors, some rows at a time, where the whole matrix is too large."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.objective.network import NetworkObjective

# Size of the part of the Jacobian that is held at a time, in numbers.
_BLOCK_SIZE = 1 << 21


def jacobian_blocks(objective: NetworkObjective, theta: Array) -> Iterator[Array]:
    """Return the Jacobian (rows, m, P) of some rows after others, times √(w/Σw)."""
    rows = objective.rows
    width = max(1, _BLOCK_SIZE // (objective.network.sizes[-1] * len(theta)))
    for lo in range(0, objective.n_rows, width):
        part = slice(lo, min(lo + width, objective.n_rows))
        share = 1.0 if rows.weights is None else np.asarray(rows.weights[part], dtype=np.float64)[:, None, None]
        yield objective.output_jacobian(theta, part) * np.sqrt(share / rows.total)


def gauss_newton_times(objective: NetworkObjective, theta: Array, columns: Array) -> Array:
    """Return ``mean JᵀJ`` times columns (P, r)."""
    found = np.zeros_like(columns)
    for block in jacobian_blocks(objective, theta):
        flat = block.reshape(-1, len(theta))
        found += flat.T @ (flat @ columns)
    return found


def mixed_products(objective: NetworkObjective, theta: Array, columns: Array, mixing: Array) -> Array:
    """Return ``columnsᵀ (mean Jᵀ(I ⊗ Σ)J) columns`` (r, r), with Σ = mixingᵀmixing between the outputs of a row."""
    found = np.zeros((columns.shape[1], columns.shape[1]))
    for block in jacobian_blocks(objective, theta):
        moved = mixing @ (block @ columns)
        flat = moved.reshape(-1, columns.shape[1])
        found += flat.T @ flat
    return found
