"""Residuals in pictures: against the mean, against normal quantiles, and which rows lead the fit."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.linalg import LinAlgError

from mle_regression.diagnostics.local_regression import lowess
from mle_regression.displays import residual_panels
from mle_regression.displays.lettering import fonts
from mle_regression.displays.residual_numbers import (
    RowInfluence,
    counted_parameters,
    in_own_units,
    influence_of_table,
    is_exact,
    noise_band,
    noise_quantiles,
)
from mle_regression.displays.subject import (
    Subject,
    block_of_output,
    check_same_shape,
    chosen_output,
    output_labels,
    outputs_of,
    predicted,
    row_labels,
    subject_of,
    target_name,
    weights_of,
)
from mle_regression.fitted.network import NetworkFit
from mle_regression.fitted.on_rows import NEW
from mle_regression.linalg.arrays import Array
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.registry import DEFAULT_NOISE
from mle_regression.reports.network.diagnosis import NetworkDiagnosis
from mle_regression.validation import checks

Kind = Literal["grid", "residuals", "qq", "scale_location", "leverage", "observed"]
KINDS = ("grid", *residual_panels.PANELS)
_NO_SCALE = "The fit is exact: residuals are rounding, and have no scale."
_NO_NOISE = "No row has a standardised residual: each has a parameter of its own, or no noise is left."
_NO_LEVERAGE = "Leverage is known of fits of this package by least squares, and not of predictions."


class ResidualsDisplay:
    """Residuals in R's four pictures: against the fitted mean, normal Q–Q, scale–location, and leverage with Cook's distance.

    Use `from_estimator`, `from_diagnosis` or `from_predictions` rather than the constructor.

    Parameters
    ----------
    fitted, residual : array of shape (n,)
    influence : RowInfluence, default=None
        Standardised residuals, leverages and Cook's distances (n,). Without, standardised residuals are √w e/s, with s the
        scale or, if there is none, s² the mean of w e².
    labels : sequence of length n, default=None
        Names of the rows; their numbers if None.
    weights : array of shape (n,), default=None
    frequency : bool, default=False
        Whether a weight says how often a row is there; else it is a precision.
    target : str, default="y"
    coverage : float, default=0.95
        Probability with which the band of the Q–Q picture holds all residuals of such noise.
    noise : NoiseFamily, of Gaussian noise by default
        Whose quantiles residuals are compared with.
    scale : float, default=None
        Of the noise of an observation of weight one, which residuals without ``influence`` are standardised by.

    Attributes
    ----------
    fitted, residual, labels, weights
        As above, of the rows of weight.
    standardized : ndarray of shape (n,)
    leverage, cooks_distance : ndarray of shape (n,) or None
    exact : bool
        Whether the residuals are rounding.
    trend, scale_trend : Curve
        Smoothed residuals and smoothed √|standardised residual| along the mean: level where mean and variance are right.
    quantiles : ndarray of shape (n,)
        Quantiles of the noise at the rows' ranks, in their order; NaN where a row has no standardised residual.
    band : QuantileBand
        Quantiles between which ordered residuals of such noise lie, all at once, with probability ``coverage``
        (Aldor-Noiman et al., 2013).
    n_parameters : float
        Parameters that Cook's distance counts; NaN where it has no such form.
    missing : dict of str to str
        Pictures that cannot be drawn, and why.
    ax_ : matplotlib axes, or ndarray of them
    figure_ : matplotlib figure

    Examples
    --------
    >>> import numpy as np
    >>> from mle_regression.displays import ResidualsDisplay
    >>> display = ResidualsDisplay(fitted=np.arange(4.0), residual=np.array([1.0, -1.0, -1.0, 1.0]))
    >>> display.standardized
    array([ 1., -1., -1.,  1.])
    >>> display.plot(kind="qq").figure_.savefig("residuals.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        fitted: Any,
        residual: Any,
        influence: RowInfluence | None = None,
        labels: Any = None,
        weights: Any = None,
        frequency: bool = False,
        target: str = "y",
        coverage: float = 0.95,
        noise: NoiseFamily = DEFAULT_NOISE,
        scale: float | None = None,
    ) -> None:
        checks.check_probability("coverage", coverage)
        given = weights_of(weights, len(residual))
        counted = given > 0
        self.fitted, self.residual = np.asarray(fitted, float)[counted], np.asarray(residual, float)[counted]
        self.weights, self.frequency = given[counted], frequency
        self.target, self.coverage, self.noise = target, coverage, noise
        self.labels = (pd.RangeIndex(len(given)) if labels is None else pd.Index(labels))[counted]
        self.exact = is_exact(self.fitted + self.residual, self.residual)
        self.leverage: Array | None = None
        self.cooks_distance: Array | None = None
        self.n_parameters = float(np.nan)
        self.standardized = in_own_units(self.residual, self.weights, frequency=frequency, scale=scale)
        if self.exact:
            self.standardized = np.full(len(self.residual), np.nan)
        elif influence is not None:
            self.standardized, self.leverage = influence.standardized[counted], influence.leverage[counted]
            self.cooks_distance = influence.cooks_distance[counted]
            self.n_parameters = counted_parameters(RowInfluence(self.standardized, self.leverage, self.cooks_distance))
        known = np.isfinite(self.standardized)
        self.missing = self._missing(bool(known.any()))
        self.trend = lowess(self.fitted, self.residual, self.weights)
        size = np.sqrt(np.abs(self.standardized[known]))
        self.scale_trend = lowess(self.fitted[known], size, self.weights[known])
        self.quantiles = noise_quantiles(self.standardized, self.weights if frequency else None, noise)
        self.band = noise_band(self.weights[known].sum() if frequency else known.sum(), coverage, noise)

    def _missing(self, any_known: bool) -> dict[str, str]:
        """Return which pictures cannot be drawn, and why."""
        if self.exact or not any_known:
            return dict.fromkeys(("qq", "scale_location", "leverage"), _NO_SCALE if self.exact else _NO_NOISE)
        return {"leverage": _NO_LEVERAGE} if self.leverage is None else {}

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        output: int | str | None = None,
        kind: Kind = "grid",
        coverage: float = 0.95,
        ax: Any = None,
        width: float | None = None,
        n_labels: int = 3,
    ) -> Self:
        """Draw the residuals of a fitted regressor on rows, those of the fit or new ones.

        Parameters
        ----------
        estimator : fitted regressor
            Any of scikit-learn's, a pipeline or a search, nested in any way. Leverage and Cook's distance are known of those
            of this package; of a network linearised at its parameters, and not of a mean over several networks.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            As in ``fit``. Rows of weight zero are left out.
        output : int or str, default=None
            The output to draw, where there are several.
        kind : {"grid", "residuals", "qq", "scale_location", "leverage", "observed"}, default="grid"
            One picture, or four. In a grid "observed", y against its prediction, is drawn where leverage is not known.
        coverage : float, default=0.95
            Of the band of the Q–Q picture.
        ax : matplotlib axes, default=None
            Of a grid: axes that have a place in a figure's grid and are divided, or a sequence of one a picture.
        width : float, default=None
            Width of a new figure in inches. Below 6 the pictures of a grid stand one below another.
        n_labels : int, default=3
            Rows to name in each picture, the most extreme ones.

        Returns
        -------
        ResidualsDisplay

        Raises
        ------
        ValueError
            For predictions that are not finite, several outputs without ``output``, or a picture that cannot be drawn.
        """
        checks.check_choice("kind", kind, KINDS)
        subject = subject_of(estimator, X)
        mean, truth = predicted(subject, X), outputs_of(y)
        check_same_shape(truth, mean)
        labels = output_labels(subject, y)
        which = chosen_output(labels, truth.shape[1], output)
        weights = weights_of(sample_weight, len(truth))
        influence, reason = None, ""
        if subject.likelihood and kind not in ("residuals", "observed"):
            influence, reason = _known_influence(subject, y, sample_weight, which)
        display = cls(
            fitted=mean[:, which],
            residual=truth[:, which] - mean[:, which],
            influence=influence,
            labels=row_labels(X, y, len(truth)),
            weights=weights,
            frequency=subject.frequency,
            target=target_name(labels, which, y),
            coverage=coverage,
            **_noise_of(subject, which),
        )
        if reason and display.missing.get("leverage") == _NO_LEVERAGE:
            display.missing["leverage"] = reason
        return display.plot(ax, kind=kind, width=width, n_labels=n_labels)

    @classmethod
    def from_diagnosis(
        cls,
        diagnosis: Any,
        *,
        sample_weight: Any = None,
        frequency: bool = False,
        output: int | str | None = None,
        kind: Kind = "grid",
        coverage: float = 0.95,
        ax: Any = None,
        width: float | None = None,
        n_labels: int = 3,
    ) -> Self:
        """Draw the residuals that a diagnosis knows; of several networks, those of the first.

        Parameters
        ----------
        diagnosis : object
            What ``estimator.diagnose(X, y)`` returns.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights that it was given, which it does not tell.
        frequency : bool, default=False
            Whether these say how often a row is there, ``weight_type="frequency"``.
        output, kind, coverage, ax, width, n_labels
            As in `from_estimator`.

        Returns
        -------
        ResidualsDisplay
        """
        checks.check_choice("kind", kind, KINDS)
        table = _rows_of(diagnosis)
        names = _outputs_of_table(table)
        which = chosen_output(names, max(len(names), 1), output)
        block = block_of_output(table, which, max(len(names), 1))
        weights = weights_of(sample_weight, len(block) if sample_weight is None else np.size(sample_weight))
        weights = weights if len(weights) == len(block) else weights[weights > 0]
        influence = influence_of_table(
            block, weights, frequency=frequency, added=getattr(diagnosis, "data", None) == NEW
        )
        display = cls(
            fitted=block["fitted"],
            residual=block["residual"],
            influence=influence,
            labels=block.index,
            weights=weights,
            frequency=frequency,
            target=names[which] if names else "y",
            coverage=coverage,
        )
        return display.plot(ax, kind=kind, width=width, n_labels=n_labels)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        sample_weight: Any = None,
        output: int | str | None = None,
        kind: Kind = "grid",
        coverage: float = 0.95,
        ax: Any = None,
        width: float | None = None,
        n_labels: int = 3,
    ) -> Self:
        """Draw the residuals of any predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Precisions.
        output, kind, coverage, ax, width, n_labels
            As in `from_estimator`. Leverage is not known.

        Returns
        -------
        ResidualsDisplay
        """
        checks.check_choice("kind", kind, KINDS)
        truth, mean = outputs_of(y_true, "y_true"), outputs_of(y_pred, "y_pred")
        check_same_shape(truth, mean, ("y_true", "y_pred"))
        labels = output_labels(None, y_true)
        which = chosen_output(labels, truth.shape[1], output)
        display = cls(
            fitted=mean[:, which],
            residual=truth[:, which] - mean[:, which],
            labels=row_labels(y_true, y_pred, len(truth)),
            weights=weights_of(sample_weight, len(truth)),
            target=target_name(labels, which, y_true),
            coverage=coverage,
        )
        return display.plot(ax, kind=kind, width=width, n_labels=n_labels)

    def plot(self, ax: Any = None, *, kind: Kind = "grid", width: float | None = None, n_labels: int = 3) -> Self:
        """Draw.

        Parameters
        ----------
        ax, kind, width, n_labels
            As in `from_estimator`.

        Returns
        -------
        ResidualsDisplay
            With ``ax_`` and ``figure_``.
        """
        checks.check_choice("kind", kind, KINDS)
        if kind in self.missing:
            raise ValueError(f"kind={kind!r} cannot be drawn. {self.missing[kind]}")
        with fonts():
            axes = residual_panels.draw(self, kind, ax, width, n_labels)
        self.ax_ = axes[0] if kind != "grid" else np.array(axes, dtype=object)
        self.figure_ = axes[0].figure
        return self


def _noise_of(subject: Subject, which: int) -> dict[str, Any]:
    """Return the noise of one output, and its scale, where a model says that it is not normal."""
    if not subject.likelihood or subject.fit.likelihood.noise.sums_suffice:
        return {}
    return {"noise": subject.fit.likelihood.noise, "scale": float(subject.model._noise_scale()[which])}


def _known_influence(subject: Subject, y: Any, sample_weight: Any, which: int) -> tuple[RowInfluence | None, str]:
    """Return the influence of all rows on one output of a model of this package; or None, and why it is not known."""
    fit = subject.fit
    if isinstance(fit, NetworkFit) and len(fit.networks) > 1:
        return None, "Leverage is that of one network, and predictions are the mean of several."
    try:
        diagnosis = subject.model.diagnose(subject.x, y, sample_weight)
        table = _rows_of(diagnosis)
    except (ValueError, LinAlgError, MemoryError) as error:
        return None, str(error)
    weights = weights_of(sample_weight, len(y))
    block = block_of_output(table, which, max(len(_outputs_of_table(table)), 1))
    counted = weights > 0 if len(block) < len(weights) else np.ones(len(weights), dtype=bool)
    added = getattr(diagnosis, "data", None) == NEW
    found = influence_of_table(block, weights[counted], frequency=subject.frequency, added=added)
    whole = [np.full(len(weights), np.nan) for _ in range(3)]
    for values, known in zip(whole, (found.standardized, found.leverage, found.cooks_distance), strict=True):
        values[counted] = known
    return RowInfluence(*whole), ""


def _rows_of(diagnosis: Any) -> pd.DataFrame:
    """Return the table of the rows, of which leverage and Cook's distance are drawn: no network is fitted again for it."""
    table: pd.DataFrame = diagnosis.rows(refit=False) if isinstance(diagnosis, NetworkDiagnosis) else diagnosis.rows()
    return table


def _outputs_of_table(table: pd.DataFrame) -> list[str]:
    """Return the names of the outputs that a table has one below another; empty if there is one alone."""
    if table.index.nlevels < 2 or table.index.names[0] != "output":
        return []
    return [str(name) for name in dict.fromkeys(table.index.get_level_values(0))]
