"""Numbers that are written as text: thousands, currency, percent, decimal commas; and codes, which only look like numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from mle_regression.linalg.arrays import Array

_NUMBER = r"(?:\d{1,3}(?:[, \u00a0\u202f'’]\d{3})+|\d+)?(?:\.\d*)?(?:e[-+]?\d+)?"
_CURRENCY = r"[$€£¥₹₽₩]|(?:USD|EUR|GBP|CHF|JPY|CNY|AUD|CAD|SEK|NOK|DKK|PLN|INR|Rs\.?|kr\.?|zł|Fr\.?)"
_WRITTEN = re.compile(
    rf"\s*(?P<open>\()?\s*(?P<sign>[-+−])?\s*(?:{_CURRENCY})?\s*(?P<later>[-+−])?(?P<number>{_NUMBER})\s*(?:{_CURRENCY}|%)?\s*(?P<close>\))?\s*",
    re.IGNORECASE,
)
_CODE = re.compile(r"\s*0\d+\s*")
_COMMA = re.compile(r"(?<!\d)(\d{1,3}(?:\.\d{3})+|\d+),(\d+)(?![\d,.])")
_INFINITE = re.compile(r"\s*[-+]?inf(inity)?\s*", re.IGNORECASE)


def parse_number(text: str) -> float:
    """Read a number as people write it; NaN if it is none.

    Examples
    --------
    >>> [parse_number(text) for text in ("1,234", "$ 5.50", "12 %", "(3)", "−2e3", "about 7")]
    [1234.0, 5.5, 12.0, -3.0, -2000.0, nan]
    """
    found = _WRITTEN.fullmatch(text)
    if found is None or bool(found["open"]) != bool(found["close"]):
        return np.inf if _INFINITE.fullmatch(text) else np.nan
    digits = re.sub(r"[, \u00a0\u202f'’]", "", found["number"])
    try:
        value = float(digits)
    except ValueError:
        return np.nan
    return -value if found["open"] or "-" in (marks := f"{found['sign']}{found['later']}") or "−" in marks else value


def is_number(text: str) -> bool:
    """Whether a text is a number, as programs write them."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_code(text: str) -> bool:
    """Whether a text is digits that begin with a zero, as a postal code or the number of an article.

    Examples
    --------
    >>> is_code("02134"), is_code("0"), is_code("0.5")
    (True, False, False)
    """
    return _CODE.fullmatch(text) is not None


def text_to_numbers(column: pd.Series) -> Array:
    """Read a column as numbers, each different text once; NaN where a value is missing or no number."""
    codes, values = pd.factorize(column.astype(object), use_na_sentinel=True)
    parsed = np.array([_as_number(value) for value in values], dtype=np.float64)
    return np.where(codes < 0, np.nan, parsed[codes] if len(parsed) else np.nan)


def with_decimal_points(column: pd.Series) -> pd.Series:
    """Write numbers inside of text that have a decimal comma with a point, "€ 1.234,56" as "€ 1234.56"."""
    codes, values = pd.factorize(column.astype(object), use_na_sentinel=True)
    rewritten = [_with_point(value) if isinstance(value, str) else value for value in values]
    changed = np.array([*rewritten, np.nan], dtype=object)[codes]
    return pd.Series(changed, index=column.index, name=column.name, dtype=object)


def _with_point(text: str) -> str:
    """Rewrite a text that is one number, and leave any other as it is."""
    changed = _COMMA.sub(lambda found: f"{found[1].replace('.', '')}.{found[2]}", text)
    if changed == text:  # "1.234" has a point for thousands here
        changed = re.sub(r"(?<![\d.])(\d{1,3}(?:\.\d{3})+)(?![\d,.])", lambda found: found[1].replace(".", ""), text)
    return text if np.isnan(parse_number(changed)) else changed


def _as_number(value: object) -> float:
    if isinstance(value, str):
        return parse_number(value)
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan
