"""Words round axes: directions in the letters there is room for, and titles above legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mle_regression.displays.lettering import legible
from mle_regression.linalg.arrays import Array

# Components that are too small to be named, and how many are at most.
_SMALL, _MOST_TERMS = 0.1, 4
# Letters of a name at least, and what a term takes beside its name.
_FEWEST_LETTERS, _BESIDE = 6, 7
# Letters of a name for whose sake another term is left out.
_LONG = 20
# Letters along axes from which on a legend has four columns.
_FOR_FOUR_COLUMNS = 75
# Width of a letter on the mean, as part of the size of the font.
_LETTER = 0.6


def direction_text(direction: Array, names: Sequence[Any], letters: int) -> str:
    """Write a direction by its largest components, within so many letters where that is possible.

    Examples
    --------
    >>> import numpy as np
    >>> direction_text(np.array([0.1, 0.9, -0.42]), ["intercept", "age", "bmi"], 40)
    '0.9 age − 0.42 bmi + 0.1 intercept'
    """
    largest = np.argsort(-np.abs(direction), kind="stable")[:_MOST_TERMS]
    shown = [int(j) for j in largest if abs(direction[j]) >= _SMALL] or [int(largest[0])]
    lengths = [len(str(names[j])) for j in shown]
    fit = [k for k in range(1, len(shown) + 1) if _written(lengths[:k], _LONG) <= letters]
    shown = shown[: max(fit, default=min(2, len(shown)))]
    lengths = lengths[: len(shown)]
    most = next(
        (n for n in range(max(lengths), _FEWEST_LETTERS, -1) if _written(lengths, n) <= letters), _FEWEST_LETTERS
    )
    cut = legible([names[j] for j in shown], most)
    terms = [f"{abs(direction[j]):.2g} {name}" for j, name in zip(shown, cut, strict=True)]
    signs = ["−" if direction[j] < 0 else "+" for j in shown]
    text = " ".join(f"{sign} {term}" for sign, term in zip(signs, terms, strict=True))
    return text[2:] if text.startswith("+") else text.replace("− ", "−", 1)


def _written(lengths: Sequence[int], most: int) -> int:
    """Return how many letters terms take whose names, of these lengths, are cut to ``most``."""
    return sum(min(length, most) + _BESIDE for length in lengths)


def room_for_letters(ax: Any, side: str = "x") -> int:
    """Return how many letters of an axis' label go along a side of axes."""
    from matplotlib.font_manager import FontProperties

    box = ax.get_window_extent()
    length = (box.width if side == "x" else box.height) / ax.figure.dpi * 72
    size = FontProperties(size=ax.xaxis.label.get_size()).get_size_in_points()
    return int(length / (_LETTER * size))


def title_over_legend(ax: Any, title: str) -> None:
    """Write a title, and the legend between it and the axes, where it covers nothing."""
    found = len(ax.get_legend_handles_labels()[1])
    if not found:
        ax.set_title(title, fontsize="medium")
        return
    columns = 2 if room_for_letters(ax) < _FOR_FOUR_COLUMNS else 4
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "borderaxespad": 0.1}
    legend = ax.legend(**place, ncols=min(columns, found), fontsize="small", frameon=False, columnspacing=1.2)
    ax.figure.canvas.figure.draw_without_rendering()
    above = legend.get_window_extent().y1 - ax.get_window_extent().y1
    ax.set_title(title, fontsize="medium", pad=above / ax.figure.dpi * 72 + 3.0)


def few_decades(ax: Any, side: str, low: float, high: float) -> None:
    """Label a logarithmic axis at powers of ten that do not crowd it, or by a few numbers where it spans less than one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis, decades = getattr(ax, f"{side}axis"), np.log10(high) - np.log10(low)
    if decades >= 1.5:
        axis.set_major_locator(LogLocator(base=10.0, numticks=6))
    else:
        axis.set_major_locator(LogLocator(base=10.0, subs=(1.0, 2.0, 5.0), numticks=6))
        axis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:.3g}"))
    axis.set_minor_formatter(NullFormatter())
