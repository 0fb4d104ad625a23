"""Penalties of a network by rows left out: the score, the choice, and what predictions make of it."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge

from mle_regression import MLPGradientRegressor
from mle_regression.estimator.network_options import network_options
from mle_regression.fit.column_moments import units_of
from mle_regression.fit.cross_fitting import CrossFit
from mle_regression.fit.left_out_plan import Plan, resolved
from mle_regression.fit.network import Training
from mle_regression.fit.network_options import FIXED_PENALTY
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.duplicates import groups_of_rows
from mle_regression.rows.training_data import TrainingData

NEW_ROWS = 4000


def bowl(rng, n, noise=0.1):
    X = rng.uniform(-2, 2, (n, 2))
    return X, np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] + noise * rng.normal(size=n)


def data_of(X, y, weights=None):
    return TrainingData(X, y.reshape(len(y), -1), weights, y.ndim == 1, 2.0**-52)


def cross_fit(model, data, plan, seed=0):
    options, _ = resolved(network_options(model), data, False)
    network = options.network(data.x.shape[1], data.y.shape[1])
    training = Training(options, data, None, units_of(data, True, options.family, None), network, [])
    return CrossFit(training, plan, np.random.default_rng(seed))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_score_of_a_linear_network_is_that_of_ridge_fits_without_each_fold(rng, outputs, weighted):
    """One optimum, whatever the start: the mean over repeats, less what a mean over all networks would not have."""
    X = rng.normal(size=(60, 4))
    Y = X @ rng.normal(size=(4, outputs)) + rng.normal(size=(60, outputs))
    w = rng.uniform(0.2, 3.0, 60) if weighted else np.ones(60)
    data = data_of(X, Y, w if weighted else None)
    run = cross_fit(MLPGradientRegressor((), alpha="loo", tol=0.0), data, Plan(4, 2, 50))
    alpha = 7.0
    level = run._level(alpha)

    Xs = (X - np.average(X, axis=0, weights=w)) / np.sqrt(np.cov(X.T, aweights=w, ddof=0).diagonal())
    Ys = (Y - np.average(Y, axis=0, weights=w)) / np.sqrt(np.atleast_2d(np.cov(Y.T, aweights=w, ddof=0)).diagonal())
    found = np.zeros((2, *Y.shape))
    for k, network in enumerate(run.networks):
        out = network.left_out
        inside = np.setdiff1d(np.arange(60), out)
        ridge = Ridge(alpha * w[inside].sum() / w.sum()).fit(Xs[inside], Ys[inside], w[inside])
        found[k // 4, out] = ridge.predict(Xs[out]).reshape(len(out), outputs)
    apart = np.average(found.var(axis=0, ddof=1), axis=0, weights=w)
    score = np.average((found.mean(axis=0) - Ys) ** 2, axis=0, weights=w) - apart * (1 / 2 - 1 / 8)
    np.testing.assert_allclose(level.apart, apart, rtol=1e-6)
    np.testing.assert_allclose(level.score, score, rtol=1e-7)
    # Effective parameters of ridge: its trace, and the intercept; of each output.
    first = np.setdiff1d(np.arange(60), run.networks[0].left_out)
    A = np.c_[np.ones(len(first)), Xs[first]] * np.sqrt(w[first])[:, None]
    penalty = np.diag([0.0] + [alpha * w[first].sum() / w.sum()] * 4)
    assert level.effective == pytest.approx(outputs * np.trace(np.linalg.solve(A.T @ A + penalty, A.T @ A)), rel=1e-7)


def test_the_first_penalty_leaves_hardly_a_network_and_the_largest_none(rng):
    """As in the lasso: above the largest singular value of XᵀY there is no better network than none, below there is."""
    X = rng.normal(size=(200, 3))
    Y = np.c_[X[:, 0] - X[:, 1], X[:, 2]] + 0.1 * rng.normal(size=(200, 2))
    run = cross_fit(MLPGradientRegressor((6,), alpha="loo"), data_of(X, Y), Plan(4, 2, 300))
    of_x, of_y = run.training.units
    strength = np.linalg.norm(((X - of_x.center) / of_x.spread).T @ ((Y - of_y.center) / of_y.spread), 2)
    assert run.largest_penalty() == pytest.approx(strength)
    spread = []
    for share in (1.05, 0.8):
        objective = run.training.pose(run.data, share * strength, run.networks[0].theta)
        path = run.training.walk(objective, "lm", 300, 0.0, {})
        spread.append(float(np.std(objective.outputs(path.theta))))
    assert spread[0] < 1e-3
    assert spread[1] > 0.05


def test_the_penalty_chosen_is_the_best_of_the_path(rng):
    X, y = bowl(rng, 150)
    model = MLPGradientRegressor((8,), alpha="loo", random_state=0).fit(X, y)
    alpha, score, effective = (model.alpha_path_[name] for name in ("penalty", "score", "effective_parameters"))
    assert model.alpha_ == alpha[np.argmin(score)]
    assert (np.diff(alpha) < 0).all()
    assert (np.diff(effective) > 0).mean() > 0.6
    assert model.loo_score_ == pytest.approx(score.min(), rel=0.3)  # each row by itself, and not in folds
    assert model.effective_parameters_ == effective[np.argmin(score)]
    assert 1 < np.argmin(score) < len(score) - 1
    assert model.solver_ == "lm"
    assert "left out" in model.solver_reason_


@pytest.mark.parametrize(("n", "noise"), [(60, 0.3), (150, 0.1), (150, 1.0), (400, 0.02)])
def test_the_score_and_the_intervals_are_those_of_new_rows(n, noise):
    ratios, covered = [], []
    for seed in range(4):
        rng = np.random.default_rng([seed, n])
        X, y = bowl(rng, n, noise)
        new = bowl(rng, NEW_ROWS, noise)
        model = MLPGradientRegressor(random_state=seed).fit(X, y)
        lower, upper = model.predict_interval(new[0], 0.9)
        covered.append(np.mean((lower <= new[1]) & (new[1] <= upper)))
        ratios.append(model.loo_score_ / np.mean((model.predict(new[0]) - new[1]) ** 2))
    assert 0.7 < np.exp(np.mean(np.log(ratios))) < 1.5
    assert 0.83 < np.mean(covered) < 0.96


def test_the_default_predicts_better_than_a_fixed_penalty():
    gains = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, y = bowl(rng, 120, 0.5)
        new = bowl(rng, NEW_ROWS, 0.0)
        error = [
            np.mean((MLPGradientRegressor(alpha=a, random_state=0).fit(X, y).predict(new[0]) - new[1]) ** 2)
            for a in ("auto", FIXED_PENALTY)
        ]
        gains.append(error[0] / error[1])
    assert np.exp(np.mean(np.log(gains))) < 0.7


@pytest.mark.parametrize("weight_type", ["precision", "frequency"])
def test_rows_that_are_the_same_leave_together_so_that_weights_are_repeats(rng, weight_type):
    X, y = bowl(rng, 40)
    w = rng.integers(0, 4, 40)
    options = {"alpha": "loo", "random_state": 0, "weight_type": weight_type}
    weighted = MLPGradientRegressor((4,), **options).fit(X, y, w)
    repeated = MLPGradientRegressor((4,), **options).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    assert weighted.alpha_ == pytest.approx(repeated.alpha_, rel=1e-10)
    assert weighted.loo_score_ == pytest.approx(repeated.loo_score_, rel=1e-4)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-3, atol=1e-3)


def test_a_repeated_row_does_not_betray_its_fold():
    """Each row twice, and noise alone: networks that had seen one of the two would foretell the other."""
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(60, 8)), rng.normal(size=60)
    model = MLPGradientRegressor((10,), alpha="loo", random_state=0).fit(np.r_[X, X], np.r_[y, y])
    assert model.loo_score_ > 0.9 * y.var()
    assert np.var(model.predict(X)) < 0.3 * y.var()


def test_groups_do_not_depend_on_the_order_of_rows_nor_on_the_container(rng):
    X = rng.integers(0, 2, (50, 4)).astype(float)
    order = rng.permutation(50)
    for make in (np.asarray, sp.csr_matrix, sp.coo_matrix):
        groups = groups_of_rows(make(X))
        np.testing.assert_array_equal(groups_of_rows(make(X[order])), groups[order])
        same = (X[:, None] == X[None]).all(axis=2)
        np.testing.assert_array_equal(groups[:, None] == groups[None], same)
        assert set(groups) == set(range(groups.max() + 1))


def test_the_order_of_rows_and_the_units_change_nothing(rng):
    X, y = bowl(rng, 60)
    order = rng.permutation(60)
    first = MLPGradientRegressor((5,), alpha="loo", random_state=0).fit(X, y)
    again = MLPGradientRegressor((5,), alpha="loo", random_state=0).fit(X[order], y[order])
    np.testing.assert_allclose(again.predict(X), first.predict(X), rtol=1e-3, atol=1e-3)
    scaled = MLPGradientRegressor((5,), alpha="loo", random_state=0).fit(2.0**30 * X, 2.0**-40 * y)
    assert scaled.alpha_ == pytest.approx(first.alpha_)
    np.testing.assert_allclose(2.0**40 * scaled.predict(2.0**30 * X), first.predict(X), rtol=1e-6, atol=1e-6)
    assert 2.0**80 * scaled.loo_score_ == pytest.approx(first.loo_score_)


def test_noise_alone_is_met_by_the_mean(rng):
    X, y = rng.normal(size=(200, 5)), rng.normal(size=200)
    model = MLPGradientRegressor(random_state=0).fit(X, y)
    assert np.var(model.predict(X)) < 0.1
    assert 0.8 < model.loo_score_ / y.var() < 1.1


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity", "softplus"])
def test_every_activation(rng, activation):
    X, y = bowl(rng, 100)
    model = MLPGradientRegressor((6,), activation=activation, alpha="loo", random_state=0).fit(X, y)
    assert model.loo_score_ < (0.7 if activation == "identity" else 0.1) * y.var()


def test_two_hidden_layers_do_not_stay_at_nothing(rng):
    """Of more layers zero is a minimum that no weaker penalty leads away from."""
    X, y = bowl(rng, 200)
    assert MLPGradientRegressor((8, 6), alpha="loo", random_state=0).fit(X, y).score(X, y) > 0.9


def test_several_outputs_sparse_columns_and_float32(rng):
    X = rng.normal(size=(80, 6)) * (rng.random((80, 6)) < 0.5)
    Y = np.c_[X[:, 0] + 0.1 * rng.normal(size=80), np.tanh(X[:, 1]) + 0.3 * rng.normal(size=80)]
    model = MLPGradientRegressor((5,), alpha="loo", random_state=0).fit(X, Y)
    assert model.loo_score_.shape == (2,)
    best = model.alpha_path_["penalty"] == model.alpha_
    np.testing.assert_allclose(model.alpha_path_["score"][best][0], model.loo_score_, rtol=0.3)
    sparse = MLPGradientRegressor((5,), alpha="loo", random_state=0).fit(sp.csr_matrix(X), Y)  # other folds
    np.testing.assert_allclose(sparse.loo_score_, model.loo_score_, rtol=0.3)
    np.testing.assert_allclose(sparse.predict(X), model.predict(X), atol=0.4)
    single = MLPGradientRegressor((5,), alpha="loo", dtype="float32", random_state=0).fit(X, Y)
    np.testing.assert_allclose(single.predict(X), model.predict(X), atol=0.1)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.arange(5.0)[:, None], np.arange(5.0) ** 2),
        (np.arange(9.0)[:, None], np.full(9, 3.0)),
        (np.random.default_rng(0).normal(size=(6, 2)), np.random.default_rng(1).normal(size=(6, 9))),
        (np.random.default_rng(0).normal(size=(4, 30)), np.arange(4.0)),
        (np.c_[np.ones(30), np.arange(30) % 7], np.arange(30.0) % 5),
    ],
    ids=["five rows", "constant y", "more outputs than rows", "more columns", "a constant column"],
)
def test_small_and_odd_data_have_an_answer(X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = MLPGradientRegressor((3,), alpha="loo", random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.alpha_)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"warm_start": True}, "warm_start=False"),
        ({"n_init": 3}, "n_init=1"),
        ({"early_stopping": True}, "early_stopping="),
        ({"solver": "adam"}, "solver='lm' or 'auto'"),
        ({"alpha": "leave-one-out"}, "'auto', 'loo' or 'evidence'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_mend(rng, options, said):
    X, y = bowl(rng, 30)
    with pytest.raises(ValueError, match=said):
        MLPGradientRegressor((3,), **{"alpha": "loo"} | options).fit(X, y)


def test_rows_that_cannot_be_left_out(rng):
    X, y = bowl(rng, 30)
    with pytest.raises(ValueError, match="2 different rows too few"):
        MLPGradientRegressor((3,), alpha="loo").fit(np.repeat(X[:2], 15, axis=0), y)
    with pytest.raises(ValueError, match="no use for X_val"):
        MLPGradientRegressor((3,), alpha="loo").fit(X, y, X_val=X, y_val=y)
    assert not hasattr(MLPGradientRegressor(alpha="loo"), "partial_fit")
    assert hasattr(MLPGradientRegressor(), "partial_fit")


@pytest.mark.parametrize(
    ("options", "n"),
    [
        ({"solver": "lm"}, 30),
        ({"early_stopping": True}, 30),
        ({"warm_start": True}, 30),
        ({"n_init": 2}, 30),
        ({"batch_size": 10}, 30),
        ({"learning_rate": 0.01}, 30),
        ({}, 8),
        ({"hidden_layer_sizes": (1500,)}, 2000),
        ({}, 10_000),
    ],
    ids=str,
)
def test_auto_leaves_rows_out_only_where_that_is_left_open_and_within_reach(rng, options, n):
    X, y = bowl(rng, n)
    found, plan = resolved(network_options(MLPGradientRegressor(**options)), data_of(X, y), False)
    assert plan is None
    assert found.penalty == FIXED_PENALTY
    assert found.hidden_layer_sizes == options.get("hidden_layer_sizes", (50,))
    open_to_it, plan = resolved(network_options(MLPGradientRegressor()), data_of(*bowl(rng, 30)), False)
    assert plan == Plan(5, 2, 15)
    assert (open_to_it.hidden_layer_sizes, open_to_it.alpha) == ((20,), "loo")


def test_a_stored_fit_predicts_as_before(rng):
    X, y = bowl(rng, 50)
    model = clone(MLPGradientRegressor((4,), random_state=0)).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.predict_interval(X), model.predict_interval(X))
    assert (again.alpha_, again.loo_score_) == (model.alpha_, model.loo_score_)
    text = str(again.summary())
    assert "Penalty that rows left out chose" in text
    assert "mean of 10 networks" in text


def test_with_curvature_the_networks_are_optima_of_all_rows(rng):
    X, y = bowl(rng, 60, 0.3)
    model = MLPGradientRegressor((3,), alpha="loo", curvature="full", random_state=0).fit(X, y)
    assert model.converged_
    assert model.verdict_ in ("minimum", "flat minimum")
    assert np.isfinite(model.predict_interval(X, kind="mean")).all()


@pytest.mark.parametrize("calls", [1, 40, 300])
def test_ctrl_c_leaves_a_fit_that_says_so(rng, monkeypatch, calls):
    """In the first network, on the path, and later on."""
    X, y = bowl(rng, 60)
    left = iter([False] * (calls - 1) + [True])
    matrix = NetworkObjective.gauss_newton

    def interrupted(self, theta):
        if next(left, False):
            raise KeyboardInterrupt
        return matrix(self, theta)

    monkeypatch.setattr(NetworkObjective, "gauss_newton", interrupted)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = MLPGradientRegressor((3,), alpha="loo", random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    if calls > 1:
        assert model.score(X, y) > 0.3


def test_max_iter_is_that_of_a_level_and_told(rng):
    X, y = bowl(rng, 60)
    with pytest.warns(ConvergenceWarning, match="has not converged in 2 iterations"):
        model = MLPGradientRegressor((3,), alpha="loo", max_iter=2, random_state=0).fit(X, y)
    assert model.n_iter_ <= 2


def test_what_goes_on_has_the_width_of_what_was_begun(rng):
    X, y = bowl(rng, 60)
    model = MLPGradientRegressor(random_state=0).fit(X, y)
    assert model.coefs_[0].shape == (2, 20)
    assert model.partial_fit(X[:30], y[:30]).coefs_[0].shape == (2, 20)
    assert not hasattr(model, "alpha_")
    model = MLPGradientRegressor(random_state=0).fit(X, y).set_params(warm_start=True)
    first = model.coefs_[0].copy()
    assert model.fit(X, y).coefs_[0].shape == first.shape
    assert MLPGradientRegressor(random_state=0).partial_fit(X, y).coefs_[0].shape == (2, 50)


def test_effective_parameters_that_would_take_long_are_not_counted(rng, monkeypatch):
    X, y = bowl(rng, 60)
    monkeypatch.setattr("mle_regression.fit.cross_fitting._COUNTING_WORK", 1.0)
    model = MLPGradientRegressor((3,), alpha="loo", random_state=0).fit(X, y)
    assert np.isnan(model.effective_parameters_)
    assert np.isfinite(model.alpha_path_["score"]).all()


def test_each_layer_has_a_penalty_of_its_own_where_that_predicts_better(rng):
    X = rng.normal(size=(120, 8))
    y = np.sin(2.0 * X[:, 0]) + 0.3 * rng.normal(size=120)
    common = MLPGradientRegressor((6,), alpha="loo", random_state=0).fit(X, y)
    model = MLPGradientRegressor((6,), alpha="loo", alpha_per="layer", random_state=0).fit(X, y)
    assert set(model.alpha_) == {"layer 1", "layer 2"}
    np.testing.assert_array_equal(model.alpha_path_, common.alpha_path_)
    if model.alpha_["layer 1"] == model.alpha_["layer 2"]:
        assert model.loo_score_ == pytest.approx(common.loo_score_)
    else:  # by ratios of the path's steps, and not for nothing
        exponent = 2.0 * np.log10(model.alpha_["layer 1"] / model.alpha_["layer 2"])
        assert exponent == pytest.approx(round(exponent))
        assert model.loo_score_ < common.loo_score_
    layers = model._fit.network.layers(np.array(model._fit.alpha))
    for k, layer in enumerate(layers):
        np.testing.assert_allclose(layer[:, :-1], model.alpha_[f"layer {k + 1}"])
        assert not layer[:, -1].any()
    assert "alpha of layer 1" in str(model.summary())
    again = pickle.loads(pickle.dumps(model))
    assert again.alpha_ == model.alpha_
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_what_has_a_penalty_of_its_own_must_be_chosen_by_the_data(rng):
    X, y = bowl(rng, 30)
    with pytest.raises(ValueError, match="alpha='evidence' can choose"):
        MLPGradientRegressor((2,), alpha="loo", alpha_per="input").fit(X, y)
    with pytest.raises(ValueError, match="set alpha='loo' or alpha='evidence'"):
        MLPGradientRegressor((2,), alpha=1.0, alpha_per="layer").fit(X, y)
    with pytest.raises(ValueError, match="alpha_per='unit' is not one of"):
        MLPGradientRegressor((2,), alpha_per="unit").fit(X, y)
    with pytest.warns(FutureWarning, match="now called alpha_per='all'"):
        earlier = MLPGradientRegressor((), alpha="evidence", evidence="single", random_state=0).fit(X, y)
    now = MLPGradientRegressor((), alpha="evidence", alpha_per="all", random_state=0).fit(X, y)
    assert earlier.alpha_ == now.alpha_


def test_effort_says_how_much_time_a_choice_may_take(rng):
    def plan(effort, n, p, hidden="auto"):
        data = data_of(rng.normal(size=(n, p)), rng.normal(size=n))
        return resolved(network_options(MLPGradientRegressor(hidden, effort=effort)), data, False)[1]

    small = {effort: plan(effort, 300, 5) for effort in (1e-4, 1.0, 3.0)}
    assert small[1e-4] is None
    assert (small[1.0].networks, small[3.0].networks) == (10, 20)
    assert plan(1.0, 12_000, 4) is None
    assert plan(3.0, 12_000, 4) is not None
    network = Network((40, 20, 1), find_activation("tanh"))
    plans = [plan(effort, 3000, 40) for effort in (0.1, 0.5, 1.0, 3.0)]
    work = [0.0 if chosen is None else chosen.work(network, 3000) for chosen in plans]
    assert sorted(work) == work
    assert work[-1] > work[0]
    with pytest.raises(ValueError, match="effort"):
        MLPGradientRegressor(effort=0.0).fit(*bowl(rng, 30))
