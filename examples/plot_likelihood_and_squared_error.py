"""
Likelihood and squared error
============================

Under Gaussian noise the likelihood of a line is a falling function of its mean squared error, so that the likeliest line is
that of least squares; and the likeliest noise variance is the mean square that is left. Where rows are not equally sure,
the likelihood says how to weigh them.

    python examples/plot_likelihood_and_squared_error.py [picture.png]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes

from mle_regression import MLELinearRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X, n = X[["bmi"]], len(y)
model = MLELinearRegressor().fit(X, y)

# %%
# The likelihood is known up to the noise: for each line its likeliest variance is its mean squared error, at which the
# log-likelihood is −n/2 (log 2πe MSE).
slopes = model.coef_[0] + np.linspace(-4, 4, 81)
center = y.mean() - slopes * X["bmi"].mean()
squares = np.mean((y.to_numpy() - center[:, None] - slopes[:, None] * X["bmi"].to_numpy()) ** 2, axis=1)
likelihood = -0.5 * n * np.log(2 * np.pi * np.e * squares)
best = int(np.argmax(likelihood))
assert best == int(np.argmin(squares)) == 40  # where the fit is
assert np.isclose(likelihood[best], model.log_likelihood_, rtol=1e-12)
assert np.isclose(squares[best], model.noise_variance_, rtol=1e-12)

# %%
# A general optimiser that knows nothing of squares, and climbs the density over intercept, slope and log σ, ends there too.
x = X["bmi"].to_numpy()


def minus_log_density(params):
    mean, log_sigma = params[0] + params[1] * (x - x.mean()), params[2]
    return np.sum(0.5 * np.log(2 * np.pi) + log_sigma + 0.5 * (y - mean) ** 2 / np.exp(2 * log_sigma))


found = minimize(minus_log_density, [y.mean(), 0.0, np.log(y.std())], method="Nelder-Mead", tol=1e-10)
print(f"slope {found.x[1]:.6f} by climbing the density, {model.coef_[0]:.6f} by least squares")
print(f"sigma {np.exp(found.x[2]):.6f}, and {model.noise_variance_**0.5:.6f}")
np.testing.assert_allclose(found.x[1], model.coef_[0], rtol=1e-5)
np.testing.assert_allclose(np.exp(2 * found.x[2]), model.noise_variance_, rtol=1e-5)
np.testing.assert_allclose(-found.fun, model.log_likelihood_, rtol=1e-10)

# %%
# The curvature of the log-likelihood at its top is the inverse square of the slope's standard error (with σ̂² in the place
# of the unbiased s²).
step = slopes[41] - slopes[40]
curvature = (likelihood[39] - 2 * likelihood[40] + likelihood[41]) / step**2
error = model.standard_errors_[0] * np.sqrt(model.noise_variance_ / model.residual_variance_)
np.testing.assert_allclose(-1 / curvature, error**2, rtol=1e-2)

# %%
# Rows of unequal noise: weights 1/variance are what the likelihood asks for. Over many samples the slope then scatters less.
rng = np.random.default_rng(0)
sigma = np.where(np.arange(60) % 2, 0.3, 3.0)
plain, weighted = [], []
for _ in range(200):
    u = rng.uniform(-2, 2, (60, 1))
    v = 1.0 + 2.0 * u[:, 0] + sigma * rng.standard_normal(60)
    plain.append(MLELinearRegressor().fit(u, v).coef_[0])
    weighted.append(MLELinearRegressor().fit(u, v, 1 / sigma**2).coef_[0])
print(f"deviation of the slope: {np.std(plain):.3f} by squares, {np.std(weighted):.3f} by the likelihood")
assert np.std(weighted) < 0.4 * np.std(plain)

# %%
figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.2), layout="constrained")
for ax, values, name in zip(axes, (squares, likelihood), ("Mean squared error", "Log-likelihood"), strict=False):
    ax.plot(slopes, values)
    ax.plot(slopes[best], values[best], "k*", markersize=14, label="the fit")
    ax.axvspan(*(model.coef_[0] + np.array([-1, 1]) * error), alpha=0.2, color="grey", label="± standard error")
    ax.set(
        xlabel="Slope of bmi",
        ylabel=name,
        title=f"{name}: {'lowest' if name[0] == 'M' else 'highest'} at the same line",
    )
    ax.legend(frameon=False)
axes[2].hist([plain, weighted], bins=25, label=["least squares", "likelihood (weights 1/σ²)"], color=["0.75", "0.2"])
axes[2].axvline(2.0, color="tab:orange", linestyle="--", label="true slope")
axes[2].set(xlabel="Slope", ylabel="Samples", title="Rows of unequal noise")
axes[2].legend(frameon=False, fontsize="small")
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
