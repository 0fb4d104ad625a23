"""Designs that are hard on least squares, each (X, with an intercept or not)."""

import numpy as np


def conditioned(n, p, kappa, seed=0):
    """Columns with singular values from 1 to 1/kappa."""
    rng = np.random.default_rng(seed)
    left, right = np.linalg.qr(rng.standard_normal((n, p)))[0], np.linalg.qr(rng.standard_normal((p, p)))[0]
    return left * np.logspace(0, -np.log10(kappa), p) @ right.T


def lauchli(mu, p=4):
    """Läuchli (1961): a Gram matrix that rounds to singular once mu² is below eps."""
    return np.vstack([np.ones((1, p)), mu * np.eye(p), np.zeros((3, p))])


def hilbert(n, p):
    return 1.0 / (np.arange(n)[:, None] + np.arange(p) + 1.0)


def random(n=30, p=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, p))


HARD = {
    "well conditioned": random(),
    "kappa 1e4": conditioned(40, 5, 1e4),
    "kappa 1e7": conditioned(40, 5, 1e7),
    "kappa 1e10": conditioned(40, 5, 1e10),
    "kappa 1e12": conditioned(40, 5, 1e12),
    "kappa 1e14": conditioned(60, 6, 1e14),
    "Hilbert 15 x 9": hilbert(15, 9),
    "Hilbert 14 x 10": hilbert(14, 10),
    "Vandermonde": np.vander(np.linspace(0.1, 1.0, 20), 9)[:, :-1],
    "Läuchli 1e-4": lauchli(1e-4),
    "Läuchli 1e-8": lauchli(1e-8),
    "Läuchli 1e-12": lauchli(1e-12),
    "units 1e-150 to 1e150": random() * np.array([1e-150, 1e-70, 1e70, 1e150]),
    "mean 1e9 times the spread": 1e9 * np.array([1.0, -2.0, 3.0]) + random(50, 3),
    "nearly duplicated": np.column_stack([random(), random()[:, 0] + 1e-9 * random(seed=1)[:, 1]]),
    "integers": np.round(1000 * random()),
    "subnormal": random() * np.array([1e-300, 1.0, 1e-307, 1.0]),
}


def responses(X, seed=5):
    """One y close to a benign combination of the equilibrated columns, one far from it."""
    rng = np.random.default_rng(seed)
    signal = (X / np.abs(X).max(axis=0)).sum(axis=1)
    return {"close": signal + 0.01 * rng.standard_normal(len(X)), "far": signal + rng.standard_normal(len(X))}
