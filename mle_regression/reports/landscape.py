"""The objective round an optimum, on a plane in the space of the parameters: numbers for a picture."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mle_regression.linalg.arrays import Array
from mle_regression.validation import checks

EXTREMES = "extremes"
# What is seen beyond the places that are to be seen, as a share of what they span.
_MARGIN = 0.25
# Share of an axis up to which two places are one.
_SAME_PLACE = 1e-9
# Places on an axis between which contours can be drawn.
_FEWEST_POINTS = 3


@dataclass(frozen=True)
class Landscape:
    """The objective J on a plane through the parameters of a fit.

    J is in standard units: the squares of each output, measured by its spread, so that it is one for the best constant; of a
    network with several outputs, as many.

    Attributes
    ----------
    x, y : Array of one dimension
        Places along both axes, that of the fit among them. Of eigenvectors the distance from the fit in standard units
        (columns and outputs measured by their spread); of two parameters the parameters themselves, those of a linear model
        in the units of X and y.
    values : Array of shape (len(y), len(x))
        J, a row for each of ``y``.
    optimum : Array of shape (2,)
        Where the fit is.
    loss : float
        J there.
    names : tuple of str
        What the axes are: two parameters, or "flattest", "lowest" (of the most negative curvature), "steepest".
    directions : pandas.DataFrame of shape (P, 2)
        Of both axes, in standard units; a row a parameter.
    curvatures : Array of shape (2,)
        Second derivatives of J along both, in standard units.
    verdict : str
        What kind of place the fit is at.
    path : Array of shape (steps, 2)
        Where an iterative solver went, seen from above the plane; empty if it was not recorded.
    off_plane : Array of shape (steps,)
        How far from the plane it was there, in standard units.
    n_rows, n_rows_given : int
        How many rows J was worked out on, and how many there are.
    """

    x: Array
    y: Array
    values: Array
    optimum: Array
    loss: float
    names: tuple[str, str]
    directions: pd.DataFrame
    curvatures: Array
    verdict: str
    path: Array
    off_plane: Array
    n_rows: int
    n_rows_given: int

    @property
    def of_parameters(self) -> bool:
        """Whether the axes are parameters, not eigenvectors."""
        return bool((np.count_nonzero(self.directions.to_numpy(), axis=0) == 1).all()) and all(
            name in self.directions.index for name in self.names
        )

    def __repr__(self) -> str:
        return f"<Landscape along {self.names[0]} and {self.names[1]}, J = {self.loss:.5g} at the fit: {self.verdict}>"


def positions_of(directions: Any, names: Sequence[str]) -> tuple[int, int] | None:
    """Return which two parameters the axes are to be; None for eigenvectors."""
    if isinstance(directions, str) and directions == EXTREMES:
        return None
    if isinstance(directions, str) or np.ndim(np.asarray(directions, dtype=object)) != 1 or len(directions) != 2:
        raise ValueError(f"directions={directions!r} must be {EXTREMES!r}, or the names of two parameters.")
    first, second = (_position(one, names) for one in directions)
    if first == second:
        raise ValueError(f"directions={directions!r} names one parameter twice; a plane takes two.")
    return first, second


def _position(one: Any, names: Sequence[str]) -> int:
    if is_position(one, len(names)):
        return int(one)
    if one in names:
        return list(names).index(one)
    near = difflib.get_close_matches(str(one), names, 3, 0.5) or list(names[:8])
    raise ValueError(
        f"directions has {one!r}, which is no parameter of the fit; near are {', '.join(map(repr, near))}."
    )


def is_position(value: Any, count: int) -> bool:
    """Whether a value is the position of one of so many things."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= int(value) < count


def position_of_output(output: Any, labels: Sequence[str], n_outputs: int) -> int:
    """Return which output is meant; None will do where there is one."""
    if output is None and n_outputs == 1:
        return 0
    if is_position(output, n_outputs):
        return int(output)
    if output in labels:
        return list(labels).index(output)
    there = ", ".join(map(repr, labels)) if labels else f"0 to {n_outputs - 1}"
    raise ValueError(f"output={output!r} must be one of the outputs: {there}.")


def check_window(radius: float | None, n_points: int) -> None:
    """Raise unless a window has a size, and a grid some places."""
    if radius is not None:
        checks.check_positive("radius", radius)
    checks.check_positive_integer("n_points", n_points)
    if n_points < _FEWEST_POINTS:
        raise ValueError(f"n_points={n_points} must be {_FEWEST_POINTS} or more.")


def chosen_path(path: Any, shapes: Sequence[tuple[int, ...]], end: Array) -> Array:
    """Return the parameters (steps, …) along a path; of several that were recorded, the one that ends next to the fit.

    Parameters
    ----------
    path : PathRecorder, sequence of arrays, or None
    shapes : sequence of tuple
        Shapes that the parameters of a step may have, that of ``end`` first.
    end : Array
        Parameters of the fit.
    """
    if path is None:
        return np.zeros((0, *end.shape))
    several = [np.asarray(one, dtype=np.float64) for one in getattr(path, "paths", [path])]
    fitting = [one.reshape(-1, *end.shape) for one in several if one.ndim and one.shape[1:] in shapes and len(one)]
    if not fitting:
        found = f"steps of shape {several[0].shape[1:]}" if several else "no steps; fit with it, by an iterative solver"
        raise ValueError(f"path has {found}, and the parameters of this fit are {' or '.join(map(str, shapes))}.")
    return min(fitting, key=lambda one: float(np.linalg.norm(one[-1] - end)))


def window(places: Array, seen: Array, radius: float | None, usual: float) -> Array:
    """Return the ends (2, 2) of a square window of a plane: a row an axis, in coordinates.

    With a ``radius`` it is about the origin; else it shows ``places`` (k, 2) of a path if there are any, or itself ``usual``
    far about the origin and as far as ``seen`` (j, 2).
    """
    if radius is None and len(places):
        every = np.vstack([places, np.zeros((1, 2))])
        low, high = every.min(axis=0), every.max(axis=0)
        half = (0.5 + _MARGIN) * float((high - low).max()) or usual
        return np.column_stack([0.5 * (low + high) - half, 0.5 * (low + high) + half])
    half = (1.0 + _MARGIN) * float(np.abs(seen).max(initial=0.0)) or usual if radius is None else radius
    return np.array([[-half, half], [-half, half]])


def places_between(low: float, high: float, n_points: int) -> Array:
    """Return places along an axis, evenly spaced, and the origin among them, as the fit is lower than what is round it."""
    even = np.linspace(low, high, n_points)
    near = float(np.abs(even).min()) <= _SAME_PLACE * (high - low)
    return even if near or not low < 0.0 < high else np.sort(np.r_[even, 0.0])
