"""How well networks with the options that nobody set predict rows that they have not seen, beside their peers.

python benchmarks/held_out.py --data DIR --splits 3

Each row of the table is a set; each peer has the same splits, in one run: root mean square error in units of the spread
of y, mean log density of a row (of y measured in its spread), share of new rows in the 90 % interval, processor seconds
of a fit. Peers without a noise of their own are given the mean square of their residuals in three folds of the training
rows; the time for that does not count. Set OPENBLAS_NUM_THREADS=1 for one core.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from real import sets
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_friedman1, make_friedman2, make_friedman3
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.model_selection import ShuffleSplit, cross_val_predict
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLPGradientRegressor

NORMAL_90 = 1.6448536269514722
# A Gaussian process takes n³ operations, and n² numbers.
_LARGEST_PROCESS = 1000


def scaled(regressor):
    """Return a regressor of standardised X and y."""
    return TransformedTargetRegressor(make_pipeline(StandardScaler(), regressor), transformer=StandardScaler())


def process(columns):
    """Return a Gaussian process with a length scale for each column."""
    kernel = ConstantKernel() * RBF(np.ones(columns)) + WhiteKernel()
    return scaled(GaussianProcessRegressor(kernel, random_state=0))


def real_mlp():
    """Return RealMLP with its tuned defaults, of the extra ``bench``."""
    from pytabkit import RealMLP_TD_S_Regressor

    return RealMLP_TD_S_Regressor(random_state=0, device="cpu", verbosity=0)


OURS = {
    "default": lambda columns: MLPGradientRegressor(random_state=0),
    "loo": lambda columns: MLPGradientRegressor(alpha="loo", random_state=0),
    "evidence": lambda columns: MLPGradientRegressor((10,), alpha="evidence", random_state=0),
}
PEERS = {
    "MLPRegressor": lambda columns: scaled(MLPRegressor(random_state=0)),
    "HistGB": lambda columns: HistGradientBoostingRegressor(random_state=0),
    "GP": process,
    "RealMLP": lambda columns: real_mlp(),
}


def generated(seed=0):
    """Yield name, X and y of sets that are drawn: smooth, piecewise, few of many columns, heavy tails, rows repeated."""
    rng = np.random.default_rng(seed)
    for name, make, n, noise in (
        ("Friedman 1", make_friedman1, 300, 0.3),
        ("Friedman 2", make_friedman2, 1200, 0.2),
        ("Friedman 3", make_friedman3, 200, 0.2),
    ):
        X, y = make(n_samples=n, random_state=seed)
        yield name, X, y + noise * y.std() * rng.normal(size=n)
    X = rng.uniform(-1, 1, (600, 6))
    y = np.where(X[:, 0] > 0, 2 * X[:, 1], -X[:, 2]) + np.abs(X[:, 3])
    yield "piecewise", X, y + 0.3 * rng.normal(size=600)
    X = rng.normal(size=(400, 60))
    yield "4 of 60", X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + X[:, 3] + 0.5 * rng.normal(size=400)
    X = np.exp(rng.normal(size=(800, 8)))
    yield "heavy tails", X, np.log(X[:, 0]) * np.sqrt(X[:, 1]) + X[:, 2] / (1 + X[:, 3]) + 0.3 * rng.standard_t(3, 800)
    X = np.round(rng.normal(size=(500, 11)), 1)
    y = np.round(X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + rng.normal(size=500))
    yield "rows repeated", np.r_[X, X[:200]], np.r_[y, y[:200]]
    X = rng.uniform(-1, 1, (300, 5))
    yield "a formula", X, np.exp(2 * X[:, 4]) * (1 + 0.3 * X[:, 0] * X[:, 1]) + 0.02 * rng.normal(size=300)


def judged(model, X, y, new_X, new_y):
    """Return RMSE, log density, coverage and seconds of a fit."""
    spread = y.std()
    start = time.process_time()
    fitted = clone(model).fit(X, y)
    seconds = time.process_time() - start
    if isinstance(fitted, MLPGradientRegressor):
        mean, density = fitted.predict(new_X), fitted.log_predictive_density(new_X, new_y, pointwise=True).mean()
        lower, upper = fitted.predict_interval(new_X, 0.9)
    else:
        mean = fitted.predict(new_X)
        deviation = np.sqrt(np.mean((cross_val_predict(model, X, y, cv=3) - y) ** 2))
        density = np.mean(-0.5 * np.log(2 * np.pi * deviation**2) - 0.5 * ((new_y - mean) / deviation) ** 2)
        lower, upper = mean - NORMAL_90 * deviation, mean + NORMAL_90 * deviation
    covered = np.mean((lower <= new_y) & (new_y <= upper))
    return np.sqrt(np.mean((mean - new_y) ** 2)) / spread, density + np.log(spread), covered, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of CSV files")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2000, help="of a set, at most")
    parser.add_argument("--models", default="default,MLPRegressor,HistGB", help=", ".join({**OURS, **PEERS}))
    parser.add_argument("--sets", help="names, where not all are wanted")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    names, found = options.models.split(","), []
    for name, X, y in [*generated(), *sets(options.data, options.rows)]:
        if options.sets and name not in options.sets.split(","):
            continue
        for split, (train, test) in enumerate(ShuffleSplit(options.splits, test_size=0.2, random_state=0).split(X)):
            for model in names:
                if model == "GP" and len(train) > _LARGEST_PROCESS:
                    continue
                made = {**OURS, **PEERS}[model](X.shape[1])
                numbers = judged(made, X[train], y[train], X[test], y[test])
                found.append((f"{name} {X.shape[0]} x {X.shape[1]}", split, model, *numbers))
    table = pd.DataFrame(found, columns=["set", "split", "model", "RMSE", "log density", "covered", "seconds"])
    means = table.groupby(["set", "model"], sort=False)[["RMSE", "log density", "covered", "seconds"]].mean()
    with pd.option_context("display.width", 200, "display.max_columns", 40):
        print(means.unstack("model").round(3).to_string())
        print("\nmean rank by RMSE, geometric mean of RMSE over that of the first")
        rmse = means["RMSE"].unstack("model")[names]
        ranks, ratio = rmse.rank(axis=1).mean(), np.exp(np.log(rmse.div(rmse[names[0]], axis=0)).mean())
        print(pd.DataFrame({"rank": ranks, "ratio": ratio}).round(3).to_string())


if __name__ == "__main__":
    main()
