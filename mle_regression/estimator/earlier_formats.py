"""Fits that earlier versions have stored, as those of today.

Formats 0 to 2 keep a fit as two dicts, ``_state`` and ``_sums``, beside the public attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import null_space

from mle_regression.diagnostics.laplace_approximation import Inverse
from mle_regression.diagnostics.likelihood import COVARIANCE_CONDITION
from mle_regression.diagnostics.noise_factor import SingularNoise, factor_of_cross
from mle_regression.fit.incremental import RunningSums
from mle_regression.fitted.likelihood import Likelihood
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.network import KeptCurvature, NetworkFit
from mle_regression.fitted.optimum import Optimum
from mle_regression.fitted.penalty import LinearPenalty, PenaltyChoice
from mle_regression.fitted.posterior import Posterior
from mle_regression.fitted.predictive_noise import PredictiveNoise
from mle_regression.linalg.exact import Fixed
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments
from mle_regression.linalg.information import DenseInformation, InformationFactor
from mle_regression.linalg.product_information import ProductInformation
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.sparse_information import SparseInformation
from mle_regression.linalg.spectral_information import SpectralInformation
from mle_regression.linalg.sums import ExactSums
from mle_regression.rows.base import Totals
from mle_regression.rows.standard import Units

# Components of unit vectors that are no more than rounding.
_COMPONENT_ROUNDING = 1e-9


def typed_fit(state: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the attributes of an estimator in which ``_fit`` and ``_sums`` are typed; raises KeyError where some lack."""
    new = {name: value for name, value in state.items() if name != "_state"}
    if "_sums" in state:
        new["_sums"] = _running_sums(state["_sums"])
    if "_state" not in state:
        return new
    old = _upgraded(dict(state), number)["_state"]
    if "theta" in old:
        new["_fit"] = _network_fit(old, state)
        new["solver_"], new["solver_reason_"] = new["_fit"].optimum.solver, new["_fit"].optimum.solver_reason
    else:
        new["_fit"] = with_choice(_linear_fit(old, state), state)
        new["solver_reason_"] = ""
    return new


def with_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes in which parameters have their names of today: up to format 4 `alpha_per` was `evidence`."""
    per = {"single": "all", "layer": "auto", "input": "input"}
    if state.get("evidence") not in per:
        return dict(state)
    return {**state, "alpha_per": per[state["evidence"]], "evidence": "deprecated"}


def with_choice(fit: LinearFit, state: Mapping[str, Any]) -> LinearFit:
    """Return a linear fit with the penalty that the evidence has chosen, which up to format 3 only the attributes tell."""
    if "log_marginal_likelihood_" not in state:
        return fit
    value = np.array([state["log_marginal_likelihood_"]])
    return replace(fit, chosen=LinearPenalty("evidence", state["alpha_"], value, ("",)))


def with_ending(state: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of an estimator with what files did not always tell: gradients on the way, and how it ended."""
    if "loss_curve_" not in state:
        return state
    return {"gradient_curve_": [], "stop_reason_": ""} | state


def _singular(text: str, m: int) -> SingularNoise | None:
    """Return why the likelihood is unbounded, of which only a sentence is left."""
    return SingularNoise((), m) if text else None


def _optimum(state: Mapping[str, Any], solver: str, reason: str, verdict: str) -> Optimum:
    return Optimum(
        solver,
        reason,
        verdict,
        bool(state["converged_"]),
        int(state["n_iter_"]),
        tuple(state["loss_curve_"]),
        float(state["gradient_norm_"]),
    )


def _linear_fit(old: dict[str, Any], state: Mapping[str, Any]) -> LinearFit:
    coef = np.asarray(state["coef_"])
    m, exponent = np.atleast_2d(coef).shape[0], old["noise_exponent"]
    likelihood = Likelihood(
        family=old["noise"],
        frequency=old["frequency"],
        covariance=scale(old["noise_covariance"], -(exponent[:, None] + exponent)),
        root=old["noise_root"],
        unit=np.ones(m),
        exponent=exponent,
        noise_free=old["noise_free"],
        singular=_singular(old["singular"], m),
        log_likelihood=state["log_likelihood_"],
        n=old["n"],
        n_parameters=state["n_parameters_"],
        residual_dof=old["residual_dof"],
    )
    intercept = np.broadcast_to(np.asarray(state["intercept_"], dtype=np.float64), (m,)).copy()
    return LinearFit(
        features=tuple(f"x{j}" for j in range(coef.shape[-1])),
        coef=np.atleast_2d(coef).T,
        intercept=intercept,
        information=_information(old["geometry"]),
        residual_squares=old["residual_squares"],
        residual_scale=old["residual_scale"],
        effective_dof=old["effective_dof"],
        output_exponent=old["output_exponent"],
        weight_exponent=old["weight_exponent"],
        likelihood=likelihood,
        optimum=_optimum(state, state["solver_"], "", state["verdict_"]),
        totals=Totals(**old["totals"]),
        refined=bool(state["refined_"]),
        single_output=coef.ndim == 1,
        eps=old["eps"],
        notes=tuple(old["notes"]),
        rates=tuple(old["rates"]),
        gradient=old["gradient"],
        memory=old["memory"],
    )


def _information(state: dict[str, Any]) -> InformationFactor:
    if "explained" in state:
        return ProductInformation(**state)
    if "basis" in state:
        return SpectralInformation(**state)
    if "indptr" not in state:
        return DenseInformation(**state)
    rest = dict(state)
    arrays = rest.pop("data"), rest.pop("indices"), rest.pop("indptr")
    return SparseInformation(gram=sp.csr_array(arrays, shape=(len(arrays[2]) - 1,) * 2), **rest)


def _running_sums(old: dict[str, Any]) -> RunningSums:
    # Of earlier versions, none tells whether the sums were exact but that nothing was rounded.
    weight, n, checked, dependent, constant, *given = old["counts"]
    n_features, n_outputs = old["shape"]
    return RunningSums(
        n_features=n_features,
        n_outputs=n_outputs,
        totals=Totals(**old["totals"]),
        eps=old["eps"],
        exact=ExactSums(Fixed(old["digits"], old["top"]), old["limbs"]),
        rounded=Moments(*old["rounded"]) if old["rounded"] else None,
        frame=Frame(*old["frame"]),
        rounded_weight=weight,
        n_rounded=n,
        checked=checked,
        dependent=dependent,
        constant=constant,
        as_given=bool(given[0]) if given else not old["rounded"],
        single_output=old["single_output"],
    )


def _network_fit(old: dict[str, Any], state: Mapping[str, Any]) -> NetworkFit:
    of_x, of_y = (Units(*pair) for pair in old["units"])
    # "lm (few parameters)": the name, and why it was chosen.
    solver, _, reason = str(state["solver_"]).partition(" (")
    fit = NetworkFit(
        theta=old["theta"],
        sizes=tuple(old["sizes"]),
        activation=old["activation"],
        of_x=of_x,
        of_y=of_y,
        alpha=np.asarray(old["alpha"]),
        single_output=old["single_output"],
        likelihood=_network_likelihood(old, state),
        predictive=PredictiveNoise(old["predictive_variance"], old["residual_dof"], old["predictive_source"]),
        optimum=_optimum(state, solver, reason.rstrip(")"), ""),
        loss=float(state["loss_"]),
        validation_curve=tuple(state["validation_curve_"]),
        stability_limit=float(old["edge"]),
        memory=old["memory"],
        penalty=_network_penalty(state),
        posterior=_posterior(old["posterior"]),
        curvature=None if old["curvature"] is None else KeptCurvature(**old["curvature"]),
    )
    members = tuple(_member(fit, member) for member in old.get("members") or ())
    return replace(fit, members=members)


def _network_likelihood(old: dict[str, Any], state: Mapping[str, Any]) -> Likelihood:
    m = len(old["noise_covariance"])
    return Likelihood(
        family=old["noise"],
        frequency=old["frequency"],
        covariance=old["noise_covariance"],
        root=old["noise_root"],
        unit=old["output_unit"],
        exponent=np.zeros(m, dtype=np.int64),
        noise_free=old["noise_free"],
        singular=_singular(old["singular"], m),
        log_likelihood=state["log_likelihood_"],
        n=old["n"],
        n_parameters=state["n_parameters_"],
        residual_dof=old["residual_dof"],
    )


def _network_penalty(state: Mapping[str, Any]) -> PenaltyChoice | None:
    if "alpha_" not in state:
        return None
    evidence = state["log_marginal_likelihood_"]
    return PenaltyChoice(dict(state["alpha_"]), state["effective_parameters_"], evidence, [])


def _member(fit: NetworkFit, member: dict[str, Any]) -> NetworkFit:
    likelihood = replace(fit.likelihood, covariance=member["noise_covariance"])
    return replace(
        fit,
        theta=member["theta"],
        alpha=np.asarray(member["alpha"]),
        likelihood=likelihood,
        predictive=replace(fit.predictive, variance=member["predictive_variance"]),
        posterior=_posterior(member["posterior"]),
        curvature=None,
        memory={},
    )


def _posterior(old: dict[str, Any] | None) -> Posterior | None:
    if old is None:
        return None
    covariance = None if old["covariance"] is None else Inverse(**old["covariance"])
    return Posterior(covariance, old["effective"], old["noise"], old["distance"], old["refusal"])


# Formats before the second, as dicts.


def _upgraded(state: dict[str, Any], number: int) -> dict[str, Any]:
    """Return attributes of format ``number`` in that of today.

    Format 0 has of the noise its covariance alone, that of the training rows, and whether there is none.
    """
    old = state.get("_state", {})
    if number > 0 or "noise_covariance" not in old or "noise_root" in old:
        return state
    covariance, m = old["noise_covariance"], len(old["noise_covariance"])
    exponent = np.zeros(m, dtype=np.int64)
    if "output_exponent" in old and "weight_exponent" in old:
        exponent = old["output_exponent"] + old["weight_exponent"]
    root = factor_of_cross(scale(covariance, -(exponent[:, None] + exponent)), COVARIANCE_CONDITION)
    new = {key: value for key, value in old.items() if key != "exact"}
    new["noise_root"], new["singular"] = np.zeros((0, 0)) if root is None else root, ""
    new["noise_free"] = np.array(np.broadcast_to(old.get("exact", old.get("noise_free", False)), m))
    if "output_exponent" in old:
        new["noise_exponent"] = exponent
        new["gradient"], new["memory"] = np.zeros((0, 0)), {}
    if "theta" in old:
        new = _with_posteriors(_with_predictive_noise(new))
    return state | {"_state": new}


def _with_predictive_noise(network: dict[str, Any]) -> dict[str, Any]:
    """Return a network's state, and those of its ensemble, with the noise of new rows: in format 0, that of the training."""
    variance = np.diagonal(network["noise_covariance"]).copy()
    new = network | {"predictive_variance": variance, "predictive_source": "training rows"}
    if new.get("members"):
        new["members"] = tuple(_with_predictive_noise(member) for member in new["members"])
    return new


def _with_posteriors(network: dict[str, Any]) -> dict[str, Any]:
    """Return a network's state, and those of its ensemble, with posteriors as `posterior_of` has them.

    Format 0 has a root of all parameters, or of the last layer alone, which says too little.
    """
    new = dict(network)
    if "members" in network:
        new["members"] = tuple(_with_posteriors(member) for member in network["members"])
    old = network.get("posterior")
    if old is None or "covariance" in old:
        return new
    posterior = {name: old[name] for name in ("effective", "noise", "distance", "refusal")} | {"covariance": None}
    if old["kind"] == "all parameters":
        size, undetermined = len(old["root"]), old["undetermined"]
        free = np.abs(undetermined).max(axis=1, initial=0.0) > _COMPONENT_ROUNDING
        seen = np.zeros((size, int(free.sum()) - undetermined.shape[1]))
        if seen.size:
            seen[free] = null_space(undetermined[free].T)[:, : seen.shape[1]]
        nothing = {"prior": np.zeros(size), "basis": np.zeros((size, 0))}
        posterior["covariance"] = {"root": old["root"], "free": free, "seen": seen} | nothing
    elif not posterior["refusal"]:
        posterior["refusal"] = (
            "This network was stored by an earlier version of mle_regression, which knew the uncertainty of its last layer "
            "alone: fit again."
        )
    return new | {"posterior": posterior}
