"""Predictions of new rows by a saved pipeline, as CSV."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from mle_regression.command_line.applied_rules import apply_rules
from mle_regression.command_line.problems import CommandError, unknown_column
from mle_regression.command_line.reading import read_table
from mle_regression.command_line.saved import load_pipeline
from mle_regression.command_line.values import as_text

_SHOWN = 3


def predict_file(model: Path, data: Path, coverage: float | None) -> tuple[pd.DataFrame, list[str]]:
    """Predict the rows of a file; return predictions, with intervals if a coverage is given, and what to be wary of."""
    pipeline = load_pipeline(model)
    plan = pipeline["rules"].kw_args["plan"]
    needed = [str(rule["name"]) for rule in plan]
    frame = read_table(data, needed, [rule["name"] for rule in plan if rule["kind"] in ("category", "yes or no")]).frame
    names = [str(name) for name in frame.columns]
    for name in needed:
        if name not in names:
            raise unknown_column(name, names, f"{data}: the model needs the column")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        rows = pipeline[:-1].transform(frame)
    estimator = pipeline[-1]
    found = {"prediction": estimator.predict(rows)}
    if coverage is not None:
        found["lower"], found["upper"] = estimator.predict_interval(rows, coverage)
    remarks = remarks_on(frame, pipeline)
    unknown = 0 if coverage is None else int(np.isnan(found["lower"]).sum())
    if unknown:
        remarks.append(f"{unknown:,} rows have no interval: the rows that the model was fitted on do not determine it.")
    return pd.DataFrame(found), remarks


def remarks_on(frame: pd.DataFrame, pipeline: Pipeline) -> list[str]:
    """Say which values of new rows the model has not seen, and which are filled in."""
    plan = pipeline["rules"].kw_args["plan"]
    typed = apply_rules(frame, plan)
    remarks = []
    for name, known in _known_categories(pipeline).items():
        values = as_text(typed[name])
        strange = values[values.notna() & ~values.isin(known)]
        if len(strange):
            shown = ", ".join(map(repr, strange.unique()[:_SHOWN]))
            remarks.append(
                f"{name!r}: {len(strange):,} values that the model was not fitted on ({shown}), taken as rare or usual ones."
            )
    for rule in plan:
        if rule["kind"] != "number":
            continue
        missing = int(np.isnan(typed[rule["name"]].to_numpy(dtype=np.float64)).sum())
        if missing:
            remarks.append(f"{rule['name']!r}: {missing:,} values missing or no numbers, filled with the median.")
    return remarks


def _known_categories(pipeline: Pipeline) -> dict[str, set[Any]]:
    columns: Any = pipeline["columns"]
    if "categories" not in columns.named_transformers_:
        return {}
    (names,) = (names for name, _, names in columns.transformers_ if name == "categories")
    encoder = columns.named_transformers_["categories"][-1]
    return {name: set(values) for name, values in zip(names, encoder.categories_, strict=True)}


def check_coverage(coverage: float) -> float:
    """Return a coverage between 0 and 1."""
    if not 0 < coverage < 1:
        raise CommandError(f"--coverage {coverage:g}: is not between 0 and 1.")
    return coverage
