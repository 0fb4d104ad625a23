"""Eigenvalues, trace and spectral density of a symmetric matrix that is known only by its products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from mle_regression.linalg.arrays import EPS, Array, Product

# Ritz values are computed every few steps, at the cost of the square of the number of steps: at least so many steps apart,
# and this share of the steps taken.
_LOOK, _LOOK_SHARE = 4, 0.1
# Steps beyond the number of eigenpairs asked for, before convergence is believed.
_LEAST_STEPS = 10
# Rounding error of an eigenvalue, in eps times the largest times the square root of the number of steps.
_VALUE_EPS = 8.0
# Defaults: relative tolerance and steps for eigenvalues, probes and steps for a spectral density, products for a trace.
TOL, MAX_STEPS, DENSITY_PROBES, DENSITY_STEPS, TRACE_PRODUCTS = 1e-8, 1000, 10, 80, 90


@dataclass(frozen=True, slots=True)
class Eigenpairs:
    """Some eigenpairs of a symmetric matrix, ascending.

    Attributes
    ----------
    values : Array of shape (k,)
    vectors : Array of shape (P, k)
    bounds : Array of shape (k,)
        An eigenvalue lies within this distance of each value: the norm of the residual ``Hv − λv``, and rounding.
    largest : float
        Largest absolute eigenvalue seen.
    n_products : int
    """

    values: Array
    vectors: Array
    bounds: Array
    largest: float
    n_products: int


class Krylov:
    """Orthonormal basis of a Krylov space, and the tridiagonal matrix in it (Lanczos, 1950).

    Each new vector is made orthogonal to all before it, twice, so that no eigenvalue appears twice for rounding's sake
    (Parlett, 1998, section 6.11). Where the products lead nowhere new, a random vector begins the next invariant subspace.

    Parameters
    ----------
    product : callable
    start : Array of shape (P,)
    most : int
        Steps there is room for.
    rng : numpy.random.Generator
    """

    def __init__(self, product: Product, start: Array, most: int, rng: np.random.Generator) -> None:
        self.product, self.rng = product, rng
        self.basis = np.empty((min(most, len(start)), len(start)))
        self.basis[0] = start / np.linalg.norm(start)
        self.alpha: list[float] = []
        self.beta: list[float] = []

    def grow(self, steps: int) -> None:
        """Take some more steps, while there is room."""
        for _ in range(min(steps, len(self.basis) - len(self.alpha))):
            m = len(self.alpha)
            image = self.product(self.basis[m])
            self.alpha.append(float(self.basis[m] @ image))
            known = self.basis[: m + 1]
            for _ in range(2):
                image = image - known.T @ (known @ image)
            length = float(np.linalg.norm(image))
            if m + 1 < len(self.basis):
                if length <= EPS * len(image) ** 0.5 * self.scale:
                    length, image = 0.0, self.rng.standard_normal(len(image))
                    for _ in range(2):
                        image = image - known.T @ (known @ image)
                self.basis[m + 1] = image / np.linalg.norm(image)
            self.beta.append(length)

    @property
    def scale(self) -> float:
        """Largest entry of the tridiagonal matrix."""
        return float(np.abs([*self.alpha, *self.beta]).max())

    @property
    def full(self) -> bool:
        """Whether there is no room for more."""
        return len(self.alpha) == len(self.basis)

    def ritz(self) -> tuple[Array, Array, Array]:
        """Return Ritz values, ascending, their vectors in the basis, and the norms of their residuals."""
        values, vectors = eigh_tridiagonal(self.alpha, self.beta[:-1])
        whole = len(self.alpha) == self.basis.shape[1]
        residual = np.zeros(len(values)) if whole else self.beta[-1] * np.abs(vectors[-1])
        return values, vectors, residual


def extreme_eigenpairs(
    product: Product,
    size: int,
    n_low: int,
    n_high: int,
    rng: np.random.Generator,
    tol: float = TOL,
    max_steps: int = MAX_STEPS,
) -> Eigenpairs:
    """Return the smallest and the largest eigenpairs of a symmetric matrix.

    Parameters
    ----------
    product : callable
        Multiplies the matrix (P, P) with a vector (P,).
    size : int
        P.
    n_low, n_high : int
        How many at each end; all there are if together they are more.
    rng : numpy.random.Generator
        Draws the start. With probability one it has a part along every eigenvector; of a multiple eigenvalue, one vector
        may be found alone.
    tol : float, default=1e-8
        Residuals to reach, relative to the largest absolute eigenvalue.
    max_steps : int, default=1000
        Products after which to return what there is, with the bounds it has.

    Examples
    --------
    >>> import numpy as np
    >>> d = np.arange(1.0, 201.0)
    >>> found = extreme_eigenpairs(lambda v: d * v, 200, 1, 1, np.random.default_rng(0))
    >>> bool(np.allclose(found.values, [1.0, 200.0], atol=1e-5))
    True
    """
    krylov = Krylov(product, rng.standard_normal(size), max_steps, rng)
    while True:
        krylov.grow(max(_LOOK, int(_LOOK_SHARE * len(krylov.alpha))))
        values, vectors, residual = krylov.ritz()
        m, largest = len(values), float(np.abs(values).max())
        pick = np.r_[: min(n_low, m), max(min(n_low, m), m - n_high) : m]
        near = bool((residual[pick] <= tol * largest).all()) and m >= min(size, n_low + n_high + _LEAST_STEPS)
        if near or krylov.full:
            break
    rounding = EPS * len(values) ** 0.5 * largest
    return Eigenpairs(
        values[pick],
        krylov.basis[:m].T @ vectors[:, pick],
        residual[pick] + _VALUE_EPS * rounding,
        largest,
        len(values),
    )


@dataclass(frozen=True, slots=True)
class Density:
    """Eigenvalues of a symmetric matrix as weighted nodes, by stochastic Lanczos quadrature.

    Attributes
    ----------
    nodes, weights : Array of shape (probes, steps)
        Each row is a quadrature for the share of eigenvalues; its weights sum to one.
    size : int
        P.
    """

    nodes: Array
    weights: Array
    size: int

    def trace_of(self, function: Callable[[Array], Array]) -> tuple[float, float]:
        """Estimate tr f(H), and the estimate's standard error over the probes."""
        each = self.size * (self.weights * function(self.nodes)).sum(axis=1)
        return float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5)

    def at(self, grid: Array, width: float, scale: Callable[[Array], Array] | None = None) -> Array:
        """Return the density of eigenvalues on a grid, each node blurred to a Gaussian of some standard width.

        With a ``scale``, an increasing function, that of the scaled eigenvalues, on a grid of these.
        """
        nodes = self.nodes.ravel()
        offset = (grid[:, None] - (nodes if scale is None else scale(nodes))) / width
        blurred = np.exp(-0.5 * offset**2) / (width * np.sqrt(2.0 * np.pi))
        return np.asarray(blurred @ self.weights.ravel() / len(self.nodes))


def spectral_density(
    product: Product, size: int, rng: np.random.Generator, probes: int = DENSITY_PROBES, steps: int = DENSITY_STEPS
) -> Density:
    """Find the distribution of all eigenvalues from products with a few random vectors (Ubaru, Chen and Saad, 2017).

    From each probe a short Lanczos run gives the Gauss quadrature of the spectrum as the probe weighs it; signs drawn at
    random weigh all eigenvalues alike on the mean.
    """
    steps = min(steps, size)
    nodes, weights = np.empty((probes, steps)), np.empty((probes, steps))
    for k in range(probes):
        krylov = Krylov(product, rng.choice([-1.0, 1.0], size), steps, rng)
        krylov.grow(steps)
        # If a probe spans an invariant subspace of fewer dimensions, the remaining nodes have weight zero.
        nodes[k], vectors, _ = krylov.ritz()
        weights[k] = vectors[0] ** 2
    return Density(nodes, weights, size)


def trace(
    product: Product, size: int, rng: np.random.Generator, n_products: int = TRACE_PRODUCTS
) -> tuple[float, float]:
    """Estimate the trace and its standard error from products with random vectors, by Hutch++ (Meyer et al., 2021).

    A third of the products finds the few large eigenvalues, a third takes their trace exactly, and Hutchinson's estimate,
    the mean of vᵀHv over random signs, is left the rest.

    Examples
    --------
    >>> import numpy as np
    >>> d = np.r_[1000.0, np.full(99, 0.01)]
    >>> value, error = trace(lambda v: d * v, 100, np.random.default_rng(0))
    >>> bool(abs(value - d.sum()) < 0.1)
    True
    """
    third = max(2, n_products // 3)
    if size <= 2 * third:
        identity = np.eye(size)
        return float(sum(product(column)[j] for j, column in enumerate(identity))), 0.0
    sketch = np.column_stack([product(rng.choice([-1.0, 1.0], size)) for _ in range(third)])
    basis, _ = np.linalg.qr(sketch)
    exact = sum(float(column @ product(column)) for column in basis.T)
    rest = []
    for _ in range(third):
        probe = rng.choice([-1.0, 1.0], size)
        probe -= basis @ (basis.T @ probe)
        rest.append(float(probe @ product(probe)))
    return exact + float(np.mean(rest)), float(np.std(rest, ddof=1) / third**0.5)
