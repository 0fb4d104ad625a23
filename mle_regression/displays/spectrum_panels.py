"""The two pictures of a spectrum: eigenvalues one by one, and their density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from mle_regression.diagnostics.curvature import FLAT_MINIMUM
from mle_regression.displays.drawing import palette_of
from mle_regression.displays.words import direction_text, few_decades, room_for_letters, title_over_legend
from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.lanczos import Density

# Zeros are drawn this share of the largest eigenvalue high, if their bounds are lower.
_FLOOR = EPS
# Parts of the Hessian are drawn down to this share of its lowest eigenvalue.
_BELOW = 0.1
# Condition numbers from which on a power of ten is told.
_LARGE = 1e4
# Below this share of the largest, Lanczos' nodes do not resolve a density; blur, and what is drawn beyond the ends, in
# e-folds; places on the axis.
_RESOLVED, _BLUR, _BEYOND, _N_GRID = 1e-6, 0.35, 1.5, 400


@dataclass(frozen=True, slots=True)
class SpectralCurves:
    """Densities of eigenvalues on a scale that is logarithmic but for a stretch round zero.

    Attributes
    ----------
    eigenvalue : Array of shape (g,)
    threshold : float
        Up to here the scale is linear: asinh(λ / threshold).
    densities : dict of str to Array of shape (g,)
        Eigenvalues a decade: of the "hessian", of its "gauss_newton" part, and of the "rest".
    """

    eigenvalue: Array
    threshold: float
    densities: dict[str, Array]

    @classmethod
    def of(cls, found: dict[str, Density]) -> SpectralCurves:
        """Return the curves of some densities."""
        largest = max(float(np.abs(density.nodes).max()) for density in found.values()) or 1.0
        threshold = _RESOLVED * largest
        low = min(float(density.nodes.min()) for density in found.values())
        start, end = np.arcsinh(min(low, 0.0) / threshold), np.arcsinh(largest / threshold)
        grid = np.linspace(float(start) - _BEYOND, float(end) + _BEYOND, _N_GRID)
        curves = {
            name: np.log(10.0) * density.size * density.at(grid, _BLUR, lambda value: np.arcsinh(value / threshold))
            for name, density in found.items()
        }
        return cls(threshold * np.sinh(grid), threshold, curves)


class Spectrum(Protocol):
    """What is drawn: see `SpectrumDisplay`."""

    eigenvalues: Array
    error_bounds: Array
    directions: pd.DataFrame
    size: int
    parts: dict[str, Array]
    curves: SpectralCurves | None
    verdict: str
    condition_number: float
    units: str
    signs: IntArray


_KINDS_OF_SIGN = ((1, "positive", "o", True), (-1, "negative", "v", True), (0, "zero to its bound", "s", False))


def draw_eigenvalues(shown: Spectrum, ax: Any) -> None:
    """Sizes of eigenvalues by rank, with their bounds; a sign has a shape and a colour."""
    colours = palette_of(ax)
    ranks, gap = _ranks(len(shown.eigenvalues), shown.size)
    largest = float(np.abs(shown.eigenvalues).max(initial=0.0)) or 1.0
    size, bounds = np.abs(shown.eigenvalues), shown.error_bounds
    height = np.where(shown.signs == 0, np.maximum(np.maximum(size, bounds), _FLOOR * largest), size)
    ax.set_yscale("log")
    floor = _BELOW * float(height.min(initial=np.inf))
    for part, dash in (("gauss_newton", "--"), ("rest", ":")):
        values = shown.parts.get(part)
        if values is not None and len(values) == len(ranks):
            name = "Gauss–Newton part" if part == "gauss_newton" else "the rest"
            _draw_part(ax, ranks, values, floor, linestyle=dash, color=colours.faint, label=name)
    low = np.maximum(height - bounds, _FLOOR * largest * 1e-2)
    unsure = (bounds > 0.02 * height) & (shown.signs != 0)
    ax.vlines(ranks[unsure], low[unsure], (height + bounds)[unsure], color=colours.ink, linewidth=0.8, zorder=2)
    many = len(ranks) > 60
    for sign, name, marker, filled in _KINDS_OF_SIGN:
        these = shown.signs == sign
        if these.any():
            colour = colours.line if sign < 0 else colours.second
            face = colour if filled else colours.ground
            style = {"marker": marker, "s": 14 if many else 34, "zorder": 3, "linewidths": 1.1}
            ax.scatter(
                ranks[these], height[these], facecolors=face, edgecolors=colour, label=f"{name}: {these.sum()}", **style
            )
    if gap is not None:
        ax.axvline(gap, color=colours.faint, linestyle=":", linewidth=1.0)
        ticks = [ranks[0], ranks[len(ranks) // 2 - 1], ranks[len(ranks) // 2], ranks[-1]]
        half = len(ranks) // 2
        ax.set_xticks(ticks, ["1", f"{half}", f"{shown.size - half + 1:,}", f"{shown.size:,}"])
    else:
        from matplotlib.ticker import MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    ax.margins(x=0.04, y=0.08)
    few_decades(ax, "y", *ax.get_ylim())


def _draw_part(ax: Any, ranks: Array, values: Array, floor: float, **style: Any) -> None:
    """Draw sizes of a part's eigenvalues by rank; those of each sign are a line."""
    name = style.pop("label")
    for branch in (values > 0, values < 0):
        drawn = branch & (np.abs(values) > floor)
        if drawn.any():
            ax.plot(ranks[drawn], np.abs(values[drawn]), label=name, linewidth=1.5, zorder=1, **style)
            name = None


def _ranks(count: int, size: int) -> tuple[Array, float | None]:
    """Return where eigenvalues stand on the axis, and where those that are not known are left out."""
    if count >= size:
        return np.arange(1.0, count + 1.0), None
    half = count // 2
    gap = max(2.0, 0.15 * count)
    return np.r_[np.arange(1.0, half + 1.0), half + gap + np.arange(1.0, count - half + 1.0)], half + 0.5 * (gap + 1.0)


def draw_density(shown: Spectrum, ax: Any) -> None:
    """Eigenvalues a decade by their size, negative ones to the left."""
    curves, colours = shown.curves, palette_of(ax)
    assert curves is not None
    place = np.arcsinh(curves.eigenvalue / curves.threshold)
    whole = curves.densities["hessian"]
    top = float(whole.max())
    floor = min(0.3, 0.01 * top)
    ax.set_yscale("log")
    ax.fill_between(place, floor, np.maximum(whole, floor), color=colours.points, alpha=0.55, linewidth=0)
    ax.plot(place, np.maximum(whole, floor), color=colours.second, linewidth=1.8, label="Hessian")
    for part, dash, name in (("gauss_newton", "--", "Gauss–Newton part"), ("rest", ":", "the rest")):
        if part in curves.densities:
            line = np.where(curves.densities[part] > floor, curves.densities[part], np.nan)
            ax.plot(
                place,
                line,
                color=colours.ink if part == "rest" else colours.line,
                linestyle=dash,
                linewidth=1.6,
                label=name,
            )
    ax.axvline(0.0, color=colours.faint, linewidth=0.9)
    ax.set_ylim(floor, 3.0 * max(top, *(float(one.max()) for one in curves.densities.values())))
    ax.set_xlim(place[0], place[-1])
    ticks, names = _signed_decades(curves, room_for_letters(ax))
    ax.set_xticks(ticks, names)


# Letters that the name of a negative power of ten takes, with a gap.
_LETTERS_A_POWER = 7.0


def _signed_decades(curves: SpectralCurves, room: int) -> tuple[Array, list[str]]:
    """Return places and names of powers of ten on either side of zero, as many as there is room for."""
    first = int(np.ceil(np.log10(curves.threshold))) + 1
    ends = np.arcsinh(curves.eigenvalue[[0, -1]] / curves.threshold)
    letters_a_decade = room * np.log(10.0) / float(ends[1] - ends[0])
    step = max(1, int(np.ceil(_LETTERS_A_POWER / letters_a_decade)))
    ticks, names = [0.0], ["0"]
    for sign, end in ((1, curves.eigenvalue[-1]), (-1, -curves.eigenvalue[0])):
        last = int(np.floor(np.log10(end))) if end > 0 else first - 1
        for power in range(last, first - 1, -step):
            ticks.append(sign * float(np.arcsinh(10.0**power / curves.threshold)))
            names.append(f"${'-' if sign < 0 else ''}10^{{{power}}}$")
    return np.array(ticks), names


def _in_few_letters(condition: float) -> str:
    if not np.isfinite(condition):
        return "∞"
    return f"{condition:.2e}" if condition >= _LARGE else f"{condition:.3g}"


def write_words(shown: Spectrum, ax: Any, density: bool) -> None:
    """Say what the axes are, the verdict, and which directions are flat and steep."""
    words = [f"Hessian: {shown.verdict}" if shown.verdict else "Hessian"]
    if shown.verdict == FLAT_MINIMUM or np.isfinite(shown.condition_number):
        words.append(f"condition {_in_few_letters(shown.condition_number)}")
    title = (", " if len(", ".join(words)) <= room_for_letters(ax) else "\n").join(words)
    where = "eigenvalue" if density else "rank of the eigenvalue"
    ax.set_ylabel("eigenvalues a decade" if density else f"size, in {shown.units}" if shown.units else "size")
    ax.set_xlabel(f"{where}\n\n")
    title_over_legend(ax, title)
    names, room = list(shown.directions.index), room_for_letters(ax)
    flat = int(np.abs(shown.eigenvalues).argmin())
    told = [("flattest", flat), ("steepest", -1)]
    if shown.signs.min(initial=1) < 0:
        told.insert(0, ("downwards", 0))
    lines = [f"{name}: {direction_text(shown.directions.iloc[:, k].to_numpy(), names, room - 10)}" for name, k in told]
    ax.set_xlabel("\n".join([where, *lines]))
