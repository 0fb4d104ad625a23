"""Breusch–Pagan test of equal variance."""

from __future__ import annotations

from mle_regression.diagnostics.residual_tests.base import (
    Diagnostic,
    FitView,
    TestResult,
    explained_variance,
    undefined,
)


def breusch_pagan(fit: FitView) -> TestResult:
    """n·R² of the squared residuals regressed on the columns, χ² of p (Breusch and Pagan, 1979; Koenker, 1981)."""
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    auxiliary = fit.regress_on_columns(fit.unit_squares)
    return explained_variance(fit, auxiliary)


BREUSCH_PAGAN = Diagnostic(
    breusch_pagan,
    asks="equal variance",
    small_p='the noise grows or shrinks along the columns: use coefficients(cov="HC3"), or weights 1/variance',
)
