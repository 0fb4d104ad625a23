"""The parameters of a network's estimator, checked."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from mle_regression.estimator.linear_options import WEIGHT_TYPES
from mle_regression.fit.network_options import NetworkOptions, is_auto
from mle_regression.fit.penalty.evidence import GROUPINGS
from mle_regression.models.activations import find_activation
from mle_regression.noise.registry import find_noise, least_squares_families
from mle_regression.solvers.registry import find_network_solver
from mle_regression.validation import checks
from mle_regression.warnings import warn_user

# Of a parameter under its earlier name, which nobody has set.
_DEPRECATED = "deprecated"


def network_options(estimator: Any) -> NetworkOptions:
    """Read the options of an estimator; raises ValueError on one that makes no sense."""
    given = {field.name: getattr(estimator, field.name) for field in fields(NetworkOptions)}
    hidden = "auto" if is_auto(estimator.hidden_layer_sizes) else _hidden_layers(estimator.hidden_layer_sizes)
    options = NetworkOptions(
        **given
        | {
            "hidden_layer_sizes": hidden,
            "tol": checks.check_tolerance(estimator.tol),
            "alpha": _penalty(estimator.alpha),
            "alpha_per": _penalty_per(estimator),
        }
    )
    _check(estimator, options)
    return options


def _hidden_layers(sizes: Any) -> tuple[int, ...]:
    if isinstance(sizes, (str, bytes)):
        raise ValueError(f"hidden_layer_sizes={sizes!r} is text; give whole numbers, as 10 or (10, 5), or 'auto'.")
    each = list(sizes) if np.iterable(sizes) else [sizes]
    for size in each:
        checks.check_positive_integer("hidden_layer_sizes", size)
    return tuple(int(size) for size in each)


def _penalty(alpha: Any) -> float | str:
    if not isinstance(alpha, str):
        return checks.check_penalty(alpha)
    if alpha not in ("auto", "loo", "evidence"):
        raise ValueError(f"alpha={alpha!r} is neither a number, zero or more, nor 'auto', 'loo' or 'evidence'.")
    return alpha


def _penalty_per(estimator: Any) -> str:
    """Return what has a penalty of its own; under the parameter's earlier name too, until the next version."""
    per = estimator.alpha_per
    if estimator.evidence != _DEPRECATED:
        checks.check_choice("evidence", estimator.evidence, ("single", *GROUPINGS))
        per = "all" if estimator.evidence == "single" else estimator.evidence
        warn_user(
            f"evidence={estimator.evidence!r} is now called alpha_per={per!r}, and will be removed.", FutureWarning
        )
    checks.check_choice("alpha_per", per, ("auto", *GROUPINGS))
    if per == "input" and estimator.alpha != "evidence":
        raise ValueError("alpha_per='input', a penalty for each input, is what alpha='evidence' can choose; set that.")
    if per == "layer" and not isinstance(estimator.alpha, str):
        raise ValueError("alpha_per='layer' is of penalties that the data choose: set alpha='loo' or alpha='evidence'.")
    return str(per)


def _check(estimator: Any, options: NetworkOptions) -> None:
    find_activation(estimator.activation)
    find_noise(estimator.noise)
    if not is_auto(estimator.solver):
        find_network_solver(estimator.solver, estimator.noise)
    checks.check_choice("weight_type", estimator.weight_type, WEIGHT_TYPES)
    checks.check_choice("early_stopping", estimator.early_stopping, ("auto", True, False))
    checks.check_choice("dtype", estimator.dtype, ("float64", "float32"))
    checks.check_positive("effort", estimator.effort)
    checks.check_choice("standardize", estimator.standardize, ("auto", True, False))
    for name in ("warm_start", "ensemble"):
        checks.check_choice(name, getattr(estimator, name), (True, False))
    checks.check_choice("curvature", estimator.curvature, (None, "extremes", "full"))
    checks.check_probability("validation_fraction", estimator.validation_fraction)
    checks.check_positive_integer("n_init", estimator.n_init)
    for name in ("max_iter", "n_iter_no_change", "batch_size"):
        value = getattr(estimator, name)
        endless = (name == "max_iter" and value is None) or (name == "n_iter_no_change" and value == np.inf)
        if not (_is_auto(value, name) or endless):
            checks.check_positive_integer(name, value)
    if not is_auto(estimator.batch_size) and not options.draws_batches:
        raise ValueError(
            f"batch_size={estimator.batch_size!r} has no effect: this solver takes all rows in each step. Leave "
            "batch_size='auto', or take a solver that draws batches: 'sgd', 'adam', 'adamw'."
        )
    if not _is_auto(estimator.learning_rate, "learning_rate"):
        checks.check_positive("learning_rate", estimator.learning_rate)
    if estimator.ensemble and (estimator.n_init == 1 or estimator.warm_start):
        raise ValueError("ensemble=True averages several networks: set n_init to 2 or more, and warm_start=False.")
    if estimator.curvature is not None and not options.family.sums_suffice:
        raise ValueError(
            f"curvature={estimator.curvature!r} is defined for {least_squares_families()} as yet; set curvature=None."
        )
    if options.by_evidence or options.by_left_out:
        _check_chosen_penalty(estimator)


def _check_chosen_penalty(estimator: Any) -> None:
    said = f"alpha={estimator.alpha!r}"
    if not is_auto(estimator.solver) and find_network_solver(estimator.solver).name != "lm":
        raise ValueError(f"{said} is estimated while lm trains; set solver='lm' or 'auto', or a number as alpha.")
    if estimator.early_stopping is True:
        raise ValueError(
            f"{said} needs the optimum under its penalties, and no rows held out; set early_stopping='auto' or False."
        )
    if not find_noise(estimator.noise).sums_suffice:
        raise ValueError(f"{said} is defined for {least_squares_families()} only; set a number as alpha.")
    if estimator.alpha == "loo" and estimator.warm_start:
        raise ValueError(
            "alpha='loo' trains networks from new starts down a path of penalties; set warm_start=False, or give a number as "
            "alpha: alpha_ of an earlier fit, say."
        )
    if estimator.alpha == "loo" and estimator.n_init > 1:
        raise ValueError("alpha='loo' has several starts of its own, and predicts by their mean; set n_init=1.")


def _is_auto(value: Any, name: str) -> bool:
    """Whether an option is "auto"; raise for any other string."""
    if isinstance(value, str) and value != "auto":
        raise ValueError(f"{name}={value!r} is neither a number nor 'auto'.")
    return is_auto(value)
