"""
The bowl and the valley
=======================

Least squares has one objective J, and its Hessian is the same everywhere: a bowl. Where two columns say nearly the same,
the bowl is a valley: steep across, flat along. How many steps gradient descent takes follows from the ratio of the two
curvatures alone. A network's objective is no bowl: where its gradient vanishes there may be a saddle.

The data are those of 442 patients that scikit-learn ships.

    python examples/plot_bowl_and_valley.py [picture.png]
"""

import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import LandscapeDisplay
from mle_regression.estimator.callbacks import PathRecorder
from mle_regression.solvers import GradientDescent

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

# %%
# Two pairs of columns: body mass index and cholesterol are hardly correlated, cholesterol and LDL are.
# On each pair plain gradient descent walks from zero to the optimum, and a callback records its steps
# (scikit-learn has callbacks from version 1.9 on).
pairs = {"a bowl": ["bmi", "s1"], "a valley": ["s1", "s2"]}
models, paths, steps = {}, {}, {}
for name, columns in pairs.items():
    recorder = PathRecorder()
    model = MLELinearRegressor(solver=GradientDescent("none"), max_iter=5000)
    if hasattr(model, "set_callbacks"):
        model.set_callbacks(recorder)
    models[name], paths[name] = model.fit(X[columns], y), recorder
    steps[name] = model.n_iter_
    correlation = X[columns].corr().iloc[0, 1]
    print(f"{name}: {columns[0]} and {columns[1]}, correlation {correlation:.2f}: {model.n_iter_} steps")

# %%
# The rate (κ − 1)/(κ + 1) of the condition number κ foretells how fast the error shrinks, and so it does. Both end where
# the direct solver is at once.
for name, columns in pairs.items():
    model, direct = models[name], MLELinearRegressor().fit(X[columns], y)
    report = model.diagnose(X[columns], y).curvature()
    correlation = abs(X[columns].corr().iloc[0, 1])
    condition = (1 + correlation) / (1 - correlation)  # of two standardised columns
    rate = (condition - 1) / (condition + 1)
    print(f"{name}: condition {condition:.1f}, rate {rate:.4f} by theory, {report.observed_rate:.4f} as it was")
    assert abs(report.observed_rate - rate) < 1e-3
    np.testing.assert_allclose(model.coef_, direct.coef_, rtol=1e-6)
assert steps["a valley"] > 5 * steps["a bowl"]

# %%
# A network of two units, brought to where all its weights are zero by a strong penalty that is then taken back: the
# gradient vanishes there, and the Hessian tells that it is a saddle. The dashed contour goes through it, and a lower place
# lies on either side.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    network = MLPGradientRegressor(
        (2,), solver="lbfgs", alpha=1e5, early_stopping=False, warm_start=True, curvature="full", random_state=0
    )
    network.fit(X, y).set_params(alpha=1.0).fit(X, y)
print(f"the network: gradient {network.gradient_norm_:.1e}, {network.verdict_}")
assert network.verdict_ == "saddle point"

# %%
figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.6), layout="constrained")
for ax, (name, columns) in zip(axes, pairs.items(), strict=False):
    path = paths[name] if paths[name].paths else None
    shown = LandscapeDisplay.from_estimator(models[name], X[columns], y, directions=columns, path=path, ax=ax)
    low, high = shown.landscape.values.min(), shown.landscape.values.max()
    assert low >= shown.landscape.loss - 1e-9 * high  # nowhere is J lower than at the fit
saddle = LandscapeDisplay.from_estimator(network, X, y, ax=axes[2])
assert saddle.landscape.values.min() < 0.7 * saddle.landscape.loss
for ax, name in zip(
    axes, ("The bowl of a linear model", "The valley of like columns", "A network's saddle"), strict=True
):
    ax.title.set_text(f"{name}\n{ax.get_title()}")
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
