"""Networks next to scikit-learn's MLPRegressor and, where it is installed, PyTorch; ratios in one run.

    python benchmarks/network.py [pass reach converge held-out memory] [--data DIR] [--splits 5] [--seeds 10]

pass: one Adam pass. All do the same work: one architecture, tanh, one batch size, float64. The time of a pass is the slope
between a short and a long fit.
reach: seconds to the training loss, penalty included, that scikit-learn's better solver, adam or lbfgs, has after 2,000
iterations. One architecture, 100 hidden units; everything else as each library has it by default.
converge: lm from the same starts as scikit-learn's lbfgs, without penalty, 5,000 rows and 201 parameters.
held-out: defaults on raw columns in random 90/10 splits; MLPRegressor with X and y scaled, and the noise of its training
rows.
memory: peak of what a fit allocates beyond X and y.
reach and held-out take diabetes, which ships with scikit-learn, and the CSV files in DIR that `real.py` knows.
"""

from __future__ import annotations

import argparse
import itertools
import time
import tracemalloc
import warnings
from importlib.util import find_spec

import numpy as np
from real import sets
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mle_regression import MLPGradientRegressor
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.solvers import LevenbergMarquardt
from mle_regression.solvers.path import Control

SHAPES = [(20_000, 10, (100,), 200), (20_000, 50, (256, 256), 256), (5_000, 8, (20,), 5_000), (1_000, 13, (50,), 32)]


def of_a_pass(run, passes, repeat):
    """Median seconds of one pass, what it costs to begin and end left out."""
    found = []
    for _ in range(repeat):
        times = []
        for count in (1, 1 + passes):
            start = time.perf_counter()
            run(count)
            times.append(time.perf_counter() - start)
        found.append((times[1] - times[0]) / passes)
    return float(np.median(found))


def ours(x, y, hidden, size):
    def run(passes):
        MLPGradientRegressor(
            hidden,
            solver="adam",
            learning_rate=1e-3,
            batch_size=size,
            max_iter=passes,
            tol=0.0,
            n_iter_no_change=10**6,
            early_stopping=False,
            random_state=0,
        ).fit(x, y)

    return run


def theirs(x, y, hidden, size):
    def run(passes):
        MLPRegressor(
            hidden_layer_sizes=hidden,
            activation="tanh",
            batch_size=size,
            max_iter=passes,
            tol=0.0,
            n_iter_no_change=10**6,
            random_state=0,
        ).fit(x, y)

    return run


def torch_run(x, y, hidden, size):
    import torch

    data, target = torch.from_numpy(x), torch.from_numpy(y)[:, None]

    def run(passes):
        sizes = [x.shape[1], *hidden, 1]
        layers = []
        for below, above in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(below, above, dtype=torch.float64), torch.nn.Tanh()]
        net = torch.nn.Sequential(*layers[:-1])
        adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        for _ in range(passes):
            order = torch.randperm(len(data))
            for batch in order.split(size):
                adam.zero_grad()
                torch.nn.functional.mse_loss(net(data[batch]), target[batch]).backward()
                adam.step()

    return run


def passes(options):
    peers = {"scikit-learn": theirs} | ({"PyTorch": torch_run} if find_spec("torch") else {})
    print(f"{'n, d, hidden, batch':36s}{'ours':>10s}" + "".join(f"{name:>16s}{'ratio':>8s}" for name in peers))
    rng, ratios = np.random.default_rng(0), {name: [] for name in peers}
    for n, d, hidden, size in SHAPES:
        x = rng.standard_normal((n, d))
        y = np.sin(x[:, 0]) + x[:, 1] + 0.1 * rng.standard_normal(n)
        mine = of_a_pass(ours(x, y, hidden, size), options.passes, options.repeat)
        line = f"{f'{n}, {d}, {hidden}, {size}':36s}{1e3 * mine:7.2f} ms"
        for name, peer in peers.items():
            other = of_a_pass(peer(x, y, hidden, size), options.passes, options.repeat)
            ratios[name].append(other / mine)
            line += f"{1e3 * other:13.2f} ms{other / mine:8.2f}"
        print(line, flush=True)
    print("geometric mean: " + ", ".join(f"{name} {geometric_mean(each):.2f}" for name, each in ratios.items()))


def reach(options):
    columns = "".join(f"{name:>{width}s}" for name, width in (("scikit-learn", 14), ("loss", 10), ("seconds", 9)))
    print(f"{'':20s}{columns}{'ours':>9s}{'loss there':>12s}{'seconds':>9s}{'ratio':>8s}")
    ratios = []
    for name, x, y in sets(options.data):
        z, t = StandardScaler().fit_transform(x), (y - y.mean()) / y.std()
        runs = []
        for solver in ("adam", "lbfgs"):
            start = time.perf_counter()
            net = MLPRegressor(solver=solver, max_iter=2000, max_fun=10**6, random_state=0).fit(z, t)
            took = time.perf_counter() - start
            penalty = net.alpha * sum(float((layer**2).sum()) for layer in net.coefs_) / len(t)
            runs.append((float(np.mean((net.predict(z) - t) ** 2)) + penalty, took, solver))
        loss, took, solver = min(runs)
        mine = MLPGradientRegressor((100,), alpha=1e-4, early_stopping=False, random_state=0)
        whole = seconds_of(mine, x, y)
        there = next((k for k, value in enumerate(mine.loss_curve_) if value <= loss), None)
        line = f"{name:20s}{solver:>14s}{loss:10.5f}{took:9.2f}{mine.solver_.split()[0]:>9s}"
        if there is None:
            print(f"{line}{mine.loss_:12.5f}{whole:9.2f}   not reached", flush=True)
            continue
        # Later iterations may cost more. adam's steps depend on how many there will be: all of them, then, or a share.
        seconds = whole * there / mine.n_iter_
        if not mine.solver_.startswith("adam"):
            seconds = seconds_of(mine.set_params(max_iter=max(1, there)), x, y)
        ratios.append(took / seconds)
        print(f"{line}{mine.loss_curve_[-1]:12.5f}{seconds:9.2f}{ratios[-1]:8.2f}", flush=True)
    print(f"geometric mean of the ratios: {geometric_mean(ratios):.2f}")


def seconds_of(net, x, y):
    start = time.perf_counter()
    net.fit(x, y)
    return time.perf_counter() - start


def converge(options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5_000, 8))
    y = np.sin(2 * x[:, 0]) * x[:, 1] + np.tanh(x[:, 2] + x[:, 3] ** 2) + 0.3 * rng.standard_normal(5_000)
    y = (y - y.mean()) / y.std()
    network = Network((8, 20, 1), find_activation("tanh"))
    units = Units(np.zeros(8), np.ones(8)), Units(np.zeros(1), np.ones(1))
    rows = StandardRows(as_rows(x, y[:, None]), *units, np.dtype(float))
    print(f"{'seed':>4s}{'lm':>10s}{'gradient':>11s}{'steps':>7s}{'s':>6s}{'lbfgs (scikit-learn)':>22s}{'s':>6s}")
    losses = []
    for seed in range(options.seeds):
        start = network.initial(np.random.default_rng(seed))
        objective = NetworkObjective(network, rows, 0.0, start)
        begun = time.perf_counter()
        with threadpool_limits(1, "blas"):
            path = LevenbergMarquardt().minimise(objective, Control("auto", None, 2000, 1e-8, np.random.default_rng(0)))
        took = time.perf_counter() - begun
        relative = path.gradient_norms[-1] / path.gradient_norms[0]
        line, found = f"{seed:4d}{path.losses[-1]:10.6f}{relative:11.1e}{path.n_iter:7d}{took:6.1f}", [path.losses[-1]]
        peer = MLPRegressor(
            hidden_layer_sizes=(20,),
            activation="tanh",
            solver="lbfgs",
            alpha=0.0,
            tol=0.0,
            max_iter=1,
            max_fun=10**6,
            warm_start=True,
        ).fit(x, y)
        layers = network.layers(start)
        peer.coefs_ = [layer[:, :-1].T.copy() for layer in layers]
        peer.intercepts_ = [layer[:, -1].copy() for layer in layers]
        begun = time.perf_counter()
        peer.set_params(max_iter=2000).fit(x, y)
        took = time.perf_counter() - begun
        found.append(float(np.mean((peer.predict(x) - y) ** 2)))
        losses.append(found)
        print(f"{line}{found[-1]:22.6f}{took:6.1f}", flush=True)
    print("median losses: " + ", ".join(f"{value:.6f}" for value in np.median(losses, axis=0)))


def held_out(options):
    print(f"{'':20s}{'':14s}{'RMSE/sd':>10s}{'log-lik.':>10s}{'seconds':>10s}")
    for name, x, y in sets(options.data):
        for label in ("ours", "scikit-learn"):
            found = []
            for seed in range(options.splits):
                a, b, c, d = train_test_split(x, y, test_size=0.1, random_state=seed)
                start = time.perf_counter()
                if label == "ours":
                    net = MLPGradientRegressor(random_state=seed).fit(a, c)
                    variance = net.noise_variance_
                else:
                    pipe = make_pipeline(StandardScaler(), MLPRegressor(random_state=seed))
                    net = TransformedTargetRegressor(pipe, transformer=StandardScaler()).fit(a, c)
                    variance = np.mean((net.predict(a) - c) ** 2)
                took = time.perf_counter() - start
                square = np.mean((net.predict(b) - d) ** 2)
                likelihood = -0.5 * (np.log(2 * np.pi * variance) + square / variance)
                found.append((np.sqrt(square) / y.std(), likelihood, took))
            print(f"{name:20s}{label:14s}" + "".join(f"{value:10.4f}" for value in np.mean(found, axis=0)), flush=True)


def memory(options):
    print(f"{'':10s}{'rows':>10s}{'parameters':>12s}{'X, MB':>8s}{'fit, MB':>9s}")
    rng = np.random.default_rng(0)
    for solver, sizes in (
        ("adam", (20_000, 200_000, 1_000_000)),
        ("lbfgs", (20_000, 200_000)),
        ("lm", (20_000, 200_000)),
    ):
        for n in sizes:
            x = rng.standard_normal((n, 20))
            net = MLPGradientRegressor((20,), solver=solver, max_iter=2, early_stopping=False, random_state=0)
            y = x[:, 0] + 0.1 * rng.standard_normal(n)
            tracemalloc.start()
            net.fit(x, y)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            print(f"{solver:10s}{n:10,d}{len(net._fit.theta):12,d}{x.nbytes / 1e6:8.0f}{peak / 1e6:9.1f}", flush=True)


def geometric_mean(ratios):
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else float("nan")


TABLES = {"pass": passes, "reach": reach, "converge": converge, "held-out": held_out, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="table", help=", ".join(TABLES))
    parser.add_argument("--data")
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    unknown = set(options.tables) - set(TABLES)
    if unknown:
        parser.error(f"unknown table {', '.join(unknown)}; there are: {', '.join(TABLES)}")
    warnings.simplefilter("ignore")
    for name in options.tables or ["pass"]:
        print(f"-- {name}")
        TABLES[name](options)
        print()


if __name__ == "__main__":
    main()
