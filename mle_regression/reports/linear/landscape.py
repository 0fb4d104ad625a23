"""The objective of a linear model on a plane: the bowl, or the valley of collinear columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mle_regression.fit.column_moments import ColumnMoments
from mle_regression.fitted.linear import LinearFit
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.information import InformationFactor
from mle_regression.linalg.scaling import scale
from mle_regression.models.linear import linear_mean
from mle_regression.objective.slices import Plane, squares_on
from mle_regression.reports.landscape import Landscape, chosen_path, places_between, positions_of, window
from mle_regression.rows.training_data import TrainingData

# Distance in standard units that is seen where nothing else says how much.
_USUAL = 1.0


@dataclass(frozen=True, slots=True)
class _Coordinates:
    """Standard units of the parameters that a plane lies among: of all, or of the coefficients alone, about their means.

    Attributes
    ----------
    names : list of str
    center, spread : Array of shape (p,)
        Of the columns of [1 | X], or of X; without intercept the centre is zero, and where it is one of two axes.
    of_y : float
        Spread of y.
    params : Array of shape (p,)
        Parameters of the fit in these units.
    penalty : Array of shape (p,)
        In these units.
    with_intercept : bool
        Whether the intercept is one of the parameters.
    """

    names: list[str]
    center: Array
    spread: Array
    of_y: float
    params: Array
    penalty: Array
    with_intercept: bool

    def images(self, x: Any, directions: Array) -> Array:
        """Return by what the mean (n, 2) moves along directions (p, 2), in units of the spread of y."""
        slope = directions / self.spread[:, None]
        constant = -self.center @ slope
        if self.with_intercept:
            return linear_mean(x, slope[1:], constant + slope[0])
        return linear_mean(x, slope, constant)

    def in_standard(self, steps: Array) -> Array:
        """Return parameters (steps, 1 + p) of one output in these units (steps, p)."""
        kept = steps if self.with_intercept else steps[:, 1:]
        return np.asarray(kept * self.spread / self.of_y)


def linear_landscape(
    fit: LinearFit,
    information: InformationFactor,
    verdict: str,
    x: Any,
    y: Array,
    weights: Array | None,
    output: int,
    directions: Any,
    path: Any,
    radius: float | None,
    n_points: int,
) -> Landscape:
    """Return J of one output on a plane; see `LinearDiagnosis.landscape`."""
    positions = positions_of(directions, fit.names)
    if positions is None and fit.centred and len(fit.features) == 1:
        positions = (0, 1)  # no plane but that of intercept and slope
    free = fit.centred and positions is not None and 0 in positions
    at = _coordinates(fit, x, y, weights, output, free)
    if len(at.params) < 2:
        raise ValueError(f"A plane takes two parameters, and this fit has {', '.join(map(repr, fit.names)) or 'none'}.")
    if positions is None:
        vectors, names = _extremes(information, at), ("flattest", "steepest")
        unit = np.ones(2)
    else:
        first = [j - int(fit.centred and not free) for j in positions]
        vectors, names = np.eye(len(at.params))[:, first], (fit.names[positions[0]], fit.names[positions[1]])
        unit = at.of_y / at.spread[first]
    plane, w = Plane(at.params, vectors), np.ones(len(y)) if weights is None else weights
    residual = (y[:, output] - linear_mean(x, fit.coef[:, [output]], fit.intercept[[output]])[:, 0]) / at.of_y
    surface = squares_on(residual, at.images(x, vectors), w, at.penalty, at.params, vectors)
    steps = _path(fit, path, output)
    places, off = plane.coordinates(at.in_standard(steps)) if len(steps) else (np.zeros((0, 2)), np.zeros(0))
    nothing = plane.coordinates(np.zeros((1, len(at.params))))[0]
    # Of a path that has not arrived the lowest place is elsewhere, and to be seen.
    shown = np.vstack([places, surface.lowest[None]]) if len(places) and not fit.optimum.converged else places
    ends = window(shown, nothing, radius, _USUAL)
    grid = [places_between(low, high, n_points) for low, high in ends.tolist()]
    origin = np.zeros(2) if positions is None else unit * at.params[first]
    return Landscape(
        x=origin[0] + unit[0] * grid[0],
        y=origin[1] + unit[1] * grid[1],
        values=surface.values(*grid),
        optimum=origin,
        loss=surface.constant,
        names=names,
        directions=pd.DataFrame(vectors, index=pd.Index(at.names, name="parameter"), columns=list(names)),
        curvatures=np.diagonal(surface.hessian).copy(),
        verdict=verdict,
        path=origin + unit * places,
        off_plane=off,
        n_rows=int(np.count_nonzero(w)),
        n_rows_given=int(np.count_nonzero(w)),
    )


def _coordinates(
    fit: LinearFit, x: Any, y: Array, weights: Array | None, output: int, with_intercept: bool
) -> _Coordinates:
    """Measure columns and y by their spreads; what does not vary by its size."""
    moments = ColumnMoments.of(TrainingData(x, y[:, [output]], weights, True, 0.0))
    size = np.where(moments.center != 0, np.abs(moments.center), 1.0)
    spread = np.where(moments.spread > 0, moments.spread, size)
    center = moments.center[:-1] if fit.centred and not with_intercept else np.zeros(len(fit.features))
    of_y, params = float(spread[-1]), fit.coef[:, output]
    alpha = scale(np.full(len(params), fit.alpha), 2 * fit.weight_exponent)
    spread = spread[:-1]
    if with_intercept:
        center, spread = np.r_[0.0, center], np.r_[1.0, spread]
        params, alpha = np.r_[fit.intercept[output], params], np.r_[0.0, alpha]
    names = fit.names if with_intercept or not fit.centred else fit.names[1:]
    return _Coordinates(names, center, spread, of_y, params * spread / of_y, alpha / spread**2, with_intercept)


def _extremes(information: InformationFactor, at: _Coordinates) -> Array:
    """Return the flattest and the steepest direction (p, 2) of the Hessian over the coefficients in standard units."""
    mantissa, exponent = np.frexp(at.spread)
    factor = scale(information.factor, information.exponent - exponent) / mantissa
    _, _, right = np.linalg.svd(factor, full_matrices=True)
    vectors = right[[-1, 0]].T
    largest = np.abs(vectors).argmax(axis=0)
    return np.asarray(vectors * np.sign(vectors[largest, [0, 1]]))


def _path(fit: LinearFit, path: Any, output: int) -> Array:
    """Return the parameters (steps, 1 + p) of one output along a path."""
    end = np.vstack([fit.intercept, fit.coef])
    shapes = [end.shape] + ([(len(end),)] if end.shape[1] == 1 else [])
    return chosen_path(path, shapes, end)[:, :, output]
