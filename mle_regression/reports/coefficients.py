"""The coefficient table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from mle_regression.linalg.arrays import Array

INTERCEPT = "intercept"


def coefficient_table(
    names: Sequence[str], params: Array, errors: Array, dof: float, confidence: float, penalised: bool
) -> pd.DataFrame:
    """Estimates, standard errors, Student's t, p-values and confidence limits, a row a parameter.

    Parameters
    ----------
    names : sequence of str of length k
    params, errors : Array of shape (k, m)
        Where m > 1, the outputs follow one another under a first index level.
    dof : float
        Residual degrees of freedom.
    confidence : float
        Coverage of the interval, between 0 and 1.
    penalised : bool
        Under a Gaussian prior the errors are posterior standard deviations; there is no null distribution of t, and so no
        p-value, and the limits are those of a credible interval.
    """
    quantile = student_t.ppf(0.5 + confidence / 2, dof) if dof > 0 else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = params / errors
    tables = []
    for k in range(params.shape[1]):
        columns = {"estimate": params[:, k], "posterior_sd" if penalised else "std_error": errors[:, k]}
        if not penalised:
            columns["t"] = ratio[:, k]
            columns["p_value"] = 2 * student_t.sf(np.abs(ratio[:, k]), dof) if dof > 0 else np.full(len(params), np.nan)
        columns["lower"] = params[:, k] - quantile * errors[:, k]
        columns["upper"] = params[:, k] + quantile * errors[:, k]
        tables.append(pd.DataFrame(columns, index=pd.Index(list(names), name="parameter")))
    if len(tables) == 1:
        return tables[0]
    return pd.concat(tables, keys=range(len(tables)), names=["output"])
