"""What a callback of scikit-learn may count on, with the callbacks that scikit-learn tests its own estimators by."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.solvers import Adam

pytest.importorskip("sklearn", minversion="1.9", reason="scikit-learn has callbacks from version 1.9 on")

from sklearn.callback import ScoringMonitor
from sklearn.callback.tests._utils import (
    FailingCallback,
    MetaEstimator,
    NotRequiredKwargsCallback,
    RecordingAutoPropagatedCallback,
    RecordingCallback,
    StopFitCallback,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Few steps, none of which arrives, of the same length whatever max_iter is: what was told can be compared with a fit that
# ends there.
WALK_OF_NETWORK = {"max_iter": 4, "early_stopping": False, "random_state": 0}
WALKS = {
    "linear gd": MLELinearRegressor(solver="gd", max_iter=4, tol=0.0, learning_rate=1e-2),
    "linear lbfgs": MLELinearRegressor(solver="lbfgs", max_iter=2, tol=0.0),
    "linear adam": MLELinearRegressor(solver=Adam(schedule="constant"), max_iter=4, tol=0.0, random_state=0),
    "network gd": MLPGradientRegressor((3,), solver="gd", **WALK_OF_NETWORK),
    "network lm": MLPGradientRegressor((3,), solver="lm", **WALK_OF_NETWORK),
    "network lbfgs": MLPGradientRegressor((3,), solver="lbfgs", **WALK_OF_NETWORK),
    "network adam": MLPGradientRegressor((3,), solver=Adam(schedule="constant"), **WALK_OF_NETWORK),
}


@pytest.fixture(params=WALKS)
def estimator(request):
    return clone(WALKS[request.param])


@pytest.fixture
def rows():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((60, 2)) * [1.0, 3.0]
    return X, np.tanh(X[:, 0]) + X[:, 1] + 0.1 * rng.standard_normal(60), rng.integers(0, 5, 60).astype(float)


def hooks(callback):
    return [event["name"] for event in callback.record]


def test_each_task_begins_and_ends_within_one_setup(estimator, rows):
    callback = RecordingCallback()
    estimator.set_callbacks(callback).fit(*rows[:2])
    steps = ["on_fit_task_begin", "on_fit_task_end"] * estimator.n_iter_
    assert hooks(callback) == ["setup", "on_fit_task_begin", *steps, "on_fit_task_end", "teardown"]
    paths = [event["context"].task_id for event in callback.record if event["name"] == "on_fit_task_end"]
    assert paths == [*range(estimator.n_iter_), 0]


def test_a_direct_solver_is_one_task(rows):
    callback = RecordingCallback()
    MLELinearRegressor().set_callbacks(callback).fit(*rows[:2])
    assert hooks(callback) == ["setup", "on_fit_task_begin", "on_fit_task_end", "teardown"]


def test_callbacks_leave_the_fit_as_it_is(estimator, rows):
    alone = clone(estimator).fit(*rows)
    watched = estimator.set_callbacks(RecordingCallback(), ScoringMonitor(scoring="r2")).fit(*rows)
    np.testing.assert_array_equal(watched.predict(rows[0]), alone.predict(rows[0]))
    assert watched.log_likelihood_ == alone.log_likelihood_


@pytest.mark.parametrize("hook", ["setup", "on_fit_task_begin", "on_fit_task_end", "teardown"])
def test_a_callback_that_fails_is_torn_down(estimator, hook, rows):
    callback = FailingCallback(fail_at=hook)
    with pytest.raises(ValueError, match=f"failed at {hook}"):
        estimator.set_callbacks(callback).fit(*rows[:2])
    assert hooks(callback).count("setup") == hooks(callback).count("teardown") == 1


@pytest.mark.parametrize("hook", ["on_fit_task_begin", "on_fit_task_end"])
def test_an_earlier_fit_survives_a_callback_that_fails(estimator, hook, rows):
    X, y, _ = rows
    before = estimator.fit(X, y).predict(X)
    with pytest.raises(ValueError, match="failed at"):
        estimator.set_callbacks(FailingCallback(fail_at=hook)).fit(X, -y)
    np.testing.assert_array_equal(estimator.predict(X), before)


def test_callbacks_are_torn_down_where_the_fit_fails(estimator, rows):
    callback = RecordingCallback()
    with pytest.raises(ValueError, match="NaN"):
        estimator.set_callbacks(callback).fit(np.full_like(rows[0], np.nan), rows[1])
    assert hooks(callback)[0] == "setup"
    assert hooks(callback)[-1] == "teardown"


def test_a_callback_stops_the_fit(estimator, rows):
    with pytest.warns(ConvergenceWarning):
        estimator.set_callbacks(StopFitCallback()).fit(*rows[:2])
    assert estimator.n_iter_ == 1


def test_what_a_hook_does_not_ask_for_is_not_handed_to_it(estimator, rows):
    callback = NotRequiredKwargsCallback()
    estimator.set_callbacks(callback).fit(*rows[:2])
    assert hooks(callback).count("on_fit_task_end") == 1 + estimator.n_iter_


def test_an_iteration_shows_the_fit_that_ends_there(estimator, rows):
    """At each step the estimator handed to callbacks predicts as a fit whose iterations end at that step."""
    X, y, _ = rows
    callback = RecordingCallback()
    estimator.set_callbacks(callback).fit(X, y)
    shown = [event["kwargs"]["fitted_estimator"] for event in callback.record if event["name"] == "on_fit_task_end"]
    for count, there in enumerate(shown[:-1], start=1):
        ended = clone(estimator).set_callbacks().set_params(max_iter=count).fit(X, y)
        np.testing.assert_allclose(there.predict(X), ended.predict(X), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(shown[-1].predict(X), estimator.predict(X))


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_the_fit_that_ends_there(estimator, weighted, rows):
    X, y, weights = rows
    weights = weights if weighted else None
    monitor = ScoringMonitor(scoring="r2")
    estimator.set_callbacks(monitor).fit(X, y, weights)
    logs = monitor.get_logs().data
    scores = {row["task_id"]: row["r2"] for row in logs if row["task_name"] == "iteration"}
    for count in range(1, estimator.n_iter_ + 1):
        ended = clone(estimator).set_callbacks().set_params(max_iter=count).fit(X, y, weights)
        assert scores[count - 1] == pytest.approx(r2_score(y, ended.predict(X), sample_weight=weights), rel=1e-10)


def test_a_meta_estimator_hands_its_callbacks_down(estimator, rows):
    callback = RecordingAutoPropagatedCallback()
    MetaEstimator(estimator, n_outer=2, n_inner=1, prefer="threads").set_callbacks(callback).fit(*rows[:2])
    fits = [event for event in callback.record if event["estimator"].__class__ is estimator.__class__]
    assert len([event for event in fits if event["name"] == "on_fit_task_end"]) == 2 * (
        1 + clone(estimator).fit(*rows[:2]).n_iter_
    )


def test_a_fit_with_callbacks_can_be_pickled(estimator, rows):
    estimator.set_callbacks(ScoringMonitor(scoring="r2")).fit(*rows[:2])
    copy = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(copy.predict(rows[0]), estimator.predict(rows[0]))
