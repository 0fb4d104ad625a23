"""Rows of a network left out in turn, the network linearised at its parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular

from mle_regression.linalg.arrays import Array
from mle_regression.objective.network import NetworkObjective

# Penalty, relative to the mean square of the Jacobian's columns, of parameters that have none.
_LEAST_PENALTY = 1e-8
# Share of the residuals that effective parameters take up, from which on a network fitted without a row is another, and not
# close by.
TAKEN_UP = 0.25
# Numbers of a Jacobian that are held at a time.
_JACOBIAN_SIZE = 1 << 22


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows left out in turn.

    Attributes
    ----------
    residuals : Array of shape (n, m)
        Those that rows would have, times √(w/Σw).
    leverages : Array of shape (n, m, m)
        How far the outputs of each row determine their own prediction; of one of its copies.
    taken_up : float
        Mean leverage of the residuals: the share of them that effective parameters take up.
    """

    residuals: Array
    leverages: Array
    taken_up: float

    @property
    def moved(self) -> Array:
        """How far (n,) the predictions move if a row is left out: ``δᵀAδ`` of the change δ of the parameters."""
        return np.asarray(np.einsum("ni,nij,nj->n", self.residuals, self.leverages, self.residuals))


def leave_one_out(objective: NetworkObjective, theta: Array, copies: float | None = None) -> LeftOut | None:
    """Return the residuals that rows would have if each were left out in turn.

    Of the network linearised at θ: with r + Jδ the residuals at its minimum and H = J A⁻¹ Jᵀ, A = JᵀJ + diag(d), those of
    row i without it are ``(I − Hᵢᵢ)⁻¹ (r + Jδ)ᵢ``. Where k < P, ``I − H = (I + J d⁻¹ Jᵀ)⁻¹``. A row of weight w among
    ``copies`` in all has w copies, of which one is left out. None where the matrices are no numbers.

    References
    ----------
    D. M. Allen (1974). The relationship between variable selection and data augmentation and a method for prediction.
    Technometrics 16, 125-127.
    """
    m = objective.network.sizes[-1]
    weights = objective.rows.weights
    counts = np.ones(objective.n_rows)
    if copies is not None and weights is not None:
        counts = weights * (copies / objective.rows.total)
    form = _by_rows if objective.n_residuals < len(theta) else _by_parameters
    try:
        residuals, kept = form(objective, theta)
        taken_up = 1.0 - float(np.trace(kept, axis1=1, axis2=2).mean()) / m
        # Of one copy the leverage is a share of that of all.
        kept = np.eye(m) - (np.eye(m) - kept) / counts[:, None, None]
        found = np.asarray(np.linalg.solve(kept, residuals[:, :, None])[:, :, 0], dtype=np.float64)
    except (LinAlgError, ValueError):
        return None
    return LeftOut(found, np.eye(m) - kept, taken_up) if np.isfinite(found).all() else None


def _by_rows(objective: NetworkObjective, theta: Array) -> tuple[Array, Array]:
    """Return residuals (n, m) at the minimum and the diagonal blocks (n, m, m) of I − H, by the k × k matrix."""
    jacobian, n, m = objective.residual_products(theta), objective.n_rows, objective.network.sizes[-1]
    penalty = np.maximum(objective.penalty, _LEAST_PENALTY * jacobian.squares / len(theta))
    inner = jacobian.gram(1.0 / penalty)
    inner[np.diag_indices_from(inner)] += 1.0
    factor = cho_factor(inner, lower=True, overwrite_a=True)
    away = objective.weighted_residuals(theta).ravel() - jacobian.product(theta)
    inverse = cho_solve(factor, np.eye(len(away)), overwrite_b=True)
    rows = np.arange(n)
    return (inverse @ away).reshape(n, m), inverse.reshape(n, m, n, m)[rows, :, rows]


def _by_parameters(objective: NetworkObjective, theta: Array) -> tuple[Array, Array]:
    """Return the same by the P × P matrix."""
    n, m, size = objective.n_rows, objective.network.sizes[-1], len(theta)
    matrix = objective.gauss_newton(theta)
    least = _LEAST_PENALTY * float(np.trace(matrix)) / size
    matrix[np.diag_indices_from(matrix)] += np.maximum(objective.penalty, least)
    factor = cho_factor(matrix, lower=True, overwrite_a=True)
    step = -0.5 * cho_solve(factor, objective.value_and_gradient(theta)[1])
    residuals, kept = objective.weighted_residuals(theta), np.empty((n, m, m))
    share = np.full(n, objective.rows.total**-0.5)
    if objective.rows.weights is not None:
        share *= np.sqrt(objective.rows.weights)
    width = max(1, _JACOBIAN_SIZE // (m * size))
    for lo in range(0, n, width):
        rows = slice(lo, min(lo + width, n))
        jacobian = objective.output_jacobian(theta, rows) * share[rows, None, None]
        residuals[rows] += jacobian @ step
        image = solve_triangular(factor[0], jacobian.reshape(-1, size).T, lower=True).reshape(size, -1, m)
        kept[rows] = np.eye(m) - np.einsum("pio,piq->ioq", image, image)
    return residuals, kept
