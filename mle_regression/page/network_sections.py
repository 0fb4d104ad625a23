"""Sections of a network: what it has learnt, how it was trained, rows, and the place where training ended."""

from __future__ import annotations

import numpy as np

from mle_regression.displays import (
    PartialResidualsDisplay,
    PredictionBandDisplay,
    ResidualsDisplay,
    SpectrumDisplay,
    TrainingDisplay,
)
from mle_regression.displays.training import ENDINGS
from mle_regression.page.common_sections import verdict_in_words
from mle_regression.page.contents import Fitted, Gallery, Section, View, component_views, of_output
from mle_regression.reports.document import Notes, Panel, Table

_SHOWN_ROWS, _SHOWN_COLUMNS = 8, 3
# Rows times parameters squared beyond which the Hessian is seen by products alone, at its ends.
_DENSE_WORK = 5e10


def network(fitted: Fitted, pictures: bool) -> Section:
    """Tell of the network as its summary does, and how the mean changes along columns."""
    summary = fitted.model.summary()
    gallery, rows = Gallery(pictures), fitted.rows
    gallery.add(
        PredictionBandDisplay.from_estimator,
        (fitted.subject.estimator, rows.given, rows.y),
        {"sample_weight": rows.weights, **fitted.output_option},
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
        (fitted.subject.estimator, rows.given, rows.y),
        {"sample_weight": rows.weights, "most": _SHOWN_COLUMNS, **fitted.output_option},
        "partial dependence",
    )
    parts = [part for part in summary.parts if not isinstance(part, Notes)]
    title = summary.title.split(": ", 1)[-1]
    return Section(
        "network", "The network", [f"{title[0].upper()}{title[1:]}.", *gallery.told], parts, gallery.pictures
    )


def training(fitted: Fitted, pictures: bool) -> Section:
    """Tell how training went, and where and why it stopped."""
    gallery, model = Gallery(pictures), fitted.model
    kinds = [
        View("loss", "loss", "The objective after each iteration."),
        View("gradient", "gradient", "Its norm; zero at an optimum."),
        View("held_out", "held-out likelihood", "Of rows held out: what is kept is the best."),
        View("penalty", "path of penalties", "The score of rows left out under each penalty; the best is chosen."),
    ]
    there = {
        "loss": True,
        "gradient": len(getattr(model, "gradient_curve_", ())) > 0,
        "held_out": len(getattr(model, "validation_curve_", ())) > 0,
        "penalty": hasattr(model, "alpha_path_"),
    }
    gallery.add(
        TrainingDisplay.from_estimator,
        (fitted.subject.estimator, fitted.rows.given, fitted.rows.y),
        fitted.output_option,
        [kind for kind in kinds if there[kind.kind]],
    )
    ending = ENDINGS.get(model.stop_reason_, model.stop_reason_)
    if model._fit.left_out is not None and model.stop_reason_ == "early_stopped":
        ending = "steps gain little under the penalty chosen"
    said = [f"{model.solver_}, {model.n_iter_:,} iterations: {ending}."]
    return Section("training", "Training", [*said, *gallery.told], [], gallery.pictures)


def rows_of_influence(fitted: Fitted, pictures: bool) -> Section:
    """Tell of residuals, and which rows lead the fit, as far as that is known."""
    gallery = Gallery(pictures)
    gallery.add(
        ResidualsDisplay.from_estimator,
        (fitted.subject.estimator, fitted.rows.given, fitted.rows.y),
        {"sample_weight": fitted.rows.weights, **fitted.output_option},
        [
            View(
                "residuals", "residuals against fitted", "A curve that is not level: the mean is not learnt everywhere."
            ),
            View("qq", "normal Q–Q", "Points outside of the band: the noise is not normal."),
            View(
                "scale_location", "scale against location", "A curve that rises or falls: the variance is not constant."
            ),
            View("leverage", "residuals against leverage", "Rows far right determine their own predictions."),
        ],
    )
    try:
        table = of_output(fitted.diagnosis.rows(), fitted)
    except (ValueError, MemoryError) as error:
        return Section("rows", "Residuals and rows of influence", [str(error), *gallery.told], [], gallery.pictures)
    order = np.argsort(-table["cooks_distance"].fillna(-1.0).to_numpy(), kind="stable")[:_SHOWN_ROWS]
    several = " of the first network" if len(fitted.model._fit.networks) > 1 else ""
    said = f"Rows with the largest Cook's distance{several}, linearised at its parameters."
    return Section(
        "rows",
        "Residuals and rows of influence",
        [said, *gallery.told],
        [Table("", table.iloc[order])],
        gallery.pictures,
    )


def optimum(fitted: Fitted, pictures: bool) -> tuple[Section, str]:
    """Tell of the place where training ended; return also the verdict."""
    work = len(fitted.rows.truth) * float(len(fitted.model._fit.theta)) ** 2
    report = fitted.diagnosis.curvature(spectrum="auto" if work < _DENSE_WORK else "extremes")
    gallery = Gallery(pictures and work < _DENSE_WORK)
    gallery.add(
        SpectrumDisplay.from_diagnosis,
        (fitted.diagnosis,),
        {},
        [View("", "spectrum", "Eigenvalues of the Hessian: negative ones lead down, zeros nowhere.")],
    )
    said = [verdict_in_words(fitted.model, report.verdict)]
    if len(fitted.model._fit.networks) > 1:
        said.append("Of several networks this is the first.")
    parts: list[Panel | Table | Notes] = list(report.document().parts)
    return Section("optimum", "Where training ended", [*said, *gallery.told], parts, gallery.pictures), report.verdict
