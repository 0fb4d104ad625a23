"""Whether an array holds numbers that a fit can use: finite ones, which float64 holds as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import AnyArray, IntArray
from mle_regression.rows.registry import in_memory
from mle_regression.validation.containers import describe

_LARGEST_EXACT_INTEGER = 2**53


def check_finite(array: Any, name: str, labels: tuple[Any, ...] | None, one_dimensional: bool = False) -> None:
    """Refuse NaN and infinity, and name the columns that hold them."""
    values = array.data if sp.issparse(array) else array
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()) or np.isfinite(values).all():
            return
    columns = _non_finite_columns(array)
    raise ValueError(non_finite(name, array, columns, labels, one_dimensional))


def _non_finite_columns(array: Any) -> IntArray:
    if sp.issparse(array):
        entries = array.tocoo()
        return np.unique(entries.col[~np.isfinite(entries.data)])
    return np.flatnonzero(~np.isfinite(array).all(axis=0))


def non_finite(
    name: str,
    array: Any,
    columns: AnyArray,
    labels: tuple[Any, ...] | None,
    one_dimensional: bool = False,
    in_pipeline: bool = True,
) -> str:
    """Say which ``columns`` of an array hold NaN or infinity, and what to do."""
    names = [describe(name, int(j), labels, one_dimensional) for j in columns]
    told = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    if name.startswith("y"):
        remedy = "Drop those rows: what was not observed cannot be fitted or scored."
    else:
        infinite = in_memory(array) and _any_infinite(array[:, [int(j) for j in columns]])
        first = "turn infinities into NaN, and " if infinite else ""
        where = " in a Pipeline" if in_pipeline else ""
        remedy = f"Drop those rows, or {first}impute them, for instance with sklearn.impute.SimpleImputer{where}."
    return f"Input {name} contains NaN or infinity: {told}. {remedy}"


def _any_infinite(array: Any) -> bool:
    return bool(np.isinf(array.data if sp.issparse(array) else array).any())


def check_numbers(array: Any, name: str, labels: tuple[Any, ...] | None) -> None:
    """Refuse what float64 cannot hold exactly: wider floats, dates, integers beyond 2**53."""
    dtype = array.dtype
    if dtype.kind in "OUS":
        raise ValueError(
            f"{name} holds text or mixed objects, which are no numbers: encode categories, for instance with "
            "sklearn.preprocessing.OneHotEncoder, and convert the rest to float64."
        )
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ValueError(f"{name} has numbers of dtype {dtype}, which are not supported; convert them to float64.")
    if dtype.kind not in "iu" or dtype.itemsize < 8 or 0 in array.shape:
        return
    high, low = array.max(axis=0), array.min(axis=0)
    if sp.issparse(high):
        high, low = high.toarray().ravel(), low.toarray().ravel()
    beyond = np.atleast_1d((high > _LARGEST_EXACT_INTEGER) | (low < -_LARGEST_EXACT_INTEGER))
    if beyond.any():
        where = describe(name, int(np.flatnonzero(beyond)[0]), labels, array.ndim == 1)
        raise ValueError(
            f"Integers beyond 2**53 in {where}: float64 would round them. Subtract a reference value first, or convert to "
            "float64 yourself if rounding is meant."
        )
