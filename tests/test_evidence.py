"""Penalties by evidence: the climb from several levels, the value at its end, and hostile data."""

import numpy as np
import pytest

from mle_regression import MLELinearRegressor, MLPGradientRegressor

QUIET = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::mle_regression.NoiseFreeWarning"
)


def exact_log_evidence(mpmath, model, x, y):
    """Log evidence of a tanh network with one input, at its own α and θ and the noise that is likeliest there."""
    fitted = model._fit
    objective = fitted.objective(x[:, None], y[:, None])
    theta, penalty, n = fitted.theta, objective.penalty, len(y)
    with mpmath.workdps(60):
        block = objective.rows.block(slice(0, n))
        z, t = ([mpmath.mpf(float(v)) for v in row] for row in (block.x[0], block.y[0]))
        w, b, (*v, c) = ([mpmath.mpf(float(p)) for p in part] for part in (theta[:-4:2], theta[1:-4:2], theta[-4:]))
        jacobian, squares = mpmath.matrix(n, len(theta)), mpmath.mpf(0)
        for i in range(n):
            a = [mpmath.tanh(w[k] * z[i] + b[k]) for k in range(3)]
            for k in range(3):
                below = v[k] * (1 - a[k] ** 2)
                jacobian[i, 2 * k], jacobian[i, 2 * k + 1], jacobian[i, 6 + k] = below * z[i], below, a[k]
            jacobian[i, 9] = 1
            squares += (mpmath.fsum(v[k] * a[k] for k in range(3)) + c - t[i]) ** 2
        d = [mpmath.mpf(float(p)) for p in penalty]
        value = squares / n + mpmath.fsum(p * mpmath.mpf(float(q)) ** 2 for p, q in zip(d, theta, strict=True))
        noise = max(n * value / (n - 1), mpmath.mpf(64 * np.finfo(float).eps) ** 2)
        curvature = jacobian.T * jacobian / n + mpmath.diag(d)
        held = [p for p in d if p]
        density = -0.5 * n * mpmath.log(2 * mpmath.pi * noise) - 0.5 * n * value / noise
        density += 0.5 * mpmath.fsum(mpmath.log(n * p / noise / (2 * mpmath.pi)) for p in held)
        density += 0.5 * len(d) * mpmath.log(2 * mpmath.pi * noise / n) - 0.5 * mpmath.log(mpmath.det(curvature))
        return float(density) - (n - 1) * np.log(y.std())


@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")
@pytest.mark.parametrize("seed", [*range(8), 23])
def test_data_without_noise_have_a_finite_evidence(seed):
    mpmath = pytest.importorskip("mpmath")
    x = np.linspace(-2, 2, 30)
    y = np.tanh(2 * x + 0.3)
    model = MLPGradientRegressor((3,), alpha="evidence", random_state=seed).fit(x[:, None], y)
    exact = exact_log_evidence(mpmath, model, x, y)
    assert exact > 100
    assert model.log_marginal_likelihood_ == pytest.approx(exact, abs=0.5)
    mean, std = model.predict(x[:, None], return_std=True)
    assert np.abs(mean - y).max() < 1e-5
    assert (std < 1e-4).all()


@QUIET
@pytest.mark.parametrize("seed", range(3))
def test_units_switched_off_by_a_strong_prior_come_back(seed):
    """From α = 1 training ends at a straight line; a climb begun at a weaker prior has 470 nats more."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-2, 2, 200)[:, None]
    y = np.sin(3 * x[:, 0]) + 0.05 * rng.standard_normal(200)
    model = MLPGradientRegressor((10,), activation="softplus", alpha="evidence", random_state=seed).fit(x, y)
    assert model.score(x, y) > 0.99
    assert model.log_marginal_likelihood_ > 250


@QUIET
@pytest.mark.parametrize(("activation", "seed"), [("softplus", 0), ("softplus", 1), ("silu", 0)])
def test_a_straight_line_at_its_optimum_does_not_beat_a_better_place_near_one(activation, seed):
    """With more units than the curve needs the last of the way is long; hundreds of nats do not wait for it."""
    rng = np.random.default_rng(0)
    x = np.linspace(-3, 3, 120)[:, None]
    y = np.sin(3 * x[:, 0]) + 0.05 * rng.standard_normal(120)
    model = MLPGradientRegressor((10,), activation=activation, alpha="evidence", random_state=seed).fit(x, y)
    assert model.score(x, y) > 0.99


@QUIET
def test_kinks_do_not_hold_the_penalties_where_they_begin():
    """From one start in eight a worse optimum is reached, whose units bend where no rows are."""
    x = np.linspace(-2, 2, 200)[:, None]
    y = np.exp(-4 * x[:, 0] ** 2)
    densities = []
    for seed in range(4):
        model = MLPGradientRegressor((10,), activation="relu", alpha="evidence", random_state=seed).fit(x, y)
        assert set(model.alpha_.values()) != {1.0}
        densities.append(model.log_marginal_likelihood_)
    assert sorted(densities)[1] > 500


@QUIET
def test_all_climbs_share_one_number_of_iterations():
    x = np.linspace(-2, 2, 200)[:, None]
    y = np.sin(3 * x[:, 0]) + 0.05 * np.random.default_rng(0).standard_normal(200)
    for most in (1, 30, 150):
        model = MLPGradientRegressor((10,), activation="softplus", alpha="evidence", random_state=0, max_iter=most)
        assert model.fit(x, y).n_iter_ <= most + 10  # and what Newton's last steps add
        assert np.isfinite(model.log_marginal_likelihood_)


@QUIET
@pytest.mark.parametrize("hidden", [(), (4,)])
@pytest.mark.parametrize("y", [np.ones(200), np.zeros(200), np.full(200, 1e-300), np.full(200, 1e300)])
def test_a_constant_y_needs_no_column(rng, hidden, y):
    X = rng.standard_normal((200, 3))
    model = MLPGradientRegressor(hidden, alpha="evidence", random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-6, atol=1e-100)
    assert not np.isnan(model.log_marginal_likelihood_)


HOSTILE = {
    "one column": lambda r: (r.standard_normal((40, 1)), r.standard_normal(40)),
    "three rows": lambda r: (r.standard_normal((3, 2)), r.standard_normal(3)),
    "two rows": lambda r: (r.standard_normal((2, 1)), r.standard_normal(2)),
    "eight rows of twenty columns": lambda r: (r.standard_normal((8, 20)), r.standard_normal(8)),
    "a column twice": lambda r: (np.repeat(r.standard_normal((40, 1)), 2, axis=1), r.standard_normal(40)),
    "a constant column": lambda r: (np.c_[r.standard_normal(40), np.full(40, 7.0)], r.standard_normal(40)),
    "constant columns only": lambda r: (np.ones((40, 2)), r.standard_normal(40)),
    "a linear function": lambda r: (lambda X: (X, X @ [1.0, 2.0]))(r.standard_normal((40, 2))),
    "several outputs": lambda r: (lambda X: (X, np.c_[X @ [1.0, 2.0], r.standard_normal(40)]))(
        r.standard_normal((40, 2))
    ),
    "tiny units": lambda r: (1e-150 * r.standard_normal((40, 2)), 1e-150 * r.standard_normal(40)),
    "huge units": lambda r: (1e140 * r.standard_normal((40, 2)), 1e150 * r.standard_normal(40)),
}


@QUIET
@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("weighted", [None, "precision", "frequency"])
@pytest.mark.parametrize("kind", ["linear", "network without units", "network"])
def test_hostile_data(case, weighted, kind):
    rng = np.random.default_rng(0)
    X, y = HOSTILE[case](rng)
    weights = None if weighted is None else rng.integers(1, 4, len(y)).astype(float)
    options = {"alpha": "evidence", "weight_type": weighted or "precision"}
    if kind == "linear":
        model = MLELinearRegressor(on_rank_deficiency="min_norm", **options)
    else:
        model = MLPGradientRegressor((3,) if kind == "network" else (), random_state=0, **options)
    model.fit(X, y, weights)
    assert np.isfinite(model.predict(X)).all()
    assert not np.isnan(model.log_marginal_likelihood_)
    alphas = list(model.alpha_.values()) if isinstance(model.alpha_, dict) else [model.alpha_]
    assert all(np.isfinite(alpha) and alpha >= 0 for alpha in alphas)


@QUIET
@pytest.mark.parametrize("factor", [1e-150, 1e-3, 1e150])
def test_evidence_in_other_units_of_y(rng, factor):
    X = rng.standard_normal((50, 2))
    y = np.sin(X[:, 0]) + 0.3 * rng.standard_normal(50)
    usual = MLPGradientRegressor((3,), alpha="evidence", random_state=0).fit(X, y)
    other = MLPGradientRegressor((3,), alpha="evidence", random_state=0).fit(X, factor * y)
    change = -49 * np.log(factor)  # the flat prior of the output's bias is in units of y too
    assert other.log_marginal_likelihood_ == pytest.approx(usual.log_marginal_likelihood_ + change, rel=1e-9, abs=1e-6)
    np.testing.assert_allclose(other.predict(X, return_std=True)[1], factor * usual.predict(X, return_std=True)[1])


@pytest.mark.parametrize("factor", [1e-300, 1e-160, 1e-3, 1e160, 1e290])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_evidence_of_the_linear_model_in_other_units_of_y(rng, factor, fit_intercept):
    X = rng.standard_normal((50, 3))
    y = X @ [1.0, 0.5, 0.0] + rng.standard_normal(50)
    usual = MLELinearRegressor(alpha="evidence", fit_intercept=fit_intercept).fit(X, y)
    other = MLELinearRegressor(alpha="evidence", fit_intercept=fit_intercept).fit(X, factor * y)
    change = -(50 - fit_intercept) * np.log(factor)
    assert other.alpha_ == pytest.approx(usual.alpha_, rel=1e-5)
    assert other.log_marginal_likelihood_ == pytest.approx(usual.log_marginal_likelihood_ + change, rel=1e-11)
