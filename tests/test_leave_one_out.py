"""alpha="loo": the penalty under which rows left out are foretold best, against as many refits as there are rows."""

import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV

from mle_regression import InferenceWarning, MLELinearRegressor, NoiseFreeWarning
from mle_regression.linalg.left_vectors import left_vectors
from mle_regression.linalg.roots import bracketed_roots
from mle_regression.noise.location_scale import location_scale
from mle_regression.noise.registry import NOISES


def ridge(x, y, w, alpha, fit_intercept):
    """Coefficients (p, m) and constants (m,) of a weighted ridge regression, by singular values of columns of unit length."""
    mean, level = (w @ x / w.sum(), w @ y / w.sum()) if fit_intercept else (np.zeros(x.shape[1]), np.zeros(y.shape[1]))
    root = np.sqrt(w)[:, None]
    if alpha == 0:
        size = np.abs(x).max(initial=0.0)
        coef = np.linalg.lstsq(root * (x - mean) / size, root * (y - level), rcond=1e-12)[0] / size
        return coef, level - mean @ coef
    p = x.shape[1]
    unit = np.hypot(np.linalg.norm(root * (x - mean), axis=0), np.sqrt(alpha))
    a = np.vstack([root * (x - mean) / unit, np.diag(np.sqrt(alpha) / unit)])
    coef = np.linalg.lstsq(a, np.vstack([root * (y - level), np.zeros((p, y.shape[1]))]), rcond=None)[0]
    coef = coef / unit[:, None]
    return coef, level - mean @ coef


def brute_force(x, y, alpha, w=None, fit_intercept=True, frequency=False):
    """Mean squares (m,) left out, each row from a fit without it (or without one of those that it stands for)."""
    w, y = np.ones(len(y)) if w is None else w, y.reshape(len(y), -1)
    errors = np.zeros(y.shape)
    for i in np.flatnonzero(w > 0):
        left = w.copy()
        left[i] = max(w[i] - 1.0, 0.0) if frequency else 0.0
        coef, constant = ridge(x, y, left, alpha, fit_intercept)
        errors[i] = y[i] - x[i] @ coef - constant
    return w @ errors**2 / w.sum()


def assert_minimum(model, x, y, w=None, scale=1.0):
    """The score is that of brute force, and no penalty on a grid around has a lower one."""
    frequency = model.weight_type == "frequency"
    y = y.reshape(len(y), -1)
    alphas = np.atleast_1d(model.alpha_)
    for k in range(y.shape[1]):
        alpha = alphas[k if len(alphas) > 1 else 0]
        at = brute_force(x, y[:, [k]], alpha, w, model.fit_intercept, frequency)[0]
        assert np.atleast_1d(model.loo_score_)[k] == pytest.approx(at, rel=1e-8)
    groups = [[k] for k in range(y.shape[1])] if len(alphas) > 1 else [list(range(y.shape[1]))]
    for alpha, group in zip(alphas, groups, strict=True):
        chosen = np.atleast_1d(model.loo_score_)[group].mean()
        near = alpha * np.array([0.5, 0.97, 1.03, 2.0]) if alpha else np.array([1e-6, 1e-3]) * scale
        far = np.geomspace(1e-6, 1e6, 13) * scale
        for other in np.concatenate([near, far]):
            score = brute_force(x, y[:, group], other, w, model.fit_intercept, frequency).mean()
            assert score >= chosen * (1 - 1e-8)


def drawn(seed, n, p, m, noise=1.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * rng.uniform(0.3, 3.0, p) + rng.standard_normal(p)
    y = 0.5 * x @ rng.standard_normal((p, m)) + noise * rng.standard_normal((n, m))
    return x, y


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("per", ["all", "output"])
@pytest.mark.parametrize("weight_type", [None, "precision", "frequency"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    ("n", "p", "m"), [(25, 4, 1), (25, 4, 3), (8, 14, 1), (8, 14, 2), (7, 6, 2), (9, 1, 1), (5, 3, 9)]
)
def test_against_refits(n, p, m, fit_intercept, weight_type, per):
    x, y = drawn(n + p, n, p, m)
    rng = np.random.default_rng(0)
    w = {None: None, "precision": rng.uniform(0.2, 3.0, n), "frequency": rng.integers(1, 4, n).astype(float)}[
        weight_type
    ]
    model = MLELinearRegressor(alpha="loo", alpha_per=per, fit_intercept=fit_intercept)
    model.set_params(weight_type=weight_type or "precision").fit(x, y, w)
    assert_minimum(model, x, y, w)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(4, 14),
    p=st.integers(1, 10),
    m=st.integers(1, 3),
    fit_intercept=st.booleans(),
    weighted=st.booleans(),
    sparse=st.booleans(),
    noise=st.sampled_from([0.01, 1.0, 30.0]),
)
def test_drawn_designs(seed, n, p, m, fit_intercept, weighted, sparse, noise):
    x, y = drawn(seed, n, p, m, noise)
    x = np.where(x > 0.3, x, 0.0) if sparse else x
    w = np.random.default_rng(seed).uniform(0.1, 4.0, n) if weighted else None
    model = MLELinearRegressor(alpha="loo", fit_intercept=fit_intercept).fit(sp.csr_array(x) if sparse else x, y, w)
    if model._fit.chosen.own.size or not model.alpha_path_.size:
        return
    assert_minimum(model, x, y, w)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(3, 14),
    p=st.integers(1, 12),
    spread=st.sampled_from([0.0, 3.0]),
    mean=st.sampled_from([0.0, 1e3]),
    repeated=st.booleans(),
    rounded=st.booleans(),
    fit_intercept=st.booleans(),
)
def test_hard_designs(seed, n, p, spread, mean, repeated, rounded, fit_intercept):
    """Large means, columns of unlike lengths and near dependencies, rows twice: all penalties that matter."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-spread, spread, p) + mean
    x = np.round(x) if rounded else x
    y = rng.standard_normal((n, 1))
    if repeated:
        x[n // 2 :] = x[: n - n // 2].copy()
    model = MLELinearRegressor(alpha="loo", fit_intercept=fit_intercept).fit(x, y)
    if model._fit.chosen.own.size:
        return
    for penalty, score, _ in model.alpha_path_[1:-1:4]:
        if penalty > 1e-9 * np.linalg.norm(x) ** 2:
            assert score == pytest.approx(brute_force(x, y, penalty, None, fit_intercept)[0], rel=1e-8)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("of_x", [1e-100, 1e-30, 1e100])
@pytest.mark.parametrize("of_y", [1e-100, 1e100])
def test_extreme_units(of_x, of_y, fit_intercept):
    x, y = drawn(3, 20, 4, 1)
    near = MLELinearRegressor(alpha="loo", fit_intercept=fit_intercept).fit(x, y[:, 0])
    far = MLELinearRegressor(alpha="loo", fit_intercept=fit_intercept).fit(of_x * x, of_y * y[:, 0])
    assert far.alpha_ / of_x**2 == pytest.approx(near.alpha_, rel=1e-10)
    assert far.loo_score_ / of_y / of_y == pytest.approx(near.loo_score_, rel=1e-12)
    np.testing.assert_allclose(far.coef_ * of_x / of_y, near.coef_, rtol=1e-9)


@pytest.mark.parametrize(("n", "p"), [(20, 4), (6, 9)])
def test_columns_of_unlike_units(n, p):
    x, y = drawn(4, n, p, 1)
    x = x * np.geomspace(1e-50, 1e50, p)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLELinearRegressor(alpha="loo").fit(x, y[:, 0])
    for penalty, score, _ in model.alpha_path_[1:-1:6]:
        assert score == pytest.approx(brute_force(x, y, penalty)[0], rel=1e-8)


@pytest.mark.parametrize("factor", [1e-8, 1e8])
def test_weights_in_other_units(factor):
    x, y = drawn(5, 20, 4, 1)
    w = np.random.default_rng(0).uniform(0.5, 2.0, 20)
    one, other = (MLELinearRegressor(alpha="loo").fit(x, y[:, 0], weights) for weights in (w, factor * w))
    assert other.alpha_ == pytest.approx(factor * one.alpha_, rel=1e-10)
    assert other.loo_score_ == pytest.approx(one.loo_score_, rel=1e-12)
    far = MLELinearRegressor(alpha="loo").fit(x, y[:, 0], w * 1e-200)
    assert far.alpha_ == pytest.approx(1e-200 * one.alpha_, rel=1e-10)


@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")
@pytest.mark.parametrize(("n", "p"), [(15, 3), (6, 9), (20, 9)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_frequencies_are_repeated_rows(n, p, fit_intercept):
    x, y = drawn(6, n, p, 2)
    counts = np.random.default_rng(1).integers(0, 4, n)
    repeated = MLELinearRegressor(alpha="loo", fit_intercept=fit_intercept, on_rank_deficiency="min_norm")
    model = clone(repeated).set_params(weight_type="frequency").fit(x, y, counts)
    repeated.fit(np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0))
    assert model.alpha_ == pytest.approx(repeated.alpha_, rel=1e-9)
    np.testing.assert_allclose(model.loo_score_, repeated.loo_score_, rtol=1e-10)
    np.testing.assert_allclose(model.coef_, repeated.coef_, rtol=1e-8)


def test_rows_of_weight_zero_are_absent():
    x, y = drawn(7, 20, 4, 1)
    w = np.ones(20)
    w[[2, 5, 19]] = 0.0
    model = MLELinearRegressor(alpha="loo").fit(x, y[:, 0], w)
    fewer = MLELinearRegressor(alpha="loo").fit(x[w > 0], y[w > 0, 0])
    assert model.alpha_ == pytest.approx(fewer.alpha_, rel=1e-9)
    assert model.loo_score_ == pytest.approx(fewer.loo_score_, rel=1e-12)


def test_duplicated_rows_leave_alone():
    x, y = drawn(8, 10, 4, 1)
    x, y = np.repeat(x, 2, axis=0), np.repeat(y, 2, axis=0)
    assert_minimum(MLELinearRegressor(alpha="loo").fit(x, y[:, 0]), x, y)


def test_rows_with_a_parameter_of_their_own():
    x, y = drawn(9, 20, 3, 1, noise=3.0)
    own = np.zeros((20, 2))
    own[4, 0], own[11, 1] = 1.0, 1.0
    with pytest.warns(InferenceWarning, match=r"parameter of their own .*: 4, 11\. Remove the columns"):
        model = MLELinearRegressor(alpha="loo").fit(np.hstack([x, own]), y[:, 0])
    counted = np.setdiff1d(np.arange(20), [4, 11])
    errors = [
        y[i] - np.r_[x[i], own[i]] @ coef - constant
        for i in counted
        for coef, constant in [ridge(np.hstack([x, own]), y, (np.arange(20) != i) * 1.0, model.alpha_, True)]
    ]
    assert model.loo_score_ == pytest.approx(np.mean(np.square(errors)), rel=1e-9)
    assert "2 rows that have a parameter of their own" in model.summary().to_text(120)


def test_no_penalty_is_a_limit():
    x, y = drawn(10, 60, 3, 1)
    y = y + 50.0 * x @ [[1.0], [2.0], [-1.0]]
    slope = [score for _, score, _ in MLELinearRegressor(alpha="loo").fit(x, y[:, 0]).alpha_path_]
    assert slope[0] == pytest.approx(brute_force(x, y, 0.0)[0], rel=1e-8)
    found = [MLELinearRegressor(alpha="loo").fit(*(part for part in _seeded(seed))) for seed in range(20)]
    zero = [model for model in found if model.alpha_ == 0.0]
    assert zero
    assert "without a penalty: alpha_ is 0" in " ".join(zero[0].summary().to_text(100).split())
    assert zero[0].coefficients().columns.tolist()[1] == "std_error"


def _seeded(seed):
    x, y = drawn(seed, 60, 3, 1, noise=0.3)
    return x, (y + 50.0 * x @ [[1.0], [2.0], [-1.0]])[:, 0]


def test_an_infinite_penalty_is_a_limit():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((30, 6)), rng.standard_normal(30)
    with pytest.warns(ConvergenceWarning, match="without any column: alpha_=.* stands for infinity"):
        model = MLELinearRegressor(alpha="loo").fit(x, y)
    assert np.abs(model.coef_).max() < 1e-9
    assert model.loo_score_ == pytest.approx(np.mean((y - y.mean()) ** 2) / (1 - 1 / 30) ** 2, rel=1e-9)
    assert model.alpha_path_["penalty"][-1] == np.inf
    assert model.alpha_path_["effective_parameters"][-1] == pytest.approx(1.0)
    assert "without any column: alpha_ is large" in " ".join(model.summary().to_text(100).split())


def test_the_lowest_of_several_minima():
    """A strong effect along a weak direction, and noise along the strong one: two minima, of which each may be the lower."""
    several = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((12, 3)) * [1e4, 1.0, 1e-3]
        y = x @ [0.0, 0.0, 2e3] + rng.standard_normal(12)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MLELinearRegressor(alpha="loo").fit(x, y)
        path = model.alpha_path_["score"]
        inner = (path[1:-1] < path[:-2] - 1e-9) & (path[1:-1] < path[2:] - 1e-9)
        several += int(inner.sum() > 1)
        grid = np.geomspace(1e-9, 1e12, 60)
        assert min(brute_force(x, y, alpha)[0] for alpha in grid[::6]) >= model.loo_score_ * (1 - 1e-9)
        assert path.min() >= model.loo_score_ * (1 - 1e-12)
    assert several


def test_a_constant_output():
    x, _ = drawn(11, 12, 3, 1)
    with pytest.warns(NoiseFreeWarning, match="does not vary"):
        model = MLELinearRegressor(alpha="loo").fit(x, np.full(12, 2.8))
    np.testing.assert_array_equal(model.coef_, 0.0)
    assert model.loo_score_ == 0.0


def test_no_column_varies():
    y = np.arange(5.0)
    with pytest.warns(ConvergenceWarning, match="No column of X varies"):
        model = MLELinearRegressor(alpha="loo", on_rank_deficiency="min_norm").fit(np.ones((5, 2)), y)
    assert model.alpha_ == 0.0
    assert model.loo_score_ == pytest.approx(np.mean((y - 2.0) ** 2) / 0.8**2)


@pytest.mark.filterwarnings("ignore")
def test_one_row():
    model = MLELinearRegressor(alpha="loo").fit([[1.0, 2.0]], [3.0])
    assert model.alpha_ == 0.0
    assert np.isnan(model.loo_score_)


def test_as_ridge_cv():
    x, y = drawn(12, 50, 6, 3)
    model = MLELinearRegressor(alpha="loo").fit(x, y)
    peer = RidgeCV(alphas=model.alpha_ * np.array([0.9, 1.0, 1.1]), store_cv_results=True).fit(x, y)
    assert peer.alpha_ == pytest.approx(model.alpha_)
    np.testing.assert_allclose(peer.cv_results_[:, :, 1].mean(axis=0), model.loo_score_, rtol=1e-10)
    each = MLELinearRegressor(alpha="loo", alpha_per="output").fit(x, y)
    assert each.alpha_.shape == (3,)
    assert each.alpha_path_["score"].shape[1] == 3
    for k in range(3):
        alone = MLELinearRegressor(alpha="loo").fit(x, y[:, k])
        assert each.alpha_[k] == pytest.approx(alone.alpha_, rel=1e-9)
        assert each.loo_score_[k] == pytest.approx(alone.loo_score_, rel=1e-12)
        np.testing.assert_allclose(each.coef_[k], alone.coef_, rtol=1e-8)


@pytest.mark.parametrize("weight_type", ["precision", "frequency"])
def test_the_score_is_that_of_diagnose(weight_type):
    x, y = drawn(13, 30, 4, 2)
    w = np.random.default_rng(0).integers(1, 4, 30).astype(float)
    for per in ("all", "output"):
        model = MLELinearRegressor(alpha="loo", alpha_per=per, weight_type=weight_type).fit(x, y, w)
        np.testing.assert_allclose(model.diagnose(x, y, w).press / w.sum(), model.loo_score_, rtol=1e-10)


def test_the_fit_is_that_of_the_penalty():
    x, y = drawn(14, 30, 4, 1)
    chosen = MLELinearRegressor(alpha="loo").fit(x, y[:, 0])
    given = MLELinearRegressor(alpha=chosen.alpha_).fit(x, y[:, 0])
    np.testing.assert_array_equal(chosen.coef_, given.coef_)
    np.testing.assert_array_equal(chosen.predict(x, return_std=True), given.predict(x, return_std=True))
    assert not hasattr(given, "alpha_")
    assert not hasattr(chosen.set_params(alpha=1.0).fit(x, y[:, 0]), "loo_score_")


@pytest.mark.parametrize("solver", ["normal", "qr", "svd", "lsmr", "gd", "lbfgs", "newton"])
def test_every_solver(solver):
    x, y = drawn(15, 40, 4, 2)
    reference = MLELinearRegressor(alpha="loo").fit(x, y)
    model = MLELinearRegressor(alpha="loo", solver=solver, warm_start=True).fit(x, y).fit(x, y)
    assert model.alpha_ == reference.alpha_
    np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-5)


@pytest.mark.parametrize("per", ["all", "output"])
def test_storage_and_summary(per):
    x, y = drawn(16, 30, 4, 2)
    model = MLELinearRegressor(alpha="loo", alpha_per=per).fit(x, y)
    stored = io.BytesIO()
    joblib.dump(model, stored)
    stored.seek(0)
    for found in (pickle.loads(pickle.dumps(model)), joblib.load(stored)):
        np.testing.assert_array_equal(found.alpha_, model.alpha_)
        np.testing.assert_array_equal(found.alpha_path_, model.alpha_path_)
        assert found.summary().to_text(100) == model.summary().to_text(100)
    assert "mean square left out" in str(model.summary())
    assert model.alpha_path_.dtype.names == ("penalty", "score", "effective_parameters")


def test_batches_cannot_choose():
    x, y = drawn(17, 30, 4, 1)
    model = MLELinearRegressor(alpha="loo")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as raised:
        model.partial_fit(x, y[:, 0])
    assert "alpha='loo' is chosen from all rows together" in str(raised.value.__cause__)
    on = model.fit(x[:20], y[:20, 0]).set_params(alpha=1.0).partial_fit(x[20:], y[20:, 0])
    np.testing.assert_allclose(on.coef_, MLELinearRegressor(alpha=1.0).fit(x, y[:, 0]).coef_, rtol=1e-9)
    assert not hasattr(on, "alpha_")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": "loo", "alpha_per": "layer"}, "alpha_per='layer' is not one of: 'all', 'output'"),
        ({"alpha": 1.0, "alpha_per": "output"}, "alpha_per='output' is for alpha='loo'"),
        ({"alpha": "evidence", "alpha_per": "output"}, "alpha_per='output' is for alpha='loo'"),
        ({"alpha": "press"}, "'evidence' or 'loo', by which the data choose it"),
    ],
)
def test_bad_options(options, said):
    x, y = drawn(18, 30, 4, 1)
    with pytest.raises(ValueError, match=said):
        MLELinearRegressor(**options).fit(x, y[:, 0])


def test_least_squares_only(monkeypatch):
    monkeypatch.setitem(
        NOISES,
        "logistic",
        location_scale("logistic", "logistic noise", lambda e: -np.abs(e) - 2.0 * np.log1p(np.exp(-np.abs(e)))),
    )
    x, y = drawn(18, 30, 4, 1)
    with pytest.raises(ValueError, match="alpha='loo' is defined for noise='gaussian' only; set a number as alpha"):
        MLELinearRegressor(alpha="loo", noise="logistic").fit(x, y[:, 0])


def test_memory_is_told(monkeypatch):
    monkeypatch.setattr("mle_regression.linalg.memory.memory_bytes", lambda: 1e6)
    x = sp.random(20_000, 300, density=0.001, random_state=0, format="csr")
    with pytest.raises(ValueError, match="alpha='loo' decomposes X of 20000 x 300 as a whole: about .* GiB"):
        MLELinearRegressor(alpha="loo").fit(x, np.arange(20_000.0))


@pytest.mark.parametrize(("n", "p"), [(30, 5), (5, 30), (12, 12)])
@pytest.mark.parametrize("power", [0, 4, 30])
def test_left_vectors(n, p, power):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((n, p)) * 10.0 ** np.linspace(0, power, p)
    left, values = left_vectors(a, 1e-12)
    np.testing.assert_allclose(left.T @ left, np.eye(len(values)), atol=1e-12)
    np.testing.assert_allclose(left @ (left.T @ a), a, rtol=1e-11, atol=0)
    if power < 30:
        np.testing.assert_allclose(values, np.linalg.svd(a, compute_uv=False), rtol=1e-9)


def test_roots():
    rng = np.random.default_rng(0)
    truth = rng.uniform(-3.0, 3.0, 40)

    def function(x):
        return np.sinh(3.0 * (x - truth)) * np.exp(truth * 20.0)

    low, high = np.full(40, -4.0), np.full(40, 5.0)
    found = bracketed_roots(function, low, high, function(low), function(high), 1e-13)
    np.testing.assert_allclose(found, truth, rtol=1e-12, atol=1e-12)
