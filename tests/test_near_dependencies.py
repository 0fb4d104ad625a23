"""Columns that nearly depend on others: what is told holds, and what holds is told."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_regression import MLELinearRegressor
from mle_regression.diagnostics.inputs import input_relations, null_inputs, without_inputs
from mle_regression.diagnostics.near_dependencies import intercept_inflation, near_dependencies
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network


def r2_of(X, dependent, others, intercept):
    """R² of one column on others, worked out from the rows."""
    columns = X - X.mean(axis=0) if intercept else X
    target, part = columns[:, dependent], columns[:, others] / np.linalg.norm(columns[:, others], axis=0)
    fitted = part @ np.linalg.lstsq(part, target, rcond=None)[0]
    return 1.0 - np.sum((target - fitted) ** 2) / np.sum(target**2)


def inflations(X, intercept):
    p = X.shape[1]
    left = [1.0 - r2_of(X, j, [k for k in range(p) if k != j], intercept) for j in range(p)]
    return 1.0 / np.maximum(left, 1e-16)


@st.composite
def designs(draw):
    """Columns of any mean and scale, some of them combinations of others but for noise of any size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, p = draw(st.integers(20, 60)), draw(st.integers(2, 7))
    X = rng.standard_normal((n, p))
    for _ in range(draw(st.integers(0, 3))):
        dependent, *others = rng.permutation(p)[: draw(st.integers(2, min(4, p)))]
        size = 10.0 ** draw(st.integers(-6, 1))
        X[:, dependent] = X[:, others] @ rng.uniform(-3, 3, len(others)) + size * rng.standard_normal(n)
    X = X * 10.0 ** rng.integers(-3, 4, p) * rng.choice([1.0, 1.0, 1e-12, 1e12])
    spread = X.std(axis=0)
    return X + spread * rng.choice([0.0, 1.0, 1e3], p), draw(st.booleans())


@settings(max_examples=300, deadline=None)
@given(designs())
def test_what_is_told_holds_and_what_holds_is_told(design):
    X, intercept = design
    y = np.random.default_rng(0).standard_normal(len(X))
    model = MLELinearRegressor(fit_intercept=intercept, on_rank_deficiency="min_norm").fit(X, y)
    if model.rank_ < X.shape[1] + intercept:
        return
    found = near_dependencies(model._fit.information)
    named = set()
    for dependency in found:
        relation = dependency.relation
        others = [j for j, _ in relation.terms]
        assert dependency.r2 >= 0.95
        assert dependency.r2 == pytest.approx(r2_of(X, relation.dependent, others, intercept), abs=1e-6)
        fitted = X[:, others] @ [c for _, c in relation.terms] + relation.constant
        target = X[:, relation.dependent]
        about = target.mean() if intercept else 0.0
        # The coefficients told are those of least squares: no others leave so little.
        square = np.sum((target - about) ** 2)
        assert np.sum((target - fitted) ** 2) == pytest.approx(
            (1.0 - dependency.r2) * square, rel=1e-5, abs=1e-9 * square
        )
        named |= {relation.dependent, *others}
    inflation = inflations(X, intercept)
    assert named >= set(np.flatnonzero(inflation > 100))
    # Without the columns that have been told, none is left that depends on others.
    left = np.setdiff1d(np.arange(X.shape[1]), [dependency.relation.dependent for dependency in found])
    assert len(left) < 2 or inflations(X[:, left], intercept).max() < 31
    if inflation.max() < 29:
        assert not found


def test_a_column_far_from_zero_is_no_dependency():
    import statsmodels.api as sm

    data = sm.datasets.stackloss.load_pandas()
    model = MLELinearRegressor().fit(data.exog, data.endog)
    report = model.diagnose(data.exog, data.endog).collinearity()
    assert report.vif["vif"].max() < 3
    assert report.dependencies == ()
    assert "Nearly dependent" not in str(model.summary())
    ratio = model.intercept_standard_error_ / np.sqrt(model.residual_variance_ / 21)
    far = MLELinearRegressor().fit(data.exog + [0, 0, 200], data.endog)
    told = far.diagnose(data.exog + [0, 0, 200], data.endog).collinearity()
    assert told.dependencies == ()
    assert "ACIDCONC" in told.constant
    assert "does no harm to slopes" in str(told)
    assert intercept_inflation(model._fit.information)[0] == pytest.approx(ratio, rel=1e-9)
    np.testing.assert_allclose(far.standard_errors_, model.standard_errors_, rtol=1e-9)


def test_several_dependencies_are_kept_apart(rng):
    X = pd.DataFrame(rng.standard_normal((60, 6)), columns=list("abcdef"))
    X["g"] = 2 * X["a"] - X["b"] + 1e-3 * rng.standard_normal(60)
    X["h"] = X["c"] + X["d"] + X["e"] + 7 + 1e-2 * rng.standard_normal(60)
    y = rng.standard_normal(60)
    told = MLELinearRegressor().fit(X, y).diagnose(X, y).collinearity().dependencies
    assert len(told) == 2
    assert {frozenset(re.findall(r"\b[a-h]\b", text)) for text in told} == {
        frozenset("abg"),
        frozenset("cdeh"),
    }
    assert "f" not in "".join(told)
    summary = str(MLELinearRegressor().fit(X, y).summary())
    assert summary.count("Nearly dependent columns") == 2
    assert "centre them" not in summary


def test_a_small_share_is_told_where_the_dependency_is_nearer_than_it(rng):
    X = rng.standard_normal((60, 4))
    X[:, 3] = X[:, 0] - 2.0 * X[:, 1] + 1e-8 * X[:, 2] + 1e-11 * rng.standard_normal(60)
    (told,) = near_dependencies(MLELinearRegressor().fit(X, X[:, 0] + rng.standard_normal(60))._fit.information)
    assert told.relation.dependent == 3
    assert [place for place, _ in told.relation.terms] == [0, 1, 2]
    np.testing.assert_allclose([share for _, share in told.relation.terms], [1.0, -2.0, 1e-8], rtol=1e-2)


@pytest.mark.parametrize("mean", [0.0, 9.0, 11.0])
def test_what_columns_far_from_zero_do_to_the_intercept(mean, rng):
    """√(1 + n x̄ᵀ(X̃ᵀX̃)⁻¹x̄), and from ten standard deviations on which columns they are."""
    Z = rng.standard_normal((50, 2))
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    X, y = Z * [2.0, 0.5] + [0.0, -0.5 * mean], rng.standard_normal(50)
    ratio, far = intercept_inflation(MLELinearRegressor().fit(X, y)._fit.information)
    centre = X.mean(axis=0)
    assert ratio == pytest.approx(np.sqrt(1.0 + centre @ np.linalg.solve(np.cov(X.T, bias=True), centre)), rel=1e-9)
    assert far.tolist() == ([1] if mean > 10 else [])
    ratio, far = intercept_inflation(MLELinearRegressor(fit_intercept=False).fit(X, y)._fit.information)
    assert (ratio, far.tolist()) == (1.0, [])


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e5])
def test_inputs_of_a_network_that_follow_from_others(unit, rng):
    """A share of 1e-5 and a constant are part of the relation; rounding is none."""
    X = rng.standard_normal((60, 4)) * [1.0, unit, 3.0, 1.0] + [0.0, 2.0, -1.0, 0.0]
    X[:, 2] = 4.0
    X[:, 3] = X[:, 0] + 1e-5 / unit * X[:, 1] + 7.0
    center, spread = X.mean(axis=0), np.where(X.std(axis=0) > 1e-9, X.std(axis=0), 1.0)
    table = np.column_stack([(X - center) / spread, np.ones(60)])
    null = null_inputs(table.T @ table / 60)
    assert null.shape == (5, 2)
    assert np.abs(table @ null).max() < 1e-6
    constant, follows = input_relations(null, center, spread)
    assert (constant.dependent, constant.terms) == (2, ())
    assert constant.constant == pytest.approx(4.0)
    assert (follows.dependent, [place for place, _ in follows.terms]) == (3, [0, 1])
    np.testing.assert_allclose(
        [share * by for (_, share), by in zip(follows.terms, [1, unit], strict=True)], [1, 1e-5], rtol=1e-3
    )
    assert follows.constant == pytest.approx(7.0, rel=1e-6)
    assert input_relations(null[:, :0], center, spread) == ()


def test_flat_directions_of_the_inputs_are_taken_out(rng):
    network = Network((3, 2, 1), find_activation("tanh"))
    null = np.array([[0.6], [0.0], [0.8], [0.0]])
    of_inputs = np.zeros((network.n_parameters, 2))
    for unit in range(2):
        direction = np.zeros(network.n_parameters)
        network.layers(direction)[0][unit] = null[:, 0]
        of_inputs[:, unit] = direction
    own = np.zeros(network.n_parameters)
    network.layers(own)[0][0] = [0.8, 0.0, -0.6, 0.0]
    mixed = np.column_stack([of_inputs, own]) @ np.linalg.qr(rng.standard_normal((3, 3)))[0]
    left = without_inputs(network, mixed, null)
    assert left.shape == (network.n_parameters, 1)
    np.testing.assert_allclose(np.abs(left[:, 0] @ own), 1.0, rtol=1e-12)
    assert without_inputs(network, mixed, null[:, :0]) is mixed
