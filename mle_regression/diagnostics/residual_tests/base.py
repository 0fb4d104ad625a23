"""What a test of the assumptions is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from scipy.stats import chi2

from mle_regression.diagnostics.auxiliary import Regression, information_at, regress
from mle_regression.diagnostics.covariance import Whitener, whitened_scores, without_projection
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.information import InformationFactor
from mle_regression.linalg.rank import default_tolerance
from mle_regression.linalg.scaling import scale
from mle_regression.rows.base import Block
from mle_regression.rows.registry import as_rows

# Rows with counts are written out one by one up to this many.
_MOST_REPEATED = 10_000_000
# Squares, the largest being one, are equal if their variance is below this.
_EQUAL = 1e-24


@dataclass(frozen=True, slots=True)
class TestResult:
    """Statistic and its distribution under the null hypothesis.

    Attributes
    ----------
    statistic : float
    df : float
        Degrees of freedom of χ², the first of F; NaN where the distribution has none.
    df_denom : float
        The second of F; NaN else.
    p_value : float
    note : str
        Why there is no number, or with what reserve to read it.
    """

    statistic: float
    df: float = np.nan
    df_denom: float = np.nan
    p_value: float = np.nan
    note: str = ""


def explained_variance(fit: FitView, auxiliary: Regression) -> TestResult:
    """Koenker's (1981) n·R² of a regression of the squared residuals, χ² of the rank of its columns."""
    if auxiliary.rank == 0:
        return undefined("no column varies")
    if auxiliary.rank + 1 >= fit.n_rows:
        return undefined("no more rows than columns, or products of columns")
    if not auxiliary.total[0] > _EQUAL * fit.n_rows:
        return undefined("the squares of the residuals are all equal")
    statistic = fit.n_rows * float(auxiliary.r2[0])
    return TestResult(statistic, float(auxiliary.rank), p_value=float(chi2.sf(statistic, auxiliary.rank)))


def undefined(note: str) -> TestResult:
    """Return the result of a test that cannot be made, and why."""
    return TestResult(np.nan, note=note)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A test of one assumption.

    Attributes
    ----------
    compute : callable
        Takes a `FitView` and returns a `TestResult`.
    asks : str
        The null hypothesis.
    small_p : str
        In words, what a small p-value means and what to do.
    ordered : bool
        Whether the order of the rows matters; rows that stand for several have none.
    new_rows : bool
        Whether the test is for rows that the model was not fitted on, and only for those.
    """

    compute: Callable[[FitView], TestResult]
    asks: str
    small_p: str
    ordered: bool = False
    new_rows: bool = False


@dataclass(frozen=True)
class FitView:
    """A fit and the rows to judge it by, of one output; rows of weight zero are left out.

    Attributes
    ----------
    x : array or CSR matrix of shape (n, p)
    fitted, residual : Array of shape (n,)
    precision : Array of shape (n,) or None for ones
        Weights that are precisions.
    counts : Array of shape (n,) or None for ones
        Weights that count equal rows.
    information : InformationFactor
        That of the fit.
    variance : float
        s², the fit's.
    dof : float
        Residual degrees of freedom of the fit.
    eps : float
        Relative precision of the numbers in x.
    least_squares : bool
        Whether the residuals are those of least squares on these rows.
    """

    x: object
    fitted: Array
    residual: Array
    precision: Array | None
    counts: Array | None
    information: InformationFactor
    variance: float
    dof: float
    eps: float
    least_squares: bool

    @property
    def centred(self) -> bool:
        """Whether the model has an intercept."""
        return self.information.centred

    @property
    def n_features(self) -> int:
        """Number of columns p."""
        return int(self.information.factor.shape[1])

    @cached_property
    def by_least_squares(self) -> FitView:
        """The view with residuals freed of what the columns can explain.

        Those of a penalised fit, or of new rows, hold the error of the coefficients besides the noise; what is left after
        least squares on the rows at hand has the distribution that the tests of the noise count on.
        """
        if self.least_squares:
            return self
        weights = self.precision if self.counts is None else self.counts
        information = self.linear_information
        rows, whitener = as_rows(self.x, self.residual[:, None], weights), Whitener(information)
        part = rows.reduce(partial(whitened_scores, whitener), np.add, dense=True)
        left = rows.map(partial(without_projection, whitener, part), dense=True)[:, 0]
        return replace(self, fitted=self.fitted + self.residual - left, residual=left, least_squares=True)

    @cached_property
    def free(self) -> float:
        """Degrees of freedom that least squares on these rows leaves."""
        return self.n_rows - self.linear_information.rank

    @cached_property
    def n_rows(self) -> float:
        """Number of observations."""
        return float(len(self.residual)) if self.counts is None else float(self.counts.sum())

    @cached_property
    def whitened(self) -> Array:
        """Residuals of equal variance, √w e, (n,)."""
        return self.residual if self.precision is None else np.sqrt(self.precision) * self.residual

    @cached_property
    def unit_squares(self) -> Array:
        """Squares of the whitened residuals over the largest of them, (n, 1): what tests of the variance regress."""
        largest = np.abs(self.whitened).max(initial=0.0)
        return ((self.whitened / (largest or 1.0)) ** 2)[:, None]

    @cached_property
    def repeated(self) -> Array | None:
        """Whitened residuals with each row written out as often as it counts; None where the counts are no integers."""
        if self.counts is None:
            return self.whitened
        if self.n_rows > _MOST_REPEATED or (self.counts != np.floor(self.counts)).any():
            return None
        return np.repeat(self.whitened, self.counts.astype(np.int64))

    @cached_property
    def frame(self) -> Frame:
        """Coordinates in which the fit's columns have mean zero and about unit length."""
        return Frame(self.information.exponent, self.information.mean)

    @cached_property
    def linear_information(self) -> InformationFactor:
        """Information of these rows without penalty."""
        return self.information_with(0.0)

    def information_with(self, alpha: float) -> InformationFactor:
        """Information of these rows with a penalty."""
        weights = self.precision if self.counts is None else self.counts
        rows = as_rows(self.x, np.zeros((len(self.residual), 0)), weights)
        total = float(len(self.residual)) if weights is None else float(weights.sum())
        tolerance = default_tolerance(self.information.size, self.eps)
        return information_at(rows, self.frame, total, centred=self.centred, tolerance=tolerance, alpha=alpha)

    def regress_on_columns(
        self,
        targets: Array,
        extra: Callable[[Block], Array] | None = None,
        n_extra: int = 0,
        *,
        payload: Array | None = None,
        weighted: bool = False,
        constant: bool = True,
    ) -> Regression:
        """Regress targets (n, k) on the columns of x and on ``extra(block)`` (b, n_extra), which can be pickled.

        ``payload`` (n, j) follows the targets in ``block.y`` for ``extra`` to use. ``weighted`` regressions are weighted
        by the precisions; rows that stand for several always count for as many.
        """
        k = targets.shape[1]
        y = targets if payload is None else np.hstack([targets, payload])
        weights = self.counts if self.counts is not None else self.precision if weighted else None
        rows = as_rows(self.x, y, weights)
        total = float(len(y)) if weights is None else float(weights.sum())
        design = partial(_design, self.information, extra, k)
        return regress(rows, design, (self.n_features + n_extra, k), total, centred=constant)

    def only(self, pick: IntArray | slice) -> FitView:
        """Return the same fit seen on some of the rows."""
        return FitView(
            x=self.x[pick],  # type: ignore[index]
            fitted=self.fitted[pick],
            residual=self.residual[pick],
            precision=None if self.precision is None else self.precision[pick],
            counts=None if self.counts is None else self.counts[pick],
            information=self.information,
            variance=self.variance,
            dof=self.dof,
            eps=self.eps,
            least_squares=False,
        )


def standardized(information: InformationFactor, x: Array) -> Array:
    """Return columns (b, p) of mean zero and about unit size: an affine map of x where there is an intercept."""
    centred = scale(x, -information.exponent) - information.mean
    return np.asarray(centred * np.sqrt(information.total))


def _design(
    information: InformationFactor, extra: Callable[[Block], Array] | None, k: int, block: Block
) -> tuple[Array, Array]:
    """Return the columns of a block, and ``extra`` ones, and its first k outputs."""
    z = standardized(information, block.x)
    return (z if extra is None else np.hstack([z, extra(block)])), block.y[:, :k]
