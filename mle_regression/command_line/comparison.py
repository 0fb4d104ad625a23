"""Models side by side on rows held out: the mean of the target, the linear model, the network."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression.linalg.arrays import Array
from mle_regression.linear import MLELinearRegressor
from mle_regression.mlp import MLPGradientRegressor
from mle_regression.page.judgement import COVERAGE, judge

MEAN, LINEAR, NETWORK = "mean", "linear", "network"
# Numbers in X beyond which the network is trained on a random part of the rows, and rows that it has at least.
_MOST_NUMBERS, _LEAST_ROWS = 2_000_000, 5_000
# Rows a column below which the linear model is given a penalty.
_FEW_ROWS = 2
# Differences of squared errors, in their standard errors, that are more than chance.
_BEYOND_CHANCE = 2.0
# R² beyond which a column is likely to hold the target.
_GIVEN_AWAY = 0.99999


@dataclass(frozen=True, slots=True)
class Rows:
    """Prepared rows: ``x`` (n, p), ``y`` (n,), ``weights`` (n,) or None."""

    x: pd.DataFrame
    y: Array
    weights: Array | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A fitted model and how it does on rows held out.

    ``steps`` are those after the preparation, the model last; ``squares`` (n,) squared errors, in units of the largest target
    squared; ``rmse``, ``mae`` in units of the target; ``r2`` the share of the mean's squared error that is gone;
    ``covered`` the share of rows inside of their interval of `COVERAGE`, and ``log_density`` of a row, both of rows that
    have an interval; ``remarks`` what fitting had to say; ``n_fitted`` rows to which it was fitted.
    """

    name: str
    steps: tuple[tuple[str, Any], ...]
    seconds: float
    remarks: tuple[str, ...]
    squares: Array
    rmse: float
    mae: float
    r2: float
    covered: float
    log_density: float
    n_fitted: int = 0

    @property
    def model(self) -> Any:
        """The estimator itself."""
        return self.steps[-1][1]


def fit_mean(train: Rows, test: Rows) -> Judged:
    """Fit the mean of the target alone: a regression on a column of ones."""
    ones, new = _constant_column(len(train.y)), _constant_column(len(test.y))
    model = MLELinearRegressor(fit_intercept=False)
    return _judged(MEAN, [("model", model)], Rows(ones, train.y, train.weights), Rows(new, test.y, test.weights))


def fit_linear(train: Rows, test: Rows, mean: Judged) -> Judged:
    """Fit the linear model; of columns that are many beside the rows, with a penalty that rows left out choose."""
    if train.x.shape[1] * _FEW_ROWS <= len(train.y):
        return _judged(LINEAR, [("model", MLELinearRegressor(on_rank_deficiency="drop"))], train, test, mean)
    scaler = StandardScaler().set_output(transform="pandas")
    steps = [("scale", scaler), ("model", MLELinearRegressor(alpha="loo", on_rank_deficiency="min_norm"))]
    remark = (
        f"{train.x.shape[1]:,} columns for {len(train.y):,} rows: the linear model has a penalty, in columns of "
        "unit spread, that rows left out chose."
    )
    return _judged(LINEAR, steps, train, test, mean, (remark,))


def fit_network(train: Rows, test: Rows, mean: Judged, seed: int) -> Judged:
    """Train the network; on a random part of the rows where there are very many."""
    most = max(_LEAST_ROWS, _MOST_NUMBERS // train.x.shape[1])
    remarks: tuple[str, ...] = ()
    if len(train.y) > most:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(train.y))[:most])
        remarks = (
            f"The network was trained on {most:,} of the {len(train.y):,} rows, chosen at random, to save time.",
        )
        weights = None if train.weights is None else train.weights[chosen]
        train = Rows(train.x.iloc[chosen], train.y[chosen], weights)
    return _judged(NETWORK, [("model", MLPGradientRegressor(random_state=seed))], train, test, mean, remarks)


def comparison_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """Table the models, a row each."""
    return pd.DataFrame(
        {
            "rms error": [one.rmse for one in judged],
            "mean error": [one.mae for one in judged],
            "R²": [one.r2 for one in judged],
            f"in {100 * COVERAGE:g} % interval": [one.covered for one in judged],
            "log density": [one.log_density for one in judged],
            "seconds": [one.seconds for one in judged],
        },
        index=pd.Index([one.name for one in judged]),
    )


def better(one: Judged, other: Judged) -> float:
    """By how many standard errors the mean squared error of one is below that of another, row by row.

    Examples
    --------
    >>> errors = np.array([1.0, 2.0, 3.0])
    >>> one, other = (Judged("", (), 0, (), squares, 0, 0, 0, 0, 0) for squares in (errors, 2 * errors))
    >>> round(float(better(one, other)), 3)
    3.464
    """
    gain = other.squares - one.squares
    if len(gain) < 2:
        return 0.0
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain))
    return float(gain.mean()) / error if error > 0 else float(np.sign(gain.mean())) * np.inf if gain.mean() else 0.0


def choose(judged: Sequence[Judged]) -> Judged:
    """Choose the model to keep: the linear one, unless the network is better by more than chance."""
    by_name = {one.name: one for one in judged}
    if LINEAR not in by_name:
        return by_name[NETWORK]
    if NETWORK in by_name and better(by_name[NETWORK], by_name[LINEAR]) > _BEYOND_CHANCE:
        return by_name[NETWORK]
    return by_name[LINEAR]


def sentence(judged: Sequence[Judged], kept: Judged, target: str) -> str:
    """Say what the comparison comes to."""
    mean, others, n = judged[0], judged[1:], len(judged[0].squares)
    errors = " and ".join(f"the {_title(one)} by {amount(one.rmse)}" for one in others)
    told = (
        f"On {'the one row' if n == 1 else f'{n:,} rows'} held out the mean of {target!r} is off by {amount(mean.rmse)} "
        f"(root mean square), {errors}:"
    )
    if better(kept, mean) <= _BEYOND_CHANCE:
        return f"{told} beyond chance, these columns do not foretell it better than its mean does."
    if kept.r2 > _GIVEN_AWAY:
        return f"{told} that is all there is. Does a column hold the target itself? --drop leaves it out."
    gone = f"{told} the {_title(kept)} takes {kept.r2:.0%} of the squared error away"
    if len(others) == 1:
        return f"{gone}."
    distance = better(kept, next(one for one in others if one is not kept))
    if abs(distance) <= _BEYOND_CHANCE:
        return f"{gone}, the network does no better beyond chance, and the linear model, which can be read, is kept."
    return f"{gone}, is better by {distance:.1f} standard errors of the difference, and is kept."


def amount(value: float) -> str:
    """Write an error with four digits, large ones with their thousands.

    Examples
    --------
    >>> amount(79393.2), amount(0.0123456), amount(1.5e-9)
    ('79,393', '0.01235', '1.5e-09')
    """
    if not 1e-4 <= abs(value) < 1e9:
        return f"{value:.4g}"
    return f"{value:,.{max(0, 3 - int(np.floor(np.log10(abs(value)))))}f}"


def _title(one: Judged) -> str:
    return "linear model" if one.name == LINEAR else one.name


def _constant_column(n: int) -> pd.DataFrame:
    return pd.DataFrame({"mean": np.ones(n)})


def _judged(
    name: str,
    steps: list[tuple[str, Any]],
    train: Rows,
    test: Rows,
    mean: Judged | None = None,
    remarks: tuple[str, ...] = (),
) -> Judged:
    """Fit the steps, and judge the last on rows held out."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipeline = Pipeline(steps)
        given = {} if train.weights is None else {"model__sample_weight": train.weights}
        pipeline.fit(train.x, train.y, **given)
        seconds = time.perf_counter() - start
        model = pipeline[-1]
        inner = test.x if len(steps) == 1 else pipeline[:-1].transform(test.x)
        judged = judge(model, inner, test.y, test.weights)
    said = list(dict.fromkeys(str(warning.message) for warning in caught))
    if judged.unknown[0]:
        said.append(
            f"Of {judged.unknown[0]:,.0f} rows held out the {name} has no interval: the rows to fit do not determine it."
        )
    error = float(judged.rmse[0])
    at_mean = error if mean is None else mean.rmse
    return Judged(
        name,
        tuple(pipeline.steps),
        seconds,
        (*remarks, *said),
        judged.residual[:, 0] ** 2,
        error,
        float(judged.mean_error[0]),
        1.0 - (error / at_mean) ** 2 if at_mean > 0 else np.nan,
        float(judged.covered[0]),
        float(judged.log_density[0]),
        len(train.y),
    )
