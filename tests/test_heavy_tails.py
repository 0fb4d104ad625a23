"""Columns with heavy tails: which they are, how they count, and where that is kept."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import expon, laplace, lognorm, norm, t, uniform

from mle_regression import MLPGradientRegressor
from mle_regression.diagnostics.inputs import input_relations, null_inputs
from mle_regression.fit.column_moments import units_of
from mle_regression.noise.registry import find_noise
from mle_regression.rows.training_data import TrainingData


def drawn(rng, n=120):
    """Return X of a normal and a lognormal column, and y."""
    X = np.c_[rng.normal(size=n), np.exp(1.5 * rng.normal(size=n))]
    return X, X[:, 0] + np.log(X[:, 1]) + 0.2 * rng.normal(size=n)


@pytest.fixture(scope="module")
def fitted():
    X, y = drawn(np.random.default_rng(0))
    return MLPGradientRegressor((4,), random_state=0).fit(X, y), X, y


@pytest.mark.parametrize(
    ("law", "heavy"),
    [(norm(), False), (uniform(), False), (expon(), False), (laplace(), True), (lognorm(1.0), True), (t(2.5), True)],
)
def test_which_columns_have_heavy_tails(law, heavy):
    column = law.ppf((np.arange(4000) + 0.5) / 4000)[:, None]
    data = TrainingData(column, np.zeros((4000, 1)), None, True, 0.0)
    bend = units_of(data, "auto", find_noise("gaussian"), None)[0].bend
    assert (bend is not None) == heavy
    if heavy:
        assert bend.origin[0] == pytest.approx(law.median(), abs=2e-3)
        assert bend.scale[0] == pytest.approx(
            (law.ppf(0.75) - law.ppf(0.25)) / (norm.ppf(0.75) - norm.ppf(0.25)), rel=5e-3
        )


def test_a_value_that_is_there_often_does_not_count_as_the_middle(rng):
    """Half of a column zero: its quartiles are about zero, however wide the rest is."""
    X = rng.normal(size=(400, 2)) * (rng.random((400, 2)) < 0.5)
    X[:, 1] = np.exp(2.0 * rng.normal(size=400)) * (rng.random(400) < 0.6)
    X = np.c_[X, rng.random(400) < 0.3, rng.integers(0, 4, 400)]
    data = TrainingData(X, np.zeros((400, 1)), None, True, 0.0)
    bend = units_of(data, "auto", find_noise("gaussian"), None)[0].bend
    np.testing.assert_array_equal(np.isnan(bend.scale), [True, False, True, True])
    low, high = np.quantile(X[X[:, 1] > 0, 1], [0.25, 0.75])
    assert bend.scale[1] == pytest.approx((high - low) / 1.349, rel=0.05)


def test_heavy_columns_predict_better_bent():
    gains = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = np.exp(1.2 * rng.normal(size=(1200, 3)))
        y = np.log(X[:, 0]) * np.sqrt(X[:, 1]) + X[:, 2] / (1.0 + X[:, 0]) + 0.3 * rng.normal(size=1200)
        errors = []
        for standardize in ("auto", True):
            model = MLPGradientRegressor((6,), standardize=standardize, random_state=0).fit(X[:200], y[:200])
            errors.append(np.mean((model.predict(X[200:]) - y[200:]) ** 2))
        gains.append(errors[0] / errors[1])
    assert np.exp(np.mean(np.log(gains))) < 0.8


def test_weights_of_the_coefficients_are_those_of_bent_columns(fitted):
    model, X, _ = fitted
    np.testing.assert_array_equal(np.isnan(model.asinh_center_), [True, False])
    bent = np.c_[X[:, 0], np.arcsinh((X[:, 1] - model.asinh_center_[1]) / model.asinh_scale_[1])]
    hidden = np.tanh(bent @ model.coefs_[0] + model.intercepts_[0])
    own = (hidden @ model.coefs_[1] + model.intercepts_[1])[:, 0]
    np.testing.assert_allclose(own, model._fit.own_mean(X)[:, 0], rtol=1e-10)
    assert "1 of 2 column has heavy tails" in str(model.summary())


def test_units_do_not_matter(fitted):
    model, X, y = fitted
    other = X * [2.0**-10, 2.0**200]
    scaled = MLPGradientRegressor((4,), random_state=0).fit(other, 4.0 * y)
    np.testing.assert_allclose(scaled.predict(other), 4.0 * model.predict(X), rtol=1e-10)
    assert scaled.asinh_scale_[1] / 2.0**200 == pytest.approx(model.asinh_scale_[1], rel=1e-12)


def test_weights_say_how_often_a_row_is_there(rng):
    X, y = drawn(rng, 60)
    w = rng.integers(0, 4, 60)
    noise = find_noise("gaussian")
    weighted = units_of(TrainingData(X, y[:, None], w.astype(float), True, 0.0), "auto", noise, None)[0]
    X, y = np.repeat(X, w, axis=0), np.repeat(y, w)
    repeated = units_of(TrainingData(X, y[:, None], None, True, 0.0), "auto", noise, None)[0]
    for name in ("center", "spread"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(weighted.bend.scale, repeated.bend.scale, rtol=1e-12)


def test_rows_as_far_away_as_numbers_go(fitted):
    model, _, _ = fitted
    far = np.array([[0.0, 1.7e308], [0.0, -1.7e308], [0.0, 1e300]])
    assert np.isfinite(model.predict(far)).all()
    assert np.isfinite(model.predict(far, return_std=True)[1]).all()


def test_what_is_not_bent(rng):
    X, y = drawn(rng, 60)
    for model, x in (
        (MLPGradientRegressor((3,), standardize=True, random_state=0), X),
        (MLPGradientRegressor((3,), standardize=False, random_state=0), X / 10.0),
        (MLPGradientRegressor((3,), alpha=1.0, random_state=0), X),
        (MLPGradientRegressor((3,), activation="identity", random_state=0), X),
        (MLPGradientRegressor((3,), random_state=0), sp.csr_array(X)),
    ):
        model.fit(x, y)
        assert model._fit.of_x.bend is None
        assert not hasattr(model, "asinh_scale_")
    with pytest.raises(ValueError, match="standardize='maybe' is not one of"):
        MLPGradientRegressor(standardize="maybe").fit(X, y)


def test_it_is_kept_in_files_and_by_who_goes_on(fitted):
    model, X, y = fitted
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.asinh_scale_, model.asinh_scale_)
    again.partial_fit(X, y)
    np.testing.assert_array_equal(again.asinh_scale_, model.asinh_scale_)
    assert again.score(X, y) > 0.9


def test_columns_that_depend_on_each_other_are_named_in_their_units(rng):
    X, y = drawn(rng, 80)
    X = np.c_[X, 3.0 * X[:, 1] + 2.0]
    fit = MLPGradientRegressor((2,), random_state=0).fit(X, y)._fit
    (relation,) = input_relations(null_inputs(fit.objective(X).input_products()), *fit.of_x.place)
    assert relation.dependent == 2
    assert dict(relation.terms)[1] == pytest.approx(3.0)
    assert relation.constant == pytest.approx(2.0)
