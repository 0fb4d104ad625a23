"""The eigenvalues of the Hessian: their signs, how sure they are, which directions are flat and which are steep."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from mle_regression.displays.drawing import axes_for
from mle_regression.displays.lettering import fonts
from mle_regression.displays.spectrum_panels import SpectralCurves, draw_density, draw_eigenvalues, write_words
from mle_regression.displays.subject import chosen_output, diagnosis_of, output_labels, outputs_of, subject_of
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.lanczos import Density
from mle_regression.validation import checks

Kind = Literal["auto", "eigenvalues", "density"]
KINDS = ("auto", "eigenvalues", "density")
PARTS = ("hessian", "gauss_newton", "rest")
# Up to so many eigenvalues of a network are drawn one by one unless asked otherwise, and their density beyond.
_ONE_BY_ONE = 400
# Width in inches of a figure up to which words take so much room that it is made higher.
_NARROW = 5.0


class SpectrumDisplay:
    """Eigenvalues of the Hessian at a fit, one by one with their bounds, or as a density.

    Use `from_estimator` or `from_diagnosis` rather than the constructor.

    Parameters
    ----------
    eigenvalues, error_bounds : array of shape (k,)
        Ascending; the k/2 lowest and the k/2 largest, or all.
    directions : DataFrame of shape (P, k)
        Eigenvectors; a row a parameter.
    size : int, default=None
        P; k if None.
    parts : dict of str to array, default=None
        Eigenvalues of the "gauss_newton" part of a network's Hessian and of the "rest", as many.
    curves : SpectralCurves, default=None
        Densities, which ``kind="density"`` draws.
    verdict : str, default=""
    condition_number : float, default=nan
    units : str, default=""
        In which the parameters are measured.

    Attributes
    ----------
    eigenvalues, error_bounds, directions, size, parts, curves, verdict, condition_number, units
        As above.
    signs : ndarray of shape (k,)
        −1, 0 or 1; zero where the bound leaves it open.
    ax_ : matplotlib axes
    figure_ : matplotlib figure

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mle_regression.displays import SpectrumDisplay
    >>> names = pd.DataFrame(np.eye(3), index=["a", "b", "c"])
    >>> SpectrumDisplay(eigenvalues=[-1.0, 1e-9, 2.0], error_bounds=np.full(3, 1e-8), directions=names).signs
    array([-1,  0,  1])
    """

    def __init__(
        self,
        *,
        eigenvalues: Any,
        error_bounds: Any,
        directions: pd.DataFrame,
        size: int | None = None,
        parts: dict[str, Any] | None = None,
        curves: SpectralCurves | None = None,
        verdict: str = "",
        condition_number: float = float("nan"),
        units: str = "",
    ) -> None:
        self.eigenvalues, self.error_bounds = np.asarray(eigenvalues, float), np.asarray(error_bounds, float)
        self.directions, self.size = directions, len(self.eigenvalues) if size is None else size
        self.parts = {name: np.asarray(values, float) for name, values in (parts or {}).items()}
        self.curves, self.verdict, self.condition_number, self.units = curves, verdict, condition_number, units
        sure = np.abs(self.eigenvalues) > self.error_bounds
        self.signs = np.where(sure, np.sign(self.eigenvalues), 0.0).astype(int)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        output: int | str | None = None,
        kind: Kind = "auto",
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the spectrum of the Hessian of a fitted model.

        Parameters
        ----------
        estimator : fitted MLELinearRegressor or MLPGradientRegressor
            Or a pipeline or search of one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            As in ``fit``.
        output : int or str, default=None
            Which output of a linear model, where y has several: each has a block of the Hessian. A network has one Hessian.
        kind : {"auto", "eigenvalues", "density"}, default="auto"
            "density": of a network, how many eigenvalues there are of which size, by stochastic Lanczos quadrature beyond
            3,000 parameters, with its Gauss–Newton part and the rest. "auto": so beyond 400 parameters of a network.
        ax : matplotlib axes, default=None
        width : float, default=None
            Width of a new figure in inches.

        Returns
        -------
        SpectrumDisplay
        """
        subject = subject_of(estimator, X)
        diagnosis = diagnosis_of(subject, y, sample_weight)
        network, labels = hasattr(subject.model, "coefs_"), output_labels(subject, y)
        if not network or output is not None:
            output = chosen_output(labels, outputs_of(y).shape[1], output)
            output = labels[output] if labels else output
        return cls.from_diagnosis(diagnosis, output=output, kind=kind, ax=ax, width=width)

    @classmethod
    def from_diagnosis(
        cls,
        diagnosis: Any,
        *,
        output: int | str | None = None,
        kind: Kind = "auto",
        ax: Any = None,
        width: float | None = None,
    ) -> Self:
        """Draw the spectrum that a diagnosis knows.

        Parameters
        ----------
        diagnosis : object
            What ``estimator.diagnose(X, y)`` returns.
        output, kind, ax, width
            As in `from_estimator`.

        Returns
        -------
        SpectrumDisplay
        """
        checks.check_choice("kind", kind, KINDS)
        report = diagnosis.curvature()
        if isinstance(report, dict):  # outputs under penalties of their own
            report = (
                report[chosen_output(list(report), len(report), output)] if output not in report else report[output]
            )
        network = hasattr(report, "gauss_newton_eigenvalues")
        size = len(report.eigenvectors)
        if kind == "auto":
            kind = "density" if network and size > _ONE_BY_ONE else "eigenvalues"
        if kind == "density" and not network:
            raise ValueError("kind='density' is of networks; the eigenvalues of a linear model are drawn one by one.")
        parts = {}
        if network:
            parts = {"gauss_newton": report.gauss_newton_eigenvalues, "rest": report.rest_eigenvalues}
        display = cls(
            eigenvalues=report.eigenvalues,
            error_bounds=report.error_bounds,
            directions=report.eigenvectors,
            size=size,
            parts=parts,
            curves=_curves(diagnosis, report) if kind == "density" else None,
            verdict=report.verdict,
            condition_number=report.condition_number,
            units="standard units" if network else "the units of X",
        )
        return display.plot(ax, kind=kind, width=width)

    def plot(self, ax: Any = None, *, kind: Kind = "auto", width: float | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax, kind, width
            As in `from_estimator`; "auto" draws the density where there is one.

        Returns
        -------
        SpectrumDisplay
            With ``ax_`` and ``figure_``.
        """
        checks.check_choice("kind", kind, KINDS)
        if kind == "density" and self.curves is None:
            raise ValueError("There is no density among the numbers of this display; ask from_estimator for it.")
        density = kind == "density" or (kind == "auto" and self.curves is not None)
        with fonts():
            ax = axes_for(ax, width, None if width is None or width > _NARROW else 0.95 * width)
            self.ax_, self.figure_ = ax, ax.figure
            (draw_density if density else draw_eigenvalues)(self, ax)
            write_words(self, ax, density)
        return self


def _curves(diagnosis: Any, report: Any) -> SpectralCurves:
    """Return densities, of all eigenvalues where these are known."""
    if report.complete:
        values = (report.eigenvalues, report.gauss_newton_eigenvalues, report.rest_eigenvalues)
        exact = {name: _as_density(one) for name, one in zip(PARTS, values, strict=True)}
        return SpectralCurves.of(exact)
    return SpectralCurves.of({part: diagnosis.spectral_density(part=part) for part in PARTS})


def _as_density(values: Array) -> Density:
    return Density(values[None], np.full((1, len(values)), 1.0 / len(values)), len(values))
