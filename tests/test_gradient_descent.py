"""Steps of gradient descent and of quasi-Newton methods, on functions whose answer is known."""

import numpy as np
import pytest

from mle_regression.diagnostics.curvature import descent
from mle_regression.solvers import LBFGS, GradientDescent
from mle_regression.solvers.base import Status
from mle_regression.solvers.gradient_descent import largest_curvature
from mle_regression.solvers.lbfgs import Pairs
from mle_regression.solvers.line_search import Place, place_at, search_line
from mle_regression.solvers.path import Control, DivergenceError

HESSIAN = np.array([[4.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]])
SHIFT = np.array([1.0, -2.0, 3.0])


class Bowl:
    """½θᵀHθ − bᵀθ + c; its spectrum is told or not."""

    def __init__(self, start, told, hessian=HESSIAN, constant=20.0):
        self.start, self.hessian, self.constant = np.array(start, dtype=float), hessian, constant
        self.spectrum = np.linalg.eigvalsh(hessian) if told else None

    def value_and_gradient(self, theta):
        return float(0.5 * theta @ self.hessian @ theta - SHIFT @ theta) + self.constant, self.hessian @ theta - SHIFT

    def hessian_products(self, theta):
        return lambda v: self.hessian @ v

    def without_constant(self):
        return Bowl(self.start, self.spectrum is not None, self.hessian, 0.0), self.constant


def control(steps, rate="auto", tol=0.0, **options):
    return Control(rate, None, steps, tol, np.random.default_rng(0), **options)


def textbook(start, steps, rate, momentum, nesterov):
    """Where each gradient is taken: v ← μv − ηg at what is looked at, θ ← θ + v, which Nesterov looks μv ahead of."""
    theta, v, places = np.array(start, dtype=float), np.zeros(3), []
    ahead = theta
    for _ in range(steps):
        v = momentum * v - rate * (HESSIAN @ ahead - SHIFT)
        theta = theta + v
        ahead = theta + momentum * v if nesterov else theta
        places.append(ahead)
    return places


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("acceleration", ["none", "polyak", "nesterov"])
def test_steps_are_those_of_the_textbook(acceleration, told):
    low, high = np.linalg.eigvalsh(HESSIAN)[[0, -1]]
    kappa = high / low
    momentum = {
        "none": 0.0,
        "polyak": ((kappa**0.5 - 1) / (kappa**0.5 + 1)) ** 2,
        "nesterov": ((3 * kappa + 1) ** 0.5 - 2) / ((3 * kappa + 1) ** 0.5 + 2),
    }[acceleration]
    if not told and acceleration != "none":
        momentum = 0.9
    seen = []
    objective = Bowl([3.0, 1.0, -1.0], told)
    listening = control(6, 0.05, tell=lambda k, theta, *_: seen.append(theta.copy()))
    GradientDescent(acceleration).minimise(objective, listening)
    expected = textbook(objective.start, 6, 0.05, momentum, acceleration == "nesterov")
    np.testing.assert_allclose(seen, [objective.start, *expected], rtol=1e-12)


@pytest.mark.parametrize("acceleration", ["none", "polyak", "nesterov"])
@pytest.mark.parametrize("rate", ["auto", 0.1])
def test_the_foretold_rate_is_the_observed_one(acceleration, rate):
    path = GradientDescent(acceleration).minimise(Bowl([3.0, 1.0, -1.0], True), control(60, rate))
    assert path.observed_rate == pytest.approx(path.rate, rel=0.06)


@pytest.mark.parametrize("told", [True, False])
def test_what_is_remembered_is_gone_on_with(told):
    whole = GradientDescent().minimise(Bowl([3.0, 1.0, -1.0], told), control(8, 0.05))
    half = GradientDescent().minimise(Bowl([3.0, 1.0, -1.0], told), control(4, 0.05, remember=True))
    rest = GradientDescent().minimise(Bowl(half.theta, told), control(4, 0.05, memory=half.memory))
    np.testing.assert_allclose(rest.theta, whole.theta, rtol=1e-12)
    assert not GradientDescent().minimise(Bowl([3.0, 1.0, -1.0], told), control(4, 0.05)).memory


@pytest.mark.parametrize("acceleration", ["none", "polyak", "nesterov"])
def test_a_step_beyond_the_bound_diverges_and_is_refused(acceleration):
    """The bound of a foretold step is where the steps on the same function begin to grow, untold."""
    with pytest.raises(ValueError, match="would diverge"):
        GradientDescent(acceleration).minimise(Bowl([3.0, 1.0, -1.0], True), control(9, 2.01 / 4.0))
    high = np.linalg.eigvalsh(HESSIAN)[-1]
    low_enough, too_long = (1.9 / high, 2.1 / high) if acceleration == "none" else (0.9 / high, 6.0 / high)
    GradientDescent(acceleration).minimise(Bowl([3.0, 1.0, -1.0], False), control(300, low_enough))
    with pytest.raises(DivergenceError, match="Steps are stable below"):
        GradientDescent(acceleration).minimise(Bowl([3.0, 1.0, -1.0], False), control(900, too_long))


@pytest.mark.parametrize(("acceleration", "edge"), [("none", 20.0), ("polyak", 38.0), ("nesterov", 2 * 1.9 / 2.8 * 10)])
def test_the_largest_stable_curvature_of_a_step_of_a_tenth(acceleration, edge):
    path = GradientDescent(acceleration).minimise(Bowl([3.0, 1.0, -1.0], False), control(2, 0.1))
    assert path.stability_limit == pytest.approx(edge)


@pytest.mark.parametrize("acceleration", ["none", "polyak", "nesterov"])
def test_an_automatic_step_never_leads_up(acceleration):
    path = GradientDescent(acceleration).minimise(Bowl([3.0, 1.0, -1.0], False), control(900, tol=1e-9))
    assert path.status is Status.CONVERGED
    assert np.diff(path.losses).max() <= 16 * np.finfo(float).eps * path.losses[-1]
    assert path.stability_limit < 1e3 * np.linalg.eigvalsh(HESSIAN)[-1]
    np.testing.assert_allclose(path.theta, np.linalg.solve(HESSIAN, SHIFT), rtol=1e-8)


class Steepening(Bowl):
    """log cosh 40(x − 1) beside a curvature at the start that is next to nothing: the step of the start is too long."""

    def __init__(self):
        super().__init__([0.0, 0.0, 0.0], False)

    def value_and_gradient(self, theta):
        at = 40.0 * (theta[0] - 1.0)
        return float(np.logaddexp(at, -at) - np.log(2.0)), np.array([40.0 * np.tanh(at), 0.0, 0.0])

    def hessian_products(self, theta):
        return lambda v: np.array([v[0], 0.0, 0.0])


def test_an_automatic_step_that_is_too_long_is_halved():
    path = GradientDescent("none").minimise(Steepening(), control(200, tol=1e-6, remember=True))
    assert path.status is Status.CONVERGED
    assert path.theta[0] == pytest.approx(1.0, abs=1e-6)
    # a step is stable below 2/1600 at the minimum, and half of one that is not may be
    assert 2.0 / 1600 / 4.0 < float(path.memory["gd_step"]) < 2.0 / 1600
    assert path.stability_limit == pytest.approx(2.0 / float(path.memory["gd_step"]))


@pytest.mark.parametrize("values", [(1.0, -5.0, 2.0), (0.1, 0.2, 7.0)])
def test_largest_curvature(values, rng):
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    bowl = Bowl(np.zeros(3), False, q * values @ q.T)
    assert largest_curvature(bowl, bowl.start, rng) == pytest.approx(max(np.abs(values)), rel=1e-3)
    assert largest_curvature(Bowl(np.zeros(3), False, np.zeros((3, 3))), np.zeros(3), rng) == 1.0


@pytest.mark.parametrize(("low", "high"), [(1.0, 4.0), (0.1, 0.1), (3e-2, 7.0), (1e-150, 1e-148)])
def test_steps_to_a_millionth_are_as_foretold(low, high):
    """Errors along both ends of the spectrum, shrunk step by step."""
    found = descent(np.array([0.0, low, 0.5 * (low + high), high]))
    assert found.stable_step * high == pytest.approx(2.0)
    shrink = np.array([1.0 - found.optimal_step * low, 1.0 - found.optimal_step * high])
    np.testing.assert_allclose(np.abs(shrink), found.rate, rtol=1e-9, atol=1e-15)
    error, steps = np.ones(2), 0
    while np.abs(error).max() > 1e-6:
        error, steps = error * shrink, steps + 1
    assert found.iterations == steps


def test_descent_where_there_is_no_curvature_or_no_end_of_it():
    nothing = descent(np.zeros(3))
    assert (nothing.stable_step, nothing.optimal_step, nothing.rate, nothing.iterations) == (np.inf, np.inf, 0.0, 0.0)
    assert descent(np.array([0.0, 1.0]), rank=2).iterations == np.inf
    assert descent(np.array([0.0, 1.0]), rank=1).iterations == 1.0
    beyond = descent(np.array([1.0, np.inf]))
    assert (beyond.stable_step, beyond.rate, beyond.iterations) == (0.0, 1.0, np.inf)
    # 1 − 2/κ to all its digits: log(1e-6)/log1p(−2/κ)
    assert descent(np.array([1.0, 1e15])).iterations == pytest.approx(0.5e15 * np.log(1e6), rel=1e-12)


# -- quasi-Newton ------------------------------------------------------------------------------------------------------


def inverse_of_pairs(steps, changes):
    """The inverse of the Hessian by the update of Broyden, Fletcher, Goldfarb and Shanno, as a matrix."""
    s, y = steps[-1], changes[-1]
    inverse = np.eye(len(s)) * (s @ y) / (y @ y)
    for s, y in zip(steps, changes, strict=True):
        left = np.eye(len(s)) - np.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
    return inverse


@pytest.mark.parametrize("count", [1, 2, 4])
def test_two_loops_are_the_product_with_the_inverse(count, rng):
    steps = rng.standard_normal((count, 3))
    changes = steps @ HESSIAN
    memory = {"lbfgs_steps": steps, "lbfgs_changes": changes}
    pairs = Pairs(control(1, memory=memory), 4, 3)
    gradient = rng.standard_normal(3)
    np.testing.assert_allclose(pairs.direction(gradient), -inverse_of_pairs(steps, changes) @ gradient, rtol=1e-10)
    np.testing.assert_array_equal(pairs.remembered()["lbfgs_steps"], steps)


def test_only_the_last_pairs_are_kept_and_those_that_say_something(rng):
    pairs = Pairs(control(1, remember=True), 2, 2)
    assert not pairs.remembered()
    places = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 2.0), (1.0, 5.0), (4.0, 5.0)])
    gradients = np.array([(0.0, 0.0), (2.0, 0.0), (2.0, -1.0), (2.0, 5.0), (8.0, 5.0)])  # the second slope falls
    for step, change in zip(np.diff(places, axis=0), np.diff(gradients, axis=0), strict=True):
        pairs.add(step, change)
    np.testing.assert_array_equal(pairs.remembered()["lbfgs_steps"], [(0.0, 3.0), (3.0, 0.0)])
    np.testing.assert_array_equal(pairs.remembered()["lbfgs_changes"], [(0.0, 6.0), (6.0, 0.0)])
    pairs.forget()
    assert not pairs.remembered()


def test_pairs_of_another_size_are_none(rng):
    steps, changes = rng.standard_normal((2, 3)), rng.standard_normal((3, 3))
    assert not Pairs(control(1, memory={"lbfgs_steps": steps, "lbfgs_changes": changes}), 4, 3)
    assert not Pairs(control(1, memory={"lbfgs_steps": steps}), 4, 3)
    assert not Pairs(control(1, memory={"lbfgs_steps": steps, "lbfgs_changes": steps}), 4, 2)


@pytest.mark.parametrize("size", [1e-4, 0.1, 1.0, 30.0])
def test_a_step_meets_the_conditions_of_wolfe(size):
    """From x = 0 down x⁴/4 − 2x, whose minimum is at 2^⅓, with a direction too short, right and too long."""

    def value(theta):
        x = float(theta[0])
        return x**4 / 4 - 2 * x, np.array([x**3 - 2.0])

    start = place_at(value, np.zeros(1))
    found = search_line(value, start, np.array([size]))
    assert (found.loss, found.gradient[0]) == (value(found.theta)[0], value(found.theta)[1][0])
    assert found.loss <= start.loss - 0.1 * 2.0 * found.theta[0]
    assert found.gradient[0] >= -0.9 * 2.0
    assert search_line(value, start, np.array([-size])) is None


def test_a_full_step_is_taken_where_it_will_do():
    value = Bowl(np.zeros(3), True).value_and_gradient
    found = search_line(value, place_at(value, np.zeros(3)), np.linalg.solve(HESSIAN, SHIFT))
    np.testing.assert_allclose(found.theta, np.linalg.solve(HESSIAN, SHIFT))


@pytest.mark.parametrize("first", [1e-3, 1.0, 1e3])
def test_slopes_find_a_minimum_that_losses_do_not_tell(first):
    """Next to 1 the loss has no digits left of x²/2 for |x| < 1e-8; its slope has all."""

    def value(theta):
        return 1.0 + 0.5 * float(theta @ theta), theta.copy()

    start = place_at(value, np.array([1e-9]))
    found = search_line(value, start, np.array([-1e-9]), first=first)
    assert found.loss == start.loss
    assert abs(found.theta[0]) <= 0.9 * 1e-9 * (1.0 + 1e-12)


def test_a_search_turns_back_from_where_there_is_no_number():
    def value(theta):
        x = float(theta[0])
        return (x - 1.0) ** 2 if x < 2.0 else np.nan, np.array([2.0 * (x - 1.0)])

    found = search_line(value, place_at(value, np.zeros(1)), np.array([2.0]), first=1e3)
    assert found.loss < 0.9
    nowhere = Place(np.zeros(1), 1.0, np.array([np.nan]))
    assert search_line(value, nowhere, np.array([1.0])) is None


@pytest.mark.parametrize("told", [True, False])
def test_a_quadratic_is_solved_in_few_steps_and_its_loss_told_whole(told):
    path = LBFGS().minimise(Bowl([3.0, 1.0, -1.0], told), control(50, tol=1e-9, remember=True))
    best = np.linalg.solve(HESSIAN, SHIFT)
    assert path.status is Status.CONVERGED
    assert path.n_iter < 15
    np.testing.assert_allclose(path.theta, best, rtol=1e-7)
    assert path.losses[0] == Bowl([3.0, 1.0, -1.0], told).value_and_gradient(np.array([3.0, 1.0, -1.0]))[0]
    assert path.losses[-1] == pytest.approx(20.0 - 0.5 * SHIFT @ best)
    again = LBFGS().minimise(Bowl(best + 0.1, told), control(50, tol=1e-9, memory=path.memory))
    assert again.n_iter <= 4  # what it remembers is the inverse, all but
    for steps in (0, 2):
        assert LBFGS().minimise(Bowl([3.0, 1.0, -1.0], told), control(steps)).n_iter == steps
        assert LBFGS().minimise(Bowl(best + 0.1, told), control(steps, memory=path.memory)).n_iter == steps
