"""The page of the model that the command keeps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from mle_regression.command_line.comparison import Judged, Rows
from mle_regression.command_line.problems import CommandError
from mle_regression.page import report
from mle_regression.page.report import template

# Rows that the page looks at, at most: its tests and pictures say no more of more.
_MOST_ROWS = 100_000


def page_template() -> None:
    """Raise where a page cannot be made, before any work is done for it."""
    try:
        template()
    except ImportError as error:
        raise CommandError(f"--report: {error}") from None


def write_page(
    path: str, kept: Judged, train: Rows, test: Rows, remarks: Sequence[str], said: str, command: str, target: str
) -> str:
    """Write the page, and return what to say of it; ``remarks`` tell how the data were prepared, ``said`` how it compares."""
    existed, steps = Path(path).exists(), list(kept.steps)
    model = steps[-1][1] if len(steps) == 1 else Pipeline(steps)
    remarks = list(remarks)
    if len(train.y) > _MOST_ROWS:
        remarks.append(f"The page is of the first {_MOST_ROWS:,} of {len(train.y):,} rows fitted.")
    train, test = _first(train), _first(test)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*has been replaced", UserWarning)
        try:
            report(
                model,
                train.x,
                pd.Series(train.y, index=train.x.index, name=target),
                path,
                X_test=test.x,
                y_test=pd.Series(test.y, index=test.x.index, name=target),
                sample_weight=train.weights,
                sample_weight_test=test.weights,
                notes=[said],
                preparation=remarks,
                command=command,
            )
        except OSError as error:
            raise CommandError(f"--report {path}: cannot be written ({error.strerror or error}).") from None
    return f"Wrote the page to {path}{', in the place of an older file' if existed else ''}."


def _first(rows: Rows) -> Rows:
    weights = None if rows.weights is None else np.asarray(rows.weights)[:_MOST_ROWS]
    return Rows(rows.x.iloc[:_MOST_ROWS], rows.y[:_MOST_ROWS], weights)
