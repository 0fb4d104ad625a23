"""Fitting by batches is fitting the whole: any split, any order, any tree of merges."""

import copy
import pickle
import warnings
from fractions import Fraction

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from designs import HARD, conditioned, responses
from exact import exact_least_squares
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from mle_regression import (
    InferenceWarning,
    MLELinearRegressor,
    MLPGradientRegressor,
    NoiseFreeWarning,
    RankDeficiencyWarning,
)
from mle_regression.linalg.frame import Frame, choose_frame
from mle_regression.linalg.gram import block_moments
from mle_regression.linalg.sums import exact_sums, no_sums, sums_of_moments

NUMBERS = (
    "log_likelihood_",
    "aic_",
    "aicc_",
    "bic_",
    "n_parameters_",
    "effective_dof_",
    "noise_variance_",
    "intercept_",
)


def agree(parts, whole, rtol=1e-12):
    size = np.abs(whole.coef_).max()
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=rtol, atol=rtol * size)
    for name in NUMBERS:
        # An intercept is the difference of means, a criterion that of likelihood and penalty, effective degrees of
        # freedom that of parameters and what the penalty takes: all can be large.
        criteria = 10.0 * whole.n_parameters_ + abs(whole.log_likelihood_)
        reach = dict.fromkeys(("aic_", "aicc_", "bic_", "log_likelihood_"), criteria)
        reach["intercept_"] = whole._fit.reach.max()
        reach["effective_dof_"] = reach["n_parameters_"] = 1.0 + len(whole._fit.features)
        atol = rtol * reach.get(name, 0.0)
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=rtol, atol=atol, err_msg=name)
    np.testing.assert_allclose(parts.standard_errors_, whole.standard_errors_, rtol=rtol)
    assert (parts.rank_, parts.verdict_) == (whole.rank_, whole.verdict_)


def tree(pieces, options, rng):
    """Fit pieces one by one or apart, pickle on the way, and merge in any order."""
    estimators = []
    for x, y, w in pieces:
        if estimators and rng.random() < 0.5:
            estimators[-1].partial_fit(x, y, w)
        else:
            estimators.append(MLELinearRegressor(**options).partial_fit(x, y, w))
    while len(estimators) > 1:
        one, other = (estimators.pop(int(rng.integers(len(estimators)))) for _ in range(2))
        estimators.append(pickle.loads(pickle.dumps(one)).merge(other))
    return estimators[0]


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(3, 60),
    p=st.integers(1, 6),
    log_condition=st.floats(0, 6),
    n_batches=st.integers(1, 12),
    weighting=st.sampled_from(["none", "precision", "frequency"]),
    intercept=st.booleans(),
    alpha=st.sampled_from([0.0, 1.5]),
    solver=st.sampled_from(["auto", "normal", "qr", "svd"]),
    outputs=st.sampled_from([1, 2]),
)
def test_any_split_order_and_tree_of_merges(
    seed, n, p, log_condition, n_batches, weighting, intercept, alpha, solver, outputs
):
    if n < p + intercept + outputs:
        outputs = 1  # the covariance of more outputs than residual degrees of freedom is singular, to rounding
    rng = np.random.default_rng(seed)
    X = conditioned(max(n, p), p, 10.0**log_condition, seed)[:n] * 10.0 ** rng.integers(-3, 4, p) + rng.integers(
        -5, 6, p
    )
    y = X @ rng.standard_normal(p) / np.abs(X).max() + rng.standard_normal(n)
    y = y if outputs == 1 else np.column_stack([y, rng.standard_normal(n)])
    w = (
        None
        if weighting == "none"
        else rng.uniform(0.1, 9, n)
        if weighting == "precision"
        else rng.integers(0, 4, n) + 0.0
    )
    if w is not None and not w.any():
        w[0] = 1.0
    options = {
        "fit_intercept": intercept, "alpha": alpha, "solver": solver, "on_rank_deficiency": "min_norm",
        "weight_type": "frequency" if weighting == "frequency" else "precision",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = MLELinearRegressor(**options).fit(X, y, w)
        order = rng.permutation(n)
        pieces = [
            (X[part], y[part], None if w is None else w[part])
            for part in np.array_split(order, min(n_batches, n))
            if w is None or w[part].any() or part is not order
        ]
        pieces = sorted(pieces, key=lambda piece: piece[2] is not None and not piece[2].any())
        parts = tree(pieces, options, rng)
        if not np.isfinite(whole.log_likelihood_):
            assert not np.isfinite(parts.log_likelihood_)
            return
        # A penalised fit to no more rows than columns leaves next to no degrees of freedom, as a difference.
        full = whole.rank_ == p + intercept and not (alpha and n <= p + 1)
        agree(parts, whole, rtol=1e-12 if full else 1e-7)


@pytest.mark.parametrize("name", sorted(HARD))
@pytest.mark.parametrize("kind", ["close", "far"])
def test_row_by_row_on_hard_designs(name, kind):
    X = HARD[name]
    y = responses(X)[kind]
    options = {"rank_tol": 0.0, "refine": True}
    whole = MLELinearRegressor(**options).fit(X, y)
    parts = MLELinearRegressor(**options)
    for i in range(len(y)):
        parts.partial_fit(X[[i]], y[[i]])
    agree(parts, whole, rtol=1e-14)


@pytest.mark.filterwarnings("ignore::mle_regression.warnings.NoiseFreeWarning")
def test_fewer_rows_than_columns_until_there_are_enough(rng):
    X, y = rng.standard_normal((12, 4)), rng.standard_normal(12)
    parts = MLELinearRegressor()
    for i in range(12):
        parts.partial_fit(X[[i]], y[[i]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = MLELinearRegressor().fit(X[: i + 1], y[: i + 1])
            assert parts.rank_ == whole.rank_ == min(i + 1, 5)
            np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(parts.predict(X[: i + 1]), whole.predict(X[: i + 1]), rtol=1e-9, atol=1e-12)
    parts = MLELinearRegressor().partial_fit(X[:2], y[:2])
    with pytest.warns(RankDeficiencyWarning, match="only 2 of 5"):
        _ = parts.coef_
    parts.partial_fit(X[2:], y[2:])
    assert parts.verdict_ == "unique minimum"


@pytest.mark.parametrize("how", ["min_norm", "drop"])
def test_dependent_columns(rng, how):
    X = rng.standard_normal((30, 3))
    X = np.column_stack([X, X[:, 0] - 2 * X[:, 1] + 3, np.zeros(30), np.ones(30)])
    y = rng.standard_normal(30)
    whole = MLELinearRegressor(on_rank_deficiency=how).fit(X, y)
    parts = MLELinearRegressor(on_rank_deficiency=how)
    for part in np.array_split(np.arange(30), 7):
        parts.partial_fit(X[part], y[part])
    agree(parts, whole, rtol=1e-10)
    assert parts._fit.notes == whole._fit.notes


@pytest.mark.parametrize("shift", [0.0, 3.0, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
def test_many_rows_in_float64(rng, shift, weighted):
    """Beyond 100,000 numbers well-conditioned batches are summed in float64, others exactly."""
    X = rng.standard_normal((60_000, 4)) * np.array([1, 1e-5, 1e7, 3]) + shift * np.array([1, 0, 1e7, -3])
    y = X @ [1, 1e4, 1e-7, 0.3] + 1e-1 * rng.standard_normal(60_000)
    w = rng.uniform(0, 3, 60_000) if weighted else None
    whole = MLELinearRegressor(refine=True).fit(X, y, w)
    parts = MLELinearRegressor()
    for part in np.array_split(np.arange(60_000), 9):
        parts.partial_fit(X[part], y[part], None if w is None else w[part])
    assert parts._sums.rounded is not None
    agree(parts, whole, rtol=1e-11)


def test_many_rows_of_nearly_dependent_columns(rng):
    X = rng.standard_normal((60_000, 4))
    X[:, 3] = X[:, 0] + 1e-6 * X[:, 3]
    y = X.sum(axis=1) + rng.standard_normal(60_000)
    whole = MLELinearRegressor(refine=True).fit(X, y)
    one, two = MLELinearRegressor(), MLELinearRegressor()
    for part in np.array_split(np.arange(30_000), 4):
        one.partial_fit(X[part], y[part])
    for part in np.array_split(np.arange(30_000, 60_000), 2):
        two.partial_fit(X[part], y[part])
    agree(one.merge(two), whole, rtol=1e-12)
    rounded = MLELinearRegressor(refine=False)
    for part in np.array_split(np.arange(60_000), 3):
        rounded.partial_fit(X[part], y[part])
    with pytest.warns(InferenceWarning, match=r"sums in float64 leave about [23] digits .*refine=True"):
        np.testing.assert_allclose(rounded.coef_, whole.coef_, rtol=1e-2)
    assert not rounded.refined_
    assert rounded.rank_ == 5


def dependent_columns(rng, n=200):
    """A sum that rounds, a double, a column of zeros and a constant."""
    X = rng.standard_normal((n, 3))
    return np.column_stack([X, X[:, 0] + X[:, 1], 2 * X[:, 2], np.zeros(n), rng.standard_normal(n), np.ones(n)])


@pytest.mark.parametrize("batches", [1, 4, 200])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("refine", [False, "auto", True])
@pytest.mark.parametrize("solver", ["auto", "qr", "svd", "gd", "lbfgs", "newton"])
def test_dependent_columns_however_they_were_summed(solver, refine, intercept, batches, rng):
    """Rank, coefficients of smallest norm and noise are those of the pseudo-inverse."""
    X = dependent_columns(rng)
    y = X[:, :3] @ [1.0, 2.0, 3.0] + rng.standard_normal(200)
    model = MLELinearRegressor(
        solver=solver, refine=refine, fit_intercept=intercept, on_rank_deficiency="min_norm", max_iter=3000, tol=1e-10
    )
    for part in np.array_split(np.arange(200), batches):
        model.partial_fit(X[part], y[part])
    centred, target = (X - X.mean(axis=0), y - y.mean()) if intercept else (X, y)
    truth = np.linalg.pinv(centred, rcond=1e-10) @ target
    assert model.rank_ == 5
    assert model.verdict_ == "flat minimum"
    assert not model.refined_
    np.testing.assert_allclose(model.coef_, truth, atol=1e-8)
    assert model.noise_variance_ == pytest.approx(np.mean((target - centred @ truth) ** 2), rel=1e-11)
    assert np.isnan(model.standard_errors_[[0, 1, 2, 3, 4, 5]]).all()


@pytest.mark.parametrize("refine", [False, "auto", True])
@pytest.mark.parametrize("intercept", [True, False])
def test_two_rows_of_three_columns(intercept, refine, rng):
    X, y = rng.standard_normal((2, 3)), rng.standard_normal(2)
    options = {"fit_intercept": intercept, "refine": refine, "on_rank_deficiency": "min_norm"}
    for whole in (True, False):
        model = MLELinearRegressor(**options)
        for part in [slice(2)] if whole else [slice(1), slice(1, 2)]:
            model.partial_fit(X[part], y[part])
        with pytest.warns(NoiseFreeWarning):
            assert model.rank_ == 2
        centred, target = (X - X.mean(axis=0), y - y.mean()) if intercept else (X, y)
        np.testing.assert_allclose(model.coef_, np.linalg.pinv(centred) @ target, rtol=1e-6)


def test_refined_tells_what_was_done(rng):
    """Sums in float64, and those of the factor of a fit, are no exact ones."""
    X, y = rng.standard_normal((60_000, 3)), rng.standard_normal(60_000)
    assert MLELinearRegressor().partial_fit(X[:300], y[:300]).refined_
    assert not MLELinearRegressor(refine=False).partial_fit(X[:300], y[:300]).refined_
    assert not MLELinearRegressor().partial_fit(X, y).refined_
    assert MLELinearRegressor(refine=True).partial_fit(X, y).refined_
    assert not MLELinearRegressor(refine=True).fit(X[:9], y[:9]).partial_fit(X[9:20], y[9:20]).refined_
    one, two = (MLELinearRegressor(refine=r).partial_fit(X[:90], y[:90]) for r in (True, False))
    assert not one.merge(two).refined_


@pytest.mark.parametrize("dependent", [False, True])
def test_many_columns_are_summed_in_float64(dependent, rng):
    """What exact sums of so many would cost nobody asked for: rows one by one, means far away, few rows."""
    X = 3.0 + rng.standard_normal((150, 90))
    if dependent:
        X[:, 40] = X[:, 3] - X[:, 7]
    y = X[:, :5].sum(axis=1) + rng.standard_normal(150)
    options = {"on_rank_deficiency": "min_norm"}
    whole = MLELinearRegressor(**options).fit(X, y)
    for sizes in ([150], [60, 90], [1] * 150):
        parts = MLELinearRegressor(**options)
        for part in np.split(np.arange(150), np.cumsum(sizes)[:-1]):
            parts.partial_fit(X[part], y[part])
        assert parts._sums.rounded is not None
        assert not parts.refined_
        agree(parts, whole, rtol=1e-9)


def test_batches_of_other_magnitudes(rng):
    """A batch that the coordinates of the first do not suit is summed exactly."""
    X = rng.standard_normal((90_000, 2))
    X[30_000:60_000] *= 1e200
    X[60_000:] += 1e9
    y = rng.standard_normal(90_000)
    parts = MLELinearRegressor()
    for part in np.array_split(np.arange(90_000), 3):
        parts.partial_fit(X[part], y[part])
    agree(parts, MLELinearRegressor(refine=True).fit(X, y), rtol=1e-11)


@pytest.mark.parametrize("make", [sp.csr_array, pd.DataFrame, lambda X: X.astype(np.float32), np.asfortranarray])
@pytest.mark.parametrize("n", [50, 60_000])
def test_containers(rng, make, n):
    X = np.round(rng.standard_normal((n, 3)) * (rng.random((n, 3)) < 0.5), 2)
    y = X.sum(axis=1) + rng.standard_normal(n)
    whole = MLELinearRegressor(refine=True).fit(make(X), y)
    parts = MLELinearRegressor()
    for part in np.array_split(np.arange(n), 3):
        parts.partial_fit(make(X[part]), y[part])
    agree(parts, whole, rtol=1e-11)


@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_weights_of_any_size(rng, factor):
    X, y, w = rng.standard_normal((40, 3)), rng.standard_normal(40), factor * rng.uniform(0.1, 2, 40)
    whole = MLELinearRegressor().fit(X, y, w)
    parts = MLELinearRegressor().partial_fit(X[:9], y[:9], w[:9]).partial_fit(X[9:], y[9:], w[9:])
    agree(parts, whole, rtol=1e-11)
    np.testing.assert_allclose(parts.predict(X, return_std=True)[1], whole.predict(X, return_std=True)[1], rtol=1e-11)


def test_a_batch_without_weight_changes_nothing(rng):
    X, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    one = MLELinearRegressor().partial_fit(X[:20], y[:20], np.ones(20))
    before = one.coef_.copy()
    one.partial_fit(X[20:], y[20:], np.zeros(10))
    np.testing.assert_array_equal(one.coef_, before)


def test_inference_from_sums(rng):
    X = pd.DataFrame(rng.standard_normal((50, 3)), columns=["a", "b", "c"])
    y = X.sum(axis=1) + rng.standard_normal(50)
    whole = MLELinearRegressor().fit(X, y)
    parts = MLELinearRegressor().partial_fit(X[:20], y[:20]).partial_fit(X[20:], y[20:])
    assert str(parts.summary()) == str(whole.summary())
    pd.testing.assert_frame_equal(parts.coefficients(), whole.coefficients(), rtol=1e-13)
    pd.testing.assert_frame_equal(parts.diagnose(X, y).rows(), whole.diagnose(X, y).rows())
    assert parts.test_linear("a = b").p_value == pytest.approx(whole.test_linear("a = b").p_value, rel=1e-12)
    np.testing.assert_allclose(parts.hessian_eigenvalues_, whole.hessian_eigenvalues_, rtol=1e-13)


def test_parameters_may_change_between_batches(rng):
    X, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    model = MLELinearRegressor().partial_fit(X[:20], y[:20])
    assert model.intercept_ != 0
    model.set_params(alpha=2.0, fit_intercept=False).partial_fit(X[20:], y[20:])
    agree(model, MLELinearRegressor(alpha=2.0, fit_intercept=False).fit(X, y))


def test_state_is_small_and_copies_are_apart(rng):
    X, y = rng.standard_normal((80_000, 5)), rng.standard_normal(80_000)
    model = MLELinearRegressor().partial_fit(X, y)
    assert len(pickle.dumps(model)) < 30_000
    other = copy.copy(model)
    other.partial_fit(X[:100], y[:100])
    agree(model, MLELinearRegressor(refine=True).fit(X, y), rtol=1e-11)
    assert "_sums" not in clone(model).__dict__


def test_exact_sums_are_exact_and_associative(rng):
    z = rng.standard_normal((20, 3)) * np.array([1.0, 1e-40, 1e30])
    w = rng.uniform(0, 1e5, 20)

    def number(sums):
        digits, q = sums.gram.digits, len(sums.limbs)
        unit = [Fraction(2) ** int(e) for e in sums.exponent]
        return [
            [
                sum(
                    Fraction(int(d)) * Fraction(2) ** (20 * (sums.gram.top - at))
                    for at, d in enumerate(digits[:, i, j])
                )
                * unit[i]
                * unit[j]
                for j in range(q)
            ]
            for i in range(q)
        ]

    for weights in (None, w):
        by = [Fraction(1) if weights is None else Fraction(v) for v in w]
        rows = [[Fraction(v) for v in row] for row in z]
        exact = [[sum(b * r[i] * r[j] for b, r in zip(by, rows, strict=True)) for j in range(3)] for i in range(3)]
        assert number(exact_sums(z, weights)) == exact
        parts = [exact_sums(z[a:b], None if weights is None else weights[a:b]) for a, b in ((0, 1), (1, 9), (9, 20))]
        assert number(parts[2] + (parts[0] + parts[1]) + no_sums(3)) == exact


def test_shifted_moments_are_unshifted_without_loss(rng):
    z = rng.standard_normal((500, 3)) + np.array([0.0, 50.0, 1e8])
    frame = choose_frame(z, shifted=True)
    frame = Frame(np.array([3, -4, 0]), frame.shift * np.array([0.125, 16, 1]))
    sums = sums_of_moments(block_moments(z[:, :2], z[:, 2:], None, frame), frame, 500.0)
    exact = exact_sums(np.column_stack([np.ones(500), z]), None)
    centred = []
    for found in (sums, exact):
        gram, exponent = found.in_unit_columns(np.zeros(4))
        # Covariances, by exact arithmetic on the rounded and the exact sums.
        table = [
            [Fraction(v) for v in row] for row in (gram.to_float() * 2.0 ** (exponent[:, None] + exponent)).tolist()
        ]
        centred.append([[float(table[i][j] - table[0][i] * table[0][j] / 500) for j in (1, 2)] for i in (1, 2)])
    np.testing.assert_allclose(*centred, rtol=1e-11)


@pytest.mark.parametrize("alpha", [0.0, 2.0])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("factor", [None, 1.0, 1e-150, 1e150])
def test_going_on_after_fit(rng, alpha, intercept, factor):
    if alpha and factor == 1e-150:
        model = MLELinearRegressor(alpha=alpha).fit(np.eye(4), np.arange(4.0), np.full(4, factor))
        with pytest.raises(ValueError, match="all penalty"):
            model.partial_fit(np.eye(4), np.arange(4.0))
        return
    X, Y = rng.standard_normal((40, 3)) + [0, 5, 1e3], rng.standard_normal((40, 2))
    w = None if factor is None else factor * rng.uniform(0.5, 2, 40)
    for y in (Y, Y[:, 0]):
        options = {"alpha": alpha, "fit_intercept": intercept}
        whole = MLELinearRegressor(**options).fit(X, y, w)
        first, second = slice(0, 25), slice(25, 40)
        model = MLELinearRegressor(**options).fit(X[first], y[first], None if w is None else w[first])
        model.partial_fit(X[second], y[second], None if w is None else w[second])
        agree(model, whole, rtol=1e-9)
    if not intercept:
        with pytest.raises(ValueError, match="means of the columns"):
            _ = model.set_params(fit_intercept=True).partial_fit(X, y).coef_


def test_bad_batches(rng):
    X, y = pd.DataFrame(rng.standard_normal((20, 2)), columns=["a", "b"]), rng.standard_normal(20)
    model = MLELinearRegressor().partial_fit(X, y)
    before = model.coef_
    bad = X.copy()
    bad.loc[3, "b"] = np.nan
    for call, message in (
        (lambda: model.partial_fit(X.rename(columns={"a": "z"}), y), "feature names"),
        (lambda: model.partial_fit(X[["a"]], y), "feature"),
        (lambda: model.partial_fit(X, np.column_stack([y, y])), "outputs"),
        (lambda: model.partial_fit(X, y[:, None]), "dimension"),
        (lambda: model.partial_fit(bad, y), "'b' of X"),
        (lambda: model.partial_fit(X, y, -np.ones(20)), "negative"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
        np.testing.assert_array_equal(model.coef_, before)
    again = model.fit(X, y)
    assert "_sums" not in again.__dict__


def test_bad_merges(rng):
    X, y = pd.DataFrame(rng.standard_normal((20, 2)), columns=["a", "b"]), rng.standard_normal(20)
    model = MLELinearRegressor().partial_fit(X, y)
    for other, message in (
        (MLELinearRegressor().fit(X, y), "has not seen partial_fit"),
        (MLELinearRegressor().partial_fit(X.rename(columns={"a": "z"}), y), "other columns"),
        (MLELinearRegressor().partial_fit(X.to_numpy()[:, :1], y), "other columns"),
        (MLELinearRegressor(alpha=1.0).partial_fit(X, y), "alpha"),
        (MLELinearRegressor(weight_type="frequency").partial_fit(X, y), "weight_type"),
        (MLELinearRegressor(fit_intercept=False).partial_fit(X, y), "fit_intercept"),
        (MLELinearRegressor().partial_fit(X, y[:, None]), "outputs"),
    ):
        with pytest.raises(ValueError, match=message):
            model.merge(other)
    with pytest.raises(ValueError, match="this estimator has not seen"):
        MLELinearRegressor().merge(model)
    with pytest.raises(AttributeError, match="no attribute 'coeff_'"):
        _ = model.coeff_


def test_raise_on_deficiency_waits_until_asked(rng):
    model = MLELinearRegressor(on_rank_deficiency="raise").partial_fit(
        rng.standard_normal((2, 3)), rng.standard_normal(2)
    )
    with pytest.raises(np.linalg.LinAlgError, match="determine only"):
        _ = model.coef_
    model.partial_fit(rng.standard_normal((9, 3)), rng.standard_normal(9))
    assert model.rank_ == 4


# -- batches without rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("two", [False, True])
def test_batches_without_rows_change_nothing(two, rng):
    X, y = rng.standard_normal((30, 2)), rng.standard_normal((30, 2) if two else 30)
    none = (X[:0], y[:0])
    whole = MLELinearRegressor().fit(X, y)
    for batches in (
        [none, (X, y)],
        [(X[:9], y[:9]), none, (X[9:], y[9:]), none],
        [(X, y, np.ones(30)), (*none, np.ones(0))],
    ):
        parts = MLELinearRegressor()
        for batch in batches:
            parts.partial_fit(*batch)
        np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-13)
        assert parts.log_likelihood_ == pytest.approx(whole.log_likelihood_)
    network = MLPGradientRegressor((2,), alpha=1e-4, random_state=0, solver="adam")
    other = clone(network)
    for batch in (none, (X, y), none, (X, y)):
        network.partial_fit(*batch)
    for batch in ((X, y), (X, y, np.zeros(30)), (X, y)):
        other.partial_fit(*batch)
    np.testing.assert_array_equal(network.predict(X), other.predict(X))


def test_frames_without_rows_and_other_columns(rng):
    frame = pd.DataFrame(rng.standard_normal((20, 2)), columns=["a", "b"])
    y = pd.Series(rng.standard_normal(20))
    for model in (MLELinearRegressor(), MLPGradientRegressor((2,), alpha=1e-4, random_state=0, solver="adam")):
        model.partial_fit(frame[:0], y[:0]).partial_fit(frame, y).partial_fit(frame[:0], y[:0])
        model.partial_fit([], []).partial_fit(np.empty(0), np.empty(0))
        with pytest.raises(ValueError, match="feature"):
            model.partial_fit(frame[:0].assign(c=0.0), y[:0])
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        MLELinearRegressor().fit(frame[:0], y[:0])
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        MLPGradientRegressor(alpha=1e-4).fit(frame[:0], y[:0])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("tiny", [1e-9, 1e-12, 1e-200])
def test_columns_that_are_rounding_beside_their_penalty(tiny, fit_intercept, rng):
    """Such a column leaves the digits of exact sums; the sums in float64 serve, and say that they are not exact."""
    X = rng.standard_normal((30, 2)) * [tiny, 1.0] + [tiny, 3.0]
    y = rng.standard_normal(30)
    parts = MLELinearRegressor(alpha=1.0, fit_intercept=fit_intercept)
    for rows in np.split(np.arange(30), [7, 8, 20]):
        parts.partial_fit(X[rows], y[rows])
    truth = exact_least_squares(X, y, alpha=1.0, intercept=fit_intercept)
    ours = np.append(parts.intercept_, parts.coef_) if fit_intercept else parts.coef_
    np.testing.assert_allclose(ours, truth.params, rtol=1e-13)
    assert not parts.refined_
    assert parts.rank_ == 2 + fit_intercept
    whole = MLELinearRegressor(alpha=1.0, fit_intercept=fit_intercept).fit(X, y)
    assert parts.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-12)
    np.testing.assert_allclose(parts.standard_errors_, whole.standard_errors_, rtol=1e-11)


@pytest.mark.parametrize(
    ("solver", "ran", "why"), [("svd", "svd", ""), ("qr", "normal", "'qr'"), ("normal", "normal", "")]
)
def test_sums_are_solved_by_the_solver_asked_for_where_they_can_be(solver, ran, why, rng):
    X, y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    model = MLELinearRegressor(solver=solver).partial_fit(X, y)
    assert model.solver_ == ran
    assert why in model.solver_reason_
    assert bool(model.solver_reason_) == bool(why)
    np.testing.assert_allclose(model.coef_, MLELinearRegressor().fit(X, y).coef_, rtol=1e-13)


def test_auto_says_why(rng):
    X, y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    for rows, why in ((X, "far from dependent"), (X @ X.T, "fewer rows"), (np.c_[X, X], "dependent columns")):
        model = MLELinearRegressor(on_rank_deficiency="min_norm").fit(rows, y)
        assert why in model.solver_reason_
    assert MLELinearRegressor(solver="qr").fit(X, y).solver_reason_ == ""


@pytest.mark.parametrize("unit", [2.0**-20, 1.0, 2.0**40])
def test_a_penalty_that_is_little_beside_the_columns_leaves_their_sums_exact(unit):
    """Of columns as nearly dependent as 1 to 2**-24 sums in float64 would leave no digit."""
    n = 16
    X = unit * np.column_stack([np.arange(n) - 7.5, np.arange(n) - 7.5 + 2.0**-24 * (np.arange(n) ** 2 % 7)])
    y, alpha = np.round(100.0 * np.sin(np.arange(n))), unit**2 * 2.0**-50
    model = MLELinearRegressor(alpha=alpha).partial_fit(X[:9], y[:9]).partial_fit(X[9:], y[9:])
    with mpmath.workdps(60):
        A = mpmath.matrix(X.tolist())
        mean = [mpmath.fsum(A[:, j]) / n for j in range(2)]
        Z = mpmath.matrix([[A[i, j] - mean[j] for j in range(2)] for i in range(n)])
        exact = mpmath.lu_solve(Z.T * Z + alpha * mpmath.eye(2), Z.T * mpmath.matrix(y.tolist()))
    np.testing.assert_allclose(model.coef_, [float(value) for value in exact], rtol=1e-13)
