"""Callbacks follow a fit: which tasks they are told of, and what they are handed."""

import numpy as np
import pytest
from watching import Watcher, needs_callbacks

from mle_regression import MLELinearRegressor, MLPGradientRegressor, log_likelihood_scorer
from mle_regression.estimator.callbacks import PathRecorder, SharpnessMonitor

pytestmark = [needs_callbacks, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


@pytest.fixture
def rows(rng):
    X = rng.standard_normal((60, 3))
    return X, X @ np.ones(3) + rng.standard_normal(60), rng.uniform(0, 3, 60) * (rng.uniform(size=60) > 0.2)


def estimators():
    return [
        MLELinearRegressor(solver="gd", max_iter=8),
        MLELinearRegressor(solver="gd", max_iter=8, weight_type="frequency"),
        MLELinearRegressor(solver="qr"),
        MLPGradientRegressor((3,), alpha=1e-4, max_iter=5, random_state=0, early_stopping=False),
        MLPGradientRegressor(
            (3,), alpha=1e-4, max_iter=5, random_state=0, weight_type="frequency", early_stopping=False
        ),
        MLPGradientRegressor((3,), alpha=1e-4, max_iter=5, random_state=0, n_init=2),
    ]


@pytest.mark.parametrize("model", estimators(), ids=str)
@pytest.mark.parametrize("scoring", ["r2", "likelihood"])
def test_monitored_scores_are_weighted_as_the_fit_is(model, scoring, rows):
    from sklearn.callback import ScoringMonitor

    X, y, weights = rows

    def likelihood(estimator, X, y, sample_weight=None):
        return {"likelihood": log_likelihood_scorer(estimator, X, y, sample_weight)}

    monitor = ScoringMonitor(scoring="r2" if scoring == "r2" else likelihood)
    model.set_callbacks(monitor).fit(X, y, sample_weight=weights)
    last = min(monitor.get_logs().data, key=lambda row: len(row["task_id_path"]))[scoring]
    score = model.score if scoring == "r2" else lambda *rows: log_likelihood_scorer(model, *rows)
    assert last == pytest.approx(score(X, y, weights), rel=1e-12)
    assert last != pytest.approx(score(X, y), rel=1e-3)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("model", estimators()[:1] + estimators()[3:4], ids=str)
def test_likelihood_on_the_way_ends_at_that_of_the_fit(model, outputs, rows):
    X, y, weights = rows
    y = y if outputs == 1 else np.column_stack([y, X[:, 0] ** 2 + y])
    watcher = Watcher()
    model.set_callbacks(watcher).fit(X, y, weights)
    told = [seen.log_likelihood(X, y, weights) for seen in watcher.seen]
    assert np.all(np.diff(told) > 0)
    assert told[-1] == pytest.approx(model.log_likelihood_, rel=1e-9)
    np.testing.assert_allclose(watcher.seen[-1].noise_variance_, model.noise_variance_, rtol=1e-9)


@pytest.mark.parametrize("model", estimators()[:1] + estimators()[3:4], ids=str)
def test_an_iteration_begins_where_the_last_has_ended(model, rows):
    X, y, _ = rows

    class Both(Watcher):
        begun, ended_at = (), ()

        def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
            self.begun += (fitted_estimator,)

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            self.ended_at += (fitted_estimator,)

    both = Both()
    model.set_callbacks(both).fit(X, y)
    assert both.begun[0] is None  # the fit
    for begun, ended in zip(both.begun[2:], both.ended_at, strict=False):
        np.testing.assert_array_equal(begun.predict(X), ended.predict(X))


def test_the_first_iteration_of_a_linear_model_begins_at_the_start(rows):
    X, y, _ = rows

    class Begins(Watcher):
        at = ()

        def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
            self.at += (fitted_estimator,) if context.task_name == "iteration" else ()

    begins = Begins()
    model = MLELinearRegressor(solver="lbfgs").set_callbacks(begins).fit(X, y)
    np.testing.assert_array_equal(begins.at[0].coef_, np.zeros(3))
    assert begins.at[0].intercept_ == pytest.approx(y.mean(), rel=1e-12)
    assert len(begins.at) == model.n_iter_


def test_each_start_of_a_network_begins_where_it_was_drawn(rows):
    X, y, _ = rows

    class Begins(Watcher):
        at = ()

        def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "iteration" and context.task_id == 0:
                self.at += (fitted_estimator,)

    begins = Begins()
    options = {"alpha": 1e-4, "n_init": 2, "early_stopping": False, "random_state": 0, "solver": "lbfgs"}
    model = MLPGradientRegressor((3,), max_iter=4, **options).set_callbacks(begins).fit(X, y)
    losses = [np.mean((y - at.predict(X)) ** 2) / y.var() for at in begins.at]
    penalties = [
        1e-4 / len(y) * sum(np.sum(layer[:, :-1] ** 2) for layer in at._fit.network.layers(at._fit.theta))
        for at in begins.at
    ]
    assert len(losses) == 2
    assert model.loss_curve_[0] in [pytest.approx(a + b, rel=1e-12) for a, b in zip(losses, penalties, strict=True)]


def test_several_starts_are_tasks_of_their_own(rows):
    X, y, _ = rows

    class Tree(Watcher):
        tasks = ()

        def on_fit_task_end(self, estimator, context):
            self.tasks += ((context.task_name, context.task_id, context.parent and context.parent.task_id),)
            return False

    tree = Tree()
    model = MLPGradientRegressor((3,), alpha=1e-4, n_init=2, max_iter=5, early_stopping=False, tol=0, random_state=0)
    model.set_callbacks(tree).fit(X, y)
    starts = [[("iteration", i, k) for i in range(5)] + [("start", k, 0)] for k in range(2)]
    assert list(tree.tasks) == [*starts[0], *starts[1], ("fit", 0, None)]


@pytest.mark.parametrize(
    "options",
    [
        {"n_init": 3, "max_iter": 2},
        {"n_init": 3, "max_iter": 2, "ensemble": True},
        {"n_init": 2, "max_iter": 2, "alpha": "evidence"},
        {"max_iter": 1, "alpha": "evidence"},
        {"n_init": 2, "max_iter": 4, "warm_start": True},
        {"n_init": 2, "max_iter": 3, "curvature": "full"},
        {"n_init": 2, "max_iter": 3, "solver": "adam"},
    ],
    ids=str,
)
def test_more_iterations_than_those_of_one_start(options, rows):
    X, y, _ = rows
    watcher = Watcher()
    model = MLPGradientRegressor((2,), random_state=0, **options).set_callbacks(watcher)
    for _ in range(2):
        model.fit(X, y)
    assert watcher.ended
    assert watcher.torn_down
    assert watcher.iterations > options["max_iter"]


def test_a_callback_may_end_the_starts(rows):
    class AfterTheFirst(Watcher):
        def on_fit_task_end(self, estimator, context):
            self.iterations += context.task_name == "start"
            return context.task_name == "start"

    watcher = AfterTheFirst()
    MLPGradientRegressor((2,), alpha=1e-4, n_init=4, max_iter=3, random_state=0).set_callbacks(watcher).fit(*rows[:2])
    assert watcher.iterations == 1


def test_sharpness_of_a_weighted_fit(rows):
    X, y, weights = rows
    monitor = SharpnessMonitor()
    model = MLPGradientRegressor((3,), alpha=1e-4, solver="gd", max_iter=4, early_stopping=False, random_state=0)
    model.set_callbacks(monitor).fit(X, y, weights)
    assert monitor.sharpness[-1] == pytest.approx(model.diagnose(X, y, weights).sharpness(), rel=1e-3)
    assert monitor.sharpness[-1] != pytest.approx(model.diagnose(X, y).sharpness(), rel=1e-2)


def test_watching_changes_nothing(rows):
    X, y, weights = rows
    for model in estimators():
        plain, watched = (type(model)(**model.get_params()) for _ in range(2))
        plain.fit(X, y, weights)
        watched.set_callbacks(Watcher()).fit(X, y, weights)
        np.testing.assert_array_equal(plain.predict(X), watched.predict(X))
        assert plain.log_likelihood_ == watched.log_likelihood_


@pytest.mark.parametrize("n_init", [1, 2])
def test_starts_that_are_begun_anew(n_init, rows):
    X = np.linspace(-1, 1, 40)[:, None]
    begun_anew = 0
    for seed in range(12):
        watcher = Watcher()
        model = MLPGradientRegressor(
            (2, 1), alpha=1e-4, activation="relu", max_iter=15, n_init=n_init, random_state=seed
        )
        model.set_callbacks(watcher).fit(X, 2 * X[:, 0] + 1)
        begun_anew += watcher.iterations > 15 * n_init
        assert watcher.ended
    assert begun_anew


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(
    "model", [*estimators()[:1], MLPGradientRegressor((3,), alpha=1e-4, max_iter=5, early_stopping=False)], ids=str
)
def test_a_recorded_path_has_the_losses_of_the_fit(model, outputs, rows):
    X, y, weights = rows
    y = y if outputs == 1 else np.column_stack([y, X[:, 0] ** 2 + y])
    recorder = PathRecorder()
    model.set_callbacks(recorder).fit(X, y, weights)
    (path,) = recorder.paths
    assert len(path) == len(model.loss_curve_) == 1 + model.n_iter_
    if isinstance(model, MLELinearRegressor):
        targets = y.reshape(len(y), -1)
        squares = np.array([weights @ (targets - at[0] - X @ at[1:]) ** 2 for at in path])
        losses = (squares / squares[0]).sum(axis=1)  # of several outputs in units that make the last value J
        losses *= model.loss_curve_[-1] / losses[-1]
        assert model.loss_curve_[-1] == pytest.approx(squares[-1].sum() / weights.sum(), rel=1e-9)
        np.testing.assert_allclose(path[-1][1:].T.reshape(model.coef_.shape), model.coef_, rtol=1e-12)
    else:
        objective = model._fit.objective(X, y.reshape(len(y), -1), weights)
        losses = [objective.value_and_gradient(at)[0] for at in path]
    np.testing.assert_allclose(losses, model.loss_curve_, rtol=1e-9)


def test_networks_that_are_trained_in_turn_have_paths_of_their_own(rows):
    X, y, _ = rows
    recorder = PathRecorder()
    starts = MLPGradientRegressor((2,), alpha=1e-4, n_init=3, max_iter=4, early_stopping=False, random_state=0)
    starts.set_callbacks(recorder).fit(X, y)
    assert [len(path) for path in recorder.paths] == [5, 5, 5]
    folds = MLPGradientRegressor((2,), alpha="loo", max_iter=3, random_state=0).set_callbacks(recorder).fit(X, y)
    assert len(recorder.paths) > 20
    assert max(map(len, recorder.paths)) == 1 + 3
    assert any(np.array_equal(path[-1], folds._fit.theta) for path in recorder.paths)


def test_a_path_under_evidence_leads_to_the_fit(rows):
    X, y, _ = rows
    recorder = PathRecorder()
    model = MLPGradientRegressor((2,), alpha="evidence", random_state=0).set_callbacks(recorder).fit(X, y)
    assert min(np.linalg.norm(path[-1] - model._fit.theta) for path in recorder.paths) < 1e-3  # a last step is not told


@pytest.mark.parametrize("weighted", [False, True])
def test_networks_of_folds_are_told_with_all_rows(weighted, rows):
    X, y, weights = rows
    weights = weights if weighted else None
    watcher = Watcher()
    MLPGradientRegressor((2,), alpha="loo", max_iter=3, random_state=0).set_callbacks(watcher).fit(X, y, weights)
    seen = watcher.seen[5]
    w = np.ones(len(y)) if weights is None else weights
    squares = w @ (y - seen.predict(X)) ** 2
    assert seen.noise_variance_ == pytest.approx(squares / np.count_nonzero(w), rel=1e-9)
