"""
A saddle and the way out
========================

A solver that looks at gradients alone stops where the gradient vanishes, and calls it converged. Only the Hessian tells
whether that is a minimum. Here a network is brought to a saddle point on purpose; its eigenvalues say so, name the way down
and how far the loss falls along it; and Newton's method, which looks at curvature, takes that way.

    python examples/plot_saddle_and_the_way_out.py [picture.png]
"""

import sys
import warnings
from copy import deepcopy

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLPGradientRegressor
from mle_regression.displays import LandscapeDisplay, SpectrumDisplay

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
warnings.simplefilter("ignore", ConvergenceWarning)

# %%
# A penalty so strong that all weights are zero makes zero a minimum. Taken back, it leaves the network where every gradient
# vanishes by symmetry: lbfgs does not move.
network = MLPGradientRegressor(
    (3,), solver="lbfgs", alpha=1e5, early_stopping=False, warm_start=True, curvature="full", random_state=0
)
network.fit(X, y).set_params(alpha=1.0).fit(X, y)
print(
    f"lbfgs: {network.stop_reason_}, gradient {network.gradient_norm_:.1e}, {network.verdict_}, J {network.loss_:.4f}"
)
assert network.gradient_norm_ < 1e-6
assert network.converged_
assert network.verdict_ == "saddle point"

# %%
# The report names the way down, and has gone it.
report = network.diagnose(X, y).curvature()
print(report.reason)
assert report.eigenvalues[0] < -report.error_bounds[0]
assert report.escape.gain > 0.3

# %%
# Newton's method begins at the very same place, and leaves it along negative curvature.
newton = deepcopy(network).set_params(solver="newton").fit(X, y)
print(f"newton: {newton.stop_reason_} after {newton.n_iter_} iterations, {newton.verdict_}, J {newton.loss_:.4f}")
assert newton.verdict_ == "minimum"
assert newton.loss_ < report.escape.loss < network.loss_ - 0.3

# %%
figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.8), layout="constrained")
SpectrumDisplay.from_estimator(network, X, y, ax=axes[0])
saddle = LandscapeDisplay.from_estimator(network, X, y, ax=axes[1])
assert saddle.landscape.names[0] == "way down"
axes[2].plot(network.loss_curve_ + [network.loss_] * newton.n_iter_, "k--", label="lbfgs: stays")
axes[2].plot(newton.loss_curve_, marker="o", markersize=3, label="newton: leaves")
axes[2].axhline(report.escape.loss, color="0.5", linestyle=":", label="foretold by the report")
axes[2].set(xlabel="Iteration", ylabel="J, in standard units", title="The way out")
axes[2].legend(frameon=False)
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
