"""Whether one fit is nested in another, by what the two fits know of their columns."""

import numpy as np
import pandas as pd
import pytest

from mle_regression import MLELinearRegressor, RankDeficiencyWarning
from mle_regression.fitted.nesting import total_squares, total_weight, unmatched_columns
from mle_regression.reports.linear.inference import named_fit

SIZES = [1e-100, 1.0, 1e100]


def fit(X, y, weights=None, **options):
    return named_fit(MLELinearRegressor(**options).fit(X, y, weights))


@pytest.mark.parametrize("unit", SIZES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_squares_of_y_are_about_zero(unit, weighted, intercept, rng):
    X, Y = rng.standard_normal((30, 2)) + [3.0, 0.0], unit * (rng.standard_normal((30, 2)) + [0.0, 7.0])
    weights = rng.uniform(0.5, 9.0, 30) if weighted else None
    w = np.ones(30) if weights is None else weights
    found = fit(X, Y, weights, fit_intercept=intercept)
    np.testing.assert_allclose(total_squares(found) / unit**2, w @ (Y / unit) ** 2, rtol=1e-9)
    assert total_weight(found) == pytest.approx(w.sum(), rel=1e-12)


def columns(rng, n=40):
    return pd.DataFrame(rng.standard_normal((n, 4)) + [0.0, 3.0, -1.0, 0.5], columns=list("abcd"))


@pytest.mark.parametrize("unit", SIZES)
@pytest.mark.parametrize("intercept", [False, True])
def test_columns_are_found_in_any_units_and_order(unit, intercept, rng):
    X, y = columns(rng), rng.standard_normal(40)
    large = fit(X, y, fit_intercept=intercept)
    small = X[["c", "a"]] * [-2.0 * unit, 3.0]
    assert unmatched_columns(fit(small, y, fit_intercept=intercept), large) == ()
    assert unmatched_columns(large, fit(small, y, fit_intercept=intercept)) == ("b", "d")
    strange = small.assign(e=rng.standard_normal(40))
    assert unmatched_columns(fit(strange, y, fit_intercept=intercept), large) == ("e",)


def test_a_column_must_agree_with_those_beside_it(rng):
    """The cosine with y alone is the same of a column and of its mirror image about y."""
    X, y = columns(rng), rng.standard_normal(40)
    y -= y.mean()
    centred = X["a"] - X["a"].mean()
    mirrored = 2.0 * y * (centred @ y) / (y @ y) - centred
    large = fit(X, y)
    assert unmatched_columns(fit(X[["b"]].assign(a=mirrored), y), large) == ("a",)


def test_an_intercept_is_a_column_of_ones(rng):
    X, y = columns(rng), rng.standard_normal(40)
    small = fit(X[["a"]], y)
    without = fit(X, y, fit_intercept=False)
    assert unmatched_columns(small, without) == ("intercept",)
    assert unmatched_columns(small, fit(X.assign(one=5.0), y, fit_intercept=False)) == ()
    # of any level
    assert unmatched_columns(fit(X[["a"]] + 7.0, y), fit(X, y)) == ()
    assert unmatched_columns(fit(X[["a"]], y, fit_intercept=False), fit(X, y)) == ()
    # a combination of columns is none of them
    assert unmatched_columns(fit(X[["a"]] + 7.0, y, fit_intercept=False), fit(X, y)) == ("a",)


def test_a_column_that_others_span_need_not_be_there(rng):
    X, y = columns(rng), rng.standard_normal(40)
    with pytest.warns(RankDeficiencyWarning):
        small = fit(X[["a", "b"]].assign(sum=X["a"] + X["b"]), y)
    assert unmatched_columns(small, fit(X, y)) == ()
    assert unmatched_columns(small, fit(X[["a", "c"]], y)) == ("b", "sum")
