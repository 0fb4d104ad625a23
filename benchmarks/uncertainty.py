"""Do a network's intervals cover what they say, and how likely are rows that it has not seen?

    python benchmarks/uncertainty.py [--repeat 200] [--splits 20] [--rows 1000]

Coverage: data from a known network, new data each time. Held out: diabetes, which ships with scikit-learn, and with --data
DIR random rows of the CSV files there, in random 90/10 splits; next to MLPRegressor with X and y scaled and the noise of its
training rows.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from real import sets
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLPGradientRegressor


def coverage(repeat):
    """Share of new observations, and of true means, inside of 90 % intervals."""
    truth = np.random.default_rng(0)
    first, last = 1.5 * truth.standard_normal((3, 3)), truth.standard_normal(3)
    found = []
    for seed in range(repeat):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((400, 3))
        mean = np.tanh(x @ first) @ last
        y = mean + 0.3 * rng.standard_normal(400)
        net = MLPGradientRegressor((5,), alpha="evidence", random_state=seed, max_iter=1000).fit(x[:200], y[:200])
        try:
            inside = []
            for kind, value in (("observation", y[200:]), ("mean", mean[200:])):
                lower, upper = net.predict_interval(x[200:], 0.9, kind=kind)
                inside.append(np.mean((lower <= value) & (value <= upper)))
        except ValueError:  # not at an optimum: no interval is given
            continue
        found.append(inside)
    return np.mean(found, axis=0), len(found)


def peer(seed):
    net = MLPRegressor(hidden_layer_sizes=(50,), max_iter=1000, random_state=seed)
    return TransformedTargetRegressor(make_pipeline(StandardScaler(), net), transformer=StandardScaler())


def held_out(model, parts):
    """RMSE and mean negative log density of rows not seen, and seconds of the fit."""
    x, new_x, y, new_y = parts
    start = time.perf_counter()
    model.fit(x, y)
    took = time.perf_counter() - start
    mean = model.predict(new_x)
    if hasattr(model, "log_predictive_density"):
        try:
            density = model.log_predictive_density(new_x, new_y, pointwise=True)
        except ValueError:
            density = model.log_likelihood(new_x, new_y, pointwise=True)
    else:
        variance = np.mean((model.predict(x) - y) ** 2)
        density = -0.5 * (np.log(2 * np.pi * variance) + (new_y - mean) ** 2 / variance)
    return np.sqrt(np.mean((mean - new_y) ** 2)), -density.mean(), took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=200)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--data")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.repeat:
        (observation, mean), count = coverage(options.repeat)
        print(f"90 % intervals cover {observation:.1%} of new observations and {mean:.1%} of means ({count} fits)\n")
    models = {
        "evidence": lambda seed: MLPGradientRegressor((50,), alpha="evidence", random_state=seed),
        "alpha=1e-4": lambda seed: MLPGradientRegressor((50,), alpha=1e-4, random_state=seed),
        "MLPRegressor": peer,
    }
    print(f"{'':20s}{'':14s}{'RMSE/sd':>10s}{'NLL':>10s}{'seconds':>10s}")
    for name, x, y in sets(options.data, options.rows):
        for label, make in models.items():
            found = [
                held_out(make(seed), train_test_split(x, y, test_size=0.1, random_state=seed))
                for seed in range(options.splits)
            ]
            error, density, took = np.mean(found, axis=0)
            print(f"{name:20s}{label:14s}{error / y.std():10.4f}{density:10.4f}{took:10.2f}", flush=True)


if __name__ == "__main__":
    main()
