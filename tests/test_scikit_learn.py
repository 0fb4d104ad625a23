"""The estimator keeps scikit-learn's contract, in every solver."""

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency, estimator_checks_generator

from mle_regression import MLELinearRegressor
from mle_regression.solvers.registry import SOLVERS

ESTIMATORS = [MLELinearRegressor(solver=name) for name in SOLVERS] + [
    MLELinearRegressor(refine=False),
    MLELinearRegressor(fit_intercept=False, alpha=0.1),
    MLELinearRegressor(weight_type="frequency", on_rank_deficiency="drop"),
]


def describe(estimator, check):
    return f"{estimator}-{check.func.__name__}".replace("MLELinearRegressor", "")


CHECKS = [pair for estimator in ESTIMATORS for pair in estimator_checks_generator(estimator)]


# The checks feed degenerate data on purpose; that it is warned of is tested elsewhere.
@pytest.mark.filterwarnings("ignore::mle_regression.RankDeficiencyWarning")
@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # the checks set max_iter to 5
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=[describe(*pair) for pair in CHECKS])
def test_check_estimator(estimator, check):
    check(estimator)


def test_column_names_consistency():
    check_dataframe_column_names_consistency("MLELinearRegressor", MLELinearRegressor(on_rank_deficiency="min_norm"))


def test_matches_linear_regression(solver):
    X, y = load_diabetes(return_X_y=True)
    ours, theirs = MLELinearRegressor(solver=solver).fit(X, y), LinearRegression().fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-10)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-12)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-12)


def test_grid_search_over_solver_and_alpha():
    X, y = load_diabetes(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor())
    grid = {
        "mlelinearregressor__solver": ["auto", "normal", "qr", "svd"],
        "mlelinearregressor__alpha": [0.0, 1.0, 100.0],
    }
    search = GridSearchCV(pipe, grid, n_jobs=2).fit(X, y)
    scores = pd.DataFrame(search.cv_results_).pivot_table(
        index="param_mlelinearregressor__alpha", columns="param_mlelinearregressor__solver", values="mean_test_score"
    )
    assert (scores.max(axis=1) - scores.min(axis=1)).max() < 1e-10
    assert len(cross_val_score(search.best_estimator_, X, y, cv=3)) == 3


def test_metadata_routing_of_sample_weight(rng):
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    weights = np.repeat([0.0, 1.0], 30)
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLELinearRegressor().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        pipe.fit(X, y, sample_weight=weights)
        search = GridSearchCV(model, {"alpha": [0.0, 1.0]}, cv=2).fit(X, y, sample_weight=weights + 1)
    assert search.best_estimator_.rank_ == 4
    plain = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, y)
    assert not np.allclose(pipe[-1].coef_, plain[-1].coef_)
    np.testing.assert_allclose(pipe[-1].predict(pipe[0].transform(X[30:])), pipe.predict(X[30:]))


def test_feature_names_reach_the_end_of_a_pipeline():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    pipe = make_pipeline(PolynomialFeatures(2, include_bias=False).set_output(transform="pandas"), MLELinearRegressor())
    pipe.fit(X[["age", "bmi"]], y)
    assert list(pipe[-1].coefficients().index) == ["intercept", "age", "bmi", "age^2", "age bmi", "bmi^2"]


@pytest.mark.parametrize("save", ["pickle", "joblib", "skops"])
def test_round_trip(save, rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    model = MLELinearRegressor().fit(X, y)
    if save == "pickle":
        copy = pickle.loads(pickle.dumps(model))
    elif save == "joblib":
        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        buffer.seek(0)
        copy = joblib.load(buffer)
    else:
        skops = pytest.importorskip("skops.io")
        stored = skops.dumps(model)
        unknown = skops.get_untrusted_types(data=stored)
        assert unknown == ["mle_regression.linear.MLELinearRegressor"]
        copy = skops.loads(stored, trusted=unknown)
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    np.testing.assert_array_equal(copy.standard_errors_, model.standard_errors_)
    np.testing.assert_array_equal(copy.hessian_eigenvalues_, model.hessian_eigenvalues_)


def test_pickle_is_small_whatever_the_number_of_rows(rng):
    X = rng.standard_normal((200_000, 20))
    model = MLELinearRegressor().fit(X, X[:, 0] + rng.standard_normal(len(X)))
    assert model.hessian_eigenvalues_.shape == (21,)
    assert len(pickle.dumps(model)) < 50_000


def test_set_params_changes_nothing_until_the_next_fit(rng):
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    model = MLELinearRegressor().fit(X, y)
    before = model.coefficients(), model.log_likelihood(X, y), model.hessian_eigenvalues_, model.predict(X)
    model.set_params(alpha=10.0, fit_intercept=False, weight_type="frequency", noise="unknown", solver="unknown")
    pd.testing.assert_frame_equal(before[0], model.coefficients())
    assert before[1] == model.log_likelihood(X, y)
    np.testing.assert_array_equal(before[2], model.hessian_eigenvalues_)
    np.testing.assert_array_equal(before[3], model.predict(X))


def test_an_instance_of_a_solver_serves_as_its_name(solver, rng):
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    model = clone(MLELinearRegressor(solver=SOLVERS[solver]())).fit(X, y)
    np.testing.assert_array_equal(model.coef_, MLELinearRegressor(solver=solver).fit(X, y).coef_)
