"""The summary of a fitted network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mle_regression.reports.document import Document, Notes, Panel, number

_SHOWN_PENALTIES = 12
_CRITERIA = (
    "AIC and BIC do not choose between networks, whose Fisher information is singular (Watanabe, 2009): compare "
    "log-likelihoods of rows that they were not trained on."
)


def network_summary(fitted: Mapping[str, Any], state: Mapping[str, Any]) -> Document:
    """Report on a network: its layers, its training, its likelihood, its curvature if that is known.

    Parameters
    ----------
    fitted : mapping
        The estimator's attributes.
    state : mapping
        Its ``_state``.
    """
    sizes, members = " - ".join(map(str, state["sizes"])), len(state.get("members") or (state,))
    several = f"mean of {members} networks, each " if members > 1 else ""
    parts: list[Panel | Notes] = [
        Panel("Likelihood", _likelihood(fitted, state)),
        Panel("Training", _training(fitted)),
    ]
    if "alpha_" in fitted:
        parts.append(Panel("Penalties that the evidence chose", _penalties(fitted["alpha_"])))
    if state["curvature"] is not None:
        parts.append(Panel("Curvature: what kind of place is it?", _curvature(state["curvature"])))
    parts.append(Notes("Notes", [*_notes(fitted, state), _CRITERIA]))
    head = f"{several}{sizes}, {state['activation']}, {len(state['theta']):,} parameters, Gaussian noise"
    return Document(f"Network by maximum likelihood: {head}", parts)


def _likelihood(fitted: Mapping[str, Any], state: Mapping[str, Any]) -> list[tuple[str, object]]:
    items: list[tuple[str, object]] = [
        ("observations", round(state["n"]) if state["n"] == round(state["n"]) else state["n"]),
        ("log-likelihood", f"{fitted['log_likelihood_']:.8g}"),
        ("noise sd", _each(np.sqrt(fitted["noise_variance_"]))),
    ]
    if state["posterior"] is None and not state.get("members"):
        deviation = np.sqrt(state["predictive_variance"]) * state["output_unit"]
        items.append((f"sd of new rows ({state['predictive_source']})", _each(deviation)))
    if fitted["validation_curve_"]:
        items.append(("held-out log-likelihood a row", max(fitted["validation_curve_"])))
    if "log_marginal_likelihood_" in fitted:
        items.append(("log marginal likelihood", f"{fitted['log_marginal_likelihood_']:.8g}"))
    if state["posterior"] is not None:
        items.append(("effective parameters", state["posterior"]["effective"]))
    return items


def _training(fitted: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [
        ("solver", fitted["solver_"]),
        ("iterations", fitted["n_iter_"]),
        ("loss", fitted["loss_"]),
        ("gradient", fitted["gradient_norm_"]),
    ]


def _penalties(alpha: Mapping[str, float]) -> list[tuple[str, object]]:
    items: list[tuple[str, object]] = list(alpha.items())
    if len(items) <= _SHOWN_PENALTIES:
        return items
    return [*items[:_SHOWN_PENALTIES], ("…", f"{len(items) - _SHOWN_PENALTIES} more in alpha_")]


def _curvature(found: Mapping[str, Any]) -> list[tuple[str, object]]:
    values = found["eigenvalues"]
    return [
        ("verdict", found["verdict"]),
        ("eigenvalues", f"{number(values[0])} to {number(values[-1])}"),
        ("condition number", found["condition_number"]),
    ]


def _notes(fitted: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    said = [state["singular"]] if state["singular"] else []
    if state["curvature"] is not None:
        said.append(str(state["curvature"]["reason"]))
    elif not fitted["converged_"]:
        stopped = "where the rows held out were likeliest" if fitted["validation_curve_"] else "early"
        said.append(
            f"Training has stopped {stopped}, at a gradient of {number(fitted['gradient_norm_'], 3)}: this is no optimum of "
            "the objective."
        )
    if state["posterior"] is None:
        said.append(
            "Standard deviations of predictions are those of the noise alone; alpha='evidence', or curvature='full', adds "
            "the uncertainty of the parameters."
        )
    elif state["posterior"]["refusal"]:
        said.append(str(state["posterior"]["refusal"]))
    return said


def _each(values: Any) -> str:
    return ", ".join(number(float(value)) for value in np.atleast_1d(values))
