"""What arrays come in: frames, series, lists and arrays of objects, made numbers where they hold numbers.

scikit-learn's checks convert most containers. What they refuse without a word of where (text, dates, missing values among
objects), misread (dates of polars) or do not know (decimals of Arrow and polars) is looked at here, column by column.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from mle_regression.linalg.arrays import AnyArray
from mle_regression.rows.labels import labels_of

_ENCODE = "encode categories, for instance with sklearn.preprocessing.OneHotEncoder, and convert the rest to numbers."
_CLASSES = "a regression is of numbers; convert it to some, or take a classifier for classes."
_MEASURE = "measure in numbers first, as the days since one of them: (dates - dates.min()) / np.timedelta64(1, 'D')."


def describe(name: str, j: int, labels: tuple[Any, ...] | None, one_dimensional: bool = False) -> str:
    """Name a column of X or y as the user knows it.

    Examples
    --------
    >>> describe("X", 1, None), describe("X", 1, ("age", "bmi")), describe("y", 0, None, one_dimensional=True)
    ('column 1 of X', "column 'bmi' of X", 'y')
    """
    if one_dimensional:
        return name
    if labels is not None:
        return f"column {labels[j]!r} of {name}"
    return f"{name}[:, {j}]" if name.startswith("y") else f"column {j} of {name}"


def as_numbers(data: Any, name: str) -> Any:
    """Return data with the columns converted that scikit-learn would not read, the others as they are.

    Parameters
    ----------
    data : frame, series, list, array or sparse matrix
    name : str
        What to call it: "X", "y", "X_val".

    Raises
    ------
    ValueError
        Of columns with text, dates, or lists; the message names the first, and says what to do.
    """
    if isinstance(data, np.ndarray):
        return data if data.dtype.kind in "biufc" else _array(data, name)
    if isinstance(data, pd.DataFrame):
        return _frame(data, name)
    if isinstance(data, pd.Series):
        return data if _is_plain(data.dtype) else _column(data, name)
    library = type(data).__module__.partition(".")[0]
    if library == "polars":
        return _polars(data, name)
    if library == "pyarrow" and hasattr(data, "to_pandas"):
        return as_numbers(data.to_pandas(types_mapper=pd.ArrowDtype), name)
    if isinstance(data, (list, tuple)):
        return _list(data, name)
    return data


def refuse(data: Any, name: str) -> None:
    """Raise for what holds no rows until it is asked for them, or in no order."""
    kind = type(data).__name__
    if kind == "LazyFrame":
        raise TypeError(f"{name} is a LazyFrame; give {name}.collect().")
    if isinstance(data, dict) and not sp.issparse(data):  # scipy's matrices by key are dicts too
        raise TypeError(f"{name} is a dict; give pandas.DataFrame({name}), or an array.")
    if isinstance(data, (set, frozenset, Iterator)):
        raise TypeError(f"{name} is a {kind}; give a list or an array of its rows.")


def _is_plain(dtype: Any) -> bool:
    """Whether scikit-learn reads a column of this type as numbers, or refuses it in words of its own."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biufc"
    if isinstance(dtype, pd.CategoricalDtype):
        return _is_plain(dtype.categories.dtype)
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.kind in "biuf"
    return bool(getattr(dtype, "_is_numeric", False) or getattr(dtype, "_is_boolean", False))


def _frame(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    odd = [j for j, dtype in enumerate(frame.dtypes) if not _is_plain(dtype)]
    if not odd:
        return frame
    labels, converted = labels_of(frame), frame.copy(deep=False)
    for j in odd:
        converted.isetitem(j, _column(frame.iloc[:, j], describe(name, j, labels)))
    return converted


def _column(column: pd.Series, where: str) -> Any:
    """Return a column of a pandas frame as an array of numbers, or of what scikit-learn shall refuse."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return _values(column.to_numpy(), where)
    if isinstance(dtype, pd.ArrowDtype) and "decimal" in str(dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(dtype, (pd.DatetimeTZDtype, pd.PeriodDtype)) or getattr(dtype, "kind", "") in "mM":
        raise ValueError(_dates(where, dtype))
    return _values(column.astype(object).to_numpy(), where)


def _polars(data: Any, name: str) -> Any:
    polars: Any = sys.modules["polars"]
    if isinstance(data, polars.Series):
        return _polars_column(data, polars, name)
    if not isinstance(data, polars.DataFrame):
        return data
    labels = labels_of(data)
    columns = [_polars_column(s, polars, describe(name, j, labels)) for j, s in enumerate(data.get_columns())]
    return polars.DataFrame(columns) if columns else data


def _polars_column(column: Any, polars: Any, where: str) -> Any:
    dtype = column.dtype
    if dtype.is_numeric() or dtype == polars.Boolean:
        return column.cast(polars.Float64) if dtype == polars.Decimal else column
    if dtype == polars.Null:
        return column.cast(polars.Float64)
    if dtype.is_temporal():
        raise ValueError(_dates(where, dtype))
    values = np.empty(len(column), dtype=object)
    for row, value in enumerate(column):
        values[row] = list(value) if isinstance(value, polars.Series) else value
    return polars.Series(column.name, _values(values, where))


def _list(data: Any, name: str) -> Any:
    """Return a list as it is, or as an array of its numbers where its items are not all of one kind."""
    try:
        array = np.asarray(data)
    except (TypeError, ValueError):
        return data
    if array.dtype.kind in "biufc":
        return data
    if array.dtype.kind in "US":  # what it has made of mixed items
        _array(np.asarray(data, dtype=object), name)
        return data
    return _array(array, name)


def _array(array: AnyArray, name: str) -> AnyArray:
    """Return an array of objects as numbers, where it has columns."""
    if array.ndim not in (1, 2) or not array.size:
        return array
    if array.dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            pass
    table = array.reshape(len(array), -1)
    one = array.ndim == 1
    columns = [_values(table[:, j], describe(name, j, None, one)) for j in range(table.shape[1])]
    # Text that could be read as numbers is for scikit-learn to refuse.
    return array if array.dtype.kind in "US" else np.column_stack(columns).reshape(array.shape)


def _values(values: AnyArray, where: str) -> AnyArray:
    """Return a column's values as numbers, missing ones as NaN; as they are where scikit-learn is to refuse them."""
    if values.dtype.kind in "mM":
        raise ValueError(_dates(where, values.dtype))
    try:
        if values.dtype.kind == "O":
            return values.astype(np.float64)
    except (TypeError, ValueError):
        pass
    values = values.astype(object)
    missing = np.array([value is None or value is pd.NA or value is pd.NaT for value in values], dtype=bool)
    for row in np.flatnonzero(~missing):
        _refuse_value(values[row], f"{where} holds", int(row))
    try:
        return np.where(missing, np.nan, values).astype(np.float64)
    except (TypeError, ValueError):
        return values


def _refuse_value(value: Any, what: str, row: int) -> None:
    """Raise if a value is text, a date or a collection."""
    if isinstance(value, (str, bytes)):
        try:
            float(value)
        except ValueError:
            remedy = _CLASSES if what.startswith("y") or " of y" in what else _ENCODE
            raise ValueError(f"{what} text ({_short(value)} in row {row}): {remedy}") from None
    elif isinstance(value, (list, tuple, set, np.ndarray, pd.Interval)):
        raise ValueError(f"{what} {type(value).__name__}s ({_short(value)} in row {row}); give each row one number.")
    elif isinstance(value, (np.datetime64, np.timedelta64)) or _is_date(value):
        raise ValueError(f"{what} dates or times ({_short(str(value))} in row {row}): {_MEASURE}")


def _is_date(value: Any) -> bool:
    return (
        isinstance(value, pd.Period) or type(value).__module__ in ("datetime", "pandas") or hasattr(value, "isoformat")
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


def _dates(where: str, dtype: Any) -> str:
    return f"{where} holds dates or times ({dtype}): {_MEASURE}"


def same_labels_reordered(data: Any, index: Any) -> bool:
    """Whether data have an index with the labels of another one in another order."""
    own = getattr(data, "index", None)
    if not isinstance(own, pd.Index) or not isinstance(index, pd.Index) or len(own) != len(index) or own.equals(index):
        return False
    if not own.isin(index).all():
        return False
    counts = own.value_counts()
    return bool(counts.reindex(index.unique()).eq(index.value_counts().reindex(index.unique())).all())
