"""One Adam pass of a network next to scikit-learn's MLPRegressor and PyTorch (if it is installed), ratios in one run.

    python benchmarks/network.py [--passes 10] [--repeat 3]

All do the same work: one architecture, tanh, one batch size, float64. The time of a pass is the slope between a short and a
long fit.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from importlib.util import find_spec

import numpy as np
from sklearn.neural_network import MLPRegressor

from mle_regression import MLPGradientRegressor

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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    peers = {"scikit-learn": theirs} | ({"PyTorch": torch_run} if find_spec("torch") else {})
    print(f"{'n, d, hidden, batch':36s}{'ours':>10s}" + "".join(f"{name:>16s}{'ratio':>8s}" for name in peers))
    rng = np.random.default_rng(0)
    for n, d, hidden, size in SHAPES:
        x = rng.standard_normal((n, d))
        y = np.sin(x[:, 0]) + x[:, 1] + 0.1 * rng.standard_normal(n)
        mine = of_a_pass(ours(x, y, hidden, size), options.passes, options.repeat)
        line = f"{f'{n}, {d}, {hidden}, {size}':36s}{1e3 * mine:7.2f} ms"
        for peer in peers.values():
            other = of_a_pass(peer(x, y, hidden, size), options.passes, options.repeat)
            line += f"{1e3 * other:13.2f} ms{other / mine:8.2f}"
        print(line)


if __name__ == "__main__":
    main()
