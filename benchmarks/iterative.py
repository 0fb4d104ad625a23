"""Iterative and incremental fitting next to their peers, ratios in one run.

    python benchmarks/iterative.py [--scale 1.0] [--repeat 3]

gd to 1e-8 of the direct solution against solver="normal"; one pass of sgd against scikit-learn's SGDRegressor; partial_fit in
1,000 batches against one fit.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings

import numpy as np
from sklearn.linear_model import SGDRegressor

from mle_regression import MLELinearRegressor
from mle_regression.solvers.stochastic import StochasticGradient


def timed(function, repeat):
    """Median seconds, and the last result."""
    seconds = []
    for _ in range(repeat):
        time.sleep(0.3)  # BLAS threads spin for a while after their last call, at the cost of whoever comes next
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), result


def show(name, ours, theirs, note):
    print(f"{name:46s}{1e3 * ours:10.1f} ms{1e3 * theirs:10.1f} ms{ours / theirs:8.2f}   {note}")


def descent(n, p, repeat):
    rng = np.random.default_rng(0)
    mix = np.linalg.qr(rng.standard_normal((p, p)))[0]
    x = rng.standard_normal((n, p)) @ (mix * np.logspace(0, -2, p)) @ mix.T
    y = x @ rng.standard_normal(p) + 0.1 * rng.standard_normal(n)
    direct_time, direct = timed(lambda: MLELinearRegressor(solver="normal").fit(x, y), repeat)
    gd_time, gd = timed(lambda: MLELinearRegressor(solver="gd", max_iter=10_000).fit(x, y), repeat)
    spread = x.std(axis=0)
    off = np.linalg.norm((gd.coef_ - direct.coef_) * spread) / np.linalg.norm(direct.coef_ * spread)
    show(f"gd / normal, {n:,} x {p}", gd_time, direct_time, f"{gd.n_iter_} iterations, off by {off:.1e}")


def stochastic(n, p, repeat):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, p))
    y = x @ rng.standard_normal(p) + rng.standard_normal(n)

    def ours():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return MLELinearRegressor(solver=StochasticGradient(), max_iter=1, random_state=0).fit(x, y)

    def theirs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SGDRegressor(max_iter=1, tol=None, alpha=0.0, random_state=0).fit(x, y)

    our_time, mine = timed(ours, repeat)
    their_time, peer = timed(theirs, repeat)
    losses = [float(np.mean((y - model.predict(x)) ** 2)) for model in (mine, peer)]
    show(
        f"sgd / SGDRegressor, one pass, {n:,} x {p}", our_time, their_time, f"loss {losses[0]:.6f} and {losses[1]:.6f}"
    )


def batches(n, p, count, repeat):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((n, p))
    y = x.sum(axis=1) + rng.standard_normal(n)
    slices = [slice(n * k // count, n * (k + 1) // count) for k in range(count)]

    def parts():
        model = MLELinearRegressor()
        for part in slices:
            model.partial_fit(x[part], y[part])
        return model, model.coef_

    fit_time, whole = timed(lambda: MLELinearRegressor().fit(x, y), repeat)
    part_time, (_, coef) = timed(parts, repeat)
    off = np.abs(coef / whole.coef_ - 1).max()
    show(f"partial_fit in {count:,} batches / fit, {n:,} x {p}", part_time, fit_time, f"off by {off:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print(f"{platform.machine()}, medians of {options.repeat}")
    print(f"{'':46s}{'ours':>10s}   {'peer':>10s}   {'ratio':>8s}")
    descent(int(1e6 * options.scale), 50, options.repeat)
    stochastic(int(1e6 * options.scale), 50, options.repeat)
    batches(int(1e7 * options.scale), 20, 1000, options.repeat)


if __name__ == "__main__":
    main()
