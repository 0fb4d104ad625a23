"""The scorer of held-out likelihoods: what it divides by, what it looks through, what it is to scikit-learn."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor, log_likelihood_scorer


@pytest.fixture
def rows(rng):
    X = rng.standard_normal((40, 2))
    return X, X.sum(axis=1) + rng.standard_normal(40)


def test_frequencies_are_repeated_rows(rows, rng):
    X, y = rows
    counts = rng.integers(0, 4, 40)
    repeated = np.repeat(np.arange(40), counts)
    model = MLELinearRegressor(weight_type="frequency").fit(X, y)
    expected = log_likelihood_scorer(model, X[repeated], y[repeated])
    assert log_likelihood_scorer(model, X, y, sample_weight=counts) == pytest.approx(expected, rel=1e-12)
    assert log_likelihood_scorer(model, X, y, sample_weight=2) == pytest.approx(log_likelihood_scorer(model, X, y))


def test_rows_of_no_precision_are_absent(rows, rng):
    X, y = rows
    w = np.r_[np.zeros(15), rng.random(25) + 0.1]
    for model in (MLELinearRegressor().fit(X, y), MLPGradientRegressor((2,), random_state=0, alpha=1.0).fit(X, y)):
        expected = log_likelihood_scorer(model, X[15:], y[15:], sample_weight=w[15:])
        assert log_likelihood_scorer(model, X, y, sample_weight=w) == pytest.approx(expected, rel=1e-12)


def test_pipelines_and_searches_are_looked_through(rows):
    X, y = rows
    plain = MLELinearRegressor(solver="qr").fit(StandardScaler().fit_transform(X), y)
    expected = log_likelihood_scorer(plain, StandardScaler().fit_transform(X), y)
    search = GridSearchCV(MLELinearRegressor(), {"solver": ["qr", "svd"]}, cv=3)
    pipe = make_pipeline(StandardScaler(), search)
    around = GridSearchCV(
        make_pipeline(StandardScaler(), make_pipeline("passthrough", MLELinearRegressor())),
        {"pipeline__mlelinearregressor__solver": ["qr"]},
        scoring=log_likelihood_scorer,
        cv=3,
    )
    for model in (pipe, around):
        assert log_likelihood_scorer(model.fit(X, y), X, y) == pytest.approx(expected, rel=1e-9)
    nested = cross_val_score(around, X, y, scoring=log_likelihood_scorer, cv=3, error_score="raise")
    assert np.isfinite(nested).all()
    with pytest.raises(TypeError, match="LinearRegression has no log_likelihood"):
        log_likelihood_scorer(make_pipeline(StandardScaler(), LinearRegression()).fit(X, y), X, y)


def test_frozen_models_and_several_scorers(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    assert log_likelihood_scorer(FrozenEstimator(model), X, y) == log_likelihood_scorer(model, X, y)
    scoring = {"likelihood": log_likelihood_scorer, "r2": "r2"}
    search = GridSearchCV(MLELinearRegressor(), {"alpha": [0.0, 1e6]}, scoring=scoring, refit="likelihood", cv=3).fit(
        X, y
    )
    assert search.best_params_ == {"alpha": 0.0}


def test_it_is_an_object_that_can_be_stored(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    for other in (pickle.loads(pickle.dumps(log_likelihood_scorer)), clone(log_likelihood_scorer, safe=False)):
        assert other(model, X, y) == log_likelihood_scorer(model, X, y)
    assert repr(log_likelihood_scorer) == "log_likelihood_scorer"


def test_weights_are_routed(rows, rng):
    X, y = rows
    w = rng.integers(1, 5, 40) * 1.0
    folds = [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLELinearRegressor(weight_type="frequency").set_fit_request(sample_weight=True)
        asking = log_likelihood_scorer.set_score_request(sample_weight=True)
        assert repr(asking) == "log_likelihood_scorer.set_score_request(sample_weight=True)"
        found = cross_validate(model, X, y, scoring=asking, cv=folds, params={"sample_weight": w})["test_score"]
        search = GridSearchCV(model, {"solver": ["qr"]}, scoring=asking, cv=folds).fit(X, y, sample_weight=w)
        silent = log_likelihood_scorer.set_score_request(sample_weight=False)
        bare = cross_validate(model, X, y, scoring=silent, cv=folds, params={"sample_weight": w})["test_score"]
        # The scorer at hand asks for nothing, whoever has asked for a copy that does.
        with pytest.raises(ValueError, match="sample_weight"):
            cross_validate(model, X, y, scoring=log_likelihood_scorer, cv=folds, params={"sample_weight": w})
    for k, (train, test) in enumerate(folds):
        fitted = MLELinearRegressor(weight_type="frequency").fit(X[train], y[train], w[train])
        assert found[k] == pytest.approx(log_likelihood_scorer(fitted, X[test], y[test], sample_weight=w[test]))
        assert bare[k] == pytest.approx(log_likelihood_scorer(fitted, X[test], y[test]))
        assert search.cv_results_[f"split{k}_test_score"][0] == pytest.approx(found[k])
    assert not np.allclose(found, bare)
