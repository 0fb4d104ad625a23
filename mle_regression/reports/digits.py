"""Numbers with the digits that mean something, in columns whose decimal points stand below one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

# A p-value below this one is written as such: by then it tells of the tails of the noise rather than of the data.
SMALLEST_P = 1e-4
_P_DECIMALS = 4
# Digits that are given of a standard error.
_ERROR_DIGITS = 2
# Places of the first digit, as powers of ten, between which numbers are written without an exponent.
_LOWEST, _HIGHEST = -4, 6
# Powers of ten that a column may span to be written with the same decimals throughout.
_SPAN = 4
# Digits after the first of an estimate whose error is tiny.
_MOST_DIGITS = 8
_ERRORS = ("std_error", "posterior_sd")
_IN_UNITS_OF_ERROR = ("estimate", "lower", "upper", *_ERRORS)
_DECIMALS = {
    "t": 2,
    "leverage": 3,
    "standardized": 2,
    "studentized_internal": 2,
    "studentized_external": 2,
    "dffits": 2,
}


def number(value: object, digits: int = 4) -> str:
    """Write a number with some significant digits; text stays as it is.

    Examples
    --------
    >>> number(1234567.0), number(0.25), number(float("nan")), number(12), number("auto")
    ('1234567', '0.25', 'nan', '12', 'auto')
    >>> number(79393.2), number(0.0000123), number(1.5e12)
    ('79393', '1.23e-05', '1.5e+12')
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return str(value)
    if isinstance(value, (int, np.integer)):
        return f"{value:d}"
    top = _place(float(value))
    if digits <= top <= _HIGHEST:  # digits before the point are written out
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def p_value(p: float) -> str:
    """Write a p-value.

    Examples
    --------
    >>> p_value(0.03217), p_value(3e-9), p_value(float("nan"))
    ('0.0322', '<0.0001', 'nan')
    """
    return f"<{SMALLEST_P:.{_P_DECIMALS}f}" if p < SMALLEST_P else fixed(p, _P_DECIMALS)


def p_equals(p: float) -> str:
    """Write a p-value as an equation.

    Examples
    --------
    >>> p_equals(0.5), p_equals(0.0)
    ('p = 0.5000', 'p < 0.0001')
    """
    return f"p < {SMALLEST_P:.{_P_DECIMALS}f}" if p < SMALLEST_P else f"p = {fixed(p, _P_DECIMALS)}"


def with_error(value: float, error: float, digits: int = 4) -> str:
    """Write a number to the digits that its standard error leaves: to the second digit of the error.

    Examples
    --------
    >>> with_error(-334.567, 67.455), with_error(0.0363612, 0.21704), with_error(865433.0, 886542.0)
    ('-335', '0.04', '870000')
    >>> with_error(3.2e-9, 4.5e-10), with_error(1.5, 2e-7), with_error(1.2e12, 3.4e10)
    ('3.20e-09', '1.50000000', '1.200e+12')
    >>> with_error(1.23456789, 0.0), with_error(2.0, float("nan"))
    ('1.235', '2')
    """
    if not (np.isfinite(error) and error > 0 and np.isfinite(value)):
        return number(float(value), digits)
    # Of the error as it is rounded: 9.96 has two digits before the point.
    last = _place(float(f"{error:.{_ERROR_DIGITS - 1}e}")) - _ERROR_DIGITS + 1
    place = _place(value)
    if last + _ERROR_DIGITS - 1 >= _LOWEST and max(place, _place(error)) <= _HIGHEST:
        return fixed(float(np.round(value, -last)), max(-last, 0))
    if value and _LOWEST <= place <= _HIGHEST and last < 0:  # an error that is small beside it
        return fixed(value, min(-last, max(_MOST_DIGITS - place, 0)))
    if place < last:  # one unit of the last digit, or none
        unit = float(f"{np.sign(value)}e{last}")
        return f"{unit:.0e}" if abs(value) > 0.5 * abs(unit) else "0"
    return f"{value:.{min(place - last, _MOST_DIGITS)}e}" if value else "0"


def fixed(value: float, decimals: int) -> str:
    """Write a number with some decimals, zero without a sign; very large ones with an exponent."""
    if np.isfinite(value) and _place(value) > _HIGHEST + 1:
        return f"{value:.3e}"
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def written(frame: pd.DataFrame, digits: int = 4) -> list[list[str]]:
    """Write the cells of a frame, a list a column; NaN is empty.

    Estimates, their errors and limits have the digits that the error of the row leaves, p-values four decimals, other columns
    ``digits`` of the largest number where the column spans few powers of ten, else ``digits`` each.

    Examples
    --------
    >>> written(pd.DataFrame({"estimate": [1.23456], "std_error": [0.0321], "p_value": [1e-9], "n": [12.0]}))
    [['1.235'], ['0.032'], ['<0.0001'], ['12']]
    """
    found = [name for name in _ERRORS if name in frame.columns]
    errors = frame[found].bfill(axis=1).iloc[:, 0].to_numpy(dtype=np.float64) if found else None
    columns = []
    for j, name in enumerate(frame.columns):
        column = frame.iloc[:, j]
        if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
            columns.append([_as_text(value, digits) for value in column])
        elif errors is not None and name in _IN_UNITS_OF_ERROR:
            pairs = zip(column.to_numpy(dtype=np.float64), errors, strict=True)
            columns.append(["" if np.isnan(value) else with_error(value, error) for value, error in pairs])
        elif "p_value" in str(name):
            columns.append(["" if np.isnan(value) else p_value(value) for value in column.to_numpy(dtype=np.float64)])
        else:
            columns.append(_column(column, _DECIMALS.get(str(name)), digits))
    return columns


def aligned(cells: Sequence[str], blank: str = " ", point: str = " ") -> list[str]:
    """Pad cells on the right so that, set flush right, their decimal points stand below one another.

    ``blank`` is as wide as a digit, ``point`` as a decimal point.

    Examples
    --------
    >>> aligned(["1.25", "-3", "", "<0.0001"])
    ['1.25  ', '-3     ', '', '<0.0001']
    """
    tails = [len(cell) - 1 - cell.rfind(".") if "." in cell else -1 for cell in cells]
    most = max((tail for tail, cell in zip(tails, cells, strict=True) if cell), default=-1)
    padded = []
    for cell, tail in zip(cells, tails, strict=True):
        missing = most - tail
        padded.append(
            cell + ("" if not cell or missing <= 0 else (point if tail < 0 else "") + blank * (missing - (tail < 0)))
        )
    return padded


def _column(column: pd.Series, decimals: int | None, digits: int) -> list[str]:
    """Write a column of numbers, with the same decimals if they are of about one size."""
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    known = values[np.isfinite(values) & (values != 0)]
    if not known.size or ((known == np.floor(known)).all() and np.abs(known).max() < 10.0 ** (_HIGHEST + 1)):
        return ["" if np.isnan(value) else fixed(value, 0) for value in values]
    top, low = _place(float(np.abs(known).max())), _place(float(np.abs(known).min()))
    if decimals is None and (top - low > _SPAN or low < _LOWEST or top > _HIGHEST):
        return ["" if np.isnan(value) else number(value, digits) for value in values]
    if decimals is None:
        # Shares below one have as many decimals as digits; what is smaller still, digits of its own.
        decimals = max(digits - 1 - (top if top < -2 else max(top, -1)), min(1 - low, digits - 1), 0)
    return ["" if np.isnan(value) else fixed(value, decimals) for value in values]


def _as_text(value: Any, digits: int) -> str:
    text = number(value, digits)
    return "" if text == "nan" else text


def _place(value: float) -> int:
    """Place of the first digit, as a power of ten; 0 of zero and of what is no number."""
    return int(np.floor(np.log10(abs(value)))) if value and np.isfinite(value) else 0
