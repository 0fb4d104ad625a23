"""A network seen through rows: what kind of point its training has ended at, and how flat it is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from mle_regression.diagnostics.left_out_rows import TAKEN_UP
from mle_regression.fitted.network_on_rows import DENSE_PARAMETERS, NetworkOnRows
from mle_regression.linalg.lanczos import DENSITY_PROBES, DENSITY_STEPS, MAX_STEPS, TOL, TRACE_PRODUCTS, Density
from mle_regression.reports.landscape import Landscape, check_window
from mle_regression.reports.linear.coefficients import blocks
from mle_regression.reports.network.curvature import NetworkCurvatureReport, network_curvature_report, parameter_names
from mle_regression.reports.network.landscape import network_landscape
from mle_regression.validation import checks
from mle_regression.warnings import InferenceWarning, warn_user


class NetworkDiagnosis:
    """What rows say of a fitted network; made by ``MLPGradientRegressor.diagnose(X, y)``.

    Everything is worked out when asked for, in float64, by exact second derivatives.

    Parameters
    ----------
    network : NetworkOnRows
    features, outputs : sequence of str
    stability_limit : float
        Curvature above which the solver's steps grow.
    labels : pandas.Index, default=None
        Of the rows.
    """

    def __init__(
        self,
        network: NetworkOnRows,
        features: Sequence[str],
        outputs: Sequence[str],
        stability_limit: float = np.nan,
        labels: pd.Index | None = None,
    ) -> None:
        self._network, self._outputs = network, list(outputs)
        self._labels = labels
        self._features = list(features)
        self._names = parameter_names(network.objective.network, features, outputs)
        self._stability_limit = stability_limit

    def curvature(
        self,
        k: int = 5,
        spectrum: Literal["auto", "full", "extremes"] = "auto",
        penalised: bool = True,
        tol: float = TOL,
        max_products: int = MAX_STEPS,
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
        few = len(self._network.theta) <= DENSE_PARAMETERS
        full = spectrum == "full" or (spectrum == "auto" and few)
        found = self._network.curvature(k, full, penalised, tol, max_products)
        return network_curvature_report(found, self._names, self._features)

    def rows(self, refit: bool = True) -> pd.DataFrame:
        """Influence of each row on the network; of several networks, on the first.

        Residuals of rows left out are those of networks fitted without them, from where this one stands, if that is a minimum
        and they take no more than some seconds (1e10 multiplications); the rest is of the network linearised there.

        Parameters
        ----------
        refit : bool, default=True
            Whether networks may be fitted without each row; else all is of the linearised one, and costs less.

        Returns
        -------
        pandas.DataFrame
            By row of weight, with the index of X (by output and row): ``fitted``, ``residual``, ``leverage`` (how far the row
            determines its own prediction), ``loo_residual`` (from the network without the row) and
            ``cooks_distance`` (how far all predictions, and the penalised parameters, would move, in units of the effective
            parameters' variance; one for all outputs; NaN where none is left). A linear model's where the network is one.

        Warns
        -----
        InferenceWarning
            Where effective parameters take up more than a quarter of the residuals, so that a network trained without a row
            may be another one, and not close by.

        Raises
        ------
        ValueError
            Where the matrices are too large, or a row has a parameter of its own.
        """
        network = self._network
        found = network.influence(refit)
        if found.taken_up > TAKEN_UP and not network.objective.network.linear:
            warn_user(
                f"Effective parameters take up {found.taken_up:.0%} of the residuals: a network trained anew without a row "
                "may be another one, and left-out residuals much larger than these. Take a larger alpha, or alpha='loo'.",
                InferenceWarning,
            )
        labels = pd.RangeIndex(network.n_given) if self._labels is None else self._labels
        tables = [
            pd.DataFrame(
                {
                    "fitted": found.fitted[:, k],
                    "residual": found.residual[:, k],
                    "leverage": found.leverage[:, k],
                    "loo_residual": found.left_out[:, k],
                    "cooks_distance": found.cooks_distance,
                },
                index=labels[network.counted],
            )
            for k in range(found.residual.shape[1])
        ]
        return blocks(tables, self._outputs)

    def landscape(
        self, directions: Any = "extremes", *, path: Any = None, radius: float | None = None, n_points: int = 41
    ) -> Landscape:
        """Return the objective J on a plane through the fit, to be drawn by `LandscapeDisplay`.

        Parameters
        ----------
        directions : "extremes" or pair of str or int, default="extremes"
            "extremes": along the eigenvectors of the Hessian with the lowest and the largest
            eigenvalue; from a saddle point, the way down and across it. Names, as `curvature` has them, or positions, of two
            parameters: the others stay as they are.
        path : PathRecorder or array of shape (steps, P), default=None
            The parameters along the path of a solver; of several recorded ones, that which ends next to the fit.
        radius : float, default=None
            How far to go from the fit to all sides, in standard units; None: as far as the path, or
            the way down from a saddle point, leads; else 1.
        n_points : int, default=41
            Places on each axis.

        Returns
        -------
        Landscape
        """
        check_window(radius, n_points)
        return network_landscape(self._network, self._names, directions, path, radius, n_points)

    def sharpness(self, penalised: bool = True) -> float:
        """Return the largest eigenvalue of the Hessian, to 1e-4 of itself."""
        return self._network.sharpness(penalised)

    def trace(self, penalised: bool = True, n_products: int = TRACE_PRODUCTS) -> tuple[float, float]:
        """Return the sum of the eigenvalues, and its standard error: zero where it is exact, else by Hutch++."""
        return self._network.trace(penalised, n_products)

    def log_determinant(self, penalised: bool = True) -> tuple[float, float]:
        """Return the sum of the eigenvalues' logarithms, and its standard error: zero where it is exact.

        By stochastic Lanczos quadrature beyond 3,000 parameters. NaN where an eigenvalue is negative, −∞ where one is zero to
        working precision.
        """
        return self._network.log_determinant(penalised)

    def spectral_density(
        self,
        penalised: bool = True,
        probes: int = DENSITY_PROBES,
        steps: int = DENSITY_STEPS,
        part: Literal["hessian", "gauss_newton", "rest"] = "hessian",
    ) -> Density:
        """Return the distribution of all eigenvalues, by stochastic Lanczos quadrature.

        Parameters
        ----------
        penalised : bool, default=True
            Whether the penalty is part of the Hessian; it is none of the other parts.
        probes, steps : int
            Random vectors, and products with each.
        part : {"hessian", "gauss_newton", "rest"}, default="hessian"
            "gauss_newton": what the outputs' slopes make, never negative; "rest": residuals times the network's own
            curvature.

        Returns
        -------
        Density
            With ``nodes`` and ``weights``, ``trace_of(function)`` and ``at(grid, width)``.
        """
        checks.check_choice("part", part, ("hessian", "gauss_newton", "rest"))
        checks.check_positive_integer("probes", probes)
        checks.check_positive_integer("steps", steps)
        return self._network.spectral_density(penalised, probes, steps, part)

    def edge_of_stability(self) -> tuple[float, float]:
        """Return the sharpness λmax, and the curvature above which the steps of gd or sgd grow: 2/η without momentum.

        Full-batch gradient descent tends to raise λmax until it hovers about there (Cohen et al., 2021). With momentum β
        it is 2(1 + β)/η, with Nesterov's 2(1 + β)/((1 + 2β)η).
        """
        if np.isnan(self._stability_limit):
            raise ValueError(
                "Only gd and sgd have a step to compare the curvature with; this network was trained otherwise."
            )
        return self.sharpness(), self._stability_limit

    def __repr__(self) -> str:
        rows, size = self._network.objective.n_rows, len(self._network.theta)
        return (
            f"<NetworkDiagnosis on {rows} rows, {size:,} parameters: curvature(k, spectrum), landscape(), rows(), "
            "sharpness(), trace(), log_determinant(), spectral_density(), edge_of_stability()>"
        )
