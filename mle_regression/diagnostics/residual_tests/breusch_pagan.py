"""Breusch–Pagan test of equal variance."""

from __future__ import annotations

from scipy.stats import chi2

from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined


def breusch_pagan(fit: FitView) -> TestResult:
    """n·R² of the squared residuals regressed on the columns, χ² of p (Breusch and Pagan, 1979; Koenker, 1981)."""
    auxiliary = fit.regress_on_columns(fit.unit_squares)
    if auxiliary.rank == 0 or auxiliary.rank + 1 >= fit.n_rows or not auxiliary.total[0] > 0:
        return undefined("no column varies, or there are no more rows than columns")
    statistic = fit.n_rows * float(auxiliary.r2[0])
    return TestResult(statistic, float(auxiliary.rank), p_value=chi2.sf(statistic, auxiliary.rank))


BREUSCH_PAGAN = Diagnostic(
    breusch_pagan,
    asks="equal variance",
    small_p='the noise grows or shrinks along the columns: use coefficients(cov="HC3"), or weights 1/variance',
)
