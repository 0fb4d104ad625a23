"""The pictures that residuals are drawn in, one function each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd

from mle_regression.diagnostics.local_regression import Curve
from mle_regression.diagnostics.quantile_band import QuantileBand
from mle_regression.displays.drawing import axes_for, draw_line, draw_points, grid_for, palette_of
from mle_regression.displays.lettering import PointLabels, name_along, title_and_axes, write_labels
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.noise.base import NoiseFamily

# Cook's distances that are drawn: from one half on a row is worth a look, from one on it leads the fit.
_COOKS_LEVELS = (0.5, 1.0)
# Of more rows than this as many quantiles are drawn, all of the tails among them.
_MOST_QUANTILES = 1500


class Residuals(Protocol):
    """What is drawn: see `ResidualsDisplay`."""

    fitted: Array
    residual: Array
    standardized: Array
    leverage: Array | None
    cooks_distance: Array | None
    labels: pd.Index
    exact: bool
    trend: Curve
    scale_trend: Curve
    quantiles: Array
    band: QuantileBand
    n_parameters: float
    target: str
    coverage: float
    missing: dict[str, str]
    noise: NoiseFamily


def draw(shown: Residuals, kind: str, ax: Any, width: float | None, n_labels: int) -> list[Any]:
    """Draw one picture or, of a grid, all that there are; return the axes."""
    if kind != "grid":
        axes = [axes_for(ax, width)]
        write_labels([PANELS[kind](shown, axes[0], n_labels)])
        return axes
    last = "observed" if "leverage" in shown.missing else "leverage"
    kinds = [name for name in ("residuals", "qq", "scale_location", last) if name not in shown.missing]
    axes = grid_for(ax, len(kinds), width)
    write_labels([PANELS[name](shown, place, n_labels) for name, place in zip(kinds, axes, strict=True)])
    return axes


def residuals_and_mean(shown: Residuals, ax: Any, n_labels: int) -> PointLabels:
    """Residuals against the fitted mean: a trend says that the mean is curved."""
    _cloud(ax, shown.fitted, shown.residual, shown.trend)
    ax.axhline(0.0, color=palette_of(ax).faint, linewidth=0.9, zorder=1)
    title = "Exact fit: residuals are rounding" if shown.exact else "Residuals against fitted"
    title_and_axes(ax, title, f"Fitted {name_along(ax, shown.target)}", "Residual")
    size = np.abs(shown.residual if shown.exact else shown.standardized)
    return _largest(ax, shown, shown.fitted, shown.residual, size, 0 if shown.exact else n_labels)


def scale_and_mean(shown: Residuals, ax: Any, n_labels: int) -> PointLabels:
    """Size of standardised residuals against the fitted mean: a trend says that the variance is not constant."""
    size = np.sqrt(np.abs(shown.standardized))
    known = np.isfinite(size)
    _cloud(ax, shown.fitted[known], size[known], shown.scale_trend)
    ax.set_ylim(bottom=0.0)
    title_and_axes(ax, "Scale–location", f"Fitted {name_along(ax, shown.target)}", "√|standardized residual|")
    return _largest(ax, shown, shown.fitted, size, size, n_labels)


def quantiles(shown: Residuals, ax: Any, n_labels: int) -> PointLabels:
    """Ordered residuals against quantiles of the noise, with the band that holds all of them if it is of this kind."""
    colours, band = palette_of(ax), shown.band
    normal = shown.noise.sums_suffice
    known = np.flatnonzero(np.isfinite(shown.quantiles))
    order = known[np.argsort(shown.quantiles[known], kind="stable")]
    ax.fill_between(
        band.position,
        band.lower,
        band.upper,
        color=colours.band,
        linewidth=0,
        zorder=0,
        label=f"{100 * shown.coverage:g} % of {'normal' if normal else 'such'} samples",
    )
    ends = shown.quantiles[order[[0, -1]]]
    ax.plot(ends, ends, color=colours.faint, linewidth=0.9, zorder=1)
    drawn = order[_spread_ranks(len(order))]
    ax.scatter(
        shown.quantiles[drawn],
        shown.standardized[drawn],
        s=15 if len(drawn) < 600 else 7,
        color=colours.points,
        edgecolors=colours.second,
        linewidths=0.4,
        zorder=2,
    )
    ax.margins(0.05)
    ax.legend(loc="upper left", fontsize="small", frameon=False)
    title = "Normal Q–Q" if normal else f"Q–Q, {shown.noise.title}"
    title_and_axes(ax, title, "Normal quantile" if normal else "Quantile of the noise", "Standardized residual")
    return _largest(ax, shown, shown.quantiles, shown.standardized, np.abs(shown.standardized), n_labels)


def leverage(shown: Residuals, ax: Any, n_labels: int) -> PointLabels:
    """Standardised residuals against leverage, with lines of equal Cook's distance: beyond them a row leads the fit."""
    assert shown.leverage is not None
    assert shown.cooks_distance is not None
    known = np.isfinite(shown.standardized)
    _cloud(ax, shown.leverage[known], shown.standardized[known], Curve(np.zeros(0), np.zeros(0)))
    ax.axhline(0.0, color=palette_of(ax).faint, linewidth=0.9, zorder=1)
    ax.set_xlim(left=0.0)
    drawn = _cooks_contours(ax, shown.n_parameters)
    alone = int(len(known) - known.sum())
    distances = shown.cooks_distance[np.isfinite(shown.cooks_distance)]
    most = f"{distances.max():.2g}" if len(distances) else "unknown"
    title_and_axes(
        ax,
        "Residuals against leverage" if drawn else f"Cook's distance ≤ {most}",
        f"Leverage ({alone} of leverage 1 hidden)" if alone else "Leverage",
        "Standardized residual",
    )
    return _largest(ax, shown, shown.leverage, shown.standardized, shown.cooks_distance, n_labels)


def observed(shown: Residuals, ax: Any, n_labels: int) -> PointLabels:
    """Observations against their fitted mean."""
    colours, truth = palette_of(ax), shown.fitted + shown.residual
    draw_points(ax, shown.fitted, truth)
    ax.axline((float(np.mean(shown.fitted)),) * 2, slope=1.0, color=colours.line, linewidth=1.6, zorder=3)
    name = name_along(ax, shown.target)
    title_and_axes(ax, "Observed against fitted", f"Fitted {name}", f"Observed {name}")
    size = np.abs(shown.residual if shown.exact else shown.standardized)
    return _largest(ax, shown, shown.fitted, truth, size, 0 if shown.exact else n_labels)


PANELS: dict[str, Callable[[Residuals, Any, int], PointLabels]] = {
    "residuals": residuals_and_mean,
    "qq": quantiles,
    "scale_location": scale_and_mean,
    "leverage": leverage,
    "observed": observed,
}


def _cloud(ax: Any, x: Array, y: Array, trend: Curve) -> None:
    """Draw rows and a smooth curve through them."""
    draw_points(ax, x, y)
    ax.margins(0.06)
    if len(trend.x):
        draw_line(ax, trend.x, trend.y, color=palette_of(ax).line)


def _cooks_contours(ax: Any, n_parameters: float) -> bool:
    """Draw lines of equal Cook's distance where they lie within the axes; return whether one does."""
    if not np.isfinite(n_parameters):
        return False
    (low, high), (_, right) = ax.get_ylim(), ax.get_xlim()
    right, colours, seen = min(right, 0.9999), palette_of(ax), False
    h = np.linspace(1e-4 * right, right, 300)
    for level, dash in zip(_COOKS_LEVELS, ("--", "-"), strict=True):
        t = np.sqrt(level * n_parameters * (1.0 - h) / h)
        for sign in (1.0, -1.0):
            if low < sign * t[-1] < high:
                name = None if seen and sign < 0 else f"Cook's distance {level:g}"
                ax.plot(h, sign * t, color=colours.line, linestyle=dash, linewidth=1.2, zorder=3, label=name)
                seen = True
    ax.set_ylim(low, high)
    ax.set_xlim(0.0, right if right == 0.9999 else ax.get_xlim()[1])
    if seen:
        ax.legend(fontsize="small", frameon=False)
    return seen


def _largest(ax: Any, shown: Residuals, x: Array, y: Array, size: Array, n_labels: int) -> PointLabels:
    """Return the rows of largest size, which are to be named."""
    known = np.flatnonzero(np.isfinite(size) & np.isfinite(x) & np.isfinite(y))
    most: IntArray = known[np.argsort(-size[known], kind="stable")[: max(n_labels, 0)]]
    return PointLabels(ax, x[most], y[most], shown.labels[most].astype(str).tolist())


def _spread_ranks(n: int) -> IntArray:
    """Return ranks to draw of n: all of few, else those at both ends and others evenly spaced in their normal quantiles."""
    if n <= _MOST_QUANTILES:
        return np.arange(n)
    ends = _MOST_QUANTILES // 5
    logits = np.linspace(-1.0, 1.0, _MOST_QUANTILES - 2 * ends) * np.log(n)
    inner = np.round((n - 1) / (1.0 + np.exp(-logits))).astype(int)
    return np.unique(np.concatenate([np.arange(ends), inner, np.arange(n - ends, n)]))
