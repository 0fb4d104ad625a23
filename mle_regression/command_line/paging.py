"""The page of the model that the command keeps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from mle_regression.command_line.comparison import LINEAR, Judged, Rows
from mle_regression.command_line.problems import CommandError
from mle_regression.page import report
from mle_regression.page.report import template

# Numbers in X that a page looks at, at most, and rows of a network: its tests and pictures say no more of more.
_MOST_NUMBERS, _MOST_ROWS_OF_NETWORK = 2_000_000, 10_000


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
    most = max(_MOST_NUMBERS // train.x.shape[1], 1) if kept.name == LINEAR else _MOST_ROWS_OF_NETWORK
    remarks = list(remarks)
    if len(train.y) > most:
        remarks.append(f"The page looks at {most:,} of {len(train.y):,} rows fitted, chosen at random, to save time.")
    remarks.append("Rows are called by their number in the file, that after the names being 1.")
    train, test = _some(train, most), _some(test, most)
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


def _some(rows: Rows, most: int) -> Rows:
    """Return rows, at most so many, chosen at random, and called by their numbers from 1 on."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows.y))[:most])
    x = rows.x.iloc[chosen]
    return Rows(x.set_axis(x.index + 1), rows.y[chosen], None if rows.weights is None else rows.weights[chosen])
