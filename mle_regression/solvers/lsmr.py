"""LSMR: least squares by products with X and its transpose alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.objective.linear import LinearObjective
from mle_regression.solvers.base import Options
from mle_regression.solvers.path import Control, Path, Walk, ends_of, walk


@dataclass
class LSMR(Options):
    """Golub–Kahan bidiagonalisation of the standardised columns (Fong and Saunders, 2011).

    Each iteration multiplies the rows by a vector and their transpose by another, sparse ones as they are; the norm of the
    gradient never rises, and as many iterations as the columns have distinct singular values suffice but for rounding.
    """

    name: ClassVar[str] = "lsmr"
    noises: ClassVar[frozenset[str]] = frozenset({"gaussian"})
    from_sums: ClassVar[bool] = False
    draws_batches: ClassVar[bool] = True
    goes_on: ClassVar[bool] = False

    def minimise(self, objective: LinearObjective, control: Control) -> Path:
        """Follow the bidiagonalisation from the objective's start."""
        if control.learning_rate != "auto":
            raise ValueError("lsmr has no step; leave learning_rate='auto'.")
        spectrum = objective.spectrum
        low, high = ends_of(spectrum)
        stable = "It has no step: look for numbers of extreme size."
        follower = Walk(control, objective.start, low, stable, proven=True, highest=high)

        def iterate(follower: Walk) -> None:
            while not _run(objective, follower, control.max_iter):
                # Rounding has made the basis lose its orthogonality: begin again from here.
                continue

        return walk(iterate, follower)


def _run(objective: LinearObjective, follower: Walk, max_iter: int) -> bool:
    """Follow one bidiagonalisation; return whether the path ends."""
    beginning = follower.path.theta.copy()
    if not follower.path.losses and _note(objective, follower, beginning):
        return True
    u, beta = _normed(objective.residual_at(beginning))
    v, alpha = _normed(objective.transposed(u))
    step = np.zeros_like(v)
    zeta_bar, alpha_bar = alpha * beta, alpha
    rho = rho_bar = c_bar = 1.0
    s_bar = 0.0
    h, h_bar = v.copy(), np.zeros_like(v)
    best, risen = follower.path.gradient_norms[-1], 0
    while alpha > 0 and follower.path.n_iter < max_iter:
        u, beta = _normed(objective.image(v) - alpha * u)
        v, alpha = _normed(objective.transposed(u) - beta * v)
        rho_old, rho_bar_old = rho, rho_bar
        c, s, rho = _rotation(alpha_bar, beta)
        theta_new, alpha_bar = s * alpha, c * alpha
        theta_bar = s_bar * rho
        c_bar, s_bar, rho_bar = _rotation(c_bar * rho, theta_new)
        zeta, zeta_bar = c_bar * zeta_bar, -s_bar * zeta_bar
        if not rho * rho_bar > 0:
            return True
        h_bar = h - theta_bar * rho / (rho_old * rho_bar_old) * h_bar
        step = step + zeta / (rho * rho_bar) * h_bar
        h = v - theta_new / rho * h
        if _note(objective, follower, beginning + step):
            return True
        norm = follower.path.gradient_norms[-1]
        best, risen = (norm, 0) if norm < best else (best, risen + 1)
        if risen > _PATIENCE:
            return False
    return True


# Iterations without a smaller gradient after which the recurrences have come to their end.
_PATIENCE = 10


def _note(objective: LinearObjective, follower: Walk, theta: Array) -> bool:
    loss, gradient = objective.value_and_gradient(theta)
    return follower.note(theta, loss, float(np.linalg.norm(gradient)))


def _normed(vector: Array) -> tuple[Array, float]:
    length = float(np.linalg.norm(vector))
    return (vector / length if length > 0 else vector), length


def _rotation(a: float, b: float) -> tuple[float, float, float]:
    """Return c, s and r with ``c a + s b = r`` and ``c b = s a``."""
    r = float(np.hypot(a, b))
    return (a / r, b / r, r) if r > 0 else (1.0, 0.0, 0.0)
