"""What a fitted network keeps, and the rows that it is not trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mle_regression.fit.network import Trained
from mle_regression.fit.network_noise import likelihood_attributes, network_attributes, noise_of, weighted_residuals
from mle_regression.fit.network_options import NetworkOptions
from mle_regression.fit.penalty.evidence import Chosen
from mle_regression.fit.predictive_noise import PredictiveNoise, of_training
from mle_regression.linalg.arrays import AnyArray, Array, IntArray
from mle_regression.linalg.scaling import column_norms
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import Status

# Attributes that not every fit has.
OPTIONAL = ("noise_covariance_", "alpha_", "effective_parameters_", "log_marginal_likelihood_")


# Of fewer rows y has no spread to measure it by.
_FEWEST = 2


def rows_to_watch(
    options: NetworkOptions, network: Network, data: TrainingData, rng: np.random.Generator
) -> tuple[TrainingData | None, TrainingData]:
    """Return rows held out, if any, and those to train on; rows of weight zero are not drawn."""
    counted = np.arange(len(data.y)) if data.weights is None else np.flatnonzero(data.weights)
    if not options.holds_out(len(counted), network):
        return None, data
    size = int(np.ceil(options.validation_fraction * len(counted)))
    if len(counted) - size < _FEWEST:
        raise ValueError(
            f"early_stopping would hold out {size} of {len(counted)} rows and leave {len(counted) - size} to train on, where "
            f"{_FEWEST} are the least; lower validation_fraction, give more rows, or set early_stopping=False."
        )
    order = rng.permutation(counted)
    return _rows(data, np.sort(order[:size])), _rows(data, np.sort(order[size:]))


def _rows(data: TrainingData, pick: IntArray) -> TrainingData:
    x = data.x if isinstance(data.x, np.ndarray) else data.x.tocsr()
    weights = None if data.weights is None else data.weights[pick]
    return replace(data, x=x[pick], y=data.y[pick], weights=weights)


def fitted_attributes(trained: Trained, data: TrainingData, options: NetworkOptions) -> dict[str, Any]:
    """Return the estimator's attributes, by their names, for a network trained on some rows."""
    path, objective, theta, chosen = trained.path, trained.objective, trained.theta, trained.chosen
    of_y = objective.rows.of_y
    loss, gradient = objective.value_and_gradient(theta)
    norm = float(column_norms(gradient[:, None])[0])  # its squares may overflow where units are the user's
    eps = float(np.finfo(objective.dtype).eps)
    total = float(len(data.y)) if data.weights is None else float(data.weights.sum())

    def residuals() -> Array:
        return weighted_residuals(objective, theta, total)

    noise = noise_of(objective.cross, residuals, of_y.spread, data.weights, len(data.y), eps, options.frequency)
    outside = noise_of_new_rows(trained, total, noise.n, options)
    largest = 1.0 if data.weights is None else float(data.weights.max())
    by_evidence = {}
    if chosen is not None:
        by_evidence = {
            "alpha_": {name: level * largest for name, level in chosen.alpha.items()},
            "effective_parameters_": chosen.effective,
            "log_marginal_likelihood_": _in_units_of_y(chosen, noise.n, of_y.spread),
        }
    needed = predicting(objective, theta, data.single_output)
    state = needed.pop("_state") | {
        "memory": path.memory,
        "noise": options.noise,
        "noise_covariance": noise.covariance,
        "noise_root": noise.root,
        "singular": noise.singular,
        "output_unit": of_y.spread,
        "noise_free": noise.noise_free,
        "frequency": options.frequency,
        "residual_dof": outside.dof,
        "predictive_variance": outside.variance,
        "predictive_source": outside.source,
        "alpha": np.asarray(objective.alpha) * largest,
        "n": noise.n,
        "edge": path.edge,
    }
    return {
        **needed,
        **likelihood_attributes(noise, of_y.spread, objective.network.n_parameters, data.single_output),
        **by_evidence,
        "loss_": loss,
        "loss_curve_": [float(value) for value in path.losses],
        "validation_curve_": trained.validation_curve,
        "gradient_norm_": norm,
        "converged_": not trained.dead and (norm <= options.tol or path.status is Status.CONVERGED),
        "n_iter_": max(1, path.n_iter),
        "n_layers_": len(objective.network.sizes),
        "n_outputs_": objective.network.sizes[-1],
        "solver_": trained.solver,
        "_state": state,
    }


def noise_of_new_rows(trained: Trained, total: float, n: float, options: NetworkOptions) -> PredictiveNoise:
    """Return how far new rows lie from the mean, after a look at the objective where training ended.

    ``total`` is the sum of the weights as given, n the number of observations. Few rows held out may by chance lie near; no
    rows lie nearer in the mean than those of the training.
    """
    if trained.held_out is not None:
        of_training_rows = np.diagonal(trained.objective.cross) * (total / n)
        return replace(trained.held_out, variance=np.maximum(trained.held_out.variance, of_training_rows))
    return of_training(trained.objective, trained.theta, total, n, options.frequency, trained.budget)


def _in_units_of_y(chosen: Chosen, n: float, spread: Array) -> float:
    """Return the log marginal likelihood for y, and the flat prior of its intercepts, in their own units."""
    return chosen.log_marginal_likelihood - (n - 1.0) * float(np.log(spread).sum())


def predicting(objective: NetworkObjective, theta: AnyArray, single_output: bool) -> dict[str, Any]:
    """Return the attributes that predictions from some parameters need."""
    of_x, of_y = objective.rows.of_x, objective.rows.of_y
    state = {
        "theta": np.array(theta, dtype=np.float64),
        "sizes": objective.network.sizes,
        "activation": objective.network.activation.name,
        "units": ((of_x.center, of_x.spread), (of_y.center, of_y.spread)),
        "single_output": single_output,
        "alpha": np.asarray(objective.alpha),
        "curvature": None,
        "posterior": None,
        "edge": np.nan,
    }
    return network_attributes(objective.network, theta, (of_x, of_y)) | {"_state": state}


def attributes_on_the_way(
    objective: NetworkObjective, theta: AnyArray, data: TrainingData, options: NetworkOptions
) -> dict[str, Any]:
    """Return the attributes that predict, and tell how likely rows are, from some parameters.

    The objective is left as it is: the solver that walks on it goes on from what it has seen.
    """
    needed = predicting(objective, theta, data.single_output)
    of_y = objective.rows.of_y
    keep = slice(None) if data.weights is None else data.weights > 0
    weights = None if data.weights is None else data.weights[keep]
    residual = (data.y[keep] - of_y.center) / of_y.spread - objective.outputs(theta)
    cross = residual.T @ (residual if weights is None else weights[:, None] * residual)
    total = float(len(residual)) if weights is None else float(weights.sum())

    def weighted() -> Array:
        return np.asarray(residual if weights is None else residual * np.sqrt(weights)[:, None])

    noise = noise_of(cross / total, weighted, of_y.spread, weights, len(residual), 0.0, options.frequency)
    variance = np.diagonal(noise.covariance) * of_y.spread**2
    state = needed["_state"] | {
        "noise": options.noise,
        "noise_covariance": noise.covariance,
        "output_unit": of_y.spread,
        "noise_root": noise.root,
        "noise_free": noise.noise_free,
        "frequency": options.frequency,
        "residual_dof": np.inf,
        "predictive_variance": np.diagonal(noise.covariance),
    }
    return needed | {
        "_state": state,
        "noise_variance_": float(variance[0]) if data.single_output else variance,
    }
