"""Ramsey's RESET test of a linear mean."""

from __future__ import annotations

import numpy as np
from scipy.stats import f as f_distribution

from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined
from mle_regression.linalg.arrays import Array
from mle_regression.rows.base import Block


def reset(fit: FitView) -> TestResult:
    """F of the second and third power of the fitted values, added as columns (Ramsey, 1969).

    Fitted values are a combination of the columns, so that with an intercept they may be centred before they are raised.
    """
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    centre = fit.fitted.mean() if fit.centred else 0.0
    spread = np.abs(fit.fitted - centre).max(initial=0.0)
    if not spread > 0:
        return undefined("the fitted values are all equal")
    mean = ((fit.fitted - centre) / spread)[:, None]
    target = fit.residual[:, None]
    plain = fit.regress_on_columns(target, weighted=True, constant=fit.centred)
    wider = fit.regress_on_columns(target, _powers, 2, payload=mean, weighted=True, constant=fit.centred)
    added = wider.rank - plain.rank
    dof = fit.n_rows - wider.rank - int(fit.centred)
    if added <= 0 or dof <= 0 or not wider.residual[0] > 0:
        return undefined("powers of the fitted values add no columns, or there are too few rows")
    statistic = float((plain.residual[0] - wider.residual[0]) / added / (wider.residual[0] / dof))
    statistic = max(statistic, 0.0)
    return TestResult(statistic, float(added), dof, p_value=f_distribution.sf(statistic, added, dof))


def _powers(block: Block) -> Array:
    """Square and cube (b, 2) of the fitted values, which follow the target."""
    return np.hstack([block.y[:, 1:] ** 2, block.y[:, 1:] ** 3])


RESET = Diagnostic(
    reset,
    asks="a mean linear in the columns",
    small_p="the mean is curved: add squares or interactions, transform y or columns, or fit a network",
)
