"""
Units do not matter
===================

Whether blood pressure is measured in mmHg or in units of a hundred million of them changes a coefficient by that factor,
and nothing else: not the predictions, not the t values, not the verdict. A fit that leaves out what is small beside the
largest column does not keep this promise; normal equations do, with some digits fewer.

    python examples/plot_units_do_not_matter.py [picture.png]
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import LinAlgWarning, solve
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, Ridge

from mle_regression import MLELinearRegressor
from mle_regression.displays import SpectrumDisplay

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
reference = MLELinearRegressor().fit(X, y)


# %%
# Three columns change their units by a factor: one becomes large, one small, one stays. How far do predictions move?
def in_other_units(factor):
    return X * np.where(X.columns == "bp", factor, np.where(X.columns == "s1", 1 / factor, 1.0))


def normal_equations(data, target):
    A = np.column_stack([np.ones(len(data)), data])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # it knows that something is wrong, and goes on
        return A @ solve(A.T @ A, A.T @ target)


fits = {
    "MLELinearRegressor": lambda data: MLELinearRegressor().fit(data, y).predict(data),
    "LinearRegression": lambda data: LinearRegression().fit(data, y).predict(data),
    "normal equations": lambda data: normal_equations(data.to_numpy(), y.to_numpy()),
}
powers = np.arange(0, 11)
expected, spread = reference.predict(X), y.std()
moved = {
    name: [np.abs(predict(in_other_units(10.0**power)) - expected).max() / spread for power in powers]
    for name, predict in fits.items()
}
for name, values in moved.items():
    print(f"{name:20s} predictions off by up to {max(values):.1e} of the spread of y")
assert max(moved["MLELinearRegressor"]) < 1e-12
assert max(moved["LinearRegression"]) > 1e-3
assert max(moved["normal equations"]) > 10 * max(moved["MLELinearRegressor"])

# %%
# Standard errors move with the coefficients, t values and the likelihood not at all.
factor = 1e9
other = MLELinearRegressor().fit(in_other_units(factor), y)
np.testing.assert_allclose(other.coefficients()["t"], reference.coefficients()["t"], rtol=1e-10)
np.testing.assert_allclose(other.log_likelihood_, reference.log_likelihood_, rtol=1e-13)
assert (other.rank_, other.verdict_) == (reference.rank_, reference.verdict_)

# %%
# A penalty is another matter: it is one on coefficients as they are, so that a ridge in other units is another model, here
# as everywhere. Standardise columns first if that is not meant.
ridge = [Ridge(1.0).fit(data, y).predict(data) for data in (X, in_other_units(10.0))]
ours = [MLELinearRegressor(alpha=1.0).fit(data, y).predict(data) for data in (X, in_other_units(10.0))]
assert np.abs(ours[0] - ours[1]).max() > 1e-2
np.testing.assert_allclose(ours, ridge, rtol=1e-8)

# %%
# The Hessian's eigenvalues do depend on units: the condition of this one is beyond what float64 could tell apart, and each
# of its eigenvalues has all of its digits, as the bounds say.
figure, axes = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
for (name, values), marker in zip(moved.items(), "osv", strict=True):
    axes[0].semilogy(10.0**powers, np.maximum(values, 1e-17), marker=marker, label=name)
axes[0].set_xscale("log")
axes[0].set(
    xlabel="Factor between units", ylabel="Predictions off by (spread of y)", title="The same data in other units"
)
axes[0].legend(frameon=False)
shown = SpectrumDisplay.from_estimator(other, in_other_units(factor), y, ax=axes[1])
print(
    f"condition number {shown.condition_number:.1e}, relative bounds {max(shown.error_bounds / shown.eigenvalues):.1e}"
)
assert shown.condition_number > 1e30
assert (shown.signs == 1).all()
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
