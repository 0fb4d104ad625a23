"""A linear fit seen through rows: robust errors, influence, collinearity, tests of the assumptions, curvature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mle_regression import checks
from mle_regression.fit_on_rows import TRAINING, FitOnRows
from mle_regression.linalg.geometry import parameter_exponents
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.reports.coefficients import blocks, coefficient_table, named_matrix
from mle_regression.reports.curvature import CurvatureReport, curvature_report
from mle_regression.reports.dependencies import CollinearityReport, collinearity_report
from mle_regression.reports.document import Document, Notes, Panel, Table
from mle_regression.reports.hypotheses import HypothesisTest
from mle_regression.reports.restrictions import as_restriction, told
from mle_regression.reports.summary import goodness, model_line, notes
from mle_regression.warnings import noted

_SHOWN_ROWS = 5


class LinearDiagnosis(FitOnRows):
    """What rows say of a linear fit; made by ``MLELinearRegressor.diagnose(X, y)``.

    Everything is worked out when asked for, in memory for a few numbers a row (clusters and HAC: a score a row and
    parameter). X and y are referred to, not copied.

    Attributes
    ----------
    data : str
        "the rows of the fit", or "new rows" where they are others: `rows` then tells what adding each row would do,
        `collinearity`, `tests` and `curvature` speak of the new rows, and robust covariances are refused.
    """

    # -- how sure the coefficients are -------------------------------------------------------------------------------

    @one_blas_thread()
    def coefficients(self, cov: Any = "nonrobust", confidence: float = 0.95) -> pd.DataFrame:
        """Table of the coefficients with standard errors that do, or do not, trust the noise to be as assumed.

        Parameters
        ----------
        cov : {"nonrobust", "HC0", "HC1", "HC2", "HC3"} or dict, default="nonrobust"
            "HC0" to "HC3": noise of unequal variance (White, 1980; MacKinnon and White, 1985); HC3 is the safest.
            ``{"cluster": groups}``: noise correlated within groups, (n_samples,), or (n_samples, d) for several
            groupings at once (Cameron, Gelbach and Miller, 2011); Student's t with groups − 1 degrees of freedom.
            ``{"HAC": lags}``: noise correlated with that of up to so many rows before (Newey and West, 1987).
            ``"correction"`` in the dict switches the small-sample factors, (n − 1)/(n − k) · G/(G − 1) for clusters (on
            by default), n/(n − k) for HAC (off by default).
        confidence : float, default=0.95

        Returns
        -------
        pandas.DataFrame
            As `MLELinearRegressor.coefficients`.
        """
        checks.check_probability("confidence", confidence)
        fit = self._fit
        root, dof = self._root(cov)
        return coefficient_table(
            fit.names,
            fit.params,
            self._errors(root),
            dof,
            confidence,
            fit.penalised,
            robust=cov != "nonrobust",
            noise_free=fit.noise_free,
        )

    @one_blas_thread()
    def covariance(self, cov: Any = "nonrobust") -> pd.DataFrame:
        """Covariance matrix of the coefficients, of one kind as in `coefficients`; a block for each output."""
        fit = self._fit
        root, _ = self._root(cov)
        exponent = parameter_exponents(fit.geometry)
        tables = []
        for k in range(root.shape[2]):
            matrix = root[:, :, k] @ root[:, :, k].T
            matrix[~fit.geometry.estimable] = matrix[:, ~fit.geometry.estimable] = np.nan
            shift = 2 * int(fit.output_exponent[k]) - exponent[:, None] - exponent
            tables.append(named_matrix(scale(matrix, shift), fit.names))
        return blocks(tables)

    @one_blas_thread()
    def test_linear(self, R: Any, q: Any = None, cov: Any = "nonrobust") -> HypothesisTest:
        """Wald test of linear hypotheses, as `MLELinearRegressor.test_linear`, under a covariance of one kind."""
        fit = self._fit
        if fit.penalised:
            raise ValueError("A penalised fit (alpha > 0) is biased towards zero, and has no null distribution.")
        restriction, value, text = as_restriction(R, q, fit.names, fit.params.shape[1])
        root, dof = self._root(cov)
        return told(fit, fit.wald_test(restriction, value, root, dof), text)

    # -- what single rows do -----------------------------------------------------------------------------------------

    @one_blas_thread()
    def rows(self) -> pd.DataFrame:
        """Influence of each row.

        Returns
        -------
        pandas.DataFrame
            By row, with the index of X: ``fitted``, ``residual``, ``leverage``, ``standardized`` (√w e/s),
            ``studentized_internal`` (by s√(1 − h)), ``studentized_external`` (with the s of the fit without the row),
            ``cooks_distance``, ``dffits``, ``loo_residual`` (from the fit without the row). Where y has two dimensions, by
            output and row. NaN where a row of leverage one leaves nothing to compare it with, and, under a penalty, what
            the variance without the row is needed for. Of new rows: what adding each to the fit would do.
        """
        return blocks([self._row_table(k) for k in range(self._y.shape[1])])

    @one_blas_thread()
    def dfbetas(self) -> pd.DataFrame:
        """Change of each coefficient by leaving a row out, in standard errors (Belsley, Kuh and Welsch, 1980).

        Returns
        -------
        pandas.DataFrame
            By row (by output and row), a column a parameter; positive where the row pulls the coefficient up. The standard
            error is that of the fit without the row.
        """
        tables = []
        for k in range(self._y.shape[1]):
            changes = self._changes(k)
            changes[:, ~self._fit.geometry.estimable] = np.nan
            tables.append(pd.DataFrame(changes, index=self._labels, columns=pd.Index(self._fit.names)))
        return blocks(tables)

    @property
    def press(self) -> Any:
        """Predicted residual sum of squares, Σ w e₍ᵢ₎² of the residuals from fits without the row (Allen, 1974).

        NaN, with a warning, where a row of leverage one leaves nothing to predict it from, or a new row lies outside of what
        the fit determines.
        """
        squares = scale(self._press, 2 * self._fit.output_exponent + 2 * self._fit.weight_exponent)
        self._warn_of_undefined("press", squares)
        return self._fit.of_output(squares)

    @property
    def predicted_r2(self) -> Any:
        """1 − PRESS/TSS: the R² to expect of rows that were not fitted (of new rows: their R²); NaN as `press`."""
        weights = np.ones(len(self._y)) if self._weights is None else self._weights
        y = scale(self._y, -self._fit.output_exponent)
        centre = np.average(y, axis=0, weights=weights) if self._fit.centred else 0.0
        total = weights @ (y - centre) ** 2
        r2 = 1.0 - self._press / np.where(total > 0, total, np.nan)
        self._warn_of_undefined("predicted_r2", r2)
        return self._fit.of_output(r2)

    # -- what the columns do -----------------------------------------------------------------------------------------

    @one_blas_thread()
    def collinearity(self) -> CollinearityReport:
        """How nearly the columns depend on each other.

        Returns
        -------
        CollinearityReport
            With ``vif`` (variance inflation factors and tolerances), ``condition_indices`` (with the proportions of the
            coefficients' variances; columns of unit length, not centred) and ``dependencies`` (as equations).
        """
        return collinearity_report(self._linear_geometry, self._fit.features, self._fit.names)

    @one_blas_thread()
    def curvature(self) -> CurvatureReport:
        """Hessian of the objective, its eigenvalues and directions, and what gradient descent would make of them.

        Returns
        -------
        CurvatureReport
            With ``hessian``, ``eigenvalues``, ``eigenvectors``, ``condition_number``, ``verdict``, ``stable_step``,
            ``optimal_step``, ``rate``, ``iterations``, ``steepest`` and ``flattest``.
        """
        return curvature_report(self._own_geometry, self._fit.names, self._fit.rates)

    # -- whether the assumptions hold --------------------------------------------------------------------------------

    @one_blas_thread()
    def tests(self) -> pd.DataFrame:
        """Test the assumptions.

        Returns
        -------
        pandas.DataFrame
            By test (by output and test): ``statistic``, ``df`` and ``df_denom`` (that of F), ``p_value``, ``small_p_means``
            in words, and ``note`` where there is no number. Residuals are √w e.
        """
        return blocks([self._tests(k) for k in range(self._y.shape[1])])

    # -- all of it ---------------------------------------------------------------------------------------------------

    def report(self) -> Document:
        """Return the whole diagnosis as one document."""
        robust_kind = "HC3" if self.data == TRAINING else "nonrobust"
        with noted() as reasons:
            rows, tests = self.rows(), self.tests()
            table = self.coefficients(cov=robust_kind)
            predicted = "  ".join(f"{value:.4g}" for value in np.atleast_1d(self.predicted_r2))
            press = "  ".join(f"{value:.5g}" for value in np.atleast_1d(self.press))
        said = [*notes(self._fit), *dict.fromkeys(reasons)]
        columns, shape = self.collinearity(), self.curvature()
        by_distance = np.argsort(-rows["cooks_distance"].fillna(-1.0).to_numpy(), kind="stable")[:_SHOWN_ROWS]
        shown_tests = tests if (tests["note"] != "").any() else tests.drop(columns="note")
        return Document(
            f"Diagnosis of a linear regression on {self.data} ({len(self._y)}): {model_line(self._fit)}",
            [
                Panel("The fit", goodness(self._fit, self._optimum)),
                Table(f"Coefficients, standard errors {robust_kind}", table),
                Table("Tests: is the noise as assumed, the mean linear?", shown_tests),
                Table(
                    f"Rows of greatest influence ({_SHOWN_ROWS} by Cook's distance)", rows.iloc[by_distance], digits=4
                ),
                Panel("Leaving one row out", [("PRESS", press), ("predicted R²", predicted)]),
                *columns.document().parts,
                *shape.document().parts,
                *([Notes("Notes", said)] if said else []),
            ],
        )

    def __repr__(self) -> str:
        return (
            f"<LinearDiagnosis on {self.data}, {len(self._y)} x {len(self._fit.features)}: coefficients(cov), "
            "test_linear(R, q, cov), rows(), dfbetas(), press, predicted_r2, collinearity(), tests(), curvature(), report()>"
        )

    def __str__(self) -> str:
        return str(self.report())

    def _repr_html_(self) -> str:
        return self.report().to_html()
