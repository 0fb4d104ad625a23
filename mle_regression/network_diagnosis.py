"""A network seen through rows: what kind of point its training has ended at, and how flat it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.linalg import eigh

from mle_regression import checks
from mle_regression.diagnostics.curvature import FLAT_MINIMUM
from mle_regression.diagnostics.inputs import input_relations, null_inputs, without_inputs
from mle_regression.diagnostics.stationary import (
    Spectrum,
    extreme_spectrum,
    full_spectrum,
    gauss_newton_product,
    judged,
    steepness,
)
from mle_regression.diagnostics.units import flat_units
from mle_regression.linalg.arrays import Array, Product
from mle_regression.linalg.lanczos import Density, extreme_eigenpairs, spectral_density, trace
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.objective.network import NetworkObjective
from mle_regression.reports.dependencies import describe_dependent_column
from mle_regression.reports.network_curvature import (
    Flatness,
    NetworkCurvatureReport,
    network_curvature_report,
    parameter_names,
)

# Up to so many parameters the Hessian is made as a matrix, 70 MB of it.
DENSE_PARAMETERS = 3000
_LARGEST_DENSE = 20_000
# Up to so many "extremes" too are taken from the matrix: quicker than products, and to the last digit.
_SOON_DENSE = 300


class NetworkDiagnosis:
    """What rows say of a fitted network; made by ``MLPGradientRegressor.diagnose(X, y)``.

    Everything is worked out when asked for, in float64, by exact second derivatives.

    Parameters
    ----------
    objective : NetworkObjective
        Of the rows, starting at the fitted parameters.
    variance : float
        J of the best constant prediction.
    features, outputs : sequence of str
    edge : float
        Curvature above which the solver's steps grow.
    seed : int
        Of the random vectors.
    """

    def __init__(
        self,
        objective: NetworkObjective,
        variance: float,
        features: Sequence[str],
        outputs: Sequence[str],
        edge: float = np.nan,
        seed: int = 0,
    ) -> None:
        self._objective, self._variance, self._seed = objective, variance, seed
        self._theta = objective.start
        self._features = list(features)
        self._names = parameter_names(objective.network, features, outputs)
        self._edge = edge

    @one_blas_thread()
    def curvature(
        self,
        k: int = 5,
        spectrum: Literal["auto", "full", "extremes"] = "auto",
        penalised: bool = True,
        tol: float = 1e-8,
        max_products: int = 1000,
    ) -> NetworkCurvatureReport:
        """Hessian of the objective, its eigenvalues with error bounds, and the verdict.

        Parameters
        ----------
        k : int, default=5
            Eigenvalues at each end, where not all are worked out.
        spectrum : {"auto", "full", "extremes"}, default="auto"
            "full": all eigenvalues of the Hessian as a matrix; "extremes": ``k`` at each end, by Lanczos' method on
            Hessian-vector products beyond 300 parameters; "auto": "full" up to 3,000 parameters.
        penalised : bool, default=True
            Whether the penalty, which training has minimised too, is part of J.
        tol : float, default=1e-8
            Residual of "extremes" to reach, relative to the largest eigenvalue.
        max_products : int, default=1000
            Hessian-vector products after which "extremes" is content with the bounds it has.

        Returns
        -------
        NetworkCurvatureReport

        Raises
        ------
        ValueError
            If the matrix would be too large; the message names its size.
        """
        checks.check_positive_integer("k", k)
        checks.check_positive_integer("max_products", max_products)
        checks.check_choice("spectrum", spectrum, ("auto", "full", "extremes"))
        checks.check_choice("penalised", penalised, (True, False))
        checks.check_positive("tol", tol)
        size = len(self._theta)
        full = spectrum == "full" or (spectrum == "auto" and size <= DENSE_PARAMETERS)
        if full and size > _LARGEST_DENSE:
            raise ValueError(
                f"The Hessian of {size:,} parameters as a matrix takes {8e-9 * size**2:.3g} GB, and its eigenvalues hours; "
                "take spectrum='extremes', and trace(), log_determinant() and spectral_density() for all of them."
            )
        objective = self._objective if penalised else self._without_penalty()
        rng = np.random.default_rng(self._seed)
        if full or size <= _SOON_DENSE:
            found = full_spectrum(objective, self._theta)
        else:
            found = extreme_spectrum(objective, self._theta, k, rng, tol, max_products)
        _, gradient = objective.value_and_gradient(self._theta)
        norm = float(np.linalg.norm(gradient))
        steep = steepness(norm, found.largest, self._variance)
        said = judged(objective, self._theta, found, steep, rng)
        flat = self._flatness(said.spectrum) if said.verdict == FLAT_MINIMUM else Flatness([], (), 0)
        if not full:  # of few parameters all are known, and as many shown as were asked for
            found, said = found.ends(k), replace(said, spectrum=said.spectrum.ends(k))
        return network_curvature_report(
            found,
            said,
            steep,
            norm,
            self._parts(full, k, tol, max_products),
            flat,
            self._names,
            penalised=penalised,
            smooth=objective.network.activation.smooth,
        )

    @one_blas_thread()
    def sharpness(self, penalised: bool = True) -> float:
        """Return the largest eigenvalue of the Hessian, to 1e-4 of itself."""
        product = self._product(penalised)
        rng = np.random.default_rng(self._seed)
        return float(extreme_eigenpairs(product, len(self._theta), 0, 1, rng, 1e-4).values[-1])

    @one_blas_thread()
    def trace(self, penalised: bool = True, n_products: int = 90) -> tuple[float, float]:
        """Return the sum of the eigenvalues, and its standard error: zero where it is exact, else by Hutch++."""
        if len(self._theta) <= DENSE_PARAMETERS:
            objective = self._objective if penalised else self._without_penalty()
            return float(np.trace(objective.hessian(self._theta))), 0.0
        return trace(self._product(penalised), len(self._theta), np.random.default_rng(self._seed), n_products)

    @one_blas_thread()
    def log_determinant(self, penalised: bool = True) -> tuple[float, float]:
        """Return the sum of the eigenvalues' logarithms, and its standard error: zero where it is exact.

        By stochastic Lanczos quadrature beyond 3,000 parameters. NaN where an eigenvalue is negative, −∞ where one is zero to
        working precision.
        """
        size = len(self._theta)
        if size <= DENSE_PARAMETERS:
            objective = self._objective if penalised else self._without_penalty()
            values = eigh(objective.hessian(self._theta), eigvals_only=True, check_finite=False)
            return _log_sum(values), 0.0
        density = self.spectral_density(penalised)
        if density.nodes.min() < 0:
            return np.nan, np.nan
        return density.trace_of(np.log)

    @one_blas_thread()
    def spectral_density(self, penalised: bool = True, probes: int = 10, steps: int = 80) -> Density:
        """Return the distribution of all eigenvalues, by stochastic Lanczos quadrature.

        Returns
        -------
        Density
            With ``nodes`` and ``weights``, ``trace_of(function)`` and ``at(grid, width)``.
        """
        checks.check_positive_integer("probes", probes)
        checks.check_positive_integer("steps", steps)
        rng = np.random.default_rng(self._seed)
        return spectral_density(self._product(penalised), len(self._theta), rng, probes, steps)

    @one_blas_thread()
    def edge_of_stability(self) -> tuple[float, float]:
        """Return the sharpness λmax, and the curvature above which the steps of gd or sgd grow: 2/η without momentum.

        Full-batch gradient descent tends to raise λmax until it hovers about there (Cohen et al., 2021). With momentum β
        it is 2(1 + β)/η, with Nesterov's 2(1 + β)/((1 + 2β)η).
        """
        if np.isnan(self._edge):
            raise ValueError(
                "Only gd and sgd have a step to compare the curvature with; this network was trained otherwise."
            )
        return self.sharpness(), self._edge

    def _without_penalty(self) -> NetworkObjective:
        return NetworkObjective(self._objective.network, self._objective.rows, 0.0, self._theta)

    def _product(self, penalised: bool) -> Product:
        objective = self._objective if penalised else self._without_penalty()
        return objective.hessian_products(self._theta)

    def _parts(self, full: bool, k: int, tol: float, max_products: int) -> tuple[Array, Array]:
        """Eigenvalues of the Gauss–Newton part and of the rest, without penalty."""
        if full:
            half = self._objective.gauss_newton(self._theta)
            bare = self._without_penalty().hessian(self._theta)
            first = eigh(2.0 * half, eigvals_only=True, check_finite=False)
            return first, eigh(bare - 2.0 * half, eigvals_only=True, check_finite=False)
        outer, whole = gauss_newton_product(self._objective, self._theta), self._product(False)
        size, rng = len(self._theta), np.random.default_rng(self._seed)
        first = extreme_eigenpairs(outer, size, k, k, rng, tol, max_products).values
        return first, extreme_eigenpairs(lambda v: whole(v) - outer(v), size, k, k, rng, tol, max_products).values

    def _flatness(self, found: Spectrum) -> Flatness:
        """Say what the flat directions are of: columns of X, and hidden units."""
        objective = self._objective
        flat = found.vectors[:, np.abs(found.values) <= found.slack]
        null = null_inputs(objective.input_products())
        rest = without_inputs(objective.network, flat, null)
        units = flat_units(objective.network, self._theta, objective.hidden_moments(self._theta), rest)
        of_x = objective.rows.of_x
        relations = input_relations(null, of_x.center, of_x.spread) if rest.shape[1] < flat.shape[1] else ()
        columns = tuple(describe_dependent_column(relation, self._features) for relation in relations)
        return Flatness(units, columns, flat.shape[1] - rest.shape[1])

    def __repr__(self) -> str:
        return (
            f"<NetworkDiagnosis on {self._objective.n_rows} rows, {len(self._theta):,} parameters: curvature(k, spectrum), "
            "sharpness(), trace(), log_determinant(), spectral_density(), edge_of_stability()>"
        )


def _log_sum(values: Array) -> float:
    largest = float(np.abs(values).max())
    rounding = 16.0 * np.finfo(np.float64).eps * len(values) ** 0.5 * largest
    if values[0] < -rounding:
        return float(np.nan)
    return float(np.log(values).sum()) if values[0] > rounding else -np.inf


def diagnosis_of(
    objective: NetworkObjective,
    data: checks.TrainingData,
    features: Sequence[str],
    outputs: Sequence[str],
    edge: float,
) -> NetworkDiagnosis:
    """Return the diagnosis of a network at its objective's start, through the rows that this is made of."""
    weights = np.ones(len(data.y)) if data.weights is None else data.weights
    y = data.y / objective.rows.of_y.spread
    center = np.average(y, axis=0, weights=weights)
    variance = float(np.average((y - center) ** 2, axis=0, weights=weights).sum())
    return NetworkDiagnosis(objective, variance, features, outputs, edge)
