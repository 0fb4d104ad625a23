"""Spectra of the Hessian: bounds of a linear model's eigenvalues, densities of a network's, whole and by parts."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import trapezoid

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.linalg.lanczos import Density

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def exact_eigenvalues(X, alpha):
    """Of (2/n)([1 X]ᵀ[1 X] + αI₀), ascending, in 60 digits."""
    with mpmath.workdps(60):
        A = mpmath.matrix(np.column_stack([np.ones(len(X)), X]).tolist())
        H = A.T * A
        for j in range(1, A.cols):
            H[j, j] += alpha
        return sorted(mpmath.eigsy(2 * H / len(X), eigvals_only=True))


@pytest.mark.parametrize("columns", ["plain", "units", "near", "shifted"])
@pytest.mark.parametrize("solver", ["auto", "qr", "normal"])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_eigenvalues_of_a_linear_model_lie_within_their_bounds(columns, solver, alpha, rng):
    X = rng.standard_normal((200, 4))
    if columns == "units":
        X = X * [1e-8, 1.0, 1e3, 1e8]
    elif columns == "near":
        X[:, 3] = X[:, 0] + 1e-5 * X[:, 3]
    elif columns == "shifted":
        X = X + 1e4
    y = X.sum(axis=1) + rng.standard_normal(200)
    found = MLELinearRegressor(solver=solver, alpha=alpha, refine=False).fit(X, y).diagnose(X, y).curvature()
    with mpmath.workdps(60):
        exact = exact_eigenvalues(X, alpha)
        errors = [float(abs(mpmath.mpf(float(v)) - t)) for v, t in zip(found.eigenvalues, exact, strict=True)]
    assert (errors <= found.error_bounds).all()
    # and they say something: of columns in any units all digits but two, of near ones half of them at least
    assert (found.error_bounds < (1e-4 if columns == "near" else 1e-7) * found.eigenvalues).all()
    if columns in ("plain", "units"):
        assert (found.error_bounds < 1e-13 * found.eigenvalues).all()


def test_the_zeros_of_dependent_columns_have_a_small_bound(rng):
    X = rng.standard_normal((50, 2))
    X = np.column_stack([X, X.sum(axis=1)])
    model = MLELinearRegressor(on_rank_deficiency="min_norm").fit(X, X[:, 0] ** 2)
    found = model.diagnose(X, X[:, 0] ** 2).curvature()
    assert found.eigenvalues[0] == 0 < found.error_bounds[0] < 1e-25
    assert (found.error_bounds[1:] < 1e-13 * found.eigenvalues[1:]).all()


@pytest.fixture
def network(rng):
    X = rng.standard_normal((60, 2))
    y = np.sin(2 * X[:, 0]) + 0.3 * rng.standard_normal(60)
    net = MLPGradientRegressor((6,), alpha=0.1, early_stopping=False, max_iter=20, random_state=0).fit(X, y)
    return net, net.diagnose(X, y), net._fit.objective(X, y[:, None])


def dense_parts(net, objective):
    theta = net._fit.theta
    outer = 2.0 * objective.gauss_newton(theta)
    whole = objective.hessian(theta)
    return {"hessian": whole, "gauss_newton": outer, "rest": whole - np.diag(2.0 * objective.penalty) - outer}


@pytest.mark.parametrize("part", ["hessian", "gauss_newton", "rest"])
def test_densities_of_the_parts_are_those_of_the_matrices(part, network):
    net, diagnosis, objective = network
    matrix = dense_parts(net, objective)[part]
    values = np.linalg.eigvalsh(matrix)
    density = diagnosis.spectral_density(probes=200, part=part)
    for power in (1, 2):  # moments of the distribution
        found, error = density.trace_of(lambda v, k=power: v**k)
        assert abs(found - np.sum(values**power)) < 5 * error + 1e-9
    # as many steps as parameters: the nodes are the eigenvalues
    nearest = np.abs(density.nodes[0][:, None] - values).min(axis=1)
    assert nearest.max() < 1e-8 * np.abs(values).max()


def test_a_density_on_another_scale_counts_the_same_eigenvalues(rng):
    values = np.r_[-(10.0 ** rng.uniform(-4, 0, 30)), 10.0 ** rng.uniform(-4, 2, 170)]
    density = Density(values[None], np.full((1, 200), 1 / 200), 200)
    grid = np.linspace(-15, 18, 4000)
    on_scale = density.at(grid, 0.2, lambda v: np.arcsinh(v / 1e-4))
    assert trapezoid(on_scale, grid) == pytest.approx(1, rel=1e-6)
    below = np.cumsum(on_scale) * (grid[1] - grid[0])
    assert below[np.searchsorted(grid, 0)] == pytest.approx(0.15, abs=0.01)
    median = np.sinh(grid[np.searchsorted(below, 0.5)]) * 1e-4
    assert np.sort(values)[90] < median < np.sort(values)[110]


def test_parts_that_there_are_not(network):
    with pytest.raises(ValueError, match="part='outer' is not one of|part='outer'"):
        network[1].spectral_density(part="outer")
