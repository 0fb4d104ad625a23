"""Chow's test of new rows against a fit."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.stats import f as f_distribution

from mle_regression.diagnostics.covariance import leverage_of_block, whiten
from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.information import InformationFactor
from mle_regression.rows.base import Block
from mle_regression.rows.registry import as_rows


def predictive_failure(fit: FitView) -> TestResult:
    """F of the new residuals e against their covariance s²(W⁻¹ + XCXᵀ), C the inverse of the fit's XᵀWX (Chow, 1960).

    By Woodbury's identity the n × n matrix is never formed: eᵀ(W⁻¹ + XCXᵀ)⁻¹e = ‖u‖² − bᵀ(I + S)⁻¹b with S the cross-products
    of the whitened rows and b = Qᵀu.
    """
    if not fit.dof > 0 or not fit.variance > 0:
        return undefined("the fit has no estimate of the noise")
    if fit.information.alpha:
        return undefined("the fit is penalised: its predictions are biased, and have no null distribution")
    weights = fit.precision if fit.counts is None else fit.counts
    rows = as_rows(fit.x, fit.residual[:, None], weights)
    every = rows.map(partial(leverage_of_block, fit.information), dense=True)
    if np.isnan(every).any():
        return undefined("the fit does not determine the mean at some of the rows")
    table = rows.reduce(partial(_whitened_sums, fit.information), np.add, dense=True)
    s, b = table[:, :-1], table[:, -1]
    residuals = fit.residual if fit.counts is None else np.sqrt(fit.counts) * fit.residual
    residuals = residuals if fit.precision is None else np.sqrt(fit.precision) * residuals
    squares = residuals @ residuals - b @ np.linalg.solve(np.eye(len(s)) + s, b)
    statistic = float(squares / fit.n_rows / fit.variance)
    return TestResult(statistic, fit.n_rows, fit.dof, p_value=f_distribution.sf(statistic, fit.n_rows, fit.dof))


def _whitened_sums(information: InformationFactor, block: Block) -> Array:
    """Cross-products (r, r + 1) of the whitened rows, and of these with the residuals."""
    q = whiten(information, block.x)
    weighted = q if block.weights is None else q * block.weights[:, None]
    return np.asarray(weighted.T @ np.hstack([q, block.y]))


PREDICTIVE_FAILURE = Diagnostic(
    predictive_failure,
    asks="new rows follow the fitted model",
    small_p="the new rows err more than the fit foretells: coefficients or noise have drifted; fit again",
    new_rows=True,
)
