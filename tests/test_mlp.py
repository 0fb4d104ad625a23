"""The network as an estimator: scikit-learn's contract, units, weights, likelihood, stopping, restarts."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from watching import Watcher, needs_callbacks

from mle_regression import (
    MLELinearRegressor,
    MLPGradientRegressor,
    NoiseFreeWarning,
    compare_models,
    log_likelihood_scorer,
)
from mle_regression.objective.network import NetworkObjective
from mle_regression.solvers import Adam, LevenbergMarquardt
from mle_regression.solvers.path import DivergenceError
from mle_regression.solvers.registry import NETWORK_SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=sorted(NETWORK_SOLVERS))
def network_solver(request):
    return request.param


@pytest.fixture
def curve(rng):
    X = rng.uniform(-2, 2, (150, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(150)


# Few iterations, as scikit-learn has for its own networks: many would amplify the rounding of sums in another order.
CHECKS = [
    (name, check)
    for name in ["auto", *NETWORK_SOLVERS]
    for check in estimator_checks_generator(
        MLPGradientRegressor(alpha=1e-4, solver=name, max_iter=100 if name.startswith("adam") else 5)
    )
]


@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("name", "pair"), CHECKS, ids=[f"{n}-{pair[1].func.__name__}" for n, pair in CHECKS])
def test_check_estimator(name, pair):
    estimator, check = pair
    check(estimator)


TO_SEVEN_DIGITS = MLPGradientRegressor((5,), alpha=1.0, solver="lbfgs", tol=1e-9, max_iter=5000)
OF_WEIGHTS = [
    pair for pair in estimator_checks_generator(TO_SEVEN_DIGITS) if "weight_equivalence" in pair[1].func.__name__
]


@pytest.mark.parametrize("pair", OF_WEIGHTS, ids=[pair[1].func.__name__ for pair in OF_WEIGHTS])
def test_weights_are_repetitions_to_the_digits_that_scikit_learn_asks_for(pair):
    estimator, check = pair
    check(estimator)


def test_attributes_are_those_of_the_fit(network_solver, curve):
    X, y = curve
    model = MLPGradientRegressor((6,), alpha=1e-4, solver=network_solver, max_iter=50, random_state=0).fit(X, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert len(model.validation_curve_) == len(model.loss_curve_) - 1
    below = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    np.testing.assert_allclose((below @ model.coefs_[1] + model.intercepts_[1]).ravel(), model.predict(X), rtol=1e-9)
    _, std = model.predict(X, return_std=True)
    lower, upper = model.predict_interval(X, 0.9)
    # 15 rows were held out, to which one parameter, where to stop, was fitted.
    np.testing.assert_allclose((upper - lower) / std, 2 * student_t.ppf(0.95, 14))
    assert model.log_likelihood(X, y, pointwise=True).sum() == pytest.approx(model.log_likelihood(X, y))


@pytest.mark.parametrize("outputs", [1, 2])
def test_likelihood_in_the_units_of_y(curve, outputs):
    X, y = curve
    y = y if outputs == 1 else np.column_stack([y, 1e3 * X[:, 0] + 5])
    model = MLPGradientRegressor((4,), alpha=1.0, early_stopping=False, random_state=0).fit(X, y)
    assert model.converged_
    assert model.log_likelihood_ == pytest.approx(model.log_likelihood(X, y), rel=1e-10)
    residual = (y - model.predict(X)).reshape(len(y), -1)
    np.testing.assert_allclose(np.atleast_1d(model.noise_variance_), (residual**2).mean(axis=0), rtol=1e-9)


def test_units_change_nothing_but_units(curve):
    X, y = curve
    plain = MLPGradientRegressor((4,), alpha=1.0, random_state=0).fit(X, y)
    scaled = MLPGradientRegressor((4,), alpha=1.0, random_state=0).fit(X * [1e-6, 1.0, 1e5] + [0, 10, 0], 1e4 * y - 3e5)
    np.testing.assert_allclose(
        (scaled.predict(X * [1e-6, 1.0, 1e5] + [0, 10, 0]) + 3e5) / 1e4, plain.predict(X), atol=1e-5
    )


@pytest.mark.parametrize(("factor", "offset"), [(1e200, 0.0), (1.0, 1e9), (1e-200, 0.0)])
def test_targets_of_extreme_size_just_work(curve, factor, offset):
    X, y = curve
    plain = MLPGradientRegressor((4,), alpha=1.0, max_iter=20, random_state=0).fit(X, y)
    model = MLPGradientRegressor((4,), alpha=1.0, max_iter=20, random_state=0).fit(X, factor * y + offset)
    np.testing.assert_allclose((model.predict(X) - offset) / factor, plain.predict(X), atol=1e-4)
    assert np.isfinite(model.log_likelihood(X, factor * y + offset))


def test_frequency_weights_are_repeated_rows_and_weights_of_zero_absent_ones(rng):
    X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
    w = rng.integers(0, 4, 40)
    options = {"alpha": 1.0, "weight_type": "frequency", "early_stopping": False, "max_iter": 30, "random_state": 0}
    weighted = MLPGradientRegressor((3,), **options).fit(X, y, w)
    repeated = MLPGradientRegressor((3,), **options).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-8)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-8)
    assert weighted.bic_ == pytest.approx(repeated.bic_, rel=1e-8)


def test_early_stopping_keeps_the_best_parameters(network_solver, curve):
    X, y = curve
    held_out = X[100:], y[100:]
    model = MLPGradientRegressor(
        (20,), solver=network_solver, alpha=0.0, max_iter=60, early_stopping=True, random_state=0
    )
    model.fit(X[:100], y[:100], X_val=held_out[0], y_val=held_out[1])
    variance = np.mean((held_out[1] - model.predict(held_out[0])) ** 2)
    expected = -0.5 * (np.log(2 * np.pi * variance) + 1)
    assert max(model.validation_curve_) == pytest.approx(expected, rel=1e-8)


def test_validation_rows_alone_do_not_stop_a_fit_without_early_stopping(curve):
    X, y = curve
    model = MLPGradientRegressor((5,), alpha=1e-4, early_stopping=False, max_iter=15, random_state=0)
    model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    alone = clone(model).fit(X[:100], y[:100])
    assert len(model.validation_curve_) == model.n_iter_
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))


def test_the_same_seed_gives_the_same_bits_and_restarts_keep_the_best(network_solver, curve):
    X, y = curve
    options = {"solver": network_solver, "max_iter": 10, "early_stopping": False, "random_state": 3}
    one, same = (MLPGradientRegressor((4,), **options).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.predict(X), same.predict(X))
    many = MLPGradientRegressor((4,), n_init=4, **options).fit(X, y)
    assert many.loss_ <= one.loss_ * (1 + 1e-2)


def test_partial_fit_goes_on_with_its_moments(curve):
    X, y = curve
    model = MLPGradientRegressor(
        (10,), alpha=1e-4, solver=Adam(schedule="constant"), learning_rate=0.01, random_state=0
    )
    losses = [model.partial_fit(X, y).loss_ for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]
    assert int(model._fit.memory["count"]) == 60
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    np.testing.assert_array_equal(again.predict(X), model.partial_fit(X, y).predict(X))
    assert not hasattr(MLPGradientRegressor(alpha=1e-4, solver="lm"), "partial_fit")
    with pytest.raises(ValueError, match="y has 2 outputs; the batches before had 1"):
        model.partial_fit(X, np.column_stack([y, y]))


def test_warm_start_goes_on(curve):
    X, y = curve
    model = MLPGradientRegressor(
        (5,), alpha=1.0, warm_start=True, early_stopping=False, max_iter=5, random_state=0
    ).fit(X, y)
    before = model.loss_
    assert model.fit(X, y).loss_curve_[0] == pytest.approx(before, rel=1e-10)


def test_sparse_and_single_precision(curve):
    X, y = curve
    dense = MLPGradientRegressor((5,), alpha=1e-4, max_iter=10, random_state=0).fit(X, y)
    sparse = MLPGradientRegressor((5,), alpha=1e-4, max_iter=10, random_state=0).fit(sp.csc_array(X), y)
    np.testing.assert_allclose(sparse.predict(sp.csr_array(X)), dense.predict(X), rtol=1e-6)
    single = MLPGradientRegressor((5,), alpha=1e-4, solver="adam", dtype="float32", max_iter=10, random_state=0).fit(
        X, y
    )
    double = MLPGradientRegressor((5,), alpha=1e-4, solver="adam", max_iter=10, random_state=0).fit(X, y)
    np.testing.assert_allclose(single.predict(X), double.predict(X), atol=1e-3)


def test_grid_search_pipeline_and_comparison():
    X, y = load_diabetes(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), MLPGradientRegressor(alpha=1e-4, max_iter=5, random_state=0))
    grid = [
        {"mlpgradientregressor__hidden_layer_sizes": [(3,), (4, 2)], "mlpgradientregressor__solver": ["lm", "adam"]},
        {
            "mlpgradientregressor__solver": [LevenbergMarquardt()],
            "mlpgradientregressor__solver__radius": [0.5, 1.0],
            "mlpgradientregressor__alpha": [1.0],
        },
    ]
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2, scoring=log_likelihood_scorer).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    table = compare_models(
        {"net": MLPGradientRegressor((3,), alpha=1e-4, random_state=0), "linear": MLELinearRegressor()}, X, y, cv=2
    )
    assert isinstance(table, pd.DataFrame)
    assert np.isfinite(table["cv_log_likelihood"]).all()


def test_solvers_for_linear_problems_are_refused(curve):
    for solver in ("normal", "qr", "svd", "lsmr"):
        with pytest.raises(ValueError, match="no closed form"):
            MLPGradientRegressor(alpha=1e-4, solver=solver).fit(*curve)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes=0"),
        ({"hidden_layer_sizes": (3, -1)}, "hidden_layer_sizes=-1"),
        ({"hidden_layer_sizes": 2.5}, "hidden_layer_sizes=2.5"),
        ({"activation": "step"}, "activation='step'"),
        ({"solver": "magic"}, "solver='magic'"),
        ({"alpha": -1}, "alpha"),
        ({"alpha": "evidense"}, "neither a number.*evidence"),
        ({"max_iter": "many"}, "neither a number nor .auto"),
        ({"learning_rate": "x"}, "neither a number nor .auto"),
        ({"dtype": "float16"}, "dtype"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"n_init": 0}, "n_init"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
    ],
)
def test_bad_options(curve, options, message):
    with pytest.raises(ValueError, match=message):
        MLPGradientRegressor(**options).fit(*curve)


def test_bad_rows(curve):
    X, y = curve
    named = pd.DataFrame(X, columns=["a", "b", "c"])
    model = MLPGradientRegressor((3,), alpha=1e-4, max_iter=3, random_state=0).fit(named, y)
    before = model.predict(named)
    bad = named.copy()
    bad.loc[3, "b"] = np.nan
    with pytest.raises(ValueError, match="'b'"):
        model.fit(bad, y)
    np.testing.assert_array_equal(model.predict(named), before)
    with pytest.raises(ValueError, match="go together"):
        model.fit(X, y, X_val=X)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    with pytest.warns(UserWarning, match="batch_size=500 is more than"):
        MLPGradientRegressor((3,), alpha=1e-4, solver="adam", batch_size=500, max_iter=2).fit(X, y)


def test_divergence_names_the_learning_rate_to_try(curve):
    with pytest.raises(DivergenceError, match="Take a smaller learning_rate"):
        MLPGradientRegressor((5,), alpha=1e-4, solver="sgd", learning_rate=1e3, activation="relu").fit(*curve)


def test_no_hidden_layer_is_linear_least_squares():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    net = MLPGradientRegressor((), alpha=0.0, early_stopping=False, solver="lm", tol=1e-9).fit(X, y)
    linear = MLELinearRegressor().fit(X, y)
    np.testing.assert_allclose(net.predict(X), linear.predict(X), rtol=1e-6)
    assert net.log_likelihood_ == pytest.approx(linear.log_likelihood_, rel=1e-9)


def test_a_fit_that_has_not_converged_warns(curve):
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        MLPGradientRegressor((5,), alpha=1e-4, solver="adam", max_iter=2, early_stopping=False).fit(*curve)


@pytest.mark.parametrize("options", [{}, {"alpha": "evidence"}, {"curvature": "full"}, {"n_init": 2, "ensemble": True}])
def test_summary_tells_what_the_fit_knows(options, curve):
    X, y = curve
    model = MLPGradientRegressor((3,), random_state=0, max_iter=100, **options).fit(X, y)
    report = model.summary()
    text = str(report)
    for told in ("3 - 3 - 1, tanh", model.solver_.split()[0], "Watanabe"):
        assert told in text
    assert ("log marginal likelihood" in text) == ("alpha" in options)
    assert model.verdict_ in text if "curvature" in options else "verdict" not in text
    assert ("mean of 2 networks" in text) == ("ensemble" in options)
    assert report._repr_html_().startswith("<div class=mle-report>")
    assert max(map(len, report.to_text(60).splitlines())) <= 60


@needs_callbacks
def test_callbacks_follow_and_stop(network_solver, curve):
    X, y = curve
    options = {"solver": network_solver, "max_iter": 8, "early_stopping": False, "random_state": 0}
    watcher = Watcher()
    model = MLPGradientRegressor((4,), **options).set_callbacks(watcher).fit(X, y)
    assert watcher.iterations == model.n_iter_ == 8
    assert watcher.ended
    assert watcher.torn_down
    assert watcher.seen[0].score(X, y) < watcher.seen[-1].score(X, y)
    np.testing.assert_allclose(watcher.seen[-1].coefs_[0], model.coefs_[0], rtol=1e-9)
    with pytest.warns(ConvergenceWarning, match="a callback asked to stop"):
        model = MLPGradientRegressor((4,), **options).set_callbacks(Watcher(stop_at=2)).fit(X, y)
    assert (model.n_iter_, model.converged_) == (2, False)


@needs_callbacks
@pytest.mark.parametrize("stopping", [True, False])
def test_interrupted_fits_are_usable_and_marked(network_solver, curve, stopping):
    X, y = curve
    watcher = Watcher(interrupt_at=3)
    model = MLPGradientRegressor(
        (4,), alpha=1e-4, solver=network_solver, early_stopping=stopping, n_init=3, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.set_callbacks(watcher).fit(X, y)
    assert watcher.torn_down
    assert watcher.iterations == 3
    assert not model.converged_
    assert np.isfinite(model.predict(X)).all()


@needs_callbacks
def test_callbacks_follow_the_walk_by_evidence(curve):
    X, y = curve
    with pytest.warns(ConvergenceWarning, match="a callback asked to stop"):
        model = MLPGradientRegressor((4,), alpha="evidence", random_state=0).set_callbacks(Watcher(stop_at=3)).fit(X, y)
    assert model.n_iter_ == 3
    assert np.isfinite(model.predict(X)).all()


@needs_callbacks
def test_an_interrupt_before_the_first_step_keeps_the_earlier_fit(network_solver, curve, monkeypatch):
    X, y = curve
    model = MLPGradientRegressor((4,), alpha=1e-4, solver=network_solver, max_iter=5, random_state=0).fit(X, y)
    before = model.predict(X)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(NetworkObjective, "value_and_gradient", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, 2 * y)
    monkeypatch.undo()
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize(
    ("n", "hidden", "options", "chosen"),
    [
        (150, (5,), {}, "lm"),
        (60, (256, 256), {}, "lm"),
        (3000, (60, 60), {}, "lbfgs"),
        (15_000, (60, 60), {}, "adam"),
        (150, (5,), {"batch_size": 30}, "adam"),
        (150, (5,), {"learning_rate": 0.01}, "adam"),
        (3000, (10,), {"alpha": "evidence"}, "lm"),
    ],
)
def test_auto_takes_the_solver_that_the_size_calls_for(rng, n, hidden, options, chosen):
    X = rng.standard_normal((n, 3))
    model = MLPGradientRegressor(hidden, max_iter=2, random_state=0, **options).fit(X, X[:, 0] + rng.standard_normal(n))
    assert model.solver_ == chosen
    assert model.solver_reason_


@pytest.mark.parametrize("n_iter_no_change", ["auto", 7])
def test_patience_of_auto_grows_with_the_walk(curve, n_iter_no_change):
    X, y = curve
    model = MLPGradientRegressor((20,), solver="lbfgs", alpha=0.0, n_iter_no_change=n_iter_no_change, random_state=0)
    model.fit(X, y)
    best = int(np.argmax(model.validation_curve_)) + 1
    waited, patience = model.n_iter_ - best, int(np.ceil(20 + best / 3))
    assert model.n_iter_ < 2000
    if n_iter_no_change == 7:
        assert waited == 7
    else:  # for longer, up to a hundred, while there is hope
        assert patience <= waited <= max(patience, 100)


@pytest.mark.parametrize("curvature", [None, "full"])
def test_weights_of_new_observations(curvature, rng):
    X = rng.standard_normal((60, 2))
    y = X[:, 0] + rng.standard_normal(60)
    options = {"alpha": 1.0, "early_stopping": False, "random_state": 0, "curvature": curvature, "tol": 1e-9}
    network = MLPGradientRegressor((2,), **options).fit(X, y)
    w = rng.random(60) + 0.1
    plain, weighted = (network.predict(X, return_std=True, sample_weight=v)[1] for v in (None, w))
    of_mean = network.predict(X, return_std=True, sample_weight=1e300)[1]
    np.testing.assert_allclose(weighted**2, of_mean**2 + (plain**2 - of_mean**2) / w, rtol=1e-9)
    lower, upper = network.predict_interval(X, sample_weight=w)
    np.testing.assert_allclose((upper - lower) / weighted, ((upper - lower) / weighted)[0])
    density = network.log_predictive_density(X, y, pointwise=True, sample_weight=np.r_[0.0, w[1:]])
    expected = -0.5 * (np.log(2 * np.pi * weighted**2) + (y - network.predict(X)) ** 2 / weighted**2)
    np.testing.assert_allclose(density[1:], expected[1:], rtol=1e-9)
    assert density[0] == 0.0
    counted = MLPGradientRegressor((2,), weight_type="frequency", **options).fit(X, y)
    twice = counted.log_predictive_density(X, y, pointwise=True, sample_weight=2)
    np.testing.assert_allclose(twice, 2 * counted.log_predictive_density(X, y, pointwise=True))
    np.testing.assert_array_equal(counted.predict(X, return_std=True, sample_weight=w)[1], plain)


def test_likelihood_of_rows_beside_a_fit_without_noise():
    """What a fit without noise calls certain has infinite density, and what it calls impossible none; nothing is NaN."""
    X = np.zeros((5, 1))
    with pytest.warns(NoiseFreeWarning):
        model = MLPGradientRegressor((), alpha=1e-4, standardize=False, random_state=0).fit(X, np.zeros(5))
    each = model.log_predictive_density(X[:2], np.array([0.0, 1.0]), pointwise=True)
    np.testing.assert_array_equal(each, [np.inf, -np.inf])
    assert model.log_predictive_density(X[:1], np.zeros(1)) == np.inf
    assert model.log_predictive_density(X[:2], np.array([0.0, 1.0])) == -np.inf


def test_units_whose_squares_overflow_are_told(network_solver, rng):
    X = rng.standard_normal((30, 2))
    with pytest.raises(DivergenceError, match=r"squares of what X and y hold overflow.*standardize=True"):
        MLPGradientRegressor((2,), alpha=1e-4, solver=network_solver, standardize=False, random_state=0).fit(
            X, 1e300 * X[:, 0]
        )
    model = MLPGradientRegressor((2,), alpha=1e-4, solver=network_solver, max_iter=2, random_state=0).fit(
        X, 1e300 * X[:, 0]
    )
    assert np.isfinite(model.predict(X)).all()


def test_a_large_network_on_few_rows_takes_few_steps(rng):
    X, y = rng.standard_normal((80, 10)), rng.standard_normal(80)
    model = MLPGradientRegressor((256, 256), alpha=1e-4, early_stopping=False, random_state=0).fit(X, y)
    assert model.solver_.split()[0] == "lm"
    assert model.n_iter_ < 250
    assert model.loss_ < 1e-3
