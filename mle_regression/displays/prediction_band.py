"""Predictions along one column: the mean, how sure it is, where observations lie, and the rows."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from mle_regression.displays.columns import columns_by_change, table_of, values_along
from mle_regression.displays.drawing import axes_for, draw_line, draw_within, palette_of
from mle_regression.displays.lettering import fonts, legend_above, legible, name_along, tick_at_values, title_and_axes
from mle_regression.displays.subject import (
    Subject,
    check_same_shape,
    chosen_output,
    output_labels,
    outputs_of,
    predicted,
    subject_of,
    target_name,
    weights_of,
)
from mle_regression.linalg.arrays import Array
from mle_regression.scoring import unwrapped
from mle_regression.validation import checks

Interval = tuple[Array, Array]
# Values of a column that are few enough to stand at its axis, each.
_FEW_VALUES = 6


class PredictionBandDisplay:
    """Mean, interval of the mean and interval of observations along one column, the others in their middle.

    Use `from_estimator` rather than the constructor.

    Parameters
    ----------
    grid, mean : array of shape (k,)
        Values of the column, ascending, and the predicted means there.
    mean_interval, observation_interval : pair of arrays of shape (k,), default=None
        Lower and upper ends; None where they are not known.
    x, y : array of shape (n,), default=None
        Rows to draw.
    column, target : str
    coverage : float, default=0.95
    adjusted : bool, default=False
        Whether ``y`` has been taken to where the other columns are in their middle.
    several : bool, default=False
        Whether there are other columns.
    missing : dict of str to str, default=None
        Why an interval, "mean" or "observation", is not known.

    Attributes
    ----------
    grid, mean, mean_interval, observation_interval, x, y, column, target, coverage, adjusted, several, missing
        As above.
    ax_ : matplotlib axes
    figure_ : matplotlib figure

    Examples
    --------
    >>> import numpy as np
    >>> from mle_regression import MLELinearRegressor
    >>> from mle_regression.displays import PredictionBandDisplay
    >>> X, y = np.arange(6.0)[:, None], np.array([0.0, 1.0, 1.5, 3.5, 4.0, 5.0])
    >>> model = MLELinearRegressor().fit(X, y)
    >>> display = PredictionBandDisplay.from_estimator(model, X, y)  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        grid: Any,
        mean: Any,
        mean_interval: Interval | None = None,
        observation_interval: Interval | None = None,
        x: Any = None,
        y: Any = None,
        column: str = "x",
        target: str = "y",
        coverage: float = 0.95,
        adjusted: bool = False,
        several: bool = False,
        missing: dict[str, str] | None = None,
    ) -> None:
        self.grid, self.mean = np.asarray(grid, float), np.asarray(mean, float)
        self.mean_interval, self.observation_interval = mean_interval, observation_interval
        self.x = None if x is None else np.asarray(x, float)
        self.y = None if y is None else np.asarray(y, float)
        self.column, self.target, self.coverage = column, target, coverage
        self.adjusted, self.several = adjusted, several
        self.missing = missing or {}

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        column: int | str | None = None,
        sample_weight: Any = None,
        output: int | str | None = None,
        coverage: float = 0.95,
        rows: Literal["adjusted", "observed"] = "adjusted",
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw predictions along one column of X.

        Parameters
        ----------
        estimator : fitted regressor
            Any of scikit-learn's, a pipeline or a search, nested in any way. Intervals are known of those of this package; of
            a network the interval of the mean if it was fitted with ``curvature=`` or ``alpha="evidence"``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            As the estimator takes it, before the steps of a pipeline.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            None to draw no rows.
        column : int or str, default=None
            None for the column of numbers along which the mean changes most. The others are at their medians, or most
            frequent values.
        sample_weight : array-like of shape (n_samples,), default=None
            Rows of weight zero are not drawn.
        output : int or str, default=None
            The output to draw, where there are several.
        coverage : float, default=0.95
        rows : {"adjusted", "observed"}, default="adjusted"
            Whether to draw rows as far from the mean as they are where the other columns have their values, or y itself, of
            which the other columns' part may hide the column's. The same where X has one column.
        ax : matplotlib axes, default=None
        width : float, default=None
            Width of a new figure in inches.

        Returns
        -------
        PredictionBandDisplay
        """
        checks.check_probability("coverage", coverage)
        checks.check_choice("rows", rows, ("adjusted", "observed"))
        subject, table = subject_of(estimator), table_of(X)
        mean_of_rows = predicted(subject, X)
        labels = output_labels(subject, y)
        which = chosen_output(labels, mean_of_rows.shape[1], output)

        def predict(data: Any) -> Array:
            return predicted(subject, data)[:, which]

        j = columns_by_change(table, predict)[0] if column is None else table.place(column)
        values = table.numbers(j)
        grid = values_along(values, table.names[j])
        data = table.typical(len(grid), {j: grid})
        intervals, missing = _intervals(subject, data, coverage, which)
        x, observed, adjusted = None, None, rows == "adjusted" and len(table.names) > 1
        if y is not None:
            truth = outputs_of(y)
            check_same_shape(truth, mean_of_rows)
            counted = np.flatnonzero((weights_of(sample_weight, len(truth)) > 0) & np.isfinite(values))
            x, observed = values[counted], truth[counted, which]
            if adjusted:
                observed = observed + predict(table.typical(len(x), {j: x})) - mean_of_rows[counted, which]
        display = cls(
            grid=grid,
            mean=predict(data),
            mean_interval=intervals.get("mean"),
            observation_interval=intervals.get("observation"),
            x=x,
            y=observed,
            column=table.names[j],
            target=target_name(labels, which, y),
            coverage=coverage,
            adjusted=adjusted,
            several=len(table.names) > 1,
            missing=missing,
        )
        return display.plot(ax, width=width)

    def plot(self, ax: Any = None, *, width: float | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax, width
            As in `from_estimator`.

        Returns
        -------
        PredictionBandDisplay
            With ``ax_`` and ``figure_``.
        """
        with fonts():
            ax = axes_for(ax, width, extra_height=0.5)
            self._draw(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax: Any) -> None:
        colours, share = palette_of(ax), f"{100 * self.coverage:g} %"
        bands = [self.mean]
        if self.observation_interval is not None:
            bands += self.observation_interval
            ax.fill_between(self.grid, *self.observation_interval, color=colours.band, alpha=0.7, linewidth=0, zorder=0)
            for ends, name in zip(self.observation_interval, (f"{share} of observations", None), strict=True):
                ax.plot(self.grid, ends, color=colours.faint, linestyle="--", linewidth=1.2, zorder=3, label=name)
        if self.mean_interval is not None:
            bands += self.mean_interval
            style = {"color": colours.line, "alpha": 0.4, "linewidth": 0, "zorder": 1, "label": f"{share} for the mean"}
            ax.fill_between(self.grid, *self.mean_interval, **style)
        draw_line(ax, self.grid, self.mean, color=colours.line, label="mean")
        if self.x is not None and self.y is not None:
            draw_within(ax, self.x, self.y, bands, "rows, adjusted" if self.adjusted else "rows")
        ax.margins(x=0.03)
        name = name_along(ax, self.column)
        title_and_axes(ax, "", f"{name}\nothers in their middle" if self.several else name, legible([self.target])[0])
        if len(self.grid) <= _FEW_VALUES:
            tick_at_values(ax, self.grid)
        legend_above(ax)


def _intervals(subject: Subject, data: Any, coverage: float, which: int) -> tuple[dict[str, Interval], dict[str, str]]:
    """Return the intervals that are known, and why others are not."""
    if not subject.likelihood:
        reason = f"{type(subject.model).__name__} has no predict_interval."
        return {}, {"mean": reason, "observation": reason}
    found, missing, inner = {}, {}, unwrapped(subject.estimator, data)[1]
    for kind in ("mean", "observation"):
        try:
            interval = subject.model.predict_interval(inner, coverage, kind)
        except ValueError as error:
            missing[kind] = str(error)
            continue
        ends = [np.reshape(end, (len(end), -1))[:, which] for end in interval]
        if np.isfinite(ends).any():
            found[kind] = (ends[0], ends[1])
        else:
            missing[kind] = "The rows of the fit do not determine it: no noise, or no degrees of freedom, are left."
    return found, missing
