"""
Many solvers, one optimum
=========================

A strictly convex objective has one minimum, and it does not matter who finds it: a Cholesky factor, Householder reflections,
singular values, or steps downhill. What differs is how many digits and steps it takes.

    python examples/plot_many_solvers_one_optimum.py [picture.png]
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLELinearRegressor
from mle_regression.solvers import GradientDescent

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

# %%
# The coefficients to the last digit, worked out in exact arithmetic.
exact = MLELinearRegressor(refine=True).fit(X, y)
assert exact.refined_
assert exact.verdict_ == "unique minimum"

# %%
# Direct solvers, and iterative ones that go on until the distance is a part in 10⁸.
solvers = {
    "normal": "normal",
    "qr": "qr",
    "svd": "svd",
    "gd": GradientDescent("none"),
    "gd, Nesterov": GradientDescent("nesterov"),
    "lbfgs": "lbfgs",
    "newton": "newton",
    "lsmr": "lsmr",
}
fits, gaps = {}, {}
errors = exact.standard_errors_
for name, solver in solvers.items():
    model = MLELinearRegressor(solver=solver, refine=False, max_iter=20_000, tol=1e-8, random_state=0).fit(X, y)
    fits[name], gaps[name] = model, float(np.abs((model.coef_ - exact.coef_) / errors).max())
    print(
        f"{name:14s} {model.n_iter_:5d} steps, {gaps[name]:.1e} standard errors from the optimum, {model.stop_reason_}"
    )
    assert model.converged_
    assert gaps[name] < 1e-5
    np.testing.assert_allclose(model.log_likelihood_, exact.log_likelihood_, rtol=1e-10)
assert all(gaps[name] < 1e-10 for name in ("normal", "qr", "svd"))

# %%
# A solver that sees a batch at a time gets there roughly: closer than the standard errors by far.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    sgd = MLELinearRegressor(solver="sgd", max_iter=2000, tol=1e-3, random_state=0).fit(X, y)
gaps["sgd"] = float(np.abs((sgd.coef_ - exact.coef_) / errors).max())
fits["sgd"] = sgd
print(f"sgd            {sgd.n_iter_:5d} passes, {gaps['sgd']:.1e} standard errors")
assert gaps["sgd"] < 0.5

# %%
# Momentum takes about the root of the number of steps; with second derivatives a few are enough.
assert fits["gd"].n_iter_ > 5 * fits["gd, Nesterov"].n_iter_
assert fits["newton"].n_iter_ <= 6

# %%
figure, axes = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
dashes = ["-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1))]
for (name, model), dash in zip(((k, m) for k, m in fits.items() if m.gradient_curve_), dashes, strict=False):
    axes[0].loglog(1 + np.arange(len(model.gradient_curve_)), model.gradient_curve_, linestyle=dash, label=name)
axes[0].set(xlabel="1 + iteration", ylabel="Norm of the gradient", title="All go down; some take longer")
axes[0].legend(frameon=False)
names = sorted(gaps, key=gaps.get)
axes[1].barh(names, [max(gaps[name], 1e-17) for name in names], color="0.35")
axes[1].set_xscale("log")
axes[1].axvline(1.0, color="tab:orange", linestyle="--", label="a standard error")
axes[1].set(xlabel="Largest distance of a coefficient, in standard errors", title="Where they end")
axes[1].legend(frameon=False, loc="lower right")
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
