"""What tests of displays share: estimators that are fitted once, and what is wrong with a figure."""

import itertools

import numpy as np
import pandas as pd

PIXEL = 1.0


def texts(figure):
    """All texts that are drawn, with their boxes."""
    figure.canvas.draw()
    found = [*figure.texts, *([figure._suptitle] if figure._suptitle else [])]
    for axes in figure.axes:
        found += axes.texts
        if axes.get_legend() is not None:
            found += axes.get_legend().get_texts()
        if axes.axison:
            found.append(axes.title)
            for axis in (axes.xaxis, axes.yaxis):
                found += [axis.label, axis.get_offset_text()]
                found += [label for tick in axis._update_ticks() for label in (tick.label1, tick.label2)]
    seen = {id(text): text for text in found if text.get_visible() and text.get_text().strip()}
    return [(text.get_text(), text.get_window_extent()) for text in seen.values()]


def faults(figure):
    """Texts that are cut by the edge of a figure, or lie over another, and axes that have nothing in them."""
    found = texts(figure)
    width, height = figure.canvas.get_width_height()
    cut = [
        f"cut: {name!r}"
        for name, box in found
        if box.x0 < -PIXEL or box.y0 < -PIXEL or box.x1 > width + PIXEL or box.y1 > height + PIXEL
    ]
    over = [
        f"{one!r} over {other!r}"
        for (one, a), (other, b) in itertools.combinations(found, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > PIXEL and min(a.y1, b.y1) - max(a.y0, b.y0) > PIXEL
    ]
    empty = [f"empty: {axes.get_title()!r}" for axes in figure.axes if axes.axison and not axes.has_data()]
    return cut + over + empty


def awkward_rows(rng, n=60, p=4):
    """Rows of heavy tails, with names of seventy letters, of Chinese ones, and of what might be read as a formula."""
    names = [
        "a name of seventy letters that goes on and on until nobody reads it any",
        "价格每平方米",
        "$x_1$ & $y",
        "_b",
    ]
    names += [f"column {j}" for j in range(4, p)]
    index = [
        f"第{i}行" if i % 2 else f"a label that is much too long to be written beside a point, {i}" for i in range(n)
    ]
    X = pd.DataFrame(rng.standard_normal((n, p)) * np.logspace(-3, 6, p), index=index, columns=names[:p])
    y = X.to_numpy() @ np.logspace(3, -6, p) + rng.standard_cauchy(n)
    return X, pd.Series(y, index=index, name="成交价 (US$ of $ 2024)")
