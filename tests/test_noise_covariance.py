"""The noise covariance of several outputs where it is singular or nearly so, against many digits."""

import mpmath
import numpy as np
import pandas as pd
import pytest

from mle_regression import MLELinearRegressor, MLPGradientRegressor, NoiseFreeWarning, compare_models
from mle_regression.diagnostics.likelihood import new_log_density
from mle_regression.diagnostics.noise_factor import factor_of_array, factor_of_cross, factor_of_sums, noise_range
from mle_regression.linalg.exact import exact_gram
from mle_regression.noise.gaussian import GAUSSIAN

SOLVERS = ["normal", "qr", "svd", "gd", "newton", "lsmr"]


def exact_log_likelihood(X, Y, weights=None, alpha=0.0):
    """Log-likelihood at the maximum, in 120 digits."""
    with mpmath.workdps(120):
        n, m = Y.shape
        w = [mpmath.mpf(1)] * n if weights is None else [mpmath.mpf(float(v)) for v in weights]
        a, y = mpmath.matrix(np.column_stack([np.ones(n), X]).tolist()), mpmath.matrix(Y.tolist())
        weighted = a.T * mpmath.diag(w)
        penalty = mpmath.diag([0] + [mpmath.mpf(alpha)] * X.shape[1])
        residual = y - a * ((weighted * a + penalty) ** -1 * (weighted * y))
        covariance = residual.T * mpmath.diag(w) * residual / n
        value = -mpmath.mpf(n) / 2 * (m * mpmath.log(2 * mpmath.pi) + mpmath.log(mpmath.det(covariance)) + m)
        return float(value + mpmath.mpf(m) / 2 * sum(mpmath.log(v) for v in w))


def near_twins(rng, n=20, exponent=-28):
    """A response y and a difference d, of which y + d is a float64 without rounding."""
    y = np.round(rng.standard_normal(n) * 1024) / 1024
    return y, 2.0**exponent * np.round(rng.standard_normal(n) * 8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("name", SOLVERS)
def test_likelihood_of_near_twins_is_that_of_their_difference(name, refine, weighted, rng):
    X, (y, d) = rng.standard_normal((20, 1)), near_twins(rng)
    weights = rng.random(20) + 0.1 if weighted else None
    truth = exact_log_likelihood(X, np.column_stack([y, d]), weights)
    for Y in ([y, d], [y, y + d], [y + d, y]):
        model = MLELinearRegressor(solver=name, refine=refine).fit(X, np.column_stack(Y), weights)
        assert model.log_likelihood_ == pytest.approx(truth, rel=1e-13)
        assert model.log_likelihood(X, np.column_stack(Y), weights) == pytest.approx(truth, rel=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9, 1e12])
def test_near_twins_on_columns_far_from_zero(offset, weighted, rng):
    """Coefficients as float64 has them leave residuals of 1e-4 in the span of the last columns, thousands of times d."""
    X, (y, d) = rng.standard_normal((20, 2)) + offset, near_twins(rng)
    Y, w = np.column_stack([y, y + d]), np.exp(2.0 * rng.standard_normal(20)) if weighted else None
    truth = exact_log_likelihood(X, np.column_stack([y, d]), w)
    for refine in (True, False):
        assert MLELinearRegressor(refine=refine).fit(X, Y, w).log_likelihood_ == pytest.approx(truth, rel=1e-12)
    early, late = (None, None) if w is None else (w[:7], w[7:])
    parts = MLELinearRegressor().partial_fit(X[:7], Y[:7], early).partial_fit(X[7:], Y[7:], late)
    # Weights from 0.01 to 100 cost two digits of sums that are all that is left of the rows.
    assert parts.log_likelihood_ == pytest.approx(truth, rel=1e-9 if weighted else 1e-11)


@pytest.mark.parametrize("weighted", [False, True])
def test_many_residuals_are_factorised_in_float64(weighted, rng, monkeypatch):
    """Beyond so many multiplications, with the digits that are left: as many as d has beyond the rounding of y."""
    monkeypatch.setattr("mle_regression.diagnostics.noise_factor._ACCURATE_WORK", 0.0)
    X, (y, d) = rng.standard_normal((20, 2)) + 3.0, near_twins(rng)
    w = rng.random(20) + 0.1 if weighted else None
    truth = exact_log_likelihood(X, np.column_stack([y, d]), w)
    for refine in (True, False):
        model = MLELinearRegressor(refine=refine).fit(X, np.column_stack([y, y + d]), w)
        assert model.log_likelihood_ == pytest.approx(truth, rel=1e-7)


@pytest.mark.parametrize("alpha", [1e-8, 1.0, 1e6])
def test_near_twins_under_a_penalty(alpha, rng):
    X, (y, d) = rng.standard_normal((20, 2)), near_twins(rng)
    Y = np.column_stack([y, y + d])
    truth = exact_log_likelihood(X, np.column_stack([y, d]), alpha=alpha)
    assert MLELinearRegressor(alpha=alpha).fit(X, Y).log_likelihood_ == pytest.approx(truth, rel=1e-12)
    assert MLELinearRegressor(alpha=alpha).partial_fit(X, Y).log_likelihood_ == pytest.approx(truth, rel=1e-12)


def test_near_twins_by_batches(rng):
    X, (y, d) = rng.standard_normal((20, 2)), near_twins(rng)
    Y = np.column_stack([y, y + d])
    truth = exact_log_likelihood(X, np.column_stack([y, d]))
    parts = MLELinearRegressor().partial_fit(X[:7], Y[:7]).partial_fit(X[7:], Y[7:])
    assert parts.log_likelihood_ == pytest.approx(truth, rel=1e-13)
    going_on = MLELinearRegressor().fit(X[:13], Y[:13]).partial_fit(X[13:], Y[13:])
    assert going_on.log_likelihood_ == pytest.approx(truth, rel=1e-9)


def test_near_twins_in_batches_of_many_rows(rng):
    """Sums in float64 would lose what tells the outputs apart: rows are summed exactly once that shows."""
    X, (y, d) = rng.standard_normal((60_000, 3)), near_twins(rng, 60_000, exponent=-20)
    twins = np.column_stack([y, y + d])
    parts = MLELinearRegressor().partial_fit(X[:30_000], twins[:30_000]).partial_fit(X[30_000:], twins[30_000:])
    truth = MLELinearRegressor(solver="qr").fit(X, np.column_stack([y, d])).log_likelihood_
    assert parts.log_likelihood_ == pytest.approx(truth, rel=1e-12)


def test_sums_in_float64_do_not_tell_nearest_twins_apart(rng):
    X, (y, d) = rng.standard_normal((5_000, 3)), near_twins(rng, 5_000)
    parts = MLELinearRegressor(refine=False).partial_fit(X, np.column_stack([y, y + d]))
    with pytest.warns(NoiseFreeWarning, match="singular: to rounding"):
        assert parts.log_likelihood_ == np.inf


def test_a_chain_of_near_twins(rng):
    n = 30
    X, y = rng.standard_normal((n, 2)), np.round(rng.standard_normal(n) * 64) / 64
    steps = [2.0 ** (-13 * k) * np.round(rng.standard_normal(n) * 8) for k in range(1, 4)]
    chain = np.column_stack([y, y + steps[0], y + steps[0] + steps[1], y + sum(steps)])
    truth = exact_log_likelihood(X, np.column_stack([y, *steps]))
    assert MLELinearRegressor().fit(X, chain).log_likelihood_ == pytest.approx(truth, rel=1e-12)


def test_many_outputs_and_correlated_ones_have_a_likelihood(rng):
    X, Y = rng.standard_normal((500, 5)), rng.standard_normal((500, 200))
    model = MLELinearRegressor().fit(X, Y)
    a = np.column_stack([np.ones(500), X])
    values = np.linalg.svd(Y - a @ np.linalg.lstsq(a, Y, rcond=None)[0], compute_uv=False)
    expected = -250.0 * (200 * np.log(2 * np.pi) + 2 * np.log(values).sum() - 200 * np.log(500) + 200)
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-12)
    assert model.log_likelihood(X, Y) == pytest.approx(expected, rel=1e-11)

    root = np.linalg.cholesky(0.95 + 0.05 * np.eye(15))
    X, Y = rng.standard_normal((60, 2)), rng.standard_normal((60, 15)) @ root.T
    assert MLELinearRegressor().fit(X, Y).log_likelihood_ == pytest.approx(exact_log_likelihood(X, Y), rel=1e-13)


def test_more_outputs_than_the_rows_can_bear(rng):
    X, Y = rng.standard_normal((20, 1)), rng.standard_normal((20, 30))
    with pytest.warns(NoiseFreeWarning, match="18 residual degrees of freedom can bear 18 outputs") as caught:
        model = MLELinearRegressor().fit(X, Y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.log_likelihood_ == np.inf
    assert "can bear 18 outputs" in " ".join(str(model.summary()).split())
    with pytest.warns(NoiseFreeWarning, match="can bear 18 outputs"):
        assert model.log_likelihood(X, Y) == np.inf
    with pytest.warns(NoiseFreeWarning, match="can bear 18 outputs"):
        assert model.log_likelihood(X[:3], Y[:3] + 0.1) == -np.inf
    one = MLELinearRegressor().fit(X, Y[:, 7])
    np.testing.assert_allclose(model.predict(X)[:, 7], one.predict(X), rtol=1e-12)
    np.testing.assert_allclose(np.array(model.predict_interval(X))[:, :, 7], one.predict_interval(X), rtol=1e-12)
    np.testing.assert_allclose(model.standard_errors_[7], one.standard_errors_, rtol=1e-12)
    # As many as they can bear are borne.
    assert np.isfinite(MLELinearRegressor().fit(X, Y[:, :18]).log_likelihood_)
    with pytest.warns(NoiseFreeWarning, match="18 residual"):
        MLELinearRegressor().fit(X, Y[:, :19])
    with pytest.warns(NoiseFreeWarning, match="can bear 18 outputs"):
        assert MLELinearRegressor().partial_fit(X, Y).log_likelihood_ == np.inf


@pytest.mark.parametrize("outputs", [150, 400, 900])
def test_noise_of_many_outputs_lies_in_the_span_of_its_residuals(outputs, rng):
    X, Y = rng.standard_normal((100, 2)), rng.standard_normal((100, outputs)) * np.logspace(-8, 8, outputs)
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor().fit(X, Y)
    with pytest.warns(NoiseFreeWarning):
        density = model.log_likelihood(np.vstack([X, X]), np.vstack([Y, Y + 0.1 * np.std(Y, axis=0)]), pointwise=True)
    np.testing.assert_array_equal(density, np.repeat([np.inf, -np.inf], 100))


@pytest.mark.parametrize("share", [1e-2, 1e-5, 1e-7])
def test_small_terms_of_a_relation_are_told(share, rng):
    residuals = rng.standard_normal((30, 2))
    found = factor_of_array(np.column_stack([residuals, residuals @ [1.0, share]]), np.full(3, 1e-15))
    (relation,) = found.relations
    assert relation.dependent == 2
    assert [i for i, _ in relation.terms] == [0, 1]
    np.testing.assert_allclose([c for _, c in relation.terms], [1.0, share], rtol=1e-6)


def test_a_relation_beyond_the_range_of_numbers_is_not_written(rng):
    X, y = rng.standard_normal((30, 1)), rng.standard_normal(30)
    with pytest.warns(NoiseFreeWarning, match="to rounding, some follow from others"):
        MLELinearRegressor().fit(X, np.column_stack([1e-170 * y, 1e170 * y]))


def test_rows_of_no_weight_bear_nothing(rng):
    X, Y = rng.standard_normal((20, 1)), rng.standard_normal((20, 15))
    weights = np.r_[np.full(10, 3.0), np.zeros(10)]
    for kind in ("precision", "frequency"):
        with pytest.warns(NoiseFreeWarning, match="8 residual degrees of freedom can bear 8 outputs"):
            MLELinearRegressor(weight_type=kind).fit(X, Y, weights)


def test_a_penalty_leaves_more_residuals_to_vary(rng):
    X, Y = rng.standard_normal((20, 5)), rng.standard_normal((20, 19))
    assert np.isfinite(MLELinearRegressor(alpha=1.0).fit(X, Y).log_likelihood_)


@pytest.mark.parametrize("batches", [False, True])
def test_outputs_that_follow_from_others_are_named(batches, rng):
    X, y, z = rng.standard_normal((50, 2)), rng.standard_normal(50), rng.standard_normal(50)
    Y = np.column_stack([y, z, 1.8 * y + 32, 2.0 * y - z + 3.0 * X[:, 0]])
    model = MLELinearRegressor()
    with pytest.warns(NoiseFreeWarning) as caught:
        assert (model.partial_fit(X, Y) if batches else model.fit(X, Y)).log_likelihood_ == np.inf
    said = str(caught[-1].message)
    assert "y[:, 2] = 1.8*y[:, 0]" in said
    if not batches:
        assert "y[:, 3] = 2*y[:, 0] - y[:, 1]" in said
    with pytest.warns(NoiseFreeWarning):
        assert model.log_likelihood(X, Y) == np.inf
    with pytest.warns(NoiseFreeWarning):
        assert model.log_likelihood(X, Y + [0, 0, 1e-3, 0]) == -np.inf
    np.testing.assert_allclose(model.score(X, Y[:, :4]), np.mean(model.r2_))


def test_an_output_without_noise_beside_one_with_noise(rng):
    X, y = rng.standard_normal((50, 2)), rng.standard_normal(50)
    Y = np.column_stack([y, X @ [1.0, 2.0]])
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor().fit(X, Y)
    assert model.log_likelihood_ == model.log_likelihood(X, Y) == np.inf
    assert model.log_likelihood(X, Y + [1.0, 0.0]) == np.inf
    assert model.log_likelihood(X, Y + [0.0, 1e-3]) == -np.inf


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_likelihood_of_new_rows_in_extreme_units(unit, rng):
    X, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    model = MLELinearRegressor().fit(X, y * unit)
    assert model.log_likelihood(X, y * unit) == pytest.approx(model.log_likelihood_, rel=1e-12)
    plain = MLELinearRegressor().fit(X, y).log_likelihood_
    assert model.log_likelihood_ == pytest.approx(plain - 30 * np.log(unit), rel=1e-12)


@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")
@pytest.mark.parametrize("n", [40, 150])
def test_networks_of_dependent_outputs(n, rng):
    X, y = rng.standard_normal((n, 2)), rng.standard_normal(n)
    Y = np.column_stack([y, 1.8 * y + 32])
    network = MLPGradientRegressor((3,), alpha=1e-4, random_state=0, max_iter=2000).fit(X, Y)
    mean = network.predict(X)
    np.testing.assert_allclose((mean[:, 1] - 32) / 1.8, mean[:, 0], atol=0.5)
    assert network.score(X, Y) > 0
    network.log_likelihood(X, Y)
    network.predict_interval(X)


def test_networks_of_more_outputs_than_rows(rng):
    X, Y = rng.standard_normal((20, 2)), rng.standard_normal((20, 30))
    with pytest.warns(NoiseFreeWarning, match="can bear 19 outputs"):
        network = MLPGradientRegressor((2,), alpha=1.0, random_state=0, tol=1e-3, max_iter=5000).fit(X, Y)
    assert network.log_likelihood_ == np.inf
    assert "can bear 19" in " ".join(str(network.summary()).split())
    with pytest.warns(NoiseFreeWarning, match="can bear 19 outputs"):
        network.log_likelihood(X, Y)


def test_networks_of_near_twins_keep_the_digits_of_their_residuals(rng):
    """A network whose outputs are told apart by 1e-9: the determinant is that of a QR of the residuals."""
    X, (y, d) = rng.standard_normal((40, 1)), near_twins(rng, 40)
    network = MLPGradientRegressor((2,), random_state=0, alpha=1.0, tol=1e-12, max_iter=3000, early_stopping=False)
    Y = np.column_stack([y, y + d])
    network.fit(X, Y)
    residual = Y - network.predict(X)
    values = np.abs(np.diagonal(np.linalg.qr(residual, mode="r")))
    expected = -20.0 * (2 * np.log(2 * np.pi) + 2 * np.log(values).sum() - 2 * np.log(40) + 2)
    assert network.log_likelihood_ == pytest.approx(expected, rel=1e-6)
    assert network.log_likelihood(X, Y) == pytest.approx(network.log_likelihood_, rel=1e-6)


def test_comparing_models_of_dependent_outputs(rng):
    from sklearn.linear_model import LinearRegression

    X, y = rng.standard_normal((60, 2)), rng.standard_normal(60)
    frame = pd.DataFrame(X, columns=["a", "b"])
    table = compare_models({"plain": LinearRegression()}, frame, np.column_stack([y, 1.8 * y + 32]), cv=None)
    assert table.loc["plain", "log_likelihood"] == np.inf


# -- factors ----------------------------------------------------------------------------------------------------------


def test_a_factor_of_cross_products_is_their_root(rng):
    E = rng.standard_normal((20, 3)) * [1e-150, 1.0, 1e150]
    cross = E.T @ E
    root = factor_of_cross(cross)
    np.testing.assert_allclose(root.T @ root, cross, rtol=1e-12)
    assert not np.tril(root, -1).any()
    assert factor_of_cross(np.array([[4.0]])) == [[2.0]]
    for singular in ([[0.0]], [[np.inf]], [[1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]):
        assert factor_of_cross(np.array(singular)) is None


def test_a_factor_is_trusted_up_to_a_condition():
    """The triangle of a correlation c has singular values √(1 ± c): their ratio is the condition, and times √2 the limit."""
    for condition in (10.0, 1e3):
        for share, trusted in ((0.3, True), (3.0, False)):
            k = (share * condition) ** 2
            c = (k - 1.0) / (k + 1.0)
            assert (factor_of_cross(np.array([[1.0, c], [c, 1.0]]), condition) is not None) is trusted


@pytest.mark.parametrize("by_sums", [False, True])
def test_an_output_without_noise_of_its_own_is_a_combination_of_others(by_sums, rng):
    E = np.round(rng.standard_normal((20, 5)) * 1024) / 1024
    E[:, 2] = 2.0 * E[:, 0] - 0.5 * E[:, 1]
    E[:, 4] = 0.0
    if by_sums:
        found = factor_of_sums(exact_gram(E, np.full(5, 4), None).carried(), np.full(5, 0.3), 2.0**-52)
        unit = 2.0**-4
    else:
        found, unit = factor_of_array(E, np.full(5, 1e-13)), 1.0
    assert found.singular
    two, five = found.relations
    assert [place for place, _ in two.terms] == [0, 1]
    np.testing.assert_allclose([share for _, share in two.terms], [2.0, -0.5], rtol=1e-6 if by_sums else 1e-10)
    assert (two.dependent, five.dependent, five.terms) == (2, 4, ())
    kept = E[:, [0, 1, 3]] * unit
    if by_sums:
        whole = factor_of_sums(exact_gram(E[:, [0, 1, 3]], np.full(3, 4), None).carried(), np.full(3, 0.3), 2.0**-52)
    else:
        whole = factor_of_array(kept, np.full(3, 1e-13))
    np.testing.assert_allclose(whole.root.T @ whole.root, kept.T @ kept, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("own", [1e-9, 1e-11])
def test_noise_counts_from_where_it_is_more_than_rounding(own, rng):
    """The second output differs from the first by noise of its own, which rounding of 1e-10 may be or not."""
    first, second = np.linalg.qr(rng.standard_normal((20, 2)))[0].T
    found = factor_of_array(np.column_stack([first, first + own * second]), np.full(2, 1e-10))
    assert found.singular is (own < 1e-10)


def test_more_outputs_than_rows_are_singular(rng):
    assert factor_of_array(rng.standard_normal((2, 3)), np.full(3, 1e-13)).singular
    assert not factor_of_array(rng.standard_normal((3, 3)), np.full(3, 1e-13)).singular


@pytest.mark.parametrize(("m", "rank"), [(6, 5), (6, 2), (300, 20), (300, 200), (300, 299)])
def test_the_range_of_a_covariance(m, rank, rng):
    factor = rng.standard_normal((m, rank))
    factor /= np.linalg.norm(factor, axis=1)[:, None]
    basis = noise_range(factor @ factor.T)
    assert basis.shape == (m, rank)
    np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-10)
    np.testing.assert_allclose(basis @ (basis.T @ factor), factor, atol=1e-6)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 0.0])])
def test_where_an_output_has_no_variance_only_its_mean_is_likely(weights):
    y = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.1]])
    covariance = np.diag([2.0, 0.0])
    found = new_log_density(
        GAUSSIAN, y, np.full((3, 2), 5.0), covariance, weights, frequency=False, noise_free=np.zeros(2, dtype=bool)
    )
    assert found.tolist() == [np.inf, np.inf, -np.inf if weights is None else 0.0]
