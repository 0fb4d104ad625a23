"""Columns that do not vary or follow from others: a network's flat directions are theirs, and not blamed on its units."""

import numpy as np
import pandas as pd
import pytest

from mle_regression import MLPGradientRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def report_of(X, y, hidden=(2,), weights=None, **options):
    options = {"alpha": 0.0, "solver": "lm", "early_stopping": False, "random_state": 1, "tol": 1e-10} | options
    model = MLPGradientRegressor(hidden, **options).fit(X, y, weights)
    return model.diagnose(X, y, weights).curvature()


@pytest.fixture
def frame(rng):
    X = pd.DataFrame(rng.standard_normal((80, 2)), columns=["a", "b"])
    y = np.tanh(X["a"] - 0.5 * X["b"]) + 0.5 * np.tanh(X["b"] + 0.3) + 0.1 * rng.standard_normal(80)
    return X, y.to_numpy()


CASES = {
    "constant": (lambda X: X.assign(c=5.0), ["c does not vary"]),
    "zeros": (lambda X: X.assign(c=0.0), ["c does not vary"]),
    "copy": (lambda X: X.assign(c=X["a"]), ["c = a"]),
    "combination": (lambda X: X.assign(c=2 * X["a"] - X["b"] + 7), ["c = 2*a - b + 7"]),
    "dummies": (lambda X: X.assign(c=(X["a"] > 0) * 1.0, d=(X["a"] <= 0) * 1.0), ["d = -c + 1"]),
    "both": (lambda X: X.assign(c=1e6, d=1e-3 * X["b"]), ["c does not vary", "d = 0.001*b"]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("hidden", [(2,), (2, 2), ()])
def test_the_column_is_named_and_no_unit(case, hidden, frame):
    X, y = frame
    made, said = CASES[case]
    if case == "dummies" and hidden:
        return  # a step fits better the steeper it is: there is no minimum
    report = report_of(made(X), y, hidden)
    plain = report_of(X, y, hidden)
    if plain.verdict != "minimum" or report.verdict == "not stationary":
        return  # of another place
    assert report.verdict == "flat minimum"
    assert list(report.flat_columns) == said
    assert report.flat_units == []
    units = hidden[0] if hidden else 1
    assert f"{units * len(said)} of them are weights of columns of X" in report.reason
    assert said[0] in str(report)


def test_most_cases_are_looked_at(frame):
    X, y = frame
    assert report_of(X, y, (2,)).verdict == report_of(X, y, ()).verdict == "minimum"
    assert report_of(X, y, (2,)).flat_columns == ()


def test_weights_and_rows_of_weight_zero(frame):
    X, y = frame
    weights = np.r_[np.zeros(5), np.ones(75)]
    X = X.assign(c=np.r_[np.arange(5.0), np.full(75, 2.0)])
    report = report_of(X, y, (), weights)
    assert report.flat_columns == ("c does not vary",)


def test_units_are_still_told_beside_columns(rng):
    X = rng.uniform(0, 1, (200, 2))
    y = np.maximum(X @ [1.0, 2.0] - 0.7, 0) + 0.05 * rng.standard_normal(200)
    frame = pd.DataFrame(np.c_[X, np.full(200, 3.0)], columns=["a", "b", "still"])
    for seed in range(20):
        report = report_of(frame, y, (2,), activation="relu", random_state=seed, tol=1e-8)
        if report.verdict == "flat minimum":
            assert report.flat_columns == ("still does not vary",)
            assert report.flat_units
            assert {unit.kind for unit in report.flat_units} & {"rescaling", "dead", "idle"}
            return
    pytest.fail("no flat minimum among the seeds")
