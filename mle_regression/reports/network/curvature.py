"""The curvature of a network's loss, in numbers and in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mle_regression.diagnostics.curvature import descent
from mle_regression.diagnostics.stationary import Escape
from mle_regression.diagnostics.units import FlatUnit
from mle_regression.fitted.network import KeptCurvature
from mle_regression.fitted.network_on_rows import NetworkCurvature
from mle_regression.linalg.arrays import Array
from mle_regression.models.network import Network
from mle_regression.reports.document import Document, Notes, Panel, Table
from mle_regression.reports.linear.curvature import describe_direction
from mle_regression.reports.network.verdict import flat_columns, reason
from mle_regression.rows.labels import unlike

_SHOWN_VALUES, _SHOWN_UNITS = 5, 10


def parameter_names(network: Network, features: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """Name the parameters in their order: what feeds a unit, the bias last, unit by unit and layer by layer.

    Examples
    --------
    >>> from mle_regression.models.activations import find_activation
    >>> parameter_names(Network((1, 1, 1), find_activation("tanh")), ["age"], ["y"])
    ['age > h1.0', 'bias > h1.0', 'h1.0 > y', 'bias > y']
    """
    names, hidden = [], "h"
    while any(re.fullmatch(rf"{hidden}\d+\.\d+", name) for name in (*features, *outputs)):
        hidden += "h"
    bias, below = unlike("bias", features), list(features)
    for index, (units, _) in enumerate(network.shapes):
        last = index == len(network.shapes) - 1
        above = list(outputs) if last else [f"{hidden}{index + 1}.{unit}" for unit in range(units)]
        names += [f"{source} > {unit}" for unit in above for source in (*below, bias)]
        below = above
    return names


@dataclass(frozen=True)
class NetworkCurvatureReport:
    """Curvature of a network's objective J at its parameters, over the flat vector of weights and biases.

    Coordinates are those the network is trained in: columns of X and outputs in standard units.

    Attributes
    ----------
    eigenvalues : Array of shape (k,)
        Of the Hessian, ascending: all (`complete`), or some at each end.
    error_bounds : Array of shape (k,)
        An eigenvalue lies within this distance of each: the residual, and the rounding of the sums over rows. Rounding of
        the residuals themselves is not in it: large where columns are not standardised and far from zero.
    drift : Array of shape (k,)
        By how much each differs from that at the stationary point to which Newton's step leads.
    eigenvectors : pandas.DataFrame of shape (P, k)
        A row a parameter.
    complete : bool
    verdict : {"minimum", "flat minimum", "saddle point", "not stationary", "undetermined"}
    reason : str
        What the verdict rests on, and what to do.
    gradient_norm : float
    steepness : float
        ‖g‖ / √(2 λmax J₀), J₀ the loss of the best constant: the gradient in units that no scale changes. Stationary at 1e-6.
    inertia : tuple of int
        How many of the eigenvalues are negative, zero and positive at the stationary point nearby, to bounds and drift.
    condition_number : float
        λmax/λmin; infinite where λmin is zero to its bound, NaN where one is negative.
    effective_condition_number : float
        λmax over the smallest eigenvalue that is surely positive.
    gauss_newton_eigenvalues, rest_eigenvalues : Array of shape (k,)
        Of the Gauss–Newton part, never negative, and of what is left of the Hessian without penalty: residuals times the
        network's own curvature.
    penalised : bool
        Whether J includes the penalty.
    flat_units : list of FlatUnit
        Which hidden units the flat directions are of, but for those of columns of X.
    flat_columns : tuple of str
        Columns of X that do not vary or follow from others, so that weights into the first layer are not determined.
    escape : Escape or None
        From a saddle point, the way down.
    smooth : bool
        Whether the activation is; else the curvature is that of the pieces between its kinks.
    stable_step : float
        2/λmax: gradient descent with a longer constant step does not stay.
    """

    eigenvalues: Array
    error_bounds: Array
    drift: Array
    eigenvectors: pd.DataFrame
    complete: bool
    verdict: str
    reason: str
    gradient_norm: float
    steepness: float
    inertia: tuple[int, int, int]
    condition_number: float
    effective_condition_number: float
    gauss_newton_eigenvalues: Array
    rest_eigenvalues: Array
    penalised: bool
    flat_units: list[FlatUnit]
    flat_columns: tuple[str, ...]
    escape: Escape | None
    smooth: bool
    stable_step: float

    def document(self) -> Document:
        """Lay the report out."""
        negative, zero, positive = self.inertia
        seen = "all" if self.complete else f"{len(self.eigenvalues)} of {len(self.eigenvectors)}"
        names = [str(name) for name in self.eigenvectors.index]
        vectors = self.eigenvectors.to_numpy()
        parts: list[Panel | Table | Notes] = [
            Panel(
                "Curvature: where did training end?",
                [
                    ("verdict", self.verdict),
                    ("gradient", f"{self.gradient_norm:.3g}"),
                    ("steepness", f"{self.steepness:.2g}"),
                    ("negative, zero, positive", f"{negative}, {zero}, {positive}"),
                    ("eigenvalues seen", seen),
                    ("largest", f"{self.eigenvalues[-1]:.5g}"),
                    ("smallest", f"{self.eigenvalues[0]:.5g} ± {self.error_bounds[0]:.1g}"),
                    ("condition number", f"{self.condition_number:.4g}"),
                    ("without the flat", f"{self.effective_condition_number:.4g}"),
                    ("stable step below", f"{self.stable_step:.4g}"),
                ],
            ),
            Table("Ends of the spectrum", self._ends()),
            Panel(
                "",
                [
                    ("steepest along", describe_direction(vectors[:, -1], names)),
                    ("flattest along", describe_direction(vectors[:, int(np.abs(self.eigenvalues).argmin())], names)),
                ],
            ),
        ]
        points = [self.reason]
        if self.flat_units:
            shown = "; ".join(map(str, self.flat_units[:_SHOWN_UNITS]))
            more = len(self.flat_units) - _SHOWN_UNITS
            points.append(f"Flat directions are in {shown}{f'; and {more} more units' if more > 0 else ''}.")
        if not self.smooth:
            points.append("The activation has kinks: this is the curvature of the smooth pieces between them.")
        if not self.penalised:
            points.append("Without the penalty; training stops where the penalised objective is stationary.")
        parts.append(Notes("Notes", points))
        return Document("Curvature of a network, in standard units", parts)

    def _ends(self) -> pd.DataFrame:
        k = min(_SHOWN_VALUES, len(self.eigenvalues))
        columns = {
            "smallest": self.eigenvalues[:k],
            "± bound": self.error_bounds[:k],
            "largest": self.eigenvalues[::-1][:k],
            "largest, Gauss-Newton part": self.gauss_newton_eigenvalues[::-1][:k],
            "largest, the rest": self.rest_eigenvalues[::-1][:k],
            "smallest, the rest": self.rest_eigenvalues[:k],
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(1, k + 1))

    def __str__(self) -> str:
        return str(self.document())

    def __repr__(self) -> str:
        return f"<NetworkCurvatureReport: {self.verdict}. {self.reason}>"

    def _repr_html_(self) -> str:
        return self.document().to_html()


def kept_curvature(found: NetworkCurvature, features: Sequence[str]) -> KeptCurvature:
    """Return what a fit keeps of its curvature, and what the verdict rests on."""
    return KeptCurvature(
        found.spectrum.values,
        found.spectrum.bounds,
        found.condition_number,
        found.judgement.verdict,
        reason(found, features),
    )


def network_curvature_report(
    found: NetworkCurvature, names: Sequence[str], features: Sequence[str]
) -> NetworkCurvatureReport:
    """Put a report together, with the names of the parameters and of the columns of X."""
    spectrum, judgement = found.spectrum, found.judgement
    return NetworkCurvatureReport(
        spectrum.values,
        spectrum.bounds,
        spectrum.drift,
        pd.DataFrame(spectrum.vectors, index=pd.Index(list(names), name="parameter")),
        spectrum.complete,
        judgement.verdict,
        reason(found, features),
        found.gradient_norm,
        found.steepness,
        judgement.spectrum.inertia,
        found.condition_number,
        found.effective_condition_number,
        found.gauss_newton,
        found.rest,
        found.penalised,
        found.flat.units,
        flat_columns(found.flat, features),
        judgement.escape,
        found.smooth,
        descent(spectrum.values[-1:]).stable_step,
    )
