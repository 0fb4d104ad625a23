"""Where iterative solvers end: likelihoods of what they have found, convergence that rounding allows, and that they end."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.solvers.base import Need
from mle_regression.solvers.registry import SOLVERS
from mle_regression.warnings import NoiseFreeWarning

BATCHES = {name for name, kind in SOLVERS.items() if kind.continues_from is Need.BATCHES}
# Those whose steps do not shorten with the condition of the columns squared.
QUICK = ["lbfgs", "lsmr", "newton"]


def likelihood(residuals, weights=None):
    """Gaussian log-likelihood at the noise variance that makes residuals (n,) likeliest."""
    w = np.ones(len(residuals)) if weights is None else weights
    variance = np.mean(w * residuals**2)
    return 0.5 * (np.log(w).sum() - len(residuals) * (np.log(2 * np.pi * variance) + 1))


@pytest.mark.parametrize("shape", [(20, 20), (15, 25)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_that_has_not_arrived_is_not_exact_however_many_its_columns(iterative, shape, weighted):
    rng = np.random.default_rng(0)
    X, y = rng.random(shape), rng.random(shape[0])
    weights = rng.uniform(1, 2, len(y)) if weighted else None
    model = MLELinearRegressor(
        solver=iterative, fit_intercept=False, max_iter=4, random_state=0, on_rank_deficiency="min_norm"
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y, weights)
    residuals = y - X @ model.coef_
    assert np.isfinite(model.log_likelihood_)
    assert model.log_likelihood_ == pytest.approx(likelihood(residuals, weights), rel=1e-7)
    assert model.log_likelihood(X, y, weights) == pytest.approx(model.log_likelihood_, rel=1e-7)


def test_several_outputs_that_have_not_arrived_have_a_likelihood(iterative):
    rng = np.random.default_rng(0)
    X, Y = rng.random((20, 20)), rng.random((20, 3))
    with pytest.warns(ConvergenceWarning):
        model = MLELinearRegressor(solver=iterative, fit_intercept=False, max_iter=4, random_state=0).fit(X, Y)
    residuals = Y - X @ model.coef_.T
    _, log_determinant = np.linalg.slogdet(residuals.T @ residuals / 20)
    assert model.log_likelihood_ == pytest.approx(-10 * (log_determinant + 3 * np.log(2 * np.pi) + 3), rel=1e-7)


@pytest.mark.parametrize("solver", ["gd", *QUICK])
def test_a_fit_that_has_arrived_with_as_many_columns_as_rows_is_exact(solver):
    rng = np.random.default_rng(3)
    X = np.linalg.qr(rng.standard_normal((12, 12)))[0] + 0.1 * rng.standard_normal((12, 12))
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor(solver=solver, fit_intercept=False, max_iter=5000).fit(X, rng.standard_normal(12))
    assert model.converged_
    assert np.isposinf(model.log_likelihood_)


@pytest.mark.parametrize("size", [1e-4, 1e-8, 1e-10])
@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"weighted": True}])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_noise_far_below_y_is_summed_from_the_residuals(iterative, size, options, rng):
    options = dict(options)
    X = rng.standard_normal((200, 3))
    noise = size * rng.standard_normal(200)
    y = X @ [1.0, 2.0, 3.0] + noise
    weights = rng.uniform(0.5, 2, 200) if options.pop("weighted", False) else None
    direct = MLELinearRegressor(**options).fit(X, y, weights)
    model = MLELinearRegressor(solver=iterative, max_iter=1000, random_state=0, **options).fit(X, y, weights)
    if iterative not in BATCHES:
        assert model.converged_
        # What rounds in the sums over rows, a triangle of unit columns, is 1e-16 of y: as much as 1e-6 of this noise.
        assert model.noise_variance_ == pytest.approx(direct.noise_variance_, rel=1e-5 if size > 1e-9 else 5e-3)
    residuals = y - model.predict(X)
    w = 1.0 if weights is None else weights
    assert model.noise_variance_ == pytest.approx(np.mean(w * residuals**2), rel=1e-4)
    assert model.log_likelihood_ == pytest.approx(likelihood(residuals, weights), abs=0.01)
    assert model.log_likelihood(X, y, weights) == pytest.approx(model.log_likelihood_, abs=0.01)
    assert model.diagnose(X, y, weights).data == "the rows of the fit"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_nearly_no_noise_in_one_output_of_two(iterative, rng):
    X = rng.standard_normal((100, 3))
    Y = np.c_[X @ [1.0, 2.0, 3.0] + 1e-8 * rng.standard_normal(100), 1e6 * rng.standard_normal(100)]
    model = MLELinearRegressor(solver=iterative, max_iter=1000, random_state=0).fit(X, Y)
    np.testing.assert_allclose(model.noise_variance_, np.mean((Y - model.predict(X)) ** 2, axis=0), rtol=1e-4)


@pytest.mark.parametrize("max_iter", [2, 10_000])
@pytest.mark.parametrize("options", [{}, {"alpha": 0.5}, {"fit_intercept": False}, {"weighted": True}, {"tol": 1e-3}])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_rows_of_a_fit_are_known_wherever_its_path_has_ended(iterative, max_iter, options, rng):
    options = dict(options)
    X = rng.standard_normal((50, 3)) * [1, 1e4, 1e-3] + [0, 1, 2]
    Y = np.c_[X @ [1, 1e-4, 1e3] + 0.01 * rng.standard_normal(50), rng.standard_normal(50)]
    weights = rng.uniform(0.5, 2, 50) if options.pop("weighted", False) else None
    if max_iter > 2 and iterative in BATCHES:
        max_iter = 50
    model = MLELinearRegressor(solver=iterative, max_iter=max_iter, random_state=0, **options).fit(X, Y, weights)
    diagnosis = model.diagnose(X, Y, weights)
    assert diagnosis.data == "the rows of the fit"
    assert np.isfinite(diagnosis.coefficients(cov="HC3")["std_error"]).all()
    other = Y.copy()
    other[0] += 0.01 * Y.std(axis=0)
    assert model.diagnose(X, other, weights).data == "new rows"
    assert model.diagnose(X[::-1], Y, weights).data == "new rows"


@pytest.mark.parametrize("solver", QUICK)
@pytest.mark.parametrize("degree", [6, 10])
@pytest.mark.parametrize("tol", [1e-8, 0.0])
@pytest.mark.parametrize("ends", [(0, 1), (-1, 1), (0, 5)])
def test_convergence_is_not_asked_for_below_rounding(solver, degree, tol, ends, rng):
    x = np.linspace(*ends, 100)
    X = np.vander(x, degree + 1)[:, :-1]
    y = np.sin(3 * x) + 0.1 * rng.standard_normal(100)
    direct = MLELinearRegressor().fit(X, y)
    model = MLELinearRegressor(solver=solver, tol=tol).fit(X, y)
    assert model.verdict_ == "unique minimum"
    assert model.n_iter_ < 1000
    # lsmr ends where rounding makes its basis lose its orthogonality.
    np.testing.assert_allclose(model.predict(X), direct.predict(X), atol=1e-6 if solver == "lsmr" else 1e-7)
    # The condition of these columns, centred and of unit length, is up to 4e6: its square takes that many digits.
    np.testing.assert_allclose(model.coef_, direct.coef_, rtol=1e-5)


@pytest.mark.parametrize("solver", ["gd", *QUICK])
def test_a_tolerance_of_zero_ends_where_rounding_does(solver, rng):
    X, y = rng.standard_normal((60, 4)), rng.standard_normal(60)
    model = MLELinearRegressor(solver=solver, tol=0.0, max_iter=5000).fit(X, y)
    assert model.converged_
    np.testing.assert_allclose(model.coef_, MLELinearRegressor().fit(X, y).coef_, rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("shape", "hidden", "options"),
    [
        ((15, 10), (5,), {"alpha": 1.0}),
        ((60, 3), (4,), {"alpha": 0.1}),
        ((100, 2), (4,), {"alpha": 1.0, "activation": "logistic"}),
        ((40, 5), (3,), {"alpha": 1.0, "standardize": False}),
    ],
)
def test_lbfgs_of_a_network_reaches_its_tolerance(shape, hidden, options, seed):
    """The gradient is known to more digits than differences of the loss, whose minimum is 1e-18 away."""
    rng = np.random.default_rng(seed)
    X, noise = rng.random(shape), rng.random(shape[0])
    y = np.sin(3.0 * X[:, 0]) + noise
    options = {
        **options,
        "solver": "lbfgs",
        "tol": 1e-9,
        "max_iter": 5000,
        "early_stopping": False,
        "random_state": seed,
    }
    model = MLPGradientRegressor(hidden, **options).fit(X, y)
    assert model.converged_
    assert model.gradient_norm_ <= 1e-9
    single = MLPGradientRegressor(hidden, **options, dtype="float32").fit(X, y)
    # A tolerance that float32 cannot reach: as far as its gradients tell, and no warning.
    assert single.gradient_norm_ < 1e-3
    assert single.loss_ == pytest.approx(model.loss_, rel=0.05)


def test_lbfgs_ends_where_no_search_finds_a_lower_loss(rng):
    X = rng.standard_normal((60, 3))
    y = np.tanh(X @ [1.0, -1.0, 0.5]) + 0.1 * rng.standard_normal(60)
    for seed in range(4):
        model = MLPGradientRegressor(
            (3,),
            alpha=1e-4,
            solver="lbfgs",
            tol=0.0,
            n_iter_no_change=np.inf,
            max_iter=50_000,
            early_stopping=False,
            random_state=seed,
        )
        with pytest.warns(ConvergenceWarning, match="no step that it tries lowers the loss"):
            model.fit(X, y)
        assert model.n_iter_ < 5000
        assert model.gradient_norm_ < 1e-7


def test_the_gradient_along_the_path_and_how_it_ended(iterative):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(200)
    tol = 1e-3 if iterative in BATCHES else 1e-8
    model = MLELinearRegressor(solver=iterative, random_state=0, max_iter=3000, tol=tol).fit(X, y)
    assert len(model.gradient_curve_) == len(model.loss_curve_)
    assert model.gradient_curve_[-1] == model.gradient_norm_ < 1e-2 * model.gradient_curve_[0]
    assert model.stop_reason_ == "converged"
    with pytest.warns(ConvergenceWarning):
        short = MLELinearRegressor(solver=iterative, random_state=0, max_iter=1, tol=1e-15).fit(X, y)
    assert short.stop_reason_ == "max_iter"
    # θ = 0 in columns and y of unit length: ‖gradient‖ = 2‖correlations‖
    correlations = np.corrcoef(np.column_stack([X, y]).T)[-1, :-1]
    assert short.gradient_curve_[0] == pytest.approx(2 * np.linalg.norm(correlations), rel=1e-9)


def test_how_a_direct_solver_and_dependent_columns_end():
    X, y = np.arange(20.0).reshape(10, 2) ** 2, np.sin(np.arange(10.0))
    model = MLELinearRegressor().fit(X, y)
    assert (model.stop_reason_, model.gradient_curve_) == ("converged", [])
    flat = MLELinearRegressor(solver="gd", max_iter=3000, on_rank_deficiency="min_norm").fit(
        np.column_stack([X, X[:, :1]]), y
    )
    assert flat.stop_reason_ == "rank_deficient"
    assert MLELinearRegressor().partial_fit(X[:5], y[:5]).partial_fit(X[5:], y[5:]).stop_reason_ == "converged"


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ({"solver": "lm", "early_stopping": False, "alpha": 1.0}, "converged"),
        ({"solver": "lbfgs", "early_stopping": True, "alpha": 0.0, "hidden_layer_sizes": (30,)}, "early_stopped"),
        ({"solver": "lbfgs", "early_stopping": False, "alpha": 0.0, "max_iter": 2}, "max_iter"),
        ({"solver": "adam", "early_stopping": False, "alpha": 1.0, "tol": 0.05}, "plateau"),
        ({"alpha": "loo"}, "early_stopped converged"),  # the last steps may reach the optimum, and need not
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_how_the_training_of_a_network_ends(options, ending):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 2))
    y = np.sin(2 * X[:, 0]) + 0.5 * rng.standard_normal(80)
    net = MLPGradientRegressor(**({"hidden_layer_sizes": (3,), "random_state": 0} | options)).fit(X, y)
    assert net.stop_reason_ in ending.split()
    assert len(net.gradient_curve_) == len(net.loss_curve_)
    if ending == "converged":
        assert net.gradient_curve_[-1] == pytest.approx(net.gradient_norm_, rel=1e-6)
