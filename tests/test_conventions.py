"""Conventions that users of scikit-learn and statsmodels take for granted."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from sklearn.utils.estimator_checks import estimator_checks_generator

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.solvers.registry import SOLVERS

QUICK = {"hidden_layer_sizes": (3,), "max_iter": 3, "random_state": 0}


@pytest.fixture
def data(rng):
    X = rng.standard_normal((60, 3))
    return X, X @ [1.0, 2.0, 3.0] + rng.standard_normal(60)


def test_intercepts_are_numpy_numbers(data, solver):
    X, y = data
    model = MLELinearRegressor(solver=solver).fit(X, y)
    assert (model.intercept_.shape, model.intercept_.dtype) == ((), np.float64)
    parts = MLELinearRegressor(solver=solver).partial_fit(X, y)
    assert (parts.intercept_.shape, parts.intercept_.dtype) == ((), np.float64)
    assert MLELinearRegressor(solver=solver, fit_intercept=False).fit(X, y).intercept_ == 0.0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [MLELinearRegressor, lambda: MLPGradientRegressor(**QUICK)])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_predictions_are_as_precise_as_the_rows(data, make, outputs, container):
    X, y = data
    Y = y if outputs == 1 else np.c_[y, -y + X[:, 0] ** 2]
    single = container(X.astype(np.float32))
    for rows in (container(X), single):
        model = make().fit(rows, Y)
        numbers = model.coef_ if isinstance(model, MLELinearRegressor) else model.coefs_[0]
        assert numbers.dtype == np.float64
        mean, std = model.predict(single, return_std=True)
        assert mean.dtype == std.dtype == model.predict(single).dtype == np.float32
        assert model.predict(container(X)).dtype == np.float64
        np.testing.assert_allclose(mean, model.predict(container(X)), rtol=1e-4, atol=1e-5)


def test_predictions_beyond_single_precision_stay_double(data):
    X, y = data
    model = MLELinearRegressor().fit(X, 1e100 * y)
    found = model.predict(X.astype(np.float32))
    assert found.dtype == np.float64
    assert np.isfinite(found).all()


@pytest.mark.parametrize("solver", ["auto", "gd", "lbfgs"])
def test_linear_defaults_by_none(data, solver):
    X, y = data
    one = MLELinearRegressor(solver=solver, max_iter=None).fit(X, y)
    np.testing.assert_array_equal(one.coef_, MLELinearRegressor(solver=solver).fit(X, y).coef_)
    closest = MLELinearRegressor(solver=solver, tol=None, max_iter=3000).fit(X, y)
    np.testing.assert_allclose(closest.coef_, MLELinearRegressor().fit(X, y).coef_, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_network_defaults_by_none(data):
    X, y = data
    options = {"hidden_layer_sizes": (3,), "random_state": 0, "solver": "lbfgs", "early_stopping": False}
    one = MLPGradientRegressor(max_iter=None, **options).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), MLPGradientRegressor(**options).fit(X, y).predict(X))
    untiring = MLPGradientRegressor(max_iter=400, tol=None, n_iter_no_change=np.inf, **options).fit(X, y)
    assert untiring.n_iter_ == 400
    watched = MLPGradientRegressor(**(options | {"early_stopping": True}), max_iter=150, n_iter_no_change=np.inf)
    assert watched.fit(X, y).n_iter_ == 150
    for bad in ({"n_iter_no_change": None}, {"n_iter_no_change": -np.inf}, {"max_iter": np.inf}, {"tol": -1.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            MLPGradientRegressor(**bad).fit(X, y)


@pytest.mark.parametrize("solver", ["auto", "qr", "gd"])
def test_equal_penalties_for_each_output_are_one(data, solver):
    X, y = data
    Y = np.c_[y, y**2]
    for alpha in ([0.5, 0.5], np.full(2, 0.5)):
        one = MLELinearRegressor(solver=solver, alpha=alpha).fit(X, Y)
        np.testing.assert_array_equal(one.coef_, MLELinearRegressor(solver=solver, alpha=0.5).fit(X, Y).coef_)


def test_information_criteria_beside_statsmodels(data):
    X, y = data
    ours, theirs = MLELinearRegressor().fit(X, y), sm.OLS(y, sm.add_constant(X)).fit()
    assert ours.aic_ == pytest.approx(theirs.aic + 2)
    assert ours.bic_ == pytest.approx(theirs.bic + np.log(60))


def test_r2_about_zero_and_score_are_told_apart(data):
    X, y = data
    text = " ".join(str(MLELinearRegressor(fit_intercept=False).fit(X, y + 5).summary()).split())
    assert "R² (about zero)" in text or "uncentred" in text
    assert "nor with score(), which measures about the mean of y" in text


def test_early_stopping_says_how_many_rows_it_needs(data):
    X, y = data
    with pytest.raises(ValueError, match=r"hold out 1 of 2 rows and leave 1 to train on, where 2 are the least"):
        MLPGradientRegressor((2,), alpha=1e-4, early_stopping=True).fit(X[:2], y[:2])
    with pytest.raises(ValueError, match="2 are the least"):
        MLPGradientRegressor((2,), alpha=1e-4, early_stopping=True).fit(X[:5], y[:5], [1, 0, 0, 1, 0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fit_and_partial_fit_start_from_the_same_parameters(data):
    X, y = data
    options = {"hidden_layer_sizes": (3,), "solver": "sgd", "learning_rate": 1e-300, "random_state": 5}
    whole = MLPGradientRegressor(max_iter=1, early_stopping=False, **options).fit(X, y)
    part = MLPGradientRegressor(**options).partial_fit(X, y)
    np.testing.assert_array_equal(whole.coefs_[0], part.coefs_[0])
    np.testing.assert_array_equal(whole.intercepts_[0], part.intercepts_[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")  # of the one row of a batch
@pytest.mark.parametrize(
    "make", [MLELinearRegressor, lambda: MLPGradientRegressor((2,), alpha=1e-4, solver="adam", random_state=0)]
)
def test_batches_are_taken_in_any_form(make):
    X, y = [[1.0], [2.0], [4.0], [5.0]], [1, 2, 4, 4]
    forms = [lambda a: a, np.asarray, lambda a: np.asarray(a, dtype=int), lambda a: pd.DataFrame(a).to_numpy()]
    found = []
    for first in forms:
        for second in forms:
            model = make().partial_fit(first(X), y).partial_fit(second([[3.0]]), [4])
            found.append(model.predict([[2.5]])[0])
    np.testing.assert_allclose(found, found[0], rtol=1e-12)
    with pytest.raises(ValueError, match="2 features"):
        make().partial_fit(X, y).partial_fit([[3.0, 1.0]], [4])


@pytest.mark.parametrize("make", [MLELinearRegressor, MLPGradientRegressor])
def test_no_batches_where_the_penalty_needs_all_rows(make, data):
    X, y = data
    assert hasattr(make(), "partial_fit")
    model = make(alpha="evidence")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        model.partial_fit(X, y)
    assert "chosen from all rows together" in str(caught.value.__cause__)


# That a weight is a row repeated holds of frequencies; to 1e-7 where the solver arrives in one step.
REPEATED = "check_sample_weight_equivalence"
CHECKS = [
    (estimator, check)
    for estimator in [
        *(MLELinearRegressor(solver=name, alpha="evidence", weight_type="frequency") for name in SOLVERS),
        MLELinearRegressor(alpha="evidence"),
        MLELinearRegressor(alpha="loo"),
        MLELinearRegressor(alpha="loo", weight_type="frequency"),
        MLPGradientRegressor((2,), alpha="evidence", max_iter=50),
    ]
    for _, check in estimator_checks_generator(estimator)
    if (estimator.weight_type == "frequency" and hasattr(SOLVERS[estimator.solver], "solve"))
    or not check.func.__name__.startswith(REPEATED)
]


def describe(estimator, check):
    return f"{estimator}-{check.func.__name__}".replace("Regressor", "")


# The checks feed degenerate data on purpose; that it is warned of is tested elsewhere.
@pytest.mark.filterwarnings("ignore::mle_regression.RankDeficiencyWarning")
@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=[describe(*pair) for pair in CHECKS])
def test_check_estimator(estimator, check):
    check(estimator)
