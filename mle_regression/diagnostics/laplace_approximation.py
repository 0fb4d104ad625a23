"""A Gaussian round the optimum: how sure a network's parameters are, and how likely its penalties make the data.

With noise of variance σ² and a Gaussian prior of variance σ²/(n d) on each parameter, minus the log posterior is
``n J / (2σ²)`` and a constant, ``J = S + Σ dᵢθᵢ²`` with the mean square S of the residuals. Its curvature, the second
derivatives of the network left out, is ``(n/σ²) A`` with ``A = mean JᵀJ + diag(d)``: positive, whatever the point, and exact
for a model that is linear in θ (MacKay, 1992; Bishop, 2006, section 5.7).

A is inverted in the smaller of two forms: as a matrix (P, P), or, where there are fewer residuals k than parameters, through
the k × k matrix ``I + J D⁻¹ Jᵀ``. Both are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, eigh
from scipy.linalg.lapack import dpotrf, dtrtri

from mle_regression.linalg.arrays import EPS, TINY, Array, BoolArray
from mle_regression.linalg.qr import triangular_factor
from mle_regression.linalg.triangle import solve_triangle
from mle_regression.objective.base import SumOfSquares

# Rounding error of sums over rows, in eps.
_ROUNDING_EPS = 16.0
# A prediction is not determined if more than this share of its gradient lies along undetermined directions.
_SEEN = 1e-6
# The k × k form is cheaper if parameters are this many times the residuals.
_DUAL_FROM = 2
# Largest Jacobian that is formed, in numbers; condition number of A beyond which it is used, for up to this many parameters.
_JACOBIAN_SIZE, _ILL_CONDITIONED, _LARGEST_REDONE = 1 << 25, 1e8, 1000
# Derivatives by an unpenalised parameter, relative to the largest, that count as zero.
_IDLE = 1e-7
# Smallest noise variance in standard units: rounding.
_LEAST_NOISE = (64.0 * EPS) ** 2
# Smallest residual degrees of freedom, as a share of the number of residuals.
LEAST_DOF = 0.01
# Range of the prior variance of a parameter, in standard units.
PRIOR_VARIANCE = 1e-10, 1e2
# Noise variance, in units of that of y, below which the rounding of residuals shows in gradients; and units of it.
_TOLD_FROM_ROUNDING, _ROUNDINGS = 1e-12, 4.0


@dataclass(frozen=True, slots=True)
class Inverse:
    """The matrix ``root rootᵀ + diag(prior)(I − basis basisᵀ)diag(prior)``, P × P; zero along what is not determined.

    Attributes
    ----------
    root : Array of shape (P, r)
    prior : Array of shape (P,)
        Deviations of the prior, relative to those of the noise, in the form that is made of residuals; else zero.
    basis : Array of shape (P, k)
        Orthonormal; in units of the prior, the directions that the data tell something of.
    free : BoolArray of shape (P,)
        Parameters that may have a part in directions which are not determined.
    seen : Array of shape (P, s)
        Orthonormal basis of the determined directions among those parameters.
    """

    root: Array
    prior: Array
    basis: Array
    free: BoolArray
    seen: Array

    def quadratic(self, rows: Array) -> Array:
        """Return gᵀA⁻¹g (n,) for rows g (n, P), without what is not determined."""
        image = rows @ self.root
        squares = np.einsum("ij,ij->i", image, image)
        if self.basis.shape[1]:
            rest = rows * self.prior
            # A difference of vectors, not of squares: no cancellation where the data determine nearly everything.
            rest -= (rest @ self.basis) @ self.basis.T
            squares += np.einsum("ij,ij->i", rest, rest)
        return np.asarray(squares)

    def misses(self, rows: Array) -> BoolArray:
        """Return which rows (n, P) have a part (n,) along directions that are not determined."""
        if not self.free.any():
            return np.zeros(len(rows), dtype=bool)
        part = np.where(self.free, rows, 0.0)
        part = np.linalg.norm(part - (part @ self.seen) @ self.seen.T, axis=1)
        return np.asarray(part > _SEEN * np.linalg.norm(rows, axis=1))

    def solve(self, columns: Array) -> Array:
        """Return A⁻¹ times columns (P, ...)."""
        found = self.root @ (self.root.T @ columns)
        if self.basis.shape[1]:
            scale = self.prior if columns.ndim == 1 else self.prior[:, None]
            rest = scale * columns
            found += scale * (rest - self.basis @ (self.basis.T @ rest))
        return np.asarray(found)

    @property
    def diagonal(self) -> Array:
        """Its diagonal (P,)."""
        squares: Array = np.einsum("ij,ij->i", self.root, self.root)
        if self.basis.shape[1]:
            squares += self.prior**2 * np.maximum(1.0 - np.einsum("ij,ij->i", self.basis, self.basis), 0.0)
        return squares

    @property
    def undetermined(self) -> Array:
        """Share (P,) of each parameter in directions that are not determined."""
        if not self.free.any():
            return np.zeros(len(self.root))
        return np.asarray(np.where(self.free, np.maximum(1.0 - np.einsum("ij,ij->i", self.seen, self.seen), 0.0), 0.0))


@dataclass(frozen=True, slots=True)
class Curvature:
    """``A = mean JᵀJ + diag(d)`` inverted.

    Attributes
    ----------
    inverse : Inverse
        A⁻¹; directions in which A is zero to working precision are left out.
    variance : Array of shape (P,)
        Diagonal of A⁻¹.
    log_determinant : float
        Of A; −∞ if directions were left out.
    """

    inverse: Inverse
    variance: Array
    log_determinant: float

    def leverages(self, jacobian: Array) -> Array:
        """Return diag(J A⁻¹ Jᵀ) (k,), how far each residual (k, P) determines its own prediction; their sum is γ."""
        return self.inverse.quadratic(jacobian)


def inverted(gauss_newton: Array, penalty: Array) -> Curvature:
    """Invert A by its Cholesky factor or, where it is singular, by its eigenvectors."""
    matrix = gauss_newton.copy()
    matrix[np.diag_indices_from(matrix)] += penalty
    least = _ROUNDING_EPS * EPS * len(matrix) ** 0.5 * float(np.abs(np.diagonal(matrix)).max(initial=0.0))
    factor, failed = dpotrf(matrix, lower=1, clean=1)
    if not failed and float(np.diagonal(factor).min()) ** 2 > least:
        inverse, failed = dtrtri(factor, lower=1)
        if not failed:
            return _of_root(np.ascontiguousarray(inverse.T), 2.0 * float(np.log(np.diagonal(factor)).sum()))
    try:
        values, vectors = eigh(matrix, check_finite=False)
    except (LinAlgError, ValueError):
        raise ValueError("The network's derivatives are not finite; its parameters are too large.") from None
    keep = values > _ROUNDING_EPS * EPS * len(matrix) ** 0.5 * values[-1]
    root = vectors[:, keep] / np.sqrt(values[keep])
    log_determinant = float(np.log(values).sum()) if keep.all() else -np.inf
    return _of_root(root, log_determinant, None if keep.all() else vectors[:, keep])


def _of_root(root: Array, log_determinant: float, seen: Array | None = None) -> Curvature:
    size = len(root)
    free = np.full(size, seen is not None)
    found = Inverse(root, np.zeros(size), np.empty((size, 0)), free, np.empty((size, 0)) if seen is None else seen)
    return Curvature(found, found.diagonal, log_determinant)


def inverted_from_jacobian(jacobian: Array, penalty: Array) -> Curvature:
    """Invert A from residuals' derivatives (k, P), J times √(w/Σw), without ever squaring them.

    Matrices are k × k where residuals are fewer than parameters. Small penalties beside steep derivatives keep all their
    digits, which ``JᵀJ`` loses beyond a condition of 1e8.

    With ``D^−½Jᵀ = Q R`` their block is inverted as ``D^−½ (Q (I + R Rᵀ)⁻¹ Qᵀ + I − Q Qᵀ) D^−½``. What has no prior is left
    with the Schur complement ``J₀ᵀ (I + RᵀR)⁻¹ J₀``, of which directions that the data do not tell are left out.
    """
    if not np.isfinite(jacobian).all():
        raise ValueError("The network's derivatives are not finite; its parameters are too large.")
    size, held = len(penalty), penalty > 0
    prior = np.zeros(size)
    prior[held] = penalty[held] ** -0.5
    basis = np.zeros((size, min(len(jacobian), int(held.sum()))))
    basis[held], triangle = np.linalg.qr((jacobian[:, held] * prior[held]).T)
    # [I; Rᵀ] = [T⁻¹; RᵀT⁻¹] T with orthonormal columns: TᵀT = I + RRᵀ, and no square is ever taken. Rows that may be much
    # longer come first, as reflections keep the digits of short ones then (Cox and Higham, 1998).
    inner = triangular_factor(np.vstack([triangle.T, np.eye(basis.shape[1])]))
    root = prior[:, None] * solve_triangle(inner, basis.T, transposed=True).T
    log_determinant = float(np.log(penalty[held]).sum() + 2.0 * np.log(np.abs(np.diagonal(inner))).sum())
    free, seen = np.zeros(size, dtype=bool), np.empty((size, 0))
    if not held.all():
        columns, seen, of_free = _complement(jacobian, held, prior[:, None] * basis, triangle, inner)
        root, log_determinant = np.hstack([root, columns]), log_determinant + of_free
        free = ~held & (seen.shape[1] < (~held).sum())
        seen = seen if free.any() else seen[:, :0]
    if basis.shape[1] == held.sum():  # the data determine all directions
        prior, basis = np.zeros(size), np.empty((size, 0))
    found = Inverse(root, prior, basis, free, seen)
    return Curvature(found, found.diagonal, log_determinant)


def _complement(
    jacobian: Array, held: BoolArray, scaled_basis: Array, triangle: Array, inner: Array
) -> tuple[Array, Array, float]:
    """Return what parameters without a prior add to the root (P, r), a basis of what the data tell of them, and log det."""
    _, spread, vectors = np.linalg.svd(jacobian[:, ~held], full_matrices=False)
    least = _IDLE if held.any() else _ROUNDING_EPS * EPS * len(held) ** 0.5
    keep = spread > least * spread.max(initial=0.0)
    seen = np.zeros((len(held), int(keep.sum())))
    seen[~held] = vectors[keep].T
    of_free = jacobian[:, ~held] @ vectors[keep].T
    # The residual of a projection onto the columns [T⁻¹; RᵀT⁻¹] has (I + RᵀR)⁻¹ for its square.
    follow = solve_triangle(inner, triangle @ of_free, transposed=True)
    lower = of_free - triangle.T @ solve_triangle(inner, follow)
    follow = solve_triangle(inner, follow)  # (I + RRᵀ)⁻¹ R J₀
    complement = triangular_factor(np.vstack([follow, lower]))
    columns = solve_triangle(complement, (seen - scaled_basis @ follow).T, transposed=True).T
    whole = seen.shape[1] == (~held).sum()
    log_determinant = 2.0 * float(np.log(np.abs(np.diagonal(complement))).sum()) if whole else -np.inf
    return columns, seen, log_determinant


def effective_parameters(curvature: Curvature, penalty: Array) -> Array:
    """Return how far the data, rather than the prior, determine each parameter (P,): 1 − dᵢ(A⁻¹)ᵢᵢ; their sum is γ."""
    return np.asarray(1.0 - penalty * curvature.variance - curvature.inverse.undetermined)


def distance(curvature: Curvature, gradient: Array, n: float, noise: float) -> float:
    """Return how many posterior standard deviations the optimum is away: √(δᵀ(n/σ²)Aδ), δ = −A⁻¹g/2 (Gauss–Newton)."""
    squares = float(curvature.inverse.quadratic(0.5 * gradient[None])[0])
    return float((n / max(noise, TINY)) ** 0.5 * squares**0.5)


def beyond_rounding(objective: SumOfSquares, theta: Array, gradient: Array, noise: float) -> Array:
    """Return the gradient of J (P,) less what rounding may have made of it, where there is hardly any noise.

    Residuals are differences of numbers of about one, so that ``2 Jᵀr / n`` is off by some eps times the lengths of J's
    columns; measured in so little noise, that is a long way.
    """
    if noise > _TOLD_FROM_ROUNDING:
        return gradient
    rounding = _ROUNDINGS * EPS * np.sqrt(np.diagonal(objective.gauss_newton(theta)))
    return np.asarray(np.sign(gradient) * np.maximum(np.abs(gradient) - rounding, 0.0))


def likeliest_noise(value: float, penalty: Array, n: float, outputs: int) -> float:
    """Return the noise σ² at which the evidence is largest, ``n J / (n m − P₀)``, P₀ parameters without a prior.

    No less than what the rounding of y in standard units makes of it.
    """
    free = int((penalty <= 0).sum())
    return max(n * value / max(n * outputs - free, LEAST_DOF * n * outputs), _LEAST_NOISE)


def log_marginal_likelihood(
    curvature: Curvature,
    penalty: Array,
    theta: Array,
    squares: float,
    noise: float,
    n: float,
    outputs: int,
    log_weights: float,
) -> float:
    """Return the log evidence, the density of the data with the parameters integrated out.

    Parameters
    ----------
    curvature : Curvature
        Of A at θ.
    penalty, theta : Array of shape (P,)
        A parameter of penalty zero has a flat prior of density one.
    squares : float
        S, the mean over rows of the squared residuals, summed over outputs.
    noise : float
        σ².
    n, outputs : float, int
    log_weights : float
        Σ log w, of precision weights with mean one.
    """
    likelihood = (
        -0.5 * n * outputs * np.log(2.0 * np.pi * noise) - 0.5 * n * squares / noise + 0.5 * outputs * log_weights
    )
    held = penalty > 0
    precision = n * penalty[held] / noise
    prior = 0.5 * float(np.log(precision / (2.0 * np.pi)).sum()) - 0.5 * float(precision @ theta[held] ** 2)
    size = len(theta)
    volume = 0.5 * size * np.log(2.0 * np.pi) - 0.5 * (size * np.log(n / noise) + curvature.log_determinant)
    return float(likelihood + prior + volume)


def few_residuals(objective: SumOfSquares) -> bool:
    """Whether residuals are so few beside parameters that k × k matrices are cheaper than P × P ones."""
    k, size = objective.n_residuals, len(objective.penalty)
    return _DUAL_FROM * k < size and k * size <= _JACOBIAN_SIZE


def curvature_at(objective: SumOfSquares, theta: Array) -> Curvature:
    """Invert A at θ in the cheaper form, from the Jacobian itself where squares would lose what counts."""
    penalty, numbers = objective.penalty, objective.n_residuals * len(theta)
    if few_residuals(objective):
        return inverted_from_jacobian(objective.residual_jacobian(theta)[1], penalty)
    matrix = objective.gauss_newton(theta)
    found = inverted(matrix, penalty)
    steepest = float((np.diagonal(matrix) + penalty).max(initial=0.0))
    singular = found.inverse.free.any() or steepest * float(found.variance.max(initial=0.0)) > _ILL_CONDITIONED
    if singular and numbers <= _JACOBIAN_SIZE and len(theta) <= _LARGEST_REDONE:
        return inverted_from_jacobian(objective.residual_jacobian(theta)[1], penalty)
    return found
