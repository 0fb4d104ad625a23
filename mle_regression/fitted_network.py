"""What a fitted network predicts, how surely, and the objective that it was fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from mle_regression import checks
from mle_regression.diagnostics import laplace
from mle_regression.linalg.arrays import Array, BoolArray
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
# Part of a row's derivatives that is more than the rounding of the directions it lies along.
_SEEN = 1e-6


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
        """Return the variance (n, m) of the mean that the parameters' uncertainty brings, in units of y squared.

        NaN where the mean depends on what the training data do not determine.
        """
        posterior = self.state["posterior"]
        objective, root = self.objective(x), posterior["root"]
        m = self.network.sizes[-1]
        if posterior["kind"] == "last layer":
            features = objective.last_features(self.theta)
            image = features @ root
            squares = np.repeat(np.einsum("ij,ij->i", image, image)[:, None], m, axis=1) * posterior["share"]
            squares[_sees(features, posterior["undetermined"])] = np.nan
        else:
            width = max(1, _JACOBIAN_SIZE // (m * len(self.theta)))
            squares = np.empty((x.shape[0], m))
            for lo in range(0, x.shape[0], width):
                jacobian = objective.output_jacobian(self.theta, slice(lo, min(lo + width, x.shape[0])))
                flat = jacobian.reshape(-1, len(self.theta))
                image = flat @ root
                found = np.einsum("ij,ij->i", image, image)
                found[_sees(flat, posterior["undetermined"])] = np.nan
                squares[lo : lo + width] = found.reshape(-1, m)
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


def _sees(jacobian: Array, undetermined: Array) -> BoolArray:
    """Return which rows (n,) of a Jacobian have a part along directions that are not determined."""
    if not undetermined.size:
        return np.zeros(len(jacobian), dtype=bool)
    part = np.linalg.norm(jacobian @ undetermined, axis=1)
    return np.asarray(part > _SEEN * np.linalg.norm(jacobian, axis=1))


def posterior_of(objective: NetworkObjective, theta: Array, n: float) -> dict[str, Any]:
    """Return the Gaussian round the optimum: of all parameters or, where they are too many, of the last layer.

    Returns
    -------
    dict
        ``kind``; ``root`` (P, r) with parameter covariance root·rootᵀ in standard units, of each output times ``share`` (m,);
        ``undetermined`` (P, k), directions that the data say nothing of; ``effective``, γ; ``noise``, σ², the mean over
        outputs; ``distance`` to the optimum, in standard deviations.
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
    left = max(n * m - effective, 0.01 * n * m)
    noise = n * squares / left
    away = float(np.linalg.norm([laplace.distance(curvature, one, n, noise) for one in np.atleast_2d(gradient)]))
    root, share = curvature.root * (noise / n) ** 0.5, np.ones(m)
    if m > 1 and kind == "last layer":
        share = m * np.diagonal(objective.cross) / squares if squares > 0 else share
    elif m > 1:
        root = _root_by_outputs(objective, theta, curvature, m * n / left * objective.cross, noise) / n**0.5
    return {
        "kind": kind,
        "root": root,
        "share": share,
        "undetermined": curvature.undetermined,
        "effective": effective,
        "noise": noise,
        "distance": away,
    }


def _root_by_outputs(
    objective: NetworkObjective, theta: Array, curvature: laplace.Curvature, covariance: Array, noise: float
) -> Array:
    """Return a root (P, r) of ``A⁻¹ (mean JᵀΣJ + σ²D) A⁻¹``: all outputs count alike in J, though their noise Σ differs.

    With Σ = LLᵀ the middle is the Gauss–Newton matrix of a network whose last layer is ``Lᵀ`` times as large.
    """
    network = objective.network
    values, vectors = np.linalg.eigh(covariance)
    turned = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    mixed = theta.copy()
    last = network.layers(mixed)[-1]
    lo, inputs = network.edges[-2], last.shape[1]
    last[:] = turned @ last
    matrix = objective.gauss_newton(mixed)
    by_output = np.kron(turned, np.eye(inputs))
    matrix[:, lo:] = matrix[:, lo:] @ by_output
    matrix[lo:] = by_output.T @ matrix[lo:]
    matrix[np.diag_indices_from(matrix)] += noise * objective.penalty
    inner = curvature.root.T @ matrix @ curvature.root
    spread, turn = np.linalg.eigh(inner)
    return np.asarray(curvature.root @ (turn * np.sqrt(np.maximum(spread, 0.0))))


def refusal(posterior: dict[str, Any], verdict: str | None) -> str:
    """Return why there is no Gaussian round the parameters, and what to do; nothing if there is one."""
    remedy = "Train on: early_stopping=False with solver='lm' or 'newton', a larger max_iter, or alpha='evidence'."
    if verdict == "saddle point":
        return f"The network stands at a saddle point, round which parameters have no Gaussian distribution. {remedy}"
    if posterior["distance"] > _NEAR:
        return (
            f"The network is not at an optimum: the nearest one is {posterior['distance']:.3g} posterior standard deviations "
            f"away, and the parameters' distribution is not centred where they are. {remedy} Where the data have hardly any "
            "noise, deviations are short: lower tol."
        )
    return ""
