"""The Gaussian round the parameters of a trained network, as a fitted estimator keeps it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mle_regression.diagnostics import laplace_approximation as laplace
from mle_regression.linalg.arrays import EPS, Array
from mle_regression.linalg.nystrom import nystrom
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.objective.network import NetworkObjective
from mle_regression.objective.sketches import gauss_newton_times, mixed_products

# Parameters up to which the posterior is a matrix (P, P), where there are more residuals than that.
_LARGEST_MATRIX = 3000
# Parameters times squared residuals up to which the k × k form is taken beyond: a minute's work.
_LARGEST_DUAL = 1e11
# Directions that are looked for where both are too many, and how small beside the penalty the first one left out must be.
_RANKS, _NEGLIGIBLE = (256, 1024), 0.01
# Rounding of products with the Gauss-Newton matrix, in units of eps times its largest eigenvalue, for each parameter.
_GAUSS_NEWTON_EPS = 64.0
# The optimum must be nearer than this, in posterior standard deviations, for a Gaussian round it to mean anything.
_NEAR_DEVIATIONS = 0.3


@dataclass(frozen=True, slots=True)
class Posterior:
    """The Gaussian round the optimum of a network, of all parameters.

    Attributes
    ----------
    covariance : laplace.Inverse or None
        In standard units; None where it is out of reach.
    effective : float
        Effective parameters γ.
    noise : float
        σ², the mean over outputs.
    distance : float
        To the optimum, in posterior standard deviations.
    invalid_reason : str
        Why there is no such Gaussian, and what to do; empty if there is one.
    """

    covariance: laplace.Inverse | None
    effective: float
    noise: float
    distance: float
    invalid_reason: str = ""


@one_blas_thread()
def posterior_of(objective: NetworkObjective, theta: Array, n: float, by_evidence: bool = False) -> Posterior:
    """Return the Gaussian round the optimum, of all parameters.

    Under penalties by evidence the noise is no less than that which the evidence has: where its maximum is out of range,
    residuals may be much smaller.
    """
    curvature = _curvature(objective, theta)
    if curvature is None:
        return Posterior(None, np.nan, np.nan, np.nan)
    here, m = objective.evaluate(theta), objective.network.sizes[-1]
    squares = float(np.trace(here.cross))
    effective = float(laplace.effective_parameters(curvature, objective.penalty).sum())
    left = max(n * m - effective, laplace.LEAST_DOF * n * m)
    noise = n * squares / left
    if by_evidence:
        noise = max(noise, laplace.likeliest_noise(here.value, objective.penalty, n, m))
    away = laplace.distance(curvature, laplace.beyond_rounding(objective, theta, here.gradient, noise), n, noise)
    inverse = curvature.inverse
    if m > 1:
        root = _root_by_outputs(objective, theta, inverse, m * n / left * here.cross, noise)
    else:
        root = inverse.root * noise**0.5
    covariance = replace(inverse, root=root / n**0.5, prior=inverse.prior * (noise / n) ** 0.5)
    return Posterior(covariance, effective, noise, away)


def _curvature(objective: NetworkObjective, theta: Array) -> laplace.Curvature | None:
    """Return A at θ, inverted, in the cheapest form that holds all parameters; None where none is within reach."""
    size, residuals = len(theta), objective.n_residuals
    if size <= _LARGEST_MATRIX:
        return laplace.curvature_at(objective, theta)
    if residuals < size and residuals**2 * size <= _LARGEST_DUAL:
        return laplace.inverted_from_jacobian(objective.residual_jacobian(theta)[1], objective.penalty)
    rng, penalty = np.random.default_rng(0), objective.penalty
    weakest = float(penalty[penalty > 0].min(initial=np.inf))
    for rank in _RANKS:
        found = nystrom(lambda columns: gauss_newton_times(objective, theta, columns), size, rank, rng)
        steepest = float(found.values.max(initial=0.0))
        if found.rest <= max(
            _NEGLIGIBLE * weakest if np.isfinite(weakest) else 0.0, _GAUSS_NEWTON_EPS * size * EPS * steepest
        ):
            return laplace.inverted_from_jacobian(np.sqrt(found.values)[:, None] * found.vectors.T, penalty)
    return None


def _root_by_outputs(
    objective: NetworkObjective, theta: Array, inverse: laplace.Inverse, covariance: Array, noise: float
) -> Array:
    """Return a root (P, r) of the part of ``A⁻¹ (mean JᵀΣJ + σ²D) A⁻¹`` that the data tell of.

    All outputs count alike in J, though their noise Σ differs. What only the prior tells is as in A⁻¹, times σ².
    """
    values, vectors = np.linalg.eigh(covariance)
    mixing = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    if inverse.basis.shape[1]:
        inner = mixed_products(objective, theta, inverse.root, mixing)
    else:
        inner = inverse.root.T @ _mixed_gauss_newton(objective, theta, mixing) @ inverse.root
    inner += noise * (inverse.root.T @ (objective.penalty[:, None] * inverse.root))
    spread, turn = np.linalg.eigh(inner)
    return np.asarray(inverse.root @ (turn * np.sqrt(np.maximum(spread, 0.0))))


def _mixed_gauss_newton(objective: NetworkObjective, theta: Array, mixing: Array) -> Array:
    """Return ``mean Jᵀ(I ⊗ mixingᵀmixing)J`` (P, P): that of a network whose last layer is ``mixing`` times as large."""
    network = objective.network
    mixed = theta.copy()
    last = network.layers(mixed)[-1]
    lo, inputs = network.edges[-2], last.shape[1]
    last[:] = mixing @ last
    matrix = objective.gauss_newton(mixed)
    by_output = np.kron(mixing, np.eye(inputs))
    matrix[:, lo:] = matrix[:, lo:] @ by_output
    matrix[lo:] = by_output.T @ matrix[lo:]
    return matrix


def invalid_reason(posterior: Posterior, verdict: str, noise_free: bool, remedy: str) -> str:
    """Return why there is no Gaussian round the parameters, and what to do; nothing if there is one."""
    if posterior.covariance is None:
        return (
            "The uncertainty of this network's mean is out of reach: its parameters and its rows are too many for matrices, "
            f"and the data tell of more than {_RANKS[-1]:,} directions. Take fewer hidden units, or a larger alpha; or ask "
            "for kind='observation' of a fit without curvature, which has the noise alone."
        )
    if noise_free:  # there are no standard deviations to be away by
        return ""
    if verdict == "saddle point":
        return f"The network stands at a saddle point, round which parameters have no Gaussian distribution. {remedy}"
    if posterior.distance > _NEAR_DEVIATIONS:
        return (
            f"The network is not at an optimum: the nearest one is {posterior.distance:.3g} posterior standard deviations "
            f"away, and the parameters' distribution is not centred where they are. {remedy}"
        )
    return ""
