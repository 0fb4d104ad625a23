"""What each column does to the mean, and whether the rows agree: component plus residual, and partial dependence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.stats import t as student_t

from mle_regression.diagnostics.local_regression import Curve, lowess
from mle_regression.displays.columns import Table, columns_by_change, table_of, values_along
from mle_regression.displays.drawing import axes_for, draw_line, draw_within, grid_for, palette_of
from mle_regression.displays.lettering import fonts, legend_above, legible, name_along, tick_at_values, title_and_axes
from mle_regression.displays.subject import (
    Subject,
    block_of_output,
    check_same_shape,
    chosen_output,
    output_labels,
    outputs_of,
    predicted,
    subject_of,
    target_name,
    weights_of,
)
from mle_regression.fitted.averaged_effects import effect_deviations
from mle_regression.fitted.network import NetworkFit
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.scoring import unwrapped
from mle_regression.validation import checks

# Rows that predictions are averaged over, and places along a column, where the mean is no sum of its columns' parts.
_AVERAGED_ROWS, _PLACES = 200, 40
# Rows that each place of the smooth curve is made of, as far as these are neither under 0.3 of all nor over 2/3.
_SMOOTHED_ROWS = 40
# Values of a column that are few enough for an error bar each.
_FEW_VALUES = 6


@dataclass(frozen=True, slots=True)
class Component:
    """The part of the mean that follows one column.

    Attributes
    ----------
    name : str
    grid, effect : Array of shape (k,)
        Values of the column, and the mean averaged over the rows with this value in each, less the mean of the rows as they
        are (Friedman's, 2001, partial dependence, centred). Of a linear model b (x − x̄).
    half_width : Array of shape (k,)
        Of the interval of the effect; NaN where it is not known.
    x, partial_residual : Array of shape (n,)
        Of each row: its value, and effect plus residual.
    smooth : Curve
        Through the partial residuals: where it leaves the effect, the mean is bent in another way.
    """

    name: str
    grid: Array
    effect: Array
    half_width: Array
    x: Array
    partial_residual: Array
    smooth: Curve


class PartialResidualsDisplay:
    """Component plus residual along each column, with a smooth curve; of networks partial dependence with its error.

    Use `from_estimator` rather than the constructor.

    Parameters
    ----------
    components : sequence of Component
    target : str, default="y"
    coverage : float, default=0.95

    Attributes
    ----------
    components, target, coverage
        As above.
    ax_ : matplotlib axes, or ndarray of one a column
    figure_ : matplotlib figure

    References
    ----------
    R. D. Cook (1993). Exploring partial residual plots. Technometrics 35, 351-362.
    J. H. Friedman (2001). Greedy function approximation: a gradient boosting machine. Annals of Statistics 29, 1189-1232.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLELinearRegressor
    >>> from mle_regression.displays import PartialResidualsDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = MLELinearRegressor().fit(X, y)
    >>> display = PartialResidualsDisplay.from_estimator(model, X, y, columns=["bmi", "bp"])  # doctest: +SKIP
    """

    def __init__(self, components: Sequence[Component], *, target: str = "y", coverage: float = 0.95) -> None:
        if not components:
            raise ValueError("There is no column to draw along; name at least one.")
        self.components, self.target, self.coverage = tuple(components), target, coverage

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        columns: int | str | Sequence[int | str] | None = None,
        sample_weight: Any = None,
        output: int | str | None = None,
        coverage: float = 0.95,
        most: int = 4,
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the components of a fitted regressor, and the rows about them.

        Parameters
        ----------
        estimator : fitted regressor
            Any of scikit-learn's, a pipeline or a search, nested in any way. Intervals are known of a linear model of this
            package; and of a network by its parameters' uncertainty (fit with ``curvature=`` or ``alpha="evidence"``), or by
            how far several networks are apart.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            As the estimator takes it, before the steps of a pipeline.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        columns : int, str or sequence of them, default=None
            Names or places of columns of numbers. None for those along which the mean changes most.
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight zero are left out.
        output : int or str, default=None
            The output to draw, where there are several.
        coverage : float, default=0.95
            Of the intervals.
        most : int, default=4
            Columns to draw where none are named.
        ax : matplotlib axes, default=None
            Of several columns: axes that have a place in a figure's grid and are divided, or a sequence of one a column.
        width : float, default=None
            Width of a new figure in inches. Below 6 the pictures stand one below another.

        Returns
        -------
        PartialResidualsDisplay
        """
        checks.check_probability("coverage", coverage)
        checks.check_positive_integer("most", most)
        subject, whole = subject_of(estimator), table_of(X)
        mean, truth = predicted(subject, X), outputs_of(y)
        check_same_shape(truth, mean)
        labels = output_labels(subject, y)
        which = chosen_output(labels, truth.shape[1], output)
        weights = weights_of(sample_weight, len(truth))
        counted = np.flatnonzero(weights > 0)
        rows = _Rows(subject, whole.rows(counted), weights[counted], (truth - mean)[counted, which], which, coverage)
        places = rows.places(columns, most)
        components = [rows.component(j) for j in places]
        return cls(components, target=target_name(labels, which, y), coverage=coverage).plot(ax, width=width)

    def plot(self, ax: Any = None, *, width: float | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax, width
            As in `from_estimator`.

        Returns
        -------
        PartialResidualsDisplay
            With ``ax_`` and ``figure_``.
        """
        several = len(self.components) > 1
        with fonts():
            axes = grid_for(ax, len(self.components), width) if several else [axes_for(ax, width, extra_height=0.5)]
            for number, (component, place) in enumerate(zip(self.components, axes, strict=True)):
                self._draw(component, place, first=number == 0)
        self.ax_ = np.array(axes, dtype=object) if several else axes[0]
        self.figure_ = axes[0].figure
        return self

    def _draw(self, component: Component, ax: Any, *, first: bool) -> None:
        colours, grid = palette_of(ax), component.grid
        low, high = component.effect - component.half_width, component.effect + component.half_width
        known, few = bool(np.isfinite(low).any()), len(grid) <= _FEW_VALUES
        share = f"{100 * self.coverage:g} % interval"
        if known and few:
            ax.errorbar(
                grid, component.effect, component.half_width, fmt="none", ecolor=colours.line, capsize=5, label=share
            )
        elif known:
            ax.fill_between(grid, low, high, color=colours.line, alpha=0.35, linewidth=0, zorder=1, label=share)
        draw_line(ax, grid, component.effect, marker="o" if few else "", color=colours.line, label="effect")
        smooth, bands = component.smooth, [component.effect, *((low, high) if known else ())]
        if len(smooth.x):
            draw_line(
                ax, smooth.x, smooth.y, linestyle="--", color=colours.second, linewidth=1.8, label="smoothed rows"
            )
        draw_within(ax, component.x, component.partial_residual, bands, "rows")
        ax.margins(x=0.04)
        if few:
            tick_at_values(ax, grid)
        title_and_axes(ax, "", name_along(ax, component.name), f"Effect on {legible([self.target], 16)[0]}")
        legend_above(ax, only="" if first else "beyond")


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of weight (n, p) of an estimator, their weights and the residuals (n,) of one output."""

    subject: Subject
    table: Table
    weights: Array
    residual: Array
    which: int
    coverage: float

    def predict(self, data: Any) -> Array:
        return predicted(self.subject, data)[:, self.which]

    def places(self, columns: Any, most: int) -> list[int]:
        """Return the places of the columns to draw along."""
        if columns is None:
            return columns_by_change(self.table, self.predict)[:most]
        named = [columns] if isinstance(columns, (str, int, np.integer)) else list(columns)
        return [self.table.place(column) for column in named]

    def component(self, j: int) -> Component:
        """Return the component of a column."""
        values, name = self.table.numbers(j), self.table.names[j]
        known = np.flatnonzero(np.isfinite(values))
        plain = self.subject.estimator is self.subject.model and hasattr(self.subject.model, "coef_")
        grid = values_along(values, name, _PLACES)
        effect, deviation = self._linear(j, values, grid) if plain else self._averaged(j, grid)
        x = values[known]
        partial = np.interp(x, grid, effect) + self.residual[known]
        span = float(np.clip(_SMOOTHED_ROWS / len(x), 0.3, 2 / 3))
        smooth = lowess(x, partial, self.weights[known], span)
        return Component(name, grid, effect, self._quantile * deviation, x, partial, smooth)

    def _linear(self, j: int, values: Array, grid: Array) -> tuple[Array, Array]:
        """Return the effects b (x − x̄) of a column of a linear model, and their standard deviations."""
        model = self.subject.model
        away = grid - float(np.average(values, weights=self.weights))
        slope = float(np.atleast_2d(np.asarray(model.coef_))[self.which, j])
        if not self.subject.likelihood:
            return slope * away, np.full(len(grid), np.nan)
        return slope * away, np.abs(away) * float(np.atleast_2d(model.standard_errors_)[self.which, j])

    def _averaged(self, j: int, grid: Array) -> tuple[Array, Array]:
        """Return the effects of a column by predictions averaged over rows, and their standard deviations."""
        chosen = _spread(len(self.table))
        base, share = self.table.rows(chosen), self.weights[chosen] / self.weights[chosen].sum()
        changed = base.with_each(j, grid)
        effect = self.predict(changed).reshape(len(grid), -1) @ share - share @ self.predict(base.given)
        if not self.subject.likelihood:
            return effect, np.full(len(grid), np.nan)
        model = self.subject.model
        inner, outer = (
            checks.new_data(model, unwrapped(self.subject.estimator, data)[1]) for data in (base.given, changed)
        )
        fit = self.subject.fit
        if isinstance(fit, NetworkFit):
            return effect, effect_deviations(fit, outer, inner, share)[:, self.which]
        moved = np.array([share @ outer[k * len(share) : (k + 1) * len(share)] for k in range(len(grid))])
        return effect, _deviations_of_sums(model, moved - share @ inner, self.which)

    @property
    def _quantile(self) -> float:
        if not self.subject.likelihood:
            return float(np.nan)
        dof = np.ravel(self.subject.fit.likelihood.residual_dof)
        left = float(dof[self.which if len(dof) > 1 else 0])
        return float(student_t.ppf(0.5 + self.coverage / 2, left if left > 0 else np.nan))


def _deviations_of_sums(model: Any, moved: Array, which: int) -> Array:
    """Return standard deviations (k,) of sums ``moved @ coef`` (k, p) of the coefficients of a linear model."""
    n_outputs = len(model.coef_) if np.ndim(model.coef_) == 2 else 1
    covariance = block_of_output(model.coefficient_covariance(), which, n_outputs).to_numpy()
    first, taken = len(covariance) - moved.shape[1], np.flatnonzero((moved != 0).any(axis=0))
    inner, outer = covariance[np.ix_(first + taken, first + taken)], moved[:, taken]
    return np.asarray(np.sqrt(np.einsum("kp,pq,kq->k", outer, inner, outer)))


def _spread(n: int) -> IntArray:
    """Return the places of as many rows as are averaged over, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, _AVERAGED_ROWS)).round().astype(int))
