"""Where pictures are drawn, and in what colours: matplotlib when it is needed, axes, points or their density, lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import Array

# Up to so many rows are drawn one by one, and their density beyond.
MOST_POINTS = 3000
# Width in inches below which a grid of panels has one column, if each is then as high as this.
_NARROW, _LOW = 6.0, 1.9


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours on a light or a dark ground; they differ in lightness too, so that they can be told apart in grey.

    Attributes
    ----------
    ground, ink, faint : str
        Of the axes, of text, and of lines to compare with.
    points, line, second, band : str
        Of rows, of what is estimated from them, of a second such line, and of its uncertainty.
    series : tuple of str
        Of several models side by side; `MARKERS` and `DASHES` go with them.
    """

    ground: str
    ink: str
    faint: str
    points: str
    line: str
    second: str
    band: str
    series: tuple[str, ...]


LIGHT = Palette(
    ground="#ffffff",
    ink="#1a1a1a",
    faint="#767676",
    points="#6f9bc8",
    line="#a33b00",
    second="#0a3a66",
    band="#d9dde3",
    series=("#0a4a86", "#d9651d", "#2f9e77", "#c470a3", "#56b4e9", "#6e5a00"),
)
DARK = Palette(
    ground="#000000",
    ink="#f0f0f0",
    faint="#a0a0a0",
    points="#5484b8",
    line="#ffb454",
    second="#d5ecff",
    band="#3a414c",
    series=("#56a8e8", "#ffd09a", "#2f9e77", "#e38cc0", "#d5ecff", "#b89a1c"),
)
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


def pyplot() -> Any:
    """Return matplotlib.pyplot; raise ImportError that says how to install it where it is missing."""
    try:
        from matplotlib import pyplot as found
    except ImportError as error:
        raise ImportError('Pictures need matplotlib: pip install "mle-regression[plot]".') from error
    return found


def axes_for(ax: Any, width: float | None = None, height: float | None = None, extra_height: float = 0.0) -> Any:
    """Return the axes to draw in: those given, or those of a new figure, its size in inches matplotlib's if None.

    ``extra_height`` is what a legend above the axes takes.
    """
    if ax is not None:
        return ax
    usual_width, usual_height = pyplot().rcParams["figure.figsize"]
    width = usual_width if width is None else width
    size = (width, width * usual_height / usual_width + extra_height if height is None else height)
    return pyplot().subplots(figsize=size, layout="constrained")[1]


def grid_for(ax: Any, n_panels: int, width: float | None = None) -> list[Any]:
    """Return axes for several panels: two a row or, where the figure is narrow, one.

    Parameters
    ----------
    ax : None, matplotlib axes or sequence of n_panels axes
        A single one is divided.
    n_panels : int
    width : float, default=None
        Of a new figure, in inches; half as much again as matplotlib's usual width if None.
    """
    plt = pyplot()
    if ax is not None and np.ndim(ax):
        axes = list(np.ravel(ax))
        if len(axes) != n_panels:
            raise ValueError(f"ax has {len(axes)} axes; there are {n_panels} panels to draw.")
        return axes
    if ax is not None and n_panels == 1:
        return [ax]
    usual = 1.5 * float(plt.rcParams["figure.figsize"][0])
    width = width_of(ax) if ax is not None else usual if width is None else width
    room = np.inf if ax is None else float(ax.get_window_extent().height) / float(ax.figure.dpi)
    columns = 1 if n_panels == 1 or (width < _NARROW and room > _LOW * n_panels) else 2
    lines = -(-n_panels // columns)
    if ax is None:
        size = (width, 0.78 * width / columns * lines)
        axes = list(plt.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False)[1].ravel())
    else:
        ax.set_axis_off()
        space = {} if ax.figure.get_layout_engine() is not None else {"hspace": 0.45, "wspace": 0.35}
        axes = [ax.figure.add_subplot(place) for place in _spec_of(ax).subgridspec(lines, columns, **space)]
    for spare in axes[n_panels:]:
        spare.set_axis_off()
    return axes[:n_panels]


def _spec_of(ax: Any) -> Any:
    """Return the place of axes in a figure's grid, which can be divided."""
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError(
            "ax has no place in a grid and cannot be divided; make it by plt.subplots, or pass one a panel."
        )
    return spec


def width_of(ax: Any) -> float:
    """Return the width of axes in inches, as they are laid out now."""
    return float(ax.get_window_extent().width) / float(ax.figure.dpi)


def palette_of(ax: Any) -> Palette:
    """Return colours that go with the ground of axes."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(ax.get_facecolor())
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else LIGHT


def draw_points(ax: Any, x: Array, y: Array, **style: Any) -> Any:
    """Draw rows as points or, of more than `MOST_POINTS`, how dense they are: a hexagon is darker the more lie in it."""
    colours = palette_of(ax)
    if len(x) <= MOST_POINTS:
        size = 26.0 if len(x) <= 100 else 15.0 if len(x) <= 600 else 8.0
        given = {
            "s": size,
            "color": colours.points,
            "linewidths": 0.4,
            "edgecolors": colours.second,
            "zorder": 2,
        } | style
        return ax.scatter(x, y, alpha=0.8, **given)
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("rows", [_between(colours), colours.points, colours.second])
    width = width_of(ax)
    cells = int(np.clip(11 * width, 20, 70))
    return ax.hexbin(x, y, gridsize=cells, bins="log", mincnt=1, cmap=shades, linewidths=0.2, edgecolors="face")


def draw_within(ax: Any, x: Array, y: Array, bands: Sequence[Array], label: str) -> None:
    """Draw rows about bands; those that would squeeze the others into a line stand as arrows at the edge, and are counted.

    They are further from the bands than these are high, and further from the quartiles than six times their distance.
    """
    low, high = float(np.nanmin(bands)), float(np.nanmax(bands))
    first, third = np.quantile(y, [0.25, 0.75]) if len(y) else (low, high)
    low, high = min(2 * low - high, first - 6 * (third - first)), max(2 * high - low, third + 6 * (third - first))
    inside = (y >= low) & (y <= high)
    draw_points(ax, x[inside], y[inside], label=label)
    beyond, colours = np.flatnonzero(~inside), palette_of(ax)
    if not len(beyond):
        return
    bottom, top = ax.get_ylim()
    room = 0.06 * (top - bottom)
    above, below = beyond[y[beyond] > high], beyond[y[beyond] < low]
    bottom, top = bottom - room * (len(below) > 0), top + room * (len(above) > 0)
    name = f"{len(beyond)} rows beyond" if len(beyond) > 1 else "1 row beyond"
    for which, marker, at in ((above, "^", top - 0.4 * room), (below, "v", bottom + 0.4 * room)):
        if len(which):
            style = {"marker": marker, "color": colours.second, "s": 30, "zorder": 4, "label": name}
            ax.scatter(x[which], np.full(len(which), at), **style)
            name = "_"
    ax.set_ylim(bottom, top)


def _between(colours: Palette) -> Any:
    """Return a shade between the ground and that of points, in which a single row can still be seen."""
    from matplotlib.colors import to_rgb

    share = 0.4
    return tuple(
        share * a + (1 - share) * b for a, b in zip(to_rgb(colours.points), to_rgb(colours.ground), strict=True)
    )


def draw_line(ax: Any, x: Array, y: Array, **style: Any) -> Any:
    """Draw a line with an edge in the colour of the ground, so that it is seen on dark points as well."""
    width = style.setdefault("linewidth", 2.0)
    return ax.plot(x, y, path_effects=edge_of_ground(ax, width + 1.6), **{"zorder": 4} | style)[0]


def edge_of_ground(ax: Any, width: float) -> list[Any]:
    """Return effects that stroke what is drawn in the colour of the ground first."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=width, foreground=palette_of(ax).ground), Normal()]
