"""Rows as the user gave them, in whatever container, and others that are like them but for one column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.rows.labels import labels_of, shown
from mle_regression.validation.containers import as_numbers

# Values of a column up to which each is looked at, and values that others are looked at.
_EACH_VALUE, _GRID = 30, 60
# Columns up to which the one along which the mean changes most is looked for.
_MOST_COLUMNS = 2000


@dataclass(frozen=True)
class Table:
    """Rows (n, p), and the names of the columns as they are told.

    Attributes
    ----------
    data : DataFrame, array or sparse matrix in CSR form
    names : tuple of str
    labels : tuple or None
        What the user calls the columns; None where they have no names.
    container : type or None
        Of the frame that the user gave, where it is none of pandas.
    """

    data: Any
    names: tuple[str, ...]
    labels: tuple[Any, ...] | None
    container: Any = None

    def __len__(self) -> int:
        return int(self.data.shape[0])

    def column(self, j: int) -> Any:
        """Return the values of a column as they are."""
        if isinstance(self.data, pd.DataFrame):
            return self.data.iloc[:, j]
        return np.asarray(self.data[:, [j]].todense()).ravel() if sp.issparse(self.data) else self.data[:, j]

    def is_numeric(self, j: int) -> bool:
        """Whether a column holds numbers, or true and false."""
        values = self.column(j)
        if isinstance(values, pd.Series):
            return bool(pd.api.types.is_numeric_dtype(values.dtype))
        return values.dtype.kind in "biuf" or _are_numbers(values)

    def numbers(self, j: int) -> Array:
        """Return the numbers (n,) of a column, NaN where one is missing; raise where it holds none."""
        if not self.is_numeric(j):
            raise ValueError(f"Column {self.names[j]!r} holds no numbers, along which a picture could be drawn.")
        values = self.column(j)
        return (
            values.to_numpy(np.float64, na_value=np.nan) if isinstance(values, pd.Series) else values.astype(np.float64)
        )

    def place(self, column: Any) -> int:
        """Return the place of a column that is named, or numbered; raise where there is none."""
        if self.labels is not None and any(column is label or column == label for label in self.labels):
            return next(j for j, label in enumerate(self.labels) if column is label or column == label)
        if isinstance(column, str) and column in self.names:
            return self.names.index(column)
        numbered = isinstance(column, Integral) and column is not True and column is not False
        if numbered and 0 <= int(column) < len(self.names):
            return int(column)
        told = ", ".join(map(repr, self.names[:8])) + (", …" if len(self.names) > 8 else "")
        raise ValueError(f"column={column!r} is none of the columns: {told}.")

    def rows(self, chosen: IntArray) -> Table:
        """Return some of the rows."""
        data = self.data.iloc[chosen] if isinstance(self.data, pd.DataFrame) else self.data[chosen]
        return replace(self, data=data)

    def with_each(self, j: int, values: Array) -> Any:
        """Return all rows with each of k values in a column: k n rows, those of the first value first."""
        n = len(self)
        tiled, changed = self.rows(np.tile(np.arange(n), len(values))).data, np.repeat(values, n)
        if isinstance(tiled, pd.DataFrame):
            tiled = tiled.reset_index(drop=True)
            tiled.isetitem(j, changed)
            return self._as_given(tiled)
        if sp.issparse(tiled):
            unit = sp.csr_array(([1.0], ([0], [j])), shape=(1, tiled.shape[1]))
            now = np.asarray(tiled[:, [j]].todense()).ravel()
            return sp.csr_array(tiled + sp.csr_array((changed - now)[:, None]) @ unit)
        tiled = np.array(tiled, dtype=np.result_type(tiled.dtype, np.float64) if tiled.dtype.kind in "biuf" else None)
        tiled[:, j] = changed
        return tiled

    def typical(self, n_rows: int, changes: Mapping[int, Array]) -> Any:
        """Return so many rows of the values in the middle of each column, but for columns with other values (n_rows,)."""
        same = np.zeros(n_rows, dtype=int)
        middles = [middle.iloc[same].reset_index(drop=True) for middle in self.middles]
        columns = {j: changes.get(j, middle) for j, middle in enumerate(middles)}
        if isinstance(self.data, pd.DataFrame):
            frame = pd.DataFrame(columns)
            frame.columns = self.data.columns
            return self._as_given(frame)
        if sp.issparse(self.data):
            return sp.csr_array(np.column_stack([np.asarray(values, np.float64) for values in columns.values()]))
        return np.column_stack([np.asarray(values) for values in columns.values()])

    @property
    def given(self) -> Any:
        """The rows in a container as the user's."""
        return self._as_given(self.data)

    def _as_given(self, data: Any) -> Any:
        if self.container is None:
            return data
        columns = {str(name): data[name].to_numpy() for name in data.columns}
        make = getattr(self.container, "from_pydict", self.container)  # Arrow's tables are made by the former
        return make(columns)

    @cached_property
    def middles(self) -> list[pd.Series]:
        """One value of each column, of its type, that occurs: the median of numbers, else the most frequent."""
        return [_middle_of(pd.Series(self.column(j)), self.is_numeric(j)) for j in range(len(self.names))]


def _middle_of(column: pd.Series, numeric: bool) -> pd.Series:
    values = column.dropna()
    if not len(values):
        return pd.Series([np.nan])
    array, half = values.to_numpy(), (len(values) - 1) // 2
    if not numeric or pd.api.types.is_bool_dtype(values.dtype):
        value = values.mode().iloc[0]
    else:
        value = np.partition(array, half)[half] if array.dtype.kind in "iuf" else values.sort_values().iloc[half]
    return pd.Series([value], dtype=values.dtype)


def table_of(X: Any) -> Table:
    """Return rows as a table; raise where there are none."""
    if X is None or not len(getattr(X, "shape", np.shape(X))) == 2:
        raise ValueError("X must be a table of shape (n_samples, n_features).")
    labels = labels_of(X)
    if sp.issparse(X):
        data: Any = sp.csr_array(X)
    elif isinstance(X, pd.DataFrame):
        data = X
    elif labels is not None or hasattr(X, "columns"):
        names = list(labels or range(X.shape[1]))
        data = pd.DataFrame({name: np.asarray(X[name]) for name in names})
    else:
        data = np.asarray(X)
    other = isinstance(data, pd.DataFrame) and data is not X
    if not data.shape[0]:
        raise ValueError("X has no rows to draw.")
    return Table(data, tuple(shown(labels, data.shape[1], "x")), labels, type(X) if other else None)


def values_along(values: Array, name: str, n_points: int = _GRID) -> Array:
    """Return the values to look at along a column of numbers (n,): each of few, else evenly spaced between the ends."""
    known = np.unique(values[np.isfinite(values)])
    if len(known) < 2:
        raise ValueError(f"Column {name!r} does not vary, so that nothing can be drawn along it.")
    return known if len(known) <= _EACH_VALUE else np.linspace(known[0], known[-1], n_points)


def columns_by_change(table: Table, predict: Callable[[Any], Array]) -> list[int]:
    """Return columns of numbers that vary, first the one along which the mean changes most.

    The change is that from the 5 % to the 95 % quantile of the column, or from its least to its largest value where these
    are equal, the others in their middle.
    """
    if len(table.names) > _MOST_COLUMNS:
        raise ValueError(f"X has {len(table.names)} columns; name those to draw along.")
    ends = {}
    for j in range(len(table.names)):
        values = table.numbers(j) if table.is_numeric(j) else np.zeros(0)
        values = values[np.isfinite(values)]
        if len(values) and values.min() < values.max():
            low, high = np.quantile(values, [0.05, 0.95], method="nearest")
            ends[j] = (low, high) if low < high else (values.min(), values.max())
    if not ends:
        raise ValueError("No column of X holds numbers that vary, along which a picture could be drawn.")
    changes = {}
    for number, (j, (low, high)) in enumerate(ends.items()):
        column = np.full(2 * len(ends), float(table.middles[j].iloc[0]))
        column[2 * number], column[2 * number + 1] = low, high
        changes[j] = column
    mean = predict(table.typical(2 * len(ends), changes))
    change = np.abs(mean[1::2] - mean[::2])
    return [list(ends)[place] for place in np.argsort(-change, kind="stable")]


def _are_numbers(values: Any) -> bool:
    try:
        as_numbers(values, "X")
    except (TypeError, ValueError):
        return False
    return True
