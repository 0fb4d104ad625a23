"""Whether rows lie where the predicted distributions say that they do."""

from __future__ import annotations

import inspect
from typing import Any, Literal, Self

import numpy as np
from scipy.stats import binom, norm
from scipy.stats import t as student_t

from mle_regression.diagnostics.quantile_band import quantile_band
from mle_regression.displays.drawing import axes_for, grid_for, palette_of
from mle_regression.displays.lettering import fonts, title_and_axes
from mle_regression.displays.subject import (
    Subject,
    block_of_output,
    check_same_shape,
    chosen_output,
    output_labels,
    outputs_of,
    predicted,
    subject_of,
    weights_of,
)
from mle_regression.fitted.on_rows import TRAINING
from mle_regression.linalg.arrays import Array
from mle_regression.validation import checks

Kind = Literal["both", "histogram", "coverage"]
KINDS = ("both", "histogram", "coverage")
# Levels that the coverage is told at.
_LEVELS = 201
# Rows that a bar holds, if calibrated, as far as that makes neither too few bars nor too many.
_ROWS_A_BAR, _LEAST_BARS, _MOST_BARS = 15, 5, 20


class CalibrationDisplay:
    """Probability integral transform of rows as a histogram, and how many rows the intervals hold.

    u = F(y) with F the predicted distribution function is uniform if the predictions are right: a U says that intervals are
    too narrow, a hump that they are too wide, a slope that the mean is off (Gneiting, Balabdaoui and Raftery, 2007).

    Use `from_estimator` or `from_predictions` rather than the constructor.

    Parameters
    ----------
    pit : array of shape (n,)
        u of each row, between 0 and 1; NaN where it is not known.
    counts : array of shape (n,), default=None
        How often each row is there.
    left_out : bool, default=False
        Whether each row is judged by the fit to the others.
    band : float, default=0.95
        Probability with which all bars, or the whole curve, of right predictions lie within the bands.

    Attributes
    ----------
    pit, counts, left_out, band
        As above, of the rows that have a u.
    edges : ndarray of shape (b + 1,)
    density : ndarray of shape (b,)
        Height of each bar, 1 if calibrated.
    density_limits : tuple of float
        Between which all bars lie with probability ``band``.
    nominal, observed : ndarray of shape (201,)
        Coverage that central intervals claim, and the share of rows in them.
    ax_ : matplotlib axes, or ndarray of two
    figure_ : matplotlib figure

    References
    ----------
    T. Gneiting, F. Balabdaoui and A. E. Raftery (2007). Probabilistic forecasts, calibration and sharpness. Journal of the
    Royal Statistical Society B 69, 243-268.

    Examples
    --------
    >>> import numpy as np
    >>> from mle_regression.displays import CalibrationDisplay
    >>> display = CalibrationDisplay(pit=np.linspace(0.005, 0.995, 100))
    >>> round(float(display.coverage(0.95)), 2)
    0.96
    """

    def __init__(self, *, pit: Any, counts: Any = None, left_out: bool = False, band: float = 0.95) -> None:
        checks.check_probability("band", band)
        pit, counts = np.asarray(pit, dtype=np.float64), weights_of(counts, len(pit))
        known = np.isfinite(pit) & (counts > 0)
        if not known.any():
            raise ValueError(
                "No row has a predicted distribution: the fit is exact (σ² = 0), or no degrees of freedom are left to tell "
                "how far rows lie from the mean."
            )
        self.pit, self.counts, self.left_out, self.band = pit[known], counts[known], left_out, band
        total = float(self.counts.sum())
        bars = int(np.clip(total // _ROWS_A_BAR, _LEAST_BARS, _MOST_BARS))
        heights, self.edges = np.histogram(self.pit, bins=bars, range=(0.0, 1.0), weights=self.counts)
        self.density = heights * bars / total
        tail = (1.0 - band) / (2 * bars)
        ends = binom.ppf([tail, 1.0 - tail], round(total), 1.0 / bars)
        self.density_limits = (float(ends[0] * bars / total), float(ends[1] * bars / total))
        self.nominal = np.linspace(0.0, 1.0, _LEVELS)
        self.observed = self.coverage(self.nominal)

    def coverage(self, nominal: Any) -> Array:
        """Return the share of rows that lie in central intervals of this nominal coverage."""
        needed = np.abs(2.0 * self.pit - 1.0)
        order = np.argsort(needed, kind="stable")
        held = np.concatenate([[0.0], np.cumsum(self.counts[order])]) / self.counts.sum()
        return np.asarray(held[np.searchsorted(needed[order], nominal, side="right")])

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        output: int | str | None = None,
        kind: Kind = "both",
        band: float = 0.95,
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the calibration of a fitted regressor on rows, best those that it was not fitted on.

        Parameters
        ----------
        estimator : fitted regressor
            Of this package, one whose ``predict`` takes ``return_std=True`` (taken as normal), or a pipeline or a search of
            one, nested in any way.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Rows of a linear fit itself are recognised, and each is judged by the fit to the others; those of a network are
            not, and flatter it.
        sample_weight : array-like of shape (n_samples,), default=None
            As in ``fit``. Rows of weight zero are left out.
        output : int or str, default=None
            The output to draw, where there are several.
        kind : {"both", "histogram", "coverage"}, default="both"
        band : float, default=0.95
            Probability with which right predictions stay within the bands.
        ax : matplotlib axes, default=None
            Of both pictures: axes that have a place in a figure's grid and are divided, or a sequence of two.
        width : float, default=None
            Width of a new figure in inches. Below 6 one picture stands below the other.

        Returns
        -------
        CalibrationDisplay
        """
        checks.check_choice("kind", kind, KINDS)
        subject = subject_of(estimator, X)
        mean, truth = predicted(subject, X), outputs_of(y)
        check_same_shape(truth, mean)
        which = chosen_output(output_labels(subject, y), truth.shape[1], output)
        weights = weights_of(sample_weight, len(truth))
        pit, left_out = None, False
        if subject.likelihood:
            pit = _pit_of_rows_left_out(subject, y, sample_weight, which, truth.shape[1])
            left_out = pit is not None
        if pit is None:
            pit = _predicted_pit(subject, X, truth[:, which] - mean[:, which], sample_weight, which)
        counts = weights if subject.frequency else (weights > 0).astype(np.float64)
        return cls(pit=pit, counts=counts, left_out=left_out, band=band).plot(ax, kind=kind, width=width)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        y_std: Any,
        *,
        dof: float = np.inf,
        kind: Kind = "both",
        band: float = 0.95,
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the calibration of predictions with their standard deviations.

        Parameters
        ----------
        y_true, y_pred, y_std : array-like of shape (n_samples,)
            Observations, predicted means and standard deviations of an observation.
        dof : float, default=inf
            Degrees of freedom of Student's t, which is normal by default.
        kind, band, ax, width
            As in `from_estimator`.

        Returns
        -------
        CalibrationDisplay
        """
        checks.check_choice("kind", kind, KINDS)
        truth, mean = outputs_of(y_true, "y_true"), outputs_of(y_pred, "y_pred")
        deviation = outputs_of(np.broadcast_to(y_std, np.shape(y_pred)), "y_std")
        check_same_shape(truth, mean, ("y_true", "y_pred"))
        pit = _cdf((truth - mean)[:, 0], deviation[:, 0], dof)
        return cls(pit=pit, band=band).plot(ax, kind=kind, width=width)

    def plot(self, ax: Any = None, *, kind: Kind = "both", width: float | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax, kind, width
            As in `from_estimator`.

        Returns
        -------
        CalibrationDisplay
            With ``ax_`` and ``figure_``.
        """
        checks.check_choice("kind", kind, KINDS)
        with fonts():
            axes = grid_for(ax, 2, width) if kind == "both" else [axes_for(ax, width)]
            if kind != "coverage":
                self._draw_histogram(axes[0])
            if kind != "histogram":
                self._draw_coverage(axes[-1])
        self.ax_ = np.array(axes, dtype=object) if kind == "both" else axes[0]
        self.figure_ = axes[0].figure
        return self

    def _draw_histogram(self, ax: Any) -> None:
        colours, (low, high) = palette_of(ax), self.density_limits
        width = self.edges[1] - self.edges[0]
        style = {
            "width": width,
            "align": "edge",
            "color": colours.band,
            "edgecolor": colours.second,
            "linewidth": 0.8,
        }
        ax.bar(self.edges[:-1], self.density, zorder=1, **style)
        ax.axhline(1.0, color=colours.line, linewidth=1.8, zorder=3)
        for limit in (low, high):
            ax.axhline(limit, color=colours.line, linewidth=1.4, linestyle="--", zorder=3)
        ax.set_xlim(0.0, 1.0)
        ax.set_ylim(0.0, 1.08 * max(high, float(self.density.max())))
        outside = int(((self.density < low) | (self.density > high)).sum())
        title = f"{outside} of {len(self.density)} bars leave the band" if outside else "All bars are within the band"
        title_and_axes(ax, title, "F(y), each row left out" if self.left_out else "F(y)", "Density")

    def _draw_coverage(self, ax: Any) -> None:
        colours, total = palette_of(ax), round(float(self.counts.sum()))
        band = quantile_band(total, self.band)
        at = np.concatenate([[0.0], band.position, [1.0]])
        low, high = np.concatenate([[0.0], band.lower, [1.0]]), np.concatenate([[0.0], band.upper, [1.0]])
        ax.fill_betweenx(at, low, high, color=colours.band, linewidth=0, zorder=0)
        ax.plot([0.0, 1.0], [0.0, 1.0], color=colours.faint, linestyle="--", linewidth=1.0, zorder=1)
        ax.plot(self.nominal, self.observed, color=colours.line, linewidth=2.0, zorder=3)
        ax.set_xlim(0.0, 1.0)
        ax.set_ylim(0.0, 1.0)
        held = float(self.coverage(0.95))
        title = f"95 % intervals hold {100 * held:.3g} %"
        title_and_axes(ax, title, f"Nominal coverage, {total:,} rows", "Share of rows held")


def _cdf(gap: Array, deviation: Array, dof: Any) -> Array:
    """Return Student's t distribution function (n,) of gaps in their deviations; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(deviation > 0, gap / deviation, np.nan)
    return np.asarray(norm.cdf(ratio) if np.isinf(dof) else student_t.cdf(ratio, dof if dof > 0 else np.nan))


def _dof(subject: Subject, which: int) -> float:
    """Return the degrees of freedom of Student's t of the intervals of one output."""
    dof = np.ravel(subject.fit.likelihood.residual_dof)
    return float(dof[which if len(dof) > 1 else 0])


def _pit_of_rows_left_out(subject: Subject, y: Any, weights: Any, which: int, n_outputs: int) -> Array | None:
    """Return F(y) of the rows of a linear fit, each by the fit to the others; None where they are not its rows.

    The externally studentised residual is Student's t with one degree of freedom less. Under a penalty the variance is that
    of all rows.
    """
    if not subject.fit.likelihood.noise.sums_suffice:
        return None
    diagnosis = subject.model.diagnose(subject.x, y, weights)
    if getattr(diagnosis, "data", None) != TRAINING:
        return None
    table, dof = block_of_output(diagnosis.rows(), which, n_outputs), _dof(subject, which)
    ratio, left = table["studentized_external"].to_numpy(), dof - 1.0
    if not np.isfinite(ratio).any():
        ratio, left = table["studentized_internal"].to_numpy(), dof
    return np.asarray(student_t.cdf(ratio, left if left > 0 else np.nan))


def _predicted_pit(subject: Subject, X: Any, gap: Array, weights: Any, which: int) -> Array:
    """Return F(y) by the predicted distributions."""
    model = subject.model
    if subject.likelihood:
        likelihood = subject.fit.likelihood
        if not likelihood.noise.sums_suffice:
            roots = np.sqrt(np.ones(len(gap)) if likelihood.frequency else weights_of(weights, len(gap)))
            return np.asarray(likelihood.noise.cdf(roots * gap / model._noise_scale()[which]))
        deviation = model.predict(subject.x, return_std=True, sample_weight=weights)[1]
        return _cdf(gap, np.reshape(deviation, (len(gap), -1))[:, which], _dof(subject, which))
    if "return_std" not in inspect.signature(model.predict).parameters:
        raise TypeError(
            f"{type(model).__name__} predicts no standard deviation; pass them to CalibrationDisplay.from_predictions, or "
            "draw the residuals by ResidualsDisplay."
        )
    deviation = model.predict(subject.x, return_std=True)[1]
    return _cdf(gap, np.reshape(deviation, (len(gap), -1))[:, which], np.inf)
