"""The objective of a network on a plane: its valleys and saddles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mle_regression.diagnostics.stationary import SADDLE
from mle_regression.fitted.network_on_rows import NetworkCurvature, NetworkOnRows
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.objective.network import NetworkObjective
from mle_regression.objective.slices import Plane, values_on
from mle_regression.reports.landscape import Landscape, chosen_path, places_between, positions_of, window

# Distance in standard units that is seen where nothing else says how much; and of the way down from a saddle point.
_USUAL, _BEYOND = 1.0, 1.6
# Rows times parameters of each value on a grid: a few milliseconds. Of more rows some are taken.
_WORK_A_PLACE = 1_000_000
# Up to so many parameters the spectrum is worked out as a whole, and the verdict where nobody asks for eigenvectors.
_SOON_JUDGED = 1000


@one_blas_thread()
def network_landscape(
    network: NetworkOnRows,
    names: Sequence[str],
    directions: Any,
    path: Any,
    radius: float | None,
    n_points: int,
) -> Landscape:
    """Return J on a plane; see `NetworkDiagnosis.landscape`."""
    theta, whole = network.theta, network.objective
    positions = positions_of(directions, names)
    curvature = None
    if positions is None or len(theta) <= _SOON_JUDGED:
        curvature = network.curvature(1, len(theta) <= _SOON_JUDGED)
    if positions is None:
        assert curvature is not None
        vectors, labels = _extremes(curvature)
    else:
        vectors, labels = np.eye(len(theta))[:, positions], (names[positions[0]], names[positions[1]])
    plane = Plane(theta, vectors)
    steps = chosen_path(path, [theta.shape], theta)
    places, off = plane.coordinates(steps) if len(steps) else (np.zeros((0, 2)), np.zeros(0))
    escape = None if curvature is None else curvature.judgement.escape
    far = np.zeros(len(theta)) if escape is None else _BEYOND * escape.step * escape.direction
    seen = np.vstack([plane.coordinates((theta + far)[None])[0], [[_USUAL, _USUAL]]])
    ends = window(places, seen, radius, _USUAL)
    grid = [places_between(low, high, n_points) for low, high in ends.tolist()]
    objective = whole.thinned(max(1, _WORK_A_PLACE // len(theta)))
    origin = np.zeros(2) if positions is None else theta[list(positions)]
    product = whole.hessian_products(theta)
    return Landscape(
        x=origin[0] + grid[0],
        y=origin[1] + grid[1],
        values=values_on(plane, lambda at: value_of(objective, at), *grid),
        optimum=origin,
        loss=value_of(objective, theta),
        names=labels,
        directions=pd.DataFrame(vectors, index=pd.Index(list(names), name="parameter"), columns=list(labels)),
        curvatures=np.array([float(v @ product(v)) for v in vectors.T]),
        verdict="" if curvature is None else curvature.judgement.verdict,
        path=origin + places,
        off_plane=off,
        n_rows=objective.n_rows,
        n_rows_given=whole.n_rows,
    )


def value_of(objective: NetworkObjective, theta: Array) -> float:
    """Return J, by a pass forward alone."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float((objective.weighted_residuals(theta) ** 2).sum() + objective.penalty @ theta**2)


def _extremes(curvature: NetworkCurvature) -> tuple[Array, tuple[str, str]]:
    """Return two directions (P, 2): from a saddle point the way down, else the lowest curvature; and the steepest."""
    spectrum, escape = curvature.spectrum, curvature.judgement.escape
    low, high = spectrum.vectors[:, 0], spectrum.vectors[:, -1]
    if curvature.judgement.verdict == SADDLE and escape is not None:
        low = escape.direction
        high = high - (low @ high) * low
        return np.column_stack([low, high / np.linalg.norm(high)]), ("way down", "steepest")
    return np.column_stack([low, high]), ("lowest" if spectrum.values[0] < 0 else "flattest", "steepest")
