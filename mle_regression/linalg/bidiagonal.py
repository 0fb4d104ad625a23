"""LSMR: least squares by products with a matrix and its transpose (Fong and Saunders, 2011)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

from mle_regression.linalg.arrays import Array


class Bidiagonalisation:
    """Golub and Kahan's bidiagonalisation of A from b, and the minimiser of ``‖b − A x‖`` in the Krylov space so far.

    Parameters
    ----------
    image, transposed : callable
        Multiply A, and its transpose, with a vector.
    b : Array of shape (k,)

    Attributes
    ----------
    x : Array of shape (P,)
    residual_norm, gradient_norm : float
        ``‖b − A x‖`` and ``‖Aᵀ(b − A x)‖``, by recurrence.
    steps : list of float
        Diagonal of the tridiagonal matrix of AᵀA, a number for each step taken.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([1.0, 2.0, 2.0])
    >>> run = Bidiagonalisation(lambda v: a @ v, lambda u: a.T @ u, b)
    >>> run.advance(), run.advance()
    (True, True)
    >>> bool(np.allclose(run.x, np.linalg.lstsq(a, b)[0]))
    True
    """

    def __init__(self, image: Callable[[Array], Array], transposed: Callable[[Array], Array], b: Array) -> None:
        self.image, self.transposed = image, transposed
        self.u, beta = _normed(b)
        self.v, self.alpha = _normed(transposed(self.u))
        self.x = np.zeros_like(self.v)
        self.zeta_bar, self.alpha_bar = self.alpha * beta, self.alpha
        self.rho = self.rho_bar = self.c_bar = 1.0
        self.s_bar = self.zeta = 0.0
        self.h, self.h_bar = self.v.copy(), np.zeros_like(self.v)
        self.residual_norm, self.gradient_norm = beta, self.alpha * beta
        # State of the recurrence for the residual norm.
        self._beta_dd, self._beta_d, self._rho_d = beta, 0.0, 1.0
        self._tau, self._theta = 0.0, 0.0
        self.steps: list[float] = []
        self._products: list[float] = []

    def advance(self) -> bool:
        """Take one more step; False where there is none to take."""
        if not self.alpha > 0:
            return False
        last_alpha = self.alpha
        self.u, beta = _normed(self.image(self.v) - self.alpha * self.u)
        self.v, self.alpha = _normed(self.transposed(self.u) - beta * self.v)
        self.steps.append(last_alpha**2 + beta**2)
        self._products.append(self.alpha * beta)
        rho_old, rho_bar_old, zeta_old = self.rho, self.rho_bar, self.zeta
        c, s, self.rho = rotation(self.alpha_bar, beta)
        theta_new, self.alpha_bar = s * self.alpha, c * self.alpha
        theta_bar = self.s_bar * self.rho
        self.c_bar, self.s_bar, self.rho_bar = rotation(self.c_bar * self.rho, theta_new)
        self.zeta, self.zeta_bar = self.c_bar * self.zeta_bar, -self.s_bar * self.zeta_bar
        if not self.rho * self.rho_bar > 0:
            return False
        self.h_bar = self.h - theta_bar * self.rho / (rho_old * rho_bar_old) * self.h_bar
        self.x = self.x + self.zeta / (self.rho * self.rho_bar) * self.h_bar
        self.h = self.v - theta_new / self.rho * self.h
        self._follow_residual(c, s, theta_bar, zeta_old)
        self.gradient_norm = abs(self.zeta_bar)
        return True

    def _follow_residual(self, c: float, s: float, theta_bar: float, zeta_old: float) -> None:
        beta_hat, self._beta_dd = c * self._beta_dd, -s * self._beta_dd
        theta_old = self._theta
        c_tilde, s_tilde, rho_tilde = rotation(self._rho_d, theta_bar)
        self._theta, self._rho_d = s_tilde * self.rho_bar, c_tilde * self.rho_bar
        self._beta_d = -s_tilde * self._beta_d + c_tilde * beta_hat
        self._tau = (zeta_old - theta_old * self._tau) / rho_tilde
        tau_d = (self.zeta - self._theta * self._tau) / self._rho_d
        self.residual_norm = float(np.hypot(self._beta_d - tau_d, self._beta_dd))

    def extremes(self) -> tuple[float, float]:
        """Return the smallest and the largest Ritz value of AᵀA so far."""
        ends = eigvalsh_tridiagonal(np.array(self.steps), np.array(self._products[:-1]))
        return max(float(ends[0]), 0.0), float(ends[-1])


def rotation(a: float, b: float) -> tuple[float, float, float]:
    """Return c, s and r with ``c a + s b = r`` and ``c b = s a``."""
    r = float(np.hypot(a, b))
    return (a / r, b / r, r) if r > 0 else (1.0, 0.0, 0.0)


def _normed(vector: Array) -> tuple[Array, float]:
    length = float(np.linalg.norm(vector))
    return (vector / length if length > 0 else vector), length
