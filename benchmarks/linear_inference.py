"""Time of fit, coefficient table, HC3 errors and influence table, next to statsmodels in the same run.

python benchmarks/linear_inference.py [--rows 100000] [--columns 50] [--repeat 5]
"""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np
import statsmodels.api as sm
from statsmodels.stats.outliers_influence import OLSInfluence

from mle_regression import MLELinearRegressor


def ours(x, y):
    clock = Clock()
    model = MLELinearRegressor().fit(x, y)
    clock("fit")
    table = model.coefficients()
    clock("coefficient table")
    diagnosis = model.diagnose(x, y)
    rows = diagnosis.rows()
    clock("influence table")
    robust = diagnosis.coefficients(cov="HC3")
    clock("HC3")
    values = (table["std_error"], robust["std_error"], rows["leverage"], rows["cooks_distance"], rows["loo_residual"])
    return clock.times, [np.asarray(value) for value in values]


def theirs(x, y):
    """The same numbers; externally studentised residuals by the closed form, since its own fits once for each row."""
    clock = Clock()
    design = sm.add_constant(x)
    model = sm.OLS(y, design).fit()
    clock("fit")
    errors, _ = model.bse, (model.tvalues, model.pvalues, model.conf_int())
    clock("coefficient table")
    influence = OLSInfluence(model)
    leverage, cook, press = influence.hat_matrix_diag, influence.cooks_distance[0], influence.resid_press
    internal, dof = influence.resid_studentized_internal, model.df_resid
    external = internal * np.sqrt((dof - 1) / (dof - internal**2))
    _ = (model.fittedvalues, model.resid, model.resid_pearson, external, external * np.sqrt(leverage / (1 - leverage)))
    clock("influence table")
    robust = model.HC3_se
    clock("HC3")
    return clock.times, [errors, robust, leverage, cook, press]


class Clock:
    """Seconds between calls, by name."""

    def __init__(self):
        self.times = {}
        self.last = time.perf_counter()

    def __call__(self, name):
        now = time.perf_counter()
        self.times[name] = now - self.last
        self.last = now


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((options.rows, options.columns))
    y = x.sum(axis=1) + rng.standard_normal(options.rows) * (1 + np.abs(x[:, 0]))
    runs, found = {"ours": [], "statsmodels": []}, {}
    for _ in range(options.repeat):
        for name, run in (("ours", ours), ("statsmodels", theirs)):
            time.sleep(0.5)  # BLAS threads spin for a while after their last call, at the cost of whoever comes next
            times, found[name] = run(x, y)
            runs[name].append(times)
    pairs = zip(found["ours"], found["statsmodels"])
    off = max(float(np.max(np.abs(a - b) / np.abs(b).max())) for a, b in pairs)
    print(f"{platform.machine()}, n = {options.rows:,}, p = {options.columns}, medians of {options.repeat}; ms")
    print(f"largest difference between the results, relative to the largest value: {off:.1e}\n")
    print(f"{'':20s}{'ours':>10s}{'statsmodels':>14s}{'ratio':>8s}")
    total = {}
    for name in runs["ours"][0]:
        mine, peer = (float(np.median([run[name] for run in runs[who]])) for who in ("ours", "statsmodels"))
        total[name] = mine, peer
        print(f"{name:20s}{1e3 * mine:10.1f}{1e3 * peer:14.1f}{peer / mine:8.1f}")
    mine, peer = (sum(pair[k] for pair in total.values()) for k in (0, 1))
    print(f"{'all':20s}{1e3 * mine:10.1f}{1e3 * peer:14.1f}{peer / mine:8.1f}")
    print(f"\ninfluence table / fit, ours: {total['influence table'][0] / total['fit'][0]:.2f}")


if __name__ == "__main__":
    main()
