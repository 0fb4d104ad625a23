"""Sections of any model: what it is, how good it is, what to be wary of, how to make it again."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy
import sklearn

from mle_regression._version import __version__
from mle_regression.displays import CalibrationDisplay, ResidualsDisplay
from mle_regression.linear import MLELinearRegressor
from mle_regression.page.contents import Fitted, Gallery, Section, View
from mle_regression.page.judgement import COVERAGE, Judgement, judge
from mle_regression.reports.digits import number
from mle_regression.reports.document import Notes, Panel, Table

_SHOWN_STEPS = 12
# Digits of a coverage that is as it should be to chance, in its standard errors.
_BEYOND_CHANCE = 2.5

VERDICTS = {
    "unique minimum": "The data determine every coefficient: there is one optimum, and this is it.",
    "minimum": "Training has ended in a minimum: every direction leads up.",
    "flat minimum": "The minimum is flat: other parameters fit these rows as well, and single ones are not determined.",
    "saddle point": "Training has ended at a saddle point: a lower loss is close by.",
    "not stationary": "This is no optimum: the gradient is not zero here.",
    "undetermined": "Whether this is the only optimum, the eigenvalues do not tell.",
}


def what_was_fitted(fitted: Fitted, preparation: Sequence[str]) -> Section:
    """Tell of the model, the steps before it, the rows, and how they were prepared."""
    model, truth = fitted.model, fitted.rows.truth[:, fitted.output]
    steps = _steps(fitted.subject.estimator)
    kind = "linear regression" if isinstance(model, MLELinearRegressor) else "network"
    items: list[tuple[str, object]] = [
        ("model", f"{kind} by maximum likelihood, {model._fit.likelihood.noise.title}"),
        ("rows fitted", f"{len(truth):,}"),
        ("columns", f"{len(fitted.names):,}"),
        *([("rows held out", f"{len(fitted.new.truth):,}")] if fitted.new is not None else []),
        ("target", f"{fitted.target}: {number(truth.min())} to {number(truth.max())}, mean {number(truth.mean())}"),
        *([("outputs", ", ".join(map(str, fitted.outputs)))] if fitted.outputs else []),
        *([("steps before the model", " → ".join(steps))] if steps else []),
        *([("weights", _weights(fitted.rows.weights))] if fitted.rows.weights is not None else []),
        (
            "columns are",
            ", ".join(map(str, fitted.names[:_SHOWN_STEPS])) + (", …" if len(fitted.names) > _SHOWN_STEPS else ""),
        ),
    ]
    said = []
    if fitted.outputs:
        said.append(
            f"There are {len(fitted.outputs)} outputs; pictures and tests are of {fitted.target!r} (output= chooses)."
        )
    parts: list[Panel | Table | Notes] = [Panel("", items)]
    if preparation:
        parts.append(Notes("How the data were prepared", preparation))
    return Section("model", "What was fitted", said, parts)


def how_good(fitted: Fitted, pictures: bool) -> Section:
    """Compare errors, intervals and densities on the rows fitted and on those held out."""
    found = {"rows fitted": judge(fitted.model, fitted.rows.x, _as_given(fitted.rows), fitted.rows.weights)}
    if fitted.new is not None:
        found["rows held out"] = judge(fitted.model, fitted.new.x, _as_given(fitted.new), fitted.new.weights)
    table = pd.DataFrame({name: _column(one, fitted.output) for name, one in found.items()}).T
    judged = fitted.rows if fitted.new is None else fitted.new
    where = "fitted" if fitted.new is None else "held out"
    gallery = Gallery(pictures)
    arguments, options = (
        (fitted.subject.estimator, judged.given, judged.y),
        {"sample_weight": judged.weights, **fitted.output_option},
    )
    observed = [
        View("observed", f"observed against predicted, rows {where}", "Points scatter about the line of equality.")
    ]
    gallery.add(ResidualsDisplay.from_estimator, arguments, options, observed)
    gallery.add(
        CalibrationDisplay.from_estimator,
        arguments,
        options,
        [
            View(
                "coverage",
                f"calibration, rows {where}",
                "Intervals hold as many rows as they promise while the curve is in the band.",
            ),
        ],
    )
    return Section(
        "good", "How good it is", [*_said(fitted, found), *gallery.told], [Table("", table)], gallery.pictures
    )


def warnings_and_remedies(said: Sequence[str]) -> Section:
    """List what to be wary of, and what to do."""
    points = list(dict.fromkeys(said))
    if not points:
        return Section("warnings", "Warnings and remedies", ["There are none."])
    return Section("warnings", "Warnings and remedies", [], [Notes("", points)])


def how_to_reproduce(fitted: Fitted, command: str | None) -> tuple[Section, str]:
    """Tell versions, and the lines that make the fit again."""
    versions: list[tuple[str, object]] = [
        ("mle_regression", __version__),
        ("Python", platform.python_version()),
        ("NumPy", np.__version__),
        ("SciPy", scipy.__version__),
        ("pandas", pd.__version__),
        ("scikit-learn", sklearn.__version__),
        ("platform", f"{platform.system()}, {platform.machine()}"),
    ]
    weights = "" if fitted.rows.weights is None else ", sample_weight=weights"
    code = command or (
        f"model = {fitted.subject.estimator!r}\nmodel.fit(X, y{weights})"
        f"  # {len(fitted.rows.truth):,} rows, {fitted.subject.model.n_features_in_:,} columns reach the model"
    )
    return Section("reproduce", "How to make it again", [], [Panel("", versions)]), code


def verdict_in_words(model: Any, verdict: str) -> str:
    """Say what a verdict means, of a training that was stopped early on purpose too."""
    by_others = len(getattr(model, "validation_curve_", ())) > 0 or getattr(model._fit, "left_out", None) is not None
    if verdict == "not stationary" and by_others:
        return "Training was stopped before an optimum, where rows left out are foretold best; the gradient is not zero here."
    return VERDICTS.get(verdict, verdict)


def in_short(
    fitted: Fitted, notes: Sequence[str], good: Section, verdict: str, doubts: Sequence[str], n_warnings: int
) -> Section:
    """Say in a few sentences what the page says."""
    said = [*notes, *good.said[:2]]
    if verdict:
        said.append(verdict_in_words(fitted.model, verdict))
    said += doubts
    if n_warnings:
        said.append(
            f"There {'is one warning' if n_warnings == 1 else f'are {n_warnings} warnings'} below, with what to do."
        )
    return Section("short", "In short", [], [Notes("", said)])


def _said(fitted: Fitted, found: dict[str, Judgement]) -> list[str]:
    k, first = fitted.output, found["rows fitted"]
    said = [f"The model takes {_percent(first.r2[k])} of the variance of {fitted.target} in the rows fitted."]
    new = found.get("rows held out")
    if new is None:
        said.append("No rows were held out: how it does on new ones this does not tell (X_test=, y_test=).")
        return said
    said[0] = f"{said[0][:-1]}, and {_percent(new.r2[k])} in rows held out."
    n = len(new.residual) - new.unknown[k]
    if n >= 1 and np.isfinite(new.covered[k]):
        error = np.sqrt(COVERAGE * (1 - COVERAGE) / n)
        distance = (new.covered[k] - COVERAGE) / error
        told = (
            "as it should be, to chance"
            if abs(distance) <= _BEYOND_CHANCE
            else "more than it should"
            if distance > 0
            else "too few"
        )
        said.append(f"Intervals that promise {COVERAGE:.0%} hold {new.covered[k]:.0%} of the rows held out: {told}.")
    if new.unknown[k]:
        said.append(
            f"{int(new.unknown[k]):,} of the rows held out have no interval: the rows fitted do not determine it."
        )
    return said


def _column(one: Judgement, k: int) -> dict[str, float]:
    return {
        "R²": one.r2[k],
        "rms error": one.rmse[k],
        "mean error": one.mean_error[k],
        f"in {COVERAGE:.0%} interval": one.covered[k],
        "log density": one.log_density[min(k, len(one.log_density) - 1)],
    }


def _as_given(rows: Any) -> Any:
    """Return outputs as the model has them: one-dimensional of one."""
    return rows.truth[:, 0] if np.ndim(rows.y) == 1 else rows.truth


def _percent(share: float) -> str:
    if not np.isfinite(share):
        return "an unknown share"
    return f"{share:.1%}" if share >= 0 else f"nothing (R² {share:.3f})"


def _steps(estimator: Any) -> list[str]:
    """Name the steps before the model."""
    if hasattr(estimator, "best_estimator_"):
        return [type(estimator).__name__, *_steps(estimator.best_estimator_)]
    steps = getattr(estimator, "steps", None)
    if steps is None:
        return []
    return [type(step).__name__ for _, step in steps[:-1]] + _steps(steps[-1][1])


def _weights(weights: Any) -> str:
    values = np.asarray(weights, dtype=np.float64)
    return f"{number(values.min())} to {number(values.max())}, {int((values > 0).sum()):,} above zero"
