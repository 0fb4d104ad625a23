"""What a linear fit says of its coefficients: the methods and attributes that `MLELinearRegressor` has of it.

Each is a function of an estimator that has a linear fit, and stands in the class by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mle_regression.diagnostics import curvature
from mle_regression.diagnostics.covariance import cross_products
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import LinearFit
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import scale
from mle_regression.noise.registry import least_squares_families
from mle_regression.reports.document import Document
from mle_regression.reports.linear.coefficients import blocks, named_matrix, table_of_fit
from mle_regression.reports.linear.diagnosis import LinearDiagnosis
from mle_regression.reports.linear.hypotheses import HypothesisTest
from mle_regression.reports.linear.joint_diagnosis import JointDiagnosis
from mle_regression.reports.linear.restrictions import as_hypothesis_test, as_restriction
from mle_regression.reports.linear.summary import linear_summary
from mle_regression.rows.labels import unlike
from mle_regression.validation import checks


class HasLinearFit(Protocol):
    """An estimator that has been fitted."""

    _fit: LinearFit | JointFit
    coef_: Array


def fit_of(self: HasLinearFit) -> LinearFit | JointFit:
    """Return the fit of an estimator."""
    check_is_fitted(self)
    return self._fit


def named_fit(self: HasLinearFit, feature_names: Sequence[str] | None = None) -> LinearFit | JointFit:
    """Return the fit of an estimator, of which all reports are made, with the names of its columns."""
    fit, names = fit_of(self), checks.check_feature_names(self, feature_names)
    return fit.named(names, checks.output_labels(self))


def coefficients(
    self: HasLinearFit, confidence: float = 0.95, *, feature_names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Table of estimates, standard errors, t, p-values and confidence limits, a row a parameter.

    Parameters
    ----------
    confidence : float, default=0.95
        Coverage of the interval ``lower`` to ``upper``.
    feature_names : sequence of str, default=None
        Names for columns that had none when they were fitted, as behind a transformer that returns arrays:
        ``pipe[:-1].get_feature_names_out()``. With ``pipe.set_output(transform="pandas")`` they are known.

    Returns
    -------
    pandas.DataFrame
        Indexed by column name, and by output before it where y has two dimensions. After a penalised fit there are
        posterior standard deviations under the Gaussian prior, and no p-values. Where the fit is exact, t and p-value
        are NaN.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLELinearRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> table = MLELinearRegressor().fit(X[["bmi", "bp"]], y).coefficients()
    >>> table[["estimate", "std_error", "t"]].round(3).loc["bmi"].tolist()
    [8.519, 0.705, 12.089]
    """
    checks.check_probability("confidence", confidence)
    fit = named_fit(self, feature_names)
    return table_of_fit(fit, confidence)


def coefficient_covariance(self: HasLinearFit, *, feature_names: Sequence[str] | None = None) -> pd.DataFrame:
    """Covariance matrix of the coefficients, s²(XᵀWX)⁻¹; the posterior covariance after a penalised fit.

    Parameters
    ----------
    feature_names : sequence of str, default=None
        As in `coefficients`.

    Returns
    -------
    pandas.DataFrame
        Square, by parameter; with a two-dimensional y one such block for each output. NaN where the data do not
        determine a coefficient.
    """
    fit = named_fit(self, feature_names)
    return blocks([named_matrix(fit.covariance(k), fit.names) for k in range(fit.params.shape[1])], fit.outputs)


def fisher_information(self: HasLinearFit, *, feature_names: Sequence[str] | None = None) -> pd.DataFrame:
    """Fisher information of (coefficients, noise variance) at the optimum, blockdiag(XᵀWX/σ̂², n/(2σ̂⁴)).

    Of the likelihood alone, whatever the penalty.

    Parameters
    ----------
    feature_names : sequence of str, default=None
        As in `coefficients`.

    Returns
    -------
    pandas.DataFrame
        Square, by parameter, the last one "noise_variance"; with a two-dimensional y a block for each output by itself.
    """
    fit = named_fit(self, feature_names)
    if not fit.likelihood.noise.sums_suffice:
        raise ValueError(
            f"fisher_information is that of coefficients and a noise variance, for {least_squares_families()}. Under "
            f"{fit.likelihood.noise.title} the inverse of the coefficients' information is coefficient_covariance()."
        )
    information = fit.informations[0]
    products = scale(cross_products(information), 2 * fit.weight_exponent)  # beyond float64: infinite
    penalty = float(scale(information.alpha, 2 * fit.weight_exponent))
    first = int(fit.centred)
    products[range(first, len(products)), range(first, len(products))] -= penalty
    tables = []
    for variance in np.diagonal(fit.likelihood.covariance_of_y):
        table = np.zeros((len(products) + 1, len(products) + 1))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            table[:-1, :-1] = products / variance
            table[-1, -1] = fit.n / 2.0 / variance**2
        tables.append(named_matrix(table, [*fit.names, unlike("noise_variance", fit.names)]))
    return blocks(tables, fit.outputs)


def f_test(self: HasLinearFit) -> HypothesisTest:
    """F test that all coefficients but the intercept are zero, ((TSS − RSS)/k) / s².

    Returns
    -------
    HypothesisTest
        With ``statistic``, ``df_num``, ``df_denom``, ``p_value``; arrays where y has two dimensions.

    Raises
    ------
    ValueError
        After a penalised fit, which has no null distribution.
    """
    fit = _unpenalised(self, "f_test")
    return as_hypothesis_test(
        fit, fit.overall_f_test(), "all coefficients but the intercept are 0" if fit.centred else "all are 0"
    )


def test_linear(
    self: HasLinearFit,
    R: Any,
    q: Any = None,
    *,
    feature_names: Sequence[str] | None = None,
) -> HypothesisTest:
    """F test of linear hypotheses ``R @ parameters = q``.

    Parameters
    ----------
    R : str, sequence of str, or array-like of shape (n_hypotheses, n_parameters)
        Equations between columns, ``"bmi = 2*bp"``, ``"age = sex = 0"``, several separated by commas and "intercept"
        among the names; ``"age, sex"`` is ``"age = sex = 0"``. A name that can be taken for something else (a number, the
        difference of two others) stands in backticks or in ``Q("…")``. Or a matrix over (intercept, coef), the intercept
        only if there is one.
    q : array-like of shape (n_hypotheses,) or (n_hypotheses, n_outputs), default=None
        Right-hand sides of a matrix R, zero if None.
    feature_names : sequence of str, default=None
        As in `coefficients`.

    Returns
    -------
    HypothesisTest
        The exact F test under Gaussian noise; NaN, with a warning, where the data do not determine ``R @ parameters``.

    Raises
    ------
    ValueError
        For unknown names, contradictions, and after a penalised fit.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLELinearRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> print(MLELinearRegressor().fit(X, y).test_linear("s1 = s2 = 0"))
    H0: s1 - s2 = 0, s2 = 0
    F(2, 431) = 3.003, p = 0.0507
    """
    fit = _unpenalised(self, "test_linear", feature_names)
    restriction, value, text = as_restriction(R, q, fit.names, fit.params.shape[1])
    return as_hypothesis_test(fit, fit.wald_test(restriction, value), text)


def summary(self: HasLinearFit, confidence: float = 0.95, *, feature_names: Sequence[str] | None = None) -> Document:
    """Report on the fit: how good, how sure, what kind of optimum, and what to be wary of.

    Parameters
    ----------
    confidence : float, default=0.95
        Coverage of the intervals.
    feature_names : sequence of str, default=None
        As in `coefficients`.

    Returns
    -------
    Document
        Text when printed, as wide as the terminal; HTML in a notebook; ``to_text(width)`` and ``to_html()`` as asked.
    """
    checks.check_probability("confidence", confidence)
    return linear_summary(named_fit(self, feature_names), confidence)


def diagnose(
    self: HasLinearFit, X: Any, y: Any, sample_weight: Any = None, *, feature_names: Sequence[str] | None = None
) -> LinearDiagnosis | JointDiagnosis:
    """Look at the fit through rows: those it was fitted on, or new ones to see whether they follow it.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None
        As in ``fit``.
    feature_names : sequence of str, default=None
        As in `coefficients`.

    Returns
    -------
    LinearDiagnosis
        Robust standard errors, influence of rows, collinearity, tests of the assumptions, curvature; each worked out
        when asked for. A `JointDiagnosis`, which has the same methods, where outputs have different penalties.
    """
    fit, index = named_fit(self, feature_names), getattr(X, "index", None)
    rows = checks.new_rows(self, X, y, sample_weight, fit.likelihood.n_outputs)
    labels = index if isinstance(index, pd.Index) else None
    if isinstance(fit, JointFit):
        return JointDiagnosis(fit, rows.x, rows.y, rows.weights, labels)
    return LinearDiagnosis(fit, rows.x, rows.y, rows.weights, labels)


def hessian_eigenvalues_(self: HasLinearFit) -> Array:
    """Eigenvalues of H = ∇²J over (intercept, coef) in the units of X, ascending; a row an output under its own penalty."""
    fit = fit_of(self)
    if isinstance(fit, JointFit):
        return fit.joined(lambda part: _repeated(curvature.hessian_eigenvalues(part.information), part)).T
    return curvature.hessian_eigenvalues(fit.information)


def condition_number_(self: HasLinearFit) -> float | Array:
    """λmax/λmin of H, the square of the condition of [1 X]; infinite where H is singular. One an output, as `alpha`."""
    fit = fit_of(self)
    if isinstance(fit, JointFit):
        return fit.joined(lambda part: curvature.condition_number(part.information))
    return curvature.condition_number(fit.information)


def _repeated(values: Array, fit: LinearFit) -> Array:
    """Return what a fit has once, (k,), for each of its outputs (k, m)."""
    return np.repeat(values[:, None], len(fit.intercept), axis=1)


def standard_errors_(self: HasLinearFit) -> Array:
    """Return the standard errors of `coef_`, of its shape; NaN where the data do not determine a coefficient."""
    fit = fit_of(self)
    return fit.errors[int(fit.centred) :].T.reshape(self.coef_.shape)


def intercept_standard_error_(self: HasLinearFit) -> Any:
    """Return the standard error of `intercept_`, of its shape; 0.0 without intercept."""
    fit = fit_of(self)
    return fit.of_output(fit.errors[0]) if fit.centred else 0.0


def r2_(self: HasLinearFit) -> Any:
    """R² of the fit, weighted; without intercept about zero (uncentred). An array where y has two dimensions."""
    fit = fit_of(self)
    return fit.of_output(fit.r2)


def adjusted_r2_(self: HasLinearFit) -> Any:
    """R² adjusted for the degrees of freedom used; NaN where none is left."""
    fit = fit_of(self)
    return fit.of_output(fit.adjusted_r2)


def residual_variance_(self: HasLinearFit) -> Any:
    """Unbiased noise variance s² = RSS / `residual_dof_`, which the standard errors use."""
    fit = fit_of(self)
    return fit.of_output(fit.residual_variance)


def residual_dof_(self: HasLinearFit) -> float | Array:
    """Residual degrees of freedom: observations less (effective) parameters. One an output, where their penalties differ."""
    return fit_of(self).residual_dof


def _unpenalised(self: HasLinearFit, what: str, feature_names: Sequence[str] | None = None) -> LinearFit:
    fit = named_fit(self, feature_names)
    if isinstance(fit, JointFit) or fit.penalised:
        raise ValueError(
            f"{what} has no null distribution after a penalised fit (alpha > 0); fit with alpha=0, or read the "
            "posterior standard deviations of coefficients()."
        )
    return fit
