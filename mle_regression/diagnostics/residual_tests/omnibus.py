"""D'Agostino and Pearson's omnibus test of normal noise."""

from __future__ import annotations

import warnings

from scipy.stats import normaltest

from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined

_FEWEST = 8


def omnibus(fit: FitView) -> TestResult:
    """K² of the residuals' skewness and kurtosis, each made normal, χ² of 2 (D'Agostino and Pearson, 1973)."""
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    residuals = fit.repeated
    if residuals is None:
        return undefined("frequency weights are no integers, or too large to write the rows out")
    if len(residuals) < _FEWEST:
        return undefined(f"fewer than {_FEWEST} rows")
    if residuals.max() == residuals.min():
        return undefined("the residuals are all equal")
    with warnings.catch_warnings():
        # Older versions of SciPy say that below twenty rows the transformation of the kurtosis is rough.
        warnings.filterwarnings("ignore", "kurtosistest only valid")
        statistic, p_value = normaltest(residuals)
    return TestResult(float(statistic), 2.0, p_value=float(p_value))


OMNIBUS = Diagnostic(
    omnibus,
    asks="normal noise",
    small_p="the noise is skewed or heavy-tailed, by a test that is exact enough in small samples too",
)
