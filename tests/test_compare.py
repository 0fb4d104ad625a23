"""Models side by side."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import norm
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from mle_regression import MLELinearRegressor, compare_models, log_likelihood_scorer

MODELS = {
    "ours": MLELinearRegressor(),
    "theirs": LinearRegression(),
    "ours scaled": make_pipeline(StandardScaler(), MLELinearRegressor()),
    "tree": DecisionTreeRegressor(max_depth=3, random_state=0),
    "mean": DummyRegressor(),
}


@pytest.mark.parametrize("frame", [False, True])
def test_the_same_model_gets_the_same_numbers(frame):
    X, y = load_diabetes(return_X_y=True, as_frame=frame)
    table = compare_models(MODELS, X, y, cv=KFold(4, shuffle=True, random_state=0))
    assert list(table.index) == list(MODELS)
    numbers = table.drop(columns=["fit_time", "condition_number"])
    for other in ("theirs", "ours scaled"):
        np.testing.assert_allclose(numbers.loc["ours"].astype(float), numbers.loc[other].astype(float), rtol=1e-10)
    assert table.loc["ours", "condition_number"] > table.loc["ours scaled", "condition_number"] > 1
    assert np.isnan(table.loc["tree", ["aic", "rank", "condition_number"]].astype(float)).all()
    assert table.loc["mean", "r2"] == pytest.approx(0, abs=1e-12)
    assert table.loc["mean", "log_likelihood"] == pytest.approx(norm(np.mean(y), np.std(y)).logpdf(y).sum())
    assert (table["fit_time"] > 0).all()


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_every_sparse_format(form, kind, rng):
    X = np.triu(np.tril(rng.standard_normal((60, 4)), 2), -40)
    y = X @ np.arange(4) + rng.standard_normal(60)
    folds = KFold(4, shuffle=True, random_state=0)
    table = compare_models({"ours": MLELinearRegressor()}, getattr(sp, f"{form}_{kind}")(X), y, cv=folds)
    dense = compare_models({"ours": MLELinearRegressor()}, X, y, cv=folds)
    numbers = [t.drop(columns="fit_time").to_numpy(dtype=float) for t in (table, dense)]
    np.testing.assert_allclose(*numbers, rtol=1e-10)


def test_held_out_columns_are_optional_and_models_stay_unfitted():
    X, y = load_diabetes(return_X_y=True)
    model = MLELinearRegressor()
    table = compare_models({"a": model}, X, y, cv=None)
    assert not [name for name in table if name.startswith("cv_")]
    assert not hasattr(model, "coef_")
    with pytest.raises(ValueError, match="empty"):
        compare_models({}, X, y)


def test_several_outputs(rng):
    X = rng.standard_normal((80, 3))
    Y = X @ rng.standard_normal((3, 2)) + rng.standard_normal((80, 2))
    table = compare_models({"ours": MLELinearRegressor(), "theirs": LinearRegression()}, X, Y)
    for column in ("log_likelihood", "aic", "bic", "cv_log_likelihood", "rank"):
        assert table.loc["ours", column] == pytest.approx(table.loc["theirs", column], rel=1e-10)


def test_scorer_in_a_grid_search():
    X, y = load_diabetes(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor())
    search = GridSearchCV(pipe, {"mlelinearregressor__alpha": [0.0, 1.0, 1e6]}, scoring=log_likelihood_scorer).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[2] < scores[0]
    best = search.best_estimator_
    assert log_likelihood_scorer(best, X, y) == pytest.approx(best[-1].log_likelihood(best[0].transform(X), y) / len(y))
    with pytest.raises(TypeError, match="no log_likelihood"):
        log_likelihood_scorer(LinearRegression().fit(X, y), X, y)


def test_weights(rng):
    X = rng.standard_normal((60, 2))
    y, w = X.sum(axis=1) + rng.standard_normal(60), rng.integers(0, 4, 60) * 1.0
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LinearRegression()), {"standardscaler__with_mean": [True]}, cv=3
    )
    table = compare_models(
        {
            "ours": MLELinearRegressor(),
            "theirs": LinearRegression(),
            "pipeline": make_pipeline("passthrough", make_pipeline(StandardScaler(), LinearRegression())),
            "search": search,
        },
        X,
        y,
        cv=folds,
        sample_weight=w,
    )
    model = MLELinearRegressor().fit(X, y, w)
    assert table.loc["ours", "log_likelihood"] == pytest.approx(model.log_likelihood_)
    assert table.loc["ours", "bic"] == pytest.approx(model.bic_)
    assert table.loc["ours", "r2"] == pytest.approx(model.r2_)
    for column in ("log_likelihood", "cv_log_likelihood", "cv_r2", "cv_rmse", "r2"):
        np.testing.assert_allclose(table[column].astype(float), table.loc["ours", column], rtol=1e-10)
    repeated = np.repeat(np.arange(60), w.astype(int))
    counted = compare_models({"ours": MLELinearRegressor(weight_type="frequency")}, X, y, cv=None, sample_weight=w)
    plain = compare_models({"ours": MLELinearRegressor()}, X[repeated], y[repeated], cv=None)
    pd.testing.assert_frame_equal(counted.drop(columns="fit_time"), plain.drop(columns="fit_time"))
