"""Words in pictures: names that can be read, beside points, along axes and above them."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mle_regression.displays.drawing import edge_of_ground, palette_of, pyplot, width_of
from mle_regression.linalg.arrays import Array

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
# Letters of a title that an inch holds, and the width of axes in inches below which they have few ticks.
_LETTERS_AN_INCH, _FEW_TICKS = 11.0, 3.6
# Places of a label about its point, in typographical points, the best first.
_OFFSETS = tuple((dx, dy) for dy in (0, 5, -5, 12, -12, 20, -20, 30, -30, 42, -42) for dx in (5, -5, 0) if dx or dy)


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
    halo = edge_of_ground(ax, 2.0)
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
    inches = width_of(ax) if inches is None else inches
    letters = max(int(_LETTERS_AN_INCH * inches), 12)
    ax.set_title(textwrap.fill(title, letters), fontsize="medium")
    ax.set_xlabel("\n".join(textwrap.fill(line, letters) for line in x.split("\n")))
    ax.set_ylabel(y)
    for axis in (ax.xaxis, ax.yaxis):
        if hasattr(axis.get_major_formatter(), "set_powerlimits"):
            axis.get_major_formatter().set_powerlimits((-3, 5))
    if ax.get_xscale() == "linear" and inches < _FEW_TICKS:
        ax.locator_params(axis="x", nbins=5)


def name_along(ax: Any, name: str) -> str:
    """Return a name that fits the horizontal axis, its power of ten beside it."""
    inches = width_of(ax)
    return legible([name], int(np.clip(6.5 * inches, 12, MOST_LETTERS)))[0]


def tick_at_values(ax: Any, values: Array) -> None:
    """Put a tick at each of a few values, where these are far enough apart for its number."""
    if np.diff(values).min() > 0.15 * (values[-1] - values[0]):
        ax.set_xticks(values, labels=[f"{value:.4g}" for value in values])


def legend_above(ax: Any, only: str = "") -> None:
    """Put a legend above the axes, where it covers nothing, of what has ``only`` in its name; they must have no title."""
    columns = 2 if width_of(ax) < _FEW_TICKS else 4
    handles, names = ax.get_legend_handles_labels()
    found = [(handle, name) for handle, name in zip(handles, names, strict=True) if only in name]
    if found:
        style = {"fontsize": "small", "frameon": False, "ncols": min(columns, len(found))}
        ax.legend(*zip(*found, strict=True), loc="lower center", bbox_to_anchor=(0.5, 1.0), **style)


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
