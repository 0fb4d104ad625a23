"""What second derivatives of a network cost, in gradients, and how near eigenvalues get; next to PyTorch if it is there.

python benchmarks/curvature.py
"""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np

from mle_regression.linalg.lanczos import extreme_eigenpairs
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.standard import StandardRows, Units


def pose(n, sizes, rng):
    x = rng.standard_normal((n, sizes[0]))
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * rng.standard_normal((n, 1))
    same = Units(np.zeros(sizes[0]), np.ones(sizes[0])), Units(np.zeros(1), np.ones(1))
    network = Network(sizes, find_activation("tanh"))
    return NetworkObjective(network, StandardRows(x, y, None, *same, np.dtype(float)), 1.0, network.initial(rng))


def seconds(run, repeat):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def torch_power_iteration(objective, residual, most):
    """Largest eigenvalue by power iteration on products by automatic differentiation, as PyHessian has it."""
    import torch

    layers = [torch.tensor(layer, requires_grad=True) for layer in objective.network.layers(objective.start)]
    block = objective.rows.block(slice(0, objective.n_rows))
    below, y = torch.from_numpy(block.x.copy()), torch.from_numpy(block.y.copy())
    for layer in layers[:-1]:
        below = torch.cat([torch.tanh(layer @ below), torch.ones(1, below.shape[1], dtype=torch.float64)])
    alpha = 1.0 / objective.n_rows
    loss = ((layers[-1] @ below - y) ** 2).mean() + alpha * sum((layer[:, :-1] ** 2).sum() for layer in layers)
    gradient = torch.autograd.grad(loss, layers, create_graph=True)
    vector = [torch.randn_like(layer) for layer in layers]
    products, value, off = 0, torch.tensor(0.0), torch.tensor(torch.inf)
    while products < most and off > residual * abs(value):
        products += 1
        norm = sum((part**2).sum() for part in vector).sqrt()
        vector = [part / norm for part in vector]
        image = torch.autograd.grad(gradient, layers, grad_outputs=vector, retain_graph=True)
        value = sum((a * b).sum() for a, b in zip(vector, image, strict=True))
        off = sum(((a - value * b) ** 2).sum() for a, b in zip(image, vector, strict=True)).sqrt()
        vector = image
    return float(value), float(off / abs(value)), products


def main():
    rng = np.random.default_rng(0)
    small = pose(5_000, (18, 50, 1), rng)
    theta, v = small.start, rng.standard_normal(len(small.start))
    with one_blas_thread():
        products = small.hessian_products(theta)
        gradient = seconds(lambda: small.value_and_gradient(theta), 40)
        product = seconds(lambda: products(v), 40)
        whole = seconds(lambda: small.hessian(theta), 5)
    print(
        f"n = 5,000, P = {len(theta):,}: gradient {1e3 * gradient:.2f} ms, a Hessian-vector product {product / gradient:.2f}"
    )
    print(f"    and the whole Hessian {whole / gradient:.0f} times that")

    large = pose(10_000, (30, 90, 80, 1), rng)
    theta = large.start
    with one_blas_thread():
        start = time.perf_counter()
        found = extreme_eigenpairs(large.hessian_products(theta), len(theta), 5, 5, rng, 1e-6)
        took = time.perf_counter() - start
    products = large.hessian_products(theta)
    images = np.column_stack([products(u) for u in found.vectors.T])
    residual = np.linalg.norm(images - found.vectors * found.values, axis=0)
    print(
        f"n = 10,000, P = {len(theta):,}: 5 smallest and 5 largest eigenvalues in {took:.1f} s, {found.n_products} products,"
    )
    print(f"    residuals at most {residual.max() / found.largest:.1e} of the largest eigenvalue")
    if find_spec("torch"):
        with one_blas_thread():
            start = time.perf_counter()
            one = extreme_eigenpairs(large.hessian_products(theta), len(theta), 0, 1, rng, 1e-6)
            mine = time.perf_counter() - start
        start = time.perf_counter()
        value, off, products = torch_power_iteration(large, 1e-6, 300)
        theirs = time.perf_counter() - start
        print(
            f"the largest alone: {one.values[-1]:.8g} in {mine:.1f} s, {one.n_products} products; PyTorch, power iteration:"
        )
        print(
            f"    {value:.8g} with a residual of {off:.1e} in {theirs:.1f} s, {products} products; ratio {theirs / mine:.1f}"
        )


if __name__ == "__main__":
    main()
