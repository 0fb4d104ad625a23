"""A linear fit of outputs under different penalties, seen through rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.on_rows import NEW, TRAINING
from mle_regression.linalg.arrays import Array
from mle_regression.reports.document import Document, Notes, Panel, Table
from mle_regression.reports.landscape import Landscape, position_of_output
from mle_regression.reports.linear.coefficients import joined_tables
from mle_regression.reports.linear.curvature import CurvatureReport
from mle_regression.reports.linear.dependencies import CollinearityReport
from mle_regression.reports.linear.diagnosis import SHOWN_ROWS, LinearDiagnosis, undefined_tests
from mle_regression.reports.linear.hypotheses import HypothesisTest
from mle_regression.reports.linear.summary import curvature_items, goodness, model_line, notes


class JointDiagnosis:
    """What rows say of a linear fit whose outputs have different penalties; made by ``MLELinearRegressor.diagnose(X, y)``.

    It has the methods of `LinearDiagnosis`, and joins what those of the outputs under each penalty say.

    Attributes
    ----------
    data : str
        "the rows of the fit", or "new rows".
    """

    def __init__(self, fit: JointFit, x: Any, y: Array, weights: Array | None, labels: pd.Index | None) -> None:
        self._fit = fit
        self._parts = [
            LinearDiagnosis(part, x, y[:, which], weights, labels)
            for part, which in zip(fit.parts, fit.places, strict=True)
        ]
        self.data = TRAINING if all(part.data == TRAINING for part in self._parts) else NEW

    def _tables(self, table: Callable[[LinearDiagnosis], pd.DataFrame]) -> pd.DataFrame:
        return joined_tables([table(part) for part in self._parts], self._fit)

    def _values(self, value: Callable[[LinearDiagnosis], Any]) -> Array:
        found = np.concatenate([np.atleast_1d(value(part)) for part in self._parts])
        return found[np.argsort(np.concatenate(self._fit.places))]

    def coefficients(
        self, cov: Any = "nonrobust", confidence: float = 0.95, *, columns: Sequence[Any] | None = None
    ) -> pd.DataFrame:
        """Table of the coefficients, as `LinearDiagnosis.coefficients`."""
        return self._tables(lambda part: part.coefficients(cov, confidence, columns=columns))

    def covariance(self, cov: Any = "nonrobust") -> pd.DataFrame:
        """Covariance matrix of the coefficients, a block for each output."""
        return self._tables(lambda part: part.covariance(cov))

    def test_linear(self, R: Any, q: Any = None, cov: Any = "nonrobust") -> HypothesisTest:
        """Refuse, as `LinearDiagnosis.test_linear` does after a penalised fit."""
        return self._parts[-1].test_linear(R, q, cov)

    def rows(self) -> pd.DataFrame:
        """Influence of each row, by output and row."""
        return self._tables(LinearDiagnosis.rows)

    def dfbetas(self) -> pd.DataFrame:
        """Change of each coefficient by leaving a row out, by output and row."""
        return self._tables(LinearDiagnosis.dfbetas)

    @property
    def press(self) -> Array:
        """Predicted residual sum of squares of each output, as `LinearDiagnosis.press`."""
        return self._values(lambda part: part.press)

    @property
    def predicted_r2(self) -> Array:
        """1 − PRESS/TSS of each output."""
        return self._values(lambda part: part.predicted_r2)

    def collinearity(self) -> CollinearityReport:
        """How nearly the columns depend on each other, which no penalty changes."""
        return self._parts[0].collinearity()

    def curvature(self) -> dict[Any, CurvatureReport]:
        """Curvature of the objective, by output: each has a Hessian of its own."""
        fit = self._fit
        found = [part.curvature() for part in self._parts]
        labels = fit.outputs or range(len(fit.noise_free))
        return {label: found[number] for label, number in zip(labels, fit.part_of_output.tolist(), strict=True)}

    def landscape(self, directions: Any = "extremes", *, output: int | str | None = None, **options: Any) -> Landscape:
        """Return the objective of one output on a plane, as `LinearDiagnosis.landscape`."""
        fit = self._fit
        which = position_of_output(output, fit.outputs, len(fit.noise_free))
        number = int(fit.part_of_output[which])
        inner = int(np.flatnonzero(fit.places[number] == which)[0])
        return self._parts[number].landscape(directions, output=inner, **options)

    def tests(self) -> pd.DataFrame:
        """Test the assumptions, by output and test."""
        return self._tables(LinearDiagnosis.tests)

    def report(self) -> Document:
        """Return the whole diagnosis as one document."""
        fit, rows, tests = self._fit, self.rows(), self.tests()
        robust_kind = "HC3" if self.data == TRAINING else "nonrobust"
        by_distance = np.argsort(-rows["cooks_distance"].fillna(-1.0).to_numpy(), kind="stable")[:SHOWN_ROWS]
        said = [*notes(fit), *undefined_tests(tests)]
        left_out = [
            ("PRESS", "  ".join(f"{value:.5g}" for value in self.press)),
            ("predicted R²", "  ".join(f"{value:.4g}" for value in self.predicted_r2)),
        ]
        return Document(
            f"Diagnosis of a linear regression on {self.data} ({len(rows) // len(fit.noise_free)}): {model_line(fit)}",
            [
                Panel("The fit", goodness(fit)),
                Table(f"Coefficients, standard errors {robust_kind}", self.coefficients(robust_kind)),
                Table("Tests: is the noise as assumed, the mean linear?", tests.drop(columns="note")),
                Table(
                    f"Rows of greatest influence ({SHOWN_ROWS} by Cook's distance)", rows.iloc[by_distance], digits=4
                ),
                Panel("Leaving one row out", left_out),
                *self.collinearity().document().parts,
                Panel("Curvature: what kind of optimum is it?", curvature_items(fit)),
                *([Notes("Notes", said)] if said else []),
            ],
        )

    def __repr__(self) -> str:
        return repr(self._parts[0]).replace("LinearDiagnosis", f"JointDiagnosis of {len(self._fit.noise_free)} outputs")

    def __str__(self) -> str:
        return str(self.report())

    def _repr_html_(self) -> str:
        return self.report().to_html()
