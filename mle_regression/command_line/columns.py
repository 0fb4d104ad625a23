"""Rules by which a column of a table is read as a number, yes or no, a category or a date, or is left out."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from mle_regression.command_line.dates import find_date_format, parts_of, read_dates
from mle_regression.command_line.text_numbers import is_code, text_to_numbers
from mle_regression.command_line.values import as_finite, as_text
from mle_regression.linalg.arrays import Array

Kind = Literal["number", "yes or no", "category", "date", "presence", "left out"]

# Share of the values of a column of text that must be numbers for it to be one of numbers.
MOSTLY = 0.9
# Of more different values than this, and than half of the rows, text tells rows apart and groups nothing.
_MANY_VALUES, _LARGE_SHARE = 20, 0.5
# Share of values that begin with a zero, from which digits are codes.
_CODES = 0.01
# Missing values from which that one is missing is a column of its own.
_MANY_MISSING, _MISSING_SHARE = 10, 0.01
# Rows from which a first column that counts them is left out.
_COUNTED_ROWS = 20
_PAIRS = [
    ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"), ("nein", "ja"), ("non", "oui"), ("no", "sí"),
    ("no", "si"), ("não", "sim"),
]  # fmt: skip
_IDENTIFIER = re.compile(
    r"(id|pid|uid|uuid|guid|index|idx|key|row|rowid|row ?(id|number|nr|no|name)|column 1|unnamed.*|instant)"
    r"|.*[ _.\-](id|uuid|key)|id[ _.\-].*",
    re.IGNORECASE,
)
_CAMEL_IDENTIFIER = re.compile(r".*[a-z](ID|Id)")
_POSTAL = re.compile(r"(.*[ _.\-])?(zip|zip ?code|postal ?code|post ?code|plz)([ _.\-].*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What is made of a column.

    ``detail`` says it in words, with the reason why a column is left out; ``doubts`` are things to be wary of.
    ``with_missing`` asks for a column that tells where values are missing, ``true_word`` is what means 1, ``date_format``,
    ``first_date`` and ``parts`` are those of dates.
    """

    name: str
    kind: Kind
    detail: str = ""
    doubts: tuple[str, ...] = ()
    with_missing: bool = False
    true_word: str = ""
    date_format: str = ""
    first_date: str = ""
    parts: tuple[str, ...] = field(default=())

    def as_plain(self) -> dict[str, Any]:
        """Return what is needed to apply the rule, as a dict of strings and lists."""
        return {
            "name": self.name,
            "kind": self.kind,
            "with_missing": self.with_missing,
            "true_word": self.true_word,
            "date_format": self.date_format,
            "first_date": self.first_date,
            "parts": list(self.parts),
        }


def find_rules(frame: pd.DataFrame, keep: Collection[str] = (), categories: Collection[str] = ()) -> list[ColumnRule]:
    """Find the rule of each column from the rows to fit.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows in the order of the file, with their numbers there as index.
    keep : collection of str, default=()
        Columns that are not to be left out as identifiers.
    categories : collection of str, default=()
        Columns to read as categories, whatever they look like.
    """
    rules = []
    for j, name in enumerate(frame.columns):
        column = frame.iloc[:, j]
        rule = find_rule(column, name in categories)
        reason = "" if name in keep or name in categories else _identifies(column, rule, first=j == 0)
        rules.append(ColumnRule(str(name), "left out", reason) if reason else rule)
    return rules


def find_rule(column: pd.Series, as_category: bool = False) -> ColumnRule:
    """Find the rule of a column by its values.

    Examples
    --------
    >>> find_rule(pd.Series(["$1,200", "$900", "n/a"], name="rent").replace("n/a", None)).kind
    'number'
    >>> find_rule(pd.Series(["yes", "no", "yes"], name="garden")).kind
    'yes or no'
    >>> find_rule(pd.Series([3.0, 3.0, 3.0], name="floors")).detail
    'always 3'
    """
    name, present = str(column.name), column.dropna()
    if present.empty:
        return ColumnRule(name, "left out", "no values")
    if _is_nested(present):
        return ColumnRule(name, "left out", "lists or objects, no single values")
    constant = _constant(column, present)
    if constant is not None:
        return constant
    if as_category or isinstance(column.dtype, pd.CategoricalDtype):
        return _category_rule(column, asked_for=as_category)
    if pd.api.types.is_bool_dtype(present.dtype) or (
        set(present.unique()) <= {True, False} and present.dtype == object
    ):
        return ColumnRule(name, "yes or no", "true is 1", _missing_values(column), true_word="true")
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return _date_rule(column, "", False)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _of_numbers(column)
    return _of_text(column)


def _constant(column: pd.Series, present: pd.Series) -> ColumnRule | None:
    """Return the rule of a column with one value alone."""
    if present.iloc[0] != present.iloc[-1] or present.nunique() > 1:
        return None
    name, value = str(column.name), as_text(present.iloc[:1]).iloc[0]
    if len(present) == len(column):
        return ColumnRule(name, "left out", f"always {value}")
    return ColumnRule(name, "presence", f"{value} or missing: 1 where it is there")


def _of_numbers(column: pd.Series) -> ColumnRule:
    name, values = str(column.name), as_finite(column)
    if _POSTAL.fullmatch(name):
        return _category_rule(column)
    known = values[np.isfinite(values)]
    if not known.size:
        return ColumnRule(name, "left out", "no finite values")
    if known.min() == known.max():
        return ColumnRule(name, "left out", f"always {known[0]:g} where it is finite")
    if known.min() >= 19000101 and known.max() <= 21001231 and bool((known == np.floor(known)).all()):
        found = find_date_format(as_text(column.dropna()))
        if found is not None:
            return _date_rule(as_text(column), found.format, found.ambiguous)
    infinite = int(np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).sum())
    doubts = (f"{infinite} infinite values are taken as missing",) if infinite else ()
    return ColumnRule(
        name, "number", "", (*doubts, *_missing_values(column, values)), with_missing=_many_missing(values)
    )


def _of_text(column: pd.Series) -> ColumnRule:
    name = str(column.name)
    texts = as_text(column)
    present = texts.dropna()
    values = text_to_numbers(texts)
    readable = np.isfinite(values).sum() / len(present)
    if readable >= MOSTLY and not _are_codes(present) and not _POSTAL.fullmatch(name):
        return _number_rule(texts, values)
    words = {word.casefold() for word in present.unique()} if present.nunique() <= 4 else set()
    for no, yes in _PAIRS:
        if words == {no, yes}:
            return ColumnRule(name, "yes or no", f"{yes} is 1", _missing_values(column), true_word=yes)
    found = find_date_format(present)
    return _category_rule(texts) if found is None else _date_rule(texts, found.format, found.ambiguous)


def _number_rule(texts: pd.Series, values: Array) -> ColumnRule:
    """Return the rule of numbers that are written with signs, or among which there are words."""
    name, strange = str(texts.name), texts[texts.notna() & ~np.isfinite(values)]
    known = values[np.isfinite(values)]
    if known.min() == known.max():
        return ColumnRule(name, "left out", f"always {known[0]:g} where it is a number")
    doubts: tuple[str, ...] = ()
    if len(strange):
        shown = ", ".join(repr(value) for value in strange.unique()[:3])
        are = "value is no finite number and" if len(strange) == 1 else "values are no finite numbers and"
        doubts = (f"{len(strange)} {are} taken as missing ({shown})",)
    example = texts.dropna().iloc[0]
    detail = f"written as {example!r}" if np.isnan(_plain(example)) else ""
    if "%" in example:
        detail += ", in percent"
    return ColumnRule(
        name, "number", detail, (*doubts, *_missing_values(texts, values)), with_missing=_many_missing(values)
    )


def _category_rule(column: pd.Series, asked_for: bool = False) -> ColumnRule:
    name, texts = str(column.name), as_text(column)
    present = texts.dropna()
    different = present.nunique()
    many = different == len(present) or different > max(_MANY_VALUES, _LARGE_SHARE * len(present))
    if different > 2 and many and not asked_for:
        return ColumnRule(name, "left out", f"text, {different:,} different values in {len(present):,} rows")
    return ColumnRule(name, "category", f"{different} values", _missing_category(texts))


def _date_rule(column: pd.Series, form: str, ambiguous: bool) -> ColumnRule:
    name, dates = str(column.name), read_dates(column, form)
    parts = parts_of(dates)
    if not parts:
        return ColumnRule(name, "left out", "dates of one day")
    first = dates.min().normalize()
    span = f"{first:%Y-%m-%d} to {dates.max():%Y-%m-%d}"
    doubts = [f"day and month may be the other way round: read as {form}"] if ambiguous else []
    unread = int((dates.isna() & column.notna()).sum())
    if unread:
        doubts.append(f"{unread} values are no dates of this form and taken as missing")
    return ColumnRule(
        name,
        "date",
        f"{span}, told as {', '.join(parts)}",
        (*doubts, *_missing_values(dates)),
        with_missing=_many_missing(np.where(dates.isna(), np.nan, 0.0)),
        date_format=form,
        first_date=f"{first:%Y-%m-%d}",
        parts=parts,
    )


def _identifies(column: pd.Series, rule: ColumnRule, first: bool) -> str:
    """Say why a column tells rows apart and nothing else; nothing if it does not."""
    if rule.kind not in ("number", "category"):
        return ""
    name, present = str(column.name), column.dropna()
    if len(present) < len(column) or column.nunique() < len(column) or len(column) < 3:
        return ""
    if _IDENTIFIER.fullmatch(name) or _CAMEL_IDENTIFIER.fullmatch(name):
        return "an identifier by its name, all values different"
    if not (first and pd.api.types.is_integer_dtype(column.dtype) and len(column) >= _COUNTED_ROWS):
        return ""
    beyond = column.to_numpy(dtype=np.int64) - np.asarray(column.index, dtype=np.int64)
    return "counts the rows" if beyond[0] in (0, 1) and bool((beyond == beyond[0]).all()) else ""


def _are_codes(present: pd.Series) -> bool:
    """Whether digits are codes: some begin with a zero, and not just one by chance."""
    codes = present.map(is_code)
    widths = present.str.len()
    return bool(codes.any()) and bool(codes.mean() >= _CODES or (widths == widths.iloc[0]).all())


def _many_missing(values: Array) -> bool:
    missing = int(np.isnan(values).sum())
    return missing >= max(_MANY_MISSING, _MISSING_SHARE * len(values)) and missing < len(values)


def _missing_values(column: pd.Series, values: Array | None = None) -> tuple[str, ...]:
    missing = int(column.isna().sum())
    if not missing:
        return ()
    told = _many_missing(values) if values is not None else False
    return (f"{missing:,} missing, filled with the median" + (" and told by a column of its own" if told else ""),)


def _missing_category(texts: pd.Series) -> tuple[str, ...]:
    missing = int(texts.isna().sum())
    return (f"{missing:,} missing, a value of their own",) if missing else ()


def _is_nested(present: pd.Series) -> bool:
    if present.dtype != object:
        return pd.api.types.is_timedelta64_dtype(present.dtype)
    return any(isinstance(value, (list, dict, set, tuple, np.ndarray, bytes)) for value in present.iloc[:100])


def _plain(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
