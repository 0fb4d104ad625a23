"""Goldfeld–Quandt test of equal variance in both halves of the rows."""

from __future__ import annotations

import numpy as np
from scipy.stats import f as f_distribution

from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined


def goldfeld_quandt(fit: FitView) -> TestResult:
    """Ratio of the residual variances of fits to the second and to the first half, F (Goldfeld and Quandt, 1965).

    Residuals are regressed in the place of y: the fits differ by what was fitted already, and lose no digits to it.
    """
    n = len(fit.residual)
    if n < 2 * (int(fit.centred) + 2):
        return undefined("half of the rows are no more than the coefficients")
    variances, dofs = [], []
    for pick in (slice(0, n // 2), slice(n // 2, n)):
        half = fit.only(pick)
        found = half.regress_on_columns(half.residual[:, None], weighted=True, constant=fit.centred)
        dof = len(half.residual) - found.rank - int(fit.centred)
        if dof <= 0:
            return undefined("half of the rows are no more than the coefficients")
        if not found.residual[0] > 0:
            return undefined("half of the rows have no residuals")
        variances.append(float(found.residual[0]) / dof)
        dofs.append(float(dof))
    with np.errstate(over="ignore"):
        ratio = variances[1] / variances[0]
    return TestResult(ratio, dofs[1], dofs[0], p_value=f_distribution.sf(ratio, dofs[1], dofs[0]))


GOLDFELD_QUANDT = Diagnostic(
    goldfeld_quandt,
    asks="equal variance in the order of the rows",
    small_p="the noise is larger in the second half of the rows (p near 1: in the first)",
    ordered=True,
)
