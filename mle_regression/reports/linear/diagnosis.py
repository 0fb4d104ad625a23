"""A linear fit seen through rows: robust errors, influence, collinearity, tests of the assumptions, curvature."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import qr as pivoted_qr

from mle_regression.diagnostics.curvature import verdict
from mle_regression.diagnostics.hypotheses import FTest, f_test, independent_restrictions, wald_squares
from mle_regression.diagnostics.influence import Influence
from mle_regression.diagnostics.residual_tests.registry import DIAGNOSTICS
from mle_regression.diagnostics.robust import Sandwich
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.on_rows import NEW, TRAINING, FitOnRows
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.information import parameter_exponents
from mle_regression.linalg.qr import triangular_factor
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.reports.document import Document, Notes, Panel, Table
from mle_regression.reports.landscape import Landscape, check_window, position_of_output
from mle_regression.reports.linear.coefficients import blocks, coefficient_table, named_matrix
from mle_regression.reports.linear.curvature import CurvatureReport, curvature_report
from mle_regression.reports.linear.dependencies import CollinearityReport, collinearity_report
from mle_regression.reports.linear.hypotheses import HypothesisTest
from mle_regression.reports.linear.landscape import linear_landscape
from mle_regression.reports.linear.restrictions import as_hypothesis_test, as_restriction
from mle_regression.reports.linear.summary import goodness, model_line, notes
from mle_regression.validation import checks
from mle_regression.validation.covariance import covariance_choice
from mle_regression.warnings import InferenceWarning, warn_user

SHOWN_ROWS = 5
_ROW_COLUMNS = pd.Index(Influence.__dataclass_fields__)


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

    def __init__(
        self,
        fit: LinearFit,
        x: Any,
        y: Array,
        weights: Array | None,
        labels: pd.Index | None,
    ) -> None:
        self._labelled = labels is not None
        self._index: pd.Index = pd.RangeIndex(len(y)) if labels is None else labels
        super().__init__(fit, x, y, weights, self._index)

    # -- how sure the coefficients are -------------------------------------------------------------------------------

    @one_blas_thread()
    def coefficients(
        self, cov: Any = "nonrobust", confidence: float = 0.95, *, columns: Sequence[Any] | None = None
    ) -> pd.DataFrame:
        """Table of the coefficients with standard errors that do, or do not, trust the noise to be as assumed.

        Parameters
        ----------
        cov : {"nonrobust", "HC0", "HC1", "HC2", "HC3"} or dict, default="nonrobust"
            "HC0" to "HC3": noise of unequal variance (White, 1980; MacKinnon and White, 1985); HC3 is the safest. HC2 and
            HC3 of a coefficient that one row alone determines are NaN, those of the others as without that row.
            ``{"cluster": groups}``: noise correlated within groups, (n_samples,), or (n_samples, d) for several
            groupings at once (Cameron, Gelbach and Miller, 2011); Student's t with groups − 1 degrees of freedom, of the
            coarsest grouping. Of several, variances that come out negative are those of the positive part, with a warning.
            ``{"cluster": groups, "kind": "CR2"}``: for few groups, with residuals adjusted as Bell and McCaffrey (2002) do
            and degrees of freedom of each coefficient by Satterthwaite, in a column ``df``; hypotheses are tested as
            Pustejovsky and Tipton (2018) do. The working model is independent noise of variance σ²/w.
            ``{"HAC": lags}``: noise correlated with that of up to so many rows before (Newey and West, 1987);
            ``{"HAC": "auto"}``: lags by Newey and West (1994), without prewhitening.
            ``"correction"`` in the dict switches the small-sample factors, (n − 1)/(n − k) · G/(G − 1) for clusters (on
            by default), n/(n − k) for HAC (off by default). ``"G"`` says which G several groupings have there: "each" its
            own, intersections too (Cameron, Gelbach and Miller; the default), or "min", that of the coarsest for all (as
            Stata and fixest have it).
        confidence : float, default=0.95
        columns : sequence of str or int, default=None
            Names or positions of the columns of X to tell of ("intercept" is a name too); None for all. After a fit by
            products alone, standard errors of chosen columns are solved for by products, about as long as the fit took
            each; of all columns they come of a triangle, if there is memory for one.

        Returns
        -------
        pandas.DataFrame
            As `MLELinearRegressor.coefficients`; ``attrs["covariance"]`` says which clusters or lags there were.
        """
        checks.check_probability("confidence", confidence)
        if columns is not None and self._by_products is not None and cov == "nonrobust":
            return self._chosen_coefficients(self._positions(columns), confidence)
        sandwich = self._sandwich(cov)
        table, reasons = self._coefficients(sandwich, confidence)
        if columns is not None:
            k, size = self._y.shape[1], len(self._as_fitted.names)
            chosen = table.iloc[[output * size + j for output in range(k) for j in self._positions(columns)]]
            chosen.attrs.update(table.attrs)
            table = chosen
        for reason in reasons:
            warn_user(reason, InferenceWarning)
        return table

    def _positions(self, columns: Sequence[Any]) -> list[int]:
        """Positions among (intercept, coef) of columns that are named or numbered."""
        names, first = self._as_fitted.names, int(self._as_fitted.centred)
        known = {name: j for j, name in reversed(list(enumerate(names)))}
        found = []
        for column in [columns] if isinstance(columns, str) else columns:
            numbered = isinstance(column, Integral) and not isinstance(column, bool)
            if numbered and 0 <= int(column) < len(names) - first:
                found.append(first + int(column))
            elif not numbered and column in known:
                found.append(known[column])
            else:
                raise ValueError(
                    f"columns has {column!r}, which is no column of the fit; they are {names[first:][:8]}."
                )
        return found

    def _chosen_coefficients(self, positions: list[int], confidence: float) -> pd.DataFrame:
        """Table of some of the parameters, their standard errors solved for one after another."""
        fit, inverse = self._as_fitted, self._by_products
        lengths = np.full(len(positions), np.nan)
        for k, j in enumerate(positions):
            restriction = np.zeros(len(fit.names))
            restriction[j] = 1.0
            image = None if inverse is None else inverse.image(restriction)
            lengths[k] = np.nan if image is None else float(np.linalg.norm(image))
        errors = scale(lengths[:, None] * fit.residual_scale, fit.output_exponent)
        return coefficient_table(
            [fit.names[j] for j in positions],
            fit.params[positions],
            errors,
            fit.residual_dof,
            confidence,
            fit.penalised,
            noise_free=fit.noise_free,
            outputs=fit.outputs,
        )

    def _coefficients(self, sandwich: Sandwich | None, confidence: float = 0.95) -> tuple[pd.DataFrame, list[str]]:
        """Return the table of the coefficients, and what to be wary of."""
        fit = self._fit
        errors, dof, reasons = fit.errors, fit.residual_dof, list[str]()
        if sandwich is not None:
            errors, reasons = self._errors(sandwich)
        table = coefficient_table(
            fit.names,
            fit.params,
            errors,
            dof if sandwich is None else sandwich.dof,
            confidence,
            fit.penalised,
            robust=sandwich is not None,
            noise_free=fit.noise_free,
            outputs=fit.outputs,
        )
        if sandwich is not None and sandwich.said:
            table.attrs["covariance"] = sandwich.said
        return table, reasons

    def _errors(self, sandwich: Sandwich) -> tuple[Array, list[str]]:
        """Return standard errors (c + p, m), and what to be wary of."""
        fit = self._fit
        lengths, repaired = sandwich.deviations
        lengths = np.where(fit.information.estimable[:, None], lengths, np.nan)
        reasons = [f"{note[0].upper()}{note[1:]}." for note in sandwich.notes]
        names = [name for name, cut in zip(fit.names, np.any(repaired, axis=1).tolist(), strict=True) if cut]
        if names:
            reasons.append(
                f"The variance of {', '.join(map(repr, names))} comes out negative ({sandwich.said}); given is that of the "
                "positive part of the covariance. The other variances are as estimated."
            )
        return scale(lengths, fit.output_exponent - parameter_exponents(fit.information)[:, None]), reasons

    @one_blas_thread()
    def covariance(self, cov: Any = "nonrobust") -> pd.DataFrame:
        """Covariance matrix of the coefficients, of one kind as in `coefficients`; a block for each output."""
        fit, sandwich = self._fit, self._sandwich(cov)
        if sandwich is None:
            return blocks([named_matrix(fit.covariance(k), fit.names) for k in range(fit.params.shape[1])], fit.outputs)
        for reason in self._errors(sandwich)[1]:
            warn_user(reason, InferenceWarning)
        exponent = parameter_exponents(fit.information)
        tables = []
        for k in range(fit.params.shape[1]):
            matrix = sandwich.matrix(k)
            matrix[~fit.information.estimable] = matrix[:, ~fit.information.estimable] = np.nan
            shift = 2 * int(fit.output_exponent[k]) - exponent[:, None] - exponent
            tables.append(named_matrix(scale(matrix, shift), fit.names))
        return blocks(tables, self._fit.outputs)

    @one_blas_thread()
    def test_linear(self, R: Any, q: Any = None, cov: Any = "nonrobust") -> HypothesisTest:
        """Wald test of linear hypotheses, as `MLELinearRegressor.test_linear`, under a covariance of one kind."""
        fit = self._as_fitted
        if fit.penalised:
            raise ValueError(
                "A penalised fit (alpha > 0) is biased towards zero, and has no null distribution; fit with alpha=0."
            )
        restriction, value, text = as_restriction(R, q, fit.names, fit.params.shape[1])
        if self._by_products is not None and cov == "nonrobust":
            return as_hypothesis_test(fit, self._test_by_products(restriction, value), text)
        fit = self._fit
        sandwich = self._sandwich(cov)
        said = []
        if sandwich is not None:
            said = [sandwich.said, *(() if sandwich.undefined.size else sandwich.notes)]
        return as_hypothesis_test(fit, fit.wald_test(restriction, value, sandwich), text, said)

    def _test_by_products(self, restriction: Array, value: Array) -> FTest:
        """F test of ``restriction @ params = value``, the covariance of its rows solved for by products."""
        fit, inverse = self._as_fitted, self._by_products
        gap = scale(restriction @ fit.params - value, -fit.output_exponent)
        # The covariance of independent rows has their rank, and is solved for to fewer digits than would show it.
        basis, _, order = pivoted_qr(_unit_rows(restriction).T, mode="economic", pivoting=True)
        rank = independent_restrictions(basis, restriction, gap)
        independent = np.sort(order[:rank])
        images = [None if inverse is None else inverse.image(row) for row in restriction[independent]]
        found = [image for image in images if image is not None]
        if len(found) < len(images):
            nothing = np.full(fit.params.shape[1], np.nan)
            return FTest(nothing, len(restriction), fit.residual_dof, nothing, "the data do not determine it")
        root = triangular_factor(np.column_stack(found)).T
        squares = np.full(gap.shape[1], np.nan)
        for k in np.flatnonzero(~fit.noise_free):
            squares[k] = wald_squares(root * fit.residual_scale[k], np.eye(rank), gap[independent, k], rank)
        return f_test(squares, rank, fit.residual_dof)

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
        return blocks([self._row_table(k) for k in range(self._y.shape[1])], self._fit.outputs)

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
            changes[:, ~self._fit.information.estimable] = np.nan
            tables.append(pd.DataFrame(changes, index=self._index, columns=pd.Index(self._fit.names)))
        return blocks(tables, self._fit.outputs)

    @property
    def press(self) -> Any:
        """Predicted residual sum of squares, Σ w e₍ᵢ₎² of the residuals from fits without the row (Allen, 1974).

        NaN, with a warning, where a row of leverage one leaves nothing to predict it from, or a new row lies outside of what
        the fit determines.
        """
        self._warn_of_undefined("press", self._press_in_units)
        return self._fit.of_output(self._press_in_units)

    @property
    def predicted_r2(self) -> Any:
        """1 − PRESS/TSS: the R² to expect of rows that were not fitted (of new rows: their R²); NaN as `press`."""
        self._warn_of_undefined("predicted_r2", self._predicted_r2)
        return self._fit.of_output(self._predicted_r2)

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
        return collinearity_report(self._linear_information, self._fit.features, self._fit.names, self._n_counted)

    @one_blas_thread()
    def curvature(self) -> CurvatureReport:
        """Hessian of the objective, its eigenvalues and directions, and what gradient descent would make of them.

        Returns
        -------
        CurvatureReport
            With ``hessian``, ``eigenvalues``, ``eigenvectors``, ``condition_number``, ``verdict``, ``stable_step``,
            ``optimal_step``, ``rate``, ``iterations``, ``steepest`` and ``flattest``.
        """
        return curvature_report(self._own_information, self._fit.names, self._fit.rates)

    @one_blas_thread()
    def landscape(
        self,
        directions: Any = "extremes",
        *,
        output: int | str | None = None,
        path: Any = None,
        radius: float | None = None,
        n_points: int = 161,
    ) -> Landscape:
        """Return the objective J on a plane through the fit, to be drawn by `LandscapeDisplay`.

        Parameters
        ----------
        directions : "extremes" or pair of str or int, default="extremes"
            "extremes": along the eigenvectors of the Hessian with the smallest and the largest
            eigenvalue, columns and y measured by their spreads. Names (or positions among (intercept, coef)) of two
            parameters: the others stay as fitted, but for the intercept, which is the best one unless it is one of the two.
            Of one column alone, slope and intercept.
        output : int or str, default=None
            Which output, where y has several.
        path : PathRecorder or array of shape (steps, 1 + p, m), default=None
            The parameters along the path of a solver; of several recorded ones, that which ends next to the fit.
        radius : float, default=None
            How far to go from the fit to all sides, in standard units; None: as far as the path, or back to zero, reaches.
        n_points : int, default=161
            Places on each axis.

        Returns
        -------
        Landscape
        """
        self._require_least_squares("Landscapes")
        check_window(radius, n_points)
        fit = self._fit
        known = self._own_information if self.data == NEW else fit.information
        return linear_landscape(
            fit,
            known,
            fit.optimum.verdict if self.data == TRAINING else verdict(known),
            self._x,
            self._y,
            None if self._weights is None else scale(self._weights, 2 * fit.weight_exponent),
            position_of_output(output, fit.outputs, self._y.shape[1]),
            directions,
            path,
            radius,
            n_points,
        )

    # -- whether the assumptions hold --------------------------------------------------------------------------------

    @one_blas_thread()
    def tests(self) -> pd.DataFrame:
        """Test the assumptions.

        Returns
        -------
        pandas.DataFrame
            By test (by output and test): ``statistic``, ``df`` and ``df_denom`` (that of F), ``p_value``, ``small_p_means``
            in words, and ``note``, which says why where there is no number. Residuals are √w e.
        """
        return blocks([self._test_table(k) for k in range(self._y.shape[1])], self._fit.outputs)

    # -- all of it ---------------------------------------------------------------------------------------------------

    @one_blas_thread()
    def report(self) -> Document:
        """Return the whole diagnosis as one document."""
        robust_kind = "HC3" if self.data == TRAINING else "nonrobust"
        rows, tests = self.rows(), self.tests()
        table, reasons = self._coefficients(self._sandwich(robust_kind))
        predicted = "  ".join(f"{value:.4g}" for value in self._predicted_r2)
        press = "  ".join(f"{value:.5g}" for value in self._press_in_units)
        if np.isnan(self._predicted_r2).any():
            reasons.append(f"PRESS and predicted R² are NaN: {self._why_undefined}.")
        said = [*notes(self._fit), *reasons, *undefined_tests(tests)]
        columns, shape = self.collinearity(), self.curvature()
        by_distance = np.argsort(-rows["cooks_distance"].fillna(-1.0).to_numpy(), kind="stable")[:SHOWN_ROWS]
        return Document(
            f"Diagnosis of a linear regression on {self.data} ({len(self._y)}): {model_line(self._fit)}",
            [
                Panel("The fit", goodness(self._fit)),
                Table(f"Coefficients, standard errors {robust_kind}", table),
                Table("Tests: is the noise as assumed, the mean linear?", tests.drop(columns="note")),
                Table(
                    f"Rows of greatest influence ({SHOWN_ROWS} by Cook's distance)", rows.iloc[by_distance], digits=4
                ),
                Panel("Leaving one row out", [("PRESS", press), ("predicted R²", predicted)]),
                *columns.document().parts,
                *shape.document().parts,
                *([Notes("Notes", said)] if said else []),
            ],
        )

    def _row_table(self, k: int) -> pd.DataFrame:
        """Influence of each row on output k."""
        found, exponent = self._influence, int(self._fit.output_exponent[k])
        table = np.empty((len(_ROW_COLUMNS), len(self._y)))
        for values, name in zip(table, _ROW_COLUMNS, strict=True):
            values[:] = found.leverage if name == "leverage" else getattr(found, name)[:, k]
            if exponent and name in ("fitted", "residual", "loo_residual"):
                np.ldexp(values, exponent, out=values)
        return pd.DataFrame(table.T, columns=_ROW_COLUMNS, index=self._index, copy=False)

    def _test_table(self, k: int) -> pd.DataFrame:
        """Table the tests of the assumptions on output k."""
        records = {
            name: {
                "statistic": result.statistic,
                "df": result.df,
                "df_denom": result.df_denom,
                "p_value": result.p_value,
                "note": result.note,
                "small_p_means": DIAGNOSTICS[name].small_p,
            }
            for name, result in self._tested(k).items()
        }
        return pd.DataFrame.from_dict(records, orient="index").rename_axis("test")

    def _sandwich(self, cov: Any) -> Sandwich | None:
        """Return the robust covariance of a kind; None for the fit's own."""
        if isinstance(cov, str) and cov == "nonrobust":
            return None
        choice = covariance_choice(cov, self._index, self._labelled, self._fit.n)
        if self.data == NEW:
            raise ValueError(
                f"cov={cov!r} needs the rows that the model was fitted on, and these are others. Pass those, with their "
                "weights, or fit a clone of the model on these."
            )
        return self._robust(choice)

    def __repr__(self) -> str:
        return (
            f"<LinearDiagnosis on {self.data}, {len(self._y)} x {len(self._fit.features)}: coefficients(cov), "
            "test_linear(R, q, cov), rows(), dfbetas(), press, predicted_r2, collinearity(), tests(), curvature(), "
            "landscape(), report()>"
        )

    def __str__(self) -> str:
        return str(self.report())

    def _repr_html_(self) -> str:
        return self.report().to_html()


def undefined_tests(tests: pd.DataFrame) -> list[str]:
    """Say which tests have no number, those of one reason together.

    Examples
    --------
    >>> undefined_tests(pd.DataFrame({"note": ["too few rows", "", "too few rows"]}, index=["white", "reset", "omnibus"]))
    ['No number for white, omnibus: too few rows.']
    """
    names: dict[str, list[str]] = {}
    for label, note in tests["note"].items():
        if note:
            name = f"{label[1]} of output {label[0]}" if isinstance(label, tuple) else str(label)
            names.setdefault(str(note), []).append(name)
    return [f"No number for {', '.join(which)}: {note}." for note, which in names.items()]


def _unit_rows(restriction: Array) -> Array:
    largest = np.abs(restriction).max(axis=1)
    return np.asarray(restriction / np.where(largest > 0, largest, 1.0)[:, None])
