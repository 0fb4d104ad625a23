"""Real data for the benchmarks: diabetes, which ships with scikit-learn, and CSV files in a folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from sklearn.datasets import load_diabetes

TARGETS = {"ames_housing.csv": "SalePrice", "bike_hour.csv": "cnt", "california_housing.csv": "median_house_value"}
LEFT_OUT = ["casual", "registered", "instant", "Id"]
# Columns with more gaps than this are left out; of the others, rows with gaps.
_GAPS = 0.02


def sets(folder=None, rows=None):
    """Yield name, X and y of each set: numeric columns, and rows without gaps; some of them if ``rows`` are fewer."""
    yield "diabetes", *load_diabetes(return_X_y=True, scaled=False)
    for path in sorted(Path(folder).glob("*.csv")) if folder else []:
        if path.name not in TARGETS:
            continue
        frame = pd.read_csv(path)
        frame = frame.drop(columns=LEFT_OUT, errors="ignore").select_dtypes("number")
        frame = frame.loc[:, frame.isna().mean() < _GAPS].dropna()
        if rows is not None and rows < len(frame):
            frame = frame.sample(rows, random_state=0)
        y = frame.pop(TARGETS[path.name])
        yield path.stem, frame.to_numpy(float), y.to_numpy(float)
