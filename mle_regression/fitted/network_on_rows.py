"""A network and rows to judge it by: the curvature of its objective there, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy.linalg import eigh

from mle_regression.diagnostics.curvature import FLAT_MINIMUM
from mle_regression.diagnostics.inputs import input_relations, null_inputs, without_inputs
from mle_regression.diagnostics.left_out_refits import refitted_without_each
from mle_regression.diagnostics.left_out_rows import leave_one_out
from mle_regression.diagnostics.stationary import (
    Judgement,
    Spectrum,
    extreme_spectrum,
    full_spectrum,
    gauss_newton_product,
    judged,
    steepness,
)
from mle_regression.diagnostics.units import FlatUnit, flat_units
from mle_regression.linalg.arrays import EPS, Array, IntArray, Product
from mle_regression.linalg.lanczos import (
    DENSITY_PROBES,
    DENSITY_STEPS,
    MAX_STEPS,
    TOL,
    TRACE_PRODUCTS,
    Density,
    extreme_eigenpairs,
    spectral_density,
    trace,
)
from mle_regression.linalg.memory import NUMBER_BYTES
from mle_regression.linalg.rank import Relation
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.training_data import TrainingData

# Up to so many parameters the Hessian is made as a matrix, 70 MB of it.
DENSE_PARAMETERS = 3000
_LARGEST_DENSE = 20_000
# Up to so many "extremes" too are taken from the matrix: quicker than products, and to the last digit.
_SOON_DENSE = 300
# Part of itself that the largest eigenvalue is known to.
_SHARPNESS_TOL = 1e-4
# Multiplications that networks fitted without each row may take: some seconds.
_REFITS_WORK = 1e10
# Units of rounding, times the root of their number, that eigenvalues may be off by.
_EIGENVALUE_EPS = 16.0


@dataclass(frozen=True, slots=True)
class Flatness:
    """What flat directions are of.

    Attributes
    ----------
    units : list of FlatUnit
        Hidden units that have a part in them.
    columns : tuple of Relation
        Columns of X whose weights they are: those that do not vary or follow from others.
    of_columns : int
        How many of the directions are those.
    """

    units: list[FlatUnit]
    columns: tuple[Relation, ...]
    of_columns: int


@dataclass(frozen=True, slots=True)
class NetworkCurvature:
    """Curvature of a network's objective J at its parameters.

    Attributes
    ----------
    spectrum : Spectrum
        Of the Hessian: all eigenvalues, or as many at each end as were asked for.
    judgement : Judgement
        Verdict, and the spectrum that it rests on.
    steepness, gradient_norm : float
    gauss_newton, rest : Array of shape (k,)
        Eigenvalues of the Gauss–Newton part and of what is left of the Hessian, without penalty.
    flat : Flatness
    penalised, smooth : bool
        Whether J includes the penalty; whether the activation is smooth.
    """

    spectrum: Spectrum
    judgement: Judgement
    steepness: float
    gradient_norm: float
    gauss_newton: Array
    rest: Array
    flat: Flatness
    penalised: bool
    smooth: bool

    @property
    def effective_condition_number(self) -> float:
        """λmax over the smallest eigenvalue that is surely positive."""
        values = self.judgement.spectrum.values
        positive = values[values > self.judgement.spectrum.slack]
        return float(values[-1]) / float(positive.min()) if positive.size else np.nan

    @property
    def condition_number(self) -> float:
        """λmax/λmin; infinite where λmin is zero to its bound, NaN where it is negative."""
        values, slack = self.judgement.spectrum.values, self.judgement.spectrum.slack
        if values[0] < -slack[0]:
            return np.nan
        return self.effective_condition_number if values[0] > slack[0] else np.inf


@dataclass(frozen=True, slots=True)
class NetworkRowInfluence:
    """What each row does to a network, linearised at its parameters.

    Attributes
    ----------
    fitted, residual, leverage : Array of shape (n, m)
        In the units of y; how far a row determines its own prediction.
    left_out : Array of shape (n, m)
        Residuals from the network without the row.
    cooks_distance : Array of shape (n,)
        How far everything moves without the row, all outputs together; NaN where no variance is left to measure by.
    taken_up : float
        Share of the residuals that effective parameters take up.
    refitted : bool
        Whether networks have been fitted without each row; else `left_out` too is to first order.
    """

    fitted: Array
    residual: Array
    leverage: Array
    left_out: Array
    cooks_distance: Array
    taken_up: float
    refitted: bool


@dataclass(frozen=True)
class NetworkOnRows:
    """A network, and rows to judge it by.

    Attributes
    ----------
    objective : NetworkObjective
        Of the rows, starting at the fitted parameters.
    variance : float
        J of the best constant prediction.
    seed : int
        Of the random vectors.
    copies : float or None
        Sum of the weights, where a weight says how often a row is there.
    counted : IntArray of shape (n,)
        Which of the rows given have weight.
    n_given : int
        How many rows were given.
    """

    objective: NetworkObjective
    variance: float
    seed: int = 0
    copies: float | None = None
    counted: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    n_given: int = 0

    @property
    def theta(self) -> Array:
        """Fitted parameters (P,)."""
        return self.objective.start

    @one_blas_thread()
    def influence(self, refit: bool = True) -> NetworkRowInfluence:
        """Return what leaving out each row of weight in turn would do; raises where that is out of reach.

        With ``refit`` left-out predictions are those of networks fitted without the row, where these are within reach.
        """
        objective, rows = self.objective, self.objective.rows
        size = min(len(self.theta), objective.n_residuals)
        if size > _LARGEST_DENSE:
            raise ValueError(
                f"Leaving out rows takes a matrix of {size:,} x {size:,} numbers, the fewer of parameters and residuals; "
                f"{_LARGEST_DENSE:,} is the most. Diagnose some of the rows, or fit fewer hidden units."
            )
        found = leave_one_out(objective, self.theta, self.copies)
        if found is None:
            raise ValueError(
                "A row has a parameter of its own, and leaves nothing to predict it from; set a larger alpha."
            )
        residual, weights = -objective.weighted_residuals(self.theta), np.ones(objective.n_rows)
        weights = weights if rows.weights is None else rows.weights
        copies = np.ones(len(weights)) if self.copies is None else weights * (self.copies / rows.total)
        n, effective = float(copies.sum()), found.taken_up * residual.size
        left = n * residual.shape[1] - effective
        variance = float((residual**2).sum()) * n / left if left > 0 else np.nan
        unit = rows.of_y.spread / np.sqrt(weights / rows.total)[:, None]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            distance = found.moved / copies * n / (effective * variance)
        outside = self._refitted(copies) if refit else None
        return NetworkRowInfluence(
            fitted=rows.y - residual * unit,
            residual=residual * unit,
            leverage=np.diagonal(found.leverages, axis1=1, axis2=2),
            left_out=-found.residuals * unit if outside is None else rows.y - rows.of_y.original(outside.T),
            cooks_distance=distance,
            taken_up=found.taken_up,
            refitted=outside is not None,
        )

    def _refitted(self, copies: Array) -> Array | None:
        """Return the predictions (n, m) of each row by a network fitted without it; None where the linearised one must do."""
        if self.objective.network.linear:  # nothing is lost by it
            return None
        each = np.arange(len(copies))
        return refitted_without_each(
            self.objective, self.theta, each, _REFITS_WORK, left=np.maximum(1.0 - 1.0 / copies, 0.0)
        )

    @one_blas_thread()
    def curvature(
        self, k: int, full: bool, penalised: bool = True, tol: float = TOL, max_products: int = MAX_STEPS
    ) -> NetworkCurvature:
        """Judge the place by all eigenvalues of the Hessian, or ``k`` at each end."""
        size = len(self.theta)
        if full and size > _LARGEST_DENSE:
            raise ValueError(
                f"The Hessian of {size:,} parameters as a matrix takes {NUMBER_BYTES / 1e9 * size**2:.3g} GB, and its "
                f"eigenvalues hours; "
                "take spectrum='extremes', and trace(), log_determinant() and spectral_density() for all of them."
            )
        objective = self.objective if penalised else self._without_penalty()
        rng = np.random.default_rng(self.seed)
        if full or size <= _SOON_DENSE:
            found = full_spectrum(objective, self.theta)
        else:
            found = extreme_spectrum(objective, self.theta, k, rng, tol, max_products)
        _, gradient = objective.value_and_gradient(self.theta)
        norm = float(np.linalg.norm(gradient))
        steep = steepness(norm, found.largest, self.variance)
        said = judged(objective, self.theta, found, steep, rng)
        flat = self._flatness(said.spectrum) if said.verdict == FLAT_MINIMUM else Flatness([], (), 0)
        if not full:  # of few parameters all are known, and as many shown as were asked for
            found, said = found.ends(k), replace(said, spectrum=said.spectrum.ends(k))
        parts = self._parts(full, k, tol, max_products)
        return NetworkCurvature(
            found, said, steep, norm, *parts, flat, penalised=penalised, smooth=objective.network.activation.smooth
        )

    @one_blas_thread()
    def sharpness(self, penalised: bool = True) -> float:
        """Return the largest eigenvalue of the Hessian, to 1e-4 of itself."""
        rng = np.random.default_rng(self.seed)
        return float(
            extreme_eigenpairs(self._product(penalised), len(self.theta), 0, 1, rng, _SHARPNESS_TOL).values[-1]
        )

    @one_blas_thread()
    def trace(self, penalised: bool = True, n_products: int = TRACE_PRODUCTS) -> tuple[float, float]:
        """Return the sum of the eigenvalues, and its standard error: zero where it is exact, else by Hutch++."""
        if len(self.theta) <= DENSE_PARAMETERS:
            objective = self.objective if penalised else self._without_penalty()
            return float(np.trace(objective.hessian(self.theta))), 0.0
        return trace(self._product(penalised), len(self.theta), np.random.default_rng(self.seed), n_products)

    @one_blas_thread()
    def log_determinant(self, penalised: bool = True) -> tuple[float, float]:
        """Return the sum of the eigenvalues' logarithms, and its standard error: zero where it is exact."""
        if len(self.theta) <= DENSE_PARAMETERS:
            objective = self.objective if penalised else self._without_penalty()
            values = eigh(objective.hessian(self.theta), eigvals_only=True, check_finite=False)
            return _log_sum(values), 0.0
        density = self.spectral_density(penalised)
        if density.nodes.min() < 0:
            return np.nan, np.nan
        return density.trace_of(np.log)

    @one_blas_thread()
    def spectral_density(
        self,
        penalised: bool = True,
        probes: int = DENSITY_PROBES,
        steps: int = DENSITY_STEPS,
        part: Literal["hessian", "gauss_newton", "rest"] = "hessian",
    ) -> Density:
        """Return the distribution of all eigenvalues of the Hessian, or of a part of it without penalty, by quadrature."""
        rng = np.random.default_rng(self.seed)
        product = self._product(penalised) if part == "hessian" else self._products_of_parts()[part]
        return spectral_density(product, len(self.theta), rng, probes, steps)

    def _products_of_parts(self) -> dict[str, Product]:
        """Return what multiplies the Gauss–Newton part of the Hessian, and the rest, without penalty."""
        outer, whole = gauss_newton_product(self.objective, self.theta), self._product(False)
        return {"gauss_newton": outer, "rest": lambda v: whole(v) - outer(v)}

    def _without_penalty(self) -> NetworkObjective:
        return NetworkObjective(self.objective.network, self.objective.rows, 0.0, self.theta)

    def _product(self, penalised: bool) -> Product:
        objective = self.objective if penalised else self._without_penalty()
        return objective.hessian_products(self.theta)

    def _parts(self, full: bool, k: int, tol: float, max_products: int) -> tuple[Array, Array]:
        """Eigenvalues of the Gauss–Newton part and of the rest, without penalty."""
        if full:
            half = self.objective.gauss_newton(self.theta)
            bare = self._without_penalty().hessian(self.theta)
            first = eigh(2.0 * half, eigvals_only=True, check_finite=False)
            return first, eigh(bare - 2.0 * half, eigvals_only=True, check_finite=False)
        of_part = self._products_of_parts()
        size, rng = len(self.theta), np.random.default_rng(self.seed)
        first = extreme_eigenpairs(of_part["gauss_newton"], size, k, k, rng, tol, max_products).values
        return first, extreme_eigenpairs(of_part["rest"], size, k, k, rng, tol, max_products).values

    def _flatness(self, found: Spectrum) -> Flatness:
        """Say what the flat directions are of: columns of X, and hidden units."""
        objective = self.objective
        flat = found.vectors[:, np.abs(found.values) <= found.slack]
        null = null_inputs(objective.input_products())
        rest = without_inputs(objective.network, flat, null)
        units = flat_units(objective.network, self.theta, objective.hidden_moments(self.theta), rest)
        of_x = objective.rows.of_x
        relations = input_relations(null, *of_x.place) if rest.shape[1] < flat.shape[1] else ()
        return Flatness(units, tuple(relations), flat.shape[1] - rest.shape[1])


def network_on_rows(objective: NetworkObjective, data: TrainingData, frequency: bool = False) -> NetworkOnRows:
    """Return a network at its objective's start, and the rows that this is made of."""
    weights = np.ones(len(data.y)) if data.weights is None else data.weights
    y = data.y / objective.rows.of_y.spread
    center = np.average(y, axis=0, weights=weights)
    variance = float(np.average((y - center) ** 2, axis=0, weights=weights).sum())
    copies = float(weights.sum()) if frequency else None
    return NetworkOnRows(objective, variance, copies=copies, counted=np.flatnonzero(weights), n_given=len(weights))


def _log_sum(values: Array) -> float:
    largest = float(np.abs(values).max())
    rounding = _EIGENVALUE_EPS * EPS * len(values) ** 0.5 * largest
    if values[0] < -rounding:
        return float(np.nan)
    return float(np.log(values).sum()) if values[0] > rounding else -np.inf
