"""How far new rows lie from a network's mean: the noise, and what the network has learnt by heart, allowed for.

The maximum-likelihood variance, the mean square of the training residuals, falls without end where parameters are many. What
rows that the network was not fitted to say of it does not.
"""

from __future__ import annotations

import numpy as np

from mle_regression.diagnostics.left_out_rows import TAKEN_UP, leave_one_out
from mle_regression.fitted.predictive_noise import COUNTED, HELD_OUT, LEFT_OUT, TOO_LOW, TRAINING, PredictiveNoise
from mle_regression.linalg.arrays import Array
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.scale import likeliest_scales
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.observations import n_observations

# With so many residuals a parameter, or more, counting parameters tells as much as leaving rows out.
_MANY_RESIDUALS = 20.0
# Parameters a residual up to which, from so many residuals on, a network fitted without the row is another and not one
# close by. Many more parameters meet all rows in many ways, of which that nearest by leaves the others nearly as they are.
_PLENTY, _TELLING = 1.5, 100
# Residuals up to which their square matrix is made.
_LARGEST_MATRIX = 5000


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
    between = taken_up > TAKEN_UP and network.n_parameters <= _PLENTY * residuals and residuals >= _TELLING
    return source + TOO_LOW if between and not network.linear else source


def _work(objective: NetworkObjective) -> float:
    """Return about how many multiplications leaving out each row takes."""
    size, k = float(objective.network.n_parameters), float(objective.n_residuals)
    if size <= k:
        return 2.0 * k * size**2 + size**3
    return k**2 * sum(objective.network.sizes) + 2.0 * k**3 + 5.0 * k * size
