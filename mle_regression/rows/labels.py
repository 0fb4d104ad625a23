"""What columns are called: as the user called them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def labels_of(frame: Any) -> tuple[Any, ...] | None:
    """Return the labels of a frame's columns as plain strings, numbers and tuples of these; None where nobody gave any.

    Examples
    --------
    >>> import pandas as pd
    >>> labels_of(pd.DataFrame({10: [1.0], ("a", 1): [2.0]})), labels_of(pd.DataFrame([[1.0, 2.0]]))
    ((10, ('a', 1)), None)
    """
    columns: Any = getattr(frame, "columns", None)
    if isinstance(columns, list):
        columns = getattr(frame, "column_names", columns)  # Arrow's
    if columns is None or callable(columns):
        return None
    if type(columns).__name__ == "RangeIndex" and (columns.start, columns.step) == (0, 1):
        return None
    return tuple(label if type(label) is str else _plain(label) for label in columns)


def _plain(label: Any) -> Any:
    if isinstance(label, tuple):
        return tuple(_plain(part) for part in label)
    if hasattr(label, "item") and getattr(label, "shape", None) == ():
        label = label.item()
    return label if isinstance(label, (str, int, float)) else str(label)


def shown(labels: tuple[Any, ...] | None, n: int, unnamed: str) -> list[str]:
    """Return n names for tables: the labels, or numbers after ``unnamed`` where there are none.

    Examples
    --------
    >>> shown((10, ("a", 1)), 2, "x"), shown(None, 2, "x")
    (['10', "('a', 1)"], ['x0', 'x1'])
    """
    return [f"{unnamed}{j}" for j in range(n)] if labels is None else [str(label) for label in labels]


def unlike(name: str, others: Iterable[str]) -> str:
    """Return a name that is none of the others: itself, or with underscores behind it.

    Examples
    --------
    >>> unlike("intercept", ["age"]), unlike("intercept", ["intercept", "age"])
    ('intercept', 'intercept_')
    """
    taken = set(others)
    while name in taken:
        name += "_"
    return name
