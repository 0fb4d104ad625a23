"""
Error bars that widen
=====================

A network that has seen no rows between two clouds of them can say little there. Its Laplace approximation knows: the
interval of the mean widens in the gap and beyond the ends, where the penalty, chosen by the evidence, is all it has to go
by; that of observations covers new rows as often as it says.

    python examples/plot_error_bars_that_widen.py [picture.png]
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

from mle_regression import MLPGradientRegressor
from mle_regression.displays import PredictionBandDisplay

# %%
# A wave with noise of 0.15, seen from −4 to −1 and from 1 to 4.
rng = np.random.default_rng(0)


def wave(x):
    return np.sin(1.5 * x)


x = np.concatenate([rng.uniform(-4, -1, 60), rng.uniform(1, 4, 60)])
y = wave(x) + 0.15 * rng.standard_normal(x.size)
network = MLPGradientRegressor((8,), alpha="evidence", random_state=0).fit(x[:, None], y)
n_parameters = sum(weights.size + weights.shape[1] for weights in network.coefs_)
sigma = network.noise_variance_**0.5
print(f"{network.effective_parameters_:.1f} of {n_parameters} parameters are determined; noise {sigma:.3f}")
assert abs(sigma - 0.15) < 0.03

# %%
# How sure is the mean? In the gap and beyond, several times less than among the rows.
places = {
    "among the rows": np.r_[-3.0:-1.5:30j, 1.5:3.0:30j],
    "in the gap": np.r_[-0.4:0.4:20j],
    "beyond": np.r_[5.0:6.0:20j],
}
width = {}
for name, at in places.items():
    lower, upper = network.predict_interval(at[:, None], 0.95, kind="mean")
    width[name] = float(np.median(upper - lower))
    print(f"{name:15s} interval of the mean {width[name]:.2f} wide")
assert width["in the gap"] > 2 * width["among the rows"]
assert width["beyond"] > 4 * width["among the rows"]

# %%
# Of new rows among those that were seen the interval of observations covers 95 %, and in the gap the truth lies within that
# of the mean.
new = np.concatenate([rng.uniform(-4, -1, 1000), rng.uniform(1, 4, 1000)])
observed = wave(new) + 0.15 * rng.standard_normal(new.size)
lower, upper = network.predict_interval(new[:, None], 0.95)
coverage = np.mean((lower <= observed) & (observed <= upper))
print(f"{coverage:.1%} of 2,000 new rows lie within the interval of 95 %")
assert abs(coverage - 0.95) < 0.03
gap = places["in the gap"]
lower, upper = network.predict_interval(gap[:, None], 0.95, kind="mean")
assert np.mean((lower <= wave(gap)) & (wave(gap) <= upper)) > 0.9

# %%
grid = np.linspace(-6, 6, 200)
figure, ax = plt.subplots(figsize=(9, 5), layout="constrained")
PredictionBandDisplay(
    grid=grid,
    mean=network.predict(grid[:, None]),
    mean_interval=network.predict_interval(grid[:, None], 0.95, kind="mean"),
    observation_interval=network.predict_interval(grid[:, None], 0.95),
    x=x,
    y=y,
).plot(ax)
ax.plot(grid, wave(grid), color="0.4", linestyle="--", linewidth=1, label="truth")
ax.set_ylim(-4, 4)
if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=100)
plt.show()
