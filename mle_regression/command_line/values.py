"""The values of a column as text, flags or finite numbers, from whichever file they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mle_regression.command_line.text_numbers import text_to_numbers
from mle_regression.linalg.arrays import Array


def as_text(column: pd.Series) -> pd.Series:
    """Write the values of a category as text, the same from whichever file: 3 and 3.0 alike; missing ones are NaN."""
    if pd.api.types.is_float_dtype(column.dtype) or pd.api.types.is_integer_dtype(column.dtype):
        written: dict[Any, Any] = {value: f"{value:.15g}" for value in column.dropna().unique()}
    else:
        written = {value: str(value).strip() for value in column.dropna().unique()}
    return column.astype(object).map(written).astype(object)


def as_flags(column: pd.Series, true_word: str) -> Array:
    """Return 1 where a column has the word for yes, 0 where it has another, NaN where it has none."""
    words = column.astype(object).map(lambda value: str(value).strip().casefold(), na_action="ignore")
    return np.where(words.isna(), np.nan, (words == true_word).astype(np.float64))


def as_finite(column: pd.Series) -> Array:
    """Return a column as numbers, infinite ones as missing."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = text_to_numbers(column)
    return np.where(np.isinf(values), np.nan, values)
