"""What is to be predicted from what: the target, the weights and the columns that a table offers, and rows to hold out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mle_regression.command_line.columns import MOSTLY
from mle_regression.command_line.problems import CommandError, unknown_column
from mle_regression.command_line.reading import RawTable
from mle_regression.command_line.values import as_finite
from mle_regression.linalg.arrays import Array, IntArray

LEAST_ROWS = 5
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Task:
    """A regression that a table poses.

    ``frame`` (n, p): the columns to predict from, of rows that have a target, with their numbers in the file as index;
    ``y`` (n,); ``weights`` (n,) or None; ``remarks``: what was left out, in words.
    """

    target: str
    frame: pd.DataFrame
    y: Array
    weights: Array | None
    remarks: tuple[str, ...]

    def rows(self, which: IntArray) -> Task:
        """Return the task on some of its rows."""
        weights = None if self.weights is None else self.weights[which]
        return Task(self.target, self.frame.iloc[which], self.y[which], weights, self.remarks)


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to fit and rows held out, each in the order of the file."""

    fitted: Task
    held_out: Task


def pose_task(table: RawTable, target: str, weights: str | None = None, drop: Sequence[str] = ()) -> Task:
    """Take target, weights and columns from a table.

    Raises
    ------
    CommandError
        No such column; a target of text, constant, or known in too few rows; weights that are no numbers, or negative.
    """
    frame, names = table.frame, [str(name) for name in table.frame.columns]
    for name, role in (
        (target, "--target"),
        *((name, "--drop") for name in drop),
        *([(weights, "--weights")] if weights else []),
    ):
        if name not in names:
            raise unknown_column(name, names, role)
    if weights == target:
        raise CommandError(f"--weights {weights!r} is the target itself.")
    if target in drop or weights in drop:
        raise CommandError(f"--drop {(target if target in drop else weights)!r} is also the target or the weights.")
    y = _target_values(frame, target)
    w = None if weights is None else _weight_values(frame[weights], weights)
    counted = np.isfinite(y) & (True if w is None else w > 0)
    remarks = list(table.remarks)
    _remark_on_rows(remarks, y, w, target, weights)
    _check_target(y[counted], target, len(y))
    taken = [name for name in names if name not in {target, weights, *drop}]
    if not taken:
        raise CommandError("No column is left to predict from: each is the target, the weights, or in --drop.")
    rows = np.flatnonzero(counted)
    return Task(target, frame[taken].iloc[rows], y[rows], None if w is None else w[rows], tuple(remarks))


def split_rows(task: Task, test_size: float, seed: int) -> Split:
    """Hold out a share of the rows, at random."""
    n = len(task.y)
    held = min(max(round(test_size * n), 1), n - 2)
    order = np.random.default_rng(seed).permutation(n)
    split = Split(task.rows(np.sort(order[held:])), task.rows(np.sort(order[:held])))
    if (split.fitted.y == split.fitted.y[0]).all():
        raise CommandError(
            f"--target {task.target!r}: is {split.fitted.y[0]:g} in each of the rows to fit; take another --seed or a "
            "smaller --test-size."
        )
    return split


def _target_values(frame: pd.DataFrame, target: str) -> Array:
    """Return the target as numbers, NaN where it is missing, infinite or no number."""
    column = frame[target]
    present = column.dropna()
    if present.empty:
        raise CommandError(f"--target {target!r}: has no values.")
    y = np.full(len(column), np.nan) if _is_date(column) else as_finite(column)
    words = present[~np.isfinite(y[column.notna().to_numpy()])]
    if np.isfinite(y).sum() < MOSTLY * len(present) and not pd.api.types.is_float_dtype(column.dtype):
        shown = ", ".join(repr(str(value)) for value in words.unique()[:2])
        raise CommandError(
            f"--target {target!r}: holds {'dates' if _is_date(column) else 'text'} ({shown}), and a "
            f"regression predicts numbers; {_columns_of_numbers(frame, target)}."
        )
    return y


def _is_date(column: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(column.dtype))


def _columns_of_numbers(frame: pd.DataFrame, target: str) -> str:
    names = [str(name) for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name].dtype) and name != target]
    if not names:
        return "no other column of the file holds numbers either"
    return "columns of numbers are " + ", ".join(map(repr, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")


def _check_target(y: Array, target: str, n_given: int) -> None:
    if len(y) < LEAST_ROWS:
        rows = "one row" if n_given == 1 else f"{n_given} rows"
        have = "" if len(y) == n_given else f", {len(y)} of them with a target and a weight"
        raise CommandError(
            f"The file has {rows}{have}; at least {LEAST_ROWS} are needed, to fit on some and judge on others."
        )
    if (y == y[0]).all():
        raise CommandError(f"--target {target!r}: is {y[0]:g} in every row; there is nothing to predict.")


def _weight_values(column: pd.Series, name: str) -> Array:
    values = as_finite(column)
    if np.isfinite(values).sum() < MOSTLY * column.notna().sum() or not np.isfinite(values).any():
        raise CommandError(f"--weights {name!r}: holds no numbers.")
    if np.nanmin(values) < 0:
        raise CommandError(
            f"--weights {name!r}: is negative in row {int(np.nanargmin(values)) + 1}; weights are 0 or more."
        )
    if not np.nanmax(values) > 0:
        raise CommandError(f"--weights {name!r}: is 0 in every row.")
    return values


def _remark_on_rows(remarks: list[str], y: Array, w: Array | None, target: str, weights: str | None) -> None:
    """Say how many rows are left out."""
    unknown = int((~np.isfinite(y)).sum())
    if unknown:
        remarks.append(f"Left out: {_rows(unknown)} in which {target!r} is missing or no finite number.")
    if w is not None:
        without = int((np.isfinite(y) & ~(w > 0)).sum())
        if without:
            remarks.append(f"Left out: {_rows(without)} in which {weights!r} is missing or 0.")


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
