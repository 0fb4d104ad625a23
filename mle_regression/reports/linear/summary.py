"""The summary of a linear fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from mle_regression.diagnostics.accuracy import expected_digits
from mle_regression.diagnostics.collinearity import scaled_condition
from mle_regression.diagnostics.curvature import descent, hessian_spectrum
from mle_regression.diagnostics.near_dependencies import HARMFUL_INFLATION, near_dependencies
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.penalty import INFINITY, ZERO, LinearPenalty
from mle_regression.linalg.arrays import Array
from mle_regression.reports.digits import fixed, number, p_value, with_error
from mle_regression.reports.document import Document, Notes, Panel, Table
from mle_regression.reports.linear.coefficients import table_of_fit
from mle_regression.reports.linear.dependencies import describe_near_dependency

_SHOWN_EIGENVALUES, _SHOWN_DEPENDENCIES = 4, 3
_CRITERIA = {"loo": "mean square left out", "evidence": "log marginal likelihood"}
_NOTHING_STANDS_OUT = "Nothing stands out. Whether the noise is as assumed, diagnose(X, y).tests() tells."
_FEW_ROWS_PER_PARAMETER, _SHOWN_PENALTIES = 5.0, 6
# Digits of what was worked out exactly, and the ratio of residuals to means that stands for infinity.
_REFINED_DIGITS, _NO_FIT = 15.0, 1e16


def linear_summary(fit: LinearFit | JointFit, confidence: float) -> Document:
    """Report on a linear fit: model, goodness, coefficients, curvature, and what to be wary of."""
    told = notes(fit)
    if isinstance(fit, LinearFit) and fit.optimum.verdict == "unique minimum" and not fit.penalised:
        told += near_dependency_notes(fit)
    table = table_of_fit(fit, confidence)
    return Document(
        f"Linear regression by maximum likelihood: {model_line(fit)}",
        [
            Panel("", goodness(fit)),
            Table(f"Coefficients, with {100 * confidence:g} % limits", table),
            Panel("Curvature: what kind of optimum is it?", curvature_items(fit)),
            Notes("Notes", told or [_NOTHING_STANDS_OUT]),
        ],
    )


def model_line(fit: LinearFit | JointFit) -> str:
    """Say in one line what was fitted."""
    p = len(fit.features)
    parts = [f"{p} column{'s' * (p != 1)}", "intercept" if fit.centred else "no intercept", fit.likelihood.noise.title]
    if fit.penalised:
        alpha = fit.alpha * 4.0**fit.weight_exponent * fit.likelihood.noise.information
        parts.append(f"Gaussian prior (alpha={_shortened(np.atleast_1d(alpha))})")
    if not fit.single_output:
        parts.append(f"{fit.params.shape[1]} outputs")
    return ", ".join(parts)


def goodness(fit: LinearFit | JointFit) -> list[tuple[str, object]]:
    """How many rows and parameters, how well they fit, how likely."""
    uncentred = "" if fit.centred else " (about zero)"
    items: list[tuple[str, object]] = [
        ("observations", round(fit.n) if fit.n == round(fit.n) else fit.n),
        (
            "effective parameters" if fit.penalised else "rank",
            _one_or_each(fit.effective_dof) if fit.penalised else fit.rank,
        ),
        ("residual dof", _one_or_each(fit.residual_dof)),
        (f"R²{uncentred}", _each(fit.r2)),
        (f"adjusted R²{uncentred}", _each(fit.adjusted_r2)),
        ("residual sd s", _deviations(np.sqrt(fit.residual_variance), fit.residual_dof)),
    ]
    if isinstance(fit, LinearFit) and not fit.penalised and fit.rank > int(fit.centred):
        test = fit.overall_f_test()
        items += [
            (f"F({test.df_num}, {test.df_denom:.6g})", _each(test.statistic)),
            ("p-value of F", "  ".join(p_value(float(p)) for p in np.atleast_1d(test.p_value))),
        ]
    if fit.chosen is not None:
        items.append((_CRITERIA[fit.chosen.method], _each(fit.chosen.value)))
    criteria = fit.likelihood.criteria
    items += [
        ("log-likelihood", fixed(fit.likelihood.log_likelihood, 2)),
        ("AIC", fixed(criteria["aic_"], 2)),
        ("BIC", fixed(criteria["bic_"], 2)),
        ("solver", solver_line(fit)),
    ]
    return items


def solver_line(fit: LinearFit | JointFit) -> str:
    """Say which solver ran, and how long it took."""
    if fit.refined:
        return f"{fit.optimum.solver}, refined"
    return f"{fit.optimum.solver}, {fit.optimum.n_iter} steps" if fit.optimum.n_iter > 1 else fit.optimum.solver


def curvature_items(fit: LinearFit | JointFit) -> list[tuple[str, object]]:
    """Eigenvalues, conditions, verdict and the digits to expect."""
    if isinstance(fit, JointFit):
        conditions = fit.joined(lambda part: hessian_spectrum(part.information).condition)
        scaled = fit.joined(lambda part: scaled_condition(part.information))
        return [
            ("verdict", fit.optimum.verdict),
            ("condition numbers", _each(conditions)),
            ("conditions of [1 X], columns of unit length", _each(scaled)),
        ]
    spectrum, condition = hessian_spectrum(fit.information), scaled_condition(fit.information)
    values = spectrum.eigenvalues
    if len(values) <= 2 * _SHOWN_EIGENVALUES:
        shown = "  ".join(f"{value:.3g}" for value in values)
    else:
        low, high = values[:_SHOWN_EIGENVALUES], values[-_SHOWN_EIGENVALUES:]
        shown = "  ".join([*(f"{v:.3g}" for v in low), "…", *(f"{v:.3g}" for v in high)])
    digits = (
        "0: not determined" if fit.optimum.verdict != "unique minimum" else f"{_computed_digits(fit, condition):.0f}"
    )
    steps = descent(values, fit.information.rank)
    return [
        ("verdict", fit.optimum.verdict),
        ("eigenvalues of the Hessian", shown),
        ("condition number", f"{spectrum.condition:.3g}"),
        ("condition of [1 X], columns of unit length", f"{condition:.3g}"),
        ("correct digits expected", digits),
        ("digits if X was rounded when stored", f"{_data_digits(fit, condition):.0f}"),
        ("gradient descent, optimal step", f"{steps.iterations:.3g} iteration{'s' * (steps.iterations != 1)} to 1e-6"),
    ]


def notes(fit: LinearFit | JointFit) -> list[str]:
    """Say in plain words what to be wary of, and what to do."""
    points, noise = list(fit.notes), fit.likelihood.noise
    if not noise.sums_suffice:
        points.append(
            f"Standard errors are those of the expected information under {noise.title}, and limits normal. Eigenvalues and "
            "conditions are of least squares in the same columns, which that information is proportional to."
        )
    if not fit.centred:
        points.append(
            "Without an intercept R² is measured about zero: it is not comparable with that of a model with one, nor with "
            "score(), which measures about the mean of y."
        )
    if fit.penalised:
        points.append(
            "After a penalised fit the deviations are those of the posterior under the Gaussian prior, and there are no "
            "p-values" + ("; choose alpha by held-out log-likelihood." if fit.chosen is None else ".")
        )
    points += _of_choice(fit.chosen)
    dof, least = float(np.max(fit.effective_dof)), float(np.min(fit.residual_dof))
    if least <= 0:
        points.append(
            "No residual degrees of freedom: nothing is left to estimate the noise from. Take fewer columns, more rows, "
            "or a penalty alpha > 0."
        )
    elif fit.n < _FEW_ROWS_PER_PARAMETER * dof:
        points.append(
            f"Only {number(fit.n / dof, 2)} observations for each parameter: R² flatters; compare "
            "cross-validated scores (compare_models), or set alpha > 0."
        )
    if fit.eps > np.finfo(np.float64).eps:
        points.append("X is float32: its own rounding leaves about seven digits of what it measures.")
    return points


def _of_choice(chosen: LinearPenalty | None) -> list[str]:
    """Say how the data have chosen the penalty, and whether it is a limit."""
    if chosen is None or chosen.method != "loo":
        return []
    limits = chosen.limits
    points = [
        "alpha was chosen to foretell rows left out one at a time; alpha_path_ has the penalties that were tried."
    ]
    if ZERO in limits:
        points.append(f"Rows left out are foretold best without a penalty{_whose(limits, ZERO)}: alpha_ is 0.")
    if INFINITY in limits:
        points.append(f"Rows left out are foretold best without any column{_whose(limits, INFINITY)}: alpha_ is large.")
    if chosen.own.size:
        points.append(f"{chosen.own.size} rows that have a parameter of their own each are left out of that score.")
    return points


def _whose(limits: tuple[str, ...], limit: str) -> str:
    """Name the outputs that have a limit, if there are others."""
    which = [str(k) for k, one in enumerate(limits) if one == limit]
    return "" if len(which) == len(limits) else f" of outputs {', '.join(which)}"


def near_dependency_notes(fit: LinearFit) -> list[str]:
    """Say which columns are nearly combinations of others."""
    return [
        f"Nearly dependent columns (variance inflation {dependency.inflation:.3g}, harmful from {HARMFUL_INFLATION:g}): "
        f"{describe_near_dependency(dependency, fit.features)}. Their coefficients are unsure, though their sum may not "
        "be; leave one out, combine them, or set alpha > 0."
        for dependency in near_dependencies(fit.information, most=_SHOWN_DEPENDENCIES)
    ]


def _computed_digits(fit: LinearFit, condition: float) -> float:
    return _REFINED_DIGITS if fit.refined else expected_digits(condition, _residual_ratio(fit))


def _data_digits(fit: LinearFit, condition: float) -> float:
    return expected_digits(condition, _residual_ratio(fit), fit.eps)


def _residual_ratio(fit: LinearFit) -> float:
    """‖r‖/‖Xβ‖, of the output where it is largest."""
    mean = fit.information.total * (fit.params[0] * 2.0**-fit.output_exponent) ** 2 if fit.centred else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(fit.residual_squares / (fit.explained + mean))
    return float(np.nan_to_num(ratio, nan=0.0, posinf=_NO_FIT).max())


def _deviations(deviations: Any, dof: float | Array) -> str:
    """Write residual standard deviations to the digits that their standard errors s/√(2 dof) leave."""
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.atleast_1d(deviations) / np.sqrt(2 * np.maximum(np.asarray(dof, dtype=np.float64), 0.0))
    pairs = np.broadcast_arrays(np.atleast_1d(deviations), errors)
    return "  ".join(with_error(float(value), float(error)) for value, error in zip(*pairs, strict=True))


def _one_or_each(values: float | Array) -> object:
    """Return a number as it is, or one per output in words."""
    return _each(values) if isinstance(values, np.ndarray) else values


def _shortened(values: Array) -> str:
    """Write numbers, many of them as their range."""
    if len(values) > _SHOWN_PENALTIES:
        return f"{values.min():g} to {values.max():g}"
    return ", ".join(f"{value:g}" for value in values)


def _each(values: Any) -> str:
    """Write one number per output."""
    return "  ".join(number(float(value)) for value in np.atleast_1d(values))
