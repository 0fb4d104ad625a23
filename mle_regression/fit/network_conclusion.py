"""What the training of a network has led to: noise, likelihood, curvature and posterior, and the mean over several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from mle_regression.fit.network import Trained
from mle_regression.fit.network_likelihood import likelihood_of, weighted_residuals
from mle_regression.fit.network_options import NetworkOptions
from mle_regression.fit.predictive_noise import of_scales, of_training
from mle_regression.fitted.network import NetworkFit
from mle_regression.fitted.network_on_rows import NetworkCurvature, network_on_rows
from mle_regression.fitted.optimum import Optimum
from mle_regression.fitted.penalty import PenaltyChoice
from mle_regression.fitted.posterior import Posterior, invalid_reason, posterior_of
from mle_regression.fitted.predictive_noise import TRAINING, PredictiveNoise
from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.linalg.scaling import column_norms
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.models.network import Network
from mle_regression.noise.scale import likeliest_scales
from mle_regression.objective.base import Evaluation
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.standard import standard_rows
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import Status
from mle_regression.solvers.registry import find_network_solver

# Eigenvalues at each end that a fit keeps, where not all are worked out.
_KEPT_EIGENVALUES = 5


def conclude(trained: Trained, data: TrainingData, options: NetworkOptions) -> NetworkFit:
    """Return what a network trained on some rows knows, but for its curvature."""
    objective, theta = trained.objective, trained.theta
    rows, network, here = objective.rows, objective.network, objective.evaluate(theta)
    total, largest = _weights(data)

    def residuals() -> Array:
        return weighted_residuals(objective, theta, total)

    eps, spread = float(np.finfo(objective.dtype).eps), rows.of_y.spread
    likelihood = likelihood_of(
        options.family,
        here.cross,
        residuals,
        spread,
        data.weights,
        len(data.y),
        eps,
        options.frequency,
        network.n_parameters,
    )
    predictive = noise_of_new_rows(trained, here.cross, total, likelihood.n, options)
    return NetworkFit(
        theta=trained.parameters,
        sizes=network.sizes,
        activation=network.activation.name,
        of_x=rows.of_x,
        of_y=rows.of_y,
        alpha=np.asarray(objective.alpha) * largest,
        single_output=data.single_output,
        likelihood=replace(likelihood, residual_dof=predictive.dof),
        predictive=predictive,
        optimum=_optimum(trained, here, options.tol),
        loss=here.value,
        validation_curve=tuple(trained.validation_curve),
        stability_limit=trained.path.stability_limit,
        memory=trained.path.memory,
        penalty=None if trained.chosen is None else _as_given(trained.chosen, largest, likelihood.n, spread),
        left_out=trained.left_out,
    )


def _optimum(trained: Trained, here: Evaluation, tol: float) -> Optimum:
    """Return how training has ended, by the objective there."""
    path = trained.path
    norm = float(column_norms(here.gradient[:, None])[0])  # its squares may overflow where units are the user's
    return Optimum(
        solver=trained.solver,
        solver_reason=trained.reason,
        verdict="",
        converged=not trained.dead and (norm <= tol or path.status is Status.CONVERGED),
        n_iter=max(1, path.n_iter),
        loss_curve=tuple(float(value) for value in path.losses),
        gradient_norm=norm,
        gradient_curve=tuple(float(value) for value in path.gradient_norms),
        stop_reason=path.status.name.lower(),
    )


def conclude_on_the_way(
    objective: NetworkObjective, theta: AnyArray, data: TrainingData, options: NetworkOptions
) -> NetworkFit:
    """Return a fit that predicts, and tells how likely rows are, from some parameters.

    The objective is left as it is: the solver that walks on it goes on from what it has seen. It may be of some of the rows
    only, as that of a network which others are left out of.
    """
    rows, network = objective.rows, objective.network
    keep = slice(None) if data.weights is None else data.weights > 0
    if objective.n_rows != len(data.y[keep]):
        objective = replace(objective, rows=standard_rows(data, (rows.of_x, rows.of_y), options.dtype))
    weights = None if data.weights is None else data.weights[keep]
    residual = (data.y[keep] - rows.of_y.center) / rows.of_y.spread - objective.outputs(theta)
    cross = residual.T @ (residual if weights is None else weights[:, None] * residual)
    total = float(len(residual)) if weights is None else float(weights.sum())

    def weighted() -> Array:
        return np.asarray(residual if weights is None else residual * np.sqrt(weights)[:, None])

    likelihood = likelihood_of(
        options.family,
        cross / total,
        weighted,
        rows.of_y.spread,
        weights,
        len(residual),
        0.0,
        options.frequency,
        network.n_parameters,
    )
    return NetworkFit(
        theta=np.array(theta[: network.n_parameters], dtype=np.float64),
        sizes=network.sizes,
        activation=network.activation.name,
        of_x=rows.of_x,
        of_y=rows.of_y,
        alpha=np.asarray(objective.alpha),
        single_output=data.single_output,
        likelihood=likelihood,
        predictive=PredictiveNoise(likelihood.scales**2, np.inf, TRAINING),
        optimum=Optimum("", "", "", False, 0, (), np.nan),
        loss=np.nan,
        validation_curve=(),
        stability_limit=np.nan,
        memory={},
    )


def noise_of_new_rows(
    trained: Trained, cross: Array, total: float, n: float, options: NetworkOptions
) -> PredictiveNoise:
    """Return how far new rows lie from the mean.

    ``cross`` (m, m) are the mean cross-products of the training residuals, ``total`` is the sum of the weights as given, and
    n the number of observations. Few rows held out may by chance lie near; no rows lie nearer in the mean than those of the
    training.
    """
    if not options.family.sums_suffice:
        scales, held_out = _scales(trained, total, options), trained.held_out
        if held_out is None:
            return of_scales(scales, n, len(trained.parameters))
        return replace(held_out, variance=np.maximum(held_out.variance, scales**2))
    if trained.held_out is not None:
        of_training_rows = np.diagonal(cross) * (total / n)
        return replace(trained.held_out, variance=np.maximum(trained.held_out.variance, of_training_rows))
    return of_training(trained.objective, trained.theta, cross, total, n, options.frequency, trained.budget)


def _scales(trained: Trained, total: float, options: NetworkOptions) -> Array:
    """Return the noise scales (m,) that make the training rows likeliest; weights add up to ``total``."""
    rows, frequency = trained.objective.rows, options.frequency
    weights = None if rows.weights is None else rows.weights * (total / rows.total)
    residuals = weighted_residuals(trained.objective, trained.theta, total)
    if weights is not None:
        residuals = residuals / np.sqrt(weights)[:, None]
    return likeliest_scales(options.family, residuals, weights, frequency=frequency)


def add_curvature(
    fit: NetworkFit, data: TrainingData, options: NetworkOptions, status: Status
) -> tuple[NetworkFit, NetworkCurvature | None]:
    """Return a fit with its posterior, and the curvature, as far as the options ask for them."""
    if options.curvature is None and not options.by_evidence:
        return fit, None
    objective, curvature, verdict = fit.objective(data.x, data.y, data.weights), None, ""
    if options.curvature is not None:
        curvature = network_on_rows(objective, data).curvature(_KEPT_EIGENVALUES, options.curvature == "full")
        verdict = curvature.judgement.verdict
    posterior = _posterior(objective, fit, verdict, _remedy(options, fit.network, status), options.by_evidence)
    likelihood = fit.likelihood
    if not posterior.invalid_reason:
        left = likelihood.n - posterior.effective / likelihood.n_outputs
        likelihood = replace(likelihood, residual_dof=left)
    return replace(fit, posterior=posterior, likelihood=likelihood), curvature


@one_blas_thread()
def averaged(
    fit: NetworkFit, others: Iterable[Trained], data: TrainingData, options: NetworkOptions
) -> tuple[NetworkFit, list[str]]:
    """Let a fitted network and others predict together, by their mean.

    Returns
    -------
    fit : NetworkFit
        With the likelihood and the noise of the mean.
    left_out : list of str
        Of networks that have reached no optimum, where one is called for, and are no part of the mean: why, and what to do.
    """
    members, left_out = [fit], list[str]()
    for trained in others:
        member = _member(fit, trained, data, options)
        if member.posterior is not None and member.posterior.invalid_reason:
            left_out.append(member.posterior.invalid_reason)
        else:
            members.append(member)
    if len(members) > 1 and fit.posterior is not None and fit.posterior.invalid_reason:
        left_out.append(fit.posterior.invalid_reason)
        members.pop(0)
    mean = np.mean([member.own_mean(data.x) for member in members], axis=0)
    spread = fit.of_y.spread
    residual = (data.y - mean) / spread
    weights = np.ones(len(residual)) if data.weights is None else data.weights
    cross = residual.T @ (residual * weights[:, None]) / weights.sum()

    def weighted() -> Array:
        counted = weights > 0
        return np.asarray((residual * np.sqrt(weights)[:, None])[counted])

    eps, size = float(np.finfo(np.dtype(options.dtype)).eps), len(fit.theta) * len(members)
    found = likelihood_of(
        options.family, cross, weighted, spread, data.weights, len(data.y), eps, options.frequency, size
    )
    likelihood = replace(found, residual_dof=fit.likelihood.residual_dof)
    return replace(fit, members=tuple(members), likelihood=likelihood), left_out


def _member(fit: NetworkFit, trained: Trained, data: TrainingData, options: NetworkOptions) -> NetworkFit:
    """Return one of several networks, as much of it as predictions ask for."""
    theta, objective, n = trained.theta, trained.objective, fit.likelihood.n
    cross = objective.evaluate(theta).cross
    total, largest = _weights(data)
    member = replace(
        fit,
        theta=trained.parameters,
        alpha=np.asarray(objective.alpha) * largest,
        likelihood=replace(fit.likelihood, covariance=cross * (total / n)),
        predictive=noise_of_new_rows(trained, cross, total, n, options),
        memory={},
        posterior=None,
        curvature=None,
        penalty=None,
        left_out=None,
    )
    if fit.posterior is None:
        return member
    posed = member.objective(data.x, data.y, data.weights)
    remedy = _remedy(options, posed.network, trained.path.status)
    return replace(member, posterior=_posterior(posed, member, "", remedy, options.by_evidence))


def _posterior(objective: NetworkObjective, fit: NetworkFit, verdict: str, remedy: str, by_evidence: bool) -> Posterior:
    posterior = posterior_of(objective, fit.theta, fit.likelihood.n, by_evidence)
    reason = invalid_reason(posterior, verdict, bool(fit.likelihood.noise_free.any()), remedy)
    return replace(posterior, invalid_reason=reason)


def _weights(data: TrainingData) -> tuple[float, float]:
    """Return the sum of the weights, and the largest."""
    return data.total_weight, 1.0 if data.weights is None else float(data.weights.max())


def _as_given(chosen: PenaltyChoice, largest: float, n: float, spread: Array) -> PenaltyChoice:
    """Return penalties for weights as given, and the evidence for y, and the flat prior of its intercepts, in their units."""
    alpha = {name: level * largest for name, level in chosen.alpha.items()}
    evidence = chosen.log_marginal_likelihood - (n - 1.0) * float(np.log(spread).sum())
    return replace(chosen, alpha=alpha, log_marginal_likelihood=evidence)


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
