"""Levenberg–Marquardt steps: their systems, radius, second derivatives and last digits, on functions made for it."""

import numpy as np
import pytest
from scipy.linalg import LinAlgError

from mle_regression.solvers import LevenbergMarquardt, damped_systems
from mle_regression.solvers.base import Status
from mle_regression.solvers.damped_systems import damped_system
from mle_regression.solvers.path import Control


def control(steps=200, tol=1e-10, **options):
    return Control("auto", None, steps, tol, np.random.default_rng(0), **options)


class Line:
    """A sum of squares of one number, with a slope and a curvature that need not be its own."""

    n_residuals = 1
    penalty = np.zeros(1)

    def __init__(self, value, slope, squares=1e-9, start=0.0):
        self.value, self.slope, self.squares, self.start = value, slope, squares, np.array([start])

    def value_and_gradient(self, theta):
        at = float(theta[0])
        return float(self.value(at)), np.array([float(self.slope(at))])

    def gauss_newton(self, theta):
        return np.array([[self.squares]])


def ends(objective, steps, radius=1.0):
    found = []
    listening = control(steps, 1e-12, tell=lambda k, theta, *_: found.append(float(theta[0])))
    path = LevenbergMarquardt(second_order=False, radius=radius).minimise(objective, listening)
    return found[1:], path


@pytest.mark.parametrize(
    ("gained", "path"),
    [
        (1.0, [1.0, 3.0, 7.0, 15.0]),  # as much as foretold: the radius doubles
        (0.8, [1.0, 3.0, 7.0, 15.0]),
        (0.5, [1.0, 2.0, 3.0, 4.0]),
        (0.1, [1.0, 1.25, 1.3125, 1.328125]),  # a tenth: a quarter of the step is the next radius
    ],
)
def test_the_radius_follows_how_much_came_true(gained, path):
    found, walked = ends(Line(lambda at: 100.0 - gained * at, lambda at: -1.0), 4)
    assert found == pytest.approx(path, rel=1e-6)
    following = {1.0: 16.0, 0.8: 16.0, 0.5: 1.0, 0.1: 1.0 / 256}[gained]
    assert float(walked.memory["radius"]) == pytest.approx(following, rel=1e-6)


def test_a_step_inside_of_the_region_does_not_widen_it():
    _, path = ends(Line(lambda at: (at - 0.5) ** 2 + 1.0, lambda at: 2.0 * (at - 0.5), 1.0), 1)
    assert path.theta[0] == pytest.approx(0.5)
    assert float(path.memory["radius"]) == 1.0


def test_a_step_that_does_not_lower_the_loss_is_tried_shorter_and_never_taken():
    found, path = ends(Line(lambda at: 100.0 * (at - 10.0) + 1.0, lambda at: -1.0, start=10.0), 5)
    assert found == []
    assert path.status is Status.PLATEAU
    assert path.theta == [10.0]
    lower_near_by, _ = ends(Line(lambda at: (at - 0.2) ** 2 + 1.0, lambda at: 2.0 * (at - 0.2), 1e-9), 1)
    assert lower_near_by == pytest.approx([0.25], rel=1e-6)  # a step of one is none, a quarter of it is


class Curve:
    """Residuals of exp(aᵀθ) at some places; counts how often its Hessian is asked for."""

    def __init__(self, n, p, noise, penalty=0.0):
        rng = np.random.default_rng(7)
        self.a, self.start = 0.5 * rng.standard_normal((n, p)), np.zeros(p)
        self.y = np.exp(self.a @ np.ones(p)) + noise * rng.standard_normal(n)
        self.penalty, self.n_residuals, self.asked = np.full(p, penalty), n, 0

    def residual_jacobian(self, theta):
        f = np.exp(self.a @ theta)
        return f - self.y, f[:, None] * self.a

    def value_and_gradient(self, theta):
        r, jacobian = self.residual_jacobian(theta)
        return float(r @ r + self.penalty @ theta**2), 2.0 * (jacobian.T @ r + self.penalty * theta)

    def gauss_newton(self, theta):
        jacobian = self.residual_jacobian(theta)[1]
        return jacobian.T @ jacobian

    def hessian(self, theta):
        self.asked += 1
        f = np.exp(self.a @ theta)
        return 2.0 * (self.a.T * (f * (2.0 * f - self.y)) @ self.a + np.diag(self.penalty))

    def residual_products(self, theta):
        return Products(self.residual_jacobian(theta)[1])


class Products:
    def __init__(self, jacobian):
        self.jacobian, self.squares = jacobian, float(np.sum(jacobian**2))

    def gram(self, scale):
        return self.jacobian * scale @ self.jacobian.T

    def product(self, v):
        return self.jacobian @ v

    def transposed(self, u):
        return self.jacobian.T @ u


@pytest.mark.parametrize(("n", "p", "exact"), [(9, 4, False), (9, 4, True), (3, 5, False), (3, 5, True)])
@pytest.mark.parametrize("damping", [1e-3, 1.0, 100.0])
def test_systems_are_those_of_the_matrix_that_they_stand_for(n, p, exact, damping, rng):
    objective, theta, v = Curve(n, p, 0.1, penalty=0.3), 0.1 * rng.standard_normal(p), rng.standard_normal(p)
    matrix = 0.5 * objective.hessian(theta) if exact else objective.gauss_newton(theta) + np.diag(objective.penalty)
    system = damped_system(objective, theta, exact)
    whole = matrix + damping * np.eye(p)
    if np.linalg.eigvalsh(whole)[0] > 0:
        np.testing.assert_allclose(system.solver(damping)(v), np.linalg.solve(whole, v), rtol=1e-9)
    assert system.squares(v) == pytest.approx(v @ matrix @ v, rel=1e-12)
    assert system.size == pytest.approx(np.trace(matrix) / p, rel=1e-12)


@pytest.mark.parametrize("damping", [0.0, 0.5])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_direction_shows_by_how_much_a_matrix_is_indefinite(size, damping, rng):
    class Given:
        penalty = np.zeros(size)

        def hessian(self, theta):
            return 2.0 * matrix

    vectors, _ = np.linalg.qr(rng.standard_normal((size, size)))
    matrix = vectors * np.r_[-2.0, np.arange(1.0, size)] @ vectors.T
    matrix = 0.5 * (matrix + matrix.T)
    with pytest.raises(LinAlgError) as caught:
        damped_system(Given(), np.zeros(size), exact=True).solver(damping)
    d = caught.value.direction
    assert caught.value.least == pytest.approx(-(d @ matrix @ d) / (d @ d))
    assert damping < caught.value.least <= 2.0 + 1e-12


def test_second_derivatives_take_over_where_residuals_stay_large():
    plain, second = Curve(40, 3, 8.0), Curve(40, 3, 8.0)
    slow = LevenbergMarquardt(second_order=False).minimise(plain, control())
    quick = LevenbergMarquardt().minimise(second, control())
    assert plain.asked == 0
    assert second.asked > 0
    np.testing.assert_allclose(quick.theta, slow.theta, atol=1e-5)
    assert quick.n_iter < slow.n_iter


@pytest.mark.parametrize(("n", "p"), [(40, 3), (3, 5)])
@pytest.mark.parametrize("second_order", [True, "auto"])
def test_newtons_last_steps_square_the_gradient(n, p, second_order):
    """A path that may end at a gradient of 1e-2 ends at one of rounding."""
    objective = Curve(n, p, 0.01, penalty=1e-3)
    rough = LevenbergMarquardt(second_order=False).minimise(objective, control(tol=1e-2))
    assert objective.asked == 0
    assert rough.gradient_norms[-1] > 1e-10
    path = LevenbergMarquardt(second_order=second_order).minimise(objective, control(tol=1e-2))
    assert path.gradient_norms[-1] < 1e-10
    loss, gradient = objective.value_and_gradient(path.theta)
    assert path.losses[-1] == loss
    assert path.gradient_norms[-1] == np.linalg.norm(gradient)
    assert path.status is Status.CONVERGED
    assert len(path.losses) <= len(rough.losses) + 3


def test_last_steps_are_not_taken_towards_a_saddle_point():
    class Saddle(Curve):
        def hessian(self, theta):
            return -super().hessian(theta)

    objective = Saddle(40, 3, 0.01)
    rough = LevenbergMarquardt(second_order=False).minimise(objective, control(tol=1e-2))
    path = LevenbergMarquardt().minimise(objective, control(tol=1e-2))
    np.testing.assert_array_equal(path.theta, rough.theta)
    assert path.losses == rough.losses


@pytest.mark.parametrize(("n", "p"), [(2000, 1000), (1000, 2000)])
def test_memory_is_asked_for_before_it_is_taken(n, p):
    class Large:
        start, n_residuals = np.zeros(p), n

        def value_and_gradient(self, theta):
            return 0.0, np.zeros(p)

    with pytest.raises(ValueError, match=f"about 0.024 GB for {p:,} parameters"):
        LevenbergMarquardt(max_memory=0.0239).minimise(Large(), control())
    assert LevenbergMarquardt(max_memory=0.0241, second_order=False).minimise(Large(), control()).n_iter == 0


def damped(objective, **options):
    return LevenbergMarquardt(second_order=False, region="damping").minimise(objective, control(**options))


@pytest.mark.parametrize(("n", "p", "penalty"), [(60, 4, 0.0), (60, 4, 0.01), (6, 20, 0.1)])
def test_both_regions_lead_to_the_same_optimum(n, p, penalty):
    curve = Curve(n, p, 0.01, penalty)
    by_radius = LevenbergMarquardt(second_order=False).minimise(curve, control())
    by_damping = damped(curve)
    assert by_damping.status in (Status.CONVERGED, Status.PLATEAU)
    np.testing.assert_allclose(by_damping.theta, by_radius.theta, rtol=1e-6, atol=1e-9)


def test_the_damping_follows_how_much_came_true():
    """Nielsen's rule: all of it came true, and a fifth of the damping is left; none, and it doubles, then four times."""
    linear = Line(lambda at: (at - 5.0) ** 2 + 1.0, lambda at: 2.0 * (at - 5.0), 1.0)
    first = damped(linear, steps=1, tol=1e-12)
    assert float(first.memory["damping"]) == pytest.approx(0.2 * 1e-2)
    second = damped(linear, steps=1, tol=1e-12, memory=first.memory)
    assert float(second.memory["damping"]) == pytest.approx(0.2**2 * 1e-2)
    half = damped(Line(lambda at: 100.0 - 0.2525 * at, lambda at: -1.0, 1.0), steps=1)
    assert float(half.memory["damping"]) == pytest.approx(1e-2, rel=1e-4)  # half of it: as it was
    # A step that leads up is not taken: 1/(1 + λ) of the way, until λ lets it be short enough.
    wall = damped(Line(lambda at: 100.0 - at if at < 0.4 else 200.0, lambda at: -1.0, 1.0), steps=1)
    tried = [1e-2]
    for k in range(1, 20):
        if 0.5 / (1.0 + tried[-1]) < 0.4:
            break
        tried.append(tried[-1] * 2.0**k)
    assert wall.theta[0] == pytest.approx(0.5 / (1.0 + tried[-1]))


def test_one_factorisation_a_step_by_damping(monkeypatch):
    asked = []
    solver = damped_systems._Primal.solver

    def counted(self, damping):
        asked.append(damping)
        return solver(self, damping)

    monkeypatch.setattr(damped_systems._Primal, "solver", counted)
    curve = Curve(200, 5, 0.1)
    path = damped(curve)
    by_damping, asked[:] = len(asked), []
    assert by_damping <= path.n_iter + 3  # the first step is tried shorter
    path = LevenbergMarquardt(second_order=False).minimise(curve, control())
    assert by_damping < len(asked) <= 2.0 * path.n_iter + 3  # a radius takes about two
