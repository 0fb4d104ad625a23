"""Coefficients and how sure they are, of one model or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from mle_regression.displays.drawing import MARKERS, axes_for, palette_of
from mle_regression.displays.lettering import fonts, legend_above, legible, title_and_axes
from mle_regression.displays.subject import (
    Subject,
    block_of_output,
    checked_rows,
    chosen_output,
    column_names,
    moments_of_columns,
    output_labels,
    outputs_of,
    subject_of,
    target_name,
    weights_of,
)
from mle_regression.linalg.arrays import Array
from mle_regression.validation import checks

# Coefficients that are drawn of more than that, unless the user says how many.
_MOST = 40
# Inches that a coefficient takes, one more model beside it, and a letter of its name.
_LINE, _MODEL, _LETTER = 0.26, 0.12, 0.09


@dataclass(frozen=True, slots=True)
class Intervals:
    """Coefficients of one model: ``names`` of length k, ``estimate``, ``lower``, ``upper`` (k,); limits NaN if unknown."""

    names: tuple[str, ...]
    estimate: Array
    lower: Array
    upper: Array

    def slopes(self, n_columns: int) -> Intervals:
        """Return those of columns alone, which are the last."""
        first = len(self.names) - n_columns
        return Intervals(self.names[first:], self.estimate[first:], self.lower[first:], self.upper[first:])

    def scaled(self, factor: Array) -> Intervals:
        """Return them in other units: each times a factor (k,)."""
        return Intervals(self.names, self.estimate * factor, self.lower * factor, self.upper * factor)


class CoefficientsDisplay:
    """Estimates with their intervals, a line a coefficient.

    Use `from_estimator` or `from_estimators` rather than the constructor.

    Parameters
    ----------
    models : mapping of str to Intervals
        By the name of the model.
    standardized : bool, default=False
        Whether they are in standard deviations of y per standard deviation of the column.
    confidence : float, default=0.95
    target : str, default="y"

    Attributes
    ----------
    models, standardized, confidence, target
        As above.
    names : list of str
        All coefficients, in the order of the models' columns.
    order : list of int
        Those that a new figure shows, of `names`: all, or the largest 40 if standardised, else the surest (|estimate| in
        halves of the interval).
    ax_ : matplotlib axes
    figure_ : matplotlib figure

    Examples
    --------
    >>> import numpy as np
    >>> from mle_regression.displays import CoefficientsDisplay
    >>> from mle_regression.displays.coefficients import Intervals
    >>> one = Intervals(("a", "b"), np.array([1.0, 2.0]), np.array([0.5, 1.0]), np.array([1.5, 3.0]))
    >>> CoefficientsDisplay({"model": one}).names
    ['a', 'b']
    """

    def __init__(
        self,
        models: Mapping[str, Intervals],
        *,
        standardized: bool = False,
        confidence: float = 0.95,
        target: str = "y",
    ) -> None:
        if not models:
            raise ValueError("There is no model to draw; pass at least one.")
        self.models, self.standardized = dict(models), standardized
        self.confidence, self.target = confidence, target
        self.names = list(dict.fromkeys(name for model in self.models.values() for name in model.names))
        self.order = self.largest(_MOST)

    def largest(self, most: int) -> list[int]:
        """Return the places in `names` of so many coefficients that tell most, in their order."""
        if most >= len(self.names):
            return list(range(len(self.names)))
        place = {name: number for number, name in enumerate(self.names)}
        size = np.zeros(len(self.names))
        for model in self.models.values():
            half = 0.5 * (model.upper - model.lower)
            known = not self.standardized and bool((half > 0).any())
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.abs(model.estimate / half if known else model.estimate)
            where = [place[name] for name in model.names]
            size[where] = np.maximum(size[where], np.nan_to_num(values, posinf=0.0))
        return sorted(np.argsort(-size, kind="stable")[:most].tolist())

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        standardized: bool | Literal["auto"] = "auto",
        confidence: float = 0.95,
        cov: Any = "nonrobust",
        intercept: bool = False,
        output: int | str | None = None,
        most: int | None = None,
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the coefficients of a fitted linear model.

        Parameters
        ----------
        estimator : fitted MLELinearRegressor, or linear model of scikit-learn, whose intervals are not known
            Or a pipeline or a search, nested in any way.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Both are needed for standardised coefficients and robust intervals.
        sample_weight : array-like of shape (n_samples,), default=None
        standardized : bool or "auto", default="auto"
            Whether to multiply each by the standard deviation of its column over that of y, so that their sizes can be
            compared; "auto": if X and y are given.
        confidence : float, default=0.95
        cov : str or dict, default="nonrobust"
            As of ``diagnose(X, y).coefficients(cov)``: "HC3" for noise of unequal variance.
        intercept : bool, default=False
            Whether to draw the intercept, of coefficients that are not standardised.
        output : int or str, default=None
            The output to draw, where there are several.
        most : int, default=None
            Coefficients to draw; if there are more, those that tell most. None for 40, or as many as axes have room for.
        ax : matplotlib axes, default=None
        width : float, default=None
            Width of a new figure in inches.

        Returns
        -------
        CoefficientsDisplay
        """
        options = {"sample_weight": sample_weight, "standardized": standardized, "confidence": confidence, "cov": cov}
        options |= {"intercept": intercept, "output": output, "most": most, "ax": ax, "width": width}
        return cls.from_estimators({"": estimator}, X, y, **options)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any] | Sequence[Any],
        X: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        standardized: bool | Literal["auto"] = "auto",
        confidence: float = 0.95,
        cov: Any = "nonrobust",
        intercept: bool = False,
        output: int | str | None = None,
        most: int | None = None,
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the coefficients of several models side by side, matched by the names of their columns.

        Parameters
        ----------
        estimators : mapping of str to estimator, or sequence of them
            Called by their names, or by their classes and numbers.
        X, y, sample_weight, standardized, confidence, cov, intercept, output, most, ax, width
            As in `from_estimator`. X goes through the steps of each pipeline; a model fitted on some of its columns, by
            their names, is given those.

        Returns
        -------
        CoefficientsDisplay
        """
        checks.check_probability("confidence", confidence)
        checks.check_choice("standardized", standardized, (True, False, "auto"))
        if most is not None:
            checks.check_positive_integer("most", most)
        given = X is not None and y is not None
        standard = given if isinstance(standardized, str) else bool(standardized)
        if not given and (standard or cov != "nonrobust"):
            raise ValueError("Standardised coefficients and robust intervals are of rows: pass X and y.")
        named = estimators if isinstance(estimators, Mapping) else _named(estimators)
        found, target = {}, "y"
        for name, estimator in named.items():
            subject = subject_of(estimator, _own_columns(estimator, X))
            which, target = _output_of(subject, y, output)
            one = _intervals(subject, y, sample_weight, confidence, cov, which)
            if standard or not intercept:
                one = one.slopes(subject.model.n_features_in_)
            found[name] = one.scaled(_factors(subject, y, sample_weight, which)) if standard else one
        display = cls(found, standardized=standard, confidence=confidence, target=target)
        return display.plot(ax, most=most, width=width)

    def plot(self, ax: Any = None, *, most: int | None = None, width: float | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax, most, width
            As in `from_estimator`.

        Returns
        -------
        CoefficientsDisplay
            With ``ax_`` and ``figure_``.
        """
        own_figure = ax is None
        line = _LINE + _MODEL * (len(self.models) - 1)
        with fonts():
            if ax is not None and most is None:
                most = max(int(ax.get_window_extent().height / ax.figure.dpi / line), 1)
            order = self.order if most is None else self.largest(most)
            ax = axes_for(ax, width, height=1.3 + line * len(order) + 0.22 * (len(self.models) > 1))
            self._draw(ax, order, own_figure)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax: Any, order: list[int], own_figure: bool) -> None:
        colours, names = palette_of(ax), [self.names[number] for number in order]
        ax.axvline(0.0, color=colours.faint, linewidth=0.9, zorder=1)
        step = 0.7 / len(self.models)
        for number, (name, model) in enumerate(self.models.items()):
            place = {part: row for row, part in enumerate(names)}
            drawn = [j for j, part in enumerate(model.names) if part in place]
            at = np.array([place[model.names[j]] for j in drawn]) + step * (number - 0.5 * (len(self.models) - 1))
            colour = colours.series[number % len(colours.series)]
            known = np.isfinite(model.lower[drawn]) & np.isfinite(model.upper[drawn])
            ax.hlines(at[known], model.lower[drawn][known], model.upper[drawn][known], color=colour, linewidth=2.0)
            style = {"color": colour, "marker": MARKERS[number % len(MARKERS)], "s": 30, "zorder": 3}
            ax.scatter(model.estimate[drawn], at, label=legible([name])[0], facecolors=colour, **style)
        across = float(ax.figure.bbox.width) / float(ax.figure.dpi)
        letters = int(np.clip(3.4 * across, 10, 28))
        shown = legible(_without_steps(names), letters)
        ax.set_yticks(range(len(names)), labels=shown)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.grid(axis="y", color=colours.band, linewidth=0.6, zorder=0)
        ax.set_axisbelow(True)
        what = "Standardized coefficient" if self.standardized else "Coefficient"
        if any(np.isfinite(model.lower).any() for model in self.models.values()):
            what += f", {100 * self.confidence:g} % interval"
        several = len(self.models) > 1
        folded = f"{len(names)} of {len(self.names)} coefficients" if len(names) < len(self.names) else "Coefficients"
        inches = across - _LETTER * max(map(len, shown)) - 0.4
        title = "" if several else f"{folded} for {legible([self.target])[0]}"
        title_and_axes(ax, title, what, "", inches if own_figure else None)
        if several:
            legend_above(ax)


def _named(estimators: Sequence[Any]) -> dict[str, Any]:
    """Call estimators by their classes, and by their numbers where these are the same."""
    classes = [type(subject_of(estimator).model).__name__ for estimator in estimators]
    return {
        name if classes.count(name) == 1 else f"{name} {number}": estimator
        for number, (name, estimator) in enumerate(zip(classes, estimators, strict=True), start=1)
    }


def _own_columns(estimator: Any, X: Any) -> Any:
    """Return the columns of a frame that an estimator was fitted on, if all are there; else X as it is."""
    known = getattr(estimator, "feature_names_in_", None)
    if known is None or not isinstance(X, pd.DataFrame) or not set(known) <= set(X.columns):
        return X
    return X[list(known)]


def _output_of(subject: Subject, y: Any, output: Any) -> tuple[int, str]:
    """Return the number of the output to draw, and its name."""
    model = subject.model
    if not hasattr(model, "coef_"):
        raise TypeError(
            f"{type(model).__name__} has no coefficients, one for each column. PartialResidualsDisplay draws how its mean "
            "changes along a column."
        )
    labels, coef = output_labels(subject, y), np.asarray(model.coef_)
    which = chosen_output(labels, len(coef) if coef.ndim == 2 else 1, output)
    return which, target_name(labels, which, y)


def _intervals(subject: Subject, y: Any, weights: Any, confidence: float, cov: Any, which: int) -> Intervals:
    """Return the coefficients of one output with their intervals; NaN of a model that has none."""
    names, model = column_names(subject), subject.model
    _check_finite(model)
    n_outputs = len(model.coef_) if np.ndim(model.coef_) == 2 else 1
    if not hasattr(model, "coefficients"):
        coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))[which]
        constant = np.ravel(np.asarray(model.intercept_, dtype=np.float64))
        constant = constant[which] if len(constant) > 1 else constant[0]
        unknown = np.full(len(coef) + 1, np.nan)
        return Intervals(("intercept", *names), np.concatenate([[constant], coef]), unknown, unknown)
    if cov == "nonrobust":
        table = model.coefficients(confidence, feature_names=names)
    else:
        table = model.diagnose(subject.x, y, weights, feature_names=names).coefficients(cov, confidence)
    table = block_of_output(table, which, n_outputs)
    values = (table[column].to_numpy(dtype=np.float64) for column in ("estimate", "lower", "upper"))
    return Intervals(tuple(map(str, table.index)), *values)


def _check_finite(model: Any) -> None:
    if not np.isfinite(np.asarray(model.coef_, dtype=np.float64)).all():
        raise ValueError(
            f"Coefficients of {type(model).__name__} are NaN or infinite: the fit has diverged. Fit again."
        )


def _factors(subject: Subject, y: Any, weights: Any, which: int) -> Array:
    """Return the standard deviations (p,) of the columns, in those of the output."""
    truth = outputs_of(y)
    mass = weights_of(weights, len(truth))
    _, spread = moments_of_columns(checked_rows(subject), mass)
    _, unit = moments_of_columns(truth[:, which : which + 1], mass)
    if unit[0] == 0:
        raise ValueError("y does not vary, so that coefficients have no standard deviation of y to be told in.")
    return np.asarray(spread / unit[0])


def _without_steps(names: Sequence[str]) -> list[str]:
    """Return names without that of the step of a ColumnTransformer that made them, where they are told apart without."""
    bare = [name.split("__", 1)[-1] or name for name in names]
    return bare if len(set(bare)) == len(names) else list(names)
