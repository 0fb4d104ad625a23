"""The Gaussian round a network's parameters: its forms against dense formulas, and its intervals against the truth."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.diagnostics import laplace_approximation as laplace
from mle_regression.fitted.posterior import invalid_reason, posterior_of
from mle_regression.linalg.nystrom import nystrom
from mle_regression.objective.sketches import gauss_newton_times, mixed_products


def dense_inverse(jacobian, penalty):
    """A⁻¹ without what is not determined, its rank, and γ."""
    curvature = jacobian.T @ jacobian + np.diag(penalty)
    inverse = np.linalg.pinv(curvature, rcond=1e-12, hermitian=True)
    return (
        curvature,
        inverse,
        np.linalg.matrix_rank(curvature, hermitian=True),
        np.trace(inverse @ jacobian.T @ jacobian),
    )


# Residuals, parameters, and how many of these have no prior.
SHAPES = [(20, 50, 3), (20, 50, 0), (20, 50, 30), (5, 40, 40), (60, 50, 3), (60, 50, 0), (60, 50, 50), (50, 50, 1)]


@pytest.mark.parametrize(("k", "size", "free"), SHAPES)
@pytest.mark.parametrize("form", ["from the Jacobian", "from the matrix"])
def test_both_forms_are_the_inverse(rng, k, size, free, form):
    jacobian, penalty = rng.standard_normal((k, size)), np.exp(rng.standard_normal(size))
    penalty[rng.permutation(size)[:free]] = 0.0
    curvature, inverse, rank, gamma = dense_inverse(jacobian, penalty)
    if form == "from the Jacobian":
        found = laplace.inverted_from_jacobian(jacobian, penalty)
    else:
        found = laplace.inverted(jacobian.T @ jacobian, penalty)
    rows = rng.standard_normal((6, size)) @ inverse @ curvature  # without a part in what is not determined
    np.testing.assert_allclose(found.inverse.quadratic(rows), np.einsum("ij,jk,ik->i", rows, inverse, rows), rtol=1e-10)
    np.testing.assert_allclose(found.inverse.solve(rows.T), inverse @ rows.T, atol=1e-10)
    np.testing.assert_allclose(found.inverse.solve(rows[0]), inverse @ rows[0], atol=1e-10)
    np.testing.assert_allclose(found.variance, np.diagonal(inverse), atol=1e-10)
    np.testing.assert_allclose(found.leverages(jacobian), np.diagonal(jacobian @ inverse @ jacobian.T), atol=1e-10)
    assert laplace.effective_parameters(found, penalty).sum() == pytest.approx(gamma, rel=1e-10)
    exact = np.linalg.slogdet(curvature)[1] if rank == size else -np.inf
    assert found.log_determinant == pytest.approx(exact, rel=1e-10)
    assert not found.inverse.misses(rows).any()
    assert found.inverse.misses(rng.standard_normal((2, size))).all() == (rank < size)


@pytest.mark.parametrize(("k", "size"), [(12, 30), (40, 30)])
def test_small_penalties_keep_their_digits(k, size):
    """Where squares of the Jacobian's entries swamp the penalty: against 60 digits."""
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    jacobian = rng.standard_normal((k, 5)) @ rng.standard_normal(
        (5, size)
    )  # five directions, and the rounding of the product
    penalty = np.full(size, 1e-16)
    row = rng.standard_normal(size)
    with mpmath.workdps(60):
        exact = mpmath.matrix(jacobian.tolist())
        curvature = exact.T * exact + mpmath.diag(penalty.tolist())
        log_determinant = float(mpmath.log(mpmath.det(curvature)))
        variance = float((mpmath.matrix([row.tolist()]) * mpmath.lu_solve(curvature, mpmath.matrix(row.tolist())))[0])
    found = laplace.inverted_from_jacobian(jacobian, penalty)
    assert found.log_determinant == pytest.approx(log_determinant, rel=1e-7)
    assert found.inverse.quadratic(row[None])[0] == pytest.approx(variance, rel=1e-5)


def test_directions_found_from_products(rng):
    rows = rng.standard_normal((8, 500)) * np.logspace(0, -4, 8)[:, None]
    found = nystrom(lambda v: rows.T @ (rows @ v), 500, 30, rng)
    matrix = (found.vectors * found.values) @ found.vectors.T
    np.testing.assert_allclose(matrix, rows.T @ rows, atol=1e-11)
    assert found.rest == 0.0
    truncated = nystrom(lambda v: rows.T @ (rows @ v), 500, 5, rng)
    assert truncated.rest > 0
    lowest = np.linalg.eigvalsh(rows.T @ rows - (truncated.vectors * truncated.values) @ truncated.vectors.T)[0]
    assert lowest > -1e-10  # nowhere larger than what it stands for: variances are too large rather than too small
    assert not nystrom(np.zeros_like, 40, 10, rng).values.size


def test_products_of_the_jacobian_by_blocks(rng):
    X, Y = rng.standard_normal((30, 3)), rng.standard_normal((30, 2))
    weights = rng.uniform(0.5, 2.0, 30)
    model = MLPGradientRegressor((4,), alpha=1.0, early_stopping=False, random_state=0).fit(X, Y, weights)
    fitted = model._fit
    objective = fitted.objective(X, Y, weights)
    jacobian = objective.residual_jacobian(fitted.theta)[1]
    columns, mixing = rng.standard_normal((jacobian.shape[1], 3)), rng.standard_normal((2, 2))
    found = gauss_newton_times(objective, fitted.theta, columns)
    np.testing.assert_allclose(found, jacobian.T @ jacobian @ columns, rtol=1e-10, atol=1e-12)
    moved = np.einsum("lm,nmp->nlp", mixing, jacobian.reshape(30, 2, -1)).reshape(60, -1) @ columns
    np.testing.assert_allclose(mixed_products(objective, fitted.theta, columns, mixing), moved.T @ moved, rtol=1e-10)


# Rows, columns, hidden units: more rows than parameters; fewer; fewer, and over 3,000 parameters; over 3,000 of both.
IDENTITY = [(300, 10, 3), (60, 10, 30), (400, 150, 20), (3500, 150, 20)]


@pytest.mark.parametrize(("n", "columns", "hidden"), IDENTITY)
@pytest.mark.parametrize("alpha", [0.0, 1e-2])
def test_an_identity_network_is_as_sure_as_the_linear_model(rng, n, columns, hidden, alpha):
    """Whatever its size: its mean is a linear function, of which the data tell ``columns + 1`` coefficients."""
    X = rng.standard_normal((n, columns))
    y = X @ rng.standard_normal(columns) + rng.standard_normal(n)
    options = {"activation": "identity", "early_stopping": False, "tol": 1e-7, "max_iter": 5000, "random_state": 0}
    solver = "lm" if columns == 10 else "lbfgs"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPGradientRegressor((hidden,), alpha=alpha, solver=solver, **options).fit(X, y)
    fitted = model._fit
    posterior = posterior_of(fitted.objective(X, y[:, None]), fitted.theta, float(n))
    assert posterior.distance < 0.3
    assert posterior.effective == pytest.approx(columns + 1, abs=0.05)
    fitted = replace(fitted, posterior=posterior)
    new = rng.standard_normal((40, columns))
    linear = MLELinearRegressor().fit(X, y).diagnose(X, y).covariance()
    exact = np.sqrt(np.einsum("ij,jk,ik->i", np.c_[np.ones(40), new], linear.to_numpy(), np.c_[np.ones(40), new]))
    np.testing.assert_allclose(np.sqrt(fitted.variance(new)[:, 0]), exact, rtol=1e-6 if alpha == 0 else 2e-3)


def test_fit_with_curvature_knows_all_layers_beyond_3000_parameters(rng):
    X = rng.standard_normal((120, 60))
    y = X[:, 0] + 0.1 * rng.standard_normal(120)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPGradientRegressor(
            (50,), solver="lbfgs", alpha=5.0, early_stopping=False, curvature="extremes", random_state=0, max_iter=2
        ).fit(X, y)
    fitted = model._fit  # far from an optimum, where no unit is idle
    assert len(fitted.theta) > 3000
    objective = fitted.objective(X, y[:, None])
    jacobian = objective.residual_jacobian(fitted.theta)[1]
    rows = np.vstack([fitted.objective(X[:5]).output_jacobian(fitted.theta, slice(0, 5))[:, 0], jacobian])
    curvature = jacobian.T @ jacobian + np.diag(objective.penalty)
    solved = np.linalg.solve(curvature, rows.T)
    gamma = np.trace(jacobian @ solved[:, 5:])
    assert model._fit.posterior.effective == pytest.approx(gamma, rel=1e-6)
    cross = objective.evaluate(fitted.theta).cross
    noise = float(np.trace(cross)) * 120 / max(120 - gamma, 1.2)
    variance = noise / 120 * np.diagonal(rows[:5] @ solved[:, :5]) * y.var()
    np.testing.assert_allclose(fitted.variance(X[:5])[:, 0], variance, rtol=1e-5)


def test_what_is_out_of_reach_is_refused(rng):
    """Too many rows and parameters for matrices, and no few directions that stand for all."""
    X = rng.standard_normal((3300, 60))
    y = X[:, 0] + rng.standard_normal(3300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPGradientRegressor(
            (50,), solver="lbfgs", alpha=1e-4, early_stopping=False, random_state=0, max_iter=3
        ).fit(X, y)
    fitted = model._fit
    posterior = posterior_of(fitted.objective(X, y[:, None]), fitted.theta, 3300.0)
    posterior = replace(posterior, invalid_reason=invalid_reason(posterior, "", False, ""))
    model._fit = replace(fitted, posterior=posterior)
    with pytest.raises(ValueError, match="out of reach"):
        model.predict_interval(X[:3], kind="mean")
    assert "out of reach" in str(model.summary())


def test_advice_names_nothing_that_is_in_use(rng):
    X = rng.standard_normal((60, 3))
    y = np.sin(X[:, 0]) + 0.1 * rng.standard_normal(60)

    def told(**options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = MLPGradientRegressor((5,), curvature="full", random_state=0, **options).fit(X, y)
        with pytest.raises(ValueError, match="not at an optimum") as raised:
            model.predict(X, return_std=True)
        return str(raised.value)

    said = told(solver="lm", early_stopping=False, max_iter=2)
    assert "max_iter" in said
    assert "solver" not in said
    assert "early_stopping" not in said
    assert "tol" not in said
    said = told(solver="adam", early_stopping=True, activation="relu", max_iter=30)
    for word in ("early_stopping=False", "solver='lm'", "'tanh'"):
        assert word in said
    assert "float64" not in said


@pytest.mark.parametrize("least", [1e-13, 1e-11, 1.0])
def test_small_eigenvalues_that_are_no_rounding_count(least):
    found = laplace.inverted(np.diag([1.0, 2.0, least]), np.zeros(3))
    assert found.log_determinant == pytest.approx(np.log(2.0 * least), rel=1e-12)
    np.testing.assert_allclose(found.variance, [1.0, 0.5, 1.0 / least], rtol=1e-12)


@pytest.mark.parametrize("mixed", [False, True])
def test_what_is_rounding_is_left_out(mixed, rng):
    q = np.linalg.qr(rng.standard_normal((3, 3)))[0] if mixed else np.eye(3)
    found = laplace.inverted(q * [1.0, 2.0, 1e-17] @ q.T, np.zeros(3))
    assert found.log_determinant == -np.inf
    np.testing.assert_allclose(found.inverse.quadratic(q.T), [1.0, 0.5, 0.0], atol=1e-12)
    assert found.inverse.misses(q.T).tolist() == [False, False, True]
    np.testing.assert_allclose(found.inverse.undetermined, q[:, 2] ** 2, atol=1e-12)


def test_the_distance_is_in_posterior_deviations(rng):
    """Of one parameter with posterior variance σ²/(n a), δ away from the minimum of a θ²: the gradient is 2 a δ."""
    a, delta, n, noise = 3.0, 0.1, 50.0, 0.2
    found = laplace.inverted(np.array([[a]]), np.zeros(1))
    expected = delta / np.sqrt(noise / (n * a))
    assert laplace.distance(found, np.array([2.0 * a * delta]), n, noise) == pytest.approx(expected)


@pytest.mark.parametrize(("outputs", "free"), [(1, 0), (1, 2), (3, 2)])
def test_the_likeliest_noise_makes_the_evidence_largest(outputs, free, rng):
    n, size = 20, 5
    penalty = np.r_[np.zeros(free), np.full(size - free, 0.3)]
    jacobian = rng.standard_normal((n * outputs, size)) / n**0.5
    theta, squares = 0.1 * rng.standard_normal(size), 0.8
    found = laplace.inverted(jacobian.T @ jacobian, penalty)

    def evidence(noise):
        return laplace.log_marginal_likelihood(found, penalty, theta, squares, noise, float(n), outputs, 0.0)

    best = laplace.likeliest_noise(squares + penalty @ theta**2, penalty, float(n), outputs)
    assert evidence(best) > max(evidence(0.99 * best), evidence(1.01 * best))


@pytest.mark.parametrize("weighted", [False, True])
def test_evidence_of_one_parameter_by_quadrature(weighted, rng):
    """The density of y = θx + noise, integrated over θ with its prior."""
    n, penalty, noise = 12, 0.05, 0.3
    x, w = rng.standard_normal(n), rng.uniform(0.5, 1.5, n) if weighted else np.ones(n)
    w *= n / w.sum()
    y = 0.7 * x + 0.5 * rng.standard_normal(n)
    theta = np.arange(-8.0, 8.0, 1e-3)
    each = -0.5 * np.log(2 * np.pi * noise / w) - 0.5 * w * (y - theta[:, None] * x) ** 2 / noise
    prior = -0.5 * np.log(2 * np.pi * noise / (n * penalty)) - 0.5 * n * penalty * theta**2 / noise
    expected = np.log(np.exp(each.sum(axis=1) + prior).sum() * 1e-3)
    curvature = laplace.inverted(np.array([[w @ x**2 / n]]), np.array([penalty]))
    best = np.array([w @ (x * y) / n / (w @ x**2 / n + penalty)])
    squares = w @ (y - best * x) ** 2 / n
    found = laplace.log_marginal_likelihood(
        curvature, np.array([penalty]), best, squares, noise, float(n), 1, np.log(w).sum()
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_gradient_of_rounding_is_none_where_there_is_no_noise():
    class Steep:
        def gauss_newton(self, theta):
            return np.diag([1e8, 1.0])

    gradient = np.array([1e-12, -1e-12])
    for noise in (1e-3, 1e-10):
        np.testing.assert_array_equal(laplace.beyond_rounding(Steep(), np.zeros(2), gradient, noise), gradient)
    left = laplace.beyond_rounding(Steep(), np.zeros(2), gradient, 1e-20)
    assert left[0] == 0.0
    assert left[1] == pytest.approx(-1e-12, rel=1e-2)


def test_noise_is_no_less_than_rounding_makes_it():
    held = np.ones(2)
    assert laplace.likeliest_noise(1e-20, held, 10.0, 1) == pytest.approx(1e-20)
    eps = np.finfo(float).eps
    assert eps**2 < laplace.likeliest_noise(0.0, held, 10.0, 1) < (1e3 * eps) ** 2
    # more parameters without a prior than residuals leave the noise a number
    assert laplace.likeliest_noise(1.0, np.zeros(30), 10.0, 2) == pytest.approx(10.0 / 0.2)
