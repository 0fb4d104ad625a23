"""What a fitted network predicts, how surely, and the objective that it was fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from mle_regression import checks
from mle_regression.diagnostics import laplace
from mle_regression.linalg.arrays import Array
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.standard import Units
from mle_regression.training import standard_rows

# Up to so many parameters the posterior is that of all of them; beyond, that of the last layer.
FULL_POSTERIOR = 3000
# The optimum must be nearer than this, in posterior standard deviations, for a Gaussian round it to mean anything.
_NEAR = 0.3
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
        data = checks.TrainingData(x if isinstance(x, np.ndarray) else x.tocsr(), outputs, weights, False, 0.0)
        rows = standard_rows(data, (self.of_x, self.of_y), "float64")
        share = 1.0 if weights is None else 1.0 / float(weights.max())
        return NetworkObjective(self.network, rows, self.state.get("alpha", 0.0) * share, self.theta)

    def mean(self, x: Any) -> Array:
        """Return the mean (n, m) in the units of y."""
        return self.of_y.original(self.objective(x).outputs(self.theta).T)

    def variance(self, x: Any) -> Array:
        """Return the variance (n, m) of the mean that the parameters' uncertainty brings, in units of y squared."""
        posterior = self.state["posterior"]
        objective, root = self.objective(x), posterior["root"]
        m = self.network.sizes[-1]
        if posterior["kind"] == "last layer":
            features = objective.last_features(self.theta) @ root
            squares = np.repeat(np.einsum("ij,ij->i", features, features)[:, None], m, axis=1)
        else:
            width = max(1, _JACOBIAN_SIZE // (m * len(self.theta)))
            squares = np.empty((x.shape[0], m))
            for lo in range(0, x.shape[0], width):
                jacobian = objective.output_jacobian(self.theta, slice(lo, min(lo + width, x.shape[0])))
                image = jacobian.reshape(-1, len(self.theta)) @ root
                squares[lo : lo + width] = np.einsum("ij,ij->i", image, image).reshape(-1, m)
        return np.asarray(squares * self.of_y.spread**2)

    def moments(self, x: Any, noise_share: float) -> tuple[Array, Array]:
        """Return mean and variance (n, m) of a prediction, in units of y, with so much of the noise variance in it."""
        state, mean = self.state, self.mean(x)
        posterior = state["posterior"]
        variance = noise_share * np.diagonal(state["noise_covariance"]) * state["output_unit"] ** 2
        if posterior is None:
            if not noise_share:
                raise ValueError(
                    "The uncertainty of this network's mean is not known: fit with curvature='full', 'extremes', or "
                    "alpha='evidence'; or ask for kind='observation', which has the noise alone."
                )
            return mean, np.broadcast_to(variance, mean.shape)
        if posterior["refusal"]:
            raise ValueError(posterior["refusal"])
        left = state["n"] - posterior["effective"] / mean.shape[1]
        return mean, variance * state["n"] / max(left, 0.01 * state["n"]) + self.variance(x)


def posterior_of(objective: NetworkObjective, theta: Array, n: float) -> dict[str, Any]:
    """Return the Gaussian round the optimum: of all parameters or, where they are too many, of the last layer.

    Returns
    -------
    dict
        ``kind``; ``root`` (P, r) with parameter covariance root·rootᵀ in standard units; ``effective``, γ; ``noise``, σ²;
        ``distance`` to the optimum, in standard deviations.
    """
    _, gradient = objective.value_and_gradient(theta)
    squares, m = float(np.trace(objective.cross)), objective.network.sizes[-1]
    penalty = objective.penalty
    if len(theta) <= FULL_POSTERIOR:
        kind, matrix, copies = "all parameters", objective.gauss_newton(theta), 1
    else:
        kind, copies = "last layer", m
        features, weights = objective.last_features(theta), objective.rows.weights
        matrix = features.T @ (features if weights is None else features * weights[:, None]) / objective.rows.total
        # All outputs have the same features and penalties: one block serves them all.
        last = objective.network.layers(penalty)[-1][0]
        penalty, gradient = last, objective.network.layers(gradient)[-1]
    curvature = laplace.inverted(matrix, penalty)
    effective = copies * float(laplace.effective_parameters(curvature, penalty).sum())
    noise = n * squares / max(n * m - effective, 0.01 * n * m)
    away = float(np.linalg.norm([laplace.distance(curvature, one, n, noise) for one in np.atleast_2d(gradient)]))
    root = curvature.root * (noise / n) ** 0.5
    return {"kind": kind, "root": root, "effective": effective, "noise": noise, "distance": away}


def refusal(posterior: dict[str, Any], verdict: str | None) -> str:
    """Return why there is no Gaussian round the parameters, and what to do; nothing if there is one."""
    remedy = "Train on: early_stopping=False with solver='lm' or 'newton', a larger max_iter, or alpha='evidence'."
    if verdict == "saddle point":
        return f"The network stands at a saddle point, round which parameters have no Gaussian distribution. {remedy}"
    if posterior["distance"] > _NEAR:
        return (
            f"The network is not at an optimum: the nearest one is {posterior['distance']:.3g} posterior standard deviations "
            f"away, and the parameters' distribution is not centred where they are. {remedy}"
        )
    return ""
