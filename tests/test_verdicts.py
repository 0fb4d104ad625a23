"""What kind of point a network's training ended at, where no textbook case makes it plain."""

import numpy as np
import pytest

from mle_regression import MLPGradientRegressor
from mle_regression.diagnostics.stationary import (
    Spectrum,
    escape_direction,
    extreme_spectrum,
    full_spectrum,
    judged,
    lower_nearby,
    nearest_stationary_point,
    steepness,
)
from mle_regression.fitted.network_on_rows import Flatness, NetworkCurvature, NetworkOnRows
from mle_regression.models.activations import ACTIVATIONS, find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.reports.network.diagnosis import NetworkDiagnosis
from mle_regression.reports.network.verdict import reason
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Function:
    """An objective of a function, its gradient and its Hessian."""

    def __init__(self, value, gradient, hessian):
        self.value, self.gradient, self.hessian = value, gradient, hessian

    def value_and_gradient(self, theta):
        return float(self.value(theta)), np.asarray(self.gradient(theta), dtype=float)


def said_of(spectrum, judgement):
    nothing, flat = np.zeros(0), Flatness([], (), 0)
    return reason(NetworkCurvature(spectrum, judgement, 0.0, 0.0, nothing, nothing, flat, True, True), [])


def quartic(sign):
    """One minus or plus θ₀⁴, and a bowl in θ₁."""
    return Function(
        lambda t: 1.0 + sign * t[0] ** 4 + t[1] ** 2,
        lambda t: [4.0 * sign * t[0] ** 3, 2.0 * t[1]],
        lambda t: np.diag([12.0 * sign * t[0] ** 2, 2.0]),
    )


CUBIC = Function(
    lambda t: 1.0 + t[0] ** 3 + t[1] ** 2,
    lambda t: [3.0 * t[0] ** 2, 2.0 * t[1]],
    lambda t: np.diag([6.0 * t[0], 2.0]),
)
# Along the axis of θ₀ the loss rises; along θ₁ = θ₀² it falls.
CURVED = Function(
    lambda t: 1.0 + (t[1] - t[0] ** 2) ** 2 - 0.5 * t[0] ** 4,
    lambda t: [-4.0 * t[0] * (t[1] - t[0] ** 2) - 2.0 * t[0] ** 3, 2.0 * (t[1] - t[0] ** 2)],
    lambda t: np.array([[6.0 * t[0] ** 2 - 4.0 * t[1], -4.0 * t[0]], [-4.0 * t[0], 2.0]]),
)
# Flat along the parabola θ₁ = θ₀²: a valley that is not straight.
VALLEY = Function(
    lambda t: 1.0 + (t[1] - t[0] ** 2) ** 2,
    lambda t: [-4.0 * t[0] * (t[1] - t[0] ** 2), 2.0 * (t[1] - t[0] ** 2)],
    lambda t: np.array([[12.0 * t[0] ** 2 - 4.0 * t[1], -4.0 * t[0]], [-4.0 * t[0], 2.0]]),
)


def verdict_of(function, theta, rng):
    values, vectors = np.linalg.eigh(function.hessian(theta))
    largest = np.abs(values).max()
    spectrum = Spectrum(values, vectors, np.full(2, 1e-14), np.zeros(2), largest, True)
    return judged(function, theta, spectrum, 0.0, rng)


@pytest.mark.parametrize(
    ("function", "verdict"),
    [
        (quartic(1.0), "flat minimum"),
        (quartic(-1.0), "saddle point"),
        (CUBIC, "saddle point"),
        (CURVED, "saddle point"),
        (VALLEY, "flat minimum"),
    ],
    ids=["rises", "falls", "falls to one side", "falls along a curve", "valley"],
)
def test_a_singular_hessian_is_no_minimum_by_itself(function, verdict, rng):
    found = verdict_of(function, np.zeros(2), rng)
    assert found.verdict == verdict
    if verdict == "saddle point":
        here = found.escape.direction * found.escape.step
        assert function.value(here) == pytest.approx(1.0 - found.escape.gain, abs=1e-15)
        assert "degenerate" in said_of(found.spectrum, found)


@pytest.mark.parametrize("activation", sorted(name for name, entry in ACTIVATIONS.items() if entry.smooth))
def test_xor_at_the_network_of_zeros(activation):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]] * 5)
    y = (X[:, 0] != X[:, 1]).astype(float)
    network = Network((2, 3, 1), find_activation(activation))
    units = [Units(Z.mean(axis=0), Z.std(axis=0)) for Z in (X, y[:, None])]
    rows = StandardRows(as_rows(X, y[:, None], None), *units, np.dtype(float))
    objective = NetworkObjective(network, rows, 0.0, np.zeros(network.n_parameters))
    report = NetworkDiagnosis(NetworkOnRows(objective, 1.0), ["a", "b"], ["y"]).curvature()
    if activation == "identity":  # no linear function is nearer than the mean
        assert report.verdict == "flat minimum"
        return
    assert report.verdict == "saddle point"
    assert report.inertia[0] == 0
    lower, _ = objective.value_and_gradient(report.escape.step * report.escape.direction)
    assert lower == pytest.approx(1.0 - report.escape.gain, abs=1e-14)
    assert lower < 1.0 - 1e-9


@pytest.mark.parametrize("solver", ["newton", "lm", "lbfgs"])
@pytest.mark.parametrize("seed", range(8))
def test_a_linear_function_through_hidden_units_is_a_flat_minimum(solver, seed):
    """Every minimum of an identity network is a global one (Baldi and Hornik, 1989), in a valley of equal networks."""
    rng = np.random.default_rng(seed)
    hidden = int(rng.integers(1, 7))
    X = rng.normal(size=(60, 4))
    y = X @ [1, 2, 3, 4] + rng.normal(size=60)
    options = {"activation": "identity", "alpha": 0, "early_stopping": False, "curvature": "full"}
    model = MLPGradientRegressor((hidden,), solver=solver, random_state=seed, **options).fit(X, y)
    assert model.verdict_ == "flat minimum"
    report = model.diagnose(X, y).curvature()
    assert report.inertia == (0, 6 * hidden + 1 - 5, 5)
    assert np.isinf(model.condition_number_)


def test_a_global_minimum_is_no_saddle_point():
    rng = np.random.default_rng(1029)
    X = rng.normal(size=(60, 4))
    y = X @ [1, 2, 3, 4] + rng.normal(size=60)
    options = {"activation": "identity", "alpha": 0, "solver": "newton", "random_state": 29, "curvature": "full"}
    model = MLPGradientRegressor((3,), **options).fit(X, y)
    assert model.verdict_ == "flat minimum"
    assert model.diagnose(X, y).curvature().inertia == (0, 14, 5)


def test_an_eigenvalue_that_seems_negative_must_lower_the_loss(rng):
    """A wrong second derivative, or one that is rounding, makes no saddle point."""
    bowl = Function(lambda t: 1.0 + t @ t, lambda t: 2.0 * t, lambda t: np.diag([-1e-6, 2.0]))
    found = verdict_of(bowl, np.zeros(2), rng)
    assert found.verdict == "undetermined"
    assert found.spectrum.inertia == (0, 1, 1)
    assert found.escape is None


def test_the_surest_eigenvalue_is_shown(rng):
    saddle = Function(
        lambda t: 1.0 - t[0] ** 2 - 1e-3 * t[1] ** 2 + t[0] ** 4 + t[1] ** 4,
        lambda t: [-2 * t[0] + 4 * t[0] ** 3, -2e-3 * t[1] + 4 * t[1] ** 3],
        lambda t: np.diag([-2 + 12 * t[0] ** 2, -2e-3 + 12 * t[1] ** 2]),
    )
    spectrum = Spectrum(np.array([-2.0, -2e-3]), np.eye(2), np.array([3.0, 1e-6]), np.zeros(2), 2.0, False)
    found = judged(saddle, np.zeros(2), spectrum, 0.0, rng)
    assert found.verdict == "saddle point"
    assert np.abs(found.escape.direction).tolist() == [0.0, 1.0]
    assert "-0.002 ± 1e-06" in said_of(spectrum, found)


def test_the_way_down_begins_below_rounding():
    """A curvature of -1e-9 lowers the loss by less than its rounding at first, and by a good deal further on."""
    saddle = Function(lambda t: 1e3 - 1e-9 * t[0] ** 2, lambda t: [-2e-9 * t[0]], None)
    found = escape_direction(saddle, np.zeros(1), np.ones(1))
    assert found.gain > 1e-5


def test_no_gain_is_claimed_that_the_gradient_accounts_for(rng):
    slope = Function(lambda t: 1.0 + 1e-7 * t[0] + t[1] ** 2, lambda t: [1e-7, 2.0 * t[1]], None)
    assert lower_nearby(slope, np.zeros(2), np.eye(2)[:, :1], 1e-14, rng) is None


def test_the_stationary_point_nearby(rng):
    theta = np.array([0.3, 0.02])
    values, vectors = np.linalg.eigh(VALLEY.hessian(theta))
    spectrum = Spectrum(values, vectors, np.full(2, 1e-14), np.zeros(2), values[-1], True)
    there = nearest_stationary_point(VALLEY, np.array([0.3, 0.089]), spectrum)
    assert np.linalg.norm(VALLEY.gradient(there)) < 1e-6 * np.linalg.norm(VALLEY.gradient(np.array([0.3, 0.089])))
    assert nearest_stationary_point(VALLEY, np.array([0.3, 2.0]), spectrum).tolist() == [
        0.3,
        2.0,
    ]  # too far to speak for


class Whole(Function):
    """The same, with products."""

    def hessian_products(self, theta):
        return lambda v: self.hessian(theta) @ v


# Curvatures 4 and 1 at its minimum at zero, and others elsewhere; nothing depends on the third number.
BENT = Whole(
    lambda t: 2.0 * t[0] ** 2 + 0.5 * t[1] ** 2 + t[0] ** 3 + t[1] ** 4,
    lambda t: np.array([4.0 * t[0] + 3.0 * t[0] ** 2, t[1] + 4.0 * t[1] ** 3, 0.0]),
    lambda t: np.diag([4.0 + 6.0 * t[0], 1.0 + 12.0 * t[1] ** 2, 0.0]),
)


@pytest.mark.parametrize("by_products", [False, True])
def test_drift_is_how_curvatures_change_along_newtons_step(by_products, rng):
    theta = np.array([0.02, -0.05, 0.3])
    found = extreme_spectrum(BENT, theta, 3, rng) if by_products else full_spectrum(BENT, theta)
    at = np.diagonal(BENT.hessian(theta))
    gradient = BENT.gradient(theta)
    moved = np.diagonal(BENT.hessian(theta - np.array([gradient[0] / at[0], gradient[1] / at[1], 0.0])))
    np.testing.assert_allclose(found.values, at[[2, 1, 0]], atol=1e-7)
    np.testing.assert_allclose(found.drift, np.abs(moved - at)[[2, 1, 0]], rtol=1e-5, atol=1e-10)
    assert found.largest == pytest.approx(4.12)
    assert found.complete
    assert (np.abs(found.values - [0.0, 1.0, 4.0]) <= found.slack).all()
    assert (found.bounds < 1e-6).all()


def test_the_ends_of_a_spectrum_and_its_signs():
    values = np.array([-3.0, -0.5, 0.1, 0.5, 7.0])
    whole = Spectrum(values, np.eye(5), np.full(5, 0.1), np.array([0.0, 0.2, 0.0, 0.1, 0.0]), 7.0, True)
    np.testing.assert_allclose(whole.slack, [0.1, 0.5, 0.1, 0.3, 0.1])
    assert whole.inertia == (1, 2, 2)  # -0.5 ± 0.5 and 0.1 ± 0.1 may be zero
    ends = whole.ends(2)
    np.testing.assert_array_equal(ends.values, values[[0, 1, 3, 4]])
    np.testing.assert_array_equal(ends.vectors, np.eye(5)[:, [0, 1, 3, 4]])
    np.testing.assert_array_equal(ends.slack, whole.slack[[0, 1, 3, 4]])
    assert (ends.complete, ends.largest) == (False, 7.0)
    for k in (3, 5, 9):
        np.testing.assert_array_equal(whole.ends(k).values, values)
        assert whole.ends(k).complete


@pytest.mark.parametrize("unit", [1e-5, 1.0, 1e7])
def test_steepness_has_no_unit(unit):
    """Of ½λx² at x the gradient is λx; measured in a loss u times as large, and x in units of its own."""
    curvature, at, variance = 3.0, 0.2, 2.0
    expected = curvature * at / (2.0 * curvature * variance) ** 0.5
    assert steepness(unit * curvature * at, unit * curvature, unit * variance) == pytest.approx(expected)
    assert steepness(curvature * at * unit, curvature * unit**2, variance) == pytest.approx(expected)
    assert steepness(0.5, 2.0, 0.0) == pytest.approx(0.25)  # y is constant: of standard units
    assert steepness(0.0, 0.0, 1.0) == 0.0


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_way_down_ends_where_the_loss_is_lowest(side):
    """−x² + x⁴/2 − side·x³/100, lowest near ±1, a little lower to one side."""
    valley = Function(lambda t: 5.0 - t[0] ** 2 + 0.5 * t[0] ** 4 - side * 0.01 * t[0] ** 3, lambda t: [0.0], None)
    found = escape_direction(valley, np.zeros(1), np.ones(1))
    assert found.direction == [side]
    assert found.step == pytest.approx(1.0, rel=0.2)
    assert found.loss == valley.value(found.step * found.direction)
    assert found.gain == pytest.approx(5.0 - found.loss)
    bowl = Function(lambda t: 5.0 + t[0] ** 2, lambda t: [0.0], None)
    assert escape_direction(bowl, np.zeros(1), np.ones(1)).gain == 0.0


@pytest.mark.parametrize(("part", "verdict"), [(1e-9, "flat minimum"), (1e-5, "undetermined")])
def test_what_products_call_flat_is_known_to_a_ten_millionth(part, verdict, rng):
    """Of the largest curvature; eigenvalues that are known no better may be of either sign."""
    valley = Whole(lambda t: 1.0 + t[1] ** 2, lambda t: [0.0, 2.0 * t[1]], lambda t: np.diag([0.0, 2.0]))
    bounds = np.array([2.0 * part, 2e-9])
    spectrum = Spectrum(np.array([0.0, 2.0]), np.eye(2), bounds, np.zeros(2), 2.0, False)
    assert judged(valley, np.zeros(2), spectrum, 0.0, rng).verdict == verdict
