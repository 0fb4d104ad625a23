"""How far new rows lie from a network's mean: the noise, and what the network has learnt by heart, allowed for.

The maximum-likelihood variance, the mean square of the training residuals, falls without end where parameters are many. What
rows that the network was not fitted to say of it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular

from mle_regression.fitted.predictive_noise import COUNTED, HELD_OUT, LEFT_OUT, TOO_LOW, TRAINING, PredictiveNoise
from mle_regression.linalg.arrays import Array
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.scale import likeliest_scales
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.observations import n_observations

# With so many residuals a parameter, or more, counting parameters tells as much as leaving rows out.
_MANY_RESIDUALS = 20.0
# Parameters a residual between which, from so many residuals on, a network fitted without the row is another and not one
# close by. Many more parameters meet all rows in many ways, of which that nearest by leaves the others nearly as they are.
_TAKEN_UP, _PLENTY, _TELLING = 0.25, 1.5, 100
# Residuals up to which their square matrix is made.
_LARGEST_MATRIX = 5000
# Penalty, relative to the mean square of the Jacobian's columns, of parameters that have none.
_LEAST_PENALTY = 1e-8
_JACOBIAN_SIZE = 1 << 22


def of_held_out(
    residuals: Array, weights: Array | None, frequency: bool, chosen: bool, noise: NoiseFamily
) -> PredictiveNoise:
    """Return what residuals (n, m) of rows held out say, Σ w e²/n; weights are positive.

    Of a noise family that is not fitted by least squares, the square of its likeliest scale in the place of the mean square.

    Where these rows have ``chosen`` at which iteration to stop, one parameter has been fitted to them, and the mean square
    is that of Akaike's (1969) final prediction error, (n + 1)/(n − 1) times as large.
    """
    w = np.ones(len(residuals)) if weights is None else weights
    n = n_observations(weights, len(residuals), frequency=frequency)
    left = max(n - 1.0, 1.0) if chosen else n
    with np.errstate(over="ignore"):
        if noise.sums_suffice:
            squares = w @ residuals**2 / n
        else:
            squares = likeliest_scales(noise, residuals, weights, frequency=frequency) ** 2
        return PredictiveNoise(squares * ((2.0 * n - left) / left), left, HELD_OUT)


def of_scales(scales: Array, n: float, n_parameters: int) -> PredictiveNoise:
    """Return what scales (m,) of noise that is not fitted by least squares say of other rows, parameters counted."""
    left = n - n_parameters / len(scales)
    if left <= 0:
        return PredictiveNoise(scales**2, np.inf, TRAINING)
    return PredictiveNoise(scales**2 * (n / left), left, COUNTED)


def of_training(
    objective: NetworkObjective, theta: Array, cross: Array, total: float, n: float, frequency: bool, budget: float
) -> PredictiveNoise:
    """Return what the training rows say of others.

    Where residuals are many beside the parameters, ``σ̂² n / (n − P/m)``. Else the mean square of leave-one-out residuals,
    where they cost little beside the training, and no less than σ̂²; beyond, the former while parameters are fewer than
    residuals, and then σ̂² itself.

    A network with hidden units is not linear: one fitted anew without the row goes elsewhere, furthest where parameters are
    about as many as residuals. From a quarter to one and a half times as many on, errors have been up to four times as large
    as estimated, which the source then says. One row tells nothing: NaN.

    Parameters
    ----------
    objective : NetworkObjective
    theta : Array of shape (P,)
    cross : Array of shape (m, m)
        Mean cross-products of the residuals there.
    total : float
        Sum of the weights as they were given.
    n : float
        Number of observations.
    frequency : bool
        Whether a weight says how often a row is there.
    budget : float
        Multiplications that leaving rows out may take.
    """
    size, residuals, m = len(theta), objective.n_residuals, len(cross)
    variance, left = np.diagonal(cross) * (total / n), n - size / m
    if n <= 1.0:
        return PredictiveNoise(np.full(m, np.nan), n, TRAINING)
    counted = (
        PredictiveNoise(variance * n / left, left, _said(COUNTED, objective, size / residuals)) if left > 0 else None
    )
    if counted is not None and size * _MANY_RESIDUALS <= residuals:
        return counted
    if _work(objective) <= budget and min(size, residuals) <= _LARGEST_MATRIX:
        outside = leave_one_out(objective, theta, total if frequency else None)
        if outside is not None:
            found = np.maximum((outside.residuals**2).sum(axis=0) * (total / n), variance)
            return PredictiveNoise(found, n, _said(LEFT_OUT, objective, outside.taken_up))
    return PredictiveNoise(variance, np.inf, TRAINING) if counted is None else counted


def _said(source: str, objective: NetworkObjective, taken_up: float) -> str:
    """Return the source, and that it is not to be trusted where parameters take up so much of the residuals."""
    network, residuals = objective.network, objective.n_residuals
    between = taken_up > _TAKEN_UP and network.n_parameters <= _PLENTY * residuals and residuals >= _TELLING
    return source + TOO_LOW if between and not network.linear else source


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows left out in turn.

    Attributes
    ----------
    residuals : Array of shape (n, m)
        Those that rows would have, times √(w/Σw).
    taken_up : float
        Mean leverage of the residuals: the share of them that effective parameters take up.
    """

    residuals: Array
    taken_up: float


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
    return LeftOut(found, taken_up) if np.isfinite(found).all() else None


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


def _work(objective: NetworkObjective) -> float:
    """Return about how many multiplications leaving out each row takes."""
    size, k = float(objective.network.n_parameters), float(objective.n_residuals)
    if size <= k:
        return 2.0 * k * size**2 + size**3
    return k**2 * sum(objective.network.sizes) + 2.0 * k**3 + 5.0 * k * size
