"""The coefficient table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import LinearFit
from mle_regression.linalg.arrays import Array, BoolArray

# Columns of tables of outputs some of which are penalised and some not.
_COLUMNS = ("estimate", "std_error", "posterior_sd", "t", "df", "p_value", "lower", "upper")


def table_of_fit(fit: LinearFit | JointFit, confidence: float) -> pd.DataFrame:
    """Table the coefficients of a fit, with its own standard errors."""
    if isinstance(fit, JointFit):
        return joined_tables([table_of_fit(part, confidence) for part in fit.parts], fit)
    return coefficient_table(
        fit.names,
        fit.params,
        fit.errors,
        fit.residual_dof,
        confidence,
        fit.penalised,
        noise_free=fit.noise_free,
        outputs=fit.outputs,
    )


def joined_tables(tables: Sequence[pd.DataFrame], fit: JointFit) -> pd.DataFrame:
    """Put the tables of the parts of a fit together, output by output, in the order of the outputs."""
    by_output: list[pd.DataFrame] = [pd.DataFrame()] * len(fit.noise_free)
    for table, which in zip(tables, fit.places, strict=True):
        rows = len(table) // len(which)
        for number, k in enumerate(which):
            part = table.iloc[number * rows : (number + 1) * rows]
            by_output[k] = part.droplevel(0) if len(which) > 1 else part
    whole = blocks(by_output, fit.outputs)
    if len({tuple(table.columns) for table in tables}) > 1 and set(whole.columns) <= set(_COLUMNS):
        whole = whole[[name for name in _COLUMNS if name in whole.columns]]
    whole.attrs.update(tables[0].attrs)
    return whole


def coefficient_table(
    names: Sequence[str],
    params: Array,
    errors: Array,
    dof: float | Array,
    confidence: float,
    penalised: bool,
    *,
    robust: bool = False,
    noise_free: BoolArray | None = None,
    outputs: Sequence[str] = (),
) -> pd.DataFrame:
    """Estimates, standard errors, Student's t, p-values and confidence limits, a row a parameter.

    Parameters
    ----------
    names : sequence of str of length k
    params, errors : Array of shape (k, m)
        Where m > 1, the outputs follow one another under a first index level.
    dof : float or Array of shape (k,)
        Degrees of freedom of Student's t; where there is one a parameter, they have a column ``df``.
    confidence : float
        Coverage of the interval, between 0 and 1.
    penalised : bool
        Under a Gaussian prior the errors are posterior standard deviations; there is no null distribution of t, and so no
        p-value, and the limits are those of a credible interval.
    robust : bool, default=False
        Whether the errors are those of a sandwich, which are standard errors under a penalty too.
    noise_free : BoolArray of shape (m,), default=None
        Of which outputs the fit is exact: their errors are rounding, and t and p-values NaN.
    outputs : sequence of str of length m, default=()
        Their names; numbers if empty.
    """
    degrees = np.where(np.asarray(dof, dtype=np.float64) > 0, dof, np.nan)
    quantile = student_t.ppf(0.5 + confidence / 2, degrees)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = params / errors
    if noise_free is not None:
        ratio = np.where(noise_free, np.nan, ratio)
    tables = []
    for k in range(params.shape[1]):
        columns = {"estimate": params[:, k], "posterior_sd" if penalised and not robust else "std_error": errors[:, k]}
        if not penalised:
            columns["t"] = ratio[:, k]
            if degrees.ndim:
                columns["df"] = degrees
            columns["p_value"] = 2 * student_t.sf(np.abs(ratio[:, k]), degrees)
        columns["lower"] = params[:, k] - quantile * errors[:, k]
        columns["upper"] = params[:, k] + quantile * errors[:, k]
        tables.append(pd.DataFrame(columns, index=pd.Index(list(names), name="parameter")))
    return blocks(tables, outputs)


def blocks(tables: Sequence[pd.DataFrame], outputs: Sequence[str] = ()) -> pd.DataFrame:
    """Put one table an output under one another, the output as first index level; a single one is left as it is."""
    if len(tables) == 1:
        return tables[0]
    return pd.concat(tables, keys=list(outputs) or range(len(tables)), names=["output"])


def named_matrix(values: Array, names: Sequence[str]) -> pd.DataFrame:
    """Label a square matrix over the parameters."""
    label = pd.Index(list(names), name="parameter")
    return pd.DataFrame(values, index=label, columns=pd.Index(list(names)))
