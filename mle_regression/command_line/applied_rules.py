"""Rules of columns applied to a table: the first step of the pipeline that the command fits and saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mle_regression.command_line.dates import part, read_dates
from mle_regression.command_line.values import as_finite, as_flags, as_text

_MISSING = "missing"


def apply_rules(frame: pd.DataFrame, plan: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Make columns of numbers and of text by rules.

    Parameters
    ----------
    frame : pandas.DataFrame
        As a file was read, with the columns of the rules, in any order, others among them.
    plan : sequence of dict
        `ColumnRule.as_plain` of each column that is not left out.
    """
    made: dict[str, Any] = {}
    for rule in plan:
        name, column = rule["name"], frame[rule["name"]]
        made.update(_made(name, column, rule))
    return pd.DataFrame(made, index=frame.index)


def _made(name: str, column: pd.Series, rule: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that a rule makes of one."""
    kind = rule["kind"]
    if kind == "category":
        return {name: as_text(column)}
    if kind == "presence":
        return {f"{name} known": column.notna().to_numpy(dtype=np.float64)}
    if kind == "yes or no":
        return {name: as_flags(column, rule["true_word"])}
    if kind == "number":
        values = as_finite(column)
        return {name: values} | _missing_column(name, values, rule)
    dates = read_dates(as_text(column) if rule["date_format"] else column, rule["date_format"])
    made = {f"{name} {word}": part(dates, word, rule["first_date"]) for word in rule["parts"]}
    return made | _missing_column(name, dates, rule)


def _missing_column(name: str, values: Any, rule: dict[str, Any]) -> dict[str, Any]:
    if not rule["with_missing"]:
        return {}
    return {f"{name} {_MISSING}": pd.isna(values).astype(np.float64)}
