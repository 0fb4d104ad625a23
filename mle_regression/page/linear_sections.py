"""Sections of a linear model: coefficients, rows, assumptions, columns, the optimum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mle_regression.diagnostics.residual_tests.registry import DIAGNOSTICS
from mle_regression.displays import (
    CoefficientsDisplay,
    LandscapeDisplay,
    PartialResidualsDisplay,
    PredictionBandDisplay,
    ResidualsDisplay,
    SpectrumDisplay,
)
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.on_rows import TRAINING
from mle_regression.page.common_sections import VERDICTS
from mle_regression.page.contents import Fitted, Gallery, Section, View, component_views, of_output
from mle_regression.reports.digits import p_equals
from mle_regression.reports.document import Notes, Panel, Table
from mle_regression.reports.linear.diagnosis import undefined_tests
from mle_regression.reports.linear.summary import curvature_items, goodness

# A test with a smaller p-value speaks against its assumption.
_DOUBTFUL = 0.05
_SHOWN_ROWS, _SHOWN_COLUMNS, _DRAWN_COEFFICIENTS = 8, 2, 20


def coefficients(fitted: Fitted, pictures: bool) -> Section:
    """Tell of the coefficients, each with its interval."""
    table = of_output(fitted.model.coefficients(feature_names=fitted.names), fitted)
    goods = Panel("", goodness(fitted.model._fit))
    gallery, rows = Gallery(pictures), fitted.rows
    options = {"sample_weight": rows.weights, **fitted.output_option}
    arguments = (fitted.subject.estimator, rows.given, rows.y)
    caption = (
        "In standard deviations of the target per standard deviation of the column, so that sizes can be compared."
    )
    gallery.add(
        CoefficientsDisplay.from_estimator,
        arguments,
        options,
        [View("", "coefficients", caption, {"most": _DRAWN_COEFFICIENTS})],
    )
    gallery.add(
        PredictionBandDisplay.from_estimator,
        arguments,
        options,
        [
            View(
                "",
                "predictions along a column",
                "The column that moves the mean most, the others at their usual values.",
            )
        ],
    )
    gallery.add_each(
        component_views,
        PartialResidualsDisplay.from_estimator,
        arguments,
        {**options, "most": _SHOWN_COLUMNS},
        "partial residuals",
    )
    said = ["Each is the change of the target for one unit more of its column, the other columns being as they are."]
    return Section("coefficients", "Coefficients", [*said, *gallery.told], [goods, Table("", table)], gallery.pictures)


def rows_of_influence(fitted: Fitted, pictures: bool) -> Section:
    """Tell which rows lead the fit."""
    table = of_output(fitted.diagnosis.rows(), fitted)
    order = np.argsort(-table["cooks_distance"].fillna(-1.0).to_numpy(), kind="stable")[:_SHOWN_ROWS]
    shown = table.iloc[order]
    distance = float(shown["cooks_distance"].iloc[0]) if len(shown) else np.nan
    of_fit = fitted.diagnosis.data == TRAINING
    moves = "move when the row is left out" if of_fit else "would move were the row added to those of the fit"
    said = [f"Rows with the largest Cook's distance: how far all predictions {moves}."]
    if distance >= 1 and of_fit:
        said.append(f"That of row {shown.index[0]} is {distance:.2g}: it leads the fit. Check it, and fit without it.")
    elif distance < 1:
        said.append(f"The largest is {distance:.2g}; no row leads the fit (from 1 on).")
    gallery = Gallery(pictures)
    gallery.add(
        ResidualsDisplay.from_estimator,
        (fitted.subject.estimator, fitted.rows.given, fitted.rows.y),
        {"sample_weight": fitted.rows.weights, **fitted.output_option},
        [
            View("residuals", "residuals against fitted", "A curve that is not level: the mean is bent."),
            View("qq", "normal Q–Q", "Points outside of the band: the noise is not normal."),
            View(
                "scale_location", "scale against location", "A curve that rises or falls: the variance is not constant."
            ),
            View(
                "leverage",
                "residuals against leverage",
                "Points beyond a line of equal Cook's distance: rows that lead the fit.",
            ),
        ],
    )
    parts = [
        Table("", shown[["fitted", "residual", "leverage", "studentized_external", "cooks_distance", "loo_residual"]])
    ]
    return Section("rows", "Residuals and rows of influence", [*said, *gallery.told], parts, gallery.pictures)


def assumptions(fitted: Fitted) -> tuple[Section, list[str]]:
    """Say in plain words which assumptions the residuals speak against; return also the sentences for the summary."""
    tests = of_output(fitted.diagnosis.tests(), fitted)
    known = tests[np.isfinite(tests["p_value"].to_numpy(dtype=np.float64))]
    answers = [_answer(str(name), float(row["p_value"])) for name, row in known.iterrows()]
    table = pd.DataFrame(
        {
            "p_value": known["p_value"].to_numpy(dtype=np.float64),
            "assumption": [DIAGNOSTICS[str(name)].asks for name in known.index],
            "what it says": answers,
        },
        index=pd.Index([_title(str(name)) for name in known.index]),
    )
    doubtful = [str(name) for name, p in zip(known.index, known["p_value"], strict=True) if p < _DOUBTFUL]
    doubts = []
    if doubtful:
        asked = list(dict.fromkeys(DIAGNOSTICS[name].asks for name in doubtful))
        doubts = [f"{len(doubtful)} of {len(known)} tests speak against an assumption: {'; '.join(asked)}."]
    elif len(known):
        doubts = [f"None of {len(known)} tests speaks against the assumptions."]
    said = (
        [*doubts, f"Of tests of what is true one in twenty has p below {_DOUBTFUL:g}, by chance."] if len(known) else []
    )
    parts: list[Panel | Table | Notes] = [Table("", table)]
    if missing := undefined_tests(tests):
        parts.append(Notes("", missing))
    return Section("assumptions", "Assumptions", said, parts), doubts


def columns(fitted: Fitted) -> Section:
    """Tell whether columns nearly follow from one another."""
    found = fitted.diagnosis.collinearity()
    document = found.document()
    inflation = found.vif.sort_values("vif", ascending=False)
    parts: list[Panel | Table | Notes] = [
        Table("Variance inflation: by how much the others widen its interval, squared", inflation, 3)
    ]
    parts += list(document.parts[1:])
    return Section("columns", "Do columns follow from one another?", [], parts)


def optimum(fitted: Fitted, pictures: bool) -> Section:
    """Tell of the verdict on the optimum, and of the spectrum of the Hessian."""
    fit = fitted.model._fit
    parts: list[Panel | Table | Notes] = [Panel("", curvature_items(fit))]
    if not isinstance(fit, JointFit):
        report = fitted.diagnosis.curvature()
        parts.append(Panel("", [("steepest along", report.steepest), ("flattest along", report.flattest)]))
    gallery = Gallery(pictures)
    arguments, options = (fitted.diagnosis,), fitted.output_option
    gallery.add(
        SpectrumDisplay.from_diagnosis,
        arguments,
        options,
        [View("", "spectrum", "Eigenvalues of the Hessian: large ones are directions that the data determine well.")],
    )
    gallery.add(
        LandscapeDisplay.from_diagnosis,
        arguments,
        options,
        [
            View(
                "",
                "landscape",
                "The objective on a plane through the optimum, along its flattest and its steepest direction.",
            )
        ],
    )
    verdict = fitted.model.verdict_
    return Section("optimum", "The optimum", [VERDICTS.get(verdict, verdict), *gallery.told], parts, gallery.pictures)


def _answer(name: str, p: float) -> str:
    if p < _DOUBTFUL:
        said = DIAGNOSTICS[name].small_p
        return f"Doubtful: {said}."
    return f"Nothing speaks against it ({p_equals(p)})."


def _title(name: str) -> str:
    words: Sequence[str] = name.split("_")
    proper = {"jarque", "bera", "breusch", "pagan", "white", "goldfeld", "quandt", "durbin", "watson", "ljung", "box"}
    return "–".join(word.capitalize() for word in words) if set(words) <= proper else " ".join(words)
