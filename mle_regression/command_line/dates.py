"""Dates written as text: which format they have, and what a model is told of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mle_regression.linalg.arrays import AnyArray

# Formats in the order in which they are tried.
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d %B %Y",
         "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y", "%Y%m%d")  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S.%f")
_ZONES = ("", "%z")
# A text that may be a date: digits or the name of a month, and between them one of the signs that dates have.
_LIKE_A_DATE = re.compile(
    r"\s*(\d{1,4}[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ]\d{1,4}|[A-Za-z]{3,9} \d{1,2}, \d{4}|(19|20)\d{6})(?!\d).*"
)
_TRIED, _ENOUGH = 300, 0.95
_SECONDS_A_DAY = 86400.0
# Different days from which month and day of the week are told, and the span in days that holds all months.
_LEAST_DAYS, _MANY_MONTHS = 15, 300


@dataclass(frozen=True, slots=True)
class DateFormat:
    """How a column of dates is written; ``ambiguous`` where day and month may be meant the other way round."""

    format: str
    ambiguous: bool = False


def find_date_format(column: pd.Series) -> DateFormat | None:
    """Find the format by which nearly all values of a column of text are dates; None if they are none.

    Examples
    --------
    >>> find_date_format(pd.Series(["31/12/2020", "01/02/2021"])).format
    '%d/%m/%Y'
    """
    values = pd.Series(column.dropna().astype(str).unique())
    if values.empty:
        return None
    sample = values if len(values) <= _TRIED else values.sample(_TRIED, random_state=0)
    if sample.map(lambda text: _LIKE_A_DATE.fullmatch(text) is not None).mean() < _ENOUGH:
        return None
    fitting = [form for form in _formats(str(sample.iloc[0])) if _share_read(sample, form) >= _ENOUGH]
    reading = [(form, _share_read(values, form)) for form in fitting]
    if not reading:
        return None
    best = max(share for _, share in reading)
    same = [form for form, share in reading if share == best]
    return DateFormat(same[0], len(same) > 1) if best >= _ENOUGH else None


def read_dates(column: pd.Series, form: str) -> pd.Series:
    """Read a column as dates without a zone; NaT where a value is missing or none."""
    if form:
        found = pd.to_datetime(column.astype(object), format=form, errors="coerce", utc="%z" in form)
    else:
        found = pd.to_datetime(column, errors="coerce")
    return found.dt.tz_localize(None) if getattr(found.dt, "tz", None) is not None else found


def parts_of(dates: pd.Series) -> tuple[str, ...]:
    """Say which parts of dates a model is to be told: those that vary, and that enough days bear out."""
    known = dates.dropna()
    days = known.dt.normalize()
    many = days.nunique() >= _LEAST_DAYS
    parts = ["days"] if days.nunique() > 1 else []
    span = (days.max() - days.min()).days if len(days) else 0
    if many and span >= _MANY_MONTHS and known.dt.month.nunique() > 1:
        parts.append("month")
    if many and known.dt.day_of_week.nunique() > 2:
        parts.append("weekday")
    if known.dt.hour.nunique() > 1:
        parts.append("hour")
    return tuple(parts)


def part(dates: pd.Series, name: str, first: str) -> AnyArray:
    """Return a part of dates: days since the first (with the share of the day), or the month, weekday or hour in words."""
    if name == "days":
        return np.asarray((dates - pd.Timestamp(first)).dt.total_seconds(), dtype=np.float64) / _SECONDS_A_DAY
    values = {"month": dates.dt.month, "hour": dates.dt.hour}.get(name)
    words = (
        dates.dt.day_name().str[:3]
        if values is None
        else values.map(lambda value: f"{value:02.0f}", na_action="ignore")
    )
    return np.asarray(words, dtype=object)


def _formats(example: str) -> list[str]:
    """List the formats that have the signs of an example."""
    time = ":" in example
    joined = "T" if re.search(r"\dT\d", example) else " "
    times = [form for form in _TIMES if (":" in form) == time and (not form or form[0] == joined)]
    zones = _ZONES if re.search(r"(Z|[+-]\d{2}:?\d{2})\s*$", example) and time else ("",)
    return [day + clock + zone for day in _DAYS for clock in times for zone in zones]


def _share_read(values: pd.Series, form: str) -> float:
    found = pd.to_datetime(values, format=form, errors="coerce", utc="%z" in form)
    return float(found.notna().mean())
