"""The summary of a fitted network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mle_regression.fitted.network import KeptCurvature, NetworkFit
from mle_regression.fitted.penalty import LeftOutChoice
from mle_regression.reports.digits import fixed, number
from mle_regression.reports.document import Document, Notes, Panel
from mle_regression.reports.linear.dependencies import describe_singular_noise

_SHOWN_PENALTIES = 12
_CRITERIA = (
    "AIC and BIC do not choose between networks, whose Fisher information is singular (Watanabe, 2009): compare "
    "log-likelihoods of rows that they were not trained on."
)


def network_summary(fit: NetworkFit, outputs: Sequence[str]) -> Document:
    """Report on a network: its layers, its training, its likelihood, its curvature if that is known."""
    sizes, members = " - ".join(map(str, fit.sizes)), len(fit.networks)
    several = f"mean of {members} networks, each " if members > 1 else ""
    parts: list[Panel | Notes] = [
        Panel("Likelihood", _likelihood(fit)),
        Panel("Training", _training(fit)),
    ]
    if fit.penalty is not None:
        parts.append(Panel("Penalties that the evidence chose", _penalties(fit.penalty.alpha)))
    if fit.left_out is not None:
        parts.append(Panel("Penalty that rows left out chose", _left_out(fit.left_out)))
    if fit.curvature is not None:
        parts.append(Panel("Curvature: what kind of place is it?", _curvature(fit.curvature)))
    parts.append(Notes("Notes", [*_notes(fit, outputs), _CRITERIA]))
    head = f"{several}{sizes}, {fit.activation}, {len(fit.theta):,} parameters, {fit.likelihood.noise.title}"
    return Document(f"Network by maximum likelihood: {head}", parts)


def _likelihood(fit: NetworkFit) -> list[tuple[str, object]]:
    n, unit = fit.likelihood.n, fit.of_y.spread
    items: list[tuple[str, object]] = [
        ("observations", round(n) if n == round(n) else n),
        ("log-likelihood", fixed(fit.likelihood.log_likelihood, 2)),
        ("noise sd", _each(np.sqrt(np.diagonal(fit.likelihood.covariance_of_y)))),
    ]
    if fit.left_out is not None:
        items.append(("sd of rows left out", _each(np.sqrt(fit.left_out.score) * unit)))
    elif fit.posterior is None and not fit.members:
        deviation = np.sqrt(fit.predictive.variance) * unit * fit.likelihood.noise.deviation
        items.append((f"sd of new rows ({fit.predictive.source})", _each(deviation)))
    if fit.validation_curve:
        items.append(("held-out log-likelihood a row", max(fit.validation_curve)))
    if fit.penalty is not None:
        items.append(("log marginal likelihood", fixed(fit.penalty.log_marginal_likelihood, 2)))
    if fit.posterior is not None:
        items.append(("effective parameters", fit.posterior.effective))
    return items


def _training(fit: NetworkFit) -> list[tuple[str, object]]:
    optimum = fit.optimum
    return [
        ("solver", f"{optimum.solver} ({optimum.solver_reason})" if optimum.solver_reason else optimum.solver),
        ("iterations", optimum.n_iter),
        ("loss", fit.loss),
        ("gradient", optimum.gradient_norm),
    ]


def _penalties(alpha: Mapping[str, float]) -> list[tuple[str, object]]:
    items: list[tuple[str, object]] = list(alpha.items())
    if len(items) <= _SHOWN_PENALTIES:
        return items
    return [*items[:_SHOWN_PENALTIES], ("…", f"{len(items) - _SHOWN_PENALTIES} more in alpha_")]


def _left_out(choice: LeftOutChoice) -> list[tuple[str, object]]:
    penalties, score = choice.penalties, choice.scores.mean(axis=1)
    alpha = choice.by_group
    items: list[tuple[str, object]] = [
        *(
            [(f"alpha of {name}", one) for name, one in alpha.items()]
            if isinstance(alpha, dict)
            else [("alpha", alpha)]
        ),
        ("effective parameters of a network", choice.effective),
        ("networks, folds", f"{choice.networks}, {choice.folds}"),
        ("score", "each row left out by itself" if choice.singly else "of the folds"),
    ]
    if len(penalties):
        items += [
            ("path", f"{number(penalties.max())} to {number(penalties.min())}, {len(penalties)} levels"),
            (
                "share of the variance left",
                f"{number(score.min(), 4)} at the best, {number(score.max(), 4)} at the worst",
            ),
        ]
    return items


def _curvature(found: KeptCurvature) -> list[tuple[str, object]]:
    values = found.eigenvalues
    return [
        ("verdict", found.verdict),
        ("eigenvalues", f"{number(values[0])} to {number(values[-1])}"),
        ("condition number", found.condition_number),
    ]


def _notes(fit: NetworkFit, outputs: Sequence[str]) -> list[str]:
    singular = fit.likelihood.singular
    said = [] if singular is None else [describe_singular_noise(singular, outputs)]
    if fit.curvature is not None:
        said.append(fit.curvature.reason)
    elif not fit.optimum.converged:
        stopped = "where the rows held out were likeliest" if fit.validation_curve else "early"
        if fit.left_out is not None and not fit.left_out.singly:
            stopped = "as on the path of penalties, where steps gained little"
        said.append(
            f"Training has stopped {stopped}, at a gradient of {number(fit.optimum.gradient_norm, 3)}: this is no optimum of "
            "the objective."
        )
    if fit.of_x.bend is not None:
        heavy = np.isfinite(fit.of_x.bend.scale)
        columns = "column has" if heavy.sum() == 1 else "columns have"
        said.append(
            f"{heavy.sum()} of {len(heavy)} {columns} heavy tails, counted as asinh((x - asinh_center_)/asinh_scale_); "
            "standardize=True takes all as they are."
        )
    if not fit.likelihood.noise.sums_suffice:
        said.append("Standard deviations and intervals of predictions are those of the noise alone.")
    elif fit.left_out is not None and fit.posterior is None:
        said.append("Standard deviations of predictions are those of rows left out, and of networks that lie apart.")
    elif fit.posterior is None:
        said.append(
            "Standard deviations of predictions are those of the noise alone; alpha='evidence', or curvature='full', adds "
            "the uncertainty of the parameters."
        )
    elif fit.posterior.invalid_reason:
        said.append(fit.posterior.invalid_reason)
    return said


def _each(values: Any) -> str:
    return ", ".join(number(float(value)) for value in np.atleast_1d(values))
