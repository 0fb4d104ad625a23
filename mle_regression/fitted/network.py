"""What a fitted network predicts, how surely, and the objective that it was fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from mle_regression.diagnostics import laplace
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.standard import Units, standard_rows
from mle_regression.rows.training_data import TrainingData

_JACOBIAN_SIZE = 1 << 22


class FittedNetwork:
    """A network as a fitted estimator keeps it.

    Parameters
    ----------
    state : dict
        With ``theta``, ``sizes``, ``activation``, ``units``, ``alpha`` and, if it is known, ``posterior``.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.theta: Array = state["theta"]
        self.network = Network(tuple(state["sizes"]), find_activation(state["activation"]))
        self.of_x, self.of_y = (Units(*pair) for pair in state["units"])

    def objective(self, x: Any, y: Array | None = None, weights: Array | None = None) -> NetworkObjective:
        """Return the objective of some rows in float64, starting at the fitted parameters."""
        outputs = np.zeros((x.shape[0], self.network.sizes[-1])) if y is None else y
        data = TrainingData(x if isinstance(x, np.ndarray) else x.tocsr(), outputs, weights, False, 0.0)
        rows = standard_rows(data, (self.of_x, self.of_y), "float64")
        share = 1.0 if weights is None else 1.0 / float(weights.max())
        return NetworkObjective(self.network, rows, self.state.get("alpha", 0.0) * share, self.theta)

    def mean(self, x: Any) -> Array:
        """Return the mean (n, m) in the units of y."""
        return self.of_y.original(self.objective(x).outputs(self.theta).T)

    def variance(self, x: Any) -> Array:
        """Return the variance (n, m) of the mean that the parameters' uncertainty brings, in units of y squared.

        NaN where the mean depends on what the training data do not determine.
        """
        return self._variance(x) * self.of_y.spread**2

    @one_blas_thread()
    def _variance(self, x: Any) -> Array:
        """Return the same in standard units."""
        objective, inverse = self.objective(x), laplace.Inverse(**self.state["posterior"]["covariance"])
        m = self.network.sizes[-1]
        width = max(1, _JACOBIAN_SIZE // (m * len(self.theta)))
        squares = np.empty((x.shape[0], m))
        for lo in range(0, x.shape[0], width):
            jacobian = objective.output_jacobian(self.theta, slice(lo, min(lo + width, x.shape[0])))
            flat = jacobian.reshape(-1, len(self.theta))
            squares[lo : lo + width] = np.where(inverse.misses(flat), np.nan, inverse.quadratic(flat)).reshape(-1, m)
        return squares

    def moments(self, x: Any, noise_share: float | Array) -> tuple[Array, Array]:
        """Return the mean (n, m) of a prediction and its variance with so much of the noise variance in it.

        The mean is in units of y, the variance in those of ``output_unit``, as the squares of y may overflow.
        ``noise_share`` is a number, or (n,) one a row.
        """
        state, mean = self.state, self.mean(x)
        posterior = state["posterior"]
        share = np.reshape(noise_share, (-1, 1))
        of_noise = np.diagonal(state["noise_covariance"]) if posterior else state["predictive_variance"]
        variance = share * of_noise
        if posterior is None:
            if not share.any():
                raise ValueError(
                    "The uncertainty of this network's mean is not known: call fit with curvature='full', 'extremes', or "
                    "alpha='evidence' (partial_fit does not work it out); or ask for kind='observation', which has the "
                    "noise alone."
                )
            return mean, np.broadcast_to(variance, mean.shape)
        if posterior["refusal"]:
            raise ValueError(posterior["refusal"])
        left = state["n"] - posterior["effective"] / mean.shape[1]
        return mean, variance * state["n"] / max(left, 0.01 * state["n"]) + self._variance(x)
