"""Time of a linear fit next to its peers, in one run.

    python benchmarks/linear_speed.py [--repeat 5] [--shapes 100x5,10000x50,…] [--memory]

Every round times every peer once, in turn, so that a machine that changes its speed changes it for all; the table shows
the median over the rounds. Peers run with their defaults; ours too, log-likelihood and condition estimate included. The
floor is ``X.T @ X`` alone. statsmodels gets the constant column beforehand. With ``--memory`` the peak memory of one fit
beyond X and y is measured, in a process of its own.
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import time

import numpy as np
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_info

from mle_regression import MLELinearRegressor

SHAPES = ((100, 5, "f8"), (10_000, 50, "f8"), (200_000, 100, "f8"), (2_000_000, 20, "f8"), (20_000, 1000, "f8"),
          (10_000_000, 5, "f8"), (200_000, 100, "f4"))  # fmt: skip
LARGE = 100_000


def data(n: int, p: int, dtype: str):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, p), dtype=dtype)
    return x, x @ np.ones(p, dtype) + rng.standard_normal(n, dtype=dtype)


def peers(x, y) -> dict:
    runs = {"X.T @ X": lambda: x.T @ x, "scikit-learn": lambda: LinearRegression().fit(x, y)}
    try:
        import statsmodels.api as sm

        with_constant = np.column_stack([np.ones(len(y), x.dtype), x])
        runs["statsmodels"] = lambda: sm.OLS(y, with_constant).fit()

        def with_numbers():
            fit = sm.OLS(y, with_constant).fit()
            return fit.llf, fit.bse, fit.condition_number

        runs["statsmodels, llf, bse, cond"] = with_numbers
    except ImportError:
        pass
    try:
        from sklearnex.linear_model import LinearRegression as Accelerated

        runs["sklearn-intelex"] = lambda: Accelerated().fit(x, y)
    except ImportError:
        pass
    runs["ours"] = lambda: MLELinearRegressor().fit(x, y)
    if x.size <= 100_000:
        runs["ours, refine=False"] = lambda: MLELinearRegressor(refine=False).fit(x, y)
    return runs


def medians(runs: dict, repeat: int, inner: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeat):
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(inner):
                run()
            times[name].append((time.perf_counter() - start) / inner)
    return {name: float(np.median(values)) for name, values in times.items()}


def peak_extra_memory(n: int, p: int) -> float:
    """Peak resident memory of a fit beyond X and y, in MiB, sampled in a process of its own (Linux)."""
    program = f"""
import os, threading, time
import numpy as np
from mle_regression import MLELinearRegressor
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
x = np.random.default_rng(0).standard_normal(({n}, {p})); y = np.random.default_rng(1).standard_normal({n})
x[:, 0] += 0.0
MLELinearRegressor(refine=False).fit(x[:20_000], y[:20_000])
before, peak, done = resident(), [0], threading.Event()
def watch():
    while not done.is_set():
        peak[0] = max(peak[0], resident())
        time.sleep(0.0005)
watcher = threading.Thread(target=watch); watcher.start()
for _ in range(3):
    MLELinearRegressor().fit(x, y)
done.set(); watcher.join()
print(peak[0] - before)
"""
    return (
        int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout) / 2**20
    )


def geometric_mean(values) -> float:
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--shapes", help="such as 100x5,200000x100f4; all seven by default")
    parser.add_argument("--memory", action="store_true", help="measure the peak memory of a fit of 2,000,000 x 20")
    options = parser.parse_args()
    if options.memory:
        print(f"peak memory beyond X and y, 2,000,000 x 20: {peak_extra_memory(2_000_000, 20):.0f} MiB")
        return
    shapes = SHAPES
    if options.shapes:
        words = [word.removesuffix("f4") for word in options.shapes.split(",")]
        kinds = ["f4" if word.endswith("f4") else "f8" for word in options.shapes.split(",")]
        shapes = tuple((*map(int, word.split("x")), kind) for word, kind in zip(words, kinds, strict=True))
    blas = ", ".join(f"{lib['internal_api']} {lib['version']} ({lib['num_threads']} threads)"
                     for lib in threadpool_info() if lib["user_api"] == "blas")  # fmt: skip
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, {blas}")
    ratios: dict[str, list[tuple[int, int, float]]] = {}
    for n, p, dtype in shapes:
        x, y = data(n, p, dtype)
        runs = peers(x, y)
        found = medians(runs, options.repeat if n * p > 10_000 else 21, 1 if n * p > 10_000 else 50)
        print(f"\n{n:,} x {p}, {np.dtype(dtype).name}")
        for name, seconds in found.items():
            print(f"  {name:28s}{1e3 * seconds:12.3f} ms{seconds / found['ours']:10.2f} x ours")
            ratios.setdefault(name, []).append((n, p, seconds / found["ours"]))
    print(
        f"\ngeometric means of time / our time ({resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB peak)"
    )
    for name, values in ratios.items():
        every = geometric_mean([ratio for *_, ratio in values])
        large = geometric_mean([ratio for n, p, ratio in values if n * p > 10 * LARGE])
        wide = geometric_mean([ratio for n, p, ratio in values if p >= 100])
        narrow = geometric_mean([ratio for n, p, ratio in values if p <= 20 and n > LARGE])
        print(f"  {name:28s} all {every:7.2f}   the large {large:7.2f}   p >= 100 {wide:7.2f}   p <= 20 {narrow:7.2f}")


if __name__ == "__main__":
    main()
