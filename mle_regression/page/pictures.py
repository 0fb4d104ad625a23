"""Pictures as they stand on a page: drawn for a light and for a dark ground, and written into it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mle_regression.displays.drawing import pyplot

# Inches and dots an inch: two such pictures stand side by side on a wide page, one on a narrow one.
WIDTH, _DPI = 4.5, 180
GROUNDS = {"light": "#ffffff", "dark": "#191c21"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on a page: ``caption`` says what to look for; ``light`` and ``dark`` are PNG as data URIs, of one size."""

    title: str
    caption: str
    light: str
    dark: str
    width: int
    height: int


def drawn(title: str, caption: str, display: Any, options: Mapping[str, Any]) -> Picture:
    """Draw a display twice, for light and dark; ``options`` are those of its ``plot``."""
    images = {ground: _image(display, {**options, "width": WIDTH}, ground) for ground in GROUNDS}
    (light, size), (dark, _) = images["light"], images["dark"]
    return Picture(title, caption, light, dark, *size)


def made(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return a display, without the figure that making it has drawn."""
    with _style("light"):
        display = function(*arguments, **options)
        _close(display)
    return display


def available() -> str:
    """Say why there are no pictures; nothing if there are."""
    try:
        pyplot()
    except ImportError as error:
        return str(error)
    return ""


def _image(display: Any, options: Mapping[str, Any], ground: str) -> tuple[str, tuple[int, int]]:
    with _style(ground):
        display.plot(**options)
        figure, buffer = display.figure_, io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI)
        size = tuple(round(inches * _DPI) for inches in figure.get_size_inches())
        _close(display)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}", (size[0], size[1])


@contextmanager
def _style(ground: str) -> Iterator[None]:
    """Set matplotlib's own style, light or dark, whatever the user's is."""
    plt = pyplot()
    colour = GROUNDS[ground]
    shades = {"figure.facecolor": colour, "axes.facecolor": colour, "savefig.facecolor": colour, "font.size": 9.5}
    base = ["default"] if ground == "light" else ["default", "dark_background"]
    interactive = plt.isinteractive()
    plt.ioff()
    try:
        with plt.style.context([*base, shades]):
            yield
    finally:
        if interactive:
            plt.ion()


def _close(display: Any) -> None:
    pyplot().close(display.figure_)
