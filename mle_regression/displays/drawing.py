"""What all pictures share: matplotlib when it is needed, axes, colours, points or their density, and text that fits."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import Array

# Up to so many rows are drawn one by one, and their density beyond.
MOST_POINTS = 3000
# Letters of a name that are drawn; of a longer one the middle is left out.
MOST_LETTERS = 28
# Fonts that have the letters of most scripts, one of which many systems have.
_WIDE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Droid Sans Fallback",
    "Unifont",
)


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
    if ax is None:
        width = 1.5 * plt.rcParams["figure.figsize"][0] if width is None else width
    else:
        width = float(ax.get_window_extent().width) / ax.figure.dpi
    columns = 1 if n_panels == 1 or width < _NARROW else 2
    lines = -(-n_panels // columns)
    if ax is None:
        size = (width, 0.78 * width / columns * lines)
        axes = list(plt.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False)[1].ravel())
    else:
        ax.set_axis_off()
        room = _spec_of(ax).subgridspec(lines, columns, hspace=0.45, wspace=0.35)
        axes = [ax.figure.add_subplot(place) for place in room]
    for spare in axes[n_panels:]:
        spare.set_axis_off()
    return axes[:n_panels]


# Width in inches below which a grid of panels has one column.
_NARROW = 6.0


def _spec_of(ax: Any) -> Any:
    """Return the place of axes in a figure's grid, which can be divided."""
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError(
            "ax has no place in a grid and cannot be divided; make it by plt.subplots, or pass one a panel."
        )
    return spec


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
    width = float(ax.get_window_extent().width) / ax.figure.dpi
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
    return ax.plot(x, y, path_effects=[*_edge(ax, width + 1.6), _normal()], **{"zorder": 4} | style)[0]


def _edge(ax: Any, width: float) -> list[Any]:
    """Return the effect that strokes what is drawn in the colour of the ground first."""
    from matplotlib.patheffects import Stroke

    return [Stroke(linewidth=width, foreground=palette_of(ax).ground)]


def _normal() -> Any:
    from matplotlib.patheffects import Normal

    return Normal()


@dataclass(frozen=True, slots=True)
class PointLabels:
    """Names to be written beside points of axes: ``x``, ``y`` (k,) and ``names``, the most important first."""

    ax: Any
    x: Array
    y: Array
    names: Sequence[str]


def write_labels(labels: Sequence[PointLabels]) -> None:
    """Write names beside points, each on the side where it stays within the axes and covers neither legend nor another.

    To be called when all else is drawn, as a figure is laid out first.
    """
    for canvas in {id(one.ax.figure.canvas): one.ax.figure.canvas for one in labels}.values():
        canvas.figure.draw_without_rendering()
    for one in labels:
        _write_beside(one)


def _write_beside(labels: PointLabels) -> None:
    ax = labels.ax
    frame, legend = ax.get_window_extent(), ax.get_legend()
    taken = [] if legend is None else [legend.get_window_extent()]
    colours = palette_of(ax)
    halo = [*_edge(ax, 2.0), _normal()]
    letters = max(int(0.09 * frame.width / (ax.figure.dpi / 72)), 6)
    for x, y, name in zip(labels.x.tolist(), labels.y.tolist(), legible(labels.names, letters), strict=True):
        style = {"fontsize": "small", "color": colours.ink, "path_effects": halo, "zorder": 5}
        text = ax.annotate(name, (x, y), xytext=(0, 0), textcoords="offset points", **style)
        costs = []
        for offset in _OFFSETS:
            _move(text, offset)
            costs.append(_covered(text.get_window_extent(), frame, taken))
            if costs[-1] == 0:
                break
        _move(text, _OFFSETS[int(np.argmin(costs))])
        taken.append(text.get_window_extent())


# Places of a label about its point, in typographical points, the best first.
_OFFSETS = tuple((dx, dy) for dy in (0, 5, -5, 12, -12, 20, -20) for dx in (5, -5, 0) if dx or dy)


def _move(text: Any, offset: tuple[int, int]) -> None:
    dx, dy = offset
    text.set_position(offset)
    text.set_horizontalalignment("left" if dx > 0 else "right" if dx < 0 else "center")
    text.set_verticalalignment("center" if dy == 0 else "bottom" if dy > 0 else "top")


def _covered(box: Any, frame: Any, taken: Sequence[Any]) -> float:
    """Return the area of a box that lies outside of the frame, twice, and over others."""
    area = box.width * box.height
    return float(2 * (area - _common_area(box, frame)) + sum(_common_area(box, other) for other in taken))


def _common_area(box: Any, other: Any) -> float:
    width = min(box.x1, other.x1) - max(box.x0, other.x0)
    height = min(box.y1, other.y1) - max(box.y0, other.y0)
    return float(max(width, 0.0) * max(height, 0.0))


def title_and_axes(ax: Any, title: str, x: str, y: str, inches: float | None = None) -> None:
    """Write a title and the name of the horizontal axis, on two lines where one is too long, and that of the other axis.

    Numbers beyond 1e-3 and 1e5 have their power of ten at the axis' end. ``inches`` are the width of the axes, as they are
    now if None.
    """
    inches = float(ax.get_window_extent().width) / ax.figure.dpi if inches is None else inches
    letters = max(int(_LETTERS_AN_INCH * inches), 12)
    ax.set_title(textwrap.fill(title, letters), fontsize="medium")
    ax.set_xlabel("\n".join(textwrap.fill(line, letters) for line in x.split("\n")))
    ax.set_ylabel(y)
    for axis in (ax.xaxis, ax.yaxis):
        if hasattr(axis.get_major_formatter(), "set_powerlimits"):
            axis.get_major_formatter().set_powerlimits((-3, 5))
    if ax.get_xscale() == "linear" and inches < _FEW_TICKS:
        ax.locator_params(axis="x", nbins=5)


def tick_at_values(ax: Any, values: Array) -> None:
    """Put a tick at each of a few values, where these are far enough apart for its number."""
    if np.diff(values).min() > 0.15 * (values[-1] - values[0]):
        ax.set_xticks(values, labels=[f"{value:.4g}" for value in values])


def legend_above(ax: Any, only: str = "") -> None:
    """Put a legend above the axes, where it covers nothing, of what has ``only`` in its name; they must have no title."""
    columns = 2 if ax.get_window_extent().width / ax.figure.dpi < _FEW_TICKS else 4
    handles, names = ax.get_legend_handles_labels()
    found = [(handle, name) for handle, name in zip(handles, names, strict=True) if only in name]
    if found:
        style = {"fontsize": "small", "frameon": False, "ncols": min(columns, len(found))}
        ax.legend(*zip(*found, strict=True), loc="lower center", bbox_to_anchor=(0.5, 1.0), **style)


# Letters of a title that an inch holds, and the width of axes in inches below which they have few ticks.
_LETTERS_AN_INCH, _FEW_TICKS = 11.0, 3.6


def name_along(ax: Any, name: str) -> str:
    """Return a name that fits the horizontal axis, its power of ten beside it."""
    inches = float(ax.get_window_extent().width) / ax.figure.dpi
    return legible([name], int(np.clip(6.5 * inches, 12, MOST_LETTERS)))[0]


def legible(names: Sequence[Any], most: int = MOST_LETTERS) -> list[str]:
    """Return names as they can be drawn: short, on one line, never read as formulas, in letters that the font has.

    A letter that no font on the system has is drawn as □, and the number of such a name stands before it.
    """
    shown = []
    for number, name in enumerate(names):
        cut = _without_middle(" ".join(str(name).split()), most)
        drawn = "".join(letter if _has_letter(letter) else "□" for letter in cut)
        shown.append((drawn if drawn == cut else f"{number}: {drawn}").replace("$", r"\$"))
    return shown


def _without_middle(text: str, most: int) -> str:
    """Leave out the middle of a text that is wider than so many letters; Chinese ones are as wide as two."""
    widths = [2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text]
    if sum(widths) <= most:
        return text
    reached, left = np.cumsum(widths), np.cumsum(widths[::-1])
    head = int(np.searchsorted(reached, most - most // 2 - 1, side="right"))
    tail = int(np.searchsorted(left, most // 2, side="right"))
    return f"{text[:head]}…{text[len(text) - tail :]}"


def _has_letter(letter: str) -> bool:
    return letter.isascii() or any(ord(letter) in letters for letters in _letters_of_fonts(tuple(_families())))


def _families() -> list[str]:
    found = pyplot().rcParams["font.family"]
    return [found] if isinstance(found, str) else list(found)


@lru_cache(maxsize=8)
def _letters_of_fonts(families: tuple[str, ...]) -> tuple[frozenset[int], ...]:
    """Return the letters that each font of a family has."""
    from matplotlib import font_manager

    paths = [font_manager.findfont(font_manager.FontProperties(family=[family])) for family in families]
    return tuple(frozenset(font_manager.get_font(path).get_charmap()) for path in paths)


def fonts() -> Any:
    """Return a context in which text is drawn in the user's fonts and, where these lack letters, in one that is installed."""
    from matplotlib import font_manager

    plt = pyplot()
    installed = {font.name for font in font_manager.fontManager.ttflist}
    wider = [name for name in _WIDE_FONTS if name in installed]
    return plt.rc_context({"font.family": [*_families(), *wider[:1]]})
