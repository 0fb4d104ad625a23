"""The curvature of the objective, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mle_regression.diagnostics import curvature
from mle_regression.diagnostics.collinearity import scaled_condition
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.information import InformationFactor
from mle_regression.reports.document import Document, Panel
from mle_regression.reports.linear.coefficients import named_matrix

_SHOWN_TERMS = 4
_SMALL_COMPONENT = 0.1


@dataclass(frozen=True)
class CurvatureReport:
    """Curvature of the objective J over (intercept, coef), in the units of X.

    Attributes
    ----------
    hessian : pandas.DataFrame of shape (k, k)
        H = (2/N)(XᵀWX + αI₀).
    eigenvalues : Array of shape (k,)
        Ascending.
    error_bounds : Array of shape (k,)
        How far each may be off by rounding.
    eigenvectors : pandas.DataFrame of shape (k, k)
        A row a parameter, a column an eigenvalue, in their order.
    condition_number : float
        λmax/λmin.
    verdict : str
    stable_step : float
        2/λmax: gradient descent with a constant step converges below it and diverges above.
    optimal_step : float
        2/(λmin + λmax). In a flat valley λmin is the smallest that is not zero.
    rate : float
        (κ − 1)/(κ + 1): by how much the optimal step shrinks the error each time.
    iterations : float
        Optimal steps to shrink the error to a millionth.
    steepest, flattest : str
        Directions of the largest and of the smallest eigenvalue, in words.
    scaled_condition_number : float
        That of H with columns of [1 X] of unit length: what scaling the columns would leave.
    predicted_rate, observed_rate : float
        By how much an iteration of the solver that made the fit shrinks the error, in its own coordinates (columns centred
        and of unit length): according to theory, and as it did. NaN of direct solvers.
    """

    hessian: pd.DataFrame
    eigenvalues: Array
    error_bounds: Array
    eigenvectors: pd.DataFrame
    condition_number: float
    verdict: str
    stable_step: float
    optimal_step: float
    rate: float
    iterations: float
    steepest: str
    flattest: str
    scaled_condition_number: float
    predicted_rate: float = float("nan")
    observed_rate: float = float("nan")

    def document(self) -> Document:
        """Lay the report out."""
        return Document(
            "Curvature",
            [
                Panel(
                    "Curvature: what kind of optimum is it?",
                    [
                        ("verdict", self.verdict),
                        ("condition number", f"{self.condition_number:.4g}"),
                        ("with columns of unit length", f"{self.scaled_condition_number:.4g}"),
                        ("largest eigenvalue", f"{self.eigenvalues[-1]:.4g}"),
                        ("smallest eigenvalue", f"{self.eigenvalues[0]:.4g}"),
                        ("stable step below", f"{self.stable_step:.4g}"),
                        ("optimal step", f"{self.optimal_step:.4g}"),
                        ("iterations to 1e-6", f"{self.iterations:.4g}"),
                    ],
                ),
                Panel("", [("steepest along", self.steepest), ("flattest along", self.flattest), *self._rates()]),
            ],
        )

    def _rates(self) -> list[tuple[str, object]]:
        """Rates of the solver, of one that has any."""
        if np.isnan(self.observed_rate):
            return []
        foretold = "" if np.isnan(self.predicted_rate) else f", foretold {self.predicted_rate:.5f}"
        return [("error of an iteration over that of the last", f"{self.observed_rate:.5f}{foretold}")]

    def __str__(self) -> str:
        return str(self.document())

    def _repr_html_(self) -> str:
        return self.document().to_html()


def curvature_report(
    information: InformationFactor, names: Sequence[str], rates: tuple[float, float]
) -> CurvatureReport:
    """Report on the curvature that a information has, and on the ``rates`` of the solver that made the fit."""
    spectrum = curvature.hessian_spectrum(information)
    values = spectrum.eigenvalues
    vectors, condition = curvature.hessian_eigenvectors(information), scaled_condition(information)
    steps = curvature.descent(values, information.rank)
    return CurvatureReport(
        hessian=named_matrix(curvature.hessian(information), names),
        eigenvalues=values,
        error_bounds=curvature.eigenvalue_bounds(values, condition, information.rank),
        eigenvectors=pd.DataFrame(vectors, index=pd.Index(list(names), name="parameter")),
        condition_number=spectrum.condition,
        verdict=curvature.verdict(information),
        stable_step=steps.stable_step,
        optimal_step=steps.optimal_step,
        rate=steps.rate,
        iterations=steps.iterations,
        steepest=describe_direction(vectors[:, -1], names),
        flattest=describe_direction(vectors[:, 0], names),
        scaled_condition_number=condition**2,
        predicted_rate=rates[0],
        observed_rate=rates[1],
    )


def describe_direction(direction: Array, names: Sequence[str]) -> str:
    """Write a direction by its largest components.

    Examples
    --------
    >>> describe_direction(np.array([0.1, 0.9, -0.4]), ["intercept", "age", "bmi"])
    '0.9*age - 0.4*bmi + 0.1*intercept'
    """
    largest = np.argsort(-np.abs(direction), kind="stable")[:_SHOWN_TERMS]
    shown = [j for j in largest if abs(direction[j]) >= _SMALL_COMPONENT]
    text = "".join(f" {'-' if direction[j] < 0 else '+'} {abs(direction[j]):.3g}*{names[j]}" for j in shown)
    return text[3:] if text.startswith(" + ") else "-" + text[3:]
