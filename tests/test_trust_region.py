"""Trust regions: how their radius grows and shrinks, and how far down a step within them leads."""

import numpy as np
import pytest

from mle_regression.solvers import NewtonCG
from mle_regression.solvers.base import Status
from mle_regression.solvers.damped_systems import _Primal
from mle_regression.solvers.levenberg_marquardt import DampedLength, step_within
from mle_regression.solvers.newton import _to_edge, escape_direction, trust_region_step
from mle_regression.solvers.path import Control


class Line:
    """A function of one number, with a slope and a curvature that need not be its own."""

    spectrum = None
    start = np.zeros(1)

    def __init__(self, value, slope, curvature=lambda at: 0.0):
        self.value, self.slope, self.curvature = value, slope, curvature

    def value_and_gradient(self, theta):
        at = float(theta[0])
        return float(self.value(at)), np.array([float(self.slope(at))])

    def hessian_products(self, theta):
        return lambda v: self.curvature(float(theta[0])) * v


def ends(objective, steps, radius=1.0):
    """Where Newton's method is after each of some steps."""
    found = []

    def tell(iteration, theta, loss, norm):
        if iteration:
            found.append(float(theta[0]))

    control = Control("auto", None, steps, 1e-12, np.random.default_rng(0), tell=tell)
    NewtonCG(radius=radius).minimise(objective, control)
    return found


@pytest.mark.parametrize(
    ("gained", "path"),
    [
        (1.0, [1.0, 3.0, 7.0, 15.0]),  # as much as foretold: the radius doubles
        (0.8, [1.0, 3.0, 7.0, 15.0]),
        (0.5, [1.0, 2.0, 3.0, 4.0]),  # half of it: the radius stays
        (0.1, [1.0, 1.25, 1.3125, 1.328125]),  # a tenth: a quarter of the step is the next radius
    ],
)
def test_the_radius_follows_how_much_came_true(gained, path):
    assert ends(Line(lambda at: -gained * at, lambda at: -1.0), 4) == pytest.approx(path)


def test_a_step_inside_of_the_region_does_not_widen_it():
    """From 0 the model's minimum is at 0.5; from there on the slope is steep, and the radius still one."""
    bowl_then_slope = Line(
        lambda at: 0.5 * at**2 - 0.5 * at if at <= 0.5 else -0.125 - 100.0 * (at - 0.5),
        lambda at: at - 0.5 if at < 0.5 else -100.0,
        lambda at: 1.0 if at < 0.5 else 0.0,
    )
    assert ends(bowl_then_slope, 2) == pytest.approx([0.5, 1.5])


@pytest.mark.parametrize("radius", [0.25, 4.0])
def test_how_near_the_edge_is_goes_by_the_radius(radius):
    """Half of the radius down a bowl, then down a slope of the length of the radius."""
    half = 0.5 * radius
    bowl_then_slope = Line(
        lambda at: 0.5 * at**2 - half * at if at <= half else -0.5 * half**2 - 100.0 * (at - half),
        lambda at: at - half if at < half else -100.0,
        lambda at: 1.0 if at < half else 0.0,
    )
    assert ends(bowl_then_slope, 3, radius) == pytest.approx([half, 3 * half, 7 * half])


def test_a_step_that_raises_the_loss_is_not_taken():
    assert ends(Line(lambda at: at, lambda at: -1.0), 2) == [0.0, 0.0]


def lowest_within(matrix, gradient, radius):
    """Least value of 2gᵀδ + δᵀMδ within a ball, by bisection for the multiplier in the eigenvectors' coordinates."""
    values, vectors = np.linalg.eigh(matrix)
    g = vectors.T @ gradient

    def step(multiplier):
        return -g / (values + multiplier)

    low = max(0.0, -values[0]) + 1e-13 * np.abs(values).max()
    if np.linalg.norm(step(low)) <= radius:
        inside = step(low)
        if values[0] < 0:  # the hard case: what is left of the radius is gone along the lowest direction
            inside[0] = np.copysign(np.sqrt(radius**2 - inside[1:] @ inside[1:]), inside[0])
        return 2.0 * g @ inside + values @ inside**2
    high = low + np.linalg.norm(g) / radius
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.linalg.norm(step(middle)) > radius else (low, middle)
    return 2.0 * g @ step(high) + values @ step(high) ** 2


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("kind", ["positive", "indefinite", "hard", "nearly hard"])
@pytest.mark.parametrize("damping", [0.0, 1.0, 1e3])
def test_no_step_within_the_radius_leads_much_further_down(radius, kind, damping):
    """Beside the exact solution in the eigenvectors' coordinates, the case in which δ(λ) never is as long included."""
    rng = np.random.default_rng(abs(hash((radius, damping))) % 2**32)
    for _ in range(5):
        vectors, _ = np.linalg.qr(rng.standard_normal((6, 6)))
        values = (
            np.array([0.5, 1.0, 2.0, 3.0, 5.0, 8.0]) if kind == "positive" else np.array([-2.0, -1.0, 0.3, 1, 4, 9.0])
        )
        along = rng.standard_normal(6)
        along[0] *= {"hard": 0.0, "nearly hard": 1e-9}.get(kind, 1.0)
        matrix, gradient = vectors * values @ vectors.T, vectors @ along
        system = _Primal(0.5 * (matrix + matrix.T), np.zeros(6))
        step, last = step_within(system, gradient, radius, DampedLength(damping))
        lowest = lowest_within(matrix, gradient, radius)
        assert np.linalg.norm(step) <= 1.2 * radius
        assert last.damping >= 0.0
        assert (2.0 * gradient @ step + step @ matrix @ step) / lowest >= 0.8


class Counted(_Primal):
    """A system that counts its factorisations."""

    count = 0

    def solver(self, damping):
        self.count += 1
        return super().solver(damping)


@pytest.mark.parametrize("change", [0.25, 1.0, 2.0])
def test_the_length_of_one_step_foretells_the_damping_of_the_next(change, rng):
    """Of another matrix close by, and a region of another radius: most often no more than one more factorisation."""
    counts = []
    for _ in range(30):
        factor, gradient = rng.standard_normal((40, 30)) * np.logspace(0, -3, 30), rng.standard_normal(30)
        _, last = step_within(_Primal(factor.T @ factor, np.zeros(30)), gradient, 1.0, DampedLength())
        factor *= rng.uniform(0.9, 1.1, factor.shape)
        system = Counted(factor.T @ factor, np.zeros(30))
        step, found = step_within(system, gradient * rng.uniform(0.9, 1.1, 30), change, last)
        assert np.linalg.norm(step) == pytest.approx(found.length)
        assert found.length == pytest.approx(change, rel=0.2)
        counts.append(system.count)
    assert np.mean(counts) <= 1.5


def test_the_first_damping_of_all_is_near_where_the_gradient_is_an_eigenvector():
    system = Counted(np.diag([2.0, 5.0]), np.zeros(2))
    step, last = step_within(system, np.array([3.0, 0.0]), 0.5, DampedLength())
    assert system.count == 1
    np.testing.assert_allclose(step, [-0.5, 0.0])
    assert (last.damping, last.length, last.rate) == pytest.approx((4.0, 0.5, 1 / 6))
    assert last.damping_at(0.25) == pytest.approx(10.0)


class Bowl:
    """½θᵀHθ − bᵀθ, told nothing of its spectrum."""

    spectrum = None

    def __init__(self, hessian, shift):
        self.hessian, self.shift, self.start = np.array(hessian), np.array(shift), np.zeros(len(shift))

    def value_and_gradient(self, theta):
        return float(0.5 * theta @ self.hessian @ theta - self.shift @ theta), self.hessian @ theta - self.shift

    def hessian_products(self, theta):
        return lambda v: self.hessian @ v


@pytest.mark.parametrize("radius", [1e-2, 1.0, 1e3])
@pytest.mark.parametrize("lowest", [0.5, 0.0, -1.0])
def test_a_step_of_conjugate_gradients_gains_at_least_the_best_along_the_slope(radius, lowest, rng):
    q, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    hessian = q * [lowest, 1.0, 2.0, 4.0, 9.0] @ q.T
    gradient = rng.standard_normal(5)
    step, gained = trust_region_step(Bowl(hessian, -gradient), np.zeros(5), gradient, radius, rng)

    def model(t):
        return float(gradient @ t + 0.5 * t @ hessian @ t)

    assert gained == pytest.approx(model(step), rel=1e-10)
    along = -gradient / np.linalg.norm(gradient)
    assert gained <= min(model(t * along) for t in np.linspace(0.0, radius, 1001)) + 1e-12
    length = np.linalg.norm(step)
    assert length <= radius * (1.0 + 1e-12)
    left = np.linalg.norm(gradient + hessian @ step) / np.linalg.norm(gradient)
    assert length == pytest.approx(radius) or (lowest > 0 and left <= 0.25)


def test_no_slope_at_a_saddle_point_is_left_for_the_edge(rng):
    hessian = np.diag([-1.0, 2.0, 3.0])
    step, gained = trust_region_step(Bowl(hessian, np.zeros(3)), np.zeros(3), np.zeros(3), 2.0, rng)
    assert np.linalg.norm(step) == pytest.approx(2.0)
    assert gained == pytest.approx(0.5 * step @ hessian @ step)
    assert gained < 0.0


@pytest.mark.parametrize(
    ("step", "direction", "radius"), [((0, 0), (3, 4), 10.0), ((1, 0), (2, 0), 5.0), ((-3, 1), (1, -2), 4.0)]
)
def test_the_edge_is_met_ahead(step, direction, radius):
    step, direction = np.array(step, dtype=float), np.array(direction, dtype=float)
    ahead = _to_edge(step, direction, radius)
    assert ahead > 0.0
    assert np.linalg.norm(step + ahead * direction) == pytest.approx(radius)


class Saddle:
    """x² − y² + steep·y⁴ about (x, y) = 0."""

    spectrum = None
    start = np.array([1.0, 0.0])

    def __init__(self, steep, sign=-1.0):
        self.steep, self.sign = steep, sign

    def value_and_gradient(self, theta):
        x, y = theta
        value = x**2 + self.sign * y**2 + self.steep * y**4
        return float(value), np.array([2 * x, 2 * self.sign * y + 4 * self.steep * y**3])

    def hessian_products(self, theta):
        return lambda v: np.array([2 * v[0], (2 * self.sign + 12 * self.steep * theta[1] ** 2) * v[1]])


@pytest.mark.parametrize("steep", [0.1, 1.0, 1e4])
def test_the_way_down_from_a_saddle_point_leads_down(steep, rng):
    """It is along y, where −y² + steep·y⁴ is below zero for y² < 1/steep."""
    saddle = Saddle(steep)
    step = escape_direction(saddle, np.zeros(2), 0.0, 1.0, rng)
    assert abs(step[0]) <= 1e-6 * abs(step[1])
    assert saddle.value_and_gradient(step)[0] < 0.0
    assert escape_direction(Saddle(steep, 1.0), np.zeros(2), 0.0, 1.0, rng) is None
    assert escape_direction(Saddle(steep, 0.0), np.zeros(2), 0.0, 1.0, rng) is None


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_way_down_is_looked_for_to_both_sides(side, rng):
    """x² − y² + 2·side·y³: at the length of the radius it is lower to one side only."""

    class OneSided(Saddle):
        def value_and_gradient(self, theta):
            y = theta[1]
            value, gradient = super().value_and_gradient(theta)
            return value + 2.0 * side * y**3, gradient + [0.0, 6.0 * side * y**2]

    step = escape_direction(OneSided(0.0), np.zeros(2), 0.0, 1.0, rng)
    np.testing.assert_allclose(step, [0.0, -side], atol=1e-4)


@pytest.mark.parametrize("steep", [0.1, 1.0, 1e4])
def test_newtons_method_does_not_end_at_a_saddle_point(steep):
    control = Control("auto", None, 100, 1e-9, np.random.default_rng(0), remember=True)
    path = NewtonCG().minimise(Saddle(steep), control)
    assert path.status is Status.CONVERGED
    assert path.losses[-1] == pytest.approx(-0.25 / steep)
    assert abs(path.theta[1]) == pytest.approx((0.5 / steep) ** 0.5)


def test_the_radius_is_remembered():
    def control(steps, memory=None):
        return Control("auto", None, steps, 1e-12, np.random.default_rng(0), memory=memory or {}, remember=True)

    line = Line(lambda at: -at, lambda at: -1.0)
    first = NewtonCG(radius=1.0).minimise(line, control(2))
    assert float(first.memory["newton_radius"]) == 4.0
    assert NewtonCG(radius=1.0).minimise(line, control(1, first.memory)).theta == pytest.approx([4.0])
