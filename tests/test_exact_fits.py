"""Fits that leave nothing: too few rows, a y that does not vary, a y made from X; each is told for what it is."""

import warnings

import numpy as np
import pandas as pd
import pytest

from mle_regression import MLELinearRegressor, MLPGradientRegressor, NoiseFreeWarning
from mle_regression.reports.linear.exact_fits import describe_exact_network


def messages(call):
    with pytest.warns() as caught:
        call()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("n_columns", [20, 300])
@pytest.mark.parametrize("solver", ["auto", "qr", "svd", "gd"])
def test_fewer_rows_than_parameters(solver, n_columns, rng):
    X, y = rng.standard_normal((12, n_columns)), rng.standard_normal(12)
    model = MLELinearRegressor(solver=solver)
    told = messages(lambda: model.fit(X, y))
    assert f"There are fewer rows than parameters: 12 rows determine only 12 of {n_columns + 1} parameters" in told[0]
    assert "take fewer columns, give more rows, set a penalty alpha > 0" in told[0]
    assert all(len(text) < 500 and "x0" not in text for text in told)
    assert not any("computed from X" in text for text in told)
    assert "fewer rows than parameters" in str(model.summary())
    assert len(model.diagnose(X, y).collinearity().dependencies) == 1
    with pytest.raises(np.linalg.LinAlgError, match="fewer rows than parameters"):
        MLELinearRegressor(solver=solver, on_rank_deficiency="raise").fit(X, y)
    # Any of the ways out leads out.
    MLELinearRegressor(solver="svd", alpha=1.0).fit(X, y)
    MLELinearRegressor(solver="svd").fit(X[:, :5], y)
    with pytest.warns(NoiseFreeWarning):
        MLELinearRegressor(solver=solver, on_rank_deficiency="min_norm").fit(X, y)


def test_weights_of_zero_are_no_rows(rng):
    X, y = rng.standard_normal((30, 9)), rng.standard_normal(30)
    told = messages(lambda: MLELinearRegressor().fit(X, y, np.r_[np.ones(6), np.zeros(24)]))
    assert "fewer rows than parameters: 6 rows determine only 6 of 10" in told[0]


def test_as_many_parameters_as_rows(rng):
    X, y = rng.standard_normal((6, 5)), rng.standard_normal(6)
    with pytest.warns(NoiseFreeWarning, match=r"passes through every row: it has as many parameters \(6\)") as caught:
        model = MLELinearRegressor().fit(X, y)
    assert "computed from X" not in str(caught[0].message)
    assert "computed from X" not in str(model.summary())
    assert "fewer columns, give more rows, or set a penalty" in str(model.summary()).replace("\n  ", " ")


@pytest.mark.parametrize("value", [0.1, 0.0, 1e9, -3.0])
def test_constant_y(value, solver, rng):
    X = rng.standard_normal((30, 3))
    with pytest.warns(NoiseFreeWarning, match=r"^y does not vary: there is nothing to explain\.") as caught:
        MLELinearRegressor(solver=solver).fit(X, np.full(30, value))
    assert "computed from X" not in str(caught[0].message)


def test_y_made_from_x(rng):
    X = rng.standard_normal((30, 3))
    with pytest.warns(NoiseFreeWarning, match=r"Check whether y was computed from X"):
        MLELinearRegressor().fit(X, X @ np.ones(3) + 2)
    Y = pd.DataFrame({"still": np.ones(30), "noisy": rng.standard_normal(30), "made": X @ np.ones(3)})
    with pytest.warns(NoiseFreeWarning, match=r"still does not vary.*residuals of made are.*whether made was computed"):
        MLELinearRegressor().fit(X, Y)


def test_networks_that_are_exact(rng):
    X = rng.standard_normal((40, 2))
    with pytest.warns(NoiseFreeWarning, match="Check whether y was computed from X") as caught:
        MLPGradientRegressor((), alpha=0.0, random_state=0).fit(X, X[:, 0])
    assert "hidden units" not in str(caught[0].message)
    for hidden, holds_out in ((True, True), (True, False), (False, False)):
        said = describe_exact_network(50, 20, [False], hidden, holds_out, ["y"])
        assert ("take fewer hidden units" in said) == hidden
        assert ("early_stopping" in said) == (not holds_out)
        assert "50 parameters for 20 rows" in said
    assert describe_exact_network(5, 20, [True], True, True, ["y"]).startswith("y does not vary")


@pytest.mark.parametrize("solver", ["auto", "normal", "qr", "svd", "lsmr", "lbfgs"])
@pytest.mark.parametrize("shape", [(10, 9), (20, 19), (60, 59), (20, 20), (20, 60)])
def test_rows_that_a_fit_passes_through_are_certain_to_it(solver, shape):
    # Large coefficients cancel where there are as many as rows: rounding is relative to them, and not to y.
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, y = rng.random(shape), rng.random(shape[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MLELinearRegressor(solver=solver, refine=False, max_iter=5000).fit(X, y)
            if model.converged_:
                assert model.log_likelihood(X, y) == model.log_likelihood_ == np.inf
                assert model.log_likelihood(X, y + 1e-3) == -np.inf
