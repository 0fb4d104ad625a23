"""How the trust region of Newton's method grows and shrinks: steps of one parameter along functions made for it."""

import numpy as np
import pytest

from mle_regression.solvers import NewtonCG
from mle_regression.solvers.levenberg_marquardt import _Primal, step_within
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


def ends(objective, steps):
    """Where Newton's method is after each of some steps."""
    found = []

    def tell(iteration, theta, loss, norm):
        found.append(float(theta[0]))

    control = Control("auto", None, steps, 1e-12, np.random.default_rng(0), tell=tell)
    NewtonCG(radius=1.0).minimise(objective, control)
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
        step, multiplier = step_within(system, gradient, radius, damping)
        lowest = lowest_within(matrix, gradient, radius)
        assert np.linalg.norm(step) <= 1.2 * radius
        assert multiplier >= 0.0
        assert (2.0 * gradient @ step + step @ matrix @ step) / lowest >= 0.8
