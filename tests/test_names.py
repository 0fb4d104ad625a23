"""Columns are called what the user calls them, in tables, reports and messages."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mle_regression import MLELinearRegressor, MLPGradientRegressor, NoiseFreeWarning, RankDeficiencyWarning
from mle_regression.fit.penalty.evidence import parameter_groups
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.reports.network.curvature import parameter_names


@pytest.fixture
def rows(rng):
    X = rng.standard_normal((40, 2))
    return X, X @ [1.0, 2.0] + rng.standard_normal(40)


CALLED = {
    "integers": ([1999, 2000], ["1999", "2000"]),
    "two levels": (pd.MultiIndex.from_tuples([("age", 1), ("age", 2)]), ["('age', 1)", "('age', 2)"]),
    "floats": ([0.5, 1.5], ["0.5", "1.5"]),
    "dates": (pd.DatetimeIndex(["2020-01-01", "2020-02-01"]), ["2020-01-01 00:00:00", "2020-02-01 00:00:00"]),
    "periods": (pd.period_range("2020", periods=2, freq="Y"), ["2020", "2021"]),
    "text": (["age", "bmi"], ["age", "bmi"]),
    "spaces": (["age in years", "bmi in kg/m²"], ["age in years", "bmi in kg/m²"]),
    "ranges that count something": (pd.RangeIndex(5, 7), ["5", "6"]),
    "nothing": (pd.RangeIndex(2), ["x0", "x1"]),
}


@pytest.mark.parametrize("called", CALLED)
def test_columns_of_x(called, rows):
    X, y = rows
    labels, names = CALLED[called]
    frame = pd.DataFrame(X, columns=labels)
    for model in (MLELinearRegressor().fit(frame, y), MLELinearRegressor().partial_fit(frame, y)):
        model = pickle.loads(pickle.dumps(model))
        assert hasattr(model, "feature_names_in_") == all(isinstance(label, str) for label in labels)
        assert model.coefficients().index.tolist() == ["intercept", *names]
        assert model.coefficient_covariance().columns.tolist() == ["intercept", *names]
        assert model.fisher_information().columns.tolist() == ["intercept", *names, "noise_variance"]
        assert model.diagnose(frame, y).collinearity().vif.index.tolist() == names
        assert model.diagnose(frame, y).dfbetas().columns.tolist() == ["intercept", *names]
        quoted = f"`{names[1]}` = 0"
        assert model.test_linear(quoted).p_value == pytest.approx(model.coefficients()["p_value"].iloc[2], rel=1e-9)
        for name in names:
            assert name in str(model.summary())
    bad = frame.copy()
    bad.iloc[3, 1] = np.nan
    where = "column 1 of X" if called == "nothing" else f"column .*{re.escape(names[1].strip('()'))}"
    for call in (lambda: MLELinearRegressor().fit(bad, y), lambda: model.predict(bad)):
        with pytest.raises(ValueError, match=where):
            call()


def test_dependent_columns_are_called_what_they_are(rows):
    X, y = rows
    for labels, said in (
        ([7, 8, 9], "9 = 2*7"),
        (pd.MultiIndex.from_product([["a"], [1, 2, 3]]), "('a', 3) = 2*('a', 1)"),
    ):
        frame = pd.DataFrame(np.c_[X, 2 * X[:, 0]], columns=labels)
        with pytest.warns(RankDeficiencyWarning) as caught:
            MLELinearRegressor().fit(frame, y)
        assert said in str(caught[0].message)


@pytest.mark.parametrize("made", [pd.DataFrame, pl.DataFrame])
def test_columns_of_y(made, rows):
    X, y = rows
    Y = made({"price": y, "time": y**2 + X[:, 0]})
    for model in (MLELinearRegressor().fit(X, Y), MLELinearRegressor().partial_fit(X, Y)):
        for table in (
            model.coefficients(),
            model.coefficient_covariance(),
            model.fisher_information(),
            model.diagnose(X, Y).coefficients("HC3"),
            model.diagnose(X, Y).covariance(),
            model.diagnose(X, Y).rows(),
            model.diagnose(X, Y).dfbetas(),
            model.diagnose(X, Y).tests(),
        ):
            assert table.index.get_level_values("output").unique().tolist() == ["price", "time"]
        text = str(model.test_linear("x0 = 0"))
        assert "price: F(" in text
        assert "time: F(" in text
        assert "price" in str(model.summary())
        assert "price" in str(model.diagnose(X, Y).report())
    with pytest.warns(NoiseFreeWarning, match=r"twice = 2\*price"):
        MLELinearRegressor().fit(X, made({"price": y, "twice": 2 * y}))
    with pytest.warns(NoiseFreeWarning, match=r"twice = 2\*price"):
        MLPGradientRegressor((2,), alpha=1e-4, random_state=0).fit(X, made({"price": y, "twice": 2 * y}))
    network = MLPGradientRegressor((2,), alpha=1e-4, random_state=0).fit(X, Y)
    parameters = network.diagnose(X, Y).curvature().eigenvectors.index
    assert parameters[-1] == "bias > time"
    unnamed = MLELinearRegressor().fit(X, Y.to_numpy())
    assert unnamed.coefficients().index.get_level_values("output").unique().tolist() == [0, 1]


def test_feature_names_may_be_given(rows):
    X, y = rows
    model, names = MLELinearRegressor().fit(X, y), ["age", "bmi"]
    for table in (
        model.coefficients(feature_names=names),
        model.coefficient_covariance(feature_names=names),
        model.diagnose(X, y, feature_names=names).coefficients(),
    ):
        assert table.index.tolist() == ["intercept", *names]
    assert model.fisher_information(feature_names=names).index.tolist() == ["intercept", *names, "noise_variance"]
    assert model.test_linear("bmi = 2*age", feature_names=names).hypothesis == "-2*age + bmi = 0"
    assert model.diagnose(X, y, feature_names=names).test_linear("bmi = 2*age").hypothesis == "-2*age + bmi = 0"
    assert "age" in str(model.summary(feature_names=names))
    network = MLPGradientRegressor((1,), alpha=1e-4, random_state=0).fit(X, y)
    parameters = network.diagnose(X, y, feature_names=names).curvature().eigenvectors.index
    assert parameters.tolist() == ["age > h1.0", "bmi > h1.0", "bias > h1.0", "h1.0 > y", "bias > y"]
    for call in (
        lambda: model.diagnose(X, y, feature_names=["age"]),
        lambda: model.test_linear("age = 0", feature_names=["age"]),
        lambda: network.diagnose(X, y, feature_names=["age"]),
    ):
        with pytest.raises(ValueError, match="feature_names has 1 names; the fit has 2 columns"):
            call()


@pytest.mark.parametrize("names", [["intercept", "x"], ["intercept", "intercept_"], ["noise_variance", "intercept"]])
def test_no_two_labels_are_equal(names, rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=names)
    model = MLELinearRegressor().fit(frame, y)
    for index in (model.coefficients().index, model.fisher_information().index):
        assert index.is_unique
    constant = model.coefficients().index[0]
    assert constant not in names
    assert model.coefficients().loc[constant, "estimate"] == model.intercept_
    assert model.test_linear("intercept = 0").p_value == pytest.approx(model.coefficients().loc["intercept", "p_value"])
    assert model.test_linear(f"{constant} = 0").p_value == pytest.approx(model.coefficients().loc[constant, "p_value"])
    assert MLELinearRegressor(fit_intercept=False).fit(frame, y).coefficients().index.tolist() == names


def test_no_two_parameters_of_a_network_are_called_alike():
    network = Network((3, 2, 2, 2), find_activation("tanh"))
    for features, outputs in (
        (["bias", "bias_", "x"], ["bias", "y"]),
        (["h1.0", "h1.1", "hh2.0"], ["h1.0", "h2.1"]),
        (["a", "b", "c"], ["a", "b"]),
    ):
        names = parameter_names(network, features, outputs)
        assert len(set(names)) == len(names) == network.n_parameters


def test_penalties_of_inputs_with_one_name():
    network = Network((3, 2, 1), find_activation("tanh"))
    _, names = parameter_groups(network, "input", ["a", "a", "layer 2"])
    assert len(set(names)) == len(names) == 5
