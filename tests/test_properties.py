"""Properties of any fit on any rows: right, or refused in words; never a raw error, never a silent wrong number.

Bounded in the ordinary run; ``pytest tests/test_properties.py --hypothesis-profile=long`` looks further.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
from drawn import CONTAINERS, Drawn, drawn, outcome, truth
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.base import clone

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.models.activations import ACTIVATIONS
from mle_regression.solvers.registry import SOLVERS

DIRECT = sorted(name for name, kind in SOLVERS.items() if hasattr(kind, "solve"))
WEIGHT_TYPES = ("precision", "frequency")


def fit(model: Any, rows: Drawn) -> Any:
    return outcome(lambda: model.fit(rows.x, rows.y, rows.weights))


def each_output(rows: Drawn) -> list[np.ndarray]:
    return list(rows.y.reshape(len(rows.y), -1).T)


# -- exact arithmetic -------------------------------------------------------------------------------------------------


@given(rows=drawn(), solver=st.sampled_from(DIRECT), intercept=st.booleans())
def test_linear_fit_is_the_exact_one(rows, solver, intercept):
    """Rank, verdict and fitted values in any case; coefficients and their errors where they are determined."""
    model = fit(MLELinearRegressor(solver=solver, fit_intercept=intercept, on_rank_deficiency="min_norm"), rows)
    assert model is not None
    predicted = model.predict(rows.x).reshape(len(rows.y), -1)
    for k, y in enumerate(each_output(rows)):
        right = truth(rows.x, y, rows.weights, intercept)
        assert model.rank_ == right.rank
        full = rows.x.shape[1] + intercept
        assert model.verdict_ == ("unique minimum" if right.rank == full else "flat minimum")
        size = np.abs(y).max(initial=0.0) + np.abs(right.fitted).max(initial=0.0)
        # where the rank is short, rows without weight are predicted by a choice among equals
        told = slice(None) if right.rank == full else rows.counted
        np.testing.assert_allclose(predicted[told, k], right.fitted[told], rtol=1e-10, atol=1e-12 * size)
        if right.rank == full:
            compare_parameters(model, k, right, rows.x, intercept, 1e-16 * np.abs(y).max())


def compare_parameters(model, k, right, x, intercept, floor):
    coef = np.atleast_2d(model.coef_)[k]
    ours = np.concatenate([np.atleast_1d(model.intercept_)[k : k + 1], coef]) if intercept else coef
    lengths = np.abs(np.column_stack([np.ones((len(x), int(intercept))), x])).max(axis=0)
    rounding = (1e-14 * np.abs(right.params * lengths).max(initial=0.0) + floor) / lengths
    assert (np.abs(ours - right.params) <= 1e-13 * np.abs(right.params) + rounding).all()


@given(rows=drawn(outputs=False), intercept=st.booleans(), weight_type=st.sampled_from(WEIGHT_TYPES))
def test_likelihood_is_that_of_the_exact_residuals(rows, intercept, weight_type):
    model = MLELinearRegressor(fit_intercept=intercept, on_rank_deficiency="min_norm", weight_type=weight_type)
    assume(fit(model, rows) is not None)
    right = truth(rows.x, rows.y, rows.weights, intercept)
    w = np.ones(len(rows.y)) if rows.weights is None else rows.weights
    n = w.sum() if weight_type == "frequency" else np.count_nonzero(w)
    if right.rss == 0:
        assert model.log_likelihood_ == np.inf
        return
    log_rss = math.log(right.rss.numerator) - math.log(right.rss.denominator)
    jacobian = 0.0 if weight_type == "frequency" else 0.5 * np.log(w[w > 0]).sum()
    expected = -0.5 * n * (np.log(2.0 * np.pi) + log_rss - np.log(n) + 1.0) + jacobian
    assert model.log_likelihood_ == pytest.approx(expected, rel=1e-10, abs=1e-8 * n)
    again = model.log_likelihood(rows.x, rows.y, rows.weights)
    assert again == pytest.approx(expected, rel=1e-8, abs=1e-6 * n)


# -- equivariances ----------------------------------------------------------------------------------------------------

LINEAR = st.builds(
    MLELinearRegressor,
    solver=st.sampled_from(["auto", *DIRECT]),
    fit_intercept=st.booleans(),
    alpha=st.sampled_from((0.0, 0.0, 0.5)),
    refine=st.sampled_from(("auto", False)),
    on_rank_deficiency=st.sampled_from(("min_norm", "drop")),
)


def numbers(model: Any, x: np.ndarray) -> dict[str, np.ndarray]:
    """What does not depend on how the rows came in."""
    return {
        "predictions": np.asarray(model.predict(x)),
        "noise variance": np.asarray(model.noise_variance_),
        "log-likelihood": np.asarray(model.log_likelihood_),
        "rank": np.asarray(model.rank_),
        "standard errors": np.asarray(model.standard_errors_),
    }


def assert_same(ours, theirs, y, rtol=1e-9):
    size = float(np.abs(y).max(initial=0.0))
    rounding = 1e-26 * size**2
    for name, value in ours.items():
        if name == "log-likelihood" and (ours["noise variance"] < rounding).any():
            continue  # whether so little is noise, without exact sums, is a matter of the last digit
        floor = {"predictions": 1e-11 * size, "noise variance": 1e-22 * size**2}.get(name, 1e-9)
        np.testing.assert_allclose(value, theirs[name], rtol=rtol, atol=floor, err_msg=name)


@given(rows=drawn(units=False), model=LINEAR, kind=st.sampled_from(CONTAINERS))
def test_container_of_the_rows_makes_no_difference(rows, model, kind):
    plain, other = fit(clone(model), rows), None
    assert plain is not None
    other = outcome(lambda: clone(model).fit(kind(rows.x), rows.y, rows.weights))
    assert other is not None
    assert_same(numbers(plain, rows.x), {**numbers(other, kind(rows.x))}, rows.y)


@given(rows=drawn(units=False), model=LINEAR, seed=st.integers(0, 99))
def test_order_of_the_rows_makes_no_difference(rows, model, seed):
    order = np.random.default_rng(seed).permutation(len(rows.x))
    turned = Drawn(rows.x[order], rows.y[order], None if rows.weights is None else rows.weights[order])
    one, two = fit(clone(model), rows), fit(clone(model), turned)
    assert_same(numbers(one, rows.x), numbers(two, rows.x), rows.y)


@given(rows=drawn(units=False), seed=st.integers(0, 99), solver=st.sampled_from(DIRECT), intercept=st.booleans())
def test_order_of_the_columns_only_orders_the_coefficients(rows, seed, solver, intercept):
    order = np.random.default_rng(seed).permutation(rows.x.shape[1])
    model = MLELinearRegressor(solver=solver, fit_intercept=intercept, on_rank_deficiency="min_norm")
    one, two = fit(clone(model), rows), fit(clone(model), Drawn(rows.x[:, order], rows.y, rows.weights))
    size = np.abs(rows.y).max(initial=0.0)
    np.testing.assert_allclose(one.predict(rows.x), two.predict(rows.x[:, order]), rtol=1e-9, atol=1e-11 * size)
    np.testing.assert_allclose(
        np.atleast_2d(one.coef_)[:, order], np.atleast_2d(two.coef_), rtol=1e-9, atol=1e-11 * size
    )


@given(rows=drawn(units=False, weighted=False), model=LINEAR, counts=st.data())
def test_frequencies_are_repeated_rows(rows, model, counts):
    n = len(rows.x)
    w = np.array(counts.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    assume(w.any())
    model = clone(model).set_params(weight_type="frequency")
    weighted = fit(clone(model), Drawn(rows.x, rows.y, w.astype(float)))
    repeated = fit(clone(model), Drawn(np.repeat(rows.x, w, axis=0), np.repeat(rows.y, w, axis=0), None))
    assert_same(numbers(weighted, rows.x), numbers(repeated, rows.x), rows.y)


@given(rows=drawn(units=False), model=LINEAR, weight_type=st.sampled_from(WEIGHT_TYPES))
def test_a_row_of_weight_zero_is_as_if_absent(rows, model, weight_type):
    model = clone(model).set_params(weight_type=weight_type)
    w = np.ones(len(rows.x)) if rows.weights is None else rows.weights
    far = np.full((1, *rows.y.shape[1:]), 1e6)
    more = Drawn(
        np.vstack([rows.x, np.full((1, rows.x.shape[1]), -1e6)]), np.concatenate([rows.y, far]), np.append(w, 0.0)
    )
    one, two = fit(clone(model), Drawn(rows.x, rows.y, w)), fit(clone(model), more)
    assert_same(numbers(one, rows.x), numbers(two, rows.x), rows.y)


UNITS = st.sampled_from((1, -30, 30, 400, -400))


@given(rows=drawn(units=False), model=LINEAR, of_x=UNITS, of_y=UNITS)
def test_units_scale_what_they_measure(rows, model, of_x, of_y):
    """Columns times 2ᵃ and y times 2ᵇ: predictions times 2ᵇ, the log-likelihood less n·b·log 2; α goes with the columns."""
    one = fit(clone(model), rows)
    other = clone(model).set_params(alpha=model.alpha * 2.0 ** (2 * of_x) if abs(of_x) < 100 else 0.0)
    assume(other.alpha == 0.0 or model.alpha > 0.0)
    assume(model.alpha == 0.0 or abs(of_x) < 100)
    two = fit(other, Drawn(rows.x * 2.0**of_x, rows.y * 2.0**of_y, rows.weights))
    assert two is not None
    size = np.abs(rows.y).max(initial=0.0)
    predicted = two.predict(rows.x * 2.0**of_x) * 2.0**-of_y
    np.testing.assert_allclose(predicted, one.predict(rows.x), rtol=1e-9, atol=1e-11 * size)
    assert two.rank_ == one.rank_
    if (np.asarray(one.noise_variance_) < 1e-26 * size**2).any():
        return
    moved = np.count_nonzero(rows.counted) * (rows.y.size // len(rows.y)) * of_y * np.log(2.0)
    assert two.log_likelihood_ == pytest.approx(one.log_likelihood_ - moved, rel=1e-9, abs=1e-7)


# -- every option, every method ---------------------------------------------------------------------------------------

ANY_LINEAR = st.builds(
    MLELinearRegressor,
    solver=st.sampled_from(sorted(SOLVERS)),
    fit_intercept=st.booleans(),
    alpha=st.sampled_from((0.0, 1e-12, 1.0, 1e12, "evidence")),
    weight_type=st.sampled_from(WEIGHT_TYPES),
    rank_tol=st.sampled_from((None, 1e-3)),
    on_rank_deficiency=st.sampled_from(("warn", "raise", "drop", "min_norm")),
    refine=st.sampled_from(("auto", True, False)),
    max_iter=st.sampled_from((1, 20)),
    random_state=st.just(0),
)

ANY_NETWORK = st.builds(
    MLPGradientRegressor,
    hidden_layer_sizes=st.sampled_from(((), (1,), (2, 2))),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    solver=st.sampled_from(("auto", "lm", "lbfgs", "newton", "gd", "sgd", "adam")),
    alpha=st.sampled_from((0.0, 1e-4, 1.0)),
    weight_type=st.sampled_from(WEIGHT_TYPES),
    standardize=st.booleans(),
    max_iter=st.sampled_from((1, 5)),
    early_stopping=st.sampled_from(("auto", True, False)),
    n_init=st.sampled_from((1, 2)),
    curvature=st.sampled_from((None, "extremes", "full")),
    random_state=st.just(0),
)

BY_EVIDENCE = st.builds(
    MLPGradientRegressor,
    hidden_layer_sizes=st.sampled_from(((), (1,))),
    alpha=st.just("evidence"),
    alpha_per=st.sampled_from(("auto", "layer", "all", "input")),
    standardize=st.booleans(),
    max_iter=st.just(5),
    random_state=st.just(0),
)


def arguments(name: str, rows: Drawn) -> dict[str, Any] | None:
    """Arguments of a public method, or None where it is called elsewhere."""
    x, y, w = rows.x, rows.y, rows.weights
    known = {
        "fit": None, "partial_fit": None, "diagnose": None, "merge": None, "get_metadata_routing": {}, "get_params": {},
        "predict": {"X": x}, "predict_interval": {"X": x}, "score": {"X": x, "y": y},
        "log_likelihood": {"X": x, "y": y, "sample_weight": w}, "log_predictive_density": {"X": x, "y": y},
        "test_linear": {"R": np.eye(1, x.shape[1])},
    }  # fmt: skip
    return known.get(name, {})


def visit(thing: Any, rows: Drawn) -> None:
    """Read every public attribute of a fit or diagnosis, and call every method that has all arguments by default."""
    for name in dir(type(thing)):
        if name.startswith(("_", "set_")):
            continue
        value = outcome(lambda name=name: getattr(thing, name, None))
        if not inspect.ismethod(value):
            continue
        given_arguments = arguments(name, rows)
        if given_arguments is not None:
            outcome(lambda value=value, given_arguments=given_arguments: str(value(**given_arguments)))


@given(rows=drawn(), model=ANY_LINEAR)
def test_any_linear_fit_is_whole_or_refused_in_words(rows, model):
    if fit(model, rows) is None:
        return
    visit(model, rows)
    diagnosis = outcome(lambda: model.diagnose(rows.x, rows.y, rows.weights))
    if diagnosis is not None:
        visit(diagnosis, rows)


@given(rows=drawn(), model=ANY_NETWORK)
def test_any_network_fit_is_whole_or_refused_in_words(rows, model):
    if fit(model, rows) is None:
        return
    visit(model, rows)
    diagnosis = outcome(lambda: model.diagnose(rows.x, rows.y, rows.weights))
    if diagnosis is not None:
        visit(diagnosis, rows)


@given(rows=drawn(), model=BY_EVIDENCE)
def test_any_evidence_is_whole_or_refused_in_words(rows, model):
    if fit(model, rows) is not None:
        visit(model, rows)


@given(batches=st.lists(drawn(outputs=False), min_size=2, max_size=3), model=ANY_LINEAR | ANY_NETWORK)
def test_batches_are_taken_or_refused_in_words(batches, model):
    p = min(rows.x.shape[1] for rows in batches)
    for rows in batches:
        outcome(lambda rows=rows: model.partial_fit(rows.x[:, :p], rows.y, rows.weights))
    outcome(lambda: str(model.summary()))
    outcome(lambda: model.predict(batches[0].x[:, :p]))
