"""What a step of a network's solver costs beside the matrix products that it cannot do without; all in one process, in turn.

    python benchmarks/steps.py [adam lm] [--seconds 10] [--threads N] [--cpu] [--busy 1]

adam: one pass over the rows, the shapes of `network.py`, beside its products alone (each layer's forward, and two backward
but for the inputs' own), their rows over as many threads as BLAS has, or BLAS's own threads where these are faster; and
beside scikit-learn's pass (float64), and PyTorch's where it is installed (float32).
lm: one step beside the product JᵀJ, or JJᵀ where residuals are fewer than parameters, and a Cholesky factor of that.

Times are the least of all rounds. --cpu counts the processor's time, for one thread on a machine that is not idle. --busy
lets other processes keep a core busy, for which two threads of BLAS wait, and ours do not. OPENBLAS_NUM_THREADS, or
--threads, says how many cores there are. The BLAS kernel is printed, as an old one (OPENBLAS_CORETYPE) slows our products
and scikit-learn's, and not PyTorch's.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec

import numpy as np
from network import SHAPES, geometric_mean
from scipy.linalg import cho_factor
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_info, threadpool_limits

from mle_regression import MLPGradientRegressor
from mle_regression.linalg.threads import blas_threads, one_blas_thread
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.solvers import LevenbergMarquardt
from mle_regression.solvers.path import Control

ACTIVATIONS = ("tanh", "relu")
# Rows, inputs and hidden units of the steps of lm: more residuals than parameters, and fewer.
STEPS = [
    (1_000, 13, (50,)),
    (1_000, 8, (25, 20)),
    (1_000, 50, (30,)),
    (300, 13, (50,)),
    (5_000, 8, (20,)),
]


class Run:
    """What is timed: ``task(count)`` does so many units of work, after what ``task(0)`` does."""

    def __init__(self, task, count, ready=nullcontext):
        self.task, self.count, self.ready = task, count, ready
        self.times = {0: [], count: []}

    def __call__(self, clock):
        for count, times in self.times.items():
            with self.ready():
                start = clock()
                self.task(count)
                times.append(clock() - start)

    @property
    def least(self):
        """Seconds of one unit: the least time of so many, less the least of none."""
        none, some = (min(times) for times in self.times.values())
        return (some - none) / self.count


def rounds(runs, options):
    """Return the least time of each run, all of them in turn for some seconds, three times at least."""
    start, done = time.perf_counter(), 0
    while done < 3 or time.perf_counter() - start < options.seconds:
        for run in runs.values():
            run(options.clock)
        done += 1
    return {name: run.least for name, run in runs.items()}


def ours(x, y, hidden, activation, size, dtype):
    def fit(passes):
        MLPGradientRegressor(
            hidden,
            activation=activation,
            solver="adam",
            learning_rate=1e-3,
            batch_size=size,
            max_iter=1 + passes,
            tol=0.0,
            n_iter_no_change=10**6,
            early_stopping=False,
            dtype=dtype,
            random_state=0,
        ).fit(x, y)

    return fit


def theirs(x, y, hidden, activation, size):
    def fit(passes):
        MLPRegressor(
            hidden_layer_sizes=hidden,
            activation=activation,
            batch_size=size,
            max_iter=1 + passes,
            tol=0.0,
            n_iter_no_change=10**6,
            random_state=0,
        ).fit(x, y)

    return fit


def torchs(x, y, hidden, activation, size):
    import torch

    torch.set_num_threads(blas_threads())
    data, target = torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.float32))[:, None]
    unit = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[activation]

    def fit(passes):
        layers = []
        for below, above in itertools.pairwise([x.shape[1], *hidden, 1]):
            layers += [torch.nn.Linear(below, above), unit()]
        net = torch.nn.Sequential(*layers[:-1])
        adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        for _ in range(1 + passes):
            for batch in torch.randperm(len(data)).split(size):
                adam.zero_grad()
                torch.nn.functional.mse_loss(net(data[batch]), target[batch]).backward()
                adam.step()

    return fit


def products(n, d, hidden, size, dtype, threads, blas):
    """Return the products of passes, the rows of each batch over ``threads``, each with ``blas`` of BLAS."""
    sizes, rng, rows = [d, *hidden, 1], np.random.default_rng(0), min(size, n) // threads

    def drawn(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def layer(index, below, above):
        of_a = np.empty((below, rows), dtype) if index else None
        return drawn(above, below + 1), drawn(below + 1, rows), drawn(above, rows), of_a

    parts = [[layer(k, *pair) for k, pair in enumerate(itertools.pairwise(sizes))] for _ in range(threads)]
    into = [[(np.empty_like(w), np.empty_like(of_z)) for w, _, of_z, _ in part] for part in parts]

    def of_part(part, into, passes):
        for _ in range(passes * -(-n // size)):
            for (w, a, of_z, of_a), (gradient, z) in zip(part, into, strict=True):
                np.matmul(w, a, out=z)
                np.matmul(of_z, a.T, out=gradient)
                if of_a is not None:
                    np.matmul(w[:, :-1].T, of_z, out=of_a)

    def task(passes):
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(of_part, parts, into, [passes] * threads))

    return Run(task, _passes(n, d, hidden), partial(threadpool_limits, blas, "blas"))


def _passes(n, d, hidden):
    """Return how many passes are timed: enough to take some 50 ms."""
    parameters = sum((below + 1) * above for below, above in itertools.pairwise([d, *hidden, 1]))
    return min(200, max(2, int(2e8 / (n * parameters))))


def adam(options):
    torch, threads = bool(find_spec("torch")), blas_threads()
    names = [
        f"{'products':>10s}{'ratio':>7s}",
        *[f"{'scikit-learn':>14s}{'ratio':>7s}"],
        *([f"{'PyTorch':>10s}{'ratio':>7s}"] if torch else []),
    ]
    print(f"{'n, d, hidden, batch':34s}{'':6s}{'dtype':9s}{'ours, ms':>9s}" + "".join(names))
    ratios = {"products": [], "scikit-learn": [], "PyTorch": []}
    rng = np.random.default_rng(0)
    for (n, d, hidden, size), activation, dtype in itertools.product(SHAPES, ACTIVATIONS, ("float64", "float32")):
        if options.only and options.only not in f"{n} {d} {hidden} {activation} {dtype}":
            continue
        x = rng.standard_normal((n, d))
        y = np.sin(x[:, 0]) + x[:, 1] + 0.1 * rng.standard_normal(n)
        passes = _passes(n, d, hidden)
        runs = {"ours": Run(ours(x, y, hidden, activation, size, dtype), passes)}
        runs["own threads"] = products(n, d, hidden, size, dtype, threads, 1)
        if threads > 1:
            runs["BLAS threads"] = products(n, d, hidden, size, dtype, 1, threads)
        if dtype == "float64":
            runs["scikit-learn"] = Run(theirs(x, y, hidden, activation, size), passes)
        elif torch:
            runs["PyTorch"] = Run(torchs(x, y, hidden, activation, size), passes)
        found = rounds(runs, options)
        mine = found["ours"]
        least = min(found["own threads"], found.get("BLAS threads", np.inf))
        line = f"{f'{n}, {d}, {hidden}, {size}':34s}{activation:6s}{dtype:9s}"
        line += f"{1e3 * mine:9.2f}{1e3 * least:10.2f}{mine / least:7.2f}"
        for name in ("scikit-learn", "PyTorch"):
            if name in found:
                ratios[name].append(found[name] / mine)
                width = 14 if name == "scikit-learn" else 10
                line += f"{1e3 * found[name]:{width}.2f}{found[name] / mine:7.2f}"
            elif name == "scikit-learn":
                line += " " * 21
        print(line, flush=True)
    print(
        "geometric means: " + ", ".join(f"{name} {geometric_mean(each):.2f}" for name, each in ratios.items() if each)
    )


def posed(n, d, hidden):
    """Return an objective of n rows and d inputs, at a random start."""
    rng, network = np.random.default_rng(0), Network((d, *hidden, 1), find_activation("tanh"))
    x = rng.standard_normal((n, d))
    y = np.sin(2 * x[:, :1]) * x[:, 1:2] + 0.3 * rng.standard_normal((n, 1))
    units = Units(np.zeros(d), np.ones(d)), Units(np.zeros(1), np.ones(1))
    return NetworkObjective(network, StandardRows(as_rows(x, y), *units, np.dtype(float)), 1.0, network.initial(rng))


def step_of_lm(objective, region):
    """Return steps of lm from where the objective begins."""
    solver = LevenbergMarquardt(second_order=False, region=region)

    def task(steps):
        solver.minimise(objective, Control("auto", None, steps, 0.0, np.random.default_rng(0)))

    return Run(task, 10, one_blas_thread)


def of_matrices(k, inner, threads):
    """Return products of a matrix (inner, k) with itself, and Cholesky factors of these."""
    matrix = np.random.default_rng(0).standard_normal((inner, k))

    def task(count):
        for _ in range(count):
            product = matrix.T @ matrix
            product[np.diag_indices(k)] += 1.0
            cho_factor(product, lower=True, overwrite_a=True, check_finite=False)

    return Run(task, 3, partial(threadpool_limits, threads, "blas"))


def lm(options):
    threads = blas_threads()
    heads = (
        ("parameters", 11),
        ("product + factor, ms", 22),
        ("step, ms", 10),
        ("ratio", 7),
        ("by damping", 12),
        ("ratio", 7),
    )
    print(f"{'n, d, hidden':24s}" + "".join(f"{name:>{width}s}" for name, width in heads))
    for n, d, hidden in STEPS:
        objective = posed(n, d, hidden)
        size = objective.network.n_parameters
        runs = {
            "one": of_matrices(min(n, size), max(n, size), 1),
            "all": of_matrices(min(n, size), max(n, size), threads),
        }
        runs |= {region: step_of_lm(objective, region) for region in ("radius", "damping")}
        found = rounds(runs, options)
        least = min(found["one"], found["all"])
        line = f"{f'{n}, {d}, {hidden}':24s}{size:11,d}{1e3 * least:22.2f}"
        print(
            line
            + "".join(f"{1e3 * found[r]:{w}.2f}{found[r] / least:7.2f}" for r, w in (("radius", 10), ("damping", 12))),
            flush=True,
        )


@contextmanager
def busy(count):
    """Let so many other processes keep a core busy each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


TABLES = {"adam": adam, "lm": lm}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="table", help=", ".join(TABLES))
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row of a table")
    parser.add_argument("--threads", type=int, help="of BLAS")
    parser.add_argument("--busy", type=int, default=0, help="how many other processes keep a core busy")
    parser.add_argument("--only", default="", help="rows of adam's table that hold this text")
    parser.add_argument(
        "--cpu", action="store_true", help="count the processor's time: for one thread on a busy machine"
    )
    options = parser.parse_args()
    options.clock = time.process_time if options.cpu else time.perf_counter
    unknown = set(options.tables) - set(TABLES)
    if unknown:
        parser.error(f"unknown table {', '.join(unknown)}; there are: {', '.join(TABLES)}")
    warnings.simplefilter("ignore")
    with busy(options.busy), threadpool_limits(options.threads, "blas"):
        kernels = {
            (i["internal_api"], i.get("architecture"), i["num_threads"])
            for i in threadpool_info()
            if i["user_api"] == "blas"
        }
        print("BLAS: " + ", ".join(f"{api} {kernel}, {count} threads" for api, kernel, count in sorted(kernels)))
        for name in options.tables or TABLES:
            print(f"-- {name}")
            TABLES[name](options)
            print()


if __name__ == "__main__":
    main()
