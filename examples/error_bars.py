"""Intervals of a network that widen between and beyond the data; the penalty is chosen by the evidence.

python examples/error_bars.py
"""

import numpy as np

from mle_regression import MLPGradientRegressor


def main():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-4, -1, 60), rng.uniform(1, 4, 60)])
    y = np.sin(1.5 * x) + 0.1 * rng.standard_normal(x.size)
    net = MLPGradientRegressor((12,), alpha="evidence", n_init=3, max_iter=2000, random_state=0).fit(x[:, None], y)
    print(f"penalties {net.alpha_}")
    n_parameters = sum(weights.size + weights.shape[1] for weights in net.coefs_)
    print(f"{net.effective_parameters_:.1f} of {n_parameters} parameters are determined by the data;", end=" ")
    print(f"noise {net.noise_variance_**0.5:.3f} (true 0.1)\n")
    grid = np.linspace(-6, 6, 25)
    mean, std = net.predict(grid[:, None], return_std=True)
    lower, upper = net.predict_interval(grid[:, None], 0.9)
    print(f"{'x':>6s}{'mean':>9s}{'std':>8s}   90 % interval")
    for at, center, spread, low, high in zip(grid, mean, std, lower, upper, strict=True):
        line = [" "] * 61
        for value in np.linspace(low, high, 61):
            if abs(value) <= 3:
                line[round(30 + 10 * value)] = "-"
        if abs(center) <= 3:
            line[round(30 + 10 * center)] = "*"
        data = "data" if np.abs(x - at).min() < 0.25 else ""
        print(f"{at:6.1f}{center:9.3f}{spread:8.3f}   {''.join(line)} {data}")


if __name__ == "__main__":
    main()
