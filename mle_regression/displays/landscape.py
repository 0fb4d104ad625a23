"""The objective round a fit as a map: the bowl of a linear model, a valley of collinear columns, a network's saddle."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mle_regression.diagnostics.stationary import SADDLE
from mle_regression.displays.drawing import Palette, axes_for, palette_of
from mle_regression.displays.lettering import fonts, legible
from mle_regression.displays.subject import chosen_output, diagnosis_of, output_labels, outputs_of, subject_of
from mle_regression.displays.words import direction_text, room_for_letters, title_over_legend
from mle_regression.linalg.arrays import Array
from mle_regression.reports.landscape import Landscape

# Contours, and the lowest of them above the lowest place, as a share of the range of J.
_N_CONTOURS, _LOWEST_SHARE, _LOW_EDGE = 10, 1e-9, 0.1
# Letters along axes up to which they have few ticks.
_FEW_LETTERS = 26
# Curvatures this share of the larger one are rounding.
_FLAT = 1e-13
# A path this share of the window away from the plane is said to be.
_OFF_PLANE = 0.02


class LandscapeDisplay:
    """Contours of the objective J on a plane through a fit, and the path of an iterative solver over it.

    Use `from_estimator` or `from_diagnosis` rather than the constructor.

    Parameters
    ----------
    landscape : Landscape
        As ``estimator.diagnose(X, y).landscape()`` returns it.

    Attributes
    ----------
    landscape : Landscape
        The numbers that are drawn.
    levels : ndarray
        J of the contours.
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    contours_, path_, optimum_ : matplotlib artists
        The path is None if there is none.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLELinearRegressor
    >>> from mle_regression.displays import LandscapeDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> seen = MLELinearRegressor().fit(X, y).diagnose(X, y).landscape(("s1", "s2"))
    >>> bool(LandscapeDisplay(seen).levels[0] > seen.loss)
    True
    """

    def __init__(self, landscape: Landscape) -> None:
        self.landscape = landscape
        self.levels = contour_levels(landscape.values)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        directions: Any = "extremes",
        output: int | str | None = None,
        path: Any = None,
        radius: float | None = None,
        n_points: int | None = None,
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the objective of a fitted model.

        Parameters
        ----------
        estimator : fitted MLELinearRegressor or MLPGradientRegressor
            Or a pipeline or search of one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            As in ``fit``.
        directions : "extremes" or pair of str or int, default="extremes"
            The axes: eigenvectors of the Hessian with the smallest and the largest eigenvalue, or two parameters. See
            ``diagnose(X, y).landscape``.
        output : int or str, default=None
            Which output of a linear model, where y has several; a network has one objective for all.
        path : PathRecorder or array, default=None
            The path of the solver, recorded by a callback: ``model.set_callbacks(recorder).fit(X, y)``.
        radius : float, default=None
            How far to go from the fit, in standard units; None for what there is to be seen.
        n_points : int, default=None
            Places on each axis at which J is worked out; None for 161 of a linear model, 41 of a network.
        ax : matplotlib axes, default=None
        width : float, default=None
            Width of a new figure in inches.

        Returns
        -------
        LandscapeDisplay
        """
        subject = subject_of(estimator, X)
        diagnosis = diagnosis_of(subject, y, sample_weight)
        network = hasattr(subject.model, "coefs_")
        if not network or output is not None:
            output = chosen_output(output_labels(subject, y), outputs_of(y).shape[1], output)
        output = None if network else output
        options = {"directions": directions, "path": path, "radius": radius, "n_points": n_points}
        return cls.from_diagnosis(diagnosis, output=output, ax=ax, width=width, **options)

    @classmethod
    def from_diagnosis(
        cls,
        diagnosis: Any,
        *,
        directions: Any = "extremes",
        output: int | str | None = None,
        path: Any = None,
        radius: float | None = None,
        n_points: int | None = None,
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the objective that a diagnosis knows.

        Parameters
        ----------
        diagnosis : object
            What ``estimator.diagnose(X, y)`` returns.
        directions, output, path, radius, n_points, ax, width
            As in `from_estimator`.

        Returns
        -------
        LandscapeDisplay
        """
        options: dict[str, Any] = {"path": path, "radius": radius}
        if n_points is not None:
            options["n_points"] = n_points
        if output is not None:
            options["output"] = output
        return cls(diagnosis.landscape(directions, **options)).plot(ax, width=width)

    def plot(self, ax: Any = None, *, width: float | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax, width
            As in `from_estimator`.

        Returns
        -------
        LandscapeDisplay
            With ``ax_`` and ``figure_``.
        """
        with fonts():
            ax = axes_for(ax, width, _height(width))
            self.ax_, self.figure_ = ax, ax.figure
            self.contours_ = _contours(ax, self.landscape, self.levels)
            self.path_ = _draw_path(ax, self.landscape) if len(self.landscape.path) else None
            self.optimum_ = _draw_optimum(ax, self.landscape)
            _words(ax, self.landscape)
        return self


def contour_levels(values: Array) -> Array:
    """Return levels of J above its lowest value, each a multiple of the last: a bowl's rings are alike at any depth.

    The lowest lies well below what J is at the edge of the window, so that it closes round the lowest place.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    span = high - low
    if not span > np.finfo(float).eps * max(abs(high), abs(low)) * 4:
        return np.array([low, low + max(abs(low), 1.0)])
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    first = _LOW_EDGE * float(np.nanmin(edge) - low)
    return low + span * np.geomspace(np.clip(first / span, _LOWEST_SHARE, 0.05), 1.0, _N_CONTOURS)


def _height(width: float | None) -> float | None:
    """Return a height for a map that is about square, with its words."""
    return None if width is None else 0.92 * width


def _shades(colours: Palette) -> Any:
    """Return shades from the ground, at the lowest J, to that of points and beyond."""
    from matplotlib.colors import LinearSegmentedColormap

    dark = colours.ground == "#000000"
    ends = ("#0b0f14", "#24486e", "#8fc0ea") if dark else ("#fbfcfe", "#8fb1d6", "#123a66")
    return LinearSegmentedColormap.from_list("objective", ends)


def _contours(ax: Any, seen: Landscape, levels: Array) -> Any:
    from matplotlib.colors import BoundaryNorm

    colours, low = palette_of(ax), float(np.nanmin(seen.values))
    every = np.r_[low, levels]
    shades = _shades(colours)
    filled = ax.contourf(seen.x, seen.y, seen.values, every, cmap=shades, norm=BoundaryNorm(every, shades.N))
    ax.contour(seen.x, seen.y, seen.values, levels, colors=colours.ink, linewidths=0.5, alpha=0.55)
    if seen.verdict == SADDLE and levels[0] < seen.loss < levels[-1]:
        ax.contour(seen.x, seen.y, seen.values, [seen.loss], colors=colours.ink, linewidths=1.6, linestyles="--")
        ax.plot([], [], color=colours.ink, linewidth=1.6, linestyle="--", label="J of the saddle point")
    bar = ax.figure.colorbar(filled, cax=ax.inset_axes((1.03, 0.0, 0.045, 1.0)), ticks=every[::3])
    bar.ax.set_yticklabels([f"{level - low:.2g}" for level in every[::3]], fontsize="small")
    bar.set_label(f"J above its lowest, {low:.4g}")
    return filled


def _draw_path(ax: Any, seen: Landscape) -> Any:
    from matplotlib.patheffects import withStroke

    colours, steps = palette_of(ax), seen.path
    halo = [withStroke(linewidth=3.5, foreground=colours.ground)]
    few = len(steps) <= 30
    window = float(seen.x[-1] - seen.x[0])
    off = float(seen.off_plane.max())
    name = f"path of {len(steps) - 1} steps" + (", from above" if off > _OFF_PLANE * window else "")
    (line,) = ax.plot(
        *steps.T,
        color=colours.line,
        linewidth=1.5,
        marker="o" if few else None,
        markersize=3.0,
        path_effects=halo,
        label=name,
        zorder=4,
    )
    ax.plot(*steps[0], "o", color=colours.ground, markeredgecolor=colours.line, markersize=8, zorder=5)
    return line


def _draw_optimum(ax: Any, seen: Landscape) -> Any:
    colours = palette_of(ax)
    saddle = seen.verdict == SADDLE
    (point,) = ax.plot(
        *seen.optimum,
        marker="X" if saddle else "*",
        linestyle="none",
        color=colours.ink,
        markeredgecolor=colours.ground,
        markersize=11 if saddle else 15,
        label=f"fit: {seen.verdict}" if seen.verdict else "fit",
        zorder=6,
    )
    return point


def _words(ax: Any, seen: Landscape) -> None:
    """Write title and legend above the map, so that nothing of it is covered, and the axes' names in the room there is."""
    ax.set_xlim(seen.x[0], seen.x[-1])
    ax.set_ylim(seen.y[0], seen.y[-1])
    ax.set_box_aspect(1)
    for side in "xy":
        ax.ticklabel_format(axis=side, scilimits=(-3, 5))
    ax.set_xlabel("\n")
    ax.set_ylabel("\n")
    some = f" ({seen.n_rows:,} of {seen.n_rows_given:,} rows)" if seen.n_rows < seen.n_rows_given else ""
    title_over_legend(ax, f"Objective: J = {seen.loss:.4g} at the fit{some}")
    if (
        ax.xaxis.get_offset_text().get_text()
    ):  # the power of ten at the end of the axis, beside which a name has no room
        ax.xaxis.labelpad += 12
    for side in "xy":
        ax.locator_params(axis=side, nbins=3 if room_for_letters(ax, side) < _FEW_LETTERS else 5)
    ax.set_xlabel(_axis_name(ax, seen, 0))
    ax.set_ylabel(_axis_name(ax, seen, 1))


def _axis_name(ax: Any, seen: Landscape, which: int) -> str:
    room = room_for_letters(ax, "xy"[which])
    name = seen.names[which]
    if seen.of_parameters:
        return legible([name], max(room, 10))[0]
    direction = direction_text(seen.directions.iloc[:, which].to_numpy(), list(seen.directions.index), room)
    value = seen.curvatures[which]
    flat = abs(value) <= _FLAT * float(np.abs(seen.curvatures).max())
    curvature = "0" if flat else f"{value:.2g}".replace("-", "−", 1 if value < 0 else 0)
    return f"{name} (curvature {curvature})\n{direction}"
