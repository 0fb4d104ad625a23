"""How sure a trained network is: curvature where training ended, the Gaussian round it, and the mean over several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mle_regression.fit.network import Trained
from mle_regression.fit.network_attributes import noise_of_new_rows
from mle_regression.fit.network_noise import likelihood_attributes, noise_of
from mle_regression.fit.network_options import NetworkOptions
from mle_regression.fitted.network import FittedNetwork
from mle_regression.fitted.network_on_rows import NetworkCurvature, network_on_rows
from mle_regression.fitted.posterior import posterior_of, refusal
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import Status
from mle_regression.solvers.registry import find_network_solver

# What networks that are averaged have in common.
_SHARED = ("sizes", "activation", "units", "single_output", "n", "output_unit")


# Eigenvalues at each end that a fit keeps, where not all are worked out.
_KEPT_EIGENVALUES = 5


def add_curvature(
    state: dict[str, Any], data: TrainingData, options: NetworkOptions, status: Status
) -> tuple[dict[str, Any], NetworkCurvature | None]:
    """Return what to add to a fitted state: a posterior, and the curvature, as far as the options ask for them."""
    if options.curvature is None and not options.by_evidence:
        return {}, None
    fitted, found, curvature, verdict = FittedNetwork(state), {}, None, None
    objective = fitted.objective(data.x, data.y, data.weights)
    if options.curvature is not None:
        curvature = network_on_rows(objective, data).curvature(_KEPT_EIGENVALUES, options.curvature == "full")
        verdict = curvature.judgement.verdict
    posterior = _posterior(objective, state, verdict, _remedy(options, fitted.network, status), options.by_evidence)
    found["posterior"] = posterior
    if not posterior["refusal"]:
        found["residual_dof"] = state["n"] - posterior["effective"] / fitted.network.sizes[-1]
    return found, curvature


@one_blas_thread()
def averaged(
    state: dict[str, Any], others: Iterable[Trained], data: TrainingData, options: NetworkOptions
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Let a fitted network and others predict together, by their mean.

    Returns
    -------
    attributes : dict
        Likelihood and noise of the mean, by the names of the estimator's attributes.
    state : dict
        What to add to the fitted state.
    left_out : list of str
        Of networks that have reached no optimum, where one is called for, and are no part of the mean: why, and what to do.
    """
    known = ("theta", "alpha", "noise_covariance", "predictive_variance", "posterior")
    members, left_out = [{name: state[name] for name in (*_SHARED, *known)}], list[str]()
    for trained in others:
        member = _member(state, trained, data, options)
        if member["posterior"] is not None and member["posterior"]["refusal"]:
            left_out.append(member["posterior"]["refusal"])
        else:
            members.append(member)
    if len(members) > 1 and members[0]["posterior"] is not None and members[0]["posterior"]["refusal"]:
        left_out.append(members.pop(0)["posterior"]["refusal"])
    mean = np.mean([FittedNetwork(member).mean(data.x) for member in members], axis=0)
    spread = state["output_unit"]
    residual = (data.y - mean) / spread
    weights = np.ones(len(residual)) if data.weights is None else data.weights
    cross = residual.T @ (residual * weights[:, None]) / weights.sum()

    def weighted() -> Array:
        return np.asarray(residual * np.sqrt(weights)[:, None])

    noise = noise_of(cross, weighted, spread, data.weights, len(data.y), _eps(options), options.frequency)
    size = len(state["theta"]) * len(members)
    added = {
        "members": tuple(members),
        "noise_covariance": noise.covariance,
        "noise_root": noise.root,
        "noise_free": noise.noise_free,
        "singular": noise.singular,
    }
    return likelihood_attributes(noise, spread, size, state["single_output"]), added, left_out


def _member(state: dict[str, Any], trained: Trained, data: TrainingData, options: NetworkOptions) -> dict[str, Any]:
    theta, objective = trained.theta, trained.objective
    objective.value_and_gradient(theta)
    total = float(len(data.y)) if data.weights is None else float(data.weights.sum())
    alpha = np.asarray(objective.alpha) * (1.0 if data.weights is None else float(data.weights.max()))
    shared = {name: state[name] for name in _SHARED}
    member = shared | {"theta": theta, "alpha": alpha, "posterior": None}
    member["noise_covariance"] = objective.cross * (total / state["n"])
    member["predictive_variance"] = noise_of_new_rows(trained, total, state["n"], options).variance
    if state["posterior"] is not None:
        posed = FittedNetwork(member).objective(data.x, data.y, data.weights)
        remedy = _remedy(options, posed.network, trained.path.status)
        member["posterior"] = _posterior(
            posed, member | {"noise_free": state["noise_free"]}, None, remedy, options.by_evidence
        )
    return member


def _posterior(
    objective: NetworkObjective, state: dict[str, Any], verdict: str | None, remedy: str, by_evidence: bool
) -> dict[str, Any]:
    posterior = posterior_of(objective, state["theta"], state["n"], by_evidence)
    posterior["refusal"] = refusal(posterior, verdict, bool(np.any(state["noise_free"])), remedy)
    return posterior


def _remedy(options: NetworkOptions, network: Network, status: Status) -> str:
    """Say what may lead to an optimum; of what is in use already, nothing."""
    ways = []
    if status is Status.EARLY_STOPPED or options.early_stopping is True:
        ways.append("set early_stopping=False")
    if status is Status.MAX_ITER:
        ways.append("raise max_iter")
    if status is Status.CONVERGED and options.tol > 0 and not options.by_evidence:
        ways.append(f"lower tol from {options.tol:g} (where the data have hardly any noise, deviations are short)")
    solver = None if options.solver == "auto" else find_network_solver(options.solver).name
    if solver not in (None, "lm", "newton"):
        ways.append("take solver='lm' or 'newton'")
    if not network.activation.smooth:
        ways.append(
            f"take a smooth activation, 'tanh' or 'softplus' (at the kinks of {network.activation.name} no gradient vanishes)"
        )
    if options.dtype != "float64":
        ways.append("take dtype='float64'")
    if not options.by_evidence:
        ways.append(
            "let alpha='evidence' choose the penalty"
            if not options.alpha
            else "take a larger alpha, or alpha='evidence'"
        )
    ways.append("try other starts (n_init, random_state)")
    first, rest = ways[0], ways[1:]
    return f"{first[0].upper()}{first[1:]}{''.join(f'; {way}' for way in rest)}."


def _eps(options: NetworkOptions) -> float:
    return float(np.finfo(np.dtype(options.dtype)).eps)
