"""Bad input: a clear error that names the place and the remedy, or the right answer."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from mle_regression import MLELinearRegressor, NoiseFreeWarning


@pytest.fixture
def rows(rng):
    X = rng.standard_normal((30, 3))
    return X, X @ np.ones(3) + rng.standard_normal(30)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_x_names_the_column(value, solver, rows):
    X, y = rows
    X[7, 1] = value
    with pytest.raises(ValueError, match=r"NaN or infinity: column 1 of X\. .*SimpleImputer"):
        MLELinearRegressor(solver=solver).fit(X, y)
    with pytest.raises(ValueError, match=r"column 'b' of X"):
        MLELinearRegressor(solver=solver).fit(pd.DataFrame(X, columns=["a", "b", "c"]), y)
    with pytest.raises(ValueError, match=r"column 1 of X"):
        MLELinearRegressor(solver=solver).fit(sp.csr_array(X), y)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        MLELinearRegressor(solver=solver).fit(X[8:], y[8:]).predict(X)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_y(value, solver, rows):
    X, y = rows
    y[3] = value
    with pytest.raises(ValueError, match=r"Input y contains NaN or infinity: y\."):
        MLELinearRegressor(solver=solver).fit(X, y)
    with pytest.raises(ValueError, match=r"y\[:, 1\]"):
        MLELinearRegressor(solver=solver).fit(X, np.column_stack([np.ones(30), y]))


def test_non_finite_in_wide_and_in_many_rows(solver, rng):
    X = rng.standard_normal((5, 20))
    X[2, 11] = np.nan
    with pytest.raises(ValueError, match="column 11 of X"):
        MLELinearRegressor(solver=solver).fit(X, np.ones(5))
    X = rng.standard_normal((200_000, 3))
    X[-1, 2] = np.inf
    with pytest.raises(ValueError, match="column 2 of X"):
        MLELinearRegressor(solver=solver).fit(X, X[:, 0])


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (-np.eye(30)[4], r"sample_weight\[4\] is -1.0: negative"),
        (np.where(np.arange(30) == 2, np.nan, 1.0), r"sample_weight\[2\] is nan"),
        (np.where(np.arange(30) == 2, np.inf, 1.0), r"sample_weight\[2\] is inf"),
        (np.zeros(30), "All sample weights are zero"),
        (np.ones(29), r"shape \(29,\)"),
        (np.ones((30, 2)), r"shape \(30, 2\)"),
    ],
)
def test_weights(weights, said, rows):
    X, y = rows
    with pytest.raises(ValueError, match=said):
        MLELinearRegressor().fit(X, y, weights)
    with pytest.raises(ValueError, match=said):
        MLELinearRegressor().fit(X, y).log_likelihood(X, y, weights)


def test_lengths_and_shapes(rows):
    X, y = rows
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MLELinearRegressor().fit(X, y[:-1])
    with pytest.raises(ValueError, match="Expected 2D array"):
        MLELinearRegressor().fit(X[:, 0], y)
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        MLELinearRegressor().fit(X[:, :0], y)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        MLELinearRegressor().fit(X[:0], y[:0])
    with pytest.raises(ValueError, match="dim"):
        MLELinearRegressor().fit(X, np.ones((30, 2, 2)))
    with pytest.raises(ValueError, match="requires y"):
        MLELinearRegressor().fit(X, None)
    with pytest.raises(ValueError, match="3 features"):
        MLELinearRegressor().fit(X, y).predict(X[:, :2])
    with pytest.raises(ValueError, match=r"y has shape \(30, 2\)"):
        MLELinearRegressor().fit(X, y).log_likelihood(X, np.ones((30, 2)))
    with pytest.raises(NotFittedError):
        MLELinearRegressor().predict(X)
    with pytest.raises(AttributeError):
        _ = MLELinearRegressor().hessian_eigenvalues_


def test_types_that_have_no_meaning_here(rows):
    X, y = rows
    fit = MLELinearRegressor().fit
    with pytest.raises(ValueError, match="[Cc]omplex"):
        fit(X + 1j, y)
    with pytest.raises(ValueError, match="[Cc]omplex"):
        fit(X, y + 1j)
    with pytest.raises(TypeError, match="masked"):
        fit(np.ma.masked_array(X, X > 0), y)
    with pytest.raises(TypeError, match="masked"):
        fit(X, np.ma.masked_array(y, y > 0))
    with pytest.raises(ValueError, match="datetime64"):
        fit(np.full((30, 1), np.datetime64("2024-01-01")), y)
    with pytest.raises(ValueError, match=r"string|convert"):
        fit(np.full((30, 1), "a"), y)
    with pytest.raises(ValueError, match=r"string|convert"):
        fit(pd.DataFrame({"a": ["red"] * 30}), y)
    if np.finfo(np.longdouble).eps < np.finfo(float).eps:
        with pytest.raises(ValueError, match=r"float128|longdouble"):
            fit(X.astype(np.longdouble), y)
        with pytest.raises(ValueError, match=r"float128|longdouble"):
            fit(X, y.astype(np.longdouble))


def test_integers_that_float64_would_round(rows):
    X, y = rows
    counts = np.random.default_rng(0).integers(0, 10**6, (30, 3))
    with pytest.raises(ValueError, match=r"2\*\*53 in column 'b' of X.*Subtract"):
        MLELinearRegressor().fit(pd.DataFrame(counts + [0, 2**60, 0], columns=["a", "b", "c"]), y)
    with pytest.raises(ValueError, match=r"2\*\*53 in y"):
        MLELinearRegressor().fit(X, np.arange(30) - 2**60)
    with pytest.raises(ValueError, match=r"2\*\*53 in column 0"):
        MLELinearRegressor().fit(sp.csr_array(counts + [2**60, 0, 0]), y)
    ours = MLELinearRegressor().fit(counts + [0, 2**52, 0], y)
    np.testing.assert_allclose(ours.coef_, MLELinearRegressor().fit(counts, y).coef_, rtol=1e-13)


def test_frames(rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    truth = MLELinearRegressor().fit(X, y)
    for made in (pl.DataFrame(frame.to_dict("list")), frame.assign(a=frame["a"].astype("Float64")), frame):
        model = MLELinearRegressor().fit(made, pd.Series(y))
        np.testing.assert_allclose(model.coef_, truth.coef_, rtol=1e-15)
        # scikit-learn 1.6 does not read the names of today's polars.
        assert list(getattr(model, "feature_names_in_", ["a", "b", "c"])) == ["a", "b", "c"]
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="same order"):
        model.predict(frame[["b", "a", "c"]])
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(X)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"solver": "lu"}, "'auto', 'normal', 'qr', 'svd'"),
        ({"solver": 3}, "the solvers are"),
        ({"noise": "white"}, "the families are: 'gaussian'"),
        ({"alpha": -1.0}, "alpha=-1.0 must be a finite number"),
        ({"alpha": np.nan}, "alpha=nan"),
        ({"alpha": "1"}, "alpha='1'"),
        ({"alpha": None}, "alpha=None"),
        ({"fit_intercept": "yes"}, "fit_intercept='yes' is not one of: True, False"),
        ({"weight_type": "analytic"}, "'precision', 'frequency'"),
        ({"rank_tol": -1}, "rank_tol=-1"),
        ({"rank_tol": "small"}, "rank_tol='small'"),
        ({"on_rank_deficiency": "ignore"}, "'warn', 'raise', 'drop', 'min_norm'"),
        ({"refine": 2}, "refine=2"),
    ],
)
def test_options(option, said, rows):
    with pytest.raises(ValueError, match=said):
        MLELinearRegressor(**option).fit(*rows)


@pytest.mark.parametrize("coverage", [0, 1, 95, "0.9", None])
def test_coverage(coverage, rows):
    model = MLELinearRegressor().fit(*rows)
    with pytest.raises(ValueError, match="coverage"):
        model.predict_interval(rows[0], coverage=coverage)
    with pytest.raises(ValueError, match="confidence"):
        model.coefficients(confidence=coverage)


def test_kind_of_interval(rows):
    with pytest.raises(ValueError, match="'observation', 'mean'"):
        MLELinearRegressor().fit(*rows).predict_interval(rows[0], kind="prediction")


def test_a_failed_fit_leaves_the_earlier_one(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    before = model.coefficients(), model.predict(X)
    for bad in (X[:, :2], np.where(X > 1, np.nan, X)):
        with pytest.raises(ValueError, match=r"NaN|weights"):
            model.fit(bad, y, None if np.isnan(bad).any() else -np.ones(30))
        pd.testing.assert_frame_equal(model.coefficients(), before[0])
        np.testing.assert_array_equal(model.predict(X), before[1])


def test_constant_y(solver, rows):
    with pytest.warns(NoiseFreeWarning, match="exact"):
        model = MLELinearRegressor(solver=solver).fit(rows[0], np.full(30, 0.1))
    np.testing.assert_allclose(model.coef_, 0, atol=1e-16)
    assert model.intercept_ == pytest.approx(0.1, rel=1e-15)
    assert model.log_likelihood_ == np.inf
    assert model.aic_ == -np.inf


@pytest.mark.parametrize("refine", [True, False])
def test_y_exactly_linear(refine, solver, rng):
    X = rng.standard_normal((30, 3))
    y = X @ np.array([1.0, -2.0, 3.0]) + 4.0
    with pytest.warns(NoiseFreeWarning, match="infinite"):
        model = MLELinearRegressor(solver=solver, refine=refine).fit(X, y)
    np.testing.assert_allclose(model.coef_, [1.0, -2.0, 3.0], rtol=1e-14)
    assert model.log_likelihood_ == np.inf
    assert model.log_likelihood(X, y) == np.inf
    assert model.log_likelihood(X, y + 1.0) == -np.inf
    assert model.noise_variance_ < 1e-28
    assert (model.standard_errors_ < 1e-14).all()


def test_zero_y(solver, rows):
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor(solver=solver).fit(rows[0], np.zeros(30))
    np.testing.assert_array_equal(model.coef_, 0)
    assert model.noise_variance_ == 0


@pytest.mark.parametrize("scale_x", [1e-200, 1e-300, 1e200])
@pytest.mark.parametrize("scale_y", [1e-100, 1.0, 1e100])
def test_extreme_scales(scale_x, scale_y, solver, rng):
    X = rng.standard_normal((30, 3))
    y = X @ np.ones(3) + rng.standard_normal(30)
    if scale_x == 1e-300 and scale_y == 1e100:
        with pytest.raises(ValueError, match="beyond the range of float64"):
            MLELinearRegressor(solver=solver).fit(X * scale_x, y * scale_y)
        return
    plain = MLELinearRegressor(solver=solver).fit(X, y)
    model = MLELinearRegressor(solver=solver).fit(X * scale_x, y * scale_y)
    np.testing.assert_allclose(model.coef_ / (scale_y / scale_x), plain.coef_, rtol=1e-13)
    np.testing.assert_allclose(model.standard_errors_ / (scale_y / scale_x), plain.standard_errors_, rtol=1e-13)
    np.testing.assert_allclose(model.predict(X * scale_x), plain.predict(X) * scale_y, rtol=1e-12)
    assert model.score(X * scale_x, y * scale_y) == pytest.approx(plain.score(X, y))


def test_duplicate_outputs_have_no_joint_density(rng):
    X, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    with pytest.warns(NoiseFreeWarning, match=r"singular.*y\[:, 1\] = y\[:, 0\]"):
        model = MLELinearRegressor().fit(X, np.column_stack([y, y]))
    assert model.log_likelihood_ == np.inf


@pytest.mark.parametrize("value", [[], np.array([1.0, 2.0]), "x", 10**400, float("inf"), float("nan"), -1.0, True, 1j])
@pytest.mark.parametrize("name", ["alpha", "rank_tol", "tol", "learning_rate"])
def test_numbers_that_are_none(name, value):
    """Options say their name and what they take, whatever they are given."""
    X = np.arange(12.0).reshape(6, 2) ** 2
    model = MLELinearRegressor(solver="gd", **{name: value})
    with pytest.raises(ValueError, match=rf"^{name}="):
        model.fit(X, X[:, 0])
    fitted = MLELinearRegressor().fit(X, X[:, 0] ** 2)
    for call in (lambda: fitted.predict_interval(X, coverage=value), lambda: fitted.coefficients(confidence=value)):
        with pytest.raises(ValueError, match="must lie strictly between 0 and 1"):
            call()
